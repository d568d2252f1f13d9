"""Shows progress on stderr: as bars, as lines, as JSON, or not at all."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

from imgfetch import text as printable
from imgfetch.progress import Item, Progress

LINE_INTERVAL = 5.0
EVENT_INTERVAL = 0.5
"""Seconds between two lines, or two JSON events of one blob."""
_MAX_MESSAGE = 4000
_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


class Display(Progress):
    """Shows messages only; the others show progress besides.

    Attributes:
        has_plan: whether blobs were planned, some of which may have arrived.
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``, nothing at first."""
        self._stream = stream
        self._lock = threading.Lock()
        self.has_plan = False

    def planned(self, items: Sequence[Item]) -> None:
        """Remember that there is something to do."""
        self.has_plan = bool(items)

    def message(self, kind: str, text: str, details: Mapping[str, object] | None = None) -> None:
        """Show a line.

        Args:
            kind: ``error``, ``warning``, ``info``, ``saved``.
            text: what is shown to people.
            details: what is told to programs besides.
        """
        del details
        prefix = f"{kind}: " if kind in ("error", "warning") else ""
        self._print("\n".join(f"imgfetch: {prefix if number == 0 else ''}{line}" for number, line in _numbered(text)))

    def close(self) -> None:
        """Leave the terminal as it should be."""

    def _print(self, text: str) -> None:
        with suppress(OSError, ValueError):  # nobody listens any more; the archive is worth more than a message
            self._stream.write(f"{text}\n")  # in one piece, for others may write too
            self._stream.flush()


class Lines(Display):
    """A line every few seconds, for logs."""

    def __init__(self, stream: TextIO) -> None:
        """Start with nothing to do."""
        super().__init__(stream)
        self._total = self._done = self._blobs = self._blobs_done = 0
        self._counted: dict[str, int] = {}
        self._began = self._told = time.monotonic()

    def planned(self, items: Sequence[Item]) -> None:
        """Print how much there is to do."""
        super().planned(items)
        self._blobs, self._total = len(items), sum(item.size for item in items)
        self._print(f"imgfetch: {_count(self._blobs)}, {printable.format_size(self._total)}")

    def advanced(self, item: Item, count: int) -> None:
        """Count, and say so if nothing was said for a while."""
        with self._lock:
            self._done += count
            self._counted[item.name] = self._counted.get(item.name, 0) + count
            self._tell()

    def finished(self, item: Item, *, cached: bool) -> None:
        """Count a blob that was here already as done."""
        with self._lock:
            self._done += item.size - self._counted.pop(item.name, 0)
            self._blobs_done += 1
            if not cached:
                self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told < LINE_INTERVAL:
            return
        self._told = now
        percent = 100 * self._done // max(self._total, 1)
        speed = printable.format_size(int(self._done / max(now - self._began, 0.001)))
        self._print(
            f"imgfetch: {printable.format_size(self._done)} of {printable.format_size(self._total)} ({percent} %), "
            f"{self._blobs_done} of {_count(self._blobs)}, {speed}/s"
        )


class Events(Display):
    """A JSON object a line, for programs.

    Events: ``planned`` (blobs, bytes), ``started``, ``advanced`` and ``finished`` (digest, size, and done or
    cached), ``warning``, ``info`` and ``error`` (message, and what the command adds), ``saved``.
    """

    def __init__(self, stream: TextIO) -> None:
        """Start with nothing told."""
        super().__init__(stream)
        self._done: dict[str, int] = {}
        self._told: dict[str, float] = {}

    def message(self, kind: str, text: str, details: Mapping[str, object] | None = None) -> None:
        """Write the event that other displays show as a line."""
        self._tell(kind, {"message": text, **(details or {})})

    def planned(self, items: Sequence[Item]) -> None:
        """Write the event of the plan."""
        super().planned(items)
        blobs = [{"digest": item.name, "size": item.size} for item in items]
        self._tell("planned", {"blobs": blobs, "bytes": sum(item.size for item in items)})

    def started(self, item: Item) -> None:
        """Write the event of a blob's beginning."""
        self._tell("started", {"digest": item.name, "size": item.size})

    def advanced(self, item: Item, count: int) -> None:
        """Write the event of a blob's progress, not too often."""
        with self._lock:
            done = self._done[item.name] = self._done.get(item.name, 0) + count
            now = time.monotonic()
            is_due = now - self._told.get(item.name, 0.0) >= EVENT_INTERVAL
            if is_due:
                self._told[item.name] = now
        if is_due:
            self._tell("advanced", {"digest": item.name, "size": item.size, "done": done})

    def finished(self, item: Item, *, cached: bool) -> None:
        """Write the event of a verified blob."""
        self._tell("finished", {"digest": item.name, "size": item.size, "cached": cached})

    def _tell(self, event: str, members: Mapping[str, object]) -> None:
        with self._lock:
            self._print(json.dumps({"event": event, **members}))


DISPLAYS: Mapping[str, type[Display]] = {"plain": Lines, "json": Events, "none": Display}
"""Those that need no terminal."""


class _Handler(logging.Handler):
    """Sends log records to the display, which knows where bars are drawn."""

    def __init__(self, display: Display) -> None:
        super().__init__()
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        kind = "warning" if record.levelno >= logging.WARNING else "info"
        self._display.message(kind, printable.sanitize(record.getMessage(), _MAX_MESSAGE))


@contextmanager
def logged(display: Display, verbosity: int) -> Iterator[None]:
    """Show what is logged while the block runs: warnings; requests from 1 on, more from 2."""
    handler = _Handler(display)
    logger = logging.getLogger("imgfetch")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(_LEVELS[min(verbosity, 2)])
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


def _numbered(text: str) -> list[tuple[int, str]]:
    return list(enumerate(text.split("\n")))


def _count(blobs: int) -> str:
    return f"{blobs} layer{'' if blobs == 1 else 's'}"
