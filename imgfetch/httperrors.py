"""An HTTP answer that is not the one asked for, as one of our errors."""

from __future__ import annotations

import json
import re
import time

from imgfetch import retryafter
from imgfetch.answer import Response
from imgfetch.errors import (
    AuthenticationError,
    ImgfetchError,
    NotFoundError,
    RateLimitedError,
    RegistryError,
    UnavailableError,
)
from imgfetch.printable import clean, quoted

MAX_QUOTED = 200
"""Characters of a server's own words in a message (F30)."""
_PAGE = "an HTML page"
_MAX_ERRORS = 3

_DENIED = frozenset({401, 403})
_NOT_FOUND = frozenset({404, 410})
_LATER = frozenset({408, 499})
_PASSING = frozenset({500, 502, 503, 504, *range(520, 525)})  # what another try may overcome (2.0)
_TOO_MANY_REQUESTS = 429
_CLIENT_ERROR = 400
_SERVER_ERROR = 500
_HOUR = 3600
_LIMIT = re.compile(r"([0-9]{1,9});w=([0-9]{1,9})")
_TITLE = re.compile(r"<title[^<>]{0,200}>([^<]*)", re.IGNORECASE)


def rejection(response: Response, what: str, *, hint: str | None = None) -> ImgfetchError:
    """Return the error for an answer whose status says no.

    Args:
        response: the answer; the start of its body is read.
        what: what was asked for, as the subject of a sentence.
        hint: what to try when it is not there or not allowed.
    """
    # What came with a success may be what was asked for, such as a token (S14).
    is_error = response.status >= _CLIENT_ERROR
    codes, words = _words(response.excerpt(), response.header("Content-Type")) if is_error else ((), "")
    said = f"{response.origin} answers {response.status} {response.reason}".rstrip() + (f" ({words})" if words else "")
    url, status = response.url, response.status
    if status in _NOT_FOUND:
        return NotFoundError(f"{what} was not found: {said}", url=url, status=status, codes=codes, hint=hint)
    if status in _DENIED:
        return AuthenticationError(f"{what} does not exist or needs a login: {said}", hint=hint)
    if status == _TOO_MANY_REQUESTS:
        limited = RateLimitedError(
            f"{what} is not served for now, too many requests: {said}", url=url, status=status, codes=codes
        )
        return _pull_limit(limited, response, words) or _with_wait(limited, response, "try again later, or log in")
    if status >= _SERVER_ERROR or status in _LATER:
        unavailable = UnavailableError(f"{what} is not served for now: {said}", url=url, status=status, codes=codes)
        if not (status in _LATER or status in _PASSING):
            unavailable.tries = 1
        return _with_wait(unavailable, response, "the server has a problem of its own; try again later")
    return RegistryError(f"{what} is not served: {said}", url=url, status=status, codes=codes)


def not_the_protocol(response: Response, body: bytes, what: str, *, quote: bool = True) -> RegistryError:
    """Return the error for an answer that comes from no registry (M11); ``quote`` its text, or a page's title only."""
    _, words = _words(response.quotable(body), response.header("Content-Type"))
    if not quote and not words.startswith(_PAGE):
        words = f"{len(body)} bytes that are none of the expected JSON"
    kind = clean(response.header("Content-Type"), 80) or "no type"
    return RegistryError(
        f"{what} came as something else: {response.url} answers {response.status} with {kind}: {words}",
        url=response.url,
        status=response.status,
        hint="a captive portal, a proxy's page, a wrong port, or no registry at all",
    )


def _words(text: str, content_type: str) -> tuple[tuple[str, ...], str]:
    """Return the codes and the text of an error body, of whatever form (F30)."""
    text = text.strip()
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict):
        codes, words = _json_words(parsed)
        return codes, words or clean(text, MAX_QUOTED)
    if text.startswith("<") or "html" in content_type:
        match = _TITLE.search(text)
        return (), f"{_PAGE}, {quoted(match[1].strip(), MAX_QUOTED)}" if match else _PAGE
    return (), clean(text, MAX_QUOTED)


def _json_words(body: dict[str, object]) -> tuple[tuple[str, ...], str]:
    errors = body.get("errors")
    found = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    codes = tuple(clean(str(error.get("code", "")), 80) for error in found)
    said = [
        ": ".join(str(error[key]) for key in ("code", "message") if error.get(key)) for error in found[:_MAX_ERRORS]
    ]
    if not said:
        said = [str(body[key]) for key in ("details", "message", "error", "error_description") if body.get(key)][:1]
    return codes, clean("; ".join(said), MAX_QUOTED)


def _with_wait(error: UnavailableError, response: Response, hint: str) -> UnavailableError:
    """Add what the server says of when to come again (2.0, M10)."""
    header = response.header("Retry-After")
    error.retry_after = retryafter.parse(header)
    error.hint = hint
    if header:
        error.hint = f"the server asks to wait: Retry-After: {clean(header, 80)}; --max-wait allows longer waits"
    return error


def _pull_limit(error: RateLimitedError, response: Response, words: str) -> RateLimitedError | None:
    """Return the error for Docker Hub's limit of pulls, which no second try overcomes (M09, F32)."""
    limit = _LIMIT.fullmatch(response.header("RateLimit-Limit").strip())
    if response.header("Retry-After") or not (limit or "pull rate limit" in words):
        return None
    error.tries = 1
    until = "later"
    if limit:
        window = int(limit[2])
        remaining = response.header("RateLimit-Remaining").partition(";")[0].strip()
        source = clean(response.header("Docker-RateLimit-Source"), 80)
        counted = f"; counted are those of {source}" if source else ""
        left = clean(remaining, 20) or "0"
        error.details = (
            f"The limit is {limit[1]} pulls per {window / _HOUR:g} hours, {left} are left{counted}.",
            "It was not tried again, for that would not help.",
        )
        until = f"at about {time.strftime('%H:%M', time.localtime(time.time() + window))}"
    error.hint = f"log in (docker login {response.origin}), take a mirror (--mirror), or try again {until}"
    return error
