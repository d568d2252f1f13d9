"""Where an archive goes: a file that appears whole, a device, or a stream."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from imgfetch.files import atomic_write, storage_errors

Output = str | os.PathLike[str] | BinaryIO

_MODE = 0o666  # before the umask
_MAX_LINKS = 40
_OPEN_FILES = ("/dev/fd/*", "/proc/*/fd/*", "/proc/*/task/*/fd/*")
"""Names of what a process has open; /dev/stdout is a link to one.  A file by such a name is a stream to its user."""
_OWN = ("/dev/fd", "/proc/self/fd")


def regular(output: Output) -> Path | None:
    """Return the path of an output that is or will be a regular file, and may be replaced.

    Raises:
        StorageError: it is a directory.
    """
    if not isinstance(output, (str, os.PathLike)):
        return None
    path = Path(output)
    if _open_file(path):
        return None
    with storage_errors(path, "write"):
        try:
            mode = path.stat().st_mode
        except OSError:  # not there, or not to be seen: writing will tell
            mode = stat.S_IFREG
        if stat.S_ISDIR(mode) or os.fspath(output).endswith("/"):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return path if stat.S_ISREG(mode) else None


@contextmanager
def opened(output: Output, workspace: Path | None) -> Iterator[BinaryIO]:
    """Open a regular file that appears whole, a device or pipe by its name, or take a stream as it is.

    Args:
        output: what the user says.
        workspace: where a regular file stands until it is whole; ``None`` where the output is none.

    Raises:
        StorageError: it cannot be written.
    """
    if workspace is not None:
        path = Path(output)  # type: ignore[arg-type]  # a stream has no workspace
        with atomic_write(path, mode=_MODE, durable=True, parts=workspace) as file:
            yield file
    elif isinstance(output, (str, os.PathLike)):
        with storage_errors(os.fspath(output), "write"), os.fdopen(_open(Path(output)), "wb") as file:
            yield file
    else:
        with storage_errors("the output", "write"):
            yield output
            output.flush()


def is_terminal(output: Output) -> bool:
    """Tell whether an output is a terminal, by its own name or by another."""
    if not isinstance(output, (str, os.PathLike)):
        return output.isatty()
    try:
        if not Path(output).is_char_device():
            return False
        with os.fdopen(_open(Path(output)), "wb") as file:
            return file.isatty()
    except OSError:  # writing will tell
        return False


def _open(path: Path) -> int:
    """Open a device, a pipe or what a process has open; a file is never emptied.

    Raises:
        OSError: it cannot be opened, or is a regular file, which has to be replaced as a whole.
    """
    place = _open_file(path)
    if place and place.name.isdecimal() and any(os.path.realpath(own) == str(place.parent) for own in _OWN):
        return os.dup(int(place.name))  # which goes on where the others that have it open are
    descriptor = os.open(path, os.O_WRONLY | os.O_NOCTTY)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        if not place:
            os.close(descriptor)
            raise FileExistsError(errno.EEXIST, "it has become a regular file meanwhile; run it again")
        os.lseek(descriptor, 0, os.SEEK_END)
    return descriptor


def _open_file(path: Path) -> Path | None:
    """Return the name of what a process has open, if a path is one or leads to one link by link."""
    for link in _links(path):
        place = Path(os.path.realpath(link.parent), link.name)
        if any(place.match(pattern) for pattern in _OPEN_FILES):
            return place
    return None


def _links(path: Path) -> Iterator[Path]:
    """Yield a path, and where it leads link by link."""
    for _ in range(_MAX_LINKS):
        yield path
        try:
            path = path.parent / path.readlink()
        except OSError:  # no link, or not there
            return
