"""Answers a registry's challenge, with a login or with a token.

The flow of the distribution project's token specification: the registry refuses with a challenge, the
token server that it names gives a token for the challenge's scope, and the request is sent again (P40 to P50).
Logins are looked for only then (P27).  What is got lives in memory only, and is sent to the registry's own origin
only (P49, S07).
"""

from __future__ import annotations

import threading

from imgfetch.auth import challenges
from imgfetch.auth.challenges import Challenge
from imgfetch.auth.credentials import Credentials
from imgfetch.auth.login import Login, login_again
from imgfetch.auth.realms import Realm, RealmPolicy
from imgfetch.auth.token_reply import Token
from imgfetch.auth.tokens import Grant, TokenClient
from imgfetch.errors import AuthenticationError
from imgfetch.http.client import HttpClient
from imgfetch.http.origin import Origin, login_command
from imgfetch.http.response import Response
from imgfetch.http.retries import RetryPolicy
from imgfetch.http.status_errors import answer_of, rejection
from imgfetch.text import sanitize

_MAX_SCHEMES = 8
_MAX_SCOPES = 16


class Authenticator:
    """What opens one registry; safe to be used from several threads.

    Args:
        transport: for the requests to token servers.
        name: the registry's name, by which logins are found.
        base: the registry's URL, such as ``https://quay.io``.
        credentials: where logins are found.
        realms: the user's say about token servers.
        patience: how often to ask for a token; by default once.
    """

    def __init__(
        self,
        transport: HttpClient,
        name: str,
        base: str,
        *,
        credentials: Credentials,
        realms: RealmPolicy,
        patience: RetryPolicy | None = None,
    ) -> None:
        """Know nothing yet: the first request goes out without a login (P33)."""
        self._transport = transport
        self._name = name
        self._base = base
        self._credentials = credentials
        self._realms = realms
        self._client = TokenClient(transport, base, patience)
        self._lock = threading.Lock()
        self._grants: dict[str, Grant] = {}
        self._tokens: dict[Grant, Token] = {}
        self._presented: dict[str, Login] = {}

    def authorization(self, repository: str) -> str | None:
        """Return the ``Authorization`` header for requests about ``repository``, if one is known to be wanted.

        A token that is about to end is renewed (P48).

        Raises:
            AuthenticationError: the token server gives none.
        """
        with self._lock:
            if repository in self._presented:
                return self._presented[repository].authorization
            grant = self._grants.get(repository)
            return self._header(grant, repository) if grant else None

    def answer(self, refusal: Response, repository: str, used: str | None, label: str) -> str:
        """Return another ``Authorization`` header, after a 401.

        Args:
            refusal: the answer.
            repository: what was asked about.
            used: the header that was refused, if one was sent.
            label: what was asked for, in messages.

        Raises:
            AuthenticationError: there is no way to get one, or the token server gives none.
        """
        offered = challenges.parse(refusal.headers("WWW-Authenticate"))
        asked = refusal.address
        if not any(challenge.scheme in ("bearer", "basic") for challenge in offered):
            asked = f"{self._base}/v2/"
            offered = self._ping(asked) or offered
        with self._lock:
            challenge = self._choose(offered, refusal, label)
            login = self._credentials.find(self._name, repository)
            if challenge.scheme == "basic" or (login and login.registry_token):
                login = self._presented[repository] = self._usable(login, challenge, refusal, used, label)
                return login.authorization
            known = self._grants.get(repository)
            grant = Grant(
                self._realm(challenge.parameters.get("realm", ""), asked, label),
                challenge.parameters.get("service", ""),
                _scopes(challenge, known.scopes if known else (f"repository:{repository}:pull",)),
                f"{self._name}/{repository}",
            )
            self._grants[repository] = grant
            if used is not None:
                self._forget(used)
            return self._header(grant, repository)

    def hint(self, repository: str) -> str:
        """Say by what login, if any, a repository was asked for, for a message (M06, M07)."""
        with self._lock:
            grant = self._grants.get(repository)
            token = self._tokens.get(grant) if grant else None
            used = self._presented.get(repository) or (token.login if token else None)
            found = self._credentials.find(self._name, repository) if grant and grant.realm.refused else None
        if used is not None:
            again = login_again(self._name, used)
            return f"asked with {used.description}, which may not be allowed to have it; if it should be, {again}"
        if found is not None and grant is not None:
            return f"{found.description} was kept back: {grant.realm.refused}"
        return f"asked without a login; if it needs one: {login_command(self._name)}"

    def _ping(self, url: str) -> tuple[Challenge, ...]:
        """Ask the registry's root for the challenge that the real request lacked (P33; gcr.io does so)."""
        with self._transport.get(url) as response:
            if response.origin != Origin.of(self._base):  # what another host demands is not ours to give (S34)
                return ()
            return challenges.parse(response.headers("WWW-Authenticate"))

    def _realm(self, text: str, asked: str, label: str) -> Realm:
        """Find the token server, or say what for it is wanted (M08, M11)."""
        try:
            return self._realms.find(text, asked)
        except AuthenticationError as error:
            hint = "the registry, or a proxy in front of it, is set up wrongly"
            if text.strip():
                hint += "; another token server is named by --realm-override HOST:PORT=URL"
            raise AuthenticationError(f"{label} needs a token: {error}", hint=hint) from None

    def _choose(self, offered: tuple[Challenge, ...], refusal: Response, label: str) -> Challenge:
        """Take Bearer where it is offered, else Basic (P41)."""
        for scheme in ("bearer", "basic"):
            for challenge in offered:
                if challenge.scheme == scheme:
                    return challenge
        schemes = ", ".join(sanitize(challenge.scheme, 40) for challenge in offered[:_MAX_SCHEMES])
        if schemes:
            raise AuthenticationError(
                f"{label} needs a login: {refusal.origin} offers only {schemes}, which imgfetch does not speak",
                hint="whoever runs the registry, or the proxy in front of it, can make it offer Basic or Bearer",
            )
        raise rejection(
            refusal, label, hint=f"check the name and the tag; if it needs a login: {login_command(self._name)}"
        )

    def _usable(
        self, login: Login | None, challenge: Challenge, refusal: Response, used: str | None, label: str
    ) -> Login:
        """Return the login if it can be sent to the registry itself, and has not been refused (M05, M06)."""
        if login is None or not login.authorization:
            realm = sanitize(challenge.parameters.get("realm", ""), 80)
            raise AuthenticationError(
                f'{label} needs a login: {refusal.origin} asks for a user name and password (Basic, realm "{realm}")',
                hint=f"{login_command(self._name)}, or --username with --password-stdin{_nexus(realm)}",
            )
        if login.authorization == used:
            raise AuthenticationError(
                f"{refusal.origin} refuses {login.description} for {label}", hint=login_again(self._name, login)
            ) from AuthenticationError(answer_of(refusal))
        return login

    def _forget(self, used: str) -> None:
        """Drop a token that was refused, unless another thread has done so."""
        for grant, token in list(self._tokens.items()):
            if token.authorization == used:
                del self._tokens[grant]

    def _header(self, grant: Grant, repository: str) -> str:
        token = self._tokens.get(grant)
        if token is None or not token.is_fresh:
            login = self._credentials.find(self._name, repository)
            token = self._tokens[grant] = self._client.fetch(grant, login)
        return token.authorization


def _nexus(realm: str) -> str:
    """Say what opens a Nexus to everybody: without it, it asks for a password even where it needs none (M05)."""
    if "nexus" not in realm.lower():
        return ""
    return "; for pulls without a login, Nexus needs its Docker Bearer Token realm enabled, and anonymous access"


def _scopes(challenge: Challenge, known: tuple[str, ...]) -> tuple[str, ...]:
    """Join the challenge's scopes, which come first, and those asked for before (P46, P50)."""
    return tuple(dict.fromkeys([*challenge.parameters.get("scope", "").split(), *known]))[:_MAX_SCOPES]
