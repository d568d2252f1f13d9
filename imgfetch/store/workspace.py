"""Directories for unfinished files.

The one beside the output is on the output's file system, so that renaming is atomic.  Its name is made from the
output's, so that a run finds the partial downloads of a killed run for the same output.  A lock keeps it for one
process at a time.  Without locks, or if the directory is another user's or in use, it gets a random name instead.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from imgfetch.files import Identity, storage_errors
from imgfetch.store.directory import LAYERS, PARTS, STORE
from imgfetch.store.flock import FileLock
from imgfetch.store.folder import Folder, keeps_modes

_LOCK = "lock"
_LONGEST_NAME = 255
_OWN = re.compile(rf"(?:{_LOCK}|{STORE}|\.imgfetch-\w+\.part|\.nfs\w+|\.fuse_hidden\w+)\Z")
"""The names in a workspace."""
_LINGERING = (".nfs", ".fuse_hidden")
"""First characters of the names that file systems give to files that are removed while they are open."""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_TRIES = 20
_PAUSE = 0.05  # seconds


class Workspace(NamedTuple):
    """An open directory beside an output.

    Attributes:
        folder: the directory.
        parent: the output's directory.
    """

    folder: Folder
    parent: Folder

    @property
    def folders(self) -> tuple[int, int]:
        """The descriptors of both."""
        return self.folder.descriptor, self.parent.descriptor

    @property
    def ignores_case(self) -> bool:
        """True if names that differ only in case are one for the file system."""
        own = self.folder.path
        return own.with_name(own.name.swapcase()).exists()


def name(output: Path) -> str:
    """Return the directory's name, which is hidden, and not too long for a file system."""
    plain = f".{output.name}.imgfetch"
    if len(os.fsencode(plain)) <= _LONGEST_NAME:
        return plain
    return f".{hashlib.sha256(os.fsencode(output.name)).hexdigest()}.imgfetch"


@contextmanager
def beside(output: Path, *, keeps: Callable[[], bool] = lambda: False) -> Iterator[Workspace]:
    """Yield the directory for an output file, and remove it at the end; if the block fails, keep downloaded layers.

    ``keeps`` returns ``True`` if they are to be kept after another block.

    Raises:
        StorageError: it cannot be created.
    """
    with storage_errors(output, "write"):
        parent = Folder.trusted(output.parent, entries=False)
        lock = _locked(parent, name(output))
        folder = lock.folder if lock else parent.new(name(output)[:32])
    is_kept = False
    try:
        yield Workspace(folder, parent)
        is_kept = keeps() and lock is not None and _keeps_layers(folder)
    except BaseException:
        is_kept = lock is not None and _keeps_layers(folder)
        raise
    finally:
        _remove(parent, folder, lock, is_kept=is_kept)
        folder.close()
        parent.close()


@contextmanager
def temporary() -> Iterator[Folder]:
    """Yield one of the system's temporary directories, and remove it at the end.

    Raises:
        StorageError: it cannot be created.
    """
    with storage_errors("a temporary directory", "create"):
        parent = Folder.trusted(Path(tempfile.gettempdir()), entries=False)
        folder = parent.new("imgfetch-")
    try:
        yield folder
    finally:
        _remove(parent, folder, None)
        folder.close()
        parent.close()


def _locked(parent: Folder, name: str) -> FileLock | None:
    """Create a directory, or reuse an old one, and lock it; return ``None`` if that is impossible.

    Raises:
        OSError: no directory can be created.
    """
    for _ in range(_TRIES):
        try:
            folder = parent.child(name, make=True)
        except FileNotFoundError:
            continue  # another process has just removed it
        except (NotADirectoryError, PermissionError):  # another user's
            return None
        lock = FileLock(folder, _LOCK)
        try:
            if not _is_for_us(folder) or not lock.acquire():
                return None
        except FileNotFoundError:
            continue
        except OSError:  # the file system has no locks, or is full
            _remove(parent, folder, lock, is_kept=_keeps_layers(folder))
            return None
        if lock.is_current:
            return lock
        lock.release()
    return None


def _is_for_us(folder: Folder) -> bool:
    """Return ``True`` for a workspace if no other user can use it, or if the file system keeps no modes.

    Another user may have given the name to a directory of this user that is none.
    """
    names = set(folder.names())
    if (names and not names >= {_LOCK}) or not all(_OWN.match(name) for name in names):
        return False
    status = folder.status()
    if status.st_uid == os.geteuid() and not status.st_mode & _OTHERS:
        return True
    return not keeps_modes(folder)


@contextmanager
def kept(output: Path) -> Iterator[Folder | None]:
    """Yield the directory beside an output if it has layers for the next run, and no other process uses it."""
    with ExitStack() as stack:
        found = None
        with suppress(OSError):
            parent = stack.enter_context(closing(Folder.trusted(output.parent, entries=False)))
            folder = stack.enter_context(closing(parent.child(name(output))))
            lock = FileLock(folder, _LOCK)
            if _is_for_us(folder) and lock.acquire():
                stack.callback(lock.release)
                found = folder if lock.is_current and _keeps_layers(folder) else None
        yield found


def has_layers(store: Path) -> bool:
    """Return ``True`` if a store at a path has a layer, or part of one, which the next run can use."""
    with suppress(OSError):
        return _has_layers(Folder.at(store))
    return False


def _keeps_layers(folder: Folder) -> bool:
    with suppress(OSError):
        return _has_layers(folder.child(STORE))
    return False


def _has_layers(store: Folder) -> bool:
    for kind in (LAYERS, PARTS):
        with suppress(OSError):
            below = store.child(kind)
            if any(below.child(name).names() for name in below.names()):
                return True
    return False


def _remove(parent: Folder, folder: Folder, lock: FileLock | None, *, is_kept: bool = False) -> None:
    """Remove the directory, or what the next run cannot use.

    The lock goes last.  From then on the directory may belong to another process, so only an empty one is removed.
    """
    with suppress(OSError):  # what is left is removed by the next run
        for name in folder.names():
            if name != _LOCK and not (is_kept and name == STORE):
                with suppress(OSError):
                    folder.remove(name)
        is_kept = is_kept or not set(folder.names()) <= {_LOCK}  # a thread that has not ended may still write
    is_locked = False
    if not is_kept:
        try:
            folder.remove(_LOCK)
        except OSError:  # some file systems remove no file that is open
            is_locked = True
    if lock:
        lock.release()
    if not is_kept:
        with suppress(OSError):
            if is_locked:
                folder.remove(_LOCK)
            _remove_empty(parent, folder)


def _remove_empty(parent: Folder, folder: Folder) -> None:
    """Remove an empty directory; files that are removed while they are open may linger in it for a moment."""
    name, own = folder.path.name, Identity.of_status(folder.status())
    for _ in range(_TRIES):
        if Identity.of_status(parent.status(name))[:2] != own[:2]:
            return
        with suppress(OSError):
            os.rmdir(name, dir_fd=parent.descriptor)
            return
        if not all(left.startswith(_LINGERING) for left in folder.names()):
            return
        time.sleep(_PAUSE)
