"""A user's credentials for a registry."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Self

from imgfetch.errors import AuthenticationError
from imgfetch.http.origin import login_command
from imgfetch.redaction import KNOWN
from imgfetch.text import sanitize

_NO_TEXT = re.compile("[\ud800-\udfff]")
_NO_BYTES = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_HEADER = re.compile("[!-~]*")
_PUBLIC_ECR, _AMAZON = "public.ecr.aws", (".amazonaws.com", ".amazonaws.com.cn")


@dataclass(frozen=True)
class Login:
    """One of: user name with password, identity token (a refresh token), registry token (a bearer token).

    Attributes:
        username: may be a placeholder beside an identity token.
        password: bytes that are not UTF-8 are escaped by ``surrogateescape``.
        identity_token: exchanged for access tokens at the token server.
        registry_token: sent to the registry unchanged.
        source: the origin for messages: ``--username``, a file's path, ``docker-credential-…``.
        is_explicit: given for this run rather than found, so that a rejection is an error.

    Raises:
        AuthenticationError: no request could carry it; the message quotes none of it.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)
    source: str = ""
    is_explicit: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        if ":" in self.username:
            raise AuthenticationError("a user name cannot contain ':'")  # RFC 7617, section 2
        if _NO_TEXT.search(self.username + self.identity_token) or _NO_BYTES.search(self.password):
            raise AuthenticationError("credentials must be UTF-8")
        if not _HEADER.fullmatch(self.registry_token):
            raise AuthenticationError("a registry token must be printable ASCII without spaces")
        KNOWN.note(self.identity_token, self.registry_token)
        KNOWN.note_login(self.username, self.password)

    @classmethod
    def stored(cls, username: str, secret: str, source: str, identity: str = "", registry: str = "") -> Self:
        """Return credentials as docker stores them: for the user name ``<token>``, the secret is an identity token."""
        if username == "<token>":
            username, secret, identity = "", "", secret
        if not (identity or registry or (username and secret)):
            raise AuthenticationError("it has neither a user name with a password nor a token")
        return cls(username, secret, identity, registry, source)

    @property
    def shown_username(self) -> str:
        """The user name, for messages."""
        return sanitize(self.username, 80)

    @property
    def description(self) -> str:
        """User and source, for messages."""
        has_password = self.username and self.password
        if self.is_explicit:  # in an option, or at the prompt of imgfetch login
            return f"the given credentials of {self.shown_username}" if has_password else "the given token"
        whose = f"the credentials of {self.shown_username}" if has_password else "a token"
        return f"{whose} from {sanitize(self.source)}"

    @property
    def authorization(self) -> str:
        """The header for a registry; empty for an identity token, which only a token server accepts."""
        if self.registry_token:
            return f"Bearer {self.registry_token}"
        return self.basic() if self.password else ""

    def basic(self) -> str:
        """Return the ``Authorization`` header for user name and password, in UTF-8."""
        pair = f"{self.username}:{self.password}".encode("utf-8", "surrogateescape")
        return f"Basic {base64.b64encode(pair).decode()}"


def login_again(registry: str, login: Login) -> str:
    """Return a hint for credentials that a registry, or its token server, rejects."""
    if login.is_explicit:
        return "check the given user name and password"
    host = registry.partition(":")[0].lower()
    if host == _PUBLIC_ECR:
        return f"ECR credentials expire after 12 hours; public images need none: imgfetch logout {_PUBLIC_ECR}"
    if host.endswith(_AMAZON):
        again = f"log in again (aws ecr get-login-password): {login_command(registry)}"
        return f"ECR credentials expire after 12 hours; {again}"
    return f"log in again: {login_command(registry)}"
