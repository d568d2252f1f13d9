"""The results of a save."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Self

from imgfetch.errors import ImgfetchError
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.digest import Digest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.oci.referrers import Referrer
from imgfetch.pull.plan import ArchiveLayout, Plan

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
        referrers: the signatures and the like in the archive, about this image, others with its names, or their index.
    """

    references: tuple[Reference, ...]
    digest: Digest
    image_id: Digest
    platform: Platform
    index: Digest | None = None
    bases: tuple[str, ...] = ()
    referrers: tuple[Referrer, ...] = ()


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
    def of(cls, plan: Plan, size: int, *, is_unchanged: bool = False, kept: Collection[Digest] = ()) -> Self:
        """Return the archive of a plan; ``kept`` has the digests that are in it, if some are not."""
        images = tuple(
            SavedImage(
                selection.references,
                image.manifest.descriptor.digest,
                image.manifest.config.digest,
                image.config.platform,
                selection.root.digest if selection.indexes else None,
                selection.bases,
                selection.referrers if selection.root.digest in (kept or {selection.root.digest}) else (),
            )
            for selection in plan.selections
            for image in selection.images
        )
        return cls(images, size, is_unchanged, plan.failures)


def finish(plan: Plan, layout: ArchiveLayout, contents: Mapping[Digest, LayerInfo], size: int) -> Saved:
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
                "the archive stores %s with decompressed layers, so its digest is not the registry's %s%s",
                selection.references[0],
                selection.root.digest,
                ", and its signatures are left out" if selection.referrers else "",
            )
    return Saved.of(plan, size, kept=kept)
