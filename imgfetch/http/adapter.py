"""The adapter of requests with a TLS context of its own, and with connections whose answers must begin in time."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import requests.adapters
import requests.utils
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class _Watched(HTTPConnection):
    """A connection that gives up an answer whose head is not complete when the time-out is over.

    The libraries bound the silence between two bytes only.  A server that sends a byte of a header now and then, or
    ``100 Continue`` without end, would keep us for ever: the standard library reads the whole head inside of one
    call, and a socket has no time-out for more than one read.  So a timer on a thread of its own shuts the connection
    down, which ends that read.  The thread lives only until the head has come, some milliseconds as a rule.
    """

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
            if is_late.is_set():  # the shutdown led to this error, and is not its cause
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


_POOLS: dict[str, type] = {"http": _Pool, "https": _TlsPool}


class ContextAdapter(requests.adapters.HTTPAdapter):
    """Connections with one `ssl.SSLContext`; ``verify`` and ``cert``, by which certifi would come in, have no say."""

    def __init__(
        self, context: ssl.SSLContext | None, *, most: int, proxy_context: Callable[[], ssl.SSLContext]
    ) -> None:
        """Open no connection yet.

        Args:
            context: checks the host; ``None`` for connections without TLS.
            most: connections that are kept.
            proxy_context: returns the context that checks an https proxy; called late, because reading all
                certificates takes its time.
        """
        self._context = context
        self._proxy_context = proxy_context
        super().__init__(pool_maxsize=most, max_retries=0)  # all retrying is ours (P09)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: object, cert: object = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Name no ``cert_reqs``, which would change the context, and no file, which would be loaded into it."""
        del verify, cert
        host, _ = super().build_connection_pool_key_attributes(request, verify=True)
        return host, {"ssl_context": self._context} if self._context else {}

    def cert_verify(self, conn: object, url: str, verify: object, cert: object) -> None:
        """Leave the connections as they are."""

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:  # noqa: ANN401  # as in requests
        """Check an https proxy by its own context; urllib3 would check it as little as the host behind it (S33)."""
        if proxy not in self.proxy_manager and proxy.lower().startswith("https:"):
            options["proxy_ssl_context"] = self._proxy_context()
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Log in to the proxy, and to it alone (P12), in UTF-8, where requests knows Latin-1 only (P15)."""
        user, password = requests.utils.get_auth_from_url(proxy)
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"Proxy-Authorization": f"Basic {login}"} if user else {}
