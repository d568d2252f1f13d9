"""Findings about layers that were decompressed once, so that no later run has to do it again.

They are trusted as they are, for nothing but the layer itself can confirm them.  So only a file in which no other user
can have written counts; see `imgfetch.store.directory`.
"""

from __future__ import annotations

from contextlib import suppress

from imgfetch.errors import ImgfetchError, StorageError
from imgfetch.files import atomic_write
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.digest import Digest
from imgfetch.store.directory import StoreDirectory
from imgfetch.store.permissions import FILE, is_private_file, make_directory, open_regular

_MAX_NOTE = 4096


class RememberedLayers:
    """Findings about layers, by the layers' digests; safe to be used from several threads."""

    def __init__(self, directory: StoreDirectory) -> None:
        """Read nothing yet."""
        self._directory = directory

    def get(self, digest: Digest, algorithm: str) -> LayerInfo | None:
        """Return what was found in a layer before, if that is known.

        Args:
            digest: the layer's.
            algorithm: in which its ``diff_id`` is wanted.
        """
        try:
            self._directory.secure()
            with open_regular(self._directory.layer(digest)) as file:
                if not is_private_file(file):
                    return None
                contents = LayerInfo.from_json(file.read(_MAX_NOTE))
        except (OSError, ImgfetchError):
            return None
        return contents if contents.diff_id.algorithm == algorithm else None

    def add(self, digest: Digest, contents: LayerInfo) -> None:
        """Keep what was found in a layer, for the next run; a disk that refuses costs only time."""
        path = self._directory.layer(digest)
        with suppress(StorageError, OSError):
            make_directory(path.parent)
            with atomic_write(path, mode=FILE, durable=False) as file:
                file.write(contents.to_json())
