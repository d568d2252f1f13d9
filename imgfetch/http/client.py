"""Sends a request and follows its redirects: time-outs, bounds, errors.

`requests` carries the bytes by its adapter alone, for what its sessions add on their own must not be:

* the environment and ``~/.netrc``, which would replace our ``Authorization`` (P01, S12);
* cookies, which make some registries demand CSRF tokens (P03);
* redirects, which it follows without a bound, reading their bodies, and with a rewritten URL (P04, P73);
* content decoding, after which no digest can match (P05, P06).

What the libraries raise is put into our words by `imgfetch.http.network_errors`.
"""

from __future__ import annotations

import base64
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from urllib.parse import unquote_plus

import requests
import requests.adapters

from imgfetch.defaults import CONNECT_TIMEOUT, READ_TIMEOUT
from imgfetch.errors import TransportError
from imgfetch.http import redirects
from imgfetch.http.adapter import ContextAdapter
from imgfetch.http.network_errors import mapped, proxy_error
from imgfetch.http.origin import Origin
from imgfetch.http.proxies import Proxies
from imgfetch.http.response import Response
from imgfetch.http.tls import TlsConfig
from imgfetch.text import sanitize
from imgfetch.text import url as shown_url
from imgfetch.tolerance import Tolerance

_CONNECTIONS = 64
_PROXY_WANTS_LOGIN = 407
_SECRET_FIELDS = frozenset({"refresh_token", "password"})
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
_MAX_WARNINGS = 4096

_logger = logging.getLogger(__name__)


