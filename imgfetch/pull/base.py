"""What an offline host has already, so that an archive may leave it out.

docker's classic store opens a layer's file only if it does not hold that chain of layers: a layer counts as held if all
below it are the same.  containerd, and docker's store of its kind, go by the blob.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from imgfetch.archive.contents import Archive
from imgfetch.archive.selection import Selection
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Image


@dataclass(frozen=True, slots=True)
class Held:
    """The layers of some images.

    Attributes:
        names: what the images are called.
        chains: the diff_ids of every run of layers from the base on.
        blobs: the digests of the layers in a registry, as far as they are known.
    """

    names: tuple[str, ...] = ()
    chains: frozenset[tuple[Digest, ...]] = frozenset()
    blobs: frozenset[Digest] = frozenset()

    @classmethod
    def of_selection(cls, selection: Selection) -> Self:
        """Return what a reference stands for."""
        return cls(
            tuple(str(reference) for reference in selection.references),
            _chains(image.config.diff_ids for image in selection.images),
            frozenset(layer.digest for image in selection.images for layer in image.manifest.layers),
        )

    @classmethod
    def of_archive(cls, archive: Archive) -> Self:
        """Return what a host has that has loaded a file, what the file leaves out included."""
        images = archive.images
        return cls(
            tuple(dict.fromkeys(name for image in images for name in (*image.names, *map(str, image.digests[:1]))))[:1],
            _chains(image.config.diff_ids for image in images),
            frozenset(layer.digest for image in images for layer in image.layers if layer.digest),
        )

    def __or__(self, other: Held) -> Held:
        """Return both together."""
        return Held(self.names + other.names, self.chains | other.chains, self.blobs | other.blobs)

    def without_held(self, selection: Selection, *, by_chain: bool) -> Selection:
        """Return a selection that leaves out what is held.

        Args:
            selection: what is wanted.
            by_chain: whether a layer counts as held only on top of the same layers.
        """
        held: set[Digest] = set()
        needed: set[Digest] = set()
        for image in selection.images:
            layers = [layer.digest for layer in image.manifest.layers]
            count = self._held_chain(image) if by_chain else 0
            held.update(layers[:count])
            needed.update(layers[count:])
        left_out = held - needed if by_chain else needed & self.blobs
        return replace(selection, left_out=frozenset(left_out), bases=self.names) if left_out else selection

    def _held_chain(self, image: Image) -> int:
        """Return how many layers are held, from the base on."""
        diff_ids = image.config.diff_ids
        return max((count for count in range(len(diff_ids) + 1) if diff_ids[:count] in self.chains), default=0)


def _chains(images: Iterable[tuple[Digest, ...]]) -> frozenset[tuple[Digest, ...]]:
    return frozenset(diff_ids[:count] for diff_ids in images for count in range(1, len(diff_ids) + 1))
