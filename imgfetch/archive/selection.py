"""What goes into an archive under a name: one image, or an index with those of several platforms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

from imgfetch.errors import InvalidReferenceError, VerificationError
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Image
from imgfetch.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Selection:
    """What some references stand for.

    Attributes:
        preferred: the image that readers get that know one platform only; it has the references.
        images: all of them, in the order of the index.
        indexes: the index, and those that stand in it; empty where there is a manifest alone.
        statements: manifests of what the index lists beside images, such as attestations.
        others: the blobs of these.
        parents: indexes that are no part of it, by whose digest it was asked for, and so what proves that it is that.
        left_out: the layers that the reader has already.
        bases: what has them.
    """

    preferred: Image
    images: tuple[Image, ...]
    indexes: tuple[Descriptor, ...] = ()
    statements: tuple[Descriptor, ...] = ()
    others: tuple[Descriptor, ...] = ()
    parents: tuple[Descriptor, ...] = ()
    left_out: frozenset[Digest] = frozenset()
    bases: tuple[str, ...] = ()

    @classmethod
    def of(cls, image: Image) -> Self:
        """Return that of an image alone."""
        return cls(image, (image,), parents=pinned(image.references[0], [image]))

    @property
    def root(self) -> Descriptor:
        """What the names point at: the index, or else the manifest."""
        return self.indexes[0] if self.indexes else self.preferred.manifest.descriptor

    @property
    def references(self) -> tuple[Reference, ...]:
        """The names by which it was asked for, at least one."""
        return self.preferred.references

    @property
    def tags(self) -> tuple[Reference, ...]:
        """The references that have a tag, without their digests, each once, sorted by name."""
        tagged = {replace(reference, digest=None) for reference in self.references if reference.tag}
        return tuple(sorted(tagged, key=str))

    @property
    def tagged_names(self) -> tuple[str, ...]:
        """The canonical names with their tags, sorted."""
        return tuple(str(reference) for reference in self.tags)

    @property
    def untagged(self) -> tuple[str, ...]:
        """``registry/repository`` of the references that have only a digest, sorted."""
        return tuple(sorted({reference.name for reference in self.references if not reference.tag}))

    def named(self, references: tuple[Reference, ...]) -> Self:
        """Return it under other names."""
        return replace(self, preferred=replace(self.preferred, references=references))

    def blobs(self) -> Iterator[Descriptor]:
        """Yield all that it is made of, in the archive's order, perhaps several times; what is left out too."""
        yield from self.indexes
        for image in self.images:
            yield image.manifest.descriptor
            yield image.manifest.config
            yield from image.manifest.layers
        yield from self.statements
        yield from self.others
        yield from self.parents


def pinned(reference: Reference, images: Iterable[Image]) -> tuple[Descriptor, ...]:
    """Return the indexes by which images were found, if the reference has the digest of the outermost."""
    indexes = {index.digest: index for image in images for index in image.indexes}
    return tuple(indexes.values()) if reference.digest in indexes else ()


def blobs_of(selections: Iterable[Selection]) -> Mapping[Digest, Descriptor]:
    """Return what selections are made of, each blob once, without what all that need it leave out.

    Raises:
        VerificationError: a blob is given two sizes.
    """
    blobs: dict[Digest, Descriptor] = {}
    needed: set[Digest] = set()
    for selection in selections:
        for descriptor in selection.blobs():
            first = blobs.setdefault(descriptor.digest, descriptor)
            if first.size != descriptor.size:
                raise VerificationError(
                    f"{descriptor.digest} is given two sizes",
                    wanted=f"{first.size} bytes",
                    got=f"{descriptor.size} bytes",
                )
            if descriptor.digest not in selection.left_out:
                needed.add(descriptor.digest)
    return {digest: descriptor for digest, descriptor in blobs.items() if digest in needed}


def merged(selections: Iterable[Selection]) -> tuple[Selection, ...]:
    """Make one of selections that are the same but for their names.

    Raises:
        InvalidReferenceError: two that differ would have the same name.
    """
    found: dict[Digest, Selection] = {}
    names: dict[str, Digest] = {}
    for selection in selections:
        digest = selection.root.digest
        first = found.get(digest)
        found[digest] = _together(first, selection) if first else selection
        for name in selection.tagged_names:
            if names.setdefault(name, digest) != digest:
                raise InvalidReferenceError(f"two different images would be called {name}")
    return tuple(found.values())


def _together(first: Selection, second: Selection) -> Selection:
    """Return what is the same but for its names, and for the indexes by which it was found."""
    parents = {parent.digest: parent for parent in first.parents + second.parents}
    return replace(first.named(first.references + second.references), parents=tuple(parents.values()))
