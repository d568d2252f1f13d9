"""The cost of a save, before any layer is fetched."""

from __future__ import annotations

from dataclasses import dataclass

from imgfetch.archive.selection import blobs_of
from imgfetch.oci.digest import Digest
from imgfetch.pull.plan import Plan, remembered
from imgfetch.store.blobs import BlobStore

FETCHED, PARTLY, CACHED, LEFT_OUT = "fetched", "continued", "cached", "left out"


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob of a plan.

    Attributes:
        digest: its digest.
        size: its length in bytes.
        state: ``fetched``, ``continued`` where a part of it is in the store, ``cached``, or ``left out``.
        missing: bytes to download.
    """

    digest: Digest
    size: int
    state: str
    missing: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """The cost of a save.

    Attributes:
        names: the names of the archive's images.
        blobs: the layers, and other blobs that are not documents.
        archive_size: the archive's length in bytes before any compression of the whole; ``None`` while it depends on
            layers that are not in the cache.
        pulls_left: the number of pulls left, by the registries that report it.
    """

    names: tuple[str, ...]
    blobs: tuple[Blob, ...]
    archive_size: int | None
    pulls_left: dict[str, int]

    @property
    def missing(self) -> int:
        """Bytes to download."""
        return sum(blob.missing for blob in self.blobs)

    @property
    def cached(self) -> int:
        """Bytes that are in the cache."""
        return sum(blob.size - blob.missing for blob in self.blobs if blob.state != LEFT_OUT)

    @property
    def left_out(self) -> int:
        """Bytes that the archive leaves out."""
        return sum(blob.size for blob in self.blobs if blob.state == LEFT_OUT)

    @property
    def requests(self) -> int:
        """Requests for blobs, redirects and tokens not counted."""
        return sum(blob.missing > 0 for blob in self.blobs)


def forecast(plan: Plan, store: BlobStore, pulls_left: dict[str, int]) -> Forecast:
    """Return the cost of carrying a plan out.

    Args:
        plan: the archive.
        store: the blobs that need not be fetched.
        pulls_left: the numbers of pulls that registries report.
    """
    layout = plan.layout(remembered(plan, store))
    blobs = []
    for layer in plan.layers:
        size, missing = layer.descriptor.size, store.bytes_missing([layer.descriptor])
        state = CACHED if not missing else FETCHED if missing == size else PARTLY
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
    return Forecast(tuple(names), tuple(blobs), layout.tar.size if layout else None, pulls_left)
