"""Files that appear whole or not at all, and the space that they need."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from imgfetch.errors import StorageError
from imgfetch.text import format_size, sanitize

BUFFER = 1024 * 1024
_SYNC_INTERVAL = 0.1  # seconds
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


class Identity(NamedTuple):
    """A file and its state: another file under its name, and one that was written to, have another."""

    device: int
    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, file: BinaryIO) -> Self:
        """Return that of an open file."""
        status = os.fstat(file.fileno())
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@contextmanager
def storage_errors(path: Path | str, purpose: str) -> Iterator[None]:
    """Turn an `OSError` of the block into a `StorageError` that names ``path``.

    Args:
        path: what is worked on; a text for what is no file of its own, whose disk is not known.
        purpose: what is being done to it, such as ``write``.

    Raises:
        StorageError: the block raised an `OSError`.
    """
    try:
        yield
    except OSError as error:
        shown = sanitize(os.fspath(path))
        reason = error.strerror or str(error)
        if error.errno in _NO_SPACE:
            with suppress(OSError):  # a device has no free space
                if isinstance(path, Path) and not path.is_char_device():
                    reason += f" ({format_size(shutil.disk_usage(path.parent).free)} free)"
            raise StorageError(
                f"cannot {purpose} {shown}: {reason}", hint="free some space, or choose another --output or --cache-dir"
            ) from error
        hint = "choose another --cache-dir, or --no-cache" if purpose == "use" else None
        raise StorageError(f"cannot {purpose} {shown}: {reason}", hint=hint) from error


@contextmanager
def atomic_write(path: Path, *, mode: int, durable: bool, parts: Path | None = None) -> Iterator[BinaryIO]:
    """Yield a file that takes the place of ``path`` when the block ends well, and goes away when not.

    Both are on one file system, so that the change of name is one step.  A symbolic link at ``path`` is
    replaced, never followed (S25).

    Args:
        path: the final name.
        mode: permission bits, before the umask.
        durable: bring the content to the disk before the name (S22).
        parts: where the file stands until then; beside ``path`` if not given.

    Raises:
        StorageError: it cannot be written.
    """
    part = (parts or path.parent) / f".imgfetch-{secrets.token_hex(8)}.part"
    try:
        with storage_errors(path, "write"), os.fdopen(os.open(part, _FLAGS, mode), "w+b", BUFFER) as file:
            with _syncing(file.fileno()) if durable else nullcontext():
                yield file
                file.flush()
            if durable:
                os.fsync(file.fileno())
        with storage_errors(path, "write"):
            part.replace(path)
            if durable:
                _sync_directory(path.parent)
    finally:
        with suppress(OSError):
            part.unlink()


def require_free_space(needs: Iterable[tuple[Path, int, str]]) -> None:
    """Compare what is needed with what is free, on each file system (M19).

    Args:
        needs: directories that are there, the bytes that will be written there, and what these are.

    Raises:
        StorageError: there is too little free space.
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
            raise StorageError(
                f"no room on the file system of {sanitize(str(directory))}: {format_size(needed)} needed ({shares}), "
                f"{format_size(free)} free",
                hint="free some space (imgfetch cache prune), or choose another --output or --cache-dir",
            )


@contextmanager
def _syncing(descriptor: int) -> Iterator[None]:
    """Bring a file's content to the disk again and again while it is written, so that little is left for the end.

    Raises:
        OSError: the disk did not take it, which it may say only once.
    """
    own = os.dup(descriptor)  # whoever does not wait for the thread may close the other
    is_over, failures = threading.Event(), deque[OSError]()

    def work() -> None:
        try:
            while not is_over.wait(_SYNC_INTERVAL):
                os.fdatasync(own)
        except OSError as error:
            failures.append(error)
        finally:
            os.close(own)

    thread = threading.Thread(target=work, name="imgfetch-sync", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
    thread.join()
    if failures:
        raise failures[0]


def _sync_directory(directory: Path) -> None:
    """Bring a change of names to the disk, where the system can open a directory."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        return
    try:
        with suppress(OSError):  # some network file systems cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
