"""`imgfetch apply`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from imgfetch.archive.compressed import is_compressed_name
from imgfetch.archive.streams import name_of
from imgfetch.cli import context, stdout
from imgfetch.cli.display import Display
from imgfetch.cli.options import usage
from imgfetch.patch.base import opened_base
from imgfetch.patch.file import opened_patch
from imgfetch.patch.operations import apply_patch
from imgfetch.text import format_size, sanitize


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Make a new archive from old layers and patches."""
    patches, base = arguments.patches, getattr(arguments, "from")
    _check(arguments, base)
    if arguments.dry_run:
        stdout.show(_foreseen(list(map(Path, patches)), list(map(Path, base))))
        return 0
    output = context.output(arguments)
    with display.reading(name_of(patches[-1]), None) as advanced:
        found = apply_patch(patches, base, output, arguments.expect, advanced=advanced)
    display.close()
    where = f" in {sanitize(output)}" if isinstance(output, str) else ""
    for image in found.images if not arguments.quiet else ():
        name = ", ".join(image.names) or str(image.config_digest)
        display.message("info", f"made {sanitize(f'{name} {image.config.platform}')}{where}, {format_size(image.size)}")
    return 0


def _check(arguments: argparse.Namespace, base: list[str]) -> None:
    """Report usage errors."""
    if not base:
        usage(arguments, "--from is missing: name the archive with the old image, or a directory with it")
    if arguments.dry_run and arguments.expect:
        usage(arguments, "--dry-run makes no archive, and cannot be combined with --expect")
    if unknown := next((each for each in arguments.expect if isinstance(each, str)), ""):
        usage(arguments, f"--expect {sanitize(unknown)}: this is a file, not an image")
    context.check_stdin(arguments)
    if is_compressed_name(arguments.output):
        shown = sanitize(arguments.output)
        usage(arguments, f"-o {shown} names a compressed file, but imgfetch apply does not compress; name it NEW.tar")


def _foreseen(patches: list[Path], base: list[Path]) -> Iterator[str]:
    """Verify the patches, and the old layers of the first; yield the images and the size of the last one's archive."""
    with ExitStack() as stack:
        opened = [stack.enter_context(opened_patch(path)) for path in patches]
        with opened_base(opened[0], base):
            pass
        for patch in opened:
            patch.verify()
        head = opened[-1].head
    for image in head.images:
        yield sanitize(f"{', '.join(image.names) or image.image_id} {image.platform}")
    yield f"archive: {format_size(head.size)}"
