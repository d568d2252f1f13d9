"""The bytes of a save: those that were downloaded, and those that were here."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence

from imgfetch.progress import Item, Progress


class Tally(Progress):
    """Counts bytes, and passes everything on.

    Attributes:
        downloaded: all received bytes, also those that were received twice.
        cached: the bytes of verified blobs that were not received.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._here: dict[str, int] = defaultdict(int)
        self.downloaded = self.cached = 0

    def resolving(self, done: int, total: int, name: str) -> None:
        """Pass it on."""
        self._progress.resolving(done, total, name)

    def planned(self, items: Sequence[Item]) -> None:
        """Pass it on."""
        self._progress.planned(items)

    def started(self, item: Item) -> None:
        """Pass it on."""
        self._progress.started(item)

    def advanced(self, item: Item, count: int) -> None:
        """Count received bytes; after a restart, those of an earlier attempt no longer count."""
        with self._lock:
            self.downloaded += max(count, 0)
            if count < 0:
                self._here[item.name] = 0
        self._progress.advanced(item, count)

    def resumed(self, item: Item, count: int) -> None:
        """Note the bytes of an earlier attempt."""
        with self._lock:
            self._here[item.name] += count
        self._progress.resumed(item, count)

    def interrupted(self, item: Item, reason: str) -> None:
        """Pass it on."""
        self._progress.interrupted(item, reason)

    def finished(self, item: Item, *, cached: bool) -> None:
        """Count the bytes that were here."""
        with self._lock:
            self.cached += item.size if cached else self._here[item.name]
        self._progress.finished(item, cached=cached)
