"""The number of connections of a save."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from imgfetch.errors import StorageError

_logger = logging.getLogger(__name__)


class Crew:
    """The connections of a save to each place: one for each job, and more as long as there are not too many."""

    def __init__(self, connections: int) -> None:
        """Take the number of connections to one place, at most."""
        self.connections = connections
        self._jobs = 0
        self._lock = threading.Lock()

    @contextmanager
    def job(self) -> Iterator[None]:
        """Count a job."""
        with self._lock:
            self._jobs += 1
        try:
            yield
        finally:
            with self._lock:
                self._jobs -= 1

    @property
    def free(self) -> int:
        """The number of connections to a place beside those of the jobs."""
        return self.connections - self._jobs

    def give_up(self, error: StorageError) -> None:
        """Have no more connections than jobs, because pieces cannot be stored."""
        _logger.info("one connection for each blob from now on: %s", error)
        self.connections = 0
