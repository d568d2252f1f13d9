"""Token requests by the distribution project's token and OAuth2 specifications (docs/registries.md#token-requests)."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import NoReturn
from urllib.parse import urlencode, urlsplit

from imgfetch.auth import grants
from imgfetch.auth.grants import Grant, Token
from imgfetch.auth.login import Login, login_again
from imgfetch.auth.realms import Realm
from imgfetch.errors import (
    AuthenticationError,
    CertificateError,
    ImgfetchError,
    ProxyError,
    StorageError,
    TransportError,
    UnavailableError,
    VerificationError,
)
from imgfetch.http.client import HttpClient
from imgfetch.http.origin import Origin, login_command
from imgfetch.http.response import Response
from imgfetch.http.retries import RetryPolicy
from imgfetch.http.status_errors import answer_of, not_the_protocol, rejection
from imgfetch.text import sanitize, shown_url

CLIENT_ID = "imgfetch"
MAX_REPLY = 1024 * 1024
TIMEOUT = 15.0
"""Seconds for a token server's whole reply."""
TOKEN_TRIES = 3
REFUSED_TRIES = 2
"""Attempts for a token; fewer if the server refuses the connection, because waiting does not fix a wrong address."""

_DENIED = (401, 403)
_NO_POST = (400, 401, 404, 405)
"""Statuses of servers without support for refresh tokens (docs/registries.md#refresh-tokens)."""

_logger = logging.getLogger(__name__)


class _FailedError(AuthenticationError):
    """The response does not come from a token server."""


class DeniedError(AuthenticationError):
    """A token server rejects the credentials, or an anonymous request."""


_NOT_THERE = (TransportError, UnavailableError, _FailedError)


class RejectedError(DeniedError):
    """A token server says that the credentials are wrong (RFC 9110, section 15.5.2), not that they have no access."""


