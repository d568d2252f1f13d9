"""The paths of a store's files, and their protection against every other user of this machine except root.

The umask does not matter here: it can only take permissions away from the given modes.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from imgfetch.errors import StorageError
from imgfetch.oci.digest import Digest
from imgfetch.text import sanitize

DIRECTORY = 0o700
FILE = 0o600

_WRITE = stat.S_IWGRP | stat.S_IWOTH
_HASHED = ("blobs", "parts", "locks", "runs")
"""Directories whose files are hashed before every use, or hold no content."""
_TRUSTED = "layers"
"""The directory whose files are trusted as they are."""


class StoreDirectory:
    """The paths of a store's files.  Several threads may use it.

    Attributes:
        root: the directory, which need not exist yet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._mutex = threading.Lock()
        self._is_closed = False

    def blob(self, digest: Digest) -> Path:
        """Return the path of a verified blob."""
        return self.root / "blobs" / digest.algorithm / digest.encoded

    def part(self, digest: Digest) -> Path:
        """Return the path of a partial download."""
        return self.root / "parts" / digest.algorithm / digest.encoded

    def layer(self, digest: Digest) -> Path:
        """Return the path of the findings about a layer."""
        return self.root / _TRUSTED / digest.algorithm / digest.encoded

    def secure(self) -> None:
        """Refuse a root that others can write to, and make the directories below it private.

        Earlier versions left the modes below to the umask, so other users may have planted files.  Content that is
        hashed before every use is kept, and its directory gets the right mode.  Trusted content is discarded if another
        user could have written or renamed any of it.  Its directory is moved away in one step, so that no other process
        finds the right mode and the wrong content.

        Raises:
            StorageError: others can write to the root, or a directory below it is not this user's.
            OSError: the root does not exist, or a mode cannot be changed.
        """
        _refuse_strangers(self.root)
        with self._mutex:
            if self._is_closed:
                return
            if not all(map(_is_closed, _with_children(self.root / _TRUSTED))):
                _discard(self.root / _TRUSTED)
            for name in _HASHED:
                for path in _with_children(self.root / name):  # from the top, so that nobody can exchange the next one
                    if not _is_closed(path):
                        _close(path)
            self._is_closed = True


def make_directory(path: Path) -> None:
    """Create a directory, and missing ones above it, for this user alone."""
    try:
        path.mkdir(mode=DIRECTORY, exist_ok=True)
    except FileNotFoundError:
        if path == path.parent:
            raise
        make_directory(path.parent)
        path.mkdir(mode=DIRECTORY, exist_ok=True)


def list_directory(path: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a directory, or none if it is missing; another process may remove it, or them, any time."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(path) as found:
        return list(found)
    return []


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading, unbuffered, and without waiting for the writer of a FIFO."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", 0)


def is_private_file(file: BinaryIO) -> bool:
    """Return ``True`` for a regular file that no other user can write to, now or by an earlier `open`."""
    status = os.fstat(file.fileno())
    return stat.S_ISREG(status.st_mode) and _is_private(status)


def _is_private(status: os.stat_result) -> bool:
    """Return ``True`` if no other user can write to the file or directory; group members are other users."""
    return _is_ours(status) and not status.st_mode & _WRITE


def _is_ours(status: os.stat_result) -> bool:
    """Return ``True`` if the file or directory belongs to this user or to root."""
    return status.st_uid in (0, os.geteuid())


def _refuse_strangers(root: Path) -> None:
    status = root.stat()
    if _is_private(status):
        return
    shown = sanitize(str(root))
    if not _is_ours(status):
        raise StorageError(
            f"cache directory {shown} belongs to another user, who could plant content in it",
            hint="choose another --cache-dir, or pass --no-cache",
        )
    raise StorageError(
        f"cache directory {shown} is writable by other users, who could plant content in it",
        hint=f"run: chmod go-w {sanitize(shlex.quote(str(root)))}; or choose another --cache-dir, or pass --no-cache",
    )


def _with_children(path: Path) -> Iterator[Path]:
    yield path
    yield from (Path(entry) for entry in list_directory(path) if not entry.is_file(follow_symlinks=False))


def _is_closed(path: Path) -> bool:
    """Return ``True`` for a directory that no other user can write to, and for a missing one."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return True
    return stat.S_ISDIR(status.st_mode) and _is_private(status)


def _close(path: Path) -> None:
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or not _is_ours(status):
        raise StorageError(
            f"{sanitize(str(path))} is not a directory of this user; another user may have planted it",
            hint="remove it, or choose another --cache-dir, or pass --no-cache",
        )
    path.chmod(DIRECTORY)


def _discard(path: Path) -> None:
    away = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with suppress(FileNotFoundError):  # another process was faster
        path.rename(away)
    with suppress(OSError):  # a directory, removed below
        away.unlink()
    shutil.rmtree(away, ignore_errors=True)
