"""The content saved under a name: one image, or an index with images for several platforms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple, Self

from imgfetch.errors import InvalidReferenceError, VerificationError
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Image
from imgfetch.oci.reference import Reference
from imgfetch.oci.referrers import Referrer


class Selection(NamedTuple):
    """The content of some references.

    Attributes:
        preferred: the image for readers that support only one platform; it has the references.
        images: all images, in the order of the index.
        indexes: the index and those nested in it; empty for a manifest alone.
        statements: manifests that the index lists beside images, such as attestations.
        others: the blobs of the statements.
        parents: indexes the image was pinned through, stored only so that `verify` can prove the pinned digest.
        referrers: signatures and the like, about the images, the indexes, the parents, or each other.
        left_out: the layers that the target host already has.
        bases: the names of the bases that have them.
        origin: the place where the references are listed, for messages.
    """

    preferred: Image
    images: tuple[Image, ...]
    indexes: tuple[Descriptor, ...] = ()
    statements: tuple[Descriptor, ...] = ()
    others: tuple[Descriptor, ...] = ()
    parents: tuple[Descriptor, ...] = ()
    referrers: tuple[Referrer, ...] = ()
    left_out: frozenset[Digest] = frozenset()
    bases: tuple[str, ...] = ()
    origin: str = ""

    @classmethod
    def of(cls, image: Image) -> Self:
        """Return the selection of a single image."""
        return cls(image, (image,), parents=pinned(image.references[0], [image]))

    @property
    def root(self) -> Descriptor:
        """The target of the names: the index, or else the manifest."""
        return self.indexes[0] if self.indexes else self.preferred.manifest.descriptor

    @property
    def references(self) -> tuple[Reference, ...]:
        """The requested names, at least one."""
        return self.preferred.references

    @property
    def tags(self) -> tuple[Reference, ...]:
        """The distinct references with a tag, without digests, sorted by name."""
        tagged = {replace(reference, digest=None) for reference in self.references if reference.tag}
        return tuple(sorted(tagged, key=str))

    @property
    def names(self) -> tuple[Reference, ...]:
        """The tags, and the names of references without a tag, with the digest of the root."""
        own = self.root.digest
        untagged = {replace(reference, digest=own) for reference in self.references if not reference.tag}
        return (*self.tags, *sorted(untagged, key=str))

    @property
    def pins(self) -> tuple[Reference, ...]:
        """The distinct names with a requested digest, without tags, unless decompression has changed the digest."""
        known = {self.root.digest, *(parent.digest for parent in self.parents)}
        pinned = {replace(reference, tag=None) for reference in self.references if reference.digest in known}
        return tuple(sorted(pinned, key=str))

    def named(self, references: tuple[Reference, ...]) -> Self:
        """Return the selection under other names."""
        return self._replace(preferred=self.preferred._replace(references=references))

    def without_content(self) -> Self:
        """Return the selection with referrers that are in the store alone, because there may be many images."""
        bare = (
            each._replace(raw=b"", blobs=tuple(replace(blob, data=None) for blob in each.blobs))
            for each in self.referrers
        )
        return self._replace(referrers=tuple(bare))

    def blobs(self) -> Iterator[Descriptor]:
        """Yield all blobs in the archive's order, including repeated ones and those left out."""
        yield from self.indexes
        for image in self.images:
            yield image.manifest.descriptor
            yield image.manifest.config
            yield from image.manifest.layers
        yield from self.statements
        yield from self.others
        yield from self.parents
        for referrer in self.referrers:
            yield referrer.descriptor
            yield from referrer.blobs


def pinned(reference: Reference, images: Iterable[Image]) -> tuple[Descriptor, ...]:
    """Return the indexes that led to the images, if the reference has the digest of one."""
    indexes = {index.digest: index for image in images for index in image.indexes}
    return tuple(indexes.values()) if reference.digest in indexes else ()


def blobs_of(selections: Iterable[Selection]) -> Mapping[Digest, Descriptor]:
    """Return each blob of the selections once, unless all selections that need it leave it out.

    Raises:
        VerificationError: a blob has two sizes.
    """
    blobs: dict[Digest, Descriptor] = {}
    needed: set[Digest] = set()
    for selection in selections:
        for descriptor in selection.blobs():
            first = blobs.setdefault(descriptor.digest, descriptor)
            if first.size != descriptor.size:
                raise VerificationError(
                    f"{descriptor.digest} is listed with two sizes",
                    wanted=f"{first.size} bytes",
                    got=f"{descriptor.size} bytes",
                )
            if descriptor.digest not in selection.left_out:
                needed.add(descriptor.digest)
    return {digest: descriptor for digest, descriptor in blobs.items() if digest in needed}


def merged(selections: Iterable[Selection]) -> tuple[Selection, ...]:
    """Merge selections that differ only in their names.

    Raises:
        InvalidReferenceError: different images would have the same name.
    """
    found: dict[Digest, Selection] = {}
    names: dict[str, Selection] = {}
    for selection in selections:
        digest = selection.root.digest
        first = found.get(digest)
        found[digest] = _together(first, selection) if first else selection
        for name in map(str, selection.tags):
            other = names.setdefault(name, selection)
            if other.root.digest != digest:
                raise InvalidReferenceError(
                    f"two different images would get the name {name}{_places(other, selection)}",
                    hint=_advice(other, selection),
                )
    return tuple(found.values())


def _together(first: Selection, second: Selection) -> Selection:
    if _platforms(first) != _platforms(second):
        raise InvalidReferenceError(
            f"{first.references[0]} and {second.references[0]} would be the same index with different platforms"
            f"{_places(first, second)}",
            hint="save them in two archives, or without --keep-index or --all-platforms",
        )
    parents = {parent.digest: parent for parent in first.parents + second.parents}
    referrers = {referrer.descriptor.digest: referrer for referrer in first.referrers + second.referrers}
    both = first.named(first.references + second.references)
    return both._replace(parents=tuple(parents.values()), referrers=tuple(referrers.values()))


def _advice(first: Selection, second: Selection) -> str:
    """Return how to save two images that would get the same name."""
    advice = "give one of them another name, with --name in a list"
    here, there = ({str(image.config.platform) for image in selection.images} for selection in (first, second))
    if here & there:
        return advice
    platforms = ",".join(sorted(here | there))
    return f"for one image with several platforms, write one line with --platform {platforms}; else {advice}"


def _places(*selections: Selection) -> str:
    """Return the places where selections are listed, to follow a sentence."""
    places = " and ".join(selection.origin for selection in selections if selection.origin)
    return f" ({places})" if places else ""


def _platforms(selection: Selection) -> tuple[Digest, ...]:
    """Return the digests of the images that readers find by a selection's names, the preferred one first."""
    return tuple(image.manifest.descriptor.digest for image in (selection.preferred, *selection.images))
