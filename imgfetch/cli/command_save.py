"""`imgfetch save`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from imgfetch.archive import compressed
from imgfetch.archive.formats import FORMATS
from imgfetch.cli import context, forecast, lists, stdout, summary
from imgfetch.cli.display import Display
from imgfetch.cli.options import usage
from imgfetch.defaults import LAYERS
from imgfetch.errors import ImgfetchError
from imgfetch.oci.names import ImageRequest
from imgfetch.pull.client import Client, SaveOptions
from imgfetch.pull.plan import ArchiveOptions
from imgfetch.pull.results import Saved
from imgfetch.pull.together import combined
from imgfetch.text import sanitize

_COMPRESSED = {
    "--base": "compares layers as the registry stores them",
    "--keep-index": "keeps the registry's digests",
    "--signatures": "needs the registry's digests",
    "--referrers": "needs the registry's digests",
}
"""The options that need compressed layers, and why."""

_logger = logging.getLogger(__name__)


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Write an archive, or one for each image."""
    arguments.wished = _chosen(arguments, display)
    _check(arguments)
    if not arguments.wished:
        stdout.show(["[]"] if arguments.json else [])
        return 0
    arguments.policy = context.policy(arguments)
    _warn(arguments, os.environ)
    if arguments.dry_run:
        return _forecast(arguments, display)
    client = Client(**context.client_settings(arguments))
    save = _save_patch if arguments.patch_from else _save_each if arguments.output_dir else _save
    failures = save(client, arguments, display)
    if failures:
        raise combined(failures, len(arguments.wished))
    return 0


def _warn(arguments: argparse.Namespace, environment: Mapping[str, str]) -> None:
    """Warn that signatures are not searched for where cosign looks for them."""
    repository = environment.get("COSIGN_REPOSITORY")
    if repository and (arguments.policy or arguments.signatures or arguments.referrers):
        _logger.warning(
            "signatures in COSIGN_REPOSITORY (%s) are not found, only those in the repository of each image; copy them "
            "there, with their tags and referrers",
            sanitize(repository),
        )


def _chosen(arguments: argparse.Namespace, display: Display) -> Sequence[ImageRequest]:
    """Return the images, or those of the shard; an empty one is reported, and an error for a single archive."""
    images = context.images(arguments)
    if not arguments.shard:
        return images
    shard = lists.shard(images, *arguments.shard)
    if not shard:
        number, count = arguments.shard
        reason = f"shard {number}/{count} is empty: there are {len(images)} images for {count} shards"
        if not arguments.output_dir:
            usage(arguments, f"{reason}; use fewer shards, or --output-dir")
        if not arguments.quiet:
            display.message("info", f"{reason}; nothing to save")
    return shard


def _save(client: Client, arguments: argparse.Namespace, display: Display) -> Sequence[ImgfetchError]:
    """Write one archive, and return the errors of images that are left out."""
    began = time.monotonic()
    saved = client.save(arguments.wished, context.output(arguments), **_options(arguments, display))
    seconds = time.monotonic() - began
    display.close()
    display.has_plan = False  # nothing partial is left
    if not arguments.quiet:
        _note(arguments, display)
        summary.note_signers(arguments.policy, display)
        summary.summarize(saved, arguments.output, seconds, display)
        summary.note_nameless(saved.images, display)
        if arguments.signatures or arguments.referrers:
            summary.note_referrers(saved.images, display, has_policy=bool(arguments.policy))
    if arguments.json:
        stdout.show([json.dumps(summary.as_json(saved, arguments.output, seconds), indent=1)])
    return saved.failures


def _save_patch(client: Client, arguments: argparse.Namespace, display: Display) -> Sequence[ImgfetchError]:
    """Write a patch, and return the errors of images that are left out of its archive."""
    began, output = time.monotonic(), context.output(arguments)
    found = client.save_patch(
        arguments.wished, arguments.patch_from, output, reading=display.reading, **_options(arguments, display)
    )
    seconds = time.monotonic() - began
    display.close()
    display.has_plan = False
    if not arguments.quiet:
        summary.note_signers(arguments.policy, display)
        summary.summarize_patch(found, arguments.output, arguments.patch_from, seconds, display)
        summary.note_nameless(found.archive.images, display)
    if arguments.json:
        stdout.show([json.dumps(summary.patch_as_json(found, arguments.output, seconds), indent=1)])
    return found.archive.failures


