"""The connections to one place that bring pieces of blobs (docs/registries.md#several-connections).

A place keeps to one connection for each blob, for the rest of the run, as soon as it handles one piece wrongly, or if
several connections are not faster than one.
"""

from __future__ import annotations

import logging
import threading
from typing import NamedTuple

_logger = logging.getLogger(__name__)


class PieceLimits(NamedTuple):
    """The limits for blobs in pieces, in seconds and bytes.

    Attributes:
        large: the size of the smallest blob that comes in pieces from one place.
        shared: the size of the smallest blob that comes in pieces from several mirrors.
        enough: a download with so many bytes a second keeps to its mirror.
        tail: other mirrors help if the rest of the blob would take longer than this.
        alone: the time that the first response is measured.
        worth: the rest of a blob comes in pieces if it would take longer than this.
        seconds: the time for one piece.
        least: the size of the first piece, which shows that a place handles ranges, and of the smallest one.
        most: the size of the largest piece.
        judged: the time after which several connections must have proved to be faster than one.
        gain: how many times as fast they must be.
        silent: after this time without a byte, a piece is requested again over another connection.
        lost: after this time without a byte, the rest of the blob is requested over one connection.
    """

    large: int = 64_000_000
    shared: int = 4_000_000
    enough: float = 8_000_000.0
    tail: float = 0.5
    alone: float = 0.05
    worth: float = 2.0
    seconds: float = 2.0
    least: int = 256 * 1024
    most: int = 8 * 1024 * 1024
    judged: float = 2.0
    gain: float = 1.3
    silent: float = 2.0
    lost: float = 5.0


PIECE_LIMITS = PieceLimits()


class Connections:
    """The connections for pieces at one place, in a run; thread-safe.

    Attributes:
        limits: the limits for blobs in pieces.
        is_single: there is one connection for each blob, for the rest of the run.
        is_proven: a piece has arrived as it was requested.
        is_faster: several connections have proved to be faster than one.
        is_lent: it helps with a blob that another place sends.
        agrees: it sent bytes of a blob that another place sent too.
    """

    def __init__(self, name: str = "", limits: PieceLimits = PIECE_LIMITS) -> None:
        self.limits = limits
        self.is_single = self.is_proven = self.is_faster = self.is_lent = self.agrees = False
        self._name = name
        self._open = self._silences = 0
        self._is_on_trial = False
        self._lock = threading.Lock()

    def begin(self, most: int) -> bool:
        """Return whether a blob may come in pieces, over ``most`` connections of all blobs together.

        Until that has proved to be faster, it is one blob at a time.
        """
        with self._lock:
            if self.is_single or self._open >= most or (self._is_on_trial and not self.is_faster):
                return False
            self._is_on_trial = True
            return True

    def end(self) -> None:
        """End the pieces of one blob."""
        self._is_on_trial = False

    def lend(self) -> bool:
        """Return whether it may help with a blob, until `take_back`; it is one blob at a time."""
        with self._lock:
            is_free = not (self.is_single or self.is_lent)
            self.is_lent = self.is_lent or is_free
            return is_free

    def take_back(self) -> None:
        """End its help with a blob."""
        self.is_lent = False

    def take(self, most: int) -> bool:
        """Count one more connection, unless there are ``most``."""
        with self._lock:
            is_free = self._open < most and not self.is_single
            self._open += is_free
            return is_free

    def give(self) -> None:
        """Count one connection less."""
        with self._lock:
            self._open -= 1

    @property
    def is_any_open(self) -> bool:
        """Return whether it sends pieces."""
        return self._open > 0

    def judge(self, before: float, now: float) -> None:
        """Compare the rates of one connection and of several."""
        if now < self.limits.gain * before:
            self.limit_to_one(f"several are not {self.limits.gain:g} times as fast")
        else:
            self.is_faster = True

    def was_silent(self) -> bool:
        """Note that a piece did not arrive; return whether that is once too often."""
        self._silences += 1
        if self._silences > 1:
            self.limit_to_one("pieces of blobs do not arrive")
        return self.is_single

    def limit_to_one(self, reason: object) -> None:
        """Keep to one connection for each blob, for the rest of the run."""
        with self._lock:
            is_new, self.is_single = not self.is_single, True
        if is_new:
            _logger.info("%s: one connection for each blob from now on: %s", self._name, reason)
