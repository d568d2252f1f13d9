"""What a cache holds, and what of it goes when it has grown too large.

The least recently used goes first; what a run that is alive needs, or is just bringing, never goes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from imgfetch.errors import StorageError, VerificationError
from imgfetch.files import storage_errors
from imgfetch.oci.digest import Digest
from imgfetch.store.locks import StoreLocks
from imgfetch.store.permissions import list_directory

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A blob in a cache, or what has come of one.

    Attributes:
        digest: the blob's.
        size: bytes that it takes.
        used: when it was used last, in seconds since 1970.
        is_part: whether it is not all there.
        path: the file.
    """

    digest: Digest
    size: int
    used: float
    is_part: bool
    path: Path

    @property
    def age(self) -> float:
        """Seconds since it was used last."""
        return max(time.time() - self.used, 0.0)


def entries(root: Path) -> list[Entry]:
    """Return what a cache holds, the least recently used first.

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
            with suppress(FileNotFoundError, VerificationError):  # gone meanwhile, or none of ours
                status = file.stat()
                digest = Digest.parse(f"{algorithm.name}:{file.name}")
                yield Entry(digest, status.st_size, status.st_mtime, below == "parts", Path(file))


def trim(root: Path, limit: int) -> list[Entry]:
    """Make a cache no larger than ``limit`` bytes, as far as nobody needs what is in it; return what went.

    A disk that refuses is told as a warning, for what was to be done is done.
    """
    try:
        if sum(entry.size for entry in entries(root)) <= limit:
            return []
        return prune(root, limit=limit)
    except StorageError as error:
        _logger.warning("the cache could not be made smaller: %s", error)
        return []


def prune(root: Path, *, limit: int = 0, keep: Callable[[Entry], bool] = lambda _: False) -> list[Entry]:
    """Remove what nobody needs, the least recently used first, until no more than ``limit`` bytes are left.

    Args:
        root: the cache.
        limit: bytes that may stay.
        keep: says of an entry that it is to stay in any case.

    Raises:
        StorageError: it cannot be read or written.
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
