"""Answers to a registry's challenges: credentials or a token.

The flow is that of the distribution project's token specification: the registry rejects a request with a challenge, the
token server that the challenge names issues a token for the challenge's scope, and imgfetch repeats the request.  It
reads credentials only when challenged.  Tokens stay in memory, and only the registry's own origin receives them
(docs/registries.md#who-receives-credentials).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from imgfetch.auth import challenges
from imgfetch.auth.challenges import Challenge
from imgfetch.auth.credentials import Credentials
from imgfetch.auth.grants import Grant, Token
from imgfetch.auth.login import Login, login_again
from imgfetch.auth.realms import Realm, RealmPolicy
from imgfetch.errors import AuthenticationError
from imgfetch.http.client import HttpClient
from imgfetch.http.origin import Origin, login_command
from imgfetch.http.response import Response
from imgfetch.http.status_errors import answer_of, rejection
from imgfetch.text import sanitize

_MAX_SCHEMES = 8
_MAX_SCOPES = 16


@dataclass(eq=False, repr=False)
class Authenticator:
    """Provider of ``Authorization`` headers for one registry; thread-safe.

    Attributes:
        transport: sends requests.
        name: the registry's name, by which its credentials are found.
        base: its URL, such as ``https://quay.io``.
        credentials: the sources of credentials.
        realms: the rules for token servers.
        fetch_token: requests a token: `TokenClient.fetch`.

    Raises:
        AuthenticationError: there are no credentials for a challenge, or the token server issues no token.
    """

    transport: HttpClient
    name: str
    base: str
    _: KW_ONLY
    credentials: Credentials
    realms: RealmPolicy
    fetch_token: Callable[[Grant, Login | None], Token]

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._grants: dict[str, Grant] = {}
        self._tokens: dict[Grant, Token] = {}
        self._presented: dict[str, Login] = {}

    def authorization(self, repository: str) -> str | None:
        """Return the ``Authorization`` header for ``repository``; ``None`` before the first challenge.

        A token that is about to expire is renewed.  The first request goes out without credentials
        (docs/registries.md#first-request).
        """
        with self._lock:
            if repository in self._presented:
                return self._presented[repository].authorization
            grant = self._grants.get(repository)
            return self._header(grant, repository) if grant else None

    def answer(self, refusal: Response, repository: str, used: str | None, label: str) -> str:
        """Return another ``Authorization`` header, after a 401 for the header ``used``, if any."""
        offered = challenges.parse(refusal.headers("WWW-Authenticate"))
        asked = refusal.address
        if not any(challenge.scheme in ("bearer", "basic") for challenge in offered):
            asked = f"{self.base}/v2/"
            offered = self._ping(asked) or offered
        with self._lock:
            challenge = self._choose(offered, refusal, label)
            login = self.credentials.find(self.name, repository)
            if challenge.scheme == "basic" or (login and login.registry_token):
                login = self._presented[repository] = self._usable(login, challenge, refusal, used, label)
                return login.authorization
            known = self._grants.get(repository)
            grant = Grant(
                self._realm(challenge.parameters.get("realm", ""), asked, label),
                challenge.parameters.get("service", ""),
                _scopes(challenge, known.scopes if known else (f"repository:{repository}:pull",)),
                f"{self.name}/{repository}",
            )
            self._grants[repository] = grant
            if used is not None:
                self._forget(used)
            return self._header(grant, repository)

    def hint(self, repository: str) -> str:
        """Return a hint that names the credentials, if any, that a repository was requested with."""
        with self._lock:
            grant = self._grants.get(repository)
            token = self._tokens.get(grant) if grant else None
            used = self._presented.get(repository) or (token.login if token else None)
            found = self.credentials.find(self.name, repository) if grant and grant.realm.refused else None
        if used is not None:
            again = login_again(self.name, used)
            return f"imgfetch used {used.description}, which may lack access; {again}"
        if found is not None and grant is not None:
            return f"imgfetch withheld {found.description}: {grant.realm.refused}"
        return f"if the image needs credentials (none were sent), log in: {login_command(self.name)}"

    def _ping(self, url: str) -> tuple[Challenge, ...]:
        """Request the registry's root for the challenge that the 401 lacked (docs/registries.md#first-request)."""
        with self.transport.get(url) as response:
            if response.origin != Origin.of(self.base):  # another host must not choose the token server
                return ()
            return challenges.parse(response.headers("WWW-Authenticate"))

    def _realm(self, text: str, asked: str, label: str) -> Realm:
        try:
            return self.realms.find(text, asked)
        except AuthenticationError as error:
            hint = "the registry or a proxy in front of it is misconfigured; tell the registry's operator"
            if text.strip():
                hint += "; to use another token server, pass --realm-override HOST:PORT=URL"
            raise AuthenticationError(f"cannot get {label}: {error}", hint=hint) from None

    def _choose(self, offered: tuple[Challenge, ...], refusal: Response, label: str) -> Challenge:
        """Prefer Bearer to Basic, as docker does (docs/registries.md#challenges)."""
        for scheme in ("bearer", "basic"):
            for challenge in offered:
                if challenge.scheme == scheme:
                    return challenge
        schemes = ", ".join(sanitize(challenge.scheme, 40) for challenge in offered[:_MAX_SCHEMES])
        if schemes:
            raise AuthenticationError(
                f"{label} needs credentials: {refusal.origin} offers only {schemes}, which imgfetch does not support",
                hint="ask the operator of the registry, or of the proxy in front of it, to offer Basic or Bearer",
            )
        raise rejection(
            refusal,
            label,
            hint=f"check the name and tag; if the image needs credentials, log in: {login_command(self.name)}",
        )

    def _usable(
        self, login: Login | None, challenge: Challenge, refusal: Response, used: str | None, label: str
    ) -> Login:
        """Return ``login`` if it can be sent to the registry itself and has not been rejected yet."""
        if login is None or not login.authorization:
            realm = sanitize(challenge.parameters.get("realm", ""), 80)
            raise AuthenticationError(
                f"{label} needs credentials: {refusal.origin} expects a user name and password "
                f'(Basic, realm "{realm}")',
                hint=f"log in: {login_command(self.name)}, or pass --username with --password-stdin{_nexus(realm)}",
            )
        if login.authorization == used:
            raise AuthenticationError(
                f"{refusal.origin} rejected {login.description} for {label}", hint=login_again(self.name, login)
            ) from AuthenticationError(answer_of(refusal))
        return login

    def _forget(self, used: str) -> None:
        """Drop a rejected token, unless another thread has already replaced it."""
        for grant, token in list(self._tokens.items()):
            if token.authorization == used:
                del self._tokens[grant]

    def _header(self, grant: Grant, repository: str) -> str:
        token = self._tokens.get(grant)
        if token is None or not token.is_fresh:
            login = self.credentials.find(self.name, repository)
            token = self._tokens[grant] = self.fetch_token(grant, login)
        return token.authorization


def _nexus(realm: str) -> str:
    """Return advice for Nexus, which may demand a password for public images (docs/registries.md#first-request)."""
    if "nexus" not in realm.lower():
        return ""
    return "; for anonymous pulls, enable Nexus's Docker Bearer Token realm and anonymous access"


def _scopes(challenge: Challenge, known: tuple[str, ...]) -> tuple[str, ...]:
    """Join the challenge's scopes with earlier ones (docs/registries.md#token-requests)."""
    return tuple(dict.fromkeys([*challenge.parameters.get("scope", "").split(), *known]))[:_MAX_SCOPES]
