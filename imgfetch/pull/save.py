"""The result of a save."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.digest import Digest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
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
    """

    references: tuple[Reference, ...]
    digest: Digest
    image_id: Digest
    platform: Platform
    index: Digest | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """An archive.

    Attributes:
        images: its images.
        size: its length in bytes.
        is_unchanged: whether it existed already, and was left untouched.
    """

    images: tuple[SavedImage, ...]
    size: int
    is_unchanged: bool = False

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
            )
            for selection in plan.selections
            for image in selection.images
        )
        return cls(images, size, is_unchanged)


def finish(plan: Plan, layout: ArchiveLayout, contents: Mapping[Digest, LayerInfo], size: int) -> Saved:
    """Return the archive that was written, and warn if old readers refuse it, or a digest is not the registry's."""
    kept = {selection.root.digest for selection in layout.selections}
    for selection in plan.selections:
        digests = {layer.digest for image in selection.images for layer in image.manifest.layers} - layout.plain
        if any(contents[digest].compression == "zstd" for digest in digests & contents.keys()):
            _logger.warning(
                "%s has layers in zstd, which docker before 23 and containerd before 1.5 cannot load; "
                "use --layers plain for them",
                selection.references[0],
            )
        if selection.root.digest not in kept:
            _logger.warning(
                "%s has decompressed layers in the archive, and therefore another digest than the registry's %s",
                selection.references[0],
                selection.root.digest,
            )
    return Saved.of(plan, size)
