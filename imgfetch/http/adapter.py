"""Connections whose answers have to begin in time.

The libraries bound the silence between two bytes, so headers that trickle, or a ``100 Continue`` without end, would
keep us for ever.  Here the whole head of an answer has as long as one silence may last.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class _Watched(HTTPConnection):
    """Ends an answer that has not begun when the time-out for a silence is over."""

    def getresponse(self) -> Any:  # noqa: ANN401  # as in urllib3
        is_late = threading.Event()

        def end() -> None:
            is_late.set()
            with suppress(OSError, AttributeError):
                # Not the TLS layer's own shutdown, which would take the layer away from under the reader.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

        timer = threading.Timer(self.timeout if isinstance(self.timeout, (int, float)) else 60.0, end)
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()
        except (OSError, ValueError):
            if is_late.is_set():  # what the shutdown led to is not the cause
                raise TimeoutError("its answer does not begin") from None
            raise
        finally:
            timer.cancel()


class _WatchedTls(_Watched, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


POOLS: dict[str, type] = {"http": _Pool, "https": _TlsPool}
"""By scheme, for a pool manager of urllib3."""
