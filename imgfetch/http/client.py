"""HTTP client: sends a request and follows its redirects within bounds.

It uses only the adapter of `requests`, because sessions add (docs/registries.md#python-libraries):

* the environment and ``~/.netrc``, which would replace the ``Authorization`` header;
* cookies, which make some registries demand CSRF tokens;
* redirects, followed without a bound, with their bodies read and their URLs rewritten;
* content decoding, after which no digest matches (docs/registries.md#undecoded-bodies).
"""

from __future__ import annotations

import logging
import math
import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from http import HTTPStatus
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

import requests
import requests.adapters

from imgfetch.defaults import CONNECT_TIMEOUT, READ_TIMEOUT
from imgfetch.errors import TransportError
from imgfetch.http import interrupt, redirects
from imgfetch.http.adapter import ContextAdapter
from imgfetch.http.body import Body
from imgfetch.http.deadline import NOTICE, Deadline
from imgfetch.http.interrupt import Interrupt
from imgfetch.http.network_errors import mapped, proxy_error
from imgfetch.http.origin import Origin
from imgfetch.http.proxies import Proxies, Proxy
from imgfetch.http.ratelimit import RateLimit
from imgfetch.http.response import Response
from imgfetch.http.tls import TlsConfig
from imgfetch.redaction import KNOWN
from imgfetch.text import sanitize, secret_values, shown_url
from imgfetch.tolerance import Tolerance
from imgfetch.version import USER_AGENT

_CONNECTIONS = 64
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
_MAX_WARNINGS = 4096
_DENIED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

_logger = logging.getLogger(__name__)


