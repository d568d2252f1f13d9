"""Whether an archive file is whole: the tar's form, every digest, size and diff_id, and what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from imgfetch.archive.contents import Archive, ArchivedImage, ArchivedLayer
from imgfetch.archive.recognise import read_archive
from imgfetch.archive.scan import Scan, blob_digest, scan
from imgfetch.errors import ImgfetchError, InvalidReferenceError
from imgfetch.oci import names
from imgfetch.oci.digest import Digest
from imgfetch.oci.names import References
from imgfetch.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found out about an archive.

    Attributes:
        kind: what it is, in words.
        images: what it holds.
        findings: what is wrong with it, a sentence each.
        notes: what is worth knowing and not wrong.
    """

    kind: str
    images: tuple[ArchivedImage, ...]
    findings: tuple[str, ...]
    notes: tuple[str, ...]


def verify(path: Path | str, wanted: References = (), *, advanced: Callable[[int], None] | None = None) -> Verified:
    """Check an archive without a network, ours or another tool's; nothing of it is written anywhere.

    Args:
        path: the file, which may be compressed as a whole.
        wanted: one or many names with digests that the archive should contain; none checks no name.
        advanced: told of the bytes that were passed.

    Raises:
        InvalidReferenceError: a name is malformed, or has no digest.
        VerificationError: it is no tar at all.
        UnsupportedError: it is a tar, but holds no images.
        StorageError: it cannot be read.
    """
    pinned = [_pinned(names.reference(each)) for each in names.one_or_many(wanted)]
    found = scan(Path(path), hashes=True, advanced=advanced)
    try:
        archive = read_archive(found)
    except ImgfetchError:
        if found.is_whole and not found.faults:
            raise
        return Verified("a damaged archive", (), tuple(found.faults), ())
    other = {layer.diff_id.algorithm for image in archive.images for layer in image.layers} - {"sha256"}
    again = {name: scan(Path(path), hashes=True, diff_ids=name) for name in sorted(other)}
    findings = [*found.faults, *_damaged_blobs(found), *archive.faults, *_layers({"sha256": found, **again}, archive)]
    findings += [text for reference in pinned if (text := _missing(reference, archive.images))]
    notes = [*archive.notes, *_left_out(archive)]
    return Verified(archive.kind, tuple(archive.images), tuple(dict.fromkeys(findings)), tuple(dict.fromkeys(notes)))


def _pinned(reference: Reference) -> Reference:
    if reference.digest is None:
        raise InvalidReferenceError(
            f"{reference} has no digest", hint="write NAME@DIGEST, as imgfetch digest prints it"
        )
    return reference


def _damaged_blobs(found: Scan) -> Iterator[str]:
    """Yield what is not what its name says."""
    for name, member in found.members.items():
        if member.digest and blob_digest(name) not in (None, member.digest):
            yield f"{name} is damaged: it hashes to {member.digest.encoded}"


def _layers(found: Mapping[str, Scan], archive: Archive) -> Iterator[str]:
    """Yield layers that are not what the configs say when they are decompressed.

    Args:
        found: the archive's members with the diff_ids of one algorithm, by its name.
        archive: what they are.
    """
    seen: dict[str, Digest] = {}
    for image in archive.images:
        for number, layer in enumerate(image.layers, 1):
            if layer.is_absent or seen.get(layer.member) == layer.diff_id:
                continue
            seen[layer.member] = layer.diff_id
            fault = _fault(found[layer.diff_id.algorithm], layer)
            if fault:
                yield f"layer {number} of {len(image.layers)} of {_name(image)} ({layer.member}) {fault}"


def _fault(found: Scan, layer: ArchivedLayer) -> str:
    member = found.get(layer.member)
    if member is None or (member.entry.size == 0 and member.contents is None and not member.failure):
        return ""
    if member.failure:
        return f"cannot be decompressed: {member.failure}"
    if member.contents is None:
        return "is a document and no layer"
    if member.contents.diff_id != layer.diff_id:
        return f"is not what the config promises: expected diff_id {layer.diff_id}, got {member.contents.diff_id}"
    return ""


def _missing(wanted: Reference, images: Iterable[ArchivedImage]) -> str:
    """Say that something is not there, if it is not."""
    held = [image for image in images if wanted.digest in image.digests]
    if not held:
        hint = "an index's is in archives that were saved by it; imgfetch digest --platform tells an image's own"
        return f"{wanted} is not in the archive: no image has that digest ({hint})"
    names = {name for image in held for name in image.names}
    has_name = f"{wanted.name}:{wanted.tag}" in names if wanted.tag else wanted.name in map(_repository, names)
    if not has_name:
        return f"{wanted} is not in the archive under that name, but as {', '.join(sorted(names)) or 'no name'}"
    return ""


def _repository(name: str) -> str:
    try:
        return Reference.parse(name).name
    except InvalidReferenceError:
        return name


def _left_out(archive: Archive) -> Iterator[str]:
    for image in archive.images:
        absent = [layer for layer in image.layers if layer.is_absent and layer.is_left_out]
        if absent:
            yield (
                f"{_name(image)} leaves out {len(absent)} of {len(image.layers)} layers, which the host must have from "
                f"{image.base or 'a base that it does not name'}: {', '.join(str(layer.digest) for layer in absent)}"
            )


def _name(image: ArchivedImage) -> str:
    return ", ".join(image.names) or str(image.config_digest)
