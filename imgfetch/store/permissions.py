"""Directories and files that no other user of this machine except root can write to.

The umask does not matter here: it can only take permissions away from the given modes.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

DIRECTORY = 0o700
FILE = 0o600

_WRITE = stat.S_IWGRP | stat.S_IWOTH


def make_directory(path: Path) -> None:
    """Create a directory, and missing ones above it, for this user alone.

    Raises:
        OSError: it cannot be created.
    """
    try:
        path.mkdir(mode=DIRECTORY, exist_ok=True)
    except FileNotFoundError:
        if path == path.parent:
            raise
        make_directory(path.parent)
        path.mkdir(mode=DIRECTORY, exist_ok=True)


def list_directory(path: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a directory, or none if it is missing; another process may remove it, or them, any time.

    Raises:
        OSError: it cannot be read.
    """
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(path) as found:
        return list(found)
    return []


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading, unbuffered, and without waiting for the writer of a FIFO.

    Raises:
        OSError: it cannot be opened.
    """
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", 0)


def is_private_file(file: BinaryIO) -> bool:
    """Return ``True`` for a regular file that no other user can write to, now or by an earlier `open`."""
    status = os.fstat(file.fileno())
    return stat.S_ISREG(status.st_mode) and is_private(status)


def is_private(status: os.stat_result) -> bool:
    """Return ``True`` if no other user can write to the file or directory; group members are other users."""
    return is_ours(status) and not status.st_mode & _WRITE


def is_ours(status: os.stat_result) -> bool:
    """Return ``True`` if the file or directory belongs to this user or to root."""
    return status.st_uid in (0, os.geteuid())
