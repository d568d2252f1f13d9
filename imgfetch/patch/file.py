"""Patches that are files or streams: opened, and recognized."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imgfetch.archive.streams import Resumed, Source, name_of
from imgfetch.errors import ImgfetchError
from imgfetch.files import storage_errors
from imgfetch.inputs import opened_regular, own_descriptor
from imgfetch.patch.container import MAGIC, PatchReader, begins_as_patch
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
def patch_or_archive(path: Path) -> Iterator[PatchReader | Source]:
    """Open a patch of any version, or else yield the source of an archive: of a pipe, with the bytes that were read.

    The errors are those of `opened_patch`.
    """
    if _is_stream(path):
        with opened_pipe(path) as pipe:
            name, beginning = name_of(path), pipe.read(len(MAGIC))
            file = io.BufferedReader(Resumed(beginning, pipe, name))
            yield PatchReader(file, name) if begins_as_patch(beginning) else file
    elif _is_patch(path):
        with opened_patch(path) as patch:
            yield patch
    else:
        yield path


@contextmanager
def _regular(path: Path) -> Iterator[io.BufferedReader]:
    with storage_errors(path, "read"):
        file = opened_regular(path)
    with file:
        yield file


def _is_stream(path: Path) -> bool:
    """Return whether a path names a pipe or a socket, which can be read only once."""
    try:
        mode = path.stat().st_mode
    except OSError:  # the next reader reports the failure
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _is_patch(path: Path) -> bool:
    """Return whether a regular file begins as a patch; an open one of this process, where it is to be read."""
    try:
        with opened_regular(path) as file:
            own = own_descriptor(path)
            position = 0 if own is None else os.lseek(own, 0, os.SEEK_CUR)
            return begins_as_patch(os.pread(file.fileno(), len(MAGIC), position))
    except (OSError, ImgfetchError):  # the next reader reports the failure
        return False
