"""An archive's destination: a file that is replaced atomically, a device, or a stream."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from imgfetch.files import atomic_write, storage_errors
from imgfetch.text import sanitize

Output = str | os.PathLike[str] | BinaryIO

_MODE = 0o666  # before the umask
_MAX_LINKS = 40
_OPEN_FILES = ("/dev/fd/*", "/proc/*/fd/*", "/proc/*/task/*/fd/*")
"""Names of a process's open files; /dev/stdout links to one.  A file with such a name is written as a stream."""
_OWN = ("/dev/fd", "/proc/self/fd")
_PLANTED = "it belongs to another user, and its directory is sticky"


def regular(output: Output) -> Path | None:
    """Return the path if the output is, or will be, a regular file that may be replaced.

    All others must be opened at once, before another user can put something else in their place.

    Raises:
        StorageError: the output is a directory, its name is too long, or a file there cannot be replaced.
    """
    if not isinstance(output, (str, os.PathLike)):
        return None
    path = Path(output)
    with storage_errors(path, "write"):
        if _open_file(path):
            return None
        _require_own_directories(path)
        try:
            mode = path.stat().st_mode
        except OSError as error:  # It is missing or inaccessible; writing will report a failure.
            if error.errno == errno.ENAMETOOLONG:
                raise
            mode = stat.S_IFREG
        if stat.S_ISDIR(mode) or os.fspath(output).endswith("/"):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            return None
        _require_replaceable(path)
    return path


@contextmanager
def opened(output: Output, folders: tuple[int, int] | None) -> Iterator[BinaryIO]:
    """Open a regular file for atomic replacement, a device or a pipe, or use a stream as it is.

    Args:
        output: the destination.
        folders: the open directories of an incomplete regular file, and of ``output``; ``None`` for other outputs.

    Raises:
        StorageError: the output cannot be written.
    """
    if folders is not None:
        path = Path(output)  # type: ignore[arg-type]  # a stream has no directories
        with atomic_write(path, mode=_MODE, durable=True, folders=folders) as file:
            yield file
    elif isinstance(output, (str, os.PathLike)):
        with storage_errors(os.fspath(output), "write"), os.fdopen(_open(Path(output)), "wb") as file:
            yield file
    else:
        with storage_errors("the output", "write"):
            yield output
            output.flush()


def is_terminal(output: Output) -> bool:
    """Return whether an output is a terminal, under any name."""
    if not isinstance(output, (str, os.PathLike)):
        return output.isatty()
    try:
        if not Path(output).is_char_device():
            return False
        with os.fdopen(_open(Path(output)), "wb") as file:
            return file.isatty()
    except OSError:  # Writing will report the failure.
        return False


def _require_replaceable(path: Path) -> None:
    """Find out before the download whether a rename can replace an existing file.

    ``rmdir`` removes no file, but the system first makes the checks that it makes for a rename: it returns EPERM for a
    file of another user in a directory such as /tmp, and for an immutable one, and ENOTDIR if all is well.

    Raises:
        OSError: it cannot be replaced.
    """
    try:
        owner = path.lstat().st_uid
    except OSError:  # It is missing or inaccessible; writing will report a failure.
        return
    if _mount(path, os.O_NOFOLLOW) != _mount(path.parent):
        raise OSError(errno.EBUSY, "it is a mount point, which cannot be replaced")
    try:
        path.rmdir()
    except OSError as error:
        if error.errno == errno.EPERM and owner != os.geteuid() and path.parent.stat().st_mode & stat.S_ISVTX:
            raise PermissionError(errno.EPERM, _PLANTED) from error
        if error.errno == errno.EPERM:
            raise


def _mount(path: Path, flags: int = 0) -> bytes:
    """Return the line with the number of the mount that a path is on; nothing if the system does not report it."""
    try:
        descriptor = os.open(path, os.O_PATH | flags)
        try:
            lines = Path(f"/proc/self/fdinfo/{descriptor}").read_bytes().splitlines()
        finally:
            os.close(descriptor)
    except OSError:
        return b""
    return next((line for line in lines if line.startswith(b"mnt_id:")), b"")


def _open(path: Path) -> int:
    """Open a device, a pipe or an open file of a process, and never truncate it.

    Raises:
        OSError: the path cannot be opened; or is a regular file, which must be replaced atomically; or belongs to
            another user, who could lead the archive elsewhere.
    """
    place = _open_file(path)
    *links, target = _links(path)
    for link in links:
        if link.lstat().st_uid not in {0, os.geteuid()} and link != place:
            raise PermissionError(errno.EPERM, f"{link} is a link of another user; name the file that it points to")
    if place and place.name.isdecimal() and any(os.path.realpath(own) == str(place.parent) for own in _OWN):
        return os.dup(int(place.name))  # The duplicate shares the file offset with the other users.
    if not place and _is_planted(target):
        raise PermissionError(errno.EPERM, _PLANTED)
    descriptor = os.open(place or target, os.O_WRONLY | os.O_NOCTTY | (0 if place else os.O_NOFOLLOW))
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        if not place:
            os.close(descriptor)
            raise FileExistsError(errno.EEXIST, "it became a regular file in the meantime; run the command again")
        os.lseek(descriptor, 0, os.SEEK_END)
    return descriptor


def _require_own_directories(path: Path) -> None:
    """Refuse to pass through another user's link in a directory such as /tmp, where a system may allow it."""
    for parent in path.absolute().parents:
        if parent.is_symlink() and _is_planted(parent):
            place = sanitize(str(parent))
            raise PermissionError(errno.EPERM, f"{place} is a link of another user; name the directory it leads to")


def _is_planted(path: Path) -> bool:
    """Return whether an entry is another user's in a directory such as /tmp, by Linux's rule for protected files."""
    status, parent = path.lstat(), path.parent.stat()
    is_shared = bool(parent.st_mode & stat.S_ISVTX and parent.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    return is_shared and status.st_uid not in {0, os.geteuid(), parent.st_uid}


def _open_file(path: Path) -> Path | None:
    """Return the name of a process's open file, if the path is one or links to one."""
    for link in _links(path):
        place = Path(os.path.realpath(link.parent), link.name)
        if any(place.match(pattern) for pattern in _OPEN_FILES):
            return place
    return None


def _links(path: Path) -> Iterator[Path]:
    """Yield a path and the targets of its links; the last is not a link, or one too many."""
    for _ in range(_MAX_LINKS):
        yield path
        try:
            path = path.parent / path.readlink()
        except OSError:  # It is not a link, or is missing.
            return
