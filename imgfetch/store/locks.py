"""Locks of the processes that use a cache.

Layout, below the cache's directory::

    locks/<first digits>    held during the download of a blob whose encoded digest begins with these digits
    runs/<random>.lock      held by a process as long as it lives
    runs/<random>.json      the digests that this process needs, which nobody may evict
    lock                    held for a moment, while needs are written or read

A blob's lock file is never removed: a process that waits for the old file and one that creates a new file would both
hold the lock.  Therefore their number is fixed, and two blobs may have to share one.

A process may be suspended, or its machine cut off, while it holds a lock.  After a moment, a message
names that process; if it makes no progress, the blob is downloaded beside it; see `Wait`.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from imgfetch.defaults import NOTICE
from imgfetch.errors import ImgfetchError, StorageError
from imgfetch.files import storage_errors
from imgfetch.oci.digest import Digest
from imgfetch.store.claims import DIGITS, POLL, Claim
from imgfetch.store.directory import LOCK, RUNS, StoreDirectory
from imgfetch.store.directory import LOCKS as BLOB_LOCKS
from imgfetch.store.flock import FileLock
from imgfetch.store.folder import Folder

_PATIENCE = 20.0  # seconds for a lock that is held only for a moment
_SILENT = 5.0  # seconds of waiting for a blob before the message
_STUCK = 60.0  # seconds without progress until a blob is downloaded beside the other process
_MAX_NEEDS = 16 * 1024 * 1024  # bytes

_logger = logging.getLogger(__name__)


class StoreLocks:
    """The locks of one run in one cache.  Several threads may use it.

    Every method but `prepare` raises `StorageError` if a file cannot be locked, read or written.
    """

    def __init__(self, directory: StoreDirectory) -> None:
        self._directory = directory
        self._run = secrets.token_hex(8)
        self._held: FileLock | None = None
        self._needed: set[Digest] = set()
        self._needs = ""
        self._waits: dict[Digest, Wait] = {}
        self._mutex = threading.Lock()

    def prepare(self) -> None:
        """Create the folders, and take a lock to see whether the file system has locks.

        Raises:
            OSError: that is impossible.
        """
        with self._mutex:
            if self._held is None:
                self._directory.folder(BLOB_LOCKS)
                while True:
                    held = FileLock(self._directory.folder(RUNS), f"{self._run}.lock")
                    if held.acquire() and held.is_current:
                        break
                    held.release()
                    self._run = secrets.token_hex(8)  # an eviction took the new file for that of a dead process
                self._held = held

    @contextmanager
    def claim(
        self, digest: Digest, *, wait: bool, interrupt: Callable[[], None], progress: Callable[[], object]
    ) -> Iterator[Claim]:
        """Hold a blob's lock.

        Args:
            digest: the blob.
            wait: wait until it is free, or its holder makes no progress.
            interrupt: called repeatedly while waiting; raises an error to stop.
            progress: returns a value that changes while another process downloads the blob.
        """
        with self._errors("lock", BLOB_LOCKS):
            lock = FileLock(self._directory.folder(BLOB_LOCKS), digest.encoded[:DIGITS])
        while (answer := self._answer(lock, digest, progress)) is Claim.THEIRS and wait:
            interrupt()
            time.sleep(POLL)
        try:
            yield answer
        finally:
            lock.release()

    def _answer(self, lock: FileLock, digest: Digest, progress: Callable[[], object]) -> Claim:
        with self._errors("lock", BLOB_LOCKS):
            if lock.acquire():
                self._waits.pop(digest, None)
                return Claim.OURS
        return self._waits.setdefault(digest, Wait(digest)).look(lock, progress())

    def reserve(self, digests: Iterable[Digest]) -> None:
        """Protect blobs from eviction until `close`."""
        with self._mutex:
            new = set(digests) - self._needed
            if not new:
                return
            with self.alone(), self._errors("write", RUNS):
                self._needed |= new
                self._needs += "".join(f',"{digest}"' for digest in new)  # not made anew: there may be thousands
                self._directory.folder(RUNS).write(f"{self._run}.json", f"[{self._needs[1:]}]".encode())

    def close(self) -> None:
        """Release the reservations."""
        with self._mutex:
            if self._held is not None:
                _forget(self._directory.folder(RUNS), self._run)
                self._held.release()
                self._held = None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from reserving and evicting until the block ends.

        Raises:
            StorageError: another process holds the lock for too long.
        """
        with self._errors("lock", LOCK):
            lock = FileLock(self._directory.open(), LOCK)
            end = time.monotonic() + _PATIENCE
            while not lock.acquire():
                if time.monotonic() > end:
                    raise StorageError(
                        f"{_named(lock)} has held {self._directory.root / LOCK} for more than {_PATIENCE:.0f} s",
                        hint="end that process, or choose another --cache-dir",
                        path=self._directory.root / LOCK,
                    )
                time.sleep(POLL / 10)
        try:
            yield
        finally:
            lock.release()

    def needed(self) -> frozenset[Digest]:
        """Return the digests that live processes need, and remove the files of dead ones; call it within `alone`."""
        found: set[Digest] = set()
        with self._errors("read", RUNS):
            runs = self._directory.folder(RUNS)
            names = [name.removesuffix(".lock") for name in runs.names() if name.endswith(".lock")]
        for name in names:
            lock = FileLock(runs, f"{name}.lock")
            with runs.errors("read", f"{name}.lock"):
                is_dead = name != self._run and lock.acquire()
            if is_dead:
                _forget(runs, name)
                lock.release()
            else:
                found |= _needs(runs, f"{name}.json")
        return frozenset(found)

    @contextmanager
    def _errors(self, purpose: str, name: str) -> Iterator[None]:
        with storage_errors(self._directory.root / name, purpose):
            yield


