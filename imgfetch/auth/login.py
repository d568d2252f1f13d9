"""Who somebody is to a registry."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Self

from imgfetch.errors import AuthenticationError
from imgfetch.http.origin import login_command
from imgfetch.text import sanitize

_NO_TEXT = re.compile("[\ud800-\udfff]")
_NO_BYTES = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_HEADER = re.compile("[!-~]*")
_PUBLIC_ECR, _AMAZON = "public.ecr.aws", (".amazonaws.com", ".amazonaws.com.cn")


@dataclass(frozen=True, slots=True)
class Login:
    """One of: user name with password, identity token (a refresh token), registry token (a bearer token, ready).

    Attributes:
        username: the user's name; beside an identity token it may be a placeholder.
        password: the password; what was not UTF-8 in it is kept as ``surrogateescape`` does.
        identity_token: what a token server changes into access tokens.
        registry_token: what the registry takes as it is.
        source: where it came from, for messages: ``--username``, a file's path, ``docker-credential-…``.
        is_explicit: whether it was given for this run, rather than found; one that is refused is an error then.

    Raises:
        AuthenticationError: no request could carry it; the message holds nothing of it.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)
    source: str = ""
    is_explicit: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        """Check each part."""
        if ":" in self.username:
            raise AuthenticationError("a user name cannot hold a ':'")  # P15
        if _NO_TEXT.search(self.username + self.identity_token) or _NO_BYTES.search(self.password):
            raise AuthenticationError("a login must be UTF-8")
        if not _HEADER.fullmatch(self.registry_token):
            raise AuthenticationError("a registry token is printable ASCII without spaces")

    @classmethod
    def stored(cls, username: str, secret: str, source: str, identity: str = "", registry: str = "") -> Self:
        """Return a login as docker stores it: the user name ``<token>`` says that the secret is an identity token."""
        if username == "<token>":
            username, secret, identity = "", "", secret
        if not (identity or registry or (username and secret)):
            raise AuthenticationError("it has neither a user name with a password nor a token")
        return cls(username, secret, identity, registry, source)

    @property
    def description(self) -> str:
        """Whose login it is, and where it came from, for messages."""
        whose = f"the login of {sanitize(self.username, 80)}" if self.username and self.password else "a token"
        return f"{whose} from {sanitize(self.source)}"

    @property
    def authorization(self) -> str:
        """The header that carries it to a registry; empty for an identity token, which only a token server takes."""
        if self.registry_token:
            return f"Bearer {self.registry_token}"
        return self.basic() if self.password else ""

    def basic(self) -> str:
        """Return the ``Authorization`` header for user name and password, in UTF-8 (P15)."""
        pair = f"{self.username}:{self.password}".encode("utf-8", "surrogateescape")
        return f"Basic {base64.b64encode(pair).decode()}"


def login_again(registry: str, login: Login) -> str:
    """Say what to do about a login that a registry, or its token server, refuses (M06)."""
    if login.is_explicit:
        return "check the user name and the password that were given"
    host = registry.partition(":")[0].lower()
    if host == _PUBLIC_ECR:
        return f"a login of ECR ends after 12 hours; what is public needs none: docker logout {_PUBLIC_ECR}"
    if host.endswith(_AMAZON):
        return (
            f"a login of ECR ends after 12 hours; log in again (aws ecr get-login-password): {login_command(registry)}"
        )
    return f"log in again: {login_command(registry)}"
