"""Token server's reply: the token and its lifetime (docs/registries.md#token-replies)."""

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
"""Minimum lifetime of a token in seconds, according to the token specification."""
RENEW_BEFORE = 10.0
"""Seconds before its end at which a token is renewed."""
TIMEOUT = 15.0
"""Seconds for a token server's whole reply."""

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_KEYS = frozenset({"token", "access_token", "expires_in"})


@dataclass(frozen=True, slots=True)
class Token:
    """A token, its end on the monotonic clock, and the credentials of the request, if any."""

    value: str = field(repr=False)
    end: float
    login: Login | None = field(default=None, repr=False)

    @property
    def is_fresh(self) -> bool:
        """Return whether it lasts for one more request."""
        return time.monotonic() < self.end - RENEW_BEFORE

    @property
    def authorization(self) -> str:
        """The ``Authorization`` header."""
        return f"Bearer {self.value}"


def read(response: Response, login: Login | None) -> Token:
    """Read the reply to a request with ``login``.

    Errors never quote the reply, which may contain a token (docs/registries.md#secrets-in-messages).

    Raises:
        RegistryError: not a token server's reply.
        AuthenticationError: the reply has no usable token.
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
