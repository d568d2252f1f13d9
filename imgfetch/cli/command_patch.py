"""`imgfetch patch`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from imgfetch.archive.output import regular
from imgfetch.cli import context, stdout
from imgfetch.cli.board import format_blobs
from imgfetch.cli.display import Display
from imgfetch.cli.forecast import estimated, old_archive
from imgfetch.cli.options import usage
from imgfetch.patch.foreseen import PatchForecast, foreseen
from imgfetch.patch.operations import make_patch
from imgfetch.text import format_size, sanitize


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Make a patch from two archives."""
    context.check_stdin(arguments)
    for archive in (arguments.old, arguments.new):
        context.refuse_to_replace(archive, arguments)
    context.refuse_archive_name(arguments, "imgfetch patch")
    if arguments.dry_run:
        if arguments.raw:
            usage(arguments, "--dry-run cannot be combined with --raw")
        stdout.show(_lines(foreseen(Path(arguments.old), Path(arguments.new))))
        return 0
    output = context.output(arguments)
    path = regular(output)
    with display.reading(path.name if path else "the patch", None) as advanced:
        size = make_patch(arguments.old, arguments.new, output, raw=arguments.raw, advanced=advanced)
    display.close()
    if not arguments.quiet and path:
        display.message(
            "info",
            f"wrote {sanitize(str(path))}: {format_size(path.stat().st_size)}, for an archive of {format_size(size)}",
        )
    return 0


def _lines(found: PatchForecast) -> Iterator[str]:
    """Yield a line for each image with its layers below it, and then the sizes."""
    yield old_archive(found.old_images)
    for names, platform, layers in found.images:
        size = sum(layer.size for layer in layers)
        yield sanitize(f"{', '.join(names)} {platform}: {format_blobs(len(layers))}, {format_size(size)}")
        for layer in layers:
            yield f"  {'old' if layer.is_old else 'new'}  {layer.diff_id}  {format_size(layer.size):>7}"
    known = format_size(found.size) if found.size is not None else "depends on the content of the layers"
    yield f"size of the archive: {known}"
    yield f"estimated size of the patch: {estimated(found.new)}"
