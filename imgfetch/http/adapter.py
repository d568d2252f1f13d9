"""Adapter for requests with its own TLS context and a deadline for each read."""

from __future__ import annotations

import base64
import http.client
import io
import socket
import ssl
from collections.abc import Callable
from functools import cache, partial
from http import HTTPStatus
from typing import Any

import requests.adapters
import requests.utils
from urllib3 import PoolManager

from imgfetch.http import deadline, interrupt
from imgfetch.http.deadline import Deadline

MAX_INTERIM = 100
"""Most interim responses (RFC 9110, section 15.2) before the final one."""


class _Reader(io.RawIOBase):
    """The bytes of a connection, each before a deadline."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket, deadline: Deadline) -> None:
        self._raw = raw
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        """Return ``True``."""
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401  # as in io
        """Read some bytes."""
        return self._deadline.read_into(self._connection, buffer)

    def close(self) -> None:
        """Close the connection, unless it is kept."""
        self._raw.close()
        super().close()


class _Lines(io.BufferedReader):
    """A response's bytes, of which the head must end with an empty line, not with the end of the connection."""

    is_in_head = False

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return a line, complete if it is one of the head and within the size."""
        line = super().readline(size)
        if self.is_in_head and not line.endswith(b"\n") and len(line) != size:
            raise http.client.IncompleteRead(line)
        return line


class _Response(http.client.HTTPResponse):
    """A response that fails if its head is not complete, or if it does not keep the thread's `Deadline`.

    The library takes the end of the connection for the end of the head, and any interim response but ``100 Continue``
    for the final one (docs/registries.md#heads-of-responses).
    """

    def __init__(self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: Any = None) -> None:  # noqa: ANN401  # as in http.client
        super().__init__(sock, debuglevel, method, url)
        if mine := interrupt.current():
            mine.watch(partial(socket.socket.shutdown, sock, socket.SHUT_RDWR))
        self._deadline = deadline.current() or Deadline()
        self._deadline.begin(sock.gettimeout())
        self._lines = _Lines(_Reader(self.fp.detach(), sock, self._deadline))
        self.fp = self._lines

    def begin(self) -> None:
        super().begin()
        self._deadline.begin()
        self._lines.is_in_head = False

    def _read_status(self) -> tuple[str, int, str]:
        """Return the status line of the final response; that to ``CONNECT`` is read without `begin`."""
        for _ in range(MAX_INTERIM + 1):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # not in typeshed
            self._lines.is_in_head = True
            if not 100 <= status < 200 or status == HTTPStatus.SWITCHING_PROTOCOLS:  # noqa: PLR2004
                return version, status, reason
            http.client.parse_headers(self._lines)
        raise http.client.HTTPException(f"more than {MAX_INTERIM} interim responses")


@cache
def _bounded(pool: type) -> type:
    """Return a class of connection pools whose responses are of our class, and whose handshakes keep their timeout."""
    own: dict[str, Any] = {"response_class": _Response}
    if connect := getattr(pool.ConnectionCls, "_connect_tls_proxy", None):  # type: ignore[attr-defined]
        own["_connect_tls_proxy"] = lambda *arguments: deadline.share(connect(*arguments))
    connection = type("_Connection", (pool.ConnectionCls,), own)  # type: ignore[attr-defined]
    return type("_Pool", (pool,), {"ConnectionCls": connection})


def _bound(manager: PoolManager) -> None:
    """Let a manager make pools whose responses are of our class."""
    manager.pool_classes_by_scheme = {scheme: _bounded(pool) for scheme, pool in manager.pool_classes_by_scheme.items()}


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
        _bound(self.poolmanager)

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
        is_new = proxy not in self.proxy_manager
        if is_new and proxy.lower().startswith("https:"):
            options["proxy_ssl_context"] = self._proxy_context()
        manager = super().proxy_manager_for(proxy, **options)
        if is_new:
            _bound(manager)
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Send the proxy's credentials as UTF-8, not Latin-1 as requests does (docs/registries.md#proxies)."""
        user, password = requests.utils.get_auth_from_url(proxy)
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"Proxy-Authorization": f"Basic {login}"} if user else {}
