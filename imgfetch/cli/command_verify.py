"""`imgfetch verify`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence

from imgfetch.archive.contents import ArchivedImage
from imgfetch.archive.source import name_of
from imgfetch.archive.streams import size_of
from imgfetch.archive.verify import Verified, verify
from imgfetch.archive.wanted import Answer
from imgfetch.cli import context, lists, stdout
from imgfetch.cli.display import Display
from imgfetch.cli.options import usage
from imgfetch.text import format_kinds, format_size, sanitize

_BROKEN = 6
_MAX_LINE = 2000
_MAX_LINES = 20
"""Findings, or notes, that are printed one by one."""


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Verify an archive, and print a line for each finding, or for each image if there is none."""
    context.check_stdin(arguments)
    wanted = [*arguments.wanted, *lists.read_wanted(arguments.images)]
    if not wanted and (arguments.images or arguments.platform):
        usage(arguments, "no image given; name one after FILE, or in a list with --images LIST")
    path = arguments.file
    with display.reading(name_of(path), size_of(path)) as advanced:
        verified = verify(path, wanted, platform=arguments.platform, advanced=advanced)
    display.close()
    if arguments.json:
        stdout.show([json.dumps(_as_json(verified), indent=1)])
    else:
        stdout.show([sanitize(line, _MAX_LINE) for line in _lines(verified)])
    return _BROKEN if verified.findings else 0


def _lines(verified: Verified) -> Iterator[str]:
    if verified.is_cut_short:
        more = len(verified.findings) - 1
        follow = "1 more finding may follow from it" if more == 1 else f"{more} more findings may follow from it"
        yield verified.findings[0] + (f" ({follow}; --json prints all)" if more else "")
    elif verified.findings:
        yield from _shortened(verified.findings, "finding")
    else:
        yield from _images(verified)
    if verified.others and not verified.findings:
        yield f"also contains {format_kinds(verified.others)}"
    yield from (f"note: {note}" for note in _shortened(verified.notes, "note"))


def _shortened(sentences: Sequence[str], noun: str) -> Iterator[str]:
    yield from sentences[:_MAX_LINES]
    more = len(sentences) - _MAX_LINES
    if more > 0:
        yield f"and {more} more {noun}{'' if more == 1 else 's'}; --json prints all"


def _images(verified: Verified) -> Iterator[str]:
    """Yield a line for each image that is wanted, or else for each in the archive."""
    if not verified.answers:
        yield from (_image(", ".join(image.names) or "an image without a name", image) for image in verified.images)
        return
    for answer in verified.answers:
        for image in answer.images:
            names = f" ({', '.join(image.names) or 'without a name'})" if answer.wanted.reference is None else ""
            yield _image(f"{answer.wanted}{names}", image)
    others = len(
        {image.content for image in verified.images}
        - {image.content for answer in verified.answers for image in answer.images}
    )
    if others:
        yield f"also contains {others} other image{'' if others == 1 else 's'}"


def _image(name: str, image: ArchivedImage) -> str:
    digest = str(image.manifest.descriptor.digest) if image.manifest else f"(image ID {image.config_digest})"
    shown = name if digest in name.removesuffix(f"@{digest}") else f"{name.removesuffix(f'@{digest}')} {digest}"
    count = f"{len(image.layers)} layer{'' if len(image.layers) == 1 else 's'}"
    return f"ok: {shown} {image.config.platform}, {count}, {format_size(image.size)}"


def _as_json(verified: Verified) -> dict[str, object]:
    return {
        "kind": verified.kind,
        "ok": not verified.findings,
        "findings": list(verified.findings),
        "cut_short": verified.is_cut_short,
        "notes": list(verified.notes),
        "wanted": [_answer_as_json(answer) for answer in verified.answers],
        "others": list(verified.others),
        "images": [
            {
                "names": list(image.names),
                "digest": str(image.manifest.descriptor.digest) if image.manifest else None,
                "index": str(image.indexes[-1]) if image.indexes else None,
                "image_id": str(image.config_digest),
                "platform": str(image.config.platform),
                "size": image.size,
                "layers": [
                    {
                        "diff_id": str(layer.diff_id),
                        "digest": str(layer.digest) if layer.digest else None,
                        "member": layer.member,
                        "size": layer.size,
                        "absent": layer.is_absent,
                    }
                    for layer in image.layers
                ],
            }
            for image in verified.images
        ],
    }


def _answer_as_json(answer: Answer) -> dict[str, object]:
    return {
        "name": str(answer.wanted),
        "found": not answer.finding,
        "image_ids": [str(image.config_digest) for image in answer.images],
    }
