"""The entries of a cache, and the eviction of the least recently used ones.

Blobs that a live process needs or downloads are never evicted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from imgfetch.errors import StorageError, VerificationError
from imgfetch.files import storage_errors
from imgfetch.oci.digest import Digest
from imgfetch.store.claims import Claim
from imgfetch.store.directory import BLOBS, LAYERS, PARTS, StoreDirectory
from imgfetch.store.folder import Folder
from imgfetch.store.locks import StoreLocks

_logger = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A blob in a cache, or a partial download.

    Attributes:
        digest: the blob's digest.
        size: the file's length in bytes.
        used: the time of its last use, in seconds since 1970.
        is_part: true for a partial download.
        folder: the file's directory.
        name: its name there.
    """

    digest: Digest
    size: int
    used: float
    is_part: bool
    folder: Folder
    name: str

    @property
    def age(self) -> float:
        """Seconds since its last use."""
        return max(time.time() - self.used, 0.0)


def entries(root: Path) -> list[Entry]:
    """Return the entries of a cache, the least recently used first; none if there is no cache.

    Raises:
        StorageError: it cannot be read, or is not this user's cache.
    """
    with storage_errors(root, "read"), suppress(FileNotFoundError):
        directory = StoreDirectory(root)
        directory.open(make=False)
        return _entries(directory)
    return []


def _entries(directory: StoreDirectory) -> list[Entry]:
    found = (*_found(directory, BLOBS), *_found(directory, PARTS))
    return sorted(found, key=lambda entry: (entry.used, entry.digest, entry.name))


def _found(directory: StoreDirectory, kind: str) -> Iterator[Entry]:
    with suppress(FileNotFoundError):
        for algorithm in directory.folder(kind, make=False).names():
            with suppress(FileNotFoundError, NotADirectoryError):
                folder = directory.folder(kind, algorithm, make=False)
                for name in folder.names():
                    with suppress(FileNotFoundError, VerificationError):  # just removed, or another program's file
                        status = folder.status(name)
                        digest = Digest.parse(f"{algorithm}:{name.partition('.')[0]}")
                        yield Entry(digest, status.st_size, status.st_mtime, kind == PARTS, folder, name)


def trim(root: Path, limit: int) -> list[Entry]:
    """Evict entries that no process needs until a cache has at most ``limit`` bytes; return those removed.

    A failure is only a warning, because the command itself has succeeded.
    """
    try:
        if sum(entry.size for entry in entries(root)) <= limit:
            return []
        return prune(root, limit=limit)
    except StorageError as error:
        _logger.warning("cannot shrink the cache: %s", error)
        return []


def prune(root: Path, *, limit: int = 0, keep: Callable[[Entry], bool] = lambda _: False) -> list[Entry]:
    """Evict entries that no process needs, the least recently used first, and return those removed.

    Args:
        root: the cache.
        limit: stop when at most this number of bytes is left.
        keep: returns ``True`` for an entry that must stay.

    Raises:
        StorageError: the cache cannot be read or written, or is not this user's cache.
    """
    directory = StoreDirectory(root)
    try:
        with storage_errors(root, "use"):
            directory.open(make=False)
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return []
        raise
    locks = StoreLocks(directory)
    gone: list[Entry] = []
    with locks.alone():
        needed = locks.needed()
        with storage_errors(root, "read"):
            found = _entries(directory)
        total = sum(entry.size for entry in found)
        for entry in found:
            if total <= limit:
                break
            if entry.digest in needed or keep(entry):
                continue
            with locks.claim(entry.digest, wait=False, interrupt=_nothing, progress=_nothing) as claim:
                if claim is Claim.OURS:
                    _remove(directory, entry)
                    gone.append(entry)
                    total -= entry.size
    return gone


def _nothing() -> None:
    """Do not interrupt."""


def _remove(directory: StoreDirectory, entry: Entry) -> None:
    with entry.folder.errors("remove", entry.name):
        entry.folder.remove(entry.name)
        if not entry.is_part:
            with suppress(FileNotFoundError):
                directory.folder(LAYERS, entry.digest.algorithm, make=False).remove(entry.name)
