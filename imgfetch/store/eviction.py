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
from imgfetch.store.directory import list_directory
from imgfetch.store.locks import StoreLocks

_logger = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A blob in a cache, or a partial download.

    Attributes:
        digest: the blob's digest.
        size: the file's length in bytes.
        used: the time of its last use, in seconds since 1970.
        is_part: true for a partial download.
        path: the file.
    """

    digest: Digest
    size: int
    used: float
    is_part: bool
    path: Path

    @property
    def age(self) -> float:
        """Seconds since its last use."""
        return max(time.time() - self.used, 0.0)


def entries(root: Path) -> list[Entry]:
    """Return the entries of a cache, the least recently used first.

    Raises:
        StorageError: it cannot be read.
    """
    with storage_errors(root, "read"):
        return sorted(
            (*_entries(root, "blobs"), *_entries(root, "parts")), key=lambda entry: (entry.used, entry.digest)
        )


def _entries(root: Path, below: str) -> Iterator[Entry]:
    for algorithm in list_directory(root / below):
        for file in list_directory(Path(algorithm)):
            with suppress(FileNotFoundError, VerificationError):  # just removed, or another program's file
                status = file.stat()
                digest = Digest.parse(f"{algorithm.name}:{file.name}")
                yield Entry(digest, status.st_size, status.st_mtime, below == "parts", Path(file))


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
        StorageError: the cache cannot be read or written.
    """
    if not root.is_dir():
        return []
    locks = StoreLocks(root)
    with storage_errors(root, "use"):
        locks.prepare()
    gone: list[Entry] = []
    with locks.alone():
        needed = locks.needed()
        found = entries(root)
        total = sum(entry.size for entry in found)
        for entry in found:
            if total <= limit:
                break
            if entry.digest in needed or keep(entry):
                continue
            with locks.claim(entry.digest, wait=False, interrupt=lambda: None) as is_free:
                if is_free:
                    _remove(root, entry)
                    gone.append(entry)
                    total -= entry.size
    return gone


def _remove(root: Path, entry: Entry) -> None:
    with storage_errors(entry.path, "remove"):
        entry.path.unlink(missing_ok=True)
        if not entry.is_part:
            (root / "layers" / entry.digest.algorithm / entry.digest.encoded).unlink(missing_ok=True)
