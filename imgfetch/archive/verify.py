"""Verification of an archive file: the tar's form, every digest, size and diff_id, and the expected names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO, NamedTuple

from imgfetch.archive.contents import Archive, ArchivedImage, ArchivedLayer
from imgfetch.archive.recognise import is_damaged, read_archive
from imgfetch.archive.scan import Scan, blob_digest, scan
from imgfetch.archive.signed import unsigned
from imgfetch.archive.source import can_be_read_again
from imgfetch.archive.streams import Advanced, Source, Spool, name_of
from imgfetch.archive.wanted import Answer, Finder, Wanted, Wish
from imgfetch.archive.writers import BY_CONTAINERD
from imgfetch.errors import UnsupportedError, VerificationError
from imgfetch.oci import config_demands, names
from imgfetch.oci.digest import Digest
from imgfetch.oci.names import Platforms, one_or_many
from imgfetch.oci.policy import SignaturePolicy
from imgfetch.oci.referrers import Referrer
from imgfetch.text import format_some

_MAX_SENTENCES = 1000
"""Maximum findings, or notes."""
_MAX_NAMES, _MAX_DIGESTS = 5, 20
"""Names of an image, and digests, that a sentence lists at most."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of a verification.

    Attributes:
        kind: a description, such as ``an OCI image layout``.
        findings: sentences about errors.
        notes: sentences about harmless peculiarities.
        answers: the images that were wanted.
        others: other content than images and referrers, such as ``an attestation`` in an index.
        referrers: signatures and the like, whose signers are not verified without a policy.
        signers: the names of the policy's keys and identities, which have signed unless there are findings.
        is_cut_short: whether the file ends early, which is then the first finding and may be the cause of the others.
        is_damaged: whether some content is not that of its digest, as after a faulty copy.
    """

    kind: str
    images: tuple[ArchivedImage, ...]
    findings: tuple[str, ...]
    notes: tuple[str, ...]
    answers: tuple[Answer, ...] = ()
    others: tuple[str, ...] = ()
    referrers: tuple[Referrer, ...] = ()
    signers: tuple[str, ...] = ()
    is_cut_short: bool = False
    is_damaged: bool = False


class Examined(NamedTuple):
    """A verified archive with its members and contents, of which a damaged one may have none."""

    verified: Verified
    scan: Scan
    archive: Archive


def verify(
    source: Source,
    wanted: Wish | Iterable[Wish] = (),
    *,
    platform: Platforms | None = None,
    policy: SignaturePolicy | None = None,
    advanced: Advanced | None = None,
) -> Verified:
    """Verify any tool's archive without network access and without extracting anything.

    Args:
        source: a path or an open file, compressed or not, such as a pipe; or the path of an OCI image layout.
        wanted: one or many images that the archive must contain: ``NAME:TAG``, ``NAME@DIGEST``, or a digest alone.
        platform: one or many platforms for which it must contain them.
        policy: the keys and identities that must have signed the images that are wanted, or else all; see
            `imgfetch.load_policy`.
        advanced: called with numbers of bytes that have been read.

    Raises:
        InvalidReferenceError: a name is malformed.
        InvalidPlatformError: a platform is malformed.
        UnsupportedError: the file is not an image archive, or a layer needs too much memory.
        VerificationError: the file is compressed and damaged at its beginning, or it changed while it was read.
        StorageError: the file cannot be read.
    """
    return examine(source, wanted, platform=platform, policy=policy, advanced=advanced).verified


def examine(
    source: Source,
    wanted: Wish | Iterable[Wish] = (),
    *,
    platform: Platforms | None = None,
    policy: SignaturePolicy | None = None,
    advanced: Advanced | None = None,
    again: Callable[[], BinaryIO] | None = None,
    copy: Spool | None = None,
) -> Examined:
    """Verify an archive as `verify` does, and return its contents too.

    ``again`` opens the same archive, if the source can be read only once, for diff_ids by another hash algorithm.
    ``copy`` is that of `scan`.
    """
    wishes: tuple[Wish, ...] = one_or_many(wanted)
    several = dict.fromkeys(map(Wanted.parse, wishes))
    platforms = names.platforms(platform)
    found = scan(source, hashes=True, advanced=advanced, copy=copy)
    try:
        archive = read_archive(found)
    except VerificationError as error:
        return Examined(_damaged(found, str(error)), found, Archive())
    except UnsupportedError:
        if not is_damaged(found) and not any(_damaged_blobs(found)):
            raise
        return Examined(_damaged(found), found, Archive())
    scans = {"sha256": found, **dict(_scanned_again(source, found, archive, again))}
    answers = tuple(map(Finder(archive, platforms).answer, several))
    faults = chain(found.faults, _damaged_blobs(found), archive.faults, _layers(scans, archive))
    images = [image for answer in answers for image in answer.images] if answers else None
    unproved = unsigned(policy, found, archive, images) if policy else ()
    findings = _ordered(found, chain(faults, (each.finding for each in answers if each.finding), unproved))
    unreadable = _limited(_unreadable(found, archive))
    if unreadable and not findings:
        raise UnsupportedError(unreadable[0], hint="other readers may load the image")
    notes = chain(archive.notes, _left_out(archive), _odd_configs(archive), _odd_layers(found, archive))
    verified = Verified(
        archive.kind,
        archive.images,
        _limited(chain(findings, unreadable)),
        _limited(chain(notes, _known_causes(found, archive))),
        answers,
        archive.others,
        archive.referrers,
        policy.names if policy else (),
        is_cut_short=bool(found.cut_short),
        is_damaged=bool(findings) and any(chain(_damaged_blobs(found), _layers(scans, archive))),
    )
    return Examined(verified, found, archive)


def _scanned_again(
    source: Source, found: Scan, archive: Archive, again: Callable[[], BinaryIO] | None
) -> Iterator[tuple[str, Scan]]:
    """Yield a scan for each other hash algorithm of diff_ids; the file must not have changed since the one before."""
    other = {layer.diff_id.algorithm for image in archive.images for layer in image.layers} - {"sha256"}
    if other and not again and not can_be_read_again(source):
        raise UnsupportedError(
            f"{name_of(source)} has diff_ids in {min(other)}, for which it must be read twice",
            hint="name a file instead of a pipe",
        )
    for algorithm in sorted(other):
        second = scan(again() if again else source, hashes=True, diff_ids=algorithm)
        if _digests(second) != _digests(found):
            raise VerificationError(f"{found.name} was changed while it was read", hint="run the command again")
        yield algorithm, second


def _digests(found: Scan) -> dict[str, Digest | None]:
    return {name: member.digest for name, member in found.members.items()}


def _damaged(found: Scan, finding: str = "") -> Verified:
    """Return the result for an archive whose contents cannot be read."""
    findings = _ordered(found, [*found.faults, *_damaged_blobs(found), *filter(None, [finding])])
    causes = tuple(_known_causes(found, Archive()))
    return Verified(
        "a damaged archive",
        (),
        findings,
        causes,
        is_cut_short=bool(found.cut_short),
        is_damaged=any(_damaged_blobs(found)),
    )


def _ordered(found: Scan, findings: Iterable[str]) -> tuple[str, ...]:
    """Return each finding once, and first that the file ends early."""
    return _limited(chain(filter(None, [found.cut_short]), findings))


def _limited(sentences: Iterable[str]) -> tuple[str, ...]:
    """Return each sentence once, and no more than `_MAX_SENTENCES`."""
    found: dict[str, None] = {}
    for sentence in sentences:
        if len(found) == _MAX_SENTENCES:
            found["there are more, which are not listed"] = None
            break
        found[sentence] = None
    return tuple(found)


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


def _left_out(archive: Archive) -> Iterator[str]:
    for image in archive.images:
        absent = [layer for layer in image.layers if layer.is_absent and layer.is_left_out]
        digests = [str(layer.digest) for layer in absent]
        if absent:
            yield (
                f"{_name(image)} leaves out {len(absent)} of {len(image.layers)} layers, which the target host must "
                f"have from {image.base or 'an unnamed base'}: {format_some(digests, _MAX_DIGESTS)}"
            )


def _odd_configs(archive: Archive) -> Iterator[str]:
    """Yield a note for each group of readers that refuse a config, which is examined once for all its images."""
    together: dict[tuple[bytes, str], list[ArchivedImage]] = {}
    for image in archive.images:
        together.setdefault((image.raw_config, image.config.media_type), []).append(image)
    for images in together.values():
        yield from config_demands.warnings(images[0].config, images[0].raw_config, f"the config of {_name(*images)}")


def _name(*images: ArchivedImage) -> str:
    """Return the names of images with one config."""
    found = sorted({name for image in images for name in image.names})
    return format_some(found, _MAX_NAMES) or str(images[0].config_digest)
