"""Answers to a registry's challenges: credentials or a token.

The flow is that of the distribution project's token specification: the registry rejects a request with a challenge, the
token server that the challenge names issues a token for the challenge's scope, and imgfetch repeats the request.  It
reads credentials only after a refusal.  Tokens stay in memory, and only the registry's own origin receives them
(docs/registries.md#who-receives-credentials).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, replace

from imgfetch.auth import challenges, choice
from imgfetch.auth.challenges import Challenge
from imgfetch.auth.credentials import Credentials
from imgfetch.auth.grants import Grant, Token
from imgfetch.auth.login import Login, login_again
from imgfetch.auth.realms import Realm, RealmPolicy
from imgfetch.errors import AuthenticationError, ImgfetchError
from imgfetch.http.client import HttpClient
from imgfetch.http.origin import Origin, login_command
from imgfetch.http.response import Response

_MAX_SCOPES = 16

_logger = logging.getLogger(__name__)


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
        pushes: request tokens to push as well, and never continue without the user's credentials.

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
    pushes: bool = False

    def __post_init__(self) -> None:
        self._first = threading.RLock()
        self._turns: dict[str, threading.RLock] = {}
        self._grants: dict[str, Grant] = {}
        self._tokens: dict[Grant, Token] = {}
        self._proven: dict[str, Grant] = {}
        self._usual: tuple[Grant, Login | None] | None = None
        self._presented: dict[str, Login] = {}
        self._settled: set[str] = set()
        self._accepted: set[str] = set()
        self._rejected: set[str] = set()
        self._renewed_in_vain: set[str] = set()
        self._anonymous: set[str] = set()

    def authorization(self, repository: str) -> str | None:
        """Return the ``Authorization`` header for ``repository``; ``None`` before the first challenge.

        A token that is about to expire is renewed.  The first request goes out without credentials, unless the
        registry's challenge is known from another repository (docs/registries.md#first-request).
        """
        with self._turn(repository):
            if repository in self._presented:
                header = self._presented[repository].authorization
                return None if header in self._rejected else header
            grant = self._grants.get(repository)
            return self._header(grant, repository) if grant else self._expected(repository)

    def _expected(self, repository: str) -> str | None:
        """Return the header with a token as the registry wanted one for another repository, or ``None``.

        Credentials that were not used for that repository wait for a challenge.
        """
        if self._usual is None or repository in self._settled:
            return None
        known, login = self._usual
        if login != self._login(repository):
            return None
        scopes = self._own_scopes(repository)
        grant = replace(known, scopes=scopes, subject=self._subject(repository), announced=scopes)
        try:
            header = self._header(grant, repository)
        except AuthenticationError as error:
            _logger.info("%s", error)
            self._usual = None  # what failed once would cost an attempt for each repository
            return None
        self._grants[repository] = grant
        return header

    @contextmanager
    def _turn(self, repository: str) -> Iterator[None]:
        """Let one thread at a time decide for a repository, and for all of them until a token was accepted.

        So wrong credentials are sent once, not by several threads.
        """
        with self._first:
            if not self._proven:
                yield
                return
        with self._turns.setdefault(repository, threading.RLock()):
            yield

    def answer(self, refusal: Response, repository: str, used: str | None, label: str) -> str:
        """Return another ``Authorization`` header, after a 401 for the header ``used``, if any."""
        offered = challenges.parse(refusal.headers("WWW-Authenticate"))
        asked = refusal.address.as_sent
        if not choice.is_usable(offered):
            asked = f"{self.base}/v2/"
            offered = self._ping(asked) or offered
        with self._turn(repository):  # no other thread may use a challenge that leads nowhere
            try:
                return self._respond(refusal, offered, asked=asked, repository=repository, used=used, label=label)
            except AuthenticationError as error:
                if (renewed := self._renew(repository, used)) is None:
                    if self.pushes and repository in self._proven:  # only a mount may be refused
                        self._grants[repository] = self._proven[repository]
                    raise
                _logger.info("%s", error)
                return renewed

    def volunteer(self, refusal: Response, repository: str, label: str) -> str | None:
        """Return the ``Authorization`` header after a 403 or 404 for a request without one, if there are credentials.

        Some registries hide private images in this way, and challenge at their root only
        (docs/registries.md#missing-or-private).
        """
        with self._turn(repository):
            if repository in self._settled or self._login(repository) is None:
                return None
            self._settled.add(repository)
        try:
            root = f"{self.base}/v2/"
            offered = self._ping(root)
            if choice.is_usable(offered):
                with self._turn(repository):
                    return self._respond(refusal, offered, asked=root, repository=repository, used=None, label=label)
        except AuthenticationError as error:
            _logger.warning("%s", error)
        except ImgfetchError as error:
            _logger.info("%s", error)
        return None

    def settle(self, repository: str) -> None:
        """Remember that a repository needs no credentials."""
        with self._turn(repository):
            self._settled.add(repository)

    def prove(self, repository: str, used: str, *, is_renewed: bool) -> None:
        """Remember the token that a request succeeded with, and its token server."""
        with self._turn(repository):
            self._accepted.add(used)
            if is_renewed:
                self._renewed_in_vain.discard(repository)
            for grant, token in tuple(self._tokens.items()):
                if token.authorization == used:
                    self._proven[repository] = grant
                    if grant.announced in (_scopes(repository, "pull"), self._own_scopes(repository)):
                        self._usual = grant, token.login

    def renew(self, repository: str, used: str) -> str | None:
        """Return the header with a new token after an error for one that was accepted before, and may have ended.

        It is ``None`` if such a token did not help before (docs/registries.md#ended-tokens).
        """
        with self._turn(repository):
            grant = self._proven.get(repository)
            if grant is None or used not in self._accepted:
                return None
            token = self._tokens.get(grant)
            if token is None or token.authorization == used:  # otherwise another thread has replaced it
                if repository in self._renewed_in_vain:
                    return None
                self._renewed_in_vain.add(repository)
                self._forget(used)
            try:
                header = self._header(grant, repository)
            except ImgfetchError as error:
                _logger.info("%s", error)
                return None
            return header if header != used else None

    def anonymous(self, repository: str, used: str) -> Token | None:
        """Return an anonymous token if ``used`` is the header with a token for stored credentials."""
        with self._turn(repository):
            grant = self._grants.get(repository)
            token = self._tokens.get(grant) if grant else None
            if grant is None or token is None or token.authorization != used:
                return None
            if token.login is None or token.login.is_explicit or self.pushes:
                return None
            try:
                return self.fetch_token(grant, None)
            except ImgfetchError as error:
                _logger.info("%s", error)
                return None

    def leave_out(self, repository: str, token: Token) -> None:
        """Use no credentials for a repository from now on, but an anonymous token, with which a request succeeded."""
        with self._turn(repository):
            login = self._login(repository)
            self._anonymous.add(repository)
            self._tokens[self._grants[repository]] = token
        if login is not None:
            _logger.warning(
                "%s denied %s access to %s; continuing without credentials", self.name, login.description, repository
            )

    def _respond(
        self,
        refusal: Response,
        offered: tuple[Challenge, ...],
        *,
        asked: str,
        repository: str,
        used: str | None,
        label: str,
    ) -> str:
        """Answer one of the challenges that the URL ``asked`` offered."""
        challenge = choice.choose(offered, refusal, label, self.name)
        login = self._login(repository)
        if challenge.scheme == "basic" or (login and login.registry_token):
            used = self._rejected_header(login, used)
            login = self._presented[repository] = choice.check(
                login, challenge, refusal, used, label=label, registry=self.name
            )
            return login.authorization
        announced = tuple(dict.fromkeys(challenge.parameter("scope").as_sent.split()))[:_MAX_SCOPES]
        grant = Grant(
            self._realm(challenge.parameter("realm").as_sent, asked, label),
            challenge.parameter("service").as_sent,
            self._scopes(announced, repository, is_refused=used is not None),
            self._subject(repository),
            announced,
        )
        self._grants[repository] = grant
        if used is not None:
            self._forget(used)
        return self._header(grant, repository)

    def _rejected_header(self, login: Login | None, used: str | None) -> str | None:
        """Return the header that was rejected, for this repository or another one, and was never accepted."""
        if used is not None and used not in self._accepted:
            self._rejected.add(used)
        return login.authorization if login and login.authorization in self._rejected else used

    def hint(self, repository: str) -> str:
        """Return a hint that names the credentials, if any, that a repository was requested with."""
        used = self.sent(repository)
        with self._turn(repository):
            grant = self._grants.get(repository)
            is_kept = repository in self._settled or (grant is not None and grant.realm.refused)
            found = self._login(repository) if is_kept else None
        if used is not None:
            again = login_again(self.name, used)
            return f"imgfetch used {used.description}, which may lack access; {again}"
        if found is not None and grant is not None and grant.realm.refused:
            return f"imgfetch withheld {found.description}: {grant.realm.refused}"
        if found is not None and grant is None:
            return f"imgfetch did not send {found.description}, because {self.name} does not ask for credentials"
        return f"if the image needs credentials (none were sent), log in: {login_command(self.name)}"

    def sent(self, repository: str) -> Login | None:
        """Return the credentials that were sent for a repository, to the registry or for its token."""
        with self._turn(repository):
            grant = self._grants.get(repository)
            token = self._tokens.get(grant) if grant else None
            return self._presented.get(repository) or (token.login if token else None)

    def lacks_token(self, repository: str) -> bool:
        """Return whether the last token request for a repository failed."""
        with self._turn(repository):
            grant = self._grants.get(repository)
            return grant is not None and grant not in self._tokens

    def is_challenged(self, repository: str) -> bool:
        """Return whether the registry has asked for a token for a repository."""
        with self._turn(repository):
            return repository in self._grants

    def _ping(self, url: str) -> tuple[Challenge, ...]:
        """Request the registry's root for the challenge that the 401 lacked (docs/registries.md#first-request)."""
        with self.transport.get(url) as response:
            if response.origin != Origin.of(self.base):  # another host must not choose the token server
                return ()
            return challenges.parse(response.headers("WWW-Authenticate"))

    def _renew(self, repository: str, used: str | None) -> str | None:
        """Replace a token that has ended at its own token server, after a challenge that leads to none.

        See docs/registries.md#ended-tokens.
        """
        proven, latest = self._proven.get(repository), self._grants.get(repository)
        if not (used and proven and latest) or (latest is not proven and latest.realm == proven.realm):
            return None  # without such a token, or its server has just been asked
        self._grants[repository] = proven
        self._forget(used)
        return self._header(proven, repository)

    def _realm(self, text: str, asked: str, label: str) -> Realm:
        try:
            return self.realms.find(text, asked)
        except AuthenticationError as error:
            hint = "the registry or a proxy in front of it is misconfigured; tell the registry's operator"
            if text.strip():
                hint += "; to use another token server, pass --realm-override HOST:PORT=URL"
            raise AuthenticationError(f"cannot get {label}: {error}", hint=hint) from None

    def _forget(self, used: str) -> None:
        """Drop a rejected token, unless another thread has already replaced it."""
        for grant, token in tuple(self._tokens.items()):
            if token.authorization == used:
                del self._tokens[grant]

    def _header(self, grant: Grant, repository: str) -> str:
        token = self._tokens.get(grant)
        if token is None or not token.is_fresh:
            token = self._tokens[grant] = self.fetch_token(grant, self._login(repository))
        return token.authorization

    def _subject(self, repository: str) -> str:
        return f"{self.name}/{repository}".rstrip("/")

    def _login(self, repository: str) -> Login | None:
        return None if repository in self._anonymous else self.credentials.find(self.name, repository)

    def _scopes(self, announced: tuple[str, ...], repository: str, *, is_refused: bool) -> tuple[str, ...]:
        """Join the challenge's scopes with earlier ones, unless a token for all was refused.

        See docs/registries.md#token-requests.
        """
        grant = self._grants.get(repository)
        own = self._own_scopes(repository)
        known = grant.scopes if grant else own
        if is_refused and announced and set(announced) <= set(known):
            return announced
        return tuple(dict.fromkeys([*announced, *known]))[:_MAX_SCOPES]

    def _own_scopes(self, repository: str) -> tuple[str, ...]:
        """Return the scopes that a pull or push needs."""
        return _scopes(repository, "pull,push" if self.pushes else "pull")


def _scopes(repository: str, actions: str) -> tuple[str, ...]:
    return (f"repository:{repository}:{actions}",) if repository else ()
