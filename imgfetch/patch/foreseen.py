"""A patch before it is made: the layers of archives, by their documents alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

from imgfetch.archive.contents import ArchivedImage
from imgfetch.archive.recognise import read_undamaged
from imgfetch.oci.digest import Digest
from imgfetch.oci.platforms import Platform
from imgfetch.patch import frames
from imgfetch.patch.given import readable, refuse_directory
from imgfetch.patch.selections import selections


class OldLayers(NamedTuple):
    """The layers of an old archive, which are not verified.

    Attributes:
        images: the platforms of its images by their names, or else by their image IDs.
        sizes: the layers by diff_id, with their sizes if they are decompressed in the archive.
    """

    images: Mapping[str, tuple[Platform, ...]]
    sizes: Mapping[Digest, int | None]

    @classmethod
    def of(cls, old: Path) -> Self:
        """Return the layers of an archive.

        Raises:
            UnsupportedError: the library that makes patches is missing, or the file is not an image archive.
            VerificationError: the archive is damaged.
            StorageError: it cannot be read.
        """
        frames.compression_library()
        with readable(old) as source:
            images = read_undamaged(source)[1].images
        sizes = {
            layer.diff_id: layer.size if layer.compression == "plain" else None
            for image in images
            for layer in image.layers
            if not layer.is_absent
        }
        platforms: dict[str, tuple[Platform, ...]] = {}
        for image in images:
            for name in _names(image):
                platforms[name] = (*platforms.get(name, ()), image.config.platform)
        return cls(platforms, sizes)


class NewLayer(NamedTuple):
    """A layer of a new archive.

    Attributes:
        size: its bytes as they are stored there.
        is_old: whether the old archive has it too.
    """

    diff_id: Digest
    size: int
    is_old: bool


class PatchForecast(NamedTuple):
    """A patch that is not made yet.

    Attributes:
        old_images: the platforms of the images in the old archive, by their names.
        images: the names, the platform and the layers of each image in the new archive.
        size: the bytes of the archive that the patch would make, if they are known.
    """

    old_images: Mapping[str, tuple[Platform, ...]]
    images: tuple[tuple[tuple[str, ...], Platform, tuple[NewLayer, ...]], ...]
    size: int | None

    @property
    def new(self) -> int:
        """The bytes of the layers that the old archive lacks: about the size of the patch if nothing in them is old."""
        layers = {layer.diff_id: layer for _, _, several in self.images for layer in several}
        return sum(layer.size for layer in layers.values() if not layer.is_old)


def foreseen(old: Path, new: Path) -> PatchForecast:
    """Return the facts about a patch that are known before it is made; the errors are those of `make_patch`."""
    found = OldLayers.of(old)
    refuse_directory(new)
    with readable(new, is_whole=True) as source:
        members, archive = read_undamaged(source)
    if not archive.is_plain:
        selections(members, archive)
    images = tuple(
        (
            _names(image),
            image.config.platform,
            tuple(NewLayer(layer.diff_id, layer.size, layer.diff_id in found.sizes) for layer in image.layers),
        )
        for image in archive.images
    )
    return PatchForecast(found.images, images, members.size if archive.is_plain else None)


def _names(image: ArchivedImage) -> tuple[str, ...]:
    return image.names or (str(image.config_digest),)