class TokenClient:
    """Client of the token servers of the registry at the URL ``base``; by default without retries.

    With ``identify``, client certificates are presented to servers that may receive credentials.
    """

    def __init__(
        self, transport: HttpClient, base: str, retries: RetryPolicy | None = None, *, identify: bool = True
    ) -> None:
        self._retries = retries or RetryPolicy(retries=0)
        self._transport = transport
        self._base = base
        self._identify = identify
        self._denied: set[tuple[str, Login]] = set()
        self._accepted: set[tuple[str, Login]] = set()
        self._rejected: dict[tuple[str, Login], BaseException | None] = {}

    def fetch(self, grant: Grant, login: Login | None) -> Token:
        """Return a token for ``grant``, with ``login`` (password or refresh token) if the server may receive it.

        Raises:
            AuthenticationError: the server issues no token.
            UnavailableError: the server is temporarily unavailable.
        """
        realm = grant.realm
        if login is None or (realm.url, login) in self._denied:
            return self._ask_scopes(grant, None)
        if realm.refused and not realm.own:
            return self._kept_back(grant, login)
        try:
            return self._ask_once(grant, login)
        except AuthenticationError as error:
            if login.is_explicit or not (isinstance(error, DeniedError) or realm.refused):
                raise
            # Expired credentials must not block public images (docs/registries.md#expired-credentials).
            with suppress(AuthenticationError):
                token = self._ask_scopes(grant, None)
                self._denied.add((realm.url, login))
                _logger.warning(
                    "%s rejected %s; continuing without credentials", shown_url(realm.url), login.description
                )
                return token
            raise

    def _ask_once(self, grant: Grant, login: Login) -> Token:
        """Request a token with credentials, unless the server has rejected them and never accepted them.

        Many servers lock an account after a few wrong passwords, so a list of images must not send one for each.
        """
        url = grant.realm.url
        if (url, login) in self._rejected:
            raise self._denial(url, grant, login) from self._rejected[url, login]
        try:
            token = self._ask_scopes(grant, login)
        except RejectedError as error:
            if (url, login) not in self._accepted:
                self._rejected[url, login] = error.__cause__
            raise
        self._accepted.add((url, login))
        return token

    def _kept_back(self, grant: Grant, login: Login) -> Token:
        """Request a token anonymously because the server must not receive the credentials."""
        try:
            return self._ask_scopes(grant, None)
        except DeniedError as denied:
            message = f"{denied}; imgfetch withheld {login.description}"
            override = self._override(grant.realm)
            hint = f"{grant.realm.refused}; {override}" if override else grant.realm.refused
            raise AuthenticationError(message, hint=hint) from denied

    def _ask_scopes(self, grant: Grant, login: Login | None) -> Token:
        """Request all scopes; if there is no token for them, only those of the challenge.

        Some servers refuse everything if they do not know one scope (docs/registries.md#token-requests).
        """
        try:
            return self._ask_places(grant, login)
        except (DeniedError, _FailedError):
            if grant.announced in ((), grant.scopes):
                raise
            return self._ask_places(replace(grant, scopes=grant.announced), login)

    def _ask_places(self, grant: Grant, login: Login | None) -> Token:
        """Try the announced token server, then the same path at the registry's own address, if the realm has that.

        A registry behind a proxy often announces an internal scheme or port that clients cannot reach.  If the
        announced server must not receive the credentials, the registry's own address is the only one that is tried
        (docs/registries.md#unreachable-token-server).
        """
        realm = grant.realm
        first, second = (realm.own, "") if login and realm.refused else (realm.url, realm.own)
        try:
            return self._retries.repeat(lambda: self._ask(first, grant, login), TOKEN_TRIES, refused=REFUSED_TRIES)
        except (CertificateError, ProxyError) as error:
            message = f"{error}; the registry {self._base} named {shown_url(realm.announced)} as its token server"
            raise type(error)(message, hint=error.hint) from error
        except TransportError as error:
            with suppress(*_NOT_THERE):
                if second:
                    token = self._ask(second, grant, login)
                    _logger.warning(
                        "the token server %s, named by %s, does not answer; using %s instead",
                        shown_url(realm.announced),
                        self._base,
                        shown_url(second),
                    )
                    return token
            raise self._unreachable(grant, first, error) from error

    def _ask(self, url: str, grant: Grant, login: Login | None) -> Token:
        query = [("service", grant.service)] if grant.service else []
        query += [*(("scope", scope) for scope in grant.scopes), ("client_id", CLIENT_ID)]
        try:
            if login is not None and login.identity_token:
                token = self._refresh(url, grant, login)
                if token is not None:
                    return token
            authorization = None
            if login is not None and login.password:
                authorization = login.basic()
                query.append(("account", login.username))
            address = f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(query)}"
            with self._transport.get(
                address,
                accept="application/json",
                authorization=authorization,
                same_host=True,
                identify=self._identify and (url == grant.realm.own or not grant.realm.refused),
                timeout=TIMEOUT,
            ) as response:
                return self._read(response, url, grant, login)
        except (TransportError, AuthenticationError, UnavailableError, StorageError):
            raise
        except ImgfetchError as error:
            raise self._failed(url, grant, error.hint or "tell the token server's operator") from error

    def _refresh(self, url: str, grant: Grant, login: Login) -> Token | None:
        """Exchange a refresh token; return ``None`` if the server may support only passwords."""
        form = {"grant_type": "refresh_token", "refresh_token": login.identity_token, "service": grant.service}
        form |= {"client_id": CLIENT_ID, "scope": " ".join(grant.scopes)}
        with self._transport.post(url, urlencode(form).encode(), timeout=TIMEOUT) as response:
            if response.status in _NO_POST:
                if login.password:
                    return None
                self._refuse(response, url, grant, login)
            return self._read(response, url, grant, login)

    def _read(self, response: Response, url: str, grant: Grant, login: Login | None) -> Token:
        if response.status == HTTPStatus.OK:
            return _token(response, login)
        if response.status in _DENIED:
            self._refuse(response, url, grant, login)
        place = _places(grant.realm, url)
        error = rejection(
            response, f"an access token for {grant.subject}", place=place, max_wait=self._retries.max_wait
        )
        if isinstance(error, UnavailableError):
            raise error
        details: tuple[str, ...] = ()
        if response.status == HTTPStatus.NOT_FOUND:
            details = (
                f"{response.origin} responded, but the path {sanitize(urlsplit(url).path)} does not exist there.",
            )
        raise self._failed(url, grant, error.hint, details) from error

    def _refuse(self, response: Response, url: str, grant: Grant, login: Login | None) -> NoReturn:
        kind = RejectedError if response.status == HTTPStatus.UNAUTHORIZED else DeniedError
        raise self._denial(url, grant, login, kind) from AuthenticationError(answer_of(response))

    def _denial(
        self, url: str, grant: Grant, login: Login | None, kind: type[DeniedError] = DeniedError
    ) -> DeniedError:
        """Return the error for a server that rejects credentials, or an anonymous request."""
        asked = login.description if login else "a request without credentials"
        registry = str(Origin.of(self._base))
        return kind(
            f"cannot get an access token for {grant.subject}: the token server {shown_url(url)}, named by the "
            f"registry, rejected {asked}",
            hint=login_again(registry, login) if login else f"log in: {login_command(registry)}",
        )

    def _failed(self, url: str, grant: Grant, hint: str | None, details: tuple[str, ...] = ()) -> _FailedError:
        return _FailedError(
            f"cannot get an access token for {grant.subject}: the token server {_places(grant.realm, url)}, "
            f"named by the registry {self._base}, did not return a valid token",
            hint=hint or self._override(grant.realm),
            details=details,
        )

    def _override(self, realm: Realm) -> str | None:
        """Return a hint to replace the token server by the registry, unless it is that, or http instead of https."""
        origin, registry = Origin.of(realm.announced), Origin.of(self._base)
        if origin == registry:
            return "the registry named itself as the token server; tell the registry's operator"
        if registry.scheme == "http" and origin.scheme == "https":
            return None
        return f"if the token server is at another address, pass --realm-override {origin.host_and_port}={self._base}"

    def _unreachable(self, grant: Grant, asked: str, error: TransportError) -> AuthenticationError:
        realm = grant.realm
        details = (
            f"The registry {self._base} named this token server in its WWW-Authenticate header.",
            f"{error}.",
            *([f"imgfetch did not contact it: {realm.refused}."] if asked != realm.url else []),
            "imgfetch did not choose this address; the registry did. Usual cause: a reverse proxy in front",
            "of the registry does not pass on the public host name and port.",
            "Server side: forward the original Host (nginx: proxy_set_header Host $http_host) and",
            "X-Forwarded-Proto, and set the registry's external URL.",
        )
        return AuthenticationError(
            f"cannot get an access token for {grant.subject}: the token server "
            f"{shown_url(realm.announced.partition('?')[0])}, named by the registry, does not answer",
            details=details,
            hint=self._override(realm),
        )


def _token(response: Response, login: Login | None) -> Token:
    """Read a reply; errors never quote it, because it may contain a token (docs/registries.md#secrets-in-messages)."""
    body = response.document(MAX_REPLY, "the reply", timeout=TIMEOUT)
    try:
        token = grants.read(body, login)
    except VerificationError:
        raise not_the_protocol(response, body, "the token", quote=False) from None
    if token is None:
        raise AuthenticationError(
            f"the token server {response.url} returned no usable token", hint="tell the registry's operator"
        )
    return token


def _places(realm: Realm, url: str) -> str:
    """Name the announced URL, and the requested one if it differs."""
    announced = shown_url(realm.announced)
    return announced if url == realm.announced else f"{announced} (requested at {shown_url(url)})"
