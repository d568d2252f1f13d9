"""The memory of all decompressors of this process, within one bound.

A decompressor needs a window of the last bytes that came out: 8 MiB for ``zstd -19`` and ``xz -6``, and up to 128 MiB.
Several layers are decompressed at a time, so each decompressor leases its memory, and waits if there is no room.  Only
a thread without a lease waits, and a lease that grows is given back first, so nobody waits for a thread that waits.
A thread with a lease, for a file that is compressed as a whole, gets another one at once if the sum of its own is not
more than one thread may have.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from imgfetch.errors import UnsupportedError

MAX_WINDOW = 128 * 1024 * 1024
"""Maximum bytes of a window, as in the zstd command without ``--long``."""
TOTAL = MAX_WINDOW + 8 * 1024 * 1024
"""Bytes of all leases together: of one window, and of a usual one."""
NESTED = MAX_WINDOW + 32 * 1024 * 1024
"""Bytes of one thread, for a layer in a file that is compressed: BuildKit and ``zstd -20`` make windows of 32 MiB."""
_POLL = 0.1  # seconds between two calls of `interrupt` while waiting


class Windows:
    """A number of bytes that are leased, of which a thread may have ``nested`` in several leases.

    Several threads may use it.
    """

    def __init__(self, total: int = TOTAL, nested: int = TOTAL) -> None:
        self._total = self._free = total
        self._nested = nested
        self._held: Counter[int] = Counter()  # bytes, by thread
        self._changed = threading.Condition()

    @property
    def free(self) -> int:
        """Bytes that nobody has leased."""
        return self._free

    def lease(self, interrupt: Callable[[], None] | None = None) -> Lease:
        """Return a lease of no bytes; ``interrupt`` is called often while it waits, and raises an error to stop."""
        return Lease(self, interrupt or (lambda: None))

    def take(self, size: int, interrupt: Callable[[], None]) -> int:
        """Wait for some bytes, and return the thread that holds them; `Lease.resize` has the errors."""
        thread = threading.get_ident()
        with self._changed:
            own = self._held[thread]
            if own + size > (self._nested if own else self._total):
                raise UnsupportedError(
                    f"it needs {_mib(size)} of memory for a window, and {_mib(own)} are in use for the whole file",
                    hint="decompress the file itself, and try again",
                )
            while size > self._free and not own:
                interrupt()
                self._changed.wait(_POLL)
            self._free -= size
            self._held[thread] += size
        return thread

    def give_back(self, size: int, thread: int) -> None:
        """Return bytes of a thread."""
        with self._changed:
            self._free += size
            self._held -= Counter({thread: size})  # without the threads that hold nothing
            self._changed.notify_all()


class Lease:
    """Bytes for one decompressor at a time; given back at the end of a ``with`` block, or if the object is dropped.

    Attributes:
        size: the number of bytes.
    """

    def __init__(self, windows: Windows, interrupt: Callable[[], None]) -> None:
        """Start with no bytes; `Windows.lease` does."""
        self._windows = windows
        self._interrupt = interrupt
        self.size = self._thread = 0

    def resize(self, size: int) -> None:
        """Lease at least ``size`` bytes in place of those so far, whose user has ended.

        Raises:
            UnsupportedError: there is no room beside the other leases of this thread.
        """
        if size > self.size:
            self.release()
            self._thread = self._windows.take(size, self._interrupt)
            self.size = size

    def release(self) -> None:
        """Give the bytes back."""
        size, self.size = self.size, 0
        if size:
            self._windows.give_back(size, self._thread)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def __del__(self) -> None:
        self.release()


def _mib(size: int) -> str:
    return f"{size // 1024**2} MiB"


WINDOWS = Windows(nested=NESTED)
"""Those of this process."""
