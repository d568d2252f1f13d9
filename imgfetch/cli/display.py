"""Messages on stderr, and progress as JSON."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

from imgfetch.defaults import NOTICE
from imgfetch.progress import Item, Progress
from imgfetch.text import sanitize

EVENT_INTERVAL = 0.5
"""Seconds between two events of one blob."""
_MAX_MESSAGE = 4000
_COLOURS = {"error": 31, "warning": 33}  # red and yellow, of ECMA-48
_LEVELS = (NOTICE, logging.INFO, logging.DEBUG)


class Display(Progress):
    """Messages alone; subclasses show progress as well.

    Attributes:
        has_plan: true from the plan of a download that has blobs until all archives are written.
        has_colours: colour the first word of errors and warnings.
    """

    has_colours = False

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.RLock()
        self.has_plan = False

    def planned(self, items: Sequence[Item]) -> None:
        """Note that there are blobs to download."""
        self.has_plan = bool(items)

    @contextmanager
    def reading(self, name: str, size: int | None) -> Iterator[Callable[[int], None]]:
        """Show how much of a file is read; the block passes the numbers of bytes to the function that it gets."""
        del name, size
        yield lambda _: None
        self.close()

    def message(self, kind: str, text: str, details: Mapping[str, object] | None = None) -> None:
        """Show one line or several; ``kind`` is such as ``error``, and ``details`` are more members of a JSON event."""
        del details
        prefix = f"{self._painted(f'{kind}:', _COLOURS[kind])} " if kind in _COLOURS else ""
        self._print(f"imgfetch: {prefix}{text}".replace("\n", "\nimgfetch: "))

    def close(self) -> None:
        """Restore the terminal."""

    def _painted(self, text: str, colour: int) -> str:
        return f"\x1b[1;{colour}m{text}\x1b[0m" if self.has_colours else text

    def _print(self, text: str) -> None:
        with suppress(OSError, ValueError):  # stderr is closed, which is no reason to fail a save
            self._stream.write(f"{text}\n")  # in one call, because other processes may write too
            self._stream.flush()


class Events(Display):
    """A JSON object a line, for programs.

    Events: ``resolving`` (done, total, image), ``planned`` (blobs, bytes), ``started``, ``advanced``, ``resumed``,
    ``interrupted``, ``failed`` and ``finished`` (digest, size, and done, message or cached), ``warning``, ``info`` and
    ``error`` (message, and members that the command adds), ``saved``.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._done: dict[str, int] = {}
        self._reported: dict[str, float] = {}

    def message(self, kind: str, text: str, details: Mapping[str, object] | None = None) -> None:
        """Write the event that other displays show as a line."""
        self._report(kind, {"message": text, **(details or {})})

    @contextmanager
    def reading(self, name: str, size: int | None) -> Iterator[Callable[[int], None]]:
        """Write the events of a file that is read, with its name in place of a digest."""
        item = Item(name, size or 0)
        self.planned([item])
        self.started(item)
        yield lambda count: self.advanced(item, count)
        self.finished(item, cached=False)

    def resolving(self, done: int, total: int, name: str) -> None:
        """Write the event of a resolved image."""
        self._report("resolving", {"done": done, "total": total, "image": name})

    def planned(self, items: Sequence[Item]) -> None:
        """Write the event of the plan."""
        super().planned(items)
        self._done.clear()
        blobs = [{"digest": item.name, "size": item.size} for item in items]
        self._report("planned", {"blobs": blobs, "bytes": sum(item.size for item in items)})

    def started(self, item: Item) -> None:
        """Write the event of a blob's start."""
        self._report("started", {"digest": item.name, "size": item.size})

    def advanced(self, item: Item, count: int) -> None:
        """Write the event of a blob's progress, at most once per interval."""
        with self._lock:
            done = self._done[item.name] = self._done.get(item.name, 0) + count
            now = time.monotonic()
            is_due = now - self._reported.get(item.name, 0.0) >= EVENT_INTERVAL
            if is_due:
                self._reported[item.name] = now
        if is_due:
            self._report("advanced", {"digest": item.name, "size": item.size, "done": done})

    def resumed(self, item: Item, count: int) -> None:
        """Write the event of bytes that are here from an earlier attempt."""
        with self._lock:
            done = self._done[item.name] = self._done.get(item.name, 0) + count
        self._report("resumed", {"digest": item.name, "size": item.size, "done": done})

    def interrupted(self, item: Item, reason: str) -> None:
        """Write the event of an interruption."""
        self._report("interrupted", {"digest": item.name, "size": item.size, "message": reason})

    def failed(self, item: Item) -> None:
        """Write the event of a blob that is given up."""
        self._report("failed", {"digest": item.name, "size": item.size})

    def finished(self, item: Item, *, cached: bool) -> None:
        """Write the event of a verified blob."""
        self._report("finished", {"digest": item.name, "size": item.size, "cached": cached})

    def _report(self, event: str, members: Mapping[str, object]) -> None:
        with self._lock:
            self._print(json.dumps({"event": event, **members}))


class _Handler(logging.Handler):
    """Send log records to the display, which prints above its bars; the same warning only once."""

    def __init__(self, display: Display) -> None:
        super().__init__()
        self._display = display
        self._warnings: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = sanitize(record.getMessage(), _MAX_MESSAGE)
        if record.levelno < logging.WARNING:
            self._display.message("info", message)
        elif message not in self._warnings:
            self._warnings.add(message)
            self._display.message("warning", message)


@contextmanager
def logged(display: Display, verbosity: int, *, quiet: bool = False) -> Iterator[None]:
    """Show log records in the block: warnings, notices unless ``quiet``, and with ``verbosity`` requests or more."""
    handler = _Handler(display)
    logger = logging.getLogger("imgfetch")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if quiet and not verbosity else _LEVELS[min(verbosity, 2)])
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)
