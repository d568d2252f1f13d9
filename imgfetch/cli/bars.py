"""Progress as bars on a terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Never, TextIO

from tqdm import tqdm

from imgfetch.cli.display import Display
from imgfetch.progress import Item

_SHOWN = 12  # characters of a digest, as in docker's output
_MAX_NAME = 24


class Bars(Display):
    """A bar for each blob in progress, and one for the total, for terminals."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        tqdm.set_lock(threading.RLock())  # else one for several processes, which may start another process
        tqdm.monitor_interval = 0
        self._total: tqdm[Never] | None = None
        self._bars: dict[str, tqdm[Never]] = {}

    @contextmanager
    def reading(self, name: str, size: int | None) -> Iterator[Callable[[int], None]]:
        """Draw one bar for a file that is read; without a size, only the bytes and the speed."""
        bar = self._total = self._bar(name.rpartition("/")[2][:_MAX_NAME], size, position=0)

        def advanced(count: int) -> None:
            bar.update(count)

        yield advanced
        self.close()

    def planned(self, items: Sequence[Item]) -> None:
        """Draw the bar of the total."""
        super().planned(items)
        self._total = self._bar("total", sum(item.size for item in items), position=0)

    def started(self, item: Item) -> None:
        """Draw a blob's bar."""
        with self._lock:
            self._bars[item.name] = self._bar(_label(item.name), item.size)

    def advanced(self, item: Item, count: int) -> None:
        """Advance the blob's bar and the total's."""
        with self._lock:
            for bar in (self._bars.get(item.name), self._total):
                if bar is not None:
                    bar.update(count)

    def finished(self, item: Item, *, cached: bool) -> None:
        """Remove a blob's bar."""
        del cached
        with self._lock:
            bar = self._bars.pop(item.name, None)
            if bar is not None:
                if self._total is not None:
                    self._total.update(item.size - bar.n)
                bar.close()

    def close(self) -> None:
        """Remove all bars but the total's."""
        with self._lock:
            for bar in self._bars.values():
                bar.close()
            self._bars.clear()
            if self._total is not None:
                self._total.close()
                self._total = None

    def _print(self, text: str) -> None:
        with suppress(OSError, ValueError):
            tqdm.write(text, file=self._stream)

    def _bar(self, name: str, size: int | None, position: int | None = None) -> tqdm[Never]:
        return tqdm(
            total=size,
            miniters=1,  # look at the clock at each update, which needs no thread to correct a guess
            desc=f"{name:<12}",
            file=self._stream,
            unit="B",
            unit_scale=True,
            dynamic_ncols=True,
            leave=position is not None,
            position=position,
        )


def _label(name: str) -> str:
    """Return the first characters of a digest's hexadecimal digits, or of a file's name."""
    return (name.partition(":")[2] if name.startswith(("sha256:", "sha512:")) else name)[:_SHOWN]
