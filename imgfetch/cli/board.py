"""The progress of a download as rows of text, for a terminal of any width.

Bytes from the cache and from an earlier attempt count as done, but never as speed.
"""

from __future__ import annotations

import time
import unicodedata
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from imgfetch.progress import Item
from imgfetch.text import counted, format_size

WINDOW = 3.0
"""Seconds over which speeds are measured, and after which silence is shown."""
_STEP = 0.05  # seconds of bytes that are counted as one
_LABEL, _SHORTEST_LABEL = 32, 3
_BAR, _SHORTEST_BAR = 40, 6
_SPEED, _LEFT = 12, 12  # characters
_UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"), (1, "B"))
_MINUTE, _HOUR, _TOO_LONG = 60, 3600, 100 * 3600


class Meter:
    """The speed of received bytes during the last seconds."""

    def __init__(self, now: float) -> None:
        """Begin at a time, in seconds."""
        self._began = self.last = now
        self._received: deque[tuple[float, int]] = deque()

    def add(self, count: int, now: float) -> None:
        """Count received bytes."""
        if count <= 0:  # a download that restarts
            return
        self.last = now
        if self._received and now - self._received[-1][0] < _STEP:
            count += self._received.pop()[1]
        self._received.append((now, count))

    def rate(self, now: float) -> float:
        """Return the bytes a second of the last `WINDOW`."""
        while self._received and now - self._received[0][0] > WINDOW:
            self._received.popleft()
        return sum(count for _, count in self._received) / max(min(WINDOW, now - self._began), _STEP)


@dataclass(eq=False)
class _Count:
    """The bytes of a blob, or of all."""

    label: str
    size: int | None
    meter: Meter
    done: int = 0


@dataclass(eq=False)
class Board:
    """Counts the bytes of a download, and shows them; its owner has a lock.

    Attributes:
        clock: returns the time in seconds.
        blobs: the number of blobs in all.
        blobs_done: the number of those that are here.
    """

    clock: Callable[[], float] = time.monotonic
    blobs: int = 0
    blobs_done: int = 0
    _active: dict[str, _Count] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._total = _Count("total", 0, Meter(self.clock()))
        self._resolving: tuple[int, int, str] | None = None
        self._has_images = False
        self._silence = "stalled"
        self.is_open = False

    def resolving(self, done: int, total: int, name: str) -> None:
        """Show how many images are resolved, until there is a plan."""
        if not self.is_open:
            self._total = _Count("total", 0, Meter(self.clock()))
        self._total.meter.last = self.clock()
        self._resolving = done, total, name
        self.is_open = True

    def planned(self, items: Sequence[Item]) -> None:
        """Begin with nothing done."""
        label = items[0].short if len(items) == 1 else "total"
        self.reading(label, sum(item.size for item in items))
        self.blobs = len(items)
        self._silence = "stalled"
        self._has_images = len({item.image for item in items}) > 1

    def reading(self, label: str, size: int | None) -> None:
        """Begin with nothing done of a file, whose size may be unknown; it may wait for a processor, not for bytes."""
        self._silence = "waiting"
        self._total = _Count(label, size, Meter(self.clock()))
        self.blobs = self.blobs_done = 0
        self._active.clear()
        self._resolving = None
        self.is_open = True

    def started(self, item: Item) -> None:
        """Show a blob; if it is shown already, it is tried elsewhere."""
        before = self._active.get(item.name)
        self._total.done -= before.done if before else 0
        label = f"{item.image} {item.short}" if self._has_images else item.short
        self._active[item.name] = _Count(label, item.size, Meter(self.clock()))

    def advanced(self, item: Item | None, count: int, *, is_received: bool = True) -> None:
        """Count the bytes of a blob, or of the whole; not as speed unless they are received now."""
        for each in (self._active.get(item.name) if item else None, self._total):
            if each is not None:
                each.done += count
                if is_received:
                    each.meter.add(count, self.clock())

    def finished(self, item: Item) -> None:
        """Count all of a blob as done, and show it no longer."""
        shown = self._active.pop(item.name, None)
        self._total.done += item.size - (shown.done if shown else 0)
        self.blobs_done += 1

    def failed(self, item: Item) -> None:
        """Expect a blob no longer."""
        shown = self._active.pop(item.name, None)
        self._total.done -= shown.done if shown else 0
        if self._total.size is not None:
            self._total.size -= item.size
        self.blobs -= 1

    @property
    def is_complete(self) -> bool:
        """True when all bytes are here."""
        return bool(self.blobs) and self.blobs_done >= self.blobs

    @property
    def state(self) -> tuple[int, int]:
        """The numbers of resolved images and of bytes that are here; equal as long as nothing happens."""
        return self._resolving[0] if self._resolving else 0, self._total.done

    def rows(self, columns: int) -> list[str]:
        """Return the row of the total, and one for each blob in progress."""
        now = self.clock()
        if self._resolving:
            return [self._resolving_row(now)[:columns]]
        counts = [self._total, *(self._active.values() if self.blobs > 1 else ())]
        cells = [(each.label, _numbers(each.done, each.size), *self._ends(each, now)) for each in counts]
        widths = [max(map(width_of, column)) for column in zip(*cells, strict=True)]
        return [_row(each, row, widths, columns)[:columns] for each, row in zip(counts, cells, strict=True)]

    def line(self) -> str:
        """Return the total as a line of a log."""
        if self._resolving:
            return self._resolving_row(self.clock())
        size = self._total.size
        share = "" if size is None else f" of {format_size(size)} ({100 * self._total.done // max(size, 1)}%)"
        blobs = f", {self.blobs_done} of {format_blobs(self.blobs)}" if self.blobs else ""
        ends = ", ".join(filter(None, self._ends(self._total, self.clock())))
        return f"{format_size(self._total.done)}{share}{blobs}, {ends}"

    def _resolving_row(self, now: float) -> str:
        done, total, name = self._resolving or (0, 0, "")
        silence = now - self._total.meter.last
        return f"resolving {done}/{total} {name}{f' (no answer for {silence:.0f} s)' if silence > WINDOW else ''}"

    def _ends(self, count: _Count, now: float) -> tuple[str, str]:
        """Return the speed, and the time left if it is known."""
        if count is self._total and self.is_complete:
            return "complete", ""
        silence = now - count.meter.last
        if silence > WINDOW:
            return f"{self._silence} {silence:.0f} s", ""
        rate = count.meter.rate(now)
        left = (count.size - count.done) / rate if count.size is not None and rate else _TOO_LONG
        shown = f"{_time(left)} left" if count is self._total and 0 <= left < _TOO_LONG else ""
        return f"{_numbers(round(rate), None)}/s" if rate else "", shown


