"""Locks of the processes that use a store.

Layout, below the store's directory::

    locks/<first digits>    held during the download of a blob whose encoded digest begins with these digits
    runs/<random>.lock      held by a process as long as it lives
    runs/<random>.json      the digests that this process needs, which nobody may evict
    lock                    held for a moment, while needs are written or read

The system releases a lock when its holder dies, whatever the cause, so the next run has nothing to clean up.  A blob's
lock file is never removed: a process that waits for the old file and one that creates a new file would both hold the
lock.  Therefore their number is fixed, and two blobs may have to share one.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from imgfetch.errors import StorageError
from imgfetch.files import storage_errors
from imgfetch.oci.digest import Digest
from imgfetch.store.directory import FILE, list_directory, make_directory
from imgfetch.text import sanitize

_DIGITS = 3  # of a digest, in the name of its lock
_POLL = 0.2  # seconds between two calls of `interrupt` while waiting
_PATIENCE = 60.0  # seconds for a lock that is held only for a moment


class StoreLocks:
    """The locks of one run in one store's directory.  Several threads may use it.

    Every method but `prepare` raises `StorageError` if a file cannot be locked, read or written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._run = root / "runs" / secrets.token_hex(8)
        self._held: filelock.BaseFileLock | None = None
        self._needed: set[Digest] = set()
        self._mutex = threading.Lock()
        self._is_prepared = False

    def prepare(self) -> None:
        """Create the directories.

        Raises:
            OSError: they cannot be created or written.
        """
        with self._mutex:
            if self._is_prepared:
                return
            for directory in (self._root / "locks", self._root / "runs"):
                make_directory(directory)
            (self._root / "lock").touch(mode=FILE)
            self._is_prepared = True

    @contextmanager
    def claim(self, digest: Digest, *, wait: bool, interrupt: Callable[[], None]) -> Iterator[bool]:
        """Hold a blob's lock.

        Args:
            digest: the blob.
            wait: wait until it is free.
            interrupt: called repeatedly while waiting; raises an error to stop.

        Yields:
            ``True`` if the lock is held.
        """
        lock = _lock(self._root / "locks" / digest.encoded[:_DIGITS])
        while not (is_ours := _taken(lock, _POLL if wait else 0)) and wait:
            interrupt()
        try:
            yield is_ours
        finally:
            lock.release()

    def reserve(self, digests: Iterable[Digest]) -> None:
        """Protect blobs from eviction until `close`."""
        with self._mutex:
            new = set(digests) - self._needed
            if not new:
                return
            with self.alone(), storage_errors(self._run, "write"):
                if self._held is None:
                    self._held = _lock(self._run.with_suffix(".lock"))
                    _taken(self._held, 0)
                self._needed |= new
                needs = self._run.with_suffix(".new")
                needs.touch(mode=FILE)
                needs.write_text(json.dumps([str(digest) for digest in sorted(self._needed)]))
                needs.replace(self._run.with_suffix(".json"))

    def close(self) -> None:
        """Release the reservations."""
        with self._mutex:
            if self._held is not None:
                _forget(self._run)
                self._held.release()
                self._held = None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from reserving and evicting until the block ends.

        Raises:
            StorageError: another process holds the lock for too long.
        """
        lock = _lock(self._root / "lock")
        if not _taken(lock, _PATIENCE):
            raise StorageError(
                f"another process has held {sanitize(str(self._root / 'lock'))} for more than {_PATIENCE:.0f} s",
                hint="end that process, or choose another --cache-dir",
            )
        try:
            yield
        finally:
            lock.release()

    def needed(self) -> frozenset[Digest]:
        """Return the digests that live processes need, and remove the files of dead ones; call it within `alone`."""
        found: set[Digest] = set()
        with storage_errors(self._root, "read"):
            entries = list_directory(self._root / "runs")
        for run in [Path(entry).with_suffix("") for entry in entries if entry.name.endswith(".lock")]:
            lock = _lock(run.with_suffix(".lock"))
            if run != self._run and _taken(lock, 0):
                _forget(run)
                lock.release()
                continue
            with storage_errors(run, "read"), suppress(FileNotFoundError):  # the run has just ended
                found |= {Digest.parse(text) for text in json.loads(run.with_suffix(".json").read_bytes())}
        return frozenset(found)


def _lock(path: Path) -> filelock.BaseFileLock:
    return filelock.FileLock(path, mode=FILE, thread_local=False)


def _taken(lock: filelock.BaseFileLock, seconds: float) -> bool:
    """Acquire a lock; return ``False`` if it is not free in time."""
    try:
        lock.acquire(timeout=seconds)
    except filelock.Timeout:
        return False
    except OSError as error:
        with storage_errors(Path(lock.lock_file), "lock"):
            raise error from None
    return True


def _forget(run: Path) -> None:
    for suffix in (".json", ".new", ".lock"):
        with suppress(OSError):
            run.with_suffix(suffix).unlink(missing_ok=True)