class Wait:
    """The wait for another process that downloads a blob."""

    def __init__(self, digest: Digest, clock: Callable[[], float] | None = None) -> None:
        self._digest = digest
        self._clock = clock or time.monotonic
        self._begin = self._changed = self._clock()
        self._progress: object = None
        self._is_silent = True

    def look(self, lock: FileLock, progress: object) -> Claim:
        """Return whether to wait on; ``progress`` changes while the other process downloads the blob."""
        if lock.is_own:
            return Claim.THEIRS
        now = self._clock()
        if progress != self._progress:
            self._progress, self._changed = progress, now
        if now - self._changed > _STUCK:
            _logger.warning("%s makes no progress with %s; downloading it here too", _named(lock), self._digest)
            return Claim.BESIDE
        if self._is_silent and now - self._begin > _SILENT:
            other = f"another imgfetch (process {lock.holder})" if lock.holder else "another imgfetch"
            _logger.log(NOTICE, "waiting for %s, which downloads the same layer, %s", other, self._digest)
            self._is_silent = False
        return Claim.THEIRS


def _named(lock: FileLock) -> str:
    return f"process {lock.holder}" if lock.holder else "another process"


def _needs(runs: Folder, name: str) -> set[Digest]:
    """Return the digests in a file of needs; it is missing if the run has just ended.

    Raises:
        StorageError: it cannot be read, so nobody knows what that process needs.
    """
    with runs.errors("read", name), suppress(FileNotFoundError):
        content = runs.read(name, _MAX_NEEDS)
        try:
            return {Digest.parse(text) for text in json.loads(content)}
        except (ValueError, TypeError, AttributeError, RecursionError, ImgfetchError):
            raise StorageError(
                f"cannot read {runs.path / name}: it is damaged", hint="remove it", path=runs.path / name
            ) from None
    return set()


def _forget(runs: Folder, name: str) -> None:
    for suffix in (".json", ".lock"):
        with suppress(OSError):
            runs.remove(name + suffix)
