"""The results of a save, and of its dry run before any layer is fetched."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

from imgfetch.archive.selection import blobs_of
from imgfetch.errors import ImgfetchError
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.digest import Digest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.pull.plan import ArchiveLayout, Plan, remembered
from imgfetch.store.blobs import BlobStore

FETCHED, PARTLY, CACHED, LEFT_OUT = "fetched", "continued", "cached", "left out"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image in an archive.

    Attributes:
        references: its names in the archive.
        digest: its manifest's digest in the registry.
        image_id: its config's digest, which `docker load` prints.
        platform: its platform.
        index: the digest of the registry's index that lists it, if several platforms are saved.
        bases: the names of the images that have the layers left out.
    """

    references: tuple[Reference, ...]
    digest: Digest
    image_id: Digest
    platform: Platform
    index: Digest | None = None
    bases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Saved:
    """An archive.

    Attributes:
        images: its images.
        size: its length in bytes.
        is_unchanged: whether it existed already, and was left untouched.
        failures: the errors of images that were left out, with ``keep_going``.
        downloaded: the bytes of layers that were received, some of them perhaps twice.
        cached: the bytes of layers that were in the cache, or here from an earlier attempt.
        received: the bytes of layers and configs by the mirror or registry that sent them, if there are mirrors.
    """

    images: tuple[SavedImage, ...]
    size: int
    is_unchanged: bool = False
    failures: tuple[ImgfetchError, ...] = ()
    received: Mapping[str, int] = field(default_factory=dict)
    downloaded: int = 0
    cached: int = 0

    @classmethod
    def of(cls, plan: Plan, size: int, *, is_unchanged: bool = False) -> Self:
        """Return the archive of a plan."""
        images = tuple(
            SavedImage(
                selection.references,
                image.manifest.descriptor.digest,
                image.manifest.config.digest,
                image.config.platform,
                selection.root.digest if selection.indexes else None,
                selection.bases,
            )
            for selection in plan.selections
            for image in selection.images
        )
        return cls(images, size, is_unchanged, plan.failures)


def finish(
    plan: Plan, layout: ArchiveLayout, contents: Mapping[Digest, LayerInfo], size: int, received: Mapping[str, int]
) -> Saved:
    """Return the archive that was written, and warn if old readers refuse it, or a digest is not the registry's."""
    kept = {selection.root.digest for selection in layout.selections}
    for selection in plan.selections:
        layers = {layer.digest for image in selection.images for layer in image.manifest.layers} & contents.keys()
        stored = {"plain" if digest in layout.plain else contents[digest].compression for digest in layers}
        if len(stored) > 1 and "plain" in stored:
            _logger.warning(
                "crane cannot load this archive, because only some layers of %s are compressed; "
                "for crane, use --layers plain",
                selection.references[0],
            )
        if "zstd" in stored:
            _logger.warning(
                "%s has zstd layers, which docker before 23, containerd before 1.5 and crane cannot load; "
                "for them, use --layers plain",
                selection.references[0],
            )
        if len(selection.indexes) > 1:
            _logger.warning(
                "%s has an index within an index, from which skopeo's oci-archive and containerd before 2 may find no "
                "image, and podman no digest; for these readers, save one platform",
                selection.references[0],
            )
        if selection.root.digest not in kept:
            _logger.warning(
                "the archive stores %s with decompressed layers, so its digest is not the registry's %s",
                selection.references[0],
                selection.root.digest,
            )
    return replace(Saved.of(plan, size), received=received)


class Blob(NamedTuple):
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
    """

    names: tuple[str, ...]
    blobs: tuple[Blob, ...]
    archive_size: int | None
    pulls_left: dict[str, int]
    images: tuple[ForecastImage, ...] = ()
    failures: tuple[ImgfetchError, ...] = ()

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
    """Return the cost of carrying a plan out; blobs in the store need not be fetched."""
    layout = plan.layout(remembered(plan, store), store)
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
    total = layout.tar.size if layout else None
    return Forecast(tuple(names), tuple(blobs), total, pulls_left, tuple(_images(plan)), plan.failures)


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
