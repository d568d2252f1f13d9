"""`imgfetch save`."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from imgfetch.archive import compressed
from imgfetch.archive.checksums import forget_checksums, write_checksums
from imgfetch.archive.formats import FORMATS
from imgfetch.cli import context, stdout, summary
from imgfetch.cli.board import format_blobs
from imgfetch.cli.display import Display
from imgfetch.cli.options import usage
from imgfetch.defaults import LAYERS
from imgfetch.errors import ImgfetchError, StorageError
from imgfetch.oci.names import ImageRequest
from imgfetch.pull.client import Client, SaveOptions
from imgfetch.pull.plan import ArchiveOptions
from imgfetch.pull.results import Blob, Forecast, Saved
from imgfetch.pull.together import combined
from imgfetch.text import format_size, sanitize


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Write an archive, or one for each image."""
    arguments.wished = context.images(arguments)
    _check(arguments)
    if arguments.dry_run:
        return _forecast(arguments)
    client = Client(**context.client_settings(arguments))
    outputs = context.outputs(arguments)
    failures: list[ImgfetchError] = []
    archives: list[dict[str, object]] = []
    for number, (images, output) in enumerate(outputs, 1):
        arguments.output = output
        try:
            saved, seconds = _save(client, images, arguments, display)
            failures += saved.failures
            archives.append(summary.as_json(saved, output, seconds))
        except StorageError:
            raise
        except ImgfetchError as error:
            if not arguments.keep_going or not arguments.output_dir:
                _report_untried(len(outputs) - number, len(outputs), display)
                raise
            failures.append(error)
    if arguments.output_dir and archives:
        write_checksums(arguments.output_dir, [Path(str(archive["output"])).name for archive in archives])
    if arguments.json:
        stdout.show([json.dumps(archives if arguments.output_dir else archives[0], indent=1)])
    if failures:
        raise combined(failures, len(arguments.wished))
    return 0


def _save(
    client: Client, images: Sequence[ImageRequest], arguments: argparse.Namespace, display: Display
) -> tuple[Saved, float]:
    """Write one archive, and return it with the seconds that this took."""
    began = time.monotonic()
    saved = client.save(images, context.output(arguments), **_options(arguments, display))
    seconds = time.monotonic() - began
    if arguments.output_dir and not saved.is_unchanged:
        forget_checksums(arguments.output_dir)
    display.close()
    if not arguments.quiet:
        _note(arguments, display)
        summary.summarize(saved, arguments.output, seconds, display)
    return saved, seconds


