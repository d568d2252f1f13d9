"""`imgfetch push`."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

from imgfetch.archive.streams import name_of, size_of
from imgfetch.cli import context, stdout
from imgfetch.cli.display import Display
from imgfetch.cli.options import usage
from imgfetch.pull.client import Client
from imgfetch.text import counted, format_size, quoted, sanitize
from imgfetch.upload.results import Pushed, PushedImage

_WORDS = {"sent": "send", "mounted": "mount", "present": "present"}
"""Words for a blob of a dry run, by its state."""


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Push an archive, and print each image's new name with its digest."""
    context.check_stdin(arguments)
    _refuse_swapped(arguments)
    client = Client(**context.client_settings(arguments))
    path, began = arguments.file, time.monotonic()
    pushed = client.push(
        path,
        arguments.destination,
        rewrite=arguments.rewrite,
        force=arguments.force,
        allow_digest_change=arguments.allow_digest_change,
        dry_run=arguments.dry_run,
        jobs=arguments.jobs,
        cache_dir=context.cache(arguments),
        progress=display,
        reading=lambda: display.reading(name_of(path), size_of(path)),
    )
    display.close()
    if arguments.json:
        stdout.show([json.dumps(_as_json(pushed), indent=1)])
    elif pushed.is_dry_run:
        stdout.show(sanitize(line) for line in _lines(pushed))
    elif not arguments.quiet:
        stdout.show(_pinned(image) for image in pushed.images)
    if not (pushed.is_dry_run or arguments.quiet):
        seconds = time.monotonic() - began
        display.message("pushed", f"pushed {_summary(pushed)} in {seconds:.1f} s", _as_json(pushed))
    return 0


def _refuse_swapped(arguments: argparse.Namespace) -> None:
    """Report a usage error if the archive is where the registry belongs."""
    if Path(arguments.destination).is_file() and not Path(arguments.file).exists():
        given = quoted(arguments.destination)
        usage(arguments, f"{given} is a file: write it before the registry, as in imgfetch push FILE REGISTRY")


def _pinned(image: PushedImage) -> str:
    return f"{image.reference}@{image.digest}" if image.reference.tag else str(image.reference)


def _lines(pushed: Pushed) -> Iterator[str]:
    """Yield a line for each image, one for each blob, and then the sums."""
    for image in pushed.images:
        yield f"{', '.join(image.names) or image.digest} -> {image.reference}  {image.state}"
    for blob in pushed.blobs:
        yield f"  {_WORDS[blob.state]:<7}  {blob.repository}  {blob.digest}  {format_size(blob.size):>7}"
    yield _summary(pushed)


def _summary(pushed: Pushed) -> str:
    unchanged = sum(image.state == "unchanged" for image in pushed.images)
    states = f" ({unchanged} unchanged)" if unchanged else ""
    words = {"sent": "to send", "mounted": "to mount"} if pushed.is_dry_run else {}
    sums = ", ".join(f"{format_size(pushed.bytes_of(state))} {words.get(state, state)}" for state in _WORDS)
    return f"{counted(len(pushed.images), 'name')}{states}: {sums}"


def _as_json(pushed: Pushed) -> dict[str, object]:
    return {
        "dry_run": pushed.is_dry_run,
        "images": [
            {
                "names": list(image.names),
                "reference": str(image.reference),
                "digest": str(image.digest),
                "state": image.state,
            }
            for image in pushed.images
        ],
        "blobs": [
            {"digest": str(blob.digest), "size": blob.size, "state": blob.state, "repository": blob.repository}
            for blob in pushed.blobs
        ],
        "sent": pushed.bytes_of("sent"),
        "mounted": pushed.bytes_of("mounted"),
        "present": pushed.bytes_of("present"),
    }