@dataclass(eq=False, repr=False, kw_only=True)
class HttpClient:
    """Pooled connections to any number of hosts; thread-safe.

    Attributes:
        tolerance: reports redirects to plain http.
        trust: the trusted certificates; by default the system's.
        proxies: by default none.
        connect_timeout: the longest time to connect, in seconds.
        timeout: the longest time between two bytes, and for the heads of a response and the redirects before it.
        pause: a lower limit for the time between two bytes of a body.
        rate_limit: the bytes a second of all bodies together, perhaps shared with other clients.

    Raises:
        TransportError: no response.
        RegistryError: a redirect cannot be followed.
    """

    tolerance: Tolerance
    trust: TlsConfig = field(default_factory=TlsConfig)
    proxies: Proxies = field(default_factory=Proxies)
    connect_timeout: float = CONNECT_TIMEOUT
    timeout: float = READ_TIMEOUT
    pause: float = READ_TIMEOUT
    rate_limit: RateLimit = field(default_factory=RateLimit)

    def __post_init__(self) -> None:
        self._common = cache(self.trust.common)
        self._adapters: dict[tuple[Origin, bool], requests.adapters.HTTPAdapter] = {}
        self._open: set[Response] = set()
        self._asking: set[Interrupt] = set()
        self._lock = threading.Lock()
        self._aborted = False
        self._warnings_left = _MAX_WARNINGS
        self._warned: set[str] = set()
        self._announced: set[str] = set()

    @contextmanager
    def get(
        self,
        url: str,
        *,
        method: str = "GET",
        accept: str = "*/*",
        authorization: str | None = None,
        more: Mapping[str, str] = MappingProxyType({}),
        downgrade: bool = False,
        same_host: bool = False,
        identify: bool = True,
        timeout: float | None = None,
        offset: int = 0,
        length: int | None = None,
        validators: Mapping[Origin, str] | None = None,
        body: Body | None = None,
    ) -> Iterator[Response]:
        """Request ``url``, follow redirects, and yield the last response, whatever its status.

        Args:
            url: sent unchanged.
            method: the method; a redirect is followed with ``GET`` and ``HEAD``, or if it keeps method and body.
            accept: the ``Accept`` header.
            authorization: the ``Authorization`` header, sent only to the origin of ``url``, and after a redirect to its
                storage only if that demands it (docs/registries.md#who-receives-credentials).
            more: further headers, sent only to the origin of ``url``.
            downgrade: follow a redirect from https to http; only for content verified by digest.
            same_host: refuse a redirect to another host.
            identify: present a client certificate to the origin of ``url``.
            timeout: a lower limit in seconds for the time between two bytes.
            offset: the first byte to request; a server may still send all of them.
            length: the number of bytes to request; by default all from ``offset``.
            validators: strong ``ETag`` values by the origin that sent them.
            body: the content to send, again after each redirect.
        """
        home, chain, within = Origin.of(url), [url], self._deadline(timeout)
        within.limit(within.timeout + _patience(body))  # the heads of all responses together
        while True:
            origin = Origin.of(chain[-1])
            headers = dict(more) if origin == home else {}
            headers |= {"Accept": accept, **_range(offset, length)}
            if offset and validators and origin in validators:
                headers["If-Range"] = validators[origin]
            mine = {"Authorization": authorization} if authorization and origin == home else {}
            is_storage = not same_host and _is_storage(chain)
            identified = identify and origin == home
            send = partial(self._send, chain[-1], within=within, method=method, identify=identified, body=body)
            with _redirected(chain):
                response = send(headers if is_storage else headers | mine)
                if is_storage and mine and response.status in _DENIED:
                    response.skip()
                    response.close()
                    response = send(headers | mine)
            if not redirects.is_followed(method, response.status):
                break
            response.skip()
            response.close()
            next_url = redirects.target(
                response.header("Location"),
                chain,
                response.status,
                self.tolerance,
                downgrade=downgrade,
                same_host=same_host,
            )
            chain.append(next_url)
        within.limit(math.inf)
        within.lower(self.pause)
        with self._registered(response):
            yield response

    @contextmanager
    def post(self, url: str, form: bytes, *, timeout: float | None = None) -> Iterator[Response]:
        """Send a form, which may contain a secret, and yield the response; redirects are not followed."""
        body = Body(len(form), lambda: form, "application/x-www-form-urlencoded")
        headers, within = {"Accept": "application/json"}, self._deadline(timeout)
        with self._registered(self._send(url, headers, within, method="POST", body=body)) as response:
            yield response

    @contextmanager
    def _registered(self, response: Response) -> Iterator[Response]:
        """Let `abort` end a response's reads, and close it afterwards."""
        with self._lock:
            self._open.add(response)
        try:
            if self._aborted:
                raise TransportError(f"stopped during the request to {response.url}")
            yield response
        finally:
            with self._lock:
                self._open.discard(response)
            response.close()

    def abort(self) -> None:
        """End all current and future requests."""
        with self._lock:
            self._aborted = True
            waiting, asking = list(self._open), list(self._asking)
        for response in waiting:
            response.abort()
        for each in asking:
            each.set()

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let `abort` end a request before its response begins."""
        with ExitStack() as stack:
            mine = interrupt.current() or stack.enter_context(Interrupt())
            with self._lock:
                self._asking.add(mine)
                is_late = self._aborted
            try:
                if is_late:
                    mine.set()
                yield
            finally:
                with self._lock:
                    self._asking.discard(mine)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for adapter in self._adapters.values():
                adapter.close()

    def _send(
        self,
        url: str,
        headers: dict[str, str],
        within: Deadline,
        *,
        method: str,
        body: Body | None = None,
        identify: bool = True,
    ) -> Response:
        mine = interrupt.current()
        if self._aborted or (mine and mine.is_set):
            raise TransportError(f"stopped before the request to {shown_url(url)}", tries=1)
        timeout = within.timeout
        proxy = self.proxies.choose(url)
        adapter = self._adapter(Origin.of(url), identify=identify)
        _note_secrets(url, headers.get("Authorization", ""), proxy)
        with mapped(url, proxy), self._interruptible(), within.applied(partial(self._announce, url)):
            answer = adapter.send(
                _prepared(method, url, headers, body),
                stream=True,
                timeout=(min(self.connect_timeout, timeout), timeout + _patience(body)),
                proxies={Origin.of(url).scheme: proxy.url} if proxy else {},
            )
        response = Response(answer, url, within, self.rate_limit)
        _logger.info("%s %s: %s %s", method, response.url, response.status, response.reason)
        if response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and proxy:
            response.close()
            raise proxy_error(proxy, f"{response.status} {response.reason}")
        self._pass_on_warnings(response)
        return response

    def _deadline(self, timeout: float | None) -> Deadline:
        return Deadline(min(timeout or self.timeout, self.timeout))

    def _announce(self, url: str) -> None:
        """Report that a server is silent, once for all attempts at one thing."""
        with self._lock:
            is_new = (thing := url.partition("?")[0]) not in self._announced
            self._announced.add(thing)
        if is_new:
            _logger.warning("waiting for %s: nothing received for %.0f s", Origin.of(url), NOTICE)

    def _adapter(self, origin: Origin, *, identify: bool) -> requests.adapters.HTTPAdapter:
        """Return an origin's adapter; connections are never shared between certificates."""
        with self._lock:
            adapter = self._adapters.get((origin, identify))
            if adapter is None:
                context = self._context(origin, identify=identify) if origin.scheme == "https" else None
                adapter = ContextAdapter(context, most=_CONNECTIONS, proxy_context=self._common)
                self._adapters[origin, identify] = adapter
            return adapter

    def _context(self, origin: Origin, *, identify: bool) -> ssl.SSLContext:
        return self.trust.context(origin.host, origin.port, client_certificate=identify, common=self._common)

    def _pass_on_warnings(self, response: Response) -> None:
        """Log each ``Warning`` header once (distribution specification, "Warnings")."""
        header = ",".join(line.as_sent for line in response.headers("Warning"))
        for text in _WARNING.findall(header[:_MAX_WARNINGS]):
            message = f"warning from {response.origin}: {sanitize(text)}"
            if message not in self._warned and self._warnings_left >= len(text):
                self._warnings_left -= len(text)
                self._warned.add(message)
                _logger.warning("%s", message)


