"""The cost of a save, before any layer is fetched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from imgfetch.archive.selection import blobs_of
from imgfetch.errors import ImgfetchError
from imgfetch.oci.digest import Digest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.pull.plan import Plan, remembered, sized
from imgfetch.store.blobs import BlobStore

if TYPE_CHECKING:
    from imgfetch.patch.foreseen import OldLayers

FETCHED, PARTLY, CACHED, LEFT_OUT, OLD = "fetched", "continued", "cached", "left out", "old"


class Blob(NamedTuple):
    """A blob of a plan.

    Attributes:
        digest: its digest.
        size: its length in bytes.
        state: ``fetched``, ``continued`` where a part of it is in the store, ``cached``, ``left out``, or ``old`` for a
            layer in the old archive of a patch.
        missing: bytes to download.
    """

    digest: Digest
    size: int
    state: str
    missing: int


class ForecastImage(NamedTuple):
    """An image of an archive that is not written yet.

    Attributes:
        references: its names in the archive.
        digest: its manifest's digest.
        platform: its platform.
        layers: the digests of its layers, each once.
        size: the bytes of all its layers.
    """

    references: tuple[Reference, ...]
    digest: Digest
    platform: Platform
    layers: tuple[Digest, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """The cost of a save.

    Attributes:
        names: the names of the archive's images.
        blobs: the layers, and other blobs that are not documents.
        archive_size: the archive's length in bytes before any compression of the whole; ``None`` while it depends on
            layers that are not in the cache.
        pulls_left: the number of pulls left, by the registries that report it.
        images: the archive's images.
        failures: the errors of images that would be left out, with ``keep_going``.
        old_images: the platforms of the images in the old archive, by their names, if a patch is saved.
    """

    names: tuple[str, ...]
    blobs: tuple[Blob, ...]
    archive_size: int | None
    pulls_left: dict[str, int]
    images: tuple[ForecastImage, ...] = ()
    failures: tuple[ImgfetchError, ...] = ()
    old_images: Mapping[str, tuple[Platform, ...]] | None = None

    @property
    def missing(self) -> int:
        """Bytes to download."""
        return sum(blob.missing for blob in self.blobs)

    @property
    def cached(self) -> int:
        """Bytes that are in the cache."""
        return sum(blob.size - blob.missing for blob in self.blobs if blob.state not in (LEFT_OUT, OLD))

    @property
    def left_out(self) -> int:
        """Bytes that the archive leaves out."""
        return sum(blob.size for blob in self.blobs if blob.state == LEFT_OUT)

    @property
    def old(self) -> int:
        """Bytes of layers that are in the old archive of a patch."""
        return sum(blob.size for blob in self.blobs if blob.state == OLD)

    @property
    def new(self) -> int:
        """Bytes of the other layers in the registry: about the size of the patch if nothing in them is old."""
        return sum(blob.size for blob in self.blobs) - self.old

    @property
    def requests(self) -> int:
        """Requests for blobs, redirects and tokens not counted."""
        return sum(blob.missing > 0 for blob in self.blobs)


def forecast(plan: Plan, store: BlobStore, pulls_left: dict[str, int], old: OldLayers | None = None) -> Forecast:
    """Return the cost of carrying a plan out; blobs in the store need not be fetched.

    ``old`` has the layers of the old archive, if a patch is saved.
    """
    sizes = old.sizes if old else {}
    layout = plan.layout({**remembered(plan, store), **sized(plan, sizes)}, store)
    blobs = []
    for layer in plan.layers:
        size, missing = layer.descriptor.size, store.bytes_missing([layer.descriptor])
        state = CACHED if not missing else FETCHED if missing == size else PARTLY
        if layer.diff_id in sizes:
            state, missing = OLD, 0
        blobs.append(Blob(layer.descriptor.digest, size, state, missing))
    present = blobs_of(plan.selections)
    left_out = {
        descriptor.digest: descriptor
        for selection in plan.selections
        for descriptor in selection.blobs()
        if descriptor.digest not in present
    }
    blobs += [Blob(digest, descriptor.size, LEFT_OUT, 0) for digest, descriptor in left_out.items()]
    names = [name for selection in plan.selections for name in map(str, selection.references)]
    total = layout.tar.size if layout else None
    images = tuple(_images(plan))
    return Forecast(tuple(names), tuple(blobs), total, pulls_left, images, plan.failures, old.images if old else None)


def _images(plan: Plan) -> Iterator[ForecastImage]:
    for selection in plan.selections:
        for image in selection.images:
            layers = {layer.digest: layer.size for layer in image.manifest.layers}
            yield ForecastImage(
                selection.references,
                image.manifest.descriptor.digest,
                image.config.platform,
                tuple(layers),
                sum(layers.values()),
            )
