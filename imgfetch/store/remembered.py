"""Findings about decompressed layers, so that no later run has to decompress them again.

They are trusted as they are, because only the layer itself could confirm them.  Therefore a file counts only if no
other user can have written to it; see `imgfetch.store.directory`.
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
    """Findings about layers, by the layers' digests.  Several threads may use it."""

    def __init__(self, directory: StoreDirectory) -> None:
        self._directory = directory

    def get(self, digest: Digest, algorithm: str) -> LayerInfo | None:
        """Return the findings about a layer with a ``diff_id`` in this algorithm, if there are any."""
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
        """Keep the findings about a layer for the next run; if the disk is full, that run only takes longer."""
        path = self._directory.layer(digest)
        with suppress(StorageError, OSError):
            make_directory(path.parent)
            with atomic_write(path, mode=FILE, durable=False) as file:
                file.write(contents.to_json())
