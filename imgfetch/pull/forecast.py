"""What a save would cost, before any layer is fetched."""

from __future__ import annotations

from dataclasses import dataclass

from imgfetch.archive.selection import blobs_of
from imgfetch.oci.digest import Digest
from imgfetch.pull.plan import Plan

FETCHED, PARTLY, CACHED, LEFT_OUT = "fetched", "continued", "cached", "left out"


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob of a plan.

    Attributes:
        digest: its digest.
        size: its length in bytes.
        state: ``fetched``, ``continued`` where a part of it is in the store, ``cached``, or ``left out``.
        missing: bytes that have yet to come.
    """

    digest: Digest
    size: int
    state: str
    missing: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a plan would cost.

    Attributes:
        names: what the archive's images are called.
        blobs: the layers, and what else is no document.
        archive_size: the archive's length in bytes before any compression of the whole; ``None`` while it depends on
            layers that are not here.
        pulls_left: how many pulls the registries say are left, if they do, by registry.
    """

    names: tuple[str, ...]
    blobs: tuple[Blob, ...]
    archive_size: int | None
    pulls_left: dict[str, int]

    @property
    def missing(self) -> int:
        """Bytes that have yet to come."""
        return sum(blob.missing for blob in self.blobs)

    @property
    def cached(self) -> int:
        """Bytes that need not come, for they are in the cache."""
        return sum(blob.size - blob.missing for blob in self.blobs if blob.state != LEFT_OUT)

    @property
    def left_out(self) -> int:
        """Bytes that need not come, for the archive leaves them out."""
        return sum(blob.size for blob in self.blobs if blob.state == LEFT_OUT)

    @property
    def requests(self) -> int:
        """Requests for blobs that are yet to come, redirects and tokens not counted."""
        return sum(blob.missing > 0 for blob in self.blobs)


def forecast(plan: Plan, pulls_left: dict[str, int]) -> Forecast:
    """Return what carrying a plan out would cost.

    Args:
        plan: what is wanted.
        pulls_left: what the registries say of their limits.
    """
    laid = plan.laid_out(plan.noted)
    blobs = []
    for layer in plan.layers:
        size, missing = layer.descriptor.size, plan.store.bytes_missing([layer.descriptor])
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
    return Forecast(tuple(names), tuple(blobs), laid.layout.size if laid else None, pulls_left)
