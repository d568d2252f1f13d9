"""Requests at several places at a time, of which one is kept and the others are ended.

Each runs in a thread of its own, because nothing else can leave a connection that is being made.  Without threads, and
where the user wants one request at a time, each is finished before the next one begins.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Generic, TypeVar

from imgfetch import threads
from imgfetch.errors import TransportError
from imgfetch.http.interrupt import Interrupt

Who = TypeVar("Who")
Answer = TypeVar("Answer")


class Runner(Generic[Who, Answer]):
    """A request in a thread.

    Attributes:
        who: what it is for.
        answer: the response, once it has finished.
        error: the failure, if it has finished with one.
    """

    def __init__(
        self,
        who: Who,
        request: Callable[[], AbstractContextManager[Answer]],
        finished: Callable[[Runner[Who, Answer]], None],
    ) -> None:
        self.who = who
        self.answer: Answer
        self.error: BaseException | None = None
        self._request = request
        self._finished = finished
        self._interrupt = Interrupt()
        self._lock = threading.Lock()
        self._opened = ExitStack()
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """The time since it began."""
        return time.monotonic() - self._began

    def run(self) -> None:
        """Send the request, and wait for its response."""
        try:
            with self._interrupt, ExitStack() as stack:
                self.answer = stack.enter_context(self._request())
                with self._lock:
                    if not self._interrupt.is_set:
                        self._opened = stack.pop_all()
        except BaseException as error:  # noqa: BLE001  # the thread that waits raises it
            self.error = error
        self._finished(self)

    def end(self) -> None:
        """End the request, or close its response."""
        self._interrupt.set()
        self.close()

    def close(self) -> None:
        """Close the response."""
        with self._lock:
            self._opened.close()


class Race(Generic[Who, Answer]):
    """The requests that run now, in the order in which they began; `Races.begin` ends those that were not taken."""

    def __init__(self, *, is_serial: bool) -> None:
        self.running: list[Runner[Who, Answer]] = []
        self._is_serial = is_serial
        self._finished: queue.SimpleQueue[Runner[Who, Answer] | None] = queue.SimpleQueue()

    def start(self, who: Who, request: Callable[[], AbstractContextManager[Answer]], *, is_alone: bool) -> None:
        """Begin a request; if it is alone, or there is no thread, finish it."""
        runner = Runner(who, request, self._finished.put)
        self.running.append(runner)
        if is_alone or self._is_serial or not threads.start(runner.run, "imgfetch-request"):
            runner.run()

    def take(self, seconds: float) -> Runner[Who, Answer] | None:
        """Return a request that has finished, and no longer runs; or ``None`` if there is none within some seconds.

        Raises:
            TransportError: the race was stopped.
        """
        try:
            runner = self._finished.get(timeout=min(seconds, threading.TIMEOUT_MAX))
        except queue.Empty:
            return None
        if runner is None:
            raise TransportError("stopped because another download failed")
        self.running.remove(runner)
        return runner

    def stop(self) -> None:
        """End the race from another thread."""
        self._finished.put(None)


class Races:
    """All races of a run; thread-safe.

    Attributes:
        is_serial: send one request at a time.
        is_stopped: true after `stop`.
    """

    def __init__(self, *, is_serial: bool = False) -> None:
        self.is_serial = is_serial
        self.is_stopped = False
        self._races: set[Race[Any, Any]] = set()
        self._lock = threading.Lock()

    @contextmanager
    def begin(self) -> Iterator[Race[Any, Any]]:
        """Yield a race, and end its requests that were not taken."""
        race: Race[Any, Any] = Race(is_serial=self.is_serial)
        with self._lock:
            self._races.add(race)
            if self.is_stopped:
                race.stop()
        try:
            yield race
        finally:
            with self._lock:
                self._races.discard(race)
            for runner in race.running:
                runner.end()

    def stop(self) -> None:
        """End all races, now and later."""
        with self._lock:
            self.is_stopped = True
            for race in self._races:
                race.stop()
