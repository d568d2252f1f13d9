"""The time in which a server must send something useful.

The libraries limit only the time between two bytes.  A server that sends a header byte by byte, an extension of a chunk
or trailers without end would block imgfetch for ever, because their reads do not return.  Therefore each read from a
connection waits at most until its `Deadline` (docs/registries.md#timeouts).

Only time that is spent waiting for the server counts: a slow disk or a stopped process is not the server's fault.
"""

from __future__ import annotations

import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from imgfetch.defaults import READ_TIMEOUT

MIN_PROGRESS = 1024
"""Bytes of content that must arrive within each timeout."""
NOTICE = 10.0
"""Seconds without a byte after which that is reported."""

_LEAST = 0.001
"""Seconds of a timeout that is over; 0 would mean not to block."""

_thread = threading.local()


class Deadline:
    """The seconds that a server has left for the head of a response, then for each `MIN_PROGRESS` bytes of content.

    Attributes:
        timeout: the seconds of each such period.
    """

    def __init__(self, timeout: float = READ_TIMEOUT) -> None:
        self.timeout = timeout
        self._waiting: Callable[[], object] | None = None
        self._silent = 0.0
        self._in_all = math.inf
        self.begin()

    def begin(self, timeout: float | None = None) -> None:
        """Begin a new period, perhaps with another length than the last one."""
        self.timeout = self._left = timeout or self.timeout
        self._received = self._content = 0

    def lower(self, timeout: float) -> None:
        """Make this and all later periods shorter."""
        self.timeout = min(self.timeout, timeout)
        self._left = min(self._left, timeout)

    def limit(self, seconds: float) -> None:
        """Limit the time for all that is still to come, in place of an earlier limit."""
        self._in_all = seconds

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Limit the time for what is received in the block."""
        before, self._in_all = self._in_all, min(seconds, self._in_all)
        allowed = self._in_all
        try:
            yield
        finally:
            self._in_all += before - allowed

    def count(self, size: int) -> None:
        """Take the number of bytes of content that were received; enough of them begin a new period."""
        self._content += size
        if self._content >= MIN_PROGRESS:
            self.begin()

    @property
    def has_received(self) -> bool:
        """Return whether a byte came in this period."""
        return self._received > 0

    @property
    def is_over(self) -> bool:
        """Return whether the time for everything is over."""
        return self._in_all <= 0

    @property
    def shortfall(self) -> str:
        """Return the amount that arrived, if the time is over and it was not nothing, or an empty text."""
        is_slow = self._received and min(self._left, self._in_all) <= 0
        return f"{self._content} bytes in {self.timeout:g} s" if is_slow else ""

    def read_into(self, connection: socket.socket, buffer: Any) -> int:  # noqa: ANN401  # as in io
        """Read some bytes from a connection before the deadline.

        Raises:
            TimeoutError: the time is over.
        """
        while (left := min(self._left, self._in_all)) > 0:
            until_notice = max(NOTICE - self._silent, _LEAST) if self._waiting else math.inf
            connection.settimeout(min(left, until_notice))
            began = time.monotonic()
            try:
                count = connection.recv_into(buffer)
            except TimeoutError as error:
                if error.errno is not None:  # the system's, of a connection that is lost
                    raise
                self._wait(time.monotonic() - began)
            else:
                self._spend(time.monotonic() - began)
                self._silent = 0.0
                self._received += count
                return count
        raise TimeoutError("nothing useful before the timeout")

    def _spend(self, seconds: float) -> None:
        self._left -= seconds
        self._in_all -= seconds

    def _wait(self, seconds: float) -> None:
        """Take the length of a wait in vain, and report the silence when it is long enough."""
        self._spend(seconds)
        self._silent += seconds
        if self._waiting and self._silent >= NOTICE:
            notify, self._waiting = self._waiting, None
            notify()

    @contextmanager
    def applied(self, waiting: Callable[[], object]) -> Iterator[None]:
        """Let the response that this thread waits for keep the deadline.

        ``waiting`` is called once, after `NOTICE` seconds of silence.
        """
        self._waiting = waiting
        _thread.deadline = self
        try:
            yield
        finally:
            _thread.deadline = None


def share(connection: ssl.SSLSocket) -> ssl.SSLSocket:
    """Let all reads of a connection by ``recv`` share its timeout, until that is set again; return the connection.

    TLS within TLS receives as often as it needs to, and each time would have the whole timeout.
    """
    receive = connection.recv

    def recv(buflen: int = 1024, flags: int = 0) -> bytes:
        timeout, began = connection.gettimeout(), time.monotonic()
        try:
            return receive(buflen, flags)
        finally:
            if timeout is not None:
                connection.settimeout(max(timeout - (time.monotonic() - began), _LEAST))

    connection.recv = recv  # type: ignore[method-assign]
    return connection


def current() -> Deadline | None:
    """Return this thread's deadline, if it has one."""
    return getattr(_thread, "deadline", None)
