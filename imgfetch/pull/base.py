"""Layers that the target host already has, so that an archive may leave them out.

docker's classic store opens a layer's file only if it lacks that layer with all layers below it.  containerd, and
docker's containerd store, identify a layer by its blob.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Self

from imgfetch.archive.selection import Selection
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Image

if TYPE_CHECKING:
    from imgfetch.archive.contents import Archive

_logger = logging.getLogger(__name__)


class BaseLayers(NamedTuple):
    """The layers of some images.

    Attributes:
        names: the images' names.
        chains: the diff_ids of every sequence of layers that begins at the bottom.
        blobs: the digests of the layers in a registry, as far as they are known.
    """

    names: tuple[str, ...] = ()
    chains: frozenset[tuple[Digest, ...]] = frozenset()
    blobs: frozenset[Digest] = frozenset()

    @classmethod
    def of_selection(cls, selection: Selection) -> Self:
        """Return the layers of a reference's images."""
        return cls(
            tuple(str(reference) for reference in selection.references),
            _chains(image.config.diff_ids for image in selection.images),
            frozenset(layer.digest for image in selection.images for layer in image.manifest.layers),
        )

    @classmethod
    def of_archive(cls, archive: Archive) -> Self:
        """Return the layers of a host that has loaded an archive, including those that the archive leaves out."""
        images = archive.images
        return cls(
            tuple(dict.fromkeys(name for image in images for name in (*image.names, *map(str, image.digests[:1]))))[:1],
            _chains(image.config.diff_ids for image in images),
            frozenset(layer.digest for image in images for layer in image.layers if layer.digest),
        )

    def __or__(self, other: BaseLayers) -> BaseLayers:
        """Return the layers of both."""
        return BaseLayers(self.names + other.names, self.chains | other.chains, self.blobs | other.blobs)

    def left_out_of(self, selection: Selection, *, by_chain: bool) -> Selection:
        """Return a selection without these layers, and warn if it has none of them, or some readers cannot load it.

        ``by_chain`` leaves a layer out only if the base has it on top of the same layers, in every image that has it.
        """
        left_out = self._by_chain(selection) if by_chain else self._by_blob(selection)
        bases = ", ".join(self.names) or "the base"
        if not left_out:
            _logger.warning(
                "%s has no layers in common with %s, or is for another platform; no layers are left out",
                selection.references[0],
                bases,
            )
            return selection
        if others := left_out - self.blobs:
            _logger.warning(
                "of the layers left out of %s, %d may be in %s only under other digests: docker and ctr can load "
                "the archive, podman cannot",
                selection.references[0],
                len(others),
                bases,
            )
        return selection._replace(left_out=left_out, bases=self.names)

    def _by_blob(self, selection: Selection) -> frozenset[Digest]:
        return self.blobs.intersection(layer.digest for image in selection.images for layer in image.manifest.layers)

    def _by_chain(self, selection: Selection) -> frozenset[Digest]:
        parted = [(image.manifest.layers, self._common(image)) for image in selection.images]
        had = frozenset(layer.digest for layers, count in parted for layer in layers[:count])
        return had.difference(layer.digest for layers, count in parted for layer in layers[count:])

    def _common(self, image: Image) -> int:
        """Return the number of an image's layers that are in the base, counted from the bottom."""
        diff_ids = image.config.diff_ids
        return max((count for count in range(len(diff_ids) + 1) if diff_ids[:count] in self.chains), default=0)


def _chains(images: Iterable[tuple[Digest, ...]]) -> frozenset[tuple[Digest, ...]]:
    return frozenset(diff_ids[:count] for diff_ids in images for count in range(1, len(diff_ids) + 1))