def format_blobs(blobs: int) -> str:
    """Return a number of layers for people."""
    return counted(blobs, "layer")


def _row(count: _Count, cells: Sequence[str], widths: Sequence[int], columns: int) -> str:
    """Return a row; a narrow terminal has no time, then no bar, then shorter labels and no speed, but all numbers."""
    label, numbers, speed, left = cells
    label_width, numbers_width = min(widths[0], _LABEL), widths[1]
    right = numbers.rjust(numbers_width)
    if columns - numbers_width - _SPEED > _SHORTEST_LABEL:
        right += f" {speed:<{_SPEED}}"
        if columns - len(right) - label_width > _LEFT + _SHORTEST_BAR:
            right += f" {left:<{_LEFT}}"
    room = max(columns - len(right) - 1, 0)
    bar_width = min(room - label_width - 1, _BAR)
    bar = f" {_bar(count.done / max(count.size, 1), bar_width)}" if count.size and bar_width >= _SHORTEST_BAR else ""
    label_width = min(label_width, room)
    return f"{_fitted(label, label_width)}{bar} {right}".strip()


def width_of(text: str) -> int:
    """Return how many columns of a terminal a text has."""
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else not unicodedata.combining(each) for each in text)


def _fitted(text: str, columns: int) -> str:
    """Return a text, cut or padded to fill so many columns."""
    while width_of(text) > columns:
        text = text[:-1]
    return text + " " * (columns - width_of(text))


def _bar(share: float, width: int) -> str:
    full = round(min(max(share, 0.0), 1.0) * width)
    return "#" * full + "-" * (width - full)


def _numbers(done: int, size: int | None) -> str:
    """Return both numbers in the unit of the larger one, and always in the same width."""
    unit, name = next((unit, name) for unit, name in _UNITS if (size or done) >= unit or unit == 1)
    digits = 0 if unit == 1 else 1
    if size is None:
        return f"{done / unit:.{digits}f} {name}"
    whole = f"{size / unit:.{digits}f}"
    return f"{done / unit:>{len(whole)}.{digits}f}/{whole} {name}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
