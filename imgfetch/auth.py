"""Answers a registry's challenge with a token.

The flow of the distribution project's token specification: the registry refuses with a challenge, the
token server that it names gives a token for the challenge's scope, and the request is sent again (P40 to P50).
Tokens live in memory only, and are sent to the registry's own origin only (P49, S07).
"""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlencode, urljoin, urlsplit

from imgfetch import challenges, strictjson
from imgfetch.answer import Response
from imgfetch.challenges import Challenge
from imgfetch.errors import AuthenticationError, ImgfetchError, TransportError, UnavailableError, VerificationError
from imgfetch.httperrors import not_the_protocol, rejection
from imgfetch.origin import Origin
from imgfetch.printable import clean
from imgfetch.printable import url as shown_url
from imgfetch.transport import Transport

CLIENT_ID = "imgfetch"
MAX_TOKEN_REPLY = 1024 * 1024
MIN_LIFE = 60.0
"""Seconds that a token lives at least, whatever its ``expires_in`` says (P48, token specification)."""
RENEW_BEFORE = 10.0
"""Seconds before its end at which a token is not used any more."""

NO_LOGIN = "this version pulls without a login only"

_OK = 200
_MAX_SCHEMES = 8
_MAX_SCOPES = 16
TOKEN_TIMEOUT = 15.0
"""Seconds for the whole of a token server's reply (P08)."""
_REPLY_KEYS = frozenset({"token", "access_token", "expires_in"})

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Token:
    """A token and, on the monotonic clock, when it ends."""

    value: str = field(repr=False)
    end: float

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() < self.end - RENEW_BEFORE


@dataclass(frozen=True, slots=True)
class _Grant:
    """What a token is asked for, and where."""

    realm: str
    service: str
    scopes: tuple[str, ...]


class Authenticator:
    """Tokens for one registry; safe to be used from several threads.

    Args:
        transport: for the requests to token servers.
        base: the registry's URL, such as ``https://quay.io``.
    """

    def __init__(self, transport: Transport, base: str) -> None:
        """Know nothing yet: the first request goes out without a token (P33)."""
        self._transport = transport
        self._base = base
        self._lock = threading.Lock()
        self._grants: dict[str, _Grant] = {}
        self._tokens: dict[_Grant, _Token] = {}

    def authorization(self, repository: str) -> str | None:
        """Return the ``Authorization`` header for requests about ``repository``, if one is known to be wanted.

        A token that is about to end is renewed (P48).

        Raises:
            AuthenticationError: the token server gives none.
        """
        with self._lock:
            grant = self._grants.get(repository)
            return self._header(grant) if grant else None

    def answer(self, refusal: Response, repository: str, used: str | None, what: str) -> str:
        """Return another ``Authorization`` header, after a 401.

        Args:
            refusal: the answer.
            repository: what was asked about.
            used: the header that was refused, if one was sent.
            what: what was asked for, in messages.

        Raises:
            AuthenticationError: there is no way to get one without a login, or the token server gives none.
        """
        offered = challenges.parse(refusal.headers("WWW-Authenticate"))
        asked = refusal.address
        if not any(challenge.scheme in ("bearer", "basic") for challenge in offered):
            asked = f"{self._base}/v2/"
            offered = self._ping(asked) or offered
        with self._lock:
            challenge = self._choose(offered, refusal, what)
            known = self._grants.get(repository)
            grant = _Grant(
                _realm(challenge, asked),
                challenge.parameters.get("service", ""),
                _scopes(challenge, known.scopes if known else (f"repository:{repository}:pull",)),
            )
            self._grants[repository] = grant
            if used is not None:
                self._forget(used)
            return self._header(grant)

    def _ping(self, url: str) -> tuple[Challenge, ...]:
        """Ask the registry's root for the challenge that the real request lacked (P33; gcr.io does so)."""
        with self._transport.get(url) as response:
            if response.origin != Origin.of(self._base):  # what another host demands is not ours to give (S34)
                return ()
            return challenges.parse(response.headers("WWW-Authenticate"))

    def _choose(self, offered: tuple[Challenge, ...], refusal: Response, what: str) -> Challenge:
        """Take Bearer where it is offered (P41)."""
        for challenge in offered:
            if challenge.scheme == "bearer":
                return challenge
        for challenge in offered:
            if challenge.scheme == "basic":
                realm = clean(challenge.parameters.get("realm", ""), 80)
                raise AuthenticationError(
                    f"{what} needs a login: {refusal.origin} asks for a user name and password "
                    f'(Basic, realm "{realm}")',
                    hint=NO_LOGIN,
                )
        schemes = ", ".join(clean(challenge.scheme, 40) for challenge in offered[:_MAX_SCHEMES])
        if schemes:
            raise AuthenticationError(
                f"{what} needs a login: {refusal.origin} offers only {schemes}, which imgfetch does not speak"
            )
        raise rejection(refusal, what, hint=NO_LOGIN)

    def _forget(self, used: str) -> None:
        """Drop a token that was refused, unless another thread has done so."""
        for key, token in list(self._tokens.items()):
            if _bearer_header(token) == used:
                del self._tokens[key]

    def _header(self, grant: _Grant) -> str:
        token = self._tokens.get(grant)
        if token is None or not token.is_fresh:
            token = self._tokens[grant] = self._fetch(grant)
        return _bearer_header(token)

    def _fetch(self, grant: _Grant) -> _Token:
        """Ask the token server (P44)."""
        realm = grant.realm
        query = [("service", grant.service)] if grant.service else []
        query += [*(("scope", scope) for scope in grant.scopes), ("client_id", CLIENT_ID)]
        url = f"{realm}{'&' if urlsplit(realm).query else '?'}{urlencode(query)}"
        _logger.debug("token from %s", shown_url(url))
        what = f"an access token for {Origin.of(self._base)}"
        try:
            with self._transport.get(url, accept="application/json", same_host=True, timeout=TOKEN_TIMEOUT) as response:
                if response.status != _OK:
                    raise rejection(response, f"{what}, from its token server {shown_url(realm)},")
                return _read_token(response)
        except UnavailableError:
            raise
        except ImgfetchError as error:
            raise AuthenticationError(
                f"cannot get {what}: the registry announced the token server {shown_url(realm)}, and that failed",
                hint=error.hint or "imgfetch did not choose this address, the registry did",
            ) from error


