"""A directory beside the output, for unfinished files.

It is on the output's file system, so that renaming is atomic.  Its name is made from the output's, so that a run finds
the partial downloads of a killed run for the same output.  A lock keeps it for one process at a time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import filelock

from imgfetch.files import storage_errors

STORE = "store"
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
            _remove_all_but_blobs(path)
            raise
        shutil.rmtree(path, ignore_errors=True)


def _is_ours(path: Path, stack: ExitStack) -> bool:
    """Create a directory, or reuse an old one; return ``False`` if another process uses it, or a user can enter it."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            return False
    lock = filelock.FileLock(path / "lock", mode=0o600, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return False
    stack.callback(lock.release)
    return True


def _remove_all_but_blobs(path: Path) -> None:
    """Keep the store if it has a layer or a partial download."""
    kept = [file for below in ("layers", "parts") for file in (path / STORE / below).rglob("*") if file.is_file()]
    if not kept:
        shutil.rmtree(path, ignore_errors=True)
        return
    for other in path.iterdir():
        if other.name not in (STORE, "lock"):
            other.unlink(missing_ok=True)
