"""`imgfetch verify`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from imgfetch.archive.contents import ArchivedImage
from imgfetch.archive.streams import name_of, size_of
from imgfetch.archive.verify import Verified, verify
from imgfetch.archive.wanted import Answer
from imgfetch.cli import attached, context, lists, parse, patches, stdout
from imgfetch.cli.display import Display
from imgfetch.cli.options import usage
from imgfetch.errors import VerificationError
from imgfetch.patch.container import PatchReader
from imgfetch.patch.file import patch_or_archive
from imgfetch.text import counted, format_kinds, format_size, quoted, sanitize

_BROKEN = 6
_MAX_LINE = 2000
_MAX_LINES = 20
"""Findings, or notes, that are printed one by one."""
_AGAIN = "copy or download the file again"


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Verify an archive, and print a line for each image."""
    context.check_stdin(arguments)
    if file := next((each for each in arguments.wanted if isinstance(each, str)), ""):
        forgotten = parse.is_archive(file) and not parse.is_archive(arguments.file)
        advice = f"did you mean -i {quoted(arguments.file)}?" if forgotten else "verify one archive at a time"
        usage(arguments, f"{quoted(file)} is a file, not an image; {advice}")
    wanted = [*arguments.wanted, *lists.read_wanted(arguments.images)]
    if not wanted and (arguments.images or arguments.platform):
        usage(arguments, "no image given; name one after FILE, or in a list with --images LIST")
    name = name_of(arguments.file)
    with patch_or_archive(Path(arguments.file)) as source:
        if isinstance(source, PatchReader):
            return _verify_patch(source, arguments, display, wanted)
        policy = context.policy(arguments)
        with display.reading(name, size_of(arguments.file)) as advanced:
            verified = verify(source, wanted, platform=arguments.platform, policy=policy, advanced=advanced)
    display.close()
    if arguments.json:
        stdout.show([json.dumps(_as_json(verified), indent=1)])
        return _BROKEN if verified.findings else 0
    if verified.findings:
        raise _failure(verified, name)
    if not arguments.quiet:
        stdout.show([sanitize(f"{name}: {line}", _MAX_LINE) for line in _lines(verified)])
    return 0


def _verify_patch(patch: PatchReader, arguments: argparse.Namespace, display: Display, wanted: Sequence[object]) -> int:
    """Verify that a patch is undamaged."""
    name, head = patch.name, patch.head
    if wanted:
        given = "-" if name == "stdin" else name
        usage(arguments, f"{name} is a patch; to require an image, use imgfetch apply {given} --expect NAME")
    if context.policy(arguments):
        usage(arguments, f"{name} is a patch, which has no signatures; apply it, and verify the archive that it makes")
    with display.reading(name, size_of(arguments.file)) as advanced:
        patch.verify(advanced)
    display.close()
    if arguments.json:
        stdout.show([json.dumps(patches.as_json(head), indent=1)])
    elif not arguments.quiet:
        stdout.show(f"{name}: ok: a patch that makes {patches.described(image)}" for image in head.images)
    return 0


def _failure(verified: Verified, name: str) -> VerificationError:
    """Return the findings as an error."""
    findings, more = verified.findings, len(verified.findings) - 1
    message, details = _named(findings[0], name), list[str]()
    if verified.is_cut_short:
        follow = "1 more finding may follow from it" if more == 1 else f"{more} more findings may follow from it"
        message += f" ({follow}; --json prints all)" if more else ""
    elif more:
        message, details = f"{name}: {len(findings)} findings", [*_shortened(findings, "finding")]
    details += (f"note: {note}" for note in _shortened(verified.notes, "note"))
    return VerificationError(
        message, details=tuple(details), hint=_AGAIN if verified.is_damaged and not verified.is_cut_short else None
    )


def _named(finding: str, name: str) -> str:
    return finding if finding.startswith(f"{name} ") else f"{name}: {finding}"


def _lines(verified: Verified) -> Iterator[str]:
    yield from _images(verified)
    yield from (f"signed by {signer}" for signer in verified.signers)
    named = [(image, ", ".join(image.names)) for image in verified.images if image.names]
    names = {digest: f"the index of {name}" for image, name in named for digest in image.indexes}
    names |= {image.manifest.descriptor.digest: name for image, name in named if image.manifest}
    yield from (f"also contains {each}" for each in attached.grouped(verified.referrers, names))
    if unverified := attached.unverified(verified.referrers, has_policy=bool(verified.signers)):
        yield unverified
    if verified.others:
        yield f"also contains {format_kinds(verified.others)}"
    yield from (f"note: {note}" for note in _shortened(verified.notes, "note"))


def _shortened(sentences: Sequence[str], noun: str) -> Iterator[str]:
    yield from sentences[:_MAX_LINES]
    more = len(sentences) - _MAX_LINES
    if more > 0:
        yield f"and {counted(more, f'more {noun}')}; --json prints all"


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
        yield f"also contains {counted(others, 'other image')}"


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
        "others": [*verified.others, *(each.title for each in verified.referrers)],
        "referrers": attached.as_json(verified.referrers),
        "signed_by": list(verified.signers) if not verified.findings else [],
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
