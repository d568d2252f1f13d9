"""A directory beside the output, for unfinished files.

It is on the output's file system, so that renaming is atomic.  Its name is made from the output's, so that a run finds
the partial downloads of a killed run for the same output.  A lock keeps it for one process at a time.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from imgfetch.files import storage_errors

STORE = "store"
_LOCK = "lock"
_LONGEST_NAME = 255


def name(output: Path) -> str:
    """Return the directory's name, which is hidden, and not too long for a file system."""
    plain = f".{output.name}.imgfetch"
    if len(os.fsencode(plain)) <= _LONGEST_NAME:
        return plain
    return f".{hashlib.sha256(os.fsencode(output.name)).hexdigest()}.imgfetch"


@contextmanager
def beside(output: Path) -> Iterator[Path]:
    """Yield the directory for an output file, and remove it at the end; if the block fails, keep downloaded layers.

    Raises:
        StorageError: it cannot be created.
    """
    with ExitStack() as stack:
        path = output.parent / name(output)
        with storage_errors(output, "write"):
            path = (
                path if _is_ours(path, stack) else Path(tempfile.mkdtemp(prefix=name(output)[:32], dir=output.parent))
            )
        try:
            yield path
        except BaseException:
            blobs = [file for below in ("layers", "parts") for file in (path / STORE / below).rglob("*")]
            _remove(path, but=[STORE] if any(file.is_file() for file in blobs) else [])
            raise
        _remove(path)


def _is_ours(path: Path, stack: ExitStack) -> bool:
    """Create a directory, or reuse an old one; return ``False`` if another process uses it, or a user can enter it.

    It is not locked by filelock, which would create a directory again that another process has just removed.
    """
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    try:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            return False
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:  # Its process has just removed it.
        return _is_ours(path, stack)
    stack.callback(os.close, lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # Another process holds it, or the file system has no locks.
        return False
    return os.fstat(lock).st_nlink > 0 or _is_ours(path, stack)


def _remove(path: Path, but: Collection[str] = ()) -> None:
    """Remove the directory, or all but some of its entries and the lock.

    The lock goes last.  From then on the directory may belong to another process, so only an empty one is removed.
    """
    with suppress(OSError):  # What is left is removed by the next run.
        for entry in path.iterdir():
            if entry.name == _LOCK or entry.name in but:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink()
        if not but:
            (path / _LOCK).unlink(missing_ok=True)
            path.rmdir()
