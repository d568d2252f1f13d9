"""The search for signatures, attestations and other referrers of images at their registry.

It looks for the tags of cosign, and in the registry's list of referrers: with the referrers API, or at a registry
without it under the tag of the list.  Whatever is found is searched for in the same way, because attestations are
signed, too.  Only a 404 means that there is nothing (docs/registries.md#referrers).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain

from imgfetch.errors import NotFoundError, UnsupportedError, VerificationError
from imgfetch.oci import mediatypes
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import parse_document
from imgfetch.oci.reference import Reference
from imgfetch.oci.referrers import (
    ARTIFACT,
    ATTESTATION,
    SIGNATURE,
    Attached,
    Referrer,
    cosign_tags,
    list_tag,
    may_be_signed_content,
    tagged,
)
from imgfetch.pull.resolve import Resolver
from imgfetch.registry.mirrored import Referring
from imgfetch.registry.optional import OnlyMirrorsError
from imgfetch.registry.referrers import parse_list
from imgfetch.tolerance import Tolerance

MAX_REFERRERS = 1000
"""The most referrers of an image and its indexes, with those of the referrers."""
MAX_BYTES = 1024**3
"""The most bytes of these."""
MAX_MANIFEST_BYTES = 16 * 1024**2
"""The most bytes of their manifests, which are in memory during the search."""
MAX_DEPTH = 3
"""The most levels of referrers of referrers."""

_logger = logging.getLogger(__name__)


def find(
    resolver: Resolver, reference: Reference, subjects: Iterable[Digest], *, everything: bool = False
) -> tuple[Referrer, ...]:
    """Return what a repository has about manifests and indexes, and store the manifests; the blobs come later.

    Args:
        resolver: its source is asked.
        reference: the repository.
        subjects: the digests of images and indexes.
        everything: all referrers, not only signatures and attestations.

    Raises:
        VerificationError: a document is malformed or is about something else, or there are too many.
        ImgfetchError: an error of the registry or the store.
    """
    search = _Search(resolver, replace(reference, digest=None), everything=everything)
    for subject in subjects:
        search.add(subject)
    return tuple(search.found.values())


class _Search:
    def __init__(self, resolver: Resolver, reference: Reference, *, everything: bool) -> None:
        self._resolver = resolver
        self._reference = reference
        self._everything = everything
        self._bytes = self._manifests = 0
        self.found: dict[Digest, Referrer] = {}

    def add(self, subject: Digest, depth: int = 1) -> None:
        """Find what is about a manifest, and what is about that."""
        for referrer in chain(self._tagged(subject), self._listed(subject)):
            digest = referrer.descriptor.digest
            if digest in self.found:
                continue
            if depth > MAX_DEPTH:
                raise VerificationError(
                    f"the signatures of {self._reference.name} are signed more than {MAX_DEPTH} levels deep"
                )
            self.found[digest] = referrer
            self._count(referrer)
            self.add(digest, depth + 1)

    def _count(self, referrer: Referrer) -> None:
        """Refuse more than an archive should carry beside an image."""
        self._resolver.count(len(referrer.blobs), self._reference)
        self._manifests += referrer.descriptor.size
        self._bytes += referrer.descriptor.size + sum(blob.size for blob in referrer.blobs)
        for got, most, noun in (
            (len(self.found), MAX_REFERRERS, "signatures and other referrers"),
            (self._manifests, MAX_MANIFEST_BYTES, "bytes of manifests of signatures and other referrers"),
            (self._bytes, MAX_BYTES, "bytes of signatures and other referrers"),
        ):
            if got > most:
                raise VerificationError(f"{self._reference} has too many {noun}", wanted=f"at most {most}", got="more")

    def _tagged(self, subject: Digest) -> Iterator[Referrer]:
        """Yield what is under cosign's tags, which must not be images, or readers would load them."""
        for tag in cosign_tags(subject):
            what = f"the manifest of {self._at(tag)}"
            try:
                descriptor, raw = self._resolver.raw(self._at(tag))
            except NotFoundError as error:
                self._missing(error)
                continue
            found = self._parsed(descriptor, raw, what)
            if found.is_image or found.subject not in (None, subject) or found.media_type not in mediatypes.MANIFESTS:
                actual = "an image or index" if found.is_image else f"{found.media_type} about {found.subject}"
                raise VerificationError(
                    f"{what} is not what cosign writes under such a tag", wanted=f"content about {subject}", got=actual
                )
            about = tagged(tag)
            kind = about[1] if about and found.kind == ARTIFACT else found.kind
            own = replace(descriptor, media_type=found.media_type)
            yield Referrer(subject, kind, found.artifact_type, own, raw, found.blobs, tag)

    def _listed(self, subject: Digest) -> Iterator[Referrer]:
        """Yield what the registry lists, in the order of digests, because that of registries changes."""
        for entry in sorted(self._entries(subject), key=lambda entry: str(entry.digest)):
            if not self._everything and not may_be_signed_content(entry.artifact_type):
                continue
            if entry.media_type not in mediatypes.MANIFESTS:
                _logger.warning("%s: leaving out a referrer of the type %s", self._reference, entry.media_type)
                continue
            descriptor, raw = self._resolver.raw(self._reference, entry)
            found = self._parsed(descriptor, raw, f"the manifest {entry.digest} of {self._reference.name}")
            if found.subject != subject:
                raise VerificationError(
                    f"{self._reference.name} lists {entry.digest} as a referrer of another manifest than its subject",
                    wanted=str(subject),
                    got=str(found.subject),
                )
            if found.is_image:
                _logger.warning("%s: leaving out the referrer %s, an image", self._reference, entry.digest)
            elif self._everything or found.kind in (SIGNATURE, ATTESTATION):
                yield Referrer(subject, found.kind, found.artifact_type, descriptor, raw, found.blobs)

    def _entries(self, subject: Digest) -> tuple[Descriptor, ...]:
        """Return the list of referrers, or without one the index under its tag.

        Each manifest's list is requested, because a registry may respond with 404 in place of an empty one.
        """
        source, listed = self._resolver.source, None
        with suppress(OnlyMirrorsError):  # the tag counts, as without the API
            listed = source.referrers(self._reference, subject) if isinstance(source, Referring) else None
        if listed is not None:
            return listed
        reference = self._at(list_tag(subject))
        try:
            _, raw = self._resolver.raw(reference)
        except NotFoundError as error:
            self._missing(error)
            return ()
        return parse_list(raw, f"the list of referrers {reference}")

    def _missing(self, error: NotFoundError) -> None:
        """Warn of a search that is incomplete, because only mirrors have answered."""
        if isinstance(error, OnlyMirrorsError):
            self._resolver.tolerance.warn(
                f"some signatures of {self._reference} may be missing: they were searched for only at mirrors, because "
                f"{self._reference.registry} cannot be reached"
            )

    def _parsed(self, descriptor: Descriptor, raw: bytes, what: str) -> Attached:
        """Read a manifest as readers of the archive do, which refuse an ambiguous one."""
        with suppress(UnsupportedError):  # an artifact
            parse_document(Document(raw), descriptor, what, Tolerance(), pinned=True)
        return Attached.from_json(raw, what)

    def _at(self, tag: str) -> Reference:
        return replace(self._reference, tag=tag)
