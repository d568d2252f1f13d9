"""An open directory, whose entries are reached through its descriptor.

Whatever another user does to the path, such as renaming a directory above it or planting a link, all entries stay in
the directory that was opened and checked.  Links are not followed.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self

from imgfetch.files import storage_errors

DIRECTORY = 0o700
FILE = 0o600

_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MAX_LINKS = 40  # as Linux
_NOT_REGULAR = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO})
_FILE_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotRegularError(OSError):
    """A link, a directory or a special file where a regular file should be."""


class Folder:
    """An open directory.  Every method but `errors` and `close` raises `OSError`.

    Attributes:
        path: its path when it was opened, for messages.
        descriptor: the open directory.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    @classmethod
    def at(cls, path: Path) -> Self:
        """Open the directory at a path."""
        return cls(path, os.open(path, _OPEN))

    @classmethod
    def trusted(cls, path: Path, *, entries: bool = True) -> Self:
        """Open the directory at a path; ``entries`` requires that they can be listed.

        Raises:
            PermissionError: the path leads over a link of another user.
        """
        return cls(path, _opened(path, _OPEN if entries else _OPEN | os.O_PATH))

    @classmethod
    def made(cls, path: Path) -> Self:
        """Open the directory at a path; create it, and missing ones above it, for this user alone."""
        try:
            return cls.trusted(path)
        except FileNotFoundError as missing:
            try:
                make_directory(path)
            except FileExistsError:
                raise missing from None  # a link that leads nowhere
            return cls.trusted(path)

    def child(self, name: str, *, make: bool = False) -> Folder:
        """Open a directory in this one; ``make`` creates it, for this user alone."""
        if make:
            with suppress(FileExistsError):
                os.mkdir(name, DIRECTORY, dir_fd=self.descriptor)
        return Folder(self.path / name, os.open(name, _OPEN | os.O_NOFOLLOW, dir_fd=self.descriptor))

    def new(self, prefix: str) -> Folder:
        """Create a directory of a random name, for this user alone."""
        name = prefix + secrets.token_hex(8)
        os.mkdir(name, DIRECTORY, dir_fd=self.descriptor)
        made = self.child(name)
        if made.names() or (made.status().st_uid != os.geteuid() and keeps_modes(made)):
            raise PermissionError(errno.EPERM, f"another user replaced the new directory {name}")
        return made

    def open(self, name: str, flags: int = os.O_RDONLY) -> BinaryIO:
        """Open a regular file, unbuffered; with ``O_CREAT``, a new one is for this user alone.

        Raises:
            NotRegularError: it is a link, a directory or a special file.
        """
        try:
            descriptor = os.open(name, flags | _FILE_FLAGS, FILE, dir_fd=self.descriptor)
        except OSError as error:
            if error.errno in _NOT_REGULAR:
                raise NotRegularError(error.errno, "Not a regular file") from None
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise NotRegularError(errno.EINVAL, "Not a regular file")
        return os.fdopen(descriptor, "rb" if flags & os.O_ACCMODE == os.O_RDONLY else "r+b", 0)

    def unnamed(self) -> BinaryIO:
        """Open a new file without a name, which goes away when it is closed."""
        name, file = self.new_file()
        os.unlink(name, dir_fd=self.descriptor)
        return file

    def new_file(self) -> tuple[str, BinaryIO]:
        """Create a file of a random name, for this user alone; return the name and the open file."""
        name = f".imgfetch-{secrets.token_hex(8)}.part"
        return name, self.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def read(self, name: str, limit: int) -> bytes:
        """Return at most ``limit`` first bytes of a regular file."""
        with self.open(name) as file:
            pieces = []
            while limit > 0 and (piece := file.read(limit)):
                pieces.append(piece)
                limit -= len(piece)
            return b"".join(pieces)

    def write(self, name: str, content: bytes) -> None:
        """Create a small file, or replace one, in one step."""
        part, file = self.new_file()
        try:
            with file:
                view = memoryview(content)
                while view:
                    view = view[file.write(view) :]
            self.move(part, self, name)
        except BaseException:
            with suppress(OSError):
                os.unlink(part, dir_fd=self.descriptor)
            raise

    def status(self, name: str = "") -> os.stat_result:
        """Return the status of an entry, or of the directory itself."""
        if name:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        return os.fstat(self.descriptor)

    def names(self) -> list[str]:
        """Return the names of the entries, any of which another process may remove at any time."""
        own = os.open(".", _OPEN, dir_fd=self.descriptor)  # with a position of its own
        try:
            return os.listdir(own)  # noqa: PTH208  # a descriptor
        finally:
            os.close(own)

    def move(self, name: str, target: Folder, new: str) -> None:
        """Move a file to another name, perhaps in another directory, and replace a file of that name."""
        os.replace(name, new, src_dir_fd=self.descriptor, dst_dir_fd=target.descriptor)

    def remove(self, name: str) -> None:
        """Remove an entry if it exists, of whatever kind; first from its name, so that no other process uses it."""
        try:
            os.unlink(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            return
        except (IsADirectoryError, PermissionError):  # POSIX allows both for a directory
            if not stat.S_ISDIR(self.status(name).st_mode):
                raise
            away = f".{secrets.token_hex(8)}"
            self.move(name, self, away)
            shutil.rmtree(away, dir_fd=self.descriptor)

    @contextmanager
    def errors(self, purpose: str, name: str = "") -> Iterator[None]:
        """Turn an `OSError` of the block into a `StorageError` about the directory or an entry."""
        with storage_errors(self.path / name, purpose):
            yield

    def close(self) -> None:
        """Close the directory; without a call, this happens when nothing refers to it any more."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    __del__ = close


def _opened(path: Path, flags: int) -> int:
    """Open a directory, and follow only links of this user and of root on the way."""
    here = os.open(".", os.O_PATH | os.O_DIRECTORY)
    try:
        names, links = list(reversed(path.parts)), 0
        while names:
            name = names.pop()
            there = _step(name, here)
            status = os.fstat(there)
            if stat.S_ISLNK(status.st_mode):
                links += 1
                names += reversed(Path(os.readlink("", dir_fd=there)).parts)
            else:
                here, there = there, here
            os.close(there)
            if stat.S_ISLNK(status.st_mode) and not is_ours(status):
                raise PermissionError(errno.EPERM, f"{name} is a link of another user; name the directory it leads to")
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return os.open(".", flags, dir_fd=here)
    finally:
        os.close(here)


def _step(name: str, here: int) -> int:
    """Open a directory, or a link or file, in an open directory; an automounted directory is mounted by that."""
    try:
        return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY, dir_fd=here)
    except NotADirectoryError:
        return os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=here)


def make_directory(path: Path) -> None:
    """Create a directory, and missing ones above it, for this user alone."""
    try:
        path.mkdir(mode=DIRECTORY, exist_ok=True)
    except FileNotFoundError:
        if path == path.parent:
            raise
        make_directory(path.parent)
        path.mkdir(mode=DIRECTORY, exist_ok=True)


def is_ours(status: os.stat_result) -> bool:
    """Return ``True`` if the file or directory belongs to this user or to root."""
    return status.st_uid in (0, os.geteuid())


def is_private(status: os.stat_result) -> bool:
    """Return ``True`` if no other user can write to the file or directory; group members are other users."""
    return is_ours(status) and not status.st_mode & _WRITE


def is_secret(status: os.stat_result) -> bool:
    """Return ``True`` if a file has the owner and the mode with which `Folder.open` makes it."""
    return status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == FILE


def keeps_modes(folder: Folder) -> bool:
    """Return ``True`` if a file that is made for this user alone belongs to this user alone.

    File systems such as FAT, CIFS and NFS with squashed owners show fixed modes or owners instead.  The file is
    examined by the descriptor that created it, so nobody can put another one in its place.
    """
    try:
        name, made = folder.new_file()
    except OSError:
        return True  # it cannot be used anyway
    with made:
        status = os.fstat(made.fileno())
    folder.remove(name)
    return is_secret(status)
