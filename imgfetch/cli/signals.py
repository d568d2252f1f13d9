"""Signals that end a run: the first cleans up, the second exits at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}


class StopError(BaseException):
    """A signal that ends the run; like KeyboardInterrupt, not an `Exception`.

    Attributes:
        number: the signal's number.
        how: its effect, such as "interrupted".
    """

    def __init__(self, number: int, how: str) -> None:
        """Record the signal."""
        super().__init__(how)
        self.number = number
        self.how = how


@contextmanager
def caught() -> Iterator[None]:
    """Make SIGINT, SIGTERM and SIGHUP raise a `StopError` in the block; a second signal ends the process.

    A signal that is ignored, such as SIGHUP under nohup, stays ignored.
    """
    came: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        if came:  # second signal: exit at once
            os._exit(128 + number)
        came.append(number)
        raise StopError(number, _WORDS[signal.Signals(number)])

    before = {
        number: signal.signal(number, stop) for number in _WORDS if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
