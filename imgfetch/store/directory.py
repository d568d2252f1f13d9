"""A store's directory: whether it may be used, and the folders in it.

No other user may write to it, except on a file system that keeps no modes or owners.  There everything is hashed while
it is used, and what cannot be hashed is not kept; see `StoreDirectory.is_private`.

A cache is marked by a tag (https://bford.info/cachedir/), so that no command takes other data for a cache.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shlex
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from imgfetch.errors import StorageError
from imgfetch.store.folder import DIRECTORY, Folder, NotRegularError, is_ours, is_private, keeps_modes
from imgfetch.text import sanitize

BLOBS, PARTS, LAYERS, LOCKS, RUNS, UPLOADS = KINDS = ("blobs", "parts", "layers", "locks", "runs", "uploads")
LOCK = "lock"
STORE = "store"
"""The name of a temporary store's directory."""
TAG = "CACHEDIR.TAG"
_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55\n"
_CONTENT = _SIGNATURE + b"# This directory is a cache of imgfetch.\n"
_PERMITTED = frozenset({*KINDS, LOCK, TAG, "lost+found"})
_IGNORED = re.compile(
    rf"{LAYERS}\.[0-9a-f]+|\.[0-9a-f]{{16}}|\.imgfetch-.*|\.nfs.*|\.fuse_hidden.*|\.git(?:ignore|keep)|\.keep|\.snapshot"
)
"""Entries that this package, file systems or users leave in a cache; a home may have nothing but other hidden files."""
_EARLIER = frozenset({LOCKS, RUNS, LOCK})
"""The entries by which a cache of a version without tags is recognized."""
_NO_DIRECTORY = frozenset({errno.ENOTDIR, errno.ELOOP})
_ADVICE = "choose another --cache-dir, or save with --no-cache"


class UntrustedCacheError(StorageError):
    """The cache's directory is another user's, or others can write to it, or it holds other data."""


class StoreDirectory:
    """A store's directory and the folders in it.  Several threads may use it.

    Attributes:
        root: its path.
        is_cache: false for a directory in another one that is this user's alone.
        is_private: false if the file system cannot keep other users from writing.
    """

    def __init__(self, root: Path, parent: Folder | None = None) -> None:
        """Take the path of a cache, or of a directory in ``parent``, which is this user's and needs no tag."""
        self.root = root
        self.is_cache = parent is None
        self.is_private = True
        self._parent = parent
        self._is_closed = False
        self._top: Folder | None = None
        self._folders: dict[tuple[str, str], Folder] = {}
        self._mutex = threading.RLock()

    def open(self, *, make: bool = True) -> Folder:
        """Open the directory, and check it at the first call; ``make`` creates it if it is missing.

        Raises:
            UntrustedCacheError: it is another user's, or others can write to it, or it holds other data.
            OSError: it is missing or inaccessible.
        """
        with self._mutex:
            if self._top is None:
                with ExitStack() as failing:
                    top = self._opened(make=make)
                    failing.callback(top.close)
                    self.is_private = _is_private(top)
                    if self.is_cache:
                        _require_cache(top, make=make, must_be_private=self.is_private)
                    if self.is_private:
                        _secure(top)
                    failing.pop_all()
                self._top = top
            return self._top

    def _opened(self, *, make: bool) -> Folder:
        if self._is_closed:
            raise OSError(errno.EBADF, "the store is closed")
        if self._parent is not None:
            return self._parent.child(self.root.name, make=make)
        try:
            return Folder.made(self.root) if make else Folder.trusted(self.root)
        except PermissionError:
            _refuse_strangers(self.root)
            raise

    def folder(self, kind: str, algorithm: str = "", *, make: bool = True) -> Folder:
        """Return one of the folders; ``make`` creates it if it is missing.

        Raises:
            UntrustedCacheError: as `open`.
            OSError: it is missing or inaccessible.
        """
        with self._mutex:
            found = self._folders.get((kind, algorithm))
            if found is None:
                found = self.open(make=make).child(kind, make=make)
                if algorithm:
                    with closing(found) as above:
                        found = above.child(algorithm, make=make)
                self._folders[kind, algorithm] = found
            return found

    def close(self) -> None:
        """Close the folders; a thread that still wants to use one gets an `OSError`."""
        with self._mutex:
            self._is_closed = True
            for folder in (self._top, *self._folders.values()):
                if folder:
                    folder.close()
            self._folders.clear()
            self._top = self._parent = None


