"""Progress as rows of a terminal, each with a bar."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Never, TextIO

from tqdm import tqdm

from imgfetch.cli.live import Live

_MOST_ROWS = 16
_ERASE_BELOW = "\x1b[J"
_DEFAULT_SIZE = os.terminal_size((80, 24))


class Bars(Live):
    """A row for the total, and one for each blob in progress.

    `tqdm` moves the cursor, and keeps the rows below the messages.  The text is that of a `Board`, because the speed of
    tqdm counts cached bytes, keeps its last value while nothing arrives, and narrow terminals cut its numbers.

    Between two frames the cursor is at the start of the first row, where it stays when a terminal of a new width wraps
    the rows, so that all of them can be erased.
    """

    interval = 0.1

    def __init__(self, stream: TextIO, *, size: Callable[[], os.terminal_size] | None = None, **options: Any) -> None:  # noqa: ANN401  # as in `Live`
        """Draw on a terminal, whose columns and lines ``size`` returns."""
        super().__init__(stream, **options)
        tqdm.set_lock(threading.RLock())  # else one for several processes, which may start another process
        tqdm.monitor_interval = 0
        self._size = size or self._measured
        self._rows: list[tqdm[Never]] = []
        self._shape = self._size()

    def close(self) -> None:
        """Remove all rows."""
        super().close()
        with self._lock:
            self._fit()
            self._resize(0)

    def _draw(self) -> None:
        columns, lines = self._fit()
        most = max(min(lines - 1, _MOST_ROWS), 1)  # more rows than lines would scroll with each step
        texts = self._board.rows(max(columns - 1, 1))[:most]  # some terminals wrap a full row
        self._resize(len(texts))
        with suppress(OSError, ValueError):  # the terminal is gone, which is no reason to fail
            for row, text in zip(self._rows, texts, strict=True):
                row.set_description_str(text, refresh=False)
                row.refresh()
            self._return()

    def _return(self) -> None:
        """Move the cursor from the end of the first row, if there is one, to its start."""
        if self._rows:
            self._stream.write("\r")
            self._stream.flush()

    def _fit(self) -> os.terminal_size:
        """Return the size of the terminal; if it is another one, erase all rows, and forget how wide they were."""
        shape, self._shape = self._shape, self._size()
        if self._rows and shape != self._shape:
            with suppress(OSError, ValueError):
                self._stream.write(f"\r{_ERASE_BELOW}")
            for row in self._rows:
                row.disable = True  # else tqdm would overwrite it with spaces
            self._rows.clear()
        return self._shape

    def _resize(self, count: int) -> None:
        with suppress(OSError, ValueError):  # stderr is closed, which is no reason to fail
            while len(self._rows) > count:
                self._rows.pop().close()
            while len(self._rows) < count:
                position = len(self._rows)
                self._rows.append(
                    tqdm(
                        file=self._stream,
                        bar_format="{desc}",
                        leave=False,
                        position=position,
                        nrows=_MOST_ROWS + 1,
                        delay=1e-9,
                    )
                )

    def _measured(self) -> os.terminal_size:
        with suppress(OSError, ValueError):
            found = os.get_terminal_size(self._stream.fileno())
            return os.terminal_size((found.columns or _DEFAULT_SIZE.columns, found.lines or _DEFAULT_SIZE.lines))
        return _DEFAULT_SIZE

    def _print(self, text: str) -> None:
        with suppress(OSError, ValueError), self._lock:
            self._fit()
            tqdm.write(text, file=self._stream)
            self._return()
