"""Proof of a result's origin: the registry's manifests and indexes, which a patch carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from imgfetch.archive.verify import Verified
from imgfetch.archive.wanted import Wanted
from imgfetch.errors import VerificationError
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Index, Manifest, parse_document
from imgfetch.text import format_some
from imgfetch.tolerance import Tolerance

_MAX_DEPTH = 3
_MAX_SHOWN = 3
_LOST = (
    "a patch from an archive with decompressed layers lacks the registry's digests: make it with imgfetch save "
    "--patch-from, or from an archive without --layers plain"
)


class Origins:
    """The images that lie under each digest of the registry."""

    def __init__(self, documents: Iterable[bytes]) -> None:
        """Hash the documents."""
        self._documents: Mapping[Digest, bytes] = {Digest.of(raw): raw for raw in documents}

    def in_the_result(self, wanted: Wanted) -> Wanted | None:
        """Return the name or digest by which the result has an image, whose manifest has another digest there.

        It is ``None`` for a digest of the registry under any name.
        """
        if wanted.digest not in self._documents:
            return wanted
        return Wanted(replace(wanted.reference, digest=None), None, wanted.platforms) if wanted.reference else None

    def check(self, wanted: Wanted, result: Verified) -> str:
        """Return a finding if the result does not have the image that is wanted, or else an empty text."""
        own = self.in_the_result(wanted)
        answer = next((each for each in result.answers if each.wanted == own), None)
        if wanted.digest is None or wanted.digest not in self._documents or (answer and answer.finding):
            finding = answer.finding if answer else f"{wanted} was not looked for"
            return self._other_digest(wanted, finding, result) if finding and _is_named(wanted, result) else finding
        known = self._image_ids(wanted.digest)
        has = [image.config_digest in known for image in (answer.images if answer else result.images)]
        return "" if has and (all(has) if answer else any(has)) else f"{wanted} is another image than the patch makes"

    def _other_digest(self, wanted: Wanted, finding: str, result: Verified) -> str:
        """Return the finding about an image that has the name but not the digest."""
        own = dict.fromkeys(digest for image in result.images for digest in image.digests)
        if wanted.reference and self._documents:
            there = format_some(list(map(str, self._documents)), _MAX_SHOWN)
            finding = f"{wanted} is not in the archive, whose images have the digests {there}"
        return finding if self._documents.keys() - own.keys() else f"{finding}; {_LOST}"

    def _image_ids(self, digest: Digest) -> set[Digest]:
        """Return the image IDs below a manifest or an index, each of which is read once."""
        found, level = set[Digest](), {digest}
        for _ in range(_MAX_DEPTH + 1):
            documents = [self._parsed(each) for each in level if each in self._documents]
            found |= {each.config.digest for each in documents if not isinstance(each, Index)}
            level = {child.digest for each in documents if isinstance(each, Index) for child in each.manifests}
        return found

    def _parsed(self, digest: Digest) -> Manifest | Index:
        raw, what = self._documents[digest], f"the manifest {digest}"
        return parse_document(Document(raw), Descriptor("", digest, len(raw)), what, Tolerance(), pinned=True)


def _is_named(wanted: Wanted, result: Verified) -> bool:
    """Return whether only the digest of an image is in question: its name, if it has one, is in the result."""
    if wanted.digest is None or wanted.reference is None:
        return wanted.digest is not None
    name, tag = wanted.reference.name, wanted.reference.tag
    names = [each for image in result.images for each in image.names]
    return f"{name}:{tag}" in names if tag else any(each.startswith(f"{name}:") for each in names)


def require(wanted: Iterable[Wanted], origins: Origins, result: Verified, name: str) -> None:
    """Require that a result has the images that are wanted.

    Raises:
        VerificationError: it does not.
    """
    for each in wanted:
        if finding := origins.check(each, result):
            raise VerificationError(f"{name}: {finding}", hint="do not load the image, which may be another one")
