"""A limit for the bytes a second of all responses of a run together.

Bytes are received first and paid for by a pause afterwards: a server that was sent a request is never kept waiting for
its response to be read, and so never looks silent.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from imgfetch.defaults import MIN_RATE

CREDIT = 0.125
"""Seconds of idle time that faster reads may make up for."""
_STEPS = 64
"""Pauses a second, so that the bytes come evenly."""


class RateLimit:
    """A rate in bytes a second, by default none; thread-safe.

    Attributes:
        chunk: the most bytes to receive between two pauses.
    """

    def __init__(self, rate: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = math.inf if rate is None else rate
        if not self._rate >= MIN_RATE:
            raise ValueError(f"a limited rate must be {MIN_RATE} bytes a second or more, not {rate}")
        self.chunk = self._rate / _STEPS
        self._clock = clock
        self._lock = threading.Lock()
        self._paid_until = clock()

    def spend(self, size: int) -> float:
        """Take a number of received bytes, and return the time at which they are paid for."""
        with self._lock:
            self._paid_until = max(self._paid_until, self._clock() - CREDIT) + size / self._rate
            return self._paid_until

    def seconds_until(self, when: float) -> float:
        """Return the seconds from now on, which are negative for the past."""
        return when - self._clock()


class Share:
    """The part of one response in a `RateLimit`.

    Attributes:
        chunk: as in `RateLimit`.
    """

    def __init__(self, limit: RateLimit) -> None:
        self.chunk = limit.chunk
        self._limit = limit
        self._paid_at = -math.inf
        self._is_over = threading.Event()

    def received(self, size: int) -> None:
        """Take a number of received bytes."""
        self._paid_at = self._limit.spend(size)

    def pause(self) -> None:
        """Wait until the received bytes are paid for, or until `end`."""
        if (seconds := self._limit.seconds_until(self._paid_at)) > 0:
            self._is_over.wait(seconds)

    def await_others(self) -> None:
        """Wait until the bytes of all responses are paid for, or until `end`."""
        self.received(0)
        self.pause()

    def end(self) -> None:
        """End the pause in another thread, and have no more."""
        self._is_over.set()
