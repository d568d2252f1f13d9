"""Requests that another thread may end, before and after their responses begin.

A response can be ended once there is one.  Before that, nothing but the connection is known, and only to the adapter
that waits for the head; so it announces its connection to the `Interrupt` of the thread.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

_thread = threading.local()


class Interrupt:
    """Ends the requests that one thread sends inside the ``with`` statement, after `set` in another one.

    A connection that is being made is not ended: it has a short timeout of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._end: Callable[[], object] | None = None
        self.is_set = False

    def __enter__(self) -> Self:
        _thread.interrupt = self
        return self

    def __exit__(self, *_: object) -> None:
        _thread.interrupt = None

    def set(self) -> None:
        """End the current request, and each later one when its response is awaited."""
        with self._lock:
            self.is_set = True
            self._finish()

    def watch(self, end: Callable[[], object] | None) -> None:
        """Take the function that ends the current request, or ``None`` when it is over."""
        with self._lock:
            self._end = end
            if self.is_set:
                self._finish()

    def _finish(self) -> None:
        if self._end is not None:
            with suppress(Exception):  # it is over already
                self._end()


def current() -> Interrupt | None:
    """Return this thread's interrupt, if it has one."""
    return getattr(_thread, "interrupt", None)


def cut(connection: Any) -> None:  # noqa: ANN401  # a socket, or urllib3's connection within the TLS of a proxy
    """End a read in another thread.

    `ssl.SSLSocket.shutdown` also ends the decryption: a read of another thread then takes ciphertext
    for content.
    """
    while not isinstance(connection, socket.socket):
        connection = connection.socket
    socket.socket.shutdown(connection, socket.SHUT_RDWR)
