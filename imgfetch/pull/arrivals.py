"""The bytes of a blob, each reported once: when it arrives, also ahead of those before it.

Pieces of a blob arrive side by side, but are added to its partial download in order, so without this a rate would
stand still and then jump.
"""

from __future__ import annotations

import threading

from imgfetch.store.partial import Advanced, unnoticed


class Arrivals:
    """Reports bytes; called like `Advanced` for those that are added to the partial download.  Thread-safe."""

    def __init__(self, report: Advanced = unnoticed) -> None:
        """Take ``report``, which is called with numbers of bytes, negative to take some back."""
        self._report = report
        self._lock = threading.Lock()
        self._waiting = 0  # bytes that are reported and not yet added
        self._next = 0  # of these, the ones that are added next

    def early(self, count: int) -> None:
        """Report bytes that wait for others before them."""
        with self._lock:
            self._waiting += count
        self._report(count)

    def add_next(self, count: int) -> None:
        """Expect that the next bytes that are added have been reported."""
        with self._lock:
            self._next += count

    def __call__(self, count: int, *, is_new: bool = True) -> None:
        """Report bytes that are added, or a restart, unless they have been reported."""
        with self._lock:
            known = min(self._next, max(count, 0))
            self._next -= known
            self._waiting -= known
        if count != known:
            self._report(count - known, is_new=is_new)

    def keep(self, count: int = 0) -> None:
        """Take back bytes that will not be added: all that wait but some, and those that are added next."""
        with self._lock:
            dropped = self._waiting - self._next - count
            self._waiting -= dropped
        if dropped:
            self._report(-dropped)
