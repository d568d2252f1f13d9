"""Signals that end a run: the first in good order, the second at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}


class StopError(BaseException):
    """A signal came; like KeyboardInterrupt, it is no error of the program.

    Attributes:
        number: the signal's.
        how: what it did, in a word.
    """

    def __init__(self, number: int, how: str) -> None:
        """Keep which it was."""
        super().__init__(how)
        self.number = number
        self.how = how


@contextmanager
def caught() -> Iterator[None]:
    """Make SIGINT, SIGTERM and SIGHUP raise a `StopError` in the block; one that comes then ends the process.

    What a signal that is ignored would do, as SIGHUP under nohup, stays ignored.
    """
    came: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        if came:  # whoever says it twice does not want to wait for anything
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
