"""A file of checksums for archives, as ``sha256sum -c`` reads it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from imgfetch.files import atomic_write, storage_errors
from imgfetch.inputs import open_regular

CHECKSUMS = "SHA256SUMS"
_MODE = 0o666


def write_checksums(directory: Path, names: Iterable[str]) -> None:
    """Write the checksums of files in a directory to a file there, sorted by name.

    Raises:
        StorageError: a file cannot be read, or the checksums cannot be written.
    """
    lines = []
    for name in sorted(names):
        with storage_errors(directory / name, "read"), os.fdopen(open_regular(directory / name), "rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    with atomic_write(directory / CHECKSUMS, mode=_MODE, durable=True) as file:
        file.write("".join(lines).encode())


def forget_checksums(directory: Path) -> None:
    """Remove the file of checksums, if there is one, because an archive has changed."""
    path = directory / CHECKSUMS
    with storage_errors(path, "remove"):
        path.unlink(missing_ok=True)
