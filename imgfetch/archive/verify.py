"""Verification of an archive file: the tar's form, every digest, size and diff_id, and the expected names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from imgfetch.archive.contents import Archive, ArchivedImage, ArchivedLayer, without_digest
from imgfetch.archive.recognise import read_archive
from imgfetch.archive.scan import Scan, blob_digest, scan
from imgfetch.archive.writers import BY_CONTAINERD
from imgfetch.errors import ImgfetchError, InvalidReferenceError, UnsupportedError
from imgfetch.oci import config_demands, names
from imgfetch.oci.digest import Digest
from imgfetch.oci.names import References
from imgfetch.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of a verification.

    Attributes:
        kind: a description, such as ``an OCI image layout``.
        findings: sentences about errors.
        notes: sentences about harmless peculiarities.
    """

    kind: str
    images: tuple[ArchivedImage, ...]
    findings: tuple[str, ...]
    notes: tuple[str, ...]


def verify(path: Path | str, wanted: References = (), *, advanced: Callable[[int], None] | None = None) -> Verified:
    """Verify any tool's archive without network access and without extracting anything.

    Args:
        path: the file, which may be compressed as a whole.
        wanted: one or many names with digests that the archive must contain.
        advanced: called with the number of bytes read from the tar.

    Raises:
        InvalidReferenceError: a name is malformed, or has no digest.
        UnsupportedError: the file is not an image archive, or a layer needs too much memory.
        StorageError: the file cannot be read.
    """
    pinned = [_pinned(names.reference(each)) for each in names.one_or_many(wanted)]
    found = scan(Path(path), hashes=True, advanced=advanced)
    try:
        archive = read_archive(found)
    except ImgfetchError:
        faults = (*found.faults, *_damaged_blobs(found))
        if found.is_whole and not faults:
            raise
        return Verified("a damaged archive", (), faults, tuple(_known_causes(found, Archive())))
    other = {layer.diff_id.algorithm for image in archive.images for layer in image.layers} - {"sha256"}
    again = {name: scan(Path(path), hashes=True, diff_ids=name) for name in sorted(other)}
    findings = [*found.faults, *_damaged_blobs(found), *archive.faults, *_layers({"sha256": found, **again}, archive)]
    findings += [text for reference in pinned if (text := _missing(reference, archive))]
    unreadable = list(_unreadable(found, archive))
    if unreadable and not findings:
        raise UnsupportedError(unreadable[0], hint="other readers may load the image")
    findings += unreadable
    notes = [*archive.notes, *_left_out(archive), *_odd_configs(archive), *_odd_layers(found, archive)]
    notes += _known_causes(found, archive)
    return Verified(archive.kind, archive.images, tuple(dict.fromkeys(findings)), tuple(dict.fromkeys(notes)))


def _pinned(reference: Reference) -> Reference:
    if reference.digest is None:
        raise InvalidReferenceError(
            f"{reference} has no digest", hint="write NAME@DIGEST, as imgfetch digest prints it"
        )
    return reference


def _damaged_blobs(found: Scan) -> Iterator[str]:
    for name, member in found.members.items():
        if member.digest and blob_digest(name) not in (None, member.digest):
            yield f"{name} is damaged: it hashes to {member.digest.encoded}"


def _known_causes(found: Scan, archive: Archive) -> Iterator[str]:
    """Yield a note for each program that is known to write such an incomplete archive and to report success."""
    if not found.is_whole and next(iter(found.members), "").startswith("blobs"):
        yield "if ctr images export of containerd 2.1 wrote this file: it may stop early; export again with --local"
    if archive.kind == BY_CONTAINERD and any("is not in the archive" in fault for fault in archive.faults):
        yield (
            "if docker 28 with its containerd image store wrote this file: it leaves out what images share; save the "
            "image with imgfetch, or remove all images from docker, pull this one again, and save it"
        )


def _layers(found: Mapping[str, Scan], archive: Archive) -> Iterator[str]:
    """Yield a finding for each layer that differs from its config; ``found`` has a scan for each hash algorithm."""
    seen: dict[str, Digest] = {}
    for image in archive.images:
        for number, layer in enumerate(image.layers, 1):
            if layer.is_absent or seen.get(layer.member) == layer.diff_id:
                continue
            seen[layer.member] = layer.diff_id
            fault = _fault(found[layer.diff_id.algorithm], layer)
            if fault:
                yield f"layer {number}/{len(image.layers)} of {_name(image)} ({layer.member}) {fault}"


def _unreadable(found: Scan, archive: Archive) -> Iterator[str]:
    for image in archive.images:
        for number, layer in enumerate(image.layers, 1):
            member = found.get(layer.member)
            if member and member.is_unreadable:
                yield f"cannot verify layer {number}/{len(image.layers)} of {_name(image)}: {member.failure}"


def _odd_layers(found: Scan, archive: Archive) -> Iterator[str]:
    """Yield a note for each peculiarity of a layer that some readers refuse."""
    for image in archive.images:
        for number, layer in enumerate(image.layers, 1):
            member = found.get(layer.member)
            if member and member.contents:
                media_types = {layer.media_type} if layer.digest else ()
                for warning in member.contents.warnings(media_types):
                    yield f"layer {number}/{len(image.layers)} of {_name(image)} ({layer.member}): {warning}"


def _fault(found: Scan, layer: ArchivedLayer) -> str:
    member = found.get(layer.member)
    if member is None or member.is_unreadable:
        return ""
    if member.failure:
        return f"cannot be loaded: {member.failure}"
    if member.contents is None:
        return "is a JSON document, not a layer"
    if member.contents.diff_id != layer.diff_id:
        return f"does not match the config: expected diff_id {layer.diff_id}, got {member.contents.diff_id}"
    return f"is refused by some readers: {member.contents.oddity}" if member.contents.oddity else ""


def _missing(wanted: Reference, archive: Archive) -> str:
    """Return a finding if a pinned name is not in the archive, or may be another image's, or else an empty text."""
    held = [image for image in archive.images if wanted.digest in image.digests]
    if not held:
        hint = (
            "a multi-platform index's digest is present only in archives saved by that digest; "
            "for the digest of one platform's image, run imgfetch digest --platform"
        )
        return f"{wanted} is not in the archive: no image has that digest ({hint})"
    names = {name for image in held for name in image.names}
    has_name = f"{wanted.name}:{wanted.tag}" in names if wanted.tag else wanted.name in map(_repository, names)
    if not has_name:
        return f"{wanted} is in the archive only as {', '.join(sorted(names)) or 'an unnamed image'}"
    for choice in archive.choices:
        is_named = choice.name in names or without_digest(choice.name) in names
        if is_named and not choice.is_only(wanted.digest):
            return (
                f"{choice.name} is an index with other content than {wanted.digest}, from which readers choose by "
                f"platform; verify the digest of the index, {choice.target}"
            )
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
                f"{_name(image)} leaves out {len(absent)} of {len(image.layers)} layers, which the target host must "
                f"have from {image.base or 'an unnamed base'}: {', '.join(str(layer.digest) for layer in absent)}"
            )


def _odd_configs(archive: Archive) -> Iterator[str]:
    for image in archive.images:
        yield from config_demands.warnings(image.config, f"the config of {_name(image)}")


def _name(image: ArchivedImage) -> str:
    return ", ".join(image.names) or str(image.config_digest)