def _report_untried(left: int, total: int, display: Display) -> None:
    """Report how many images are not tried because of an error."""
    if left:
        display.close()
        display.message(
            "info", f"{left} of {total} images {'was' if left == 1 else 'were'} not tried; the failure follows"
        )


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that cannot be combined."""
    most = max(len(arguments.platform), *(len(image.platforms) for image in arguments.wished))
    if FORMATS[arguments.format].has_one_platform and (arguments.all_platforms or most > 1):
        several = "--all-platforms" if arguments.all_platforms else "several platforms in --platform"
        usage(
            arguments, f"--format {arguments.format} supports only one platform and cannot be combined with {several}"
        )
    if arguments.base and (plain := _plain(arguments)):
        usage(arguments, f"--base compares layers as the registry stores them and cannot be combined with {plain}")
    if arguments.keep_index and (plain := _plain(arguments)):
        usage(arguments, f"--keep-index keeps the registry's digests and cannot be combined with {plain}")
    if arguments.json and _is_stdout(arguments.output) and not (arguments.dry_run or arguments.output_dir):
        usage(arguments, "--json prints to stdout, where the archive would be; add -o FILE")
    if arguments.output_dir and (arguments.output != "-" or arguments.dry_run):
        usage(arguments, f"--output-dir cannot be combined with {'--dry-run' if arguments.dry_run else '-o'}")
    if arguments.if_changed and arguments.output == "-" and not arguments.output_dir:
        usage(arguments, "--if-changed requires an output file; add -o FILE")
    try:
        compressed.compression(Path(arguments.output))
    except ValueError as error:
        usage(arguments, f"-o {sanitize(arguments.output)}: {error}")
    if arguments.name and len(arguments.wished) > 1:
        usage(arguments, "--name cannot be combined with several images")


def _is_stdout(output: str) -> bool:
    """Return whether an output is stdout, under any name."""
    with suppress(OSError):
        return os.path.samestat(os.stat(output), os.fstat(1))  # noqa: PTH116  # as `os.fstat`
    return output == "-"


def _options(arguments: argparse.Namespace, display: Display) -> SaveOptions:
    return {
        "if_changed": arguments.if_changed,
        "jobs": arguments.jobs,
        "cache_dir": context.cache(arguments),
        "cache_size": arguments.cache_size,
        "max_layer_size": arguments.max_layer_size,
        "progress": display,
        **_archive(arguments),
    }


def _archive(arguments: argparse.Namespace) -> ArchiveOptions:
    return {
        "platform": arguments.platform,
        "all_platforms": arguments.all_platforms,
        "keep_index": arguments.keep_index,
        "archive_format": arguments.format,
        "layers": arguments.layers,
        "name": arguments.name,
        "base": arguments.base,
        "source_date_epoch": arguments.source_date_epoch,
        "keep_going": arguments.keep_going,
    }


def _plain(arguments: argparse.Namespace) -> str:
    """Return the option that decompresses the layers, or an empty text."""
    if FORMATS[arguments.format].is_uncompressed:
        return f"--format {arguments.format}"
    return f"--layers {arguments.layers}" if arguments.layers != LAYERS[0] else ""


def _note(arguments: argparse.Namespace, display: Display) -> None:
    """Mention that compression of the whole archive gains little."""
    path = Path(arguments.output)
    if compressed.compression(path) and path.is_file() and not _plain(arguments):
        display.message(
            "info",
            f"compressing {sanitize(arguments.output)} as a whole saves little, because its layers are already "
            "compressed; to store them decompressed, use --layers plain",
        )


def _forecast(arguments: argparse.Namespace) -> int:
    """Print the cost of a save."""
    client = Client(**context.client_settings(arguments))
    found = client.dry_run(arguments.wished, cache_dir=context.cache(arguments), **_archive(arguments))
    stdout.show([json.dumps(_as_json(found), indent=1)] if arguments.json else _lines(found))
    if found.failures:
        raise combined(found.failures, len(arguments.wished))
    return 0


_STATES = {"fetched": "download", "continued": "resume", "cached": "cached", "left out": "left out"}
"""Words for a blob that is to be saved, by `Blob.state`."""


def _lines(found: Forecast) -> Iterator[str]:
    """Yield a line for each image with its blobs below it, and then the sums."""
    waiting = {blob.digest: blob for blob in found.blobs}
    for image in found.images:
        names = ", ".join(map(str, image.references))
        yield f"{names} {image.platform}: {format_blobs(len(image.layers))}, {format_size(image.size)}"
        for digest in image.layers:
            blob = waiting.pop(digest, None)
            yield _line(blob) if blob else f"  {'shared':<8}  {digest}"
    yield from (["blobs beside the images:", *map(_line, waiting.values())] if waiting else ())
    count = found.requests
    to_fetch = f"{format_size(found.missing)} to download in {count} request{'' if count == 1 else 's'}"
    total = (
        f"size of the archive: {format_size(found.archive_size)}"
        if found.archive_size is not None
        else "the size of the archive depends on the content of the layers"
    )
    yield f"{to_fetch}, {format_size(found.cached)} cached, {format_size(found.left_out)} left out; {total}"
    yield from (f"{registry} reports {pulls} pulls left" for registry, pulls in found.pulls_left.items())


def _line(blob: Blob) -> str:
    return f"  {_STATES[blob.state]:<8}  {blob.digest}  {format_size(blob.size):>7}"


def _as_json(found: Forecast) -> dict[str, object]:
    return {
        "images": list(found.names),
        "contents": [
            {
                "references": list(map(str, image.references)),
                "digest": str(image.digest),
                "platform": str(image.platform),
                "size": image.size,
                "layers": list(map(str, image.layers)),
            }
            for image in found.images
        ],
        "blobs": [
            {"digest": str(blob.digest), "size": blob.size, "state": blob.state, "missing": blob.missing}
            for blob in found.blobs
        ],
        "bytes": found.missing,
        "cached": found.cached,
        "left_out": found.left_out,
        "requests": found.requests,
        "archive_size": found.archive_size,
        "pulls_left": found.pulls_left,
    }
