"""Sends a request and follows its redirects: time-outs, bounds, errors.

`requests` carries the bytes by its adapter alone, for what its sessions add on their own must not be:

* the environment and ``~/.netrc``, which would replace our ``Authorization`` (P01, S12);
* cookies, which make some registries demand CSRF tokens (P03);
* redirects, which it follows without a bound, reading their bodies, and with a rewritten URL (P04, P73);
* content decoding, after which no digest can match (P05, P06).

What the libraries raise is put into our words by `imgfetch.failures`.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urljoin

import requests
import requests.adapters

from imgfetch.answer import Response
from imgfetch.errors import RegistryError, TransportError
from imgfetch.failures import CONNECT_TIMEOUT, READ_TIMEOUT, mapped
from imgfetch.oddities import Oddities
from imgfetch.origin import Origin
from imgfetch.printable import clean
from imgfetch.printable import url as shown_url

MAX_REDIRECTS = 10

_CONNECTIONS = 64
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
_MAX_WARNINGS = 4096

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Terms:
    """What holds for a request and its redirects."""

    downgrade: bool
    same_host: bool
    timeout: float


class Transport:
    """Connections to any number of hosts; safe to be used from several threads."""

    def __init__(self, *, oddities: Oddities, user_agent: str) -> None:
        """Open no connection yet.

        Args:
            oddities: told of redirects to plain http.
            user_agent: the ``User-Agent`` of every request (P10).
        """
        self._oddities = oddities
        self._headers = {"User-Agent": user_agent, "Accept-Encoding": "identity"}
        # All retrying is ours (P09).
        self._adapter = requests.adapters.HTTPAdapter(pool_maxsize=_CONNECTIONS, max_retries=0)
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
        timeout: float = READ_TIMEOUT,
    ) -> Iterator[Response]:
        """Ask for ``url``, follow redirects, and yield the last answer, whatever its status.

        Args:
            url: what to ask for, sent as it stands.
            accept: the ``Accept`` header.
            authorization: the ``Authorization`` header; only the origin of ``url`` itself is sent it (P72, S07).
            downgrade: whether a redirect from https to http is followed; for content checked by digest only (P74).
            same_host: whether a redirect to another host is refused (S05).
            timeout: seconds between two bytes at most.

        Raises:
            TransportError: no answer came.
            RegistryError: the redirects lead nowhere (M13).
        """
        terms = _Terms(downgrade=downgrade, same_host=same_host, timeout=timeout)
        response = self._follow(url, {"Accept": accept}, authorization, terms)
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
        self._adapter.close()

    def _follow(self, url: str, headers: dict[str, str], authorization: str | None, terms: _Terms) -> Response:
        home = Origin.of(url)
        chain = [url]
        while True:
            at_home = authorization is not None and Origin.of(url) == home
            own = {**headers, "Authorization": authorization or ""} if at_home else headers
            response = self._send(url, own, terms.timeout)
            if response.status not in _REDIRECTS:
                return response
            location = response.header("Location")
            status = response.status
            response.close()
            if not location:
                raise _lost(chain, status, "a redirect without a Location")
            target = _resolved(url, location)
            self._check_redirect(chain, target, status, terms)
            chain.append(target)
            url = target

    def _check_redirect(self, chain: list[str], target: str, status: int, terms: _Terms) -> None:
        if target in chain:
            raise _lost([*chain, target], status, "the redirects go round in a circle")
        if len(chain) > MAX_REDIRECTS:
            raise _lost([*chain, target], status, f"more than {MAX_REDIRECTS} redirects")
        home, here, there = Origin.of(chain[0]), Origin.of(chain[-1]), Origin.of(target)
        if there.is_nowhere or (there.is_loopback and not home.is_loopback):
            raise _lost([*chain, target], status, "a redirect to an address where no registry's storage can be")
        if terms.same_host and there.host != home.host:
            raise _lost([*chain, target], status, "a redirect to another host, which is refused for a token")
        if here.scheme == "https" and there.scheme == "http":
            if not terms.downgrade:
                raise _lost([*chain, target], status, "a redirect from https to http, which is refused here")
            self._oddities.tolerate(
                f"{here} redirects to {there} over plain http; the content is checked by its digest all the same"
            )

    def _send(self, url: str, headers: dict[str, str], timeout: float) -> Response:
        if self._aborted:
            raise TransportError(f"stopped before asking {shown_url(url)}")
        with mapped(url):
            prepared = requests.Request("GET", url, headers={**self._headers, **headers}).prepare()
            # Signed URLs sign the literal text, which preparing has rewritten (P73).
            prepared.url = url
            answer = self._adapter.send(prepared, stream=True, timeout=(CONNECT_TIMEOUT, timeout))
        response = Response(answer, url)
        _logger.info("GET %s: %s %s", response.url, response.status, response.reason)
        self._pass_on_warnings(response)
        return response

    def _pass_on_warnings(self, response: Response) -> None:
        """Show what a registry has to say to its users, once (S32, distribution specification "Warnings")."""
        for text in _WARNING.findall(",".join(response.headers("Warning"))[:_MAX_WARNINGS]):
            message = f"{response.origin} says: {clean(text)}"
            if message not in self._warned and self._warnings_left >= len(text):
                self._warnings_left -= len(text)
                self._warned.add(message)
                _logger.warning("%s", message)


def _resolved(url: str, location: str) -> str:
    """Return the URL that a ``Location`` means, with not a character changed that need not be (P71, P73)."""
    with suppress(UnicodeError):  # headers come as Latin-1, URLs are UTF-8
        location = location.encode("latin-1").decode("utf-8")
    location = location.strip()
    if re.match("https?://", location, re.IGNORECASE):
        return location
    if location.startswith("/") and not location.startswith("//"):
        scheme, _, rest = url.partition("://")
        return f"{scheme}://{re.split('[/?#]', rest, maxsplit=1)[0]}{location}"
    try:
        return urljoin(url, location)
    except ValueError:
        return location  # no URL, which will be said


def _lost(chain: list[str], status: int, reason: str) -> RegistryError:
    hosts = " -> ".join(shown_url(url) for url in chain[:4])
    return RegistryError(
        f"{shown_url(chain[0])} answers with {reason}: {hosts}{' -> …' if len(chain) > 4 else ''}",  # noqa: PLR2004
        url=shown_url(chain[-1]),
        status=status,
        hint="the registry's storage or proxy is set up wrongly",
    )
