"""The archive that a patch is to make."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from imgfetch.archive.contents import Archive
from imgfetch.archive.recognise import read_undamaged
from imgfetch.archive.tarlayout import Blob, TarLayout
from imgfetch.files import storage_errors
from imgfetch.patch.head import NewImage
from imgfetch.patch.layerfile import LayerFile, temporary


class Result(NamedTuple):
    """An archive that a patch is to make.

    Attributes:
        parts: its bytes in order, with its layers in their places; they can be read once.
        images: the images in it.
        documents: the manifests and indexes that prove where the images come from, as the registry has them.
    """

    parts: Iterable[bytes | LayerFile]
    images: tuple[NewImage, ...]
    documents: tuple[bytes, ...]


def of_layout(layout: TarLayout, find: Callable[[Blob], bytes | LayerFile], documents: tuple[bytes, ...]) -> Result:
    """Return the result with a layout; ``find`` returns a document's bytes, or a layer."""
    parts = (part if isinstance(part, bytes) else find(part) for part in layout.parts())
    return Result(parts, _images(layout, find), documents)


def images_of(archive: Archive) -> tuple[NewImage, ...]:
    """Return the images of an archive as a patch names them."""
    return tuple(NewImage(image.names, image.config_digest, str(image.config.platform)) for image in archive.images)


def _images(layout: TarLayout, find: Callable[[Blob], bytes | LayerFile]) -> tuple[NewImage, ...]:
    """Return the images as a reader of the archive finds them: in a file in which the layers are holes."""
    with temporary() as file:
        with storage_errors("a temporary file", "write"):
            layout.scaffold(file)
            for blob in layout.blobs:
                if isinstance(content := find(blob), bytes):
                    layout.put(blob, 0, content, file)
        file.seek(0)
        return images_of(read_undamaged(file)[1])
