"""Directories and files that no other user of this machine can write to; root always can.

The umask decides nothing here: it can only take permissions away from the modes that are given.
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
    """Make a directory, and those above it that are missing, for this user alone.

    Raises:
        OSError: it cannot be made.
    """
    try:
        path.mkdir(mode=DIRECTORY, exist_ok=True)
    except FileNotFoundError:
        if path == path.parent:
            raise
        make_directory(path.parent)
        path.mkdir(mode=DIRECTORY, exist_ok=True)


def list_directory(path: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a directory, or none if it is gone; another process may remove it, and them, any time.

    Raises:
        OSError: it cannot be read.
    """
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(path) as found:
        return list(found)
    return []


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read it, unbuffered, and without waiting where it is a FIFO.

    Raises:
        OSError: it cannot be opened.
    """
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", 0)


def is_private_file(file: BinaryIO) -> bool:
    """Tell whether an open file is a regular one that no other user can write to, now or by an earlier `open`."""
    status = os.fstat(file.fileno())
    return stat.S_ISREG(status.st_mode) and is_private(status)


def is_private(status: os.stat_result) -> bool:
    """Tell whether no other user can write to something; group members are other users."""
    return is_ours(status) and not status.st_mode & _WRITE


def is_ours(status: os.stat_result) -> bool:
    """Tell whether something belongs to this user, or to root."""
    return status.st_uid in (0, os.geteuid())
