"""`imgfetch digest`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from imgfetch.archive.output import opened, regular
from imgfetch.cli import context, lists, stdout
from imgfetch.cli.display import Display
from imgfetch.cli.options import usage
from imgfetch.files import atomic_write
from imgfetch.inputs import read_settings
from imgfetch.oci.names import ImageRequest
from imgfetch.oci.reference import Reference
from imgfetch.pull.client import Client
from imgfetch.text import counted, sanitize

_MODE = 0o666  # before the umask
_MAX_LOCK = 64 * 1024 * 1024
_STDOUT = "-"


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Print each reference with its digest, or write them to a file, once all digests are known."""
    arguments.wished = context.images(arguments)
    if len(arguments.platform) > 1:
        usage(
            arguments,
            "digest accepts only one platform; without --platform, it prints the digest of the multi-platform index",
        )
    path = None if arguments.output == _STDOUT else regular(arguments.output)  # an error comes before any request
    if path and not _is_replaceable(path):
        usage(
            arguments,
            f"-o {sanitize(arguments.output)}: the file exists and has other content than digests of images; "
            "name another file, such as images.lock, or remove this one first",
        )
    client = Client(**context.client_settings(arguments))
    pinned = client.pin(arguments.wished, platform=arguments.platform, progress=display)
    display.close()
    lines = _lines(pinned, arguments)
    if arguments.output == _STDOUT:
        stdout.show(lines)
        return 0
    _write(lines, arguments.output, path)
    if not arguments.quiet:
        display.message("info", f"wrote {counted(len(pinned), 'digest')} to {sanitize(arguments.output)}")
    return 0


def _is_replaceable(path: Path) -> bool:
    """Return whether a file is missing or empty, or `imgfetch digest` may have written it.

    It may not be an archive that the user meant to save, nor a list without digests, which may be the one that is read.
    """
    try:
        content = read_settings(path, _MAX_LOCK)
    except FileNotFoundError:
        return True
    except OSError:  # it is unreadable or too large
        return False
    return not content.strip() or lists.is_pinned(content) or _is_json(content)


def _is_json(content: bytes) -> bool:
    """Return whether a file is from ``--json``."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, list) and all(isinstance(each, dict) and "pinned" in each for each in found)


def _lines(pinned: Sequence[Reference], arguments: argparse.Namespace) -> Iterable[str]:
    if arguments.json:
        return [json.dumps([_as_json(*each) for each in zip(pinned, arguments.wished, strict=True)], indent=1)]
    if arguments.keep_tag:
        return map(_line, pinned, arguments.wished)
    return (str(replace(reference, tag=None)) for reference in pinned)


def _write(lines: Iterable[str], output: str, path: Path | None) -> None:
    """Replace a regular file atomically, or write to a pipe or a device."""
    with atomic_write(path, mode=_MODE, durable=True) if path else opened(output, None) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def _as_json(pinned: Reference, image: ImageRequest) -> dict[str, object]:
    return {
        "reference": str(image.reference),
        "digest": str(pinned.digest),
        "pinned": str(pinned),
        "platforms": list(map(str, image.platforms)),
        "name": str(image.name) if image.name else None,
    }


def _line(pinned: Reference, image: ImageRequest) -> str:
    """Return the line of a list for a later save, with the options that the image has in its list."""
    platforms = f" --platform {','.join(map(str, image.platforms))}" if image.platforms else ""
    return f"{pinned}{platforms}{f' --name {image.name}' if image.name else ''}"