def _save_each(client: Client, arguments: argparse.Namespace, display: Display) -> Sequence[ImgfetchError]:
    """Write an archive for each image, and return the errors of the others."""
    began = time.monotonic()
    archives: dict[Path, dict[str, object]] = {}

    def show(path: Path, saved: Saved) -> None:
        seconds = time.monotonic() - began
        archives[path] = summary.as_json(saved, str(path), seconds)
        if not arguments.quiet and (not saved.is_unchanged or arguments.progress == "json"):
            summary.summarize(saved, str(path), seconds, display)

    try:
        done = client.save_each(arguments.wished, arguments.output_dir, saved=show, **_options(arguments, display))
    except BaseException:
        if display.has_plan:
            display.close()
            count = f"{len(archives)} of {len(arguments.wished)}"
            display.message("info", f"{count} archives are complete; the failure follows")
        raise
    display.close()
    display.has_plan = bool(done.failures)
    if not arguments.quiet:
        summary.count_unchanged(done.archives.values(), display)
        summary.note_signers(arguments.policy, display)
        images = [image for saved in done.archives.values() for image in saved.images]
        summary.note_nameless(images, display)
        if arguments.signatures or arguments.referrers:
            summary.note_referrers(images, display, has_policy=bool(arguments.policy))
    if arguments.json:
        stdout.show([json.dumps([archives[path] for path in done.archives], indent=1)])
    return done.failures


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that cannot be combined."""
    most = max(len(platforms) for platforms in (arguments.platform, *(image.platforms for image in arguments.wished)))
    if FORMATS[arguments.format].has_one_platform and (arguments.all_platforms or most > 1):
        several = "--all-platforms" if arguments.all_platforms else "several platforms in --platform"
        usage(
            arguments, f"--format {arguments.format} supports only one platform and cannot be combined with {several}"
        )
    for option, reason in _COMPRESSED.items():
        if vars(arguments)[_attribute(option)] and (plain := _plain(arguments)):
            usage(arguments, f"{option} {reason} and cannot be combined with {plain}")
    if arguments.patch_from:
        _check_patch(arguments)
    _check_output(arguments)
    if arguments.name and len(arguments.wished) > 1:
        usage(arguments, "--name cannot be combined with several images")


def _check_output(arguments: argparse.Namespace) -> None:
    """Refuse options that the output does not have."""
    if arguments.json and _is_stdout(arguments.output) and not (arguments.dry_run or arguments.output_dir):
        usage(arguments, "--json prints to stdout, where the archive would be; add -o FILE")
    if arguments.output_dir and (arguments.output != "-" or arguments.dry_run):
        other = "--dry-run, which shows the blobs of all images without it" if arguments.dry_run else "-o"
        usage(arguments, f"--output-dir cannot be combined with {other}")
    if arguments.if_changed and arguments.output == "-" and not arguments.output_dir:
        usage(arguments, "--if-changed requires an output file; add -o FILE")
    try:
        compression = compressed.compression(Path(arguments.output))
    except ValueError as error:
        usage(arguments, f"-o {sanitize(arguments.output)}: {error}")
    if arguments.zstd_window and compression != "zstd":
        usage(arguments, "--zstd-window requires an output file whose name ends in .tar.zst")


def _check_patch(arguments: argparse.Namespace) -> None:
    """Refuse options that have no meaning for a patch."""
    for option, reason in (
        ("--output-dir", "writes one patch for all images"),
        ("--if-changed", "makes a patch, which need not be the same with another zstd library"),
        ("--zstd-window", "chooses the windows of a patch itself"),
    ):
        if vars(arguments)[_attribute(option)]:
            usage(arguments, f"--patch-from {reason}, and cannot be combined with {option}")
    if "layers" in vars(arguments).get("given_once", {}) and arguments.layers == LAYERS[0]:
        reason = f"makes an archive with decompressed layers, and cannot be combined with --layers {LAYERS[0]}"
        usage(arguments, f"--patch-from {reason}; leave out --layers")
    context.refuse_to_replace(arguments.patch_from, arguments)
    context.refuse_archive_name(arguments, "--patch-from")


def _attribute(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _is_stdout(output: str) -> bool:
    """Return whether an output is stdout, under any name."""
    with suppress(OSError):
        return os.path.samestat(os.stat(output), os.fstat(1))  # noqa: PTH116  # as `os.fstat`
    return output == "-"


def _options(arguments: argparse.Namespace, display: Display) -> SaveOptions:
    return {
        "if_changed": arguments.if_changed,
        "jobs": arguments.jobs,
        "limit_rate": arguments.limit_rate,
        "connections": arguments.connections,
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
        "signatures": arguments.signatures,
        "referrers": arguments.referrers,
        "policy": arguments.policy,
        "archive_format": arguments.format,
        "layers": arguments.layers,
        "name": arguments.name,
        "base": arguments.base,
        "source_date_epoch": arguments.source_date_epoch,
        "zstd_window": arguments.zstd_window,
        "keep_going": arguments.keep_going,
    }


def _plain(arguments: argparse.Namespace) -> str:
    """Return the option that decompresses the layers, or an empty text."""
    if arguments.patch_from:
        return "--patch-from"
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


def _forecast(arguments: argparse.Namespace, display: Display) -> int:
    """Print the cost of a save."""
    client = Client(**context.client_settings(arguments))
    found = client.dry_run(
        arguments.wished,
        output=None if arguments.output == "-" else arguments.output,
        cache_dir=context.cache(arguments),
        progress=display,
        patch_from=arguments.patch_from,
        **_archive(arguments),
    )
    display.close()
    stdout.show([json.dumps(forecast.as_json(found), indent=1)] if arguments.json else forecast.lines(found))
    if found.failures:
        raise combined(found.failures, len(arguments.wished))
    return 0
