"""Warnings about responses that are wrong but usable."""

from __future__ import annotations

import logging
import threading

from imgfetch.errors import VerificationError

_logger = logging.getLogger(__name__)


class Tolerance:
    """Logs each warning once; under ``strict``, it raises a `VerificationError` instead."""

    def __init__(self, *, strict: bool = False) -> None:
        self.is_strict = strict
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def warn(self, message: str) -> None:
        """Log ``message`` as a warning, once, or raise it."""
        if self.is_strict:
            raise VerificationError(message, hint="without --strict this is a warning")
        with self._lock:
            if message in self._told:
                return
            self._told.add(message)
        _logger.warning("%s", message)
