"""Adapter for requests with its own TLS context and a time limit for the head of each response."""

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
    """A connection that fails if the head of a response is not complete within the timeout.

    The libraries limit only the time between two bytes.  A server that sends a header byte by byte, or endless
    ``100 Continue``, would block imgfetch forever: the standard library reads the whole head inside one call, and a
    socket's timeout covers one read.  Therefore a timer thread shuts the connection down, which ends that read.
    """

    def getresponse(self) -> Any:  # noqa: ANN401  # as in urllib3
        is_late = threading.Event()

        def end() -> None:
            is_late.set()
            with suppress(OSError, AttributeError):
                # The TLS layer's own shutdown would remove the layer while the reader uses it.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

        timer = threading.Timer(self.timeout if isinstance(self.timeout, (int, float)) else 60.0, end)
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()
        except (OSError, ValueError):
            if is_late.is_set():  # hide the error that the shutdown provoked
                raise TimeoutError("no complete response header before the timeout") from None
            raise
        finally:
            timer.cancel()


class _WatchedTls(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


_POOLS: dict[str, type] = {"http": _Pool, "https": _TlsPool}


class ContextAdapter(requests.adapters.HTTPAdapter):
    """Connections with one `ssl.SSLContext`; ``verify`` and ``cert``, which would load certifi, are ignored."""

    def __init__(
        self, context: ssl.SSLContext | None, *, most: int, proxy_context: Callable[[], ssl.SSLContext]
    ) -> None:
        """Pool up to ``most`` connections.

        ``context`` is ``None`` for plain http.  ``proxy_context`` returns the context for an https proxy, and is called
        late because loading all certificates is slow.
        """
        self._context = context
        self._proxy_context = proxy_context
        super().__init__(pool_maxsize=most, max_retries=0)  # imgfetch retries itself
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: object, cert: object = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Leave out ``cert_reqs`` and certificate files, which would change the context."""
        del verify, cert
        host, _ = super().build_connection_pool_key_attributes(request, verify=True)
        return host, {"ssl_context": self._context} if self._context else {}

    def cert_verify(self, conn: object, url: str, verify: object, cert: object) -> None:
        """Do nothing; the context verifies."""

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:  # noqa: ANN401  # as in requests
        """Verify an https proxy by its own context; urllib3 would apply the target's ``--insecure`` to it as well."""
        if proxy not in self.proxy_manager and proxy.lower().startswith("https:"):
            options["proxy_ssl_context"] = self._proxy_context()
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Send the proxy's credentials as UTF-8, not Latin-1 as requests does (docs/registries.md#proxies)."""
        user, password = requests.utils.get_auth_from_url(proxy)
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"Proxy-Authorization": f"Basic {login}"} if user else {}
