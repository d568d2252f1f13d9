"""Bounded reads of the files and streams that the user or the environment names.

A path must lead to a regular file: a named pipe or a device may keep imgfetch waiting forever, and some devices act
when they are opened.  ``/dev/null`` counts as an empty file.  Streams are named as open files of this process, as the
shell does for ``<(command)``; they may be pipes, but not terminals.
"""

from __future__ import annotations

import errno
import io
import os
import re
import select
import stat
import threading
from pathlib import Path
from typing import BinaryIO

STDIN = "/dev/stdin"
MAX_SETTINGS = 4 * 1024 * 1024
"""Maximum bytes of a file with settings."""

_OPEN_FILE = re.compile(r"/dev/stdin|/(?:dev|proc/self)/fd/([0-9]{1,9})")
"""Names of this process's open files."""
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_NULL = os.makedev(1, 3)
_PIECE = 64 * 1024
_KINDS = {
    stat.S_IFIFO: "a named pipe, not a regular file; to pass a stream, use <(command)",
    stat.S_IFCHR: "a device, not a regular file",
    stat.S_IFBLK: "a device, not a regular file",
    stat.S_IFSOCK: "a socket, not a regular file",
}

_pipes: dict[tuple[int, int, int], bytes] = {}
"""The content of pipes that have been read, by descriptor, device and inode; no inode is used for two pipes."""
_lock = threading.Lock()


def own_descriptor(path: str | os.PathLike[str]) -> int | None:
    """Return the number of this process's open file that a path names, or ``None``."""
    match = _OPEN_FILE.fullmatch(os.fspath(path))
    return int(match[1] or 0) if match else None


def read_settings(path: str | os.PathLike[str], limit: int = MAX_SETTINGS) -> bytes:
    """Return the content of a file with settings, or of a stream, which may be read several times.

    Raises:
        OSError: it cannot be read, has more than ``limit`` bytes, or is neither a regular file nor a stream.
    """
    own = own_descriptor(path)
    if own is not None:
        return _read_stream(own, limit)
    if _is_null(Path(path).stat()):
        return b""
    descriptor = open_regular(path)
    try:
        return _read(descriptor, limit)
    finally:
        os.close(descriptor)


def open_regular(path: str | os.PathLike[str], flags: int = 0) -> int:
    """Open a regular file to be read, and nothing else; suits the ``opener`` of `open`.

    Raises:
        OSError: it cannot be opened, or is not a regular file.
    """
    _require_regular(Path(path).stat())  # before it is opened, because a watchdog, for example, would start
    descriptor = os.open(path, _FLAGS | flags)
    try:
        _require_regular(os.fstat(descriptor))  # another file may have replaced it
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def opened_regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Open a regular file, and no pipe that another user has put there in the meantime; as `open_regular`."""
    return open(os.fspath(path), "rb", opener=open_regular)


def wait_for(file: int | BinaryIO) -> None:
    """Wait for data from a file in non-blocking mode; programs such as ssh may leave stdin in it."""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    poll.poll()


def _require_regular(status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if kind != stat.S_IFREG:
        raise OSError(errno.EINVAL, f"it is {_KINDS.get(kind, 'not a regular file')}")


def _is_null(status: os.stat_result) -> bool:
    """Return whether a file is /dev/null, which stands for an empty file."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL


def _read_stream(descriptor: int, limit: int) -> bytes:
    """Return the content of an open file again and again, because each host's certificates are read anew."""
    if os.isatty(descriptor):
        raise OSError(errno.EINVAL, "it is a terminal; use a pipe, or name a file")
    status = os.fstat(descriptor)
    with _lock:
        if stat.S_ISREG(status.st_mode):
            position = os.lseek(descriptor, 0, os.SEEK_CUR)
            content = _read(descriptor, limit)
            os.lseek(descriptor, position, os.SEEK_SET)
            return content
        key = descriptor, status.st_dev, status.st_ino
        if key not in _pipes:
            _pipes[key] = _read(descriptor, limit, waits=True)
        return _pipes[key]


def _read(descriptor: int, limit: int, *, waits: bool = False) -> bytes:
    """Read to the end; ``waits`` is for streams whose data is yet to come."""
    content = bytearray()
    while len(content) <= limit:
        try:
            piece = os.read(descriptor, _PIECE)
        except BlockingIOError:
            if not waits:
                raise
            wait_for(descriptor)
            continue
        if not piece:
            return bytes(content)
        content += piece
    raise OSError(errno.EINVAL, f"it is larger than {limit} bytes")
