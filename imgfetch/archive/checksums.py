"""A file of checksums for archives, as ``sha256sum -c`` reads it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from imgfetch.files import atomic_write, storage_errors
from imgfetch.inputs import open_regular

CHECKSUMS = "SHA256SUMS"
_MODE = 0o666


class HashedOutput:
    """A file that is hashed while it is written from its first byte to its last.

    Attributes:
        size: the number of bytes that were written.
    """

    def __init__(self, file: BinaryIO, interrupt: Callable[[], None]) -> None:
        """Take a file, and a function that is called for each piece and may raise an error to stop."""
        self._file = file
        self._interrupt = interrupt
        self._hasher = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes, /) -> int:
        """Write bytes, and return their number."""
        self._interrupt()
        self._hasher.update(data)
        self.size += len(data)
        return self._file.write(data)

    @property
    def checksum(self) -> str:
        """The checksum of what was written."""
        return self._hasher.hexdigest()


def write_checksums(directory: Path, known: Mapping[str, str | None]) -> None:
    """Write the checksums of files in a directory to a file there, sorted by name; read files if theirs is unknown.

    Raises:
        StorageError: a file cannot be read, or the checksums cannot be written.
    """
    lines = [f"{checksum or _read(directory / name)}  {name}\n" for name, checksum in sorted(known.items())]
    with atomic_write(directory / CHECKSUMS, mode=_MODE, durable=True) as file:
        file.write("".join(lines).encode())


def forget_checksums(directory: Path) -> None:
    """Remove the file of checksums, if there is one, because an archive has changed."""
    path = directory / CHECKSUMS
    with storage_errors(path, "remove"):
        path.unlink(missing_ok=True)


def _read(path: Path) -> str:
    with storage_errors(path, "read"), os.fdopen(open_regular(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