def _is_private(top: Folder) -> bool:
    """Return ``False`` for a directory on a file system that keeps no modes.

    Raises:
        UntrustedCacheError: other users can write to it because of its owner or mode.
    """
    status = top.status()
    if is_private(status):
        return True
    if not keeps_modes(top):
        return False
    if not is_ours(status):
        raise _foreign(top.path)
    shown = sanitize(str(top.path))
    raise UntrustedCacheError(
        f"cache directory {shown} is writable by other users, who could plant content in it",
        hint=f"run: chmod go-w {sanitize(shlex.quote(str(top.path)))}; or {_ADVICE}",
        path=top.path,
    )


def _refuse_strangers(root: Path) -> None:
    """Raise the better error about a directory that cannot be opened because it is another user's."""
    with suppress(OSError):
        if not is_ours(root.stat()):
            raise _foreign(root)


def _foreign(root: Path) -> UntrustedCacheError:
    return UntrustedCacheError(
        f"cache directory {sanitize(str(root))} belongs to another user, who could plant content in it",
        hint=_ADVICE,
        path=root,
    )


def _require_cache(top: Folder, *, make: bool, must_be_private: bool) -> None:
    """Refuse a directory with other data; ``make`` marks one that has nothing else, as a cache of an earlier version.

    Raises:
        UntrustedCacheError: it holds other data.
        OSError: it cannot be read or marked.
    """
    names = set(top.names())
    if TAG in names:
        with suppress(FileNotFoundError, NotRegularError), top.open(TAG) as file:
            if file.read(len(_CONTENT)) != _CONTENT:
                names.add("a tag of another program")
            elif not must_be_private or _is_own(os.fstat(file.fileno())):
                return
    strange = {name for name in names - _PERMITTED if not _IGNORED.fullmatch(name)}
    if not make and not names >= _EARLIER:  # nobody has said that it is a cache
        strange |= names & set(KINDS)
    if strange:
        raise UntrustedCacheError(
            f"{sanitize(str(top.path))} is not a cache of imgfetch: it contains {sanitize(min(strange))}",
            hint="name an empty or a new directory with --cache-dir, or save with --no-cache",
            path=top.path,
        )
    if make:
        top.write(TAG, _CONTENT)


def _is_own(status: os.stat_result) -> bool:
    """Return ``True`` for a file that no other user can have put here while the directory was open."""
    return is_private(status) and status.st_nlink == 1


def _secure(top: Folder) -> None:
    """Close the folders to other users; earlier versions left the modes to the umask, so files may have been planted.

    Content that is hashed before every use is kept.  Findings about layers are discarded if another user could have
    written or renamed any of them.  They are moved away in one step, so that no other process finds the right mode and
    the wrong content.

    Raises:
        UntrustedCacheError: a folder is a link, a file or another user's.
        OSError: a mode cannot be changed.
    """
    if not all(is_private(folder.status()) for folder in _folders(top, LAYERS)):
        away = f"{LAYERS}.{secrets.token_hex(8)}"
        with suppress(FileNotFoundError):  # another process was faster
            top.move(LAYERS, top, away)
            shutil.rmtree(away, ignore_errors=True, dir_fd=top.descriptor)
    for kind in KINDS:
        for folder in _folders(top, kind):  # from the top, so that nobody can exchange the next one
            if not is_private(folder.status()):
                os.fchmod(folder.descriptor, DIRECTORY)


def _folders(top: Folder, kind: str) -> Iterator[Folder]:
    """Yield a folder, if it exists, and those in it."""
    with suppress(FileNotFoundError):
        folder = _own(top, kind)
        yield folder
        for name in folder.names():
            with suppress(FileNotFoundError):
                if not stat.S_ISREG(folder.status(name).st_mode):
                    yield _own(folder, name)


def _own(above: Folder, name: str) -> Folder:
    try:
        folder = above.child(name)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY:
            raise
        folder = None
    if folder is None or not is_ours(folder.status()):
        raise UntrustedCacheError(
            f"{sanitize(str(above.path / name))} is not a directory of this user; another user may have planted it",
            hint=f"remove it, or {_ADVICE}",
            path=above.path / name,
        )
    return folder
