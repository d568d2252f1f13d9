"""An index with its images for several platforms, kept as it is or rewritten to what is wanted of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from imgfetch.archive.image_layout import compact
from imgfetch.archive.selection import Selection, pinned
from imgfetch.errors import PlatformNotFoundError, UnsupportedError, VerificationError
from imgfetch.oci import mediatypes, platforms
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import MAX_MANIFESTS, Image, Index, Manifest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.pull.resolve import MAX_DEPTH, Resolver


def select_all(resolver: Resolver, reference: Reference, preferred: Platform | None = None) -> Selection:
    """Return an index with everything that it lists, or the image where there is no index.

    Args:
        resolver: finds the documents; all of them are in its store then.
        reference: the index or image.
        preferred: the platform for readers that know only one; by default this machine's.

    Raises:
        PlatformNotFoundError: the index lists no image.
        ImgfetchError: as for `Resolver.resolve`.
    """
    found = resolver.document(reference)
    if isinstance(found, Manifest):
        return Selection.of(resolver.image(found, reference))
    everything = _Everything(resolver, reference)
    everything.add(found)
    return everything.selection(preferred or platforms.default())


def select(resolver: Resolver, reference: Reference, wanted: Sequence[Platform]) -> Selection:
    """Return the images for some platforms, with an index of them if they are several.

    Args:
        resolver: finds the documents; all of them are in its store then.
        reference: the index or image.
        wanted: the platforms; none is this machine's, as for `Resolver.resolve`.

    Raises:
        ImgfetchError: as for `Resolver.resolve`.
    """
    found = resolver.document(reference)
    images: dict[Digest, Image] = {}
    for platform in wanted or (None,):
        image = resolver.chosen(found, reference, platform)
        images.setdefault(image.manifest.descriptor.digest, image)
    if isinstance(found, Manifest) or len(images) == 1:
        return Selection.of(next(iter(images.values())))
    index = _rewritten(resolver, found, images)
    listed = [descriptor.digest for descriptor in found.manifests]
    in_order = sorted(images.values(), key=lambda image: _place(listed, image.manifest.descriptor.digest))
    preferred = _best(list(images.values()), platforms.default())
    return Selection(preferred, tuple(in_order), (index,), parents=pinned(reference, in_order))


class _Everything:
    """What is found in an index, and in those that it lists."""

    def __init__(self, resolver: Resolver, reference: Reference) -> None:
        self._resolver = resolver
        self._reference = reference
        self._seen: set[Digest] = set()
        self._indexes: list[Descriptor] = []
        self._images: list[Image] = []
        self._statements: list[Descriptor] = []
        self._others: dict[Digest, Descriptor] = {}

    def add(self, index: Index, depth: int = 1) -> None:
        if depth > MAX_DEPTH:
            raise VerificationError(f"{self._reference} has indexes within indexes, more than {MAX_DEPTH} deep")
        self._resolver.store.put(index.descriptor, index.raw)
        self._indexes.append(index.descriptor)
        for descriptor in index.manifests:
            if descriptor.digest in self._seen:
                continue
            self._seen.add(descriptor.digest)
            if len(self._seen) > MAX_MANIFESTS:
                raise VerificationError(
                    f"{self._reference} lists too many manifests", wanted=f"{MAX_MANIFESTS} at most", got="more"
                )
            self._add(descriptor, depth)

    def selection(self, preferred: Platform) -> Selection:
        if not self._images:
            raise PlatformNotFoundError(f"{self._reference} lists no image", wanted=str(preferred), available=())
        return Selection(
            _best(self._images, preferred),
            tuple(self._images),
            tuple(self._indexes),
            tuple(self._statements),
            tuple(self._others.values()),
        )

    def _add(self, descriptor: Descriptor, depth: int) -> None:
        is_document = descriptor.media_type in mediatypes.INDEXES | mediatypes.MANIFESTS
        if descriptor.is_attestation or not is_document:
            self._add_statement(descriptor)
            return
        try:
            found = self._resolver.document(self._reference, descriptor)
            if isinstance(found, Manifest):
                self._images.append(self._resolver.image(found, self._reference))
                return
        except UnsupportedError:  # an artifact beside the images
            self._add_statement(descriptor)
            return
        self.add(found, depth + 1)

    def _add_statement(self, descriptor: Descriptor) -> None:
        for blob in self._resolver.statement(self._reference, descriptor):
            self._others.setdefault(blob.digest, blob)
        self._statements.append(descriptor)


def _best(images: Sequence[Image], wanted: Platform) -> Image:
    """Return the image that fits best, or else the first."""

    def rank(image: Image) -> tuple[bool, int]:
        fit = image.config.platform.fit(wanted)
        return fit is None, fit or 0

    return min(images, key=rank)


def _rewritten(resolver: Resolver, index: Index, images: dict[Digest, Image]) -> Descriptor:
    """Return an index that lists these images only, for some readers fail on a child that is absent."""
    document = json.loads(index.raw)
    entries = [entry for entry in document["manifests"] if Digest.parse(entry["digest"]) in images]
    if len(entries) == len(document["manifests"]):  # it lists no others
        resolver.store.put(index.descriptor, index.raw)
        return index.descriptor
    here = {Digest.parse(entry["digest"]) for entry in entries}
    entries += [_entry(image) for digest, image in images.items() if digest not in here]
    raw = compact({**document, "manifests": entries})
    descriptor = Descriptor.of(raw, index.descriptor.media_type)
    resolver.store.put(descriptor, raw)
    return descriptor


def _entry(image: Image) -> dict[str, object]:
    """Return the entry of an image that was found in an index within the index."""
    descriptor, platform = image.manifest.descriptor, image.config.platform
    variant = {"variant": platform.variant} if platform.variant else {}
    return {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
        "platform": {"architecture": platform.architecture, "os": platform.os, **variant},
    }


def _place(listed: Sequence[Digest], digest: Digest) -> int:
    return listed.index(digest) if digest in listed else len(listed)
