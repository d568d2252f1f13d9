"""The directory of a store: where everything is, and that nobody else can write there."""

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
    """Names the files of a store; safe to be used from several threads.

    Attributes:
        root: the directory, which need not be there yet.
    """

    def __init__(self, root: Path) -> None:
        """Look at nothing yet."""
        self.root = root
        self._mutex = threading.Lock()
        self._is_closed = False

    def blob(self, digest: Digest) -> Path:
        """Return where a blob is when it is whole and verified."""
        return self.root / "blobs" / digest.algorithm / digest.encoded

    def part(self, digest: Digest) -> Path:
        """Return where a blob is until then."""
        return self.root / "parts" / digest.algorithm / digest.encoded

    def layer(self, digest: Digest) -> Path:
        """Return where the findings about a layer are."""
        return self.root / _TRUSTED / digest.algorithm / digest.encoded

    def secure(self) -> None:
        """Refuse a directory that others can write to, and let nobody else write to those below it.

        Earlier versions left the modes below to the umask, so anybody may have planted something until now.  Content
        that is hashed before every use is kept, and its directory gets its mode.  Content that is trusted as it is gets
        discarded if another user could have written any of it, or only renamed it.  Its directory is moved away in one
        step, so that no other process finds the right mode and the wrong content.

        Raises:
            StorageError: others can write to it, or a directory below it is not this user's.
            OSError: it is not there, or a mode cannot be changed.
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
            f"{shown} belongs to another user, who could plant content in it",
            hint="choose another --cache-dir, or --no-cache",
        )
    raise StorageError(
        f"{shown} can be written by others, who could plant content in it",
        hint=f"run: chmod go-w {sanitize(shlex.quote(str(root)))}; or choose another --cache-dir, or --no-cache",
    )


def _with_children(path: Path) -> Iterator[Path]:
    yield path
    yield from (Path(entry) for entry in list_directory(path) if not entry.is_file(follow_symlinks=False))


def _is_closed(path: Path) -> bool:
    """Tell whether nothing that another user can write to is there; nothing at all will do."""
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
    with suppress(OSError):  # it is a directory
        away.unlink()
    shutil.rmtree(away, ignore_errors=True)