def _bearer_header(token: _Token) -> str:
    return f"Bearer {token.value}"


def _realm(challenge: Challenge, asked: str) -> str:
    """Return the token server's URL; a relative one starts from what was ``asked`` (P42).

    Raises:
        AuthenticationError: the challenge names none that can be used.
    """
    text = challenge.parameters.get("realm", "").strip()
    registry = Origin.of(asked)
    if not text:
        raise AuthenticationError(
            f"{registry} asks for a token, but names no token server (its challenge has no realm)"
        )
    try:
        realm = urljoin(asked, text).partition("#")[0]
        host = Origin.of(realm)
    except (ValueError, TransportError) as error:
        raise AuthenticationError(
            f"{registry} announced a token server that cannot be used: {clean(str(error))}"
        ) from None
    if host.is_nowhere or (host.is_loopback and not registry.is_loopback):
        raise AuthenticationError(
            f"{registry} announced a token server that cannot be used: {shown_url(realm)}, where none can be"
        )
    return realm


def _scopes(challenge: Challenge, known: tuple[str, ...]) -> tuple[str, ...]:
    """Join the challenge's scopes, which come first, and those asked for before (P46, P50)."""
    return tuple(dict.fromkeys([*challenge.parameters.get("scope", "").split(), *known]))[:_MAX_SCOPES]


def _read_token(response: Response) -> _Token:
    """Read a token server's reply (P47, P48).  No part of it is ever quoted, for it may be a token (S14).

    Raises:
        RegistryError: it is no such reply.
        AuthenticationError: it has no token.
    """
    received = time.monotonic()
    body = response.document(MAX_TOKEN_REPLY, "the reply", timeout=TOKEN_TIMEOUT)
    try:
        reply = strictjson.Object(strictjson.loads(body, "the reply"), "the reply", _REPLY_KEYS)
    except VerificationError:
        raise not_the_protocol(response, body, "the token", quote=False) from None
    for key in ("access_token", "token"):
        value = reply.get(key)
        if isinstance(value, str) and value:
            if not value.isascii() or not value.isprintable():
                break
            return _Token(value, received + _life(reply.get("expires_in")))
    raise AuthenticationError(f"{response.url} replied without a usable token")


def _life(value: object) -> float:
    """Return the seconds that a token lives; ``expires_in`` comes as a number, as text, or not at all (P48)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return MIN_LIFE
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return MIN_LIFE
    return max(seconds, MIN_LIFE) if math.isfinite(seconds) else MIN_LIFE
