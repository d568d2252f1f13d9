"""Patches that are files: opened, recognized, and verified without an old archive."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from imgfetch.archive.streams import Advanced, name_of
from imgfetch.errors import ImgfetchError
from imgfetch.files import storage_errors
from imgfetch.inputs import opened_regular, own_descriptor
from imgfetch.patch.container import MAGIC, PatchReader
from imgfetch.patch.head import Head
from imgfetch.patch.pipe import opened_pipe


@contextmanager
def opened_patch(path: Path) -> Iterator[PatchReader]:
    """Open a patch, which may be stdin or another open file, and read its head.

    Raises:
        UnsupportedError: it is not a patch, or one of a later version.
        VerificationError: its head is damaged.
        StorageError: it cannot be read.
    """
    with _regular(path) if own_descriptor(path) is None else opened_pipe(path) as file:
        yield PatchReader(file, name_of(path))


@contextmanager
def _regular(path: Path) -> Iterator[BinaryIO]:
    with storage_errors(path, "read"):
        file = opened_regular(path)
    with file:
        yield file


def is_patch(path: Path) -> bool:
    """Return whether a regular file begins as a patch of any version."""
    try:
        with opened_regular(path) as file:
            return file.read(len(MAGIC)).startswith(MAGIC[:-1])
    except (OSError, ImgfetchError):  # the next reader reports the failure
        return False


def verified_head(path: Path, advanced: Advanced | None = None) -> Head:
    """Return the head of a patch all of whose blocks are undamaged; only `apply` reads them and verifies their result.

    Args:
        path: the patch.
        advanced: called with numbers of bytes that have been read.

    Raises:
        UnsupportedError: it is a patch of a later version.
        VerificationError: it is damaged.
        StorageError: it cannot be read.
    """
    with opened_patch(path) as patch:
        for block in patch.sealed():
            if advanced:
                advanced(len(block.script) + len(block.frame))
        return patch.head
