"""The pieces of a blob that arrived before the bytes in front of them.

They wait in a file without a name, so a process that is killed leaves none of them, and a partial download never has
holes.  The file is a ring: a byte's place in it is its position in the blob modulo the file's size.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Self

from imgfetch.files import storage_errors
from imgfetch.store.folder import Folder


class Window:
    """A ring of bytes on the disk.  Its owner must not use it from several threads at a time, nor after `close`.

    Every method raises `StorageError` if the file cannot be read or written.

    Attributes:
        size: the number of bytes that have room.
    """

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self.size = size
        self._file = file
        self._path = path

    @classmethod
    def beside(cls, folder: Folder, size: int) -> Self:
        """Create a ring in a directory."""
        with folder.errors("write"):
            return cls(folder.unnamed(), folder.path, size)

    def write(self, position: int, data: bytes) -> None:
        """Keep the bytes at a position of the blob."""
        view = memoryview(data)
        with storage_errors(self._path, "write"):
            while view:
                at = position % self.size
                count = os.pwrite(self._file.fileno(), view[: self.size - at], at)
                view, position = view[count:], position + count

    def read(self, position: int, count: int) -> bytes:
        """Return at most ``count`` bytes at a position, which were written before."""
        at = position % self.size
        with storage_errors(self._path, "read"):
            return os.pread(self._file.fileno(), min(count, self.size - at), at)

    def close(self) -> None:
        """Remove it."""
        self._file.close()