class HttpClient:
    """Connections to any number of hosts; safe to be used from several threads."""

    def __init__(
        self,
        *,
        tolerance: Tolerance,
        user_agent: str,
        trust: TlsConfig | None = None,
        proxies: Proxies | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        timeout: float = READ_TIMEOUT,
    ) -> None:
        """Open no connection yet.

        Args:
            tolerance: told of redirects to plain http.
            user_agent: the ``User-Agent`` of every request (P10).
            trust: whom to believe; by default the system's certificates.
            proxies: what to go through; by default nothing.
            connect_timeout: seconds for a connection.
            timeout: seconds between two bytes, and for the head of an answer.
        """
        self._tolerance = tolerance
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        self._trust = trust or TlsConfig()
        self._proxies = proxies or Proxies()
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._adapters: dict[tuple[Origin, bool], requests.adapters.HTTPAdapter] = {}
        self._open: set[Response] = set()
        self._lock = threading.Lock()
        self._aborted = False
        self._warnings_left = _MAX_WARNINGS
        self._warned: set[str] = set()

    @contextmanager
    def get(
        self,
        url: str,
        *,
        accept: str = "*/*",
        authorization: str | None = None,
        downgrade: bool = False,
        same_host: bool = False,
        identify: bool = True,
        timeout: float | None = None,
        offset: int = 0,
        validators: Mapping[Origin, str] | None = None,
    ) -> Iterator[Response]:
        """Ask for ``url``, follow redirects, and yield the last answer, whatever its status.

        Args:
            url: what to ask for, sent as it stands.
            accept: the ``Accept`` header.
            authorization: the ``Authorization`` header; only the origin of ``url`` itself is sent it (P72, S07).
            downgrade: whether a redirect from https to http is followed; for content checked by digest only (P74).
            same_host: whether a redirect to another host is refused (S05).
            identify: whether the origin of ``url`` may see a client certificate of ours (S08).
            timeout: seconds between two bytes at most, where fewer than usual.
            offset: the first byte that is wanted; a server may send them all.
            validators: strong ``ETag`` values by the origin that sent them, for which alone they mean anything.

        Raises:
            TransportError: no answer came.
            RegistryError: the redirects lead nowhere (M13).
        """
        home, chain = Origin.of(url), [url]
        while True:
            origin = Origin.of(chain[-1])
            headers = {"Accept": accept, **({"Range": f"bytes={offset}-"} if offset else {})}
            if authorization and origin == home:
                headers["Authorization"] = authorization
            if offset and validators and origin in validators:
                headers["If-Range"] = validators[origin]
            response = self._send(chain[-1], headers, timeout, identify=identify and origin == home)
            if response.status not in redirects.STATUSES:
                break
            response.close()
            location = response.header("Location")
            next_url = redirects.target(
                location, chain, response.status, self._tolerance, downgrade=downgrade, same_host=same_host
            )
            chain.append(next_url)
        with self._registered(response):
            yield response

    @contextmanager
    def post(self, url: str, form: bytes, *, timeout: float | None = None) -> Iterator[Response]:
        """Send a form, which may hold a secret, to ``url`` and nowhere else, and yield the answer.

        A redirect is yielded like any other answer: the form goes to nobody whom it was not meant for (S05).

        Raises:
            TransportError: no answer came.
        """
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        with self._registered(self._send(url, headers, timeout, form=form)) as response:
            yield response

    @contextmanager
    def _registered(self, response: Response) -> Iterator[Response]:
        """Keep a response among those that `abort` ends, and close it."""
        with self._lock:
            self._open.add(response)
        try:
            if self._aborted:
                raise TransportError(f"stopped while asking {response.url}")
            yield response
        finally:
            with self._lock:
                self._open.discard(response)
            response.close()

    def abort(self) -> None:
        """End every read that a thread waits in, now and from now on."""
        with self._lock:
            self._aborted = True
            waiting = list(self._open)
        for response in waiting:
            response.abort()

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            for adapter in self._adapters.values():
                adapter.close()

    def _send(
        self,
        url: str,
        headers: dict[str, str],
        timeout: float | None,
        *,
        form: bytes | None = None,
        identify: bool = True,
    ) -> Response:
        """Send one request, whose answer has not been read."""
        if self._aborted:
            raise TransportError(f"stopped before asking {shown_url(url)}")
        timeout = min(timeout or self._timeout, self._timeout)
        proxy = self._proxies.choose(url)
        adapter = self._adapter(Origin.of(url), identify=identify)
        with mapped(url, proxy):
            method = "GET" if form is None else "POST"
            prepared = requests.Request(method, url, headers={**self._headers, **headers}, data=form).prepare()
            # Signed URLs sign the literal text, which preparing has rewritten (P73).
            prepared.url = url
            answer = adapter.send(
                prepared,
                stream=True,
                timeout=(self._connect_timeout, timeout),
                proxies={Origin.of(url).scheme: proxy.url} if proxy else {},
            )
        response = Response(answer, url, _secrets(headers.get("Authorization", ""), form), timeout=timeout)
        _logger.info("%s %s: %s %s", method, response.url, response.status, response.reason)
        if response.status == _PROXY_WANTS_LOGIN and proxy:
            response.close()
            raise proxy_error(proxy, f"{response.status} {response.reason}")
        self._pass_on_warnings(response)
        return response

    def _adapter(self, origin: Origin, *, identify: bool) -> requests.adapters.HTTPAdapter:
        """Return the connections to an origin, which are never shared with another one's certificates (P02)."""
        with self._lock:
            adapter = self._adapters.get((origin, identify))
            if adapter is None:
                is_tls = origin.scheme == "https"
                context = self._trust.context(origin.host, origin.port, client_certificate=identify) if is_tls else None
                adapter = ContextAdapter(context, most=_CONNECTIONS, proxy_context=self._trust.common)
                self._adapters[origin, identify] = adapter
            return adapter

    def _pass_on_warnings(self, response: Response) -> None:
        """Show what a registry has to say to its users, once (S32, distribution specification "Warnings")."""
        header = response.quotable(",".join(response.headers("Warning")).encode()[:_MAX_WARNINGS])
        for text in _WARNING.findall(header):
            message = f"{response.origin} says: {sanitize(text)}"
            if message not in self._warned and self._warnings_left >= len(text):
                self._warnings_left -= len(text)
                self._warned.add(message)
                _logger.warning("%s", message)


def _secrets(authorization: str, form: bytes | None) -> list[str]:
    """Return what of a request must not be quoted, in the forms in which a server may repeat it."""
    secrets = [authorization, value := authorization.partition(" ")[2]]
    with suppress(ValueError):
        login = base64.b64decode(value, validate=True).decode("utf-8", "replace")
        secrets += [login, login.partition(":")[2]] if authorization.startswith("Basic ") else []
    for pair in (form or b"").decode().split("&"):
        name, _, text = pair.partition("=")
        if name in _SECRET_FIELDS:
            secrets += [text, unquote_plus(text)]
    return secrets
