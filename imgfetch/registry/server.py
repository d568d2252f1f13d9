"""The places of a run, which are mirrors and registries, with their health and speed.

Health (docs/registries.md#mirror-failures):

* A mirror that does not answer, or answers that it cannot serve now, is ill: it is skipped.  So is one that sent wrong
  bytes for several blobs.  One that lacks a blob, or refuses it, is not ill.
* After a while one request tries an ill mirror again, and after each failure the while is twice as long.

Speed (docs/registries.md#slow-mirrors): a `Server` counts the bytes of all its downloads together, and the seconds in
which at least one of them waits for bytes.  So neither a slow disk nor an idle mirror counts as slow.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from imgfetch.errors import (
    ImgfetchError,
    RegistryError,
    ResumeError,
    TransportError,
    UnavailableError,
    VerificationError,
)
from imgfetch.registry.connections import PIECE_LIMITS, Connections, PieceLimits


class Limits(NamedTuple):
    """The limits for mirrors, in seconds and bytes.

    Attributes:
        first_byte: after this time without a byte the next mirror is asked too.
        upstream: after this time without a byte from any mirror the registry itself is asked too; and the longest pause
            within a mirror's response.
        again: the time for which an ill mirror is skipped at first.
        interval: the time of a measurement.
        slow: the rate, in bytes a second, below which a mirror is slow.
        slow_for: the time after which a slow mirror that is kept is reported.
        faster: how many times as fast another mirror must be.
        better: the same where a mirror has several downloads, or a download begins.
        busy: the rate, in bytes a second, below which each of several downloads may try another mirror.
        worth: the rest of a blob is requested elsewhere if it would take longer than this.
        wrong: the number of blobs with wrong bytes that make a mirror ill.
        pieces: the limits for blobs that come over several connections.
    """

    first_byte: float = 1.0
    upstream: float = 5.0
    again: float = 30.0
    interval: float = 2.0
    slow: float = 1_000_000.0
    slow_for: float = 10.0
    faster: float = 4.0
    better: float = 1.5
    busy: float = 4_000_000.0
    worth: float = 3.0
    wrong: int = 2
    pieces: PieceLimits = PIECE_LIMITS


LIMITS = Limits()


class Server:
    """A mirror or a registry in a run; thread-safe.

    Attributes:
        name: its name in messages.
        received: the number of bytes of blobs that it sent.
        failure: its last failure.
        is_doubtful: it sent wrong bytes, or the rest of a blob that has some, and no blob that was right since.
        is_verified: a whole blob that it sent was right.
        rate: the bytes a second of all its downloads, or ``None`` before there was enough to measure.
        slow_for: the seconds of its downloads since it was not slow.
        connections: the connections for pieces of blobs.
    """

    def __init__(self, name: str = "", limits: Limits = LIMITS, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.received = 0
        self.failure = ""
        self.rate: float | None = None
        self.slow_for = 0.0
        self._limits = limits
        self.connections = Connections(name, limits.pieces)
        self._clock = clock
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._skipped_until = 0.0
        self._pause = limits.again
        self._wrong = 0
        self.is_doubtful = self.is_verified = False
        self._downloads = self._waiting = self._bytes = 0
        self._seconds = self._since = self._explored_until = self._expected_until = 0.0

    # Health

    @property
    def is_ill(self) -> bool:
        """Return whether it is skipped, or at most tried by one request."""
        return self._skipped_until > 0

    def may_try(self) -> bool:
        """Return ``True`` to one request, if it was ill long enough."""
        with self._lock:
            now = self._clock()
            if now < self._skipped_until:
                return False
            self._pause *= 2
            self._skipped_until = now + self._pause
            return True

    def answered(self) -> None:
        """Note that it answers."""
        with self._lock:
            self._skipped_until, self._pause = 0.0, self._limits.again

    def failed(self, error: ImgfetchError) -> None:
        """Note a failure, which may make it ill."""
        with self._lock:
            self.is_doubtful = self.is_doubtful or isinstance(error, VerificationError)
            # The earlier bytes of a resumed download may be another server's.
            self._wrong += isinstance(error, VerificationError) and not isinstance(error, ResumeError)
            if is_outage(error) or self._wrong >= self._limits.wrong:
                asked = error.retry_after if isinstance(error, UnavailableError) else None
                self._skip(max(self._pause, asked or 0.0))

    def sent(self, *, is_whole: bool) -> None:
        """Note that it sent all of a blob that was verified, or the rest of one."""
        self.is_verified = self.is_verified or is_whole
        self.is_doubtful = self.is_doubtful and not is_whole

    def give_up(self) -> None:
        """Skip it for the rest of the run, because it would cost its timeout again."""
        with self._lock:
            self._skip(math.inf)

    def _skip(self, pause: float) -> None:
        self._skipped_until = max(self._skipped_until, self._clock() + pause)

    def is_news(self, topic: str) -> bool:
        """Return ``True`` at the first call for a topic."""
        with self._lock:
            is_new = topic not in self._told
            self._told.add(topic)
            return is_new

    # Speed

    @contextmanager
    def download(self) -> Iterator[None]:
        """Count a download."""
        with self._lock:
            self._downloads += 1
            self._expected_until = 0.0
            self._explored_until = self._clock() + 2 * self._limits.interval
        try:
            yield
        finally:
            with self._lock:
                self._downloads -= 1
                self._explored_until = 0.0

    def count(self, size: int) -> None:
        """Count received bytes."""
        with self._lock:
            self.received += size

    @contextmanager
    def wait(self) -> Iterator[Callable[[int], None]]:
        """Measure the time of the block, in which a download waits for bytes; it passes their number on."""
        counts: list[int] = []
        with self._lock:
            self._tick()
            self._waiting += 1
        try:
            yield counts.append
        finally:
            with self._lock:
                self._tick()
                self._waiting -= 1
                self.received += sum(counts)
                self._bytes += sum(counts)
                self._measure()

    def _tick(self) -> None:
        now = self._clock()
        if self._waiting:
            self._seconds += now - self._since
        self._since = now

    def _measure(self) -> None:
        limits = self._limits
        if self._seconds < limits.interval and self._bytes < limits.slow * limits.interval:
            return
        self.rate = self._bytes / max(self._seconds, 0.001)
        self.slow_for = self.slow_for + self._seconds if self.rate < limits.slow else 0.0
        self._bytes, self._seconds = 0, 0.0

    def seconds_for(self, size: int) -> float:
        """Return the time for the next bytes of one of the downloads, or 0 if the rate is not known."""
        return size * max(self._downloads, 1) / max(self.rate, 1.0) if self.rate is not None else 0.0

    def share(self, *, joins: bool) -> float | None:
        """Return the rate of one of its downloads, or of one that joins them, if the rate is known."""
        if self.rate is None:
            return None
        expected = joins and self._expected_until > self._clock()
        return self.rate / max(self._downloads + joins + expected, 1)

    @property
    def is_idle(self) -> bool:
        """Return whether it has no download, and none is about to begin."""
        return self._downloads == 0 and self._expected_until <= self._clock()

    @property
    def is_shared(self) -> bool:
        """Return whether it has several downloads."""
        return self._downloads > 1

    def faster_one(
        self, others: Iterable[Server], factor: Callable[[Server], float], *, joins: bool = False
    ) -> Server | None:
        """Return the best of some others for one of the downloads here, or for one that ``joins`` them.

        It must be ``factor`` times as fast, or it may be much faster.
        """
        mine = self.share(joins=joins)
        if mine is None:
            return None
        shares = {other: other.share(joins=True) for other in others if not (other.is_ill or other.is_doubtful)}
        known = {other: share for other, share in shares.items() if share is not None}
        fastest = max(known, key=known.__getitem__, default=None)
        if fastest and known[fastest] >= factor(fastest) * mine:
            fastest.expect()
            return fastest
        if mine >= (self._limits.busy if self._downloads + joins > 1 else self._limits.slow):
            return None
        return next((other for other in shares if other not in known and other.may_explore()), None)

    def expect(self) -> None:
        """Count a download that is about to begin."""
        self._expected_until = self._clock() + self._limits.first_byte

    def may_explore(self) -> bool:
        """Return ``True`` to one download at a time, which finds out how fast it is."""
        with self._lock:
            is_free = self._explored_until <= self._clock()
            if is_free:
                self._explored_until = self._clock() + 2 * self._limits.interval
            return is_free


def is_outage(error: BaseException | None) -> bool:
    """Return whether an error means that a place does not work, rather than that it lacks or refuses an image."""
    if isinstance(error, RegistryError) and error.status >= 500:  # noqa: PLR2004
        return True
    return isinstance(error, TransportError | UnavailableError) or (error is not None and is_outage(error.__cause__))
