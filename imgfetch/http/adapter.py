"""Adapter for requests with its own TLS context and a deadline for each read.

It repeats a request that a server answers by closing a connection that was kept (docs/registries.md#connections).
"""

from __future__ import annotations

import base64
import http.client
import io
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from http import HTTPStatus
from typing import Any

import requests.adapters
import requests.utils
from urllib3 import PoolManager

from imgfetch.http import deadline, interrupt
from imgfetch.http.deadline import Deadline
from imgfetch.http.origin import Origin

MAX_INTERIM = 100
"""Most interim responses (RFC 9110, section 15.2) before the final one."""

_REPEATABLE = ("GET", "HEAD")

_logger = logging.getLogger(__name__)


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
            mine.watch(partial(interrupt.cut, sock))
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


class _Use(threading.local):
    """This thread's use of connections: whether the last one was kept from an earlier request, and the next may be."""

    is_kept = False
    may_be_kept = True

    def began(self, connection: Any) -> Any:  # noqa: ANN401  # as in urllib3
        """Note a connection of a pool, and close it first if it must be a new one, as the pool does with a dead one."""
        if not self.may_be_kept:
            connection.close()
        self.is_kept = connection.sock is not None
        return connection

    @contextmanager
    def new(self) -> Iterator[None]:
        """Let requests have new connections."""
        self.may_be_kept = False
        try:
            yield
        finally:
            self.may_be_kept = True

    @property
    def is_unanswered(self) -> bool:
        """Return whether the last request was sent over a kept connection and got no byte."""
        mine, within = interrupt.current(), deadline.current()
        is_ended = mine is not None and mine.is_set  # by another thread, which shuts the connection down
        return self.is_kept and within is not None and not within.has_received and not is_ended


_use = _Use()


@cache
def _bounded(pool: type) -> type:
    """Return a class of connection pools with our responses, handshakes that keep their timeout, and a note of use."""
    own: dict[str, Any] = {"response_class": _Response}
    if connect := getattr(pool.ConnectionCls, "_connect_tls_proxy", None):  # type: ignore[attr-defined]
        own["_connect_tls_proxy"] = lambda *arguments: deadline.share(connect(*arguments))
    own |= {"is_requesting": False, "send": _sending(pool.ConnectionCls.send)}  # type: ignore[attr-defined]
    own["request"] = _requesting(pool.ConnectionCls.request)  # type: ignore[attr-defined]
    own["getresponse"] = _cutting(pool.ConnectionCls.getresponse)  # type: ignore[attr-defined]
    connection = type("_Connection", (pool.ConnectionCls,), own)  # type: ignore[attr-defined]
    take = pool._get_conn  # type: ignore[attr-defined]  # noqa: SLF001  # no public place knows whether it is new
    own_pool = {"ConnectionCls": connection, "_get_conn": lambda *given, **named: _use.began(take(*given, **named))}
    return type("_Pool", (pool,), own_pool)


def _requesting(request: Callable[..., None]) -> Callable[..., None]:
    """Return a method that sends a request; `_sending` gives only these the time for a response."""

    def request_in_time(connection: Any, *arguments: Any, **options: Any) -> None:  # noqa: ANN401  # as in urllib3
        connection.is_requesting = True
        try:
            request(connection, *arguments, **options)
        finally:
            connection.is_requesting = False

    return request_in_time


def _sending(send: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Return a method that sends within the time for a response, because urllib3 gives a body the time to connect."""

    def send_in_time(connection: Any, data: Any) -> None:  # noqa: ANN401  # as in http.client
        within = deadline.current()
        if within is not None and connection.is_requesting and connection.sock is not None:
            connection.sock.settimeout(within.timeout)
        send(connection, data)

    return send_in_time


def _cutting(getresponse: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that returns a response whose `shutdown` lets no thread read ciphertext."""

    def getresponse_to_cut(connection: Any) -> Any:  # noqa: ANN401  # as in urllib3
        sock = connection.sock  # which the connection may forget when it gets the response
        response = getresponse(connection)
        response._sock_shutdown = lambda _: interrupt.cut(sock)  # noqa: SLF001  # no public place chooses how
        return response

    return getresponse_to_cut


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

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:  # noqa: ANN401  # as in requests
        """Send a request, once more over a new connection if a kept one turns out to be closed.

        The server closed it before it saw the request, or without an answer.  Either way the request may be repeated
        (RFC 9112, section 9.3.1), which does not count as an attempt.
        """
        _use.is_kept = False
        if within := deadline.current():
            within.begin()
        try:
            return super().send(request, *arguments, **options)
        except requests.ConnectionError:  # not a timeout
            if request.method not in _REPEATABLE or not _use.is_unanswered:
                raise
        _logger.info("%s had closed a connection; repeating the request", Origin.of(str(request.url)))
        with _use.new():
            return super().send(request, *arguments, **options)

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
