"""Atomic file replacement, checks for free space, and the messages about files that fail, such as on a full disk.

A full disk, or a quota that is used up, is reported in two ways:

* by `require_free_space` before the download, and again after it if the archive's size depends on the layers: ``not
  enough space in DIRECTORY: 2 GB needed (1 GB for layers and 1 GB for the archive), 500 MB free``;
* by `storage_errors` when an operation fails: ``cannot PURPOSE FILE: No space left on device (0 B free)``.

Both are a `StorageError`, exit status 7, with the same hint.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from imgfetch import shortage, threads
from imgfetch.errors import NoSpaceError, ResourceError, StorageError
from imgfetch.text import format_size, sanitize

BUFFER = 1024 * 1024
_SYNC_INTERVAL = 0.1  # seconds
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
NO_SPACE = "free some space, or choose another output or cache directory"
NO_TEMPORARY_SPACE = "free some space for temporary files, or name another directory for them: TMPDIR=DIR"
_TEMPORARY = "a temporary "
"""The beginning of the names of temporary files in messages."""
_UNUSABLE = "choose another --cache-dir, or save with --no-cache"
HINTS = {
    errno.EBUSY: "mount its directory instead of the file",
    errno.EISDIR: "name a file in it",
    errno.EPERM: "choose another name or directory; lsattr shows whether a file or directory is immutable",
}
"""The next step after a failure to write; `imgfetch.cli.advice` adds what the command can do."""


class Identity(NamedTuple):
    """A file and its state; it changes if the file is written to, or replaced by another file of the same name."""

    device: int
    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, file: BinaryIO) -> Self:
        """Return the identity of an open file."""
        return cls.of_status(os.fstat(file.fileno()))

    @classmethod
    def of_status(cls, status: os.stat_result) -> Self:
        """Return the identity of the file with a status."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@contextmanager
def storage_errors(path: Path | str, purpose: str) -> Iterator[None]:
    """Turn an `OSError` of the block into a `StorageError`: ``cannot PURPOSE PATH``.

    A path of a file or directory is shown with the free space on its disk; a string, which names a stream or a device,
    is not.
    """
    try:
        yield
    except OSError as error:
        shown, place = sanitize(os.fspath(path)), path if isinstance(path, Path) else None
        reason = error.strerror or str(error)
        if error.errno in _NO_SPACE:
            with suppress(OSError):  # a device has no free space
                if place and not place.is_char_device():
                    reason += f" ({format_size(shutil.disk_usage(place.parent).free)} free)"
            advice = NO_TEMPORARY_SPACE if shown.startswith(_TEMPORARY) else NO_SPACE
            raise NoSpaceError(f"cannot {purpose} {shown}: {reason}", hint=advice, path=place) from error
        if lack := shortage.of(error):
            raise ResourceError(f"cannot {purpose} {shown}: {reason}", hint=lack.hint, path=place) from error
        hints = HINTS if purpose == "write" else {}
        hint = _UNUSABLE if purpose == "use" else hints.get(error.errno or 0)
        raise StorageError(f"cannot {purpose} {shown}: {reason}", hint=hint, path=place) from error


@contextmanager
def atomic_write(path: Path, *, mode: int, durable: bool, folders: tuple[int, int] | None = None) -> Iterator[BinaryIO]:
    """Yield a file that replaces ``path`` atomically when the block succeeds, and is removed when it fails.

    A symbolic link at ``path`` is replaced, never followed; see docs/registries.md#output-files.  ``durable`` syncs the
    content to the disk before the rename.  ``folders`` are the descriptors of two open directories on one file system,
    that of the unfinished file and that of ``path``; by default, both are the latter.  A `StorageError` means that the
    file cannot be written.
    """
    if folders is None:
        with storage_errors(path, "write"):
            parent = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            with atomic_write(path, mode=mode, durable=durable, folders=(parent, parent)) as file:
                yield file
        finally:
            os.close(parent)
        return
    parts, target = folders
    part = f".imgfetch-{secrets.token_hex(8)}.part"
    try:
        with storage_errors(path, "write"):
            descriptor = os.open(part, _FLAGS, mode, dir_fd=parts)
            with os.fdopen(descriptor, "w+b", BUFFER) as file:
                with _syncing(descriptor) if durable else nullcontext():
                    yield file
                    file.flush()
                if durable:
                    os.fsync(descriptor)
            os.replace(part, path.name, src_dir_fd=parts, dst_dir_fd=target)
            if durable:
                _sync_directory(target)
    finally:
        with suppress(OSError):
            os.unlink(part, dir_fd=parts)


@contextmanager
def locked_directory(path: Path) -> Iterator[None]:
    """Wait for other processes that lock a directory, unless the file system has no locks."""
    with storage_errors(path, "open"):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def require_free_space(needs: Iterable[tuple[Path, int, str]]) -> None:
    """Raise a `StorageError` if a file system has too little free space.

    Each of ``needs`` is an existing directory, the number of bytes to write there, and a name for them.
    """
    by_device: dict[int, list[tuple[Path, int, str]]] = {}
    for need in needs:
        with storage_errors(need[0], "use"):
            by_device.setdefault(need[0].stat().st_dev, []).append(need)
    for together in by_device.values():
        directory = together[0][0]
        needed = sum(count for _, count, _ in together)
        with storage_errors(directory, "use"):
            free = shutil.disk_usage(directory).free
        if needed > free:
            shares = " and ".join(f"{format_size(count)} for {label}" for _, count, label in together if count)
            raise NoSpaceError(
                f"not enough space in {sanitize(str(directory))}: {format_size(needed)} needed ({shares}), "
                f"{format_size(free)} free",
                hint=NO_SPACE,
                path=directory,
            )


@contextmanager
def _syncing(descriptor: int) -> Iterator[None]:
    """Sync a file to the disk repeatedly while it is written, so that the last sync is short.

    Without a thread, all is left to the last sync.

    The error of a failed sync is raised, because the system may report it only once.
    """
    own = os.dup(descriptor)  # the other may be closed before the thread ends
    is_over, failures = threading.Event(), deque[OSError]()

    def work() -> None:
        try:
            while not is_over.wait(_SYNC_INTERVAL):
                os.fdatasync(own)
        except OSError as error:
            failures.append(error)
        finally:
            os.close(own)

    thread = threads.start(work, "imgfetch-sync")
    try:
        yield
    finally:
        is_over.set()
        if thread is None:
            work()
    if thread:
        thread.join()
    if failures:
        raise failures[0]


def _sync_directory(directory: int) -> None:
    """Sync a rename to the disk, if the system can open the directory."""
    with suppress(OSError):  # some network file systems cannot
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=directory)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
