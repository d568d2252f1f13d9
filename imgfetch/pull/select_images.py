"""The images of a document that belong to an archive.

An index is kept as it is, or reduced to the images that are selected.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from imgfetch.archive.image_layout import compact
from imgfetch.archive.selection import Selection, pinned
from imgfetch.errors import PlatformNotFoundError, UnsupportedError, VerificationError
from imgfetch.oci import mediatypes, platforms
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import MAX_MANIFESTS, Image, Index, Manifest
from imgfetch.oci.names import ImageRequest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.pull.plan import SaveRequest
from imgfetch.pull.resolve import MAX_DEPTH, Resolver, two_sizes

_SEVERAL = 2


def select(
    found: Index | Manifest, wanted: ImageRequest, request: SaveRequest, resolver: Resolver
) -> tuple[Selection, tuple[Platform, ...]]:
    """Return the images of a document that a request asks for, and the platforms that it lacks."""
    if request.all_platforms:
        return _everything(found, wanted, request, resolver), ()
    if wanted.platforms or len(request.platforms) < _SEVERAL or len(request.images) < _SEVERAL:
        required = wanted.platforms or request.platforms or (None,)
        chosen = [resolver.chosen(found, wanted.reference, platform) for platform in required]
        return _combined(found, wanted.reference, chosen, request, resolver), ()
    available, lacking = list[Image](), dict[Platform, PlatformNotFoundError]()
    for platform in request.platforms:
        try:
            available.append(resolver.chosen(found, wanted.reference, platform))
        except PlatformNotFoundError as error:
            lacking[platform] = error
    if not available:
        raise next(iter(lacking.values()))
    return _combined(found, wanted.reference, available, request, resolver), tuple(lacking)


def _combined(
    found: Index | Manifest, reference: Reference, chosen: Sequence[Image], request: SaveRequest, resolver: Resolver
) -> Selection:
    """Return images of a document, with an index of them if they are several."""
    images: dict[Digest, Image] = {}
    for image in chosen:
        images.setdefault(image.manifest.descriptor.digest, image)
    if isinstance(found, Manifest) or (len(images) == 1 and not request.keep_index):
        return Selection.of(next(iter(images.values())))
    if request.keep_index:
        indexes = tuple({index.digest: index for image in chosen for index in image.indexes}.values())
        _refuse_contradictions(resolver, reference, indexes, images)
    else:
        indexes = (_rewritten(resolver, found, chosen),)
    listed = [descriptor.digest for descriptor in found.manifests]
    in_order = sorted(images.values(), key=lambda image: _place(listed, image.manifest.descriptor.digest))
    preferred = _best(list(images.values()), platforms.default())
    return Selection(preferred, tuple(in_order), indexes, parents=pinned(reference, in_order))


def _everything(found: Index | Manifest, wanted: ImageRequest, request: SaveRequest, resolver: Resolver) -> Selection:
    """Return everything that an index lists, or the image if there is no index.

    The first platform of the request is for readers that know only one; by default it is this machine's.
    """
    if isinstance(found, Manifest):
        return Selection.of(resolver.image(found, wanted.reference))
    walk = _IndexWalk(resolver, wanted.reference)
    walk.add(found)
    return walk.selection(next(iter((*wanted.platforms, *request.platforms)), platforms.default()))


class _IndexWalk:
    """Collects the content of an index, and of those that it lists."""

    def __init__(self, resolver: Resolver, reference: Reference) -> None:
        self._resolver = resolver
        self._reference = reference
        self._seen: set[tuple[Digest, str, int, bool]] = set()
        self._indexes: dict[Digest, Descriptor] = {}
        self._images: dict[Digest, Image] = {}
        self._statements: dict[Digest, Descriptor] = {}
        self._others: dict[Digest, Descriptor] = {}

    def add(self, index: Index, depth: int = 1) -> None:
        if depth > MAX_DEPTH:
            raise VerificationError(f"{self._reference} nests indexes more than {MAX_DEPTH} levels deep")
        if index.unreadable:
            raise index.unreadable[0].error
        self._indexes.setdefault(index.descriptor.digest, index.descriptor)
        self._resolver.store.reserve(descriptor.digest for descriptor in index.manifests)  # all at once
        for descriptor in index.manifests:
            entry = (descriptor.digest, descriptor.media_type, descriptor.size, descriptor.is_attestation)
            if entry in self._seen:
                continue
            self._seen.add(entry)
            if len(self._seen) > MAX_MANIFESTS:
                raise VerificationError(
                    f"{self._reference} lists too many manifests", wanted=f"at most {MAX_MANIFESTS}", got="more"
                )
            self._add(descriptor, depth)

    def selection(self, preferred: Platform) -> Selection:
        if not self._images:
            raise PlatformNotFoundError(f"{self._reference} lists no images", wanted=str(preferred), available=())
        images = tuple(self._images.values())
        return Selection(
            _best(images, preferred),
            images,
            tuple(self._indexes.values()),
            tuple(self._statements.values()),
            tuple(self._others.values()),
        )

    def _add(self, descriptor: Descriptor, depth: int) -> None:
        is_document = descriptor.media_type in mediatypes.INDEXES | mediatypes.MANIFESTS
        if descriptor.is_attestation or not is_document:
            self._add_statement(descriptor)
            return
        try:
            found = self._resolver.document(self._reference, descriptor)
            _refuse_wrong_size(descriptor, found)
            if isinstance(found, Manifest):
                if descriptor.digest not in self._images:
                    self._images[descriptor.digest] = self._resolver.image(found, self._reference)
                return
        except UnsupportedError:  # an artifact beside the images
            self._add_statement(descriptor)
            return
        self.add(found, depth + 1)

    def _add_statement(self, descriptor: Descriptor) -> None:
        for blob in self._resolver.statement(self._reference, descriptor):
            self._others.setdefault(blob.digest, replace(blob, data=None))
        self._statements.setdefault(descriptor.digest, descriptor.bare())


def _best(images: Sequence[Image], wanted: Platform) -> Image:
    """Return the image that fits best, or else the first."""

    def rank(image: Image) -> tuple[bool, int]:
        fit = image.config.platform.fit(wanted)
        return fit is None, fit or 0

    return min(images, key=rank)


def _rewritten(resolver: Resolver, index: Index, images: Sequence[Image]) -> Descriptor:
    """Return an index of the images' own entries only.

    Some readers fail if a listed manifest is absent, or if another entry lists a manifest with a wrong type or size.
    """
    document = json.loads(resolver.store.read(index.descriptor.digest))
    unreadable = {entry.number for entry in index.unreadable}
    readable = [entry for number, entry in enumerate(document["manifests"], 1) if number not in unreadable]
    chosen = {image.entry: image for image in images}
    entries = [entry for entry, descriptor in zip(readable, index.manifests, strict=True) if descriptor in chosen]
    for descriptor in index.manifests:
        if descriptor in chosen:
            _refuse_wrong_size(descriptor, chosen[descriptor].manifest)
    if len(entries) == len(document["manifests"]):  # everything is selected: keep the registry's bytes
        return index.descriptor
    for image in images:  # images of nested indexes come last
        if image.manifest.descriptor.digest not in {Digest.parse(entry["digest"]) for entry in entries}:
            entries.append(_entry(image))
    raw = compact({**document, "manifests": entries})
    descriptor = Descriptor.of(raw, index.descriptor.media_type)
    resolver.store.put(descriptor, raw)
    return descriptor


def _refuse_contradictions(
    resolver: Resolver, reference: Reference, indexes: Sequence[Descriptor], images: Iterable[Digest]
) -> None:
    """Refuse another entry for an image or index of the archive with a wrong type or size, in an index that is kept."""
    held = {*images, *(index.digest for index in indexes)}
    for index in indexes:
        found = resolver.document(reference, index)
        entries = found.manifests if isinstance(found, Index) else ()
        for entry in {(entry.digest, entry.media_type, entry.size): entry for entry in entries}.values():
            if entry.digest in held and entry.media_type in mediatypes.INDEXES | mediatypes.MANIFESTS:
                _refuse_wrong_size(entry, resolver.document(reference, entry))


def _refuse_wrong_size(listed: Descriptor, found: Index | Manifest) -> None:
    """Refuse an entry with a wrong size in an index that the archive has, because containerd refuses it."""
    if found.descriptor.size != listed.size:
        raise two_sizes(f"the manifest {listed.digest}", listed, found.descriptor.size)


def _entry(image: Image) -> dict[str, object]:
    """Return the entry of an image that was found in an index within the index."""
    platform = image.config.platform
    variant = {"variant": platform.variant} if platform.variant else {}
    listed = {"architecture": platform.architecture, "os": platform.os, **variant}
    return {**image.manifest.descriptor.entry(), "platform": listed}


def _place(listed: Sequence[Digest], digest: Digest) -> int:
    return listed.index(digest) if digest in listed else len(listed)
