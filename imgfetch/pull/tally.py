"""The bytes of a save: those that were downloaded, and those that were here."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence

from imgfetch.progress import Item, Progress


class Tally(Progress):
    """Counts bytes, and passes everything on."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._received: dict[str, int] = defaultdict(int)
        self._here: dict[str, int] = defaultdict(int)
        self._done: dict[str, int] = defaultdict(int)

    def share(self, items: Iterable[Item]) -> tuple[int, int]:
        """Return the bytes of finished blobs that were received, also twice, and of those that were here.

        What was received is here the next time, so the shares of several archives add up.
        """
        downloaded = cached = 0
        with self._lock:
            for item in items:
                downloaded += self._received.pop(item.name, 0)
                cached += self._here[item.name]
                self._here[item.name] = item.size
        return downloaded, cached

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
            self._received[item.name] += max(count, 0)
            self._done[item.name] += count
            self._here[item.name] = min(self._here[item.name], self._done[item.name])
        self._progress.advanced(item, count)

    def resumed(self, item: Item, count: int) -> None:
        """Note the bytes of an earlier attempt."""
        with self._lock:
            self._here[item.name] += count
            self._done[item.name] += count
        self._progress.resumed(item, count)

    def interrupted(self, item: Item, reason: str) -> None:
        """Pass it on."""
        self._progress.interrupted(item, reason)

    def failed(self, item: Item) -> None:
        """Pass it on."""
        self._progress.failed(item)

    def finished(self, item: Item, *, cached: bool) -> None:
        """Count the bytes that were here."""
        if cached:
            with self._lock:
                self._here[item.name] = item.size
        self._progress.finished(item, cached=cached)
