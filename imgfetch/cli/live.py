"""The base of displays that show progress as it happens, also when nothing happens."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from imgfetch import threads
from imgfetch.cli.board import Board
from imgfetch.cli.display import Display
from imgfetch.progress import Item

_GRACE = 1.0  # seconds for the thread to end


class Live(Display):
    """Counts bytes on a `Board`, which a thread shows every few moments.

    A subclass defines `_draw`.  Without a thread, which a system may lack, `_draw` is called as bytes arrive.

    Attributes:
        interval: seconds between two calls of `_draw`.
    """

    interval = 1.0

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic, has_thread: bool = True) -> None:
        """Show progress on a stream; tests have a ``clock`` of their own, and call `tick` instead of a thread."""
        super().__init__(stream)
        self._clock = clock
        self._board = Board(clock)
        self._has_thread = has_thread
        self._ended: threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._drawn = clock()
        self._noted: set[str] = set()

    def resolving(self, done: int, total: int, name: str) -> None:
        """Show how many images are resolved."""
        with self._lock:
            self._board.resolving(done, total, name)
            self._begin()

    def planned(self, items: Sequence[Item]) -> None:
        """Show the total."""
        super().planned(items)
        with self._lock:
            self._board.planned(items)
            self._begin()

    @contextmanager
    def reading(self, name: str, size: int | None) -> Iterator[Callable[[int], None]]:
        """Show a file as the only row; without a size, only the bytes and the speed."""
        with self._lock:
            self._board.reading(name.rpartition("/")[2], size)
            self._begin()
        yield self._read
        self.close()

    def started(self, item: Item) -> None:
        """Show a blob."""
        with self._lock:
            self._board.started(item)

    def advanced(self, item: Item, count: int) -> None:
        """Count received bytes."""
        self._count(item, count, is_received=True)

    def resumed(self, item: Item, count: int) -> None:
        """Count bytes of an earlier attempt."""
        self._count(item, count, is_received=False)

    def interrupted(self, item: Item, reason: str) -> None:
        """Show the first interruption of each blob as a message."""
        with self._lock:
            if item.name in self._noted:
                return
            self._noted.add(item.name)
        self.message("info", reason)

    def failed(self, item: Item) -> None:
        """Show a blob no longer, and count it no more."""
        with self._lock:
            self._board.failed(item)

    def finished(self, item: Item, *, cached: bool) -> None:
        """Show a blob no longer."""
        del cached
        with self._lock:
            self._board.finished(item)

    def close(self) -> None:
        """Show no more progress, until there is another plan."""
        with self._lock:
            ended, thread, self._ended, self._thread = self._ended, self._thread, None, None
            self._board.is_open = False
        if ended:
            ended.set()
        if thread and thread is not threading.current_thread():
            thread.join(_GRACE)

    def tick(self) -> None:
        """Show the present state."""
        with self._lock:
            if self._board.is_open:
                self._drawn = self._clock()
                self._draw()

    @abstractmethod
    def _draw(self) -> None:
        """Show the board."""

    def _read(self, count: int) -> None:
        self._count(None, count, is_received=True)

    def _count(self, item: Item | None, count: int, *, is_received: bool) -> None:
        with self._lock:
            self._board.advanced(item, count, is_received=is_received)
            is_due = self._thread is None and self._clock() - self._drawn >= self.interval
        if is_due:
            self.tick()

    def _begin(self) -> None:
        """Draw for the first time, and start the thread."""
        if self._ended is None:
            self._ended = threading.Event()
            if self._has_thread:
                ended = self._ended
                self._thread = threads.start(lambda: self._run(ended), "imgfetch-display")
        self._opened()

    def _opened(self) -> None:
        """Show that there is a plan."""
        self.tick()

    def _run(self, ended: threading.Event) -> None:
        while not ended.wait(self.interval):
            self.tick()
