"""Who is at work in a store: locks that end with the process that holds them.

Layout, below the store's directory::

    locks/<first digits>    whoever brings a blob whose encoded digest begins so holds this
    runs/<random>.lock      held by a run as long as it lives
    runs/<random>.json      the digests that this run needs, which nobody may evict
    lock                    held for a moment, while needs are written or read

The system lets a lock go when its holder dies, whatever the cause, so nothing has to be cleaned up before the next
run can go on.  A blob's lock is never removed, for whoever waits for it would then hold another one than who comes
after; so there is a fixed number of them, and two blobs may now and then have to share one.
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
from imgfetch.store.permissions import FILE, list_directory, make_directory
from imgfetch.text import sanitize

_DIGITS = 3  # of a digest, in the name of its lock
_POLL = 0.2  # seconds between two looks at whether to go on waiting
_PATIENCE = 60.0  # seconds for what should take a moment


class StoreLocks:
    """The locks of one run in one store; safe to be used from several threads."""

    def __init__(self, root: Path) -> None:
        """Hold nothing yet.

        Args:
            root: the store's directory.
        """
        self._root = root
        self._run = root / "runs" / secrets.token_hex(8)
        self._held: filelock.BaseFileLock | None = None
        self._needed: set[Digest] = set()
        self._mutex = threading.Lock()
        self._is_prepared = False

    def prepare(self) -> None:
        """Make the directories.

        Raises:
            OSError: they cannot be made or written.
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
            wait: until it is free.
            interrupt: is called while waiting, and raises an error to end that.

        Yields:
            whether it is held.

        Raises:
            StorageError: it cannot be locked.
        """
        lock = _lock(self._root / "locks" / digest.encoded[:_DIGITS])
        while not (is_ours := _taken(lock, _POLL if wait else 0)) and wait:
            interrupt()
        try:
            yield is_ours
        finally:
            lock.release()

    def reserve(self, digests: Iterable[Digest]) -> None:
        """Say that blobs are needed until `close`.

        Raises:
            StorageError: it cannot be said.
        """
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
        """Need nothing any more."""
        with self._mutex:
            if self._held is not None:
                _forget(self._run)
                self._held.release()
                self._held = None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody else say what is needed, or evict, until the block ends.

        Raises:
            StorageError: somebody else does so for too long, or it cannot be locked.
        """
        lock = _lock(self._root / "lock")
        if not _taken(lock, _PATIENCE):
            raise StorageError(
                f"another process holds {sanitize(str(self._root / 'lock'))} for more than {_PATIENCE:.0f} s",
                hint="end that process, or choose another --cache-dir",
            )
        try:
            yield
        finally:
            lock.release()

    def needed(self) -> frozenset[Digest]:
        """Return what the runs need that are alive; to be called `alone`.  What dead ones left goes away.

        Raises:
            StorageError: it cannot be read.
        """
        found: set[Digest] = set()
        with storage_errors(self._root, "read"):
            entries = list_directory(self._root / "runs")
        for run in [Path(entry).with_suffix("") for entry in entries if entry.name.endswith(".lock")]:
            lock = _lock(run.with_suffix(".lock"))
            if run != self._run and _taken(lock, 0):
                _forget(run)
                lock.release()
                continue
            with storage_errors(run, "read"), suppress(FileNotFoundError):  # ends just now, and needs nothing
                found |= {Digest.parse(text) for text in json.loads(run.with_suffix(".json").read_bytes())}
        return frozenset(found)


def _lock(path: Path) -> filelock.BaseFileLock:
    return filelock.FileLock(path, mode=FILE, thread_local=False)


def _taken(lock: filelock.BaseFileLock, seconds: float) -> bool:
    """Tell whether a lock could be had in time."""
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
