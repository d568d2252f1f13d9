"""What is logged, on the display."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from imgfetch.cli.display import Display
from imgfetch.text import clean

_MAX_MESSAGE = 4000
_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


class _Handler(logging.Handler):
    """Sends log records to the display, which knows where bars are drawn."""

    def __init__(self, display: Display) -> None:
        super().__init__()
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        kind = "warning" if record.levelno >= logging.WARNING else "info"
        self._display.message(kind, clean(record.getMessage(), _MAX_MESSAGE))


@contextmanager
def shown(display: Display, verbosity: int) -> Iterator[None]:
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
