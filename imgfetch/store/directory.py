"""The paths of a store's files, and their protection against other users."""

from __future__ import annotations

import secrets
import shlex
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from imgfetch.errors import StorageError
from imgfetch.oci.digest import Digest
from imgfetch.store.permissions import DIRECTORY, is_ours, is_private, list_directory
from imgfetch.text import sanitize

_HASHED = ("blobs", "parts", "locks", "runs")
"""Directories whose files are hashed before every use, or hold no content."""
_TRUSTED = "layers"
"""The directory whose files are trusted as they are."""


class StoreDirectory:
    """The paths of a store's files.  Several threads may use it.

    Attributes:
        root: the directory, which need not exist yet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._mutex = threading.Lock()
        self._is_closed = False

    def blob(self, digest: Digest) -> Path:
        """Return the path of a verified blob."""
        return self.root / "blobs" / digest.algorithm / digest.encoded

    def part(self, digest: Digest) -> Path:
        """Return the path of a partial download."""
        return self.root / "parts" / digest.algorithm / digest.encoded

    def layer(self, digest: Digest) -> Path:
        """Return the path of the findings about a layer."""
        return self.root / _TRUSTED / digest.algorithm / digest.encoded

    def secure(self) -> None:
        """Refuse a root that others can write to, and make the directories below it private.

        Earlier versions left the modes below to the umask, so other users may have planted files.  Content that is
        hashed before every use is kept, and its directory gets the right mode.  Trusted content is discarded if another
        user could have written or renamed any of it.  Its directory is moved away in one step, so that no other process
        finds the right mode and the wrong content.

        Raises:
            StorageError: others can write to the root, or a directory below it is not this user's.
            OSError: the root does not exist, or a mode cannot be changed.
        """
        _refuse_strangers(self.root)
        with self._mutex:
            if self._is_closed:
                return
            if not all(map(_is_closed, _with_children(self.root / _TRUSTED))):
                _discard(self.root / _TRUSTED)
            for name in _HASHED:
                for path in _with_children(self.root / name):  # from the top, so that nobody can exchange the next one
                    if not _is_closed(path):
                        _close(path)
            self._is_closed = True


def _refuse_strangers(root: Path) -> None:
    status = root.stat()
    if is_private(status):
        return
    shown = sanitize(str(root))
    if not is_ours(status):
        raise StorageError(
            f"cache directory {shown} belongs to another user, who could plant content in it",
            hint="choose another --cache-dir, or --no-cache",
        )
    raise StorageError(
        f"cache directory {shown} is writable by other users, who could plant content in it",
        hint=f"run: chmod go-w {sanitize(shlex.quote(str(root)))}; or choose another --cache-dir, or --no-cache",
    )


def _with_children(path: Path) -> Iterator[Path]:
    yield path
    yield from (Path(entry) for entry in list_directory(path) if not entry.is_file(follow_symlinks=False))


def _is_closed(path: Path) -> bool:
    """Return ``True`` for a directory that no other user can write to, and for a missing one."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return True
    return stat.S_ISDIR(status.st_mode) and is_private(status)


def _close(path: Path) -> None:
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or not is_ours(status):
        raise StorageError(
            f"{sanitize(str(path))} is not a directory of this user; another user may have planted it",
            hint="remove it, or choose another --cache-dir, or --no-cache",
        )
    path.chmod(DIRECTORY)


def _discard(path: Path) -> None:
    away = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with suppress(FileNotFoundError):  # another process was faster
        path.rename(away)
    with suppress(OSError):  # a directory, removed below
        away.unlink()
    shutil.rmtree(away, ignore_errors=True)
