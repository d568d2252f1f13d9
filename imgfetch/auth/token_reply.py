"""A token server's reply: the token, and how long it may be used (P47, P48)."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from imgfetch.auth.login import Login
from imgfetch.errors import AuthenticationError, VerificationError
from imgfetch.http.response import Response
from imgfetch.http.status_errors import not_the_protocol
from imgfetch.oci import strictjson

MAX_REPLY = 1024 * 1024
MIN_LIFE = 60.0
"""Seconds that a token lives at least, whatever its ``expires_in`` says (P48, token specification)."""
RENEW_BEFORE = 10.0
"""Seconds before its end at which a token is not used any more."""
TIMEOUT = 15.0
"""Seconds for the whole of a token server's reply (P08)."""

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_KEYS = frozenset({"token", "access_token", "expires_in"})


@dataclass(frozen=True, slots=True)
class Token:
    """A token, when it ends on the monotonic clock, and the login that it was got by, if any."""

    value: str = field(repr=False)
    end: float
    login: Login | None = field(default=None, repr=False)

    @property
    def is_fresh(self) -> bool:
        """Whether it is good for one more request."""
        return time.monotonic() < self.end - RENEW_BEFORE

    @property
    def authorization(self) -> str:
        """The header that carries it."""
        return f"Bearer {self.value}"


def read(response: Response, login: Login | None) -> Token:
    """Read the reply to a request with ``login``.  No part of it is ever quoted, because it may be a token (S14).

    Raises:
        RegistryError: it is no such reply.
        AuthenticationError: it has no token.
    """
    received = time.monotonic()
    body = response.document(MAX_REPLY, "the reply", timeout=TIMEOUT)
    reply: Mapping[str, object] | None = None
    with suppress(VerificationError):
        reply = strictjson.Object(strictjson.loads(body, "the reply"), "the reply", _KEYS)
    if reply is None:
        raise not_the_protocol(response, body, "the token", quote=False)
    for key in ("access_token", "token"):
        value = reply.get(key)
        if isinstance(value, str) and value:
            if not value.isascii() or not value.isprintable():
                break
            return Token(value, received + _life(reply.get("expires_in")), login)
    raise AuthenticationError(f"{response.url} replied without a usable token")


def _life(value: object) -> float:
    """Return the seconds that a token lives; ``expires_in`` comes as a number, as text, or not at all (P48)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return MIN_LIFE
    if isinstance(value, str) and not _SECONDS.fullmatch(value.strip()):
        return MIN_LIFE
    try:
        seconds = float(value)
    except OverflowError:
        return MIN_LIFE
    return max(seconds, MIN_LIFE) if math.isfinite(seconds) else MIN_LIFE
