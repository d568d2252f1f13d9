"""Progress as lines of a log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from imgfetch.cli.board import format_blobs
from imgfetch.cli.live import Live
from imgfetch.progress import Item
from imgfetch.text import format_size

INTERVAL = 5.0
"""Seconds between two lines while bytes arrive."""
SILENCE, LONGEST_SILENCE = 10.0, 60.0
"""Seconds before the first line without new bytes, and at most between two of them."""


class Lines(Live):
    """A line every few seconds.

    A line appears also while nothing arrives, in growing intervals, because some build servers stop a command that is
    silent for minutes.
    """

    def __init__(self, stream: TextIO, **options: Any) -> None:  # noqa: ANN401  # as in `Live`
        super().__init__(stream, **options)
        self._reported = self._clock()
        self._last = (0, 0)
        self._patience = SILENCE

    def planned(self, items: Sequence[Item]) -> None:
        """Print the number of layers and their size, if there are any."""
        super().planned(items)
        self._reported, self._last = self._clock(), self._board.state
        if items:
            self._print(f"imgfetch: {format_blobs(len(items))}, {format_size(sum(item.size for item in items))}")

    def _opened(self) -> None:
        """Print nothing at once."""

    def _draw(self) -> None:
        done, waited = self._board.state, self._clock() - self._reported
        if waited >= (INTERVAL if done != self._last else self._patience):
            self._patience = SILENCE if done != self._last else min(2 * self._patience, LONGEST_SILENCE)
            self._reported, self._last = self._clock(), done
            self._print(f"imgfetch: {self._board.line()}")
