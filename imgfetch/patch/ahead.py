"""Work in another thread, a little ahead of its consumer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

from imgfetch import threads

_DEPTH = 8
_POLL = 0.1  # seconds


def ahead(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same pieces, which another thread computes if there is one; its error is raised behind the last."""
    worker = _Worker(pieces)
    thread = threads.start(worker.run, "imgfetch-ahead")
    if thread is None:
        yield from pieces
        return
    try:
        while isinstance(item := worker.ready.get(), bytes):
            yield item
        if item:
            raise item
    finally:
        worker.is_over.set()
        thread.join()


class _Worker:
    """Puts pieces into a queue."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.ready: queue.Queue[bytes | BaseException | None] = queue.Queue(_DEPTH)
        self.is_over = threading.Event()

    def run(self) -> None:
        try:
            for piece in self._pieces:
                if not self._put(piece):
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001  # raised by the consumer
            self._put(error)

    def _put(self, item: bytes | BaseException | None) -> bool:
        """Wait for room, and return whether the consumer has not ended."""
        while not self.is_over.is_set():
            try:
                self.ready.put(item, timeout=_POLL)
            except queue.Full:
                continue
            return True
        return False
