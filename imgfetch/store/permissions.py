"""Directories and files that no other user of this machine can write to; root always can.

The umask decides nothing here: it can only take permissions away from the modes that are given.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from imgfetch.errors import StorageError
from imgfetch.text import clean

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
    return stat.S_ISREG(status.st_mode) and _is_private(status)


def refuse_strangers(root: Path) -> None:
    """Refuse a directory that another user can write to; group members are other users.

    Raises:
        StorageError: another user can.
        OSError: it is not there.
    """
    status = root.stat()
    if _is_private(status):
        return
    shown = clean(str(root))
    if not _is_ours(status):
        raise StorageError(
            f"{shown} belongs to another user, who could plant content in it",
            hint="choose another --cache-dir, or --no-cache",
        )
    raise StorageError(
        f"{shown} can be written by others, who could plant content in it",
        hint=f"run: chmod go-w {clean(shlex.quote(str(root)))}; or choose another --cache-dir, or --no-cache",
    )


def close_directories(root: Path, *, rehashed: Iterable[str], remembered: str) -> None:
    """Let no other user write below a directory that passed `refuse_strangers`.

    Earlier versions left the modes of these directories to the umask, so anybody may have planted something until now.
    Content that is hashed before every use is kept, and the directory gets its mode.  Content that is trusted as it is
    gets discarded if another user could have written any of it, or only renamed it.  Its directory is moved away in one
    step, so that no other process finds the right mode and the wrong content.

    Args:
        root: the directory.
        rehashed: names of directories below it whose files are hashed before every use, or hold no content.
        remembered: the name of the one whose files are trusted as they are.

    Raises:
        StorageError: a directory belongs to another user, or is something else.
        OSError: a mode cannot be changed.
    """
    if not all(_is_closed(path) for path in _with_children(root / remembered)):
        _discard(root / remembered)
    for name in rehashed:
        for path in _with_children(root / name):  # from the top, so that nobody can exchange the next one
            if not _is_closed(path):
                with suppress(FileNotFoundError):  # another process removed it meanwhile
                    _close(path)


def _with_children(path: Path) -> Iterable[Path]:
    yield path
    yield from (Path(entry) for entry in list_directory(path) if not entry.is_file(follow_symlinks=False))


def _is_closed(path: Path) -> bool:
    """Tell whether nothing that another user can write to is there; nothing at all will do."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return True
    return stat.S_ISDIR(status.st_mode) and _is_private(status)


def _close(path: Path) -> None:
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or not _is_ours(status):
        raise StorageError(
            f"{clean(str(path))} is not a directory of this user; another user may have planted it",
            hint="remove it, or choose another --cache-dir, or --no-cache",
        )
    path.chmod(DIRECTORY)


def _discard(path: Path) -> None:
    away = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with suppress(FileNotFoundError):  # another process was faster
        path.rename(away)
    with suppress(OSError):  # it is a directory
        away.unlink()
    shutil.rmtree(away, ignore_errors=True)


def _is_private(status: os.stat_result) -> bool:
    return _is_ours(status) and not status.st_mode & _WRITE


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.geteuid())