@contextmanager
def _redirected(chain: list[str]) -> Iterator[None]:
    """Let an error say that a redirect led to the place that does not answer."""
    try:
        yield
    except TransportError as error:
        if len(chain) == 1:
            raise
        raise error.within(f"{Origin.of(chain[0])} redirects to {Origin.of(chain[-1])}")  # noqa: B904  # a copy


def _range(offset: int, length: int | None) -> dict[str, str]:
    """Return the header that requests a part of the content (RFC 9110, section 14.2)."""
    if length is not None:
        return {"Range": f"bytes={offset}-{offset + length - 1}"}
    return {"Range": f"bytes={offset}-"} if offset else {}


def _prepared(method: str, url: str, headers: Mapping[str, str], body: Body | None) -> requests.PreparedRequest:
    """Return a request for a URL as it is, because signatures cover its literal text."""
    prepared = requests.PreparedRequest()
    prepared.prepare_method(method)
    prepared.prepare_headers({"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers})
    prepared.prepare_body(None, None)
    if body is not None:
        prepared.headers.update(body.headers)
        prepared.body = body.content() if body.size else None  # its length is stated
    prepared.url = url
    return prepared


def _patience(body: Body | None) -> float:
    return body.patience if body else 0


def _is_storage(chain: list[str]) -> bool:
    """Return whether redirects have left the API of a registry, which is below ``/v2/``."""
    return len(chain) > 1 and "/v2/" not in urlsplit(chain[-1]).path


def _note_secrets(url: str, authorization: str, proxy: Proxy | None) -> None:
    """Note the secrets of a request before it is sent, because servers repeat what they receive."""
    KNOWN.note(authorization.partition(" ")[2], *secret_values(url), passing=True)
    if proxy is not None:
        login = urlsplit(proxy.url)
        KNOWN.note_login(unquote(login.username or ""), unquote(login.password or ""))
