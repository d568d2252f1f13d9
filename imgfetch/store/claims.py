"""Claims for blobs: only one process, and one thread in it, downloads a blob at a time."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum, auto
from typing import Protocol

from imgfetch.oci.digest import Digest

DIGITS = 3
"""First digits of a digest; blobs that share them share a claim."""
POLL = 0.2
"""Seconds between two attempts to get a claim."""


class Claim(Enum):
    """The answer to a claim for a blob."""

    OURS = auto()
    """The lock is held."""
    BESIDE = auto()
    """Another process holds the lock and makes no progress."""
    THEIRS = auto()
    """Another process holds the lock."""


class Locks(Protocol):
    """The protection of a store's blobs against other users of the store."""

    def prepare(self) -> None:
        """Raise `OSError` if blobs cannot be locked."""

    def claim(
        self, digest: Digest, *, wait: bool, interrupt: Callable[[], None], progress: Callable[[], object]
    ) -> AbstractContextManager[Claim]:
        """Hold a blob's lock; see `StoreLocks.claim`."""

    def reserve(self, digests: Iterable[Digest]) -> None:
        """Protect blobs from eviction until `close`."""

    def close(self) -> None:
        """Release the reservations."""


class ThreadLocks:
    """The locks of a store that only this process uses."""

    def __init__(self) -> None:
        self._locks: defaultdict[Digest, threading.Lock] = defaultdict(threading.Lock)

    def prepare(self) -> None:
        """Do nothing."""

    @contextmanager
    def claim(
        self, digest: Digest, *, wait: bool, interrupt: Callable[[], None], progress: Callable[[], object]
    ) -> Iterator[Claim]:
        """Hold a blob's lock; the arguments are those of `StoreLocks.claim`."""
        del progress
        lock = self._locks[digest]
        while not (is_ours := lock.acquire(timeout=POLL if wait else 0)) and wait:
            interrupt()
        try:
            yield Claim.OURS if is_ours else Claim.THEIRS
        finally:
            if is_ours:
                lock.release()

    def reserve(self, digests: Iterable[Digest]) -> None:
        """Do nothing, because nothing is evicted."""

    def close(self) -> None:
        """Do nothing."""
