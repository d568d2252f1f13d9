"""The request for a token, and the token server's reply (docs/registries.md#token-replies)."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, field

from imgfetch.auth.login import Login
from imgfetch.auth.realms import Realm
from imgfetch.oci import strictjson
from imgfetch.redaction import KNOWN

MIN_LIFE = 60.0
"""Minimum lifetime of a token in seconds, according to the token specification."""
MAX_TOKEN = 64 * 1024
"""Characters of a token; servers refuse requests with longer headers."""
RENEW_BEFORE = 10.0
"""Seconds before its end at which a token is renewed."""

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_KEYS = frozenset({"token", "access_token", "expires_in"})


@dataclass(frozen=True)
class Grant:
    """A token request.

    Attributes:
        realm: the server.
        service: the registry's name for itself.
        scopes: the requested permissions.
        subject: the repository, for messages.
        announced: those of the permissions that the registry asked for.
    """

    realm: Realm
    service: str
    scopes: tuple[str, ...]
    subject: str = field(compare=False)
    announced: tuple[str, ...] = field(default=(), compare=False)


@dataclass(eq=False, repr=False)
class Token:
    """A token, its end on the monotonic clock, and the credentials of the request, if any."""

    value: str
    end: float
    login: Login | None = None

    @property
    def is_fresh(self) -> bool:
        """Return whether it lasts for one more request."""
        return time.monotonic() < self.end - RENEW_BEFORE

    @property
    def authorization(self) -> str:
        """The ``Authorization`` header."""
        return f"Bearer {self.value}"


def read(body: bytes, login: Login | None) -> Token | None:
    """Read the reply to a request with ``login``; return ``None`` if it has no usable token.

    A `VerificationError` means that it is not a token server's reply.
    """
    reply = strictjson.Object(strictjson.loads(body, "the reply", is_finite=False), "the reply", _KEYS)
    KNOWN.note(*(value for key, value in reply.items() if "token" in key and isinstance(value, str)), passing=True)
    for key in ("access_token", "token"):
        value = reply.get(key)
        if isinstance(value, str) and value:
            is_usable = value.isascii() and value.isprintable() and len(value) <= MAX_TOKEN
            return Token(value, time.monotonic() + _life(reply.get("expires_in")), login) if is_usable else None
    return None


def _life(value: object) -> float:
    """Return a token's lifetime in seconds; ``expires_in`` is a number, a text, or missing."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return MIN_LIFE
    if isinstance(value, str) and not _SECONDS.fullmatch(value.strip()):
        return MIN_LIFE
    try:
        seconds = float(value)
    except OverflowError:
        return MIN_LIFE
    return max(seconds, MIN_LIFE) if math.isfinite(seconds) else MIN_LIFE
