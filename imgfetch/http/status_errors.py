"""Mapping of HTTP error responses to errors with messages for users."""

from __future__ import annotations

import ipaddress
import json
import math
import re
import time
from contextlib import suppress
from http import HTTPStatus

from imgfetch.defaults import LONGEST_WAIT, MAX_WAIT
from imgfetch.errors import (
    AuthenticationError,
    ImgfetchError,
    NotFoundError,
    RateLimitedError,
    RegistryError,
    UnavailableError,
)
from imgfetch.http.origin import login_command
from imgfetch.http.response import Response, text_of
from imgfetch.http.retries import TEMPORARY, retry_after
from imgfetch.text import ServerText, counted, quoted, sanitize

MAX_QUOTED = 200
"""Characters of a server's text in a message."""
_PAGE = "an HTML page"
_MAX_ERRORS = 3

_NOT_FOUND = frozenset({404, 410})
_MINUTE, _HOUR = 60, 3600
_TODAY, _LONG = 12 * _HOUR, 1000 * 24 * _HOUR
_LIMIT = re.compile(r"([0-9]{1,9});w=([0-9]{1,9})")
_NO_REGISTRY = "check the host and the port: this may not be a registry, or a proxy may be answering for it"
_USES_HTTPS = "this port expects https: leave out --plain-http, or write https:// in the mirror's address"
_TITLE = re.compile(r"<title[^<>]{0,200}>([^<]*)", re.IGNORECASE)


def rejection(
    response: Response, label: str, *, hint: str | None = None, place: str = "", max_wait: float = MAX_WAIT
) -> ImgfetchError:
    """Return the error for a response with an error status.

    ``label`` names the requested content, ``hint`` is the next step if it is missing or private, ``place`` replaces the
    server's name, and ``max_wait`` is the longest wait that is allowed.
    """
    codes, words, said = _said(response, place)
    url, status = response.url, response.status
    if words.startswith(_PAGE) and hint:
        hint = f"{hint}; the answer is an HTML page, so this is probably not a registry: check the host and the port"
    if status in _NOT_FOUND:
        return NotFoundError(f"{label} was not found: {said}", url=url, status=status, codes=codes, hint=hint)
    if status == HTTPStatus.UNAUTHORIZED:
        return AuthenticationError(f"{label} does not exist or needs credentials: {said}", hint=hint)
    if status == HTTPStatus.FORBIDDEN:
        return AuthenticationError(f"cannot get {label}: {said}", hint=hint)
    wait = retry_after(response.header("Retry-After"))
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        limit = _pull_limit(response, words, wait)
        hint, details = limit or (_wait_hint(wait, max_wait, "try again later, or log in"), ())
        return RateLimitedError(
            f"too many requests for {label}: {said}",
            url=url,
            status=status,
            codes=codes,
            retry_after=wait,
            hint=hint,
            details=details,
            tries=1 if limit and wait is None else None,
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in TEMPORARY:
        return UnavailableError(
            f"{label} is temporarily unavailable: {said}",
            url=url,
            status=status,
            codes=codes,
            retry_after=wait,
            hint=_wait_hint(wait, max_wait, "the problem is on the server's side; try again later"),
            tries=None if status in TEMPORARY else 1,
        )
    hint = _USES_HTTPS if _expects_https(response, words) else _NO_REGISTRY
    return RegistryError(f"{label} is unavailable: {said}", url=url, status=status, codes=codes, hint=hint)


def _expects_https(response: Response, words: str) -> bool:
    """Return whether a server such as nginx, Apache or one in Go says that a request without TLS came to a TLS port."""
    return response.url.startswith("http:") and response.status == HTTPStatus.BAD_REQUEST and "https" in words.lower()


def answer_of(response: Response) -> str:
    """Return the server, the status and the text of a response, for messages."""
    return _said(response)[2]


def _said(response: Response, place: str = "") -> tuple[tuple[str, ...], str, str]:
    """Return the codes and the text of a response, and a sentence with them."""
    # A successful body may contain a secret such as a token.
    is_error = response.status >= HTTPStatus.BAD_REQUEST
    codes, words = _words(response.excerpt(), response.header("Content-Type")) if is_error else ((), "")
    said = f"{place or response.origin} returned {response.status} {response.reason}".rstrip()
    return codes, words, f"{said} ({words})" if words else said


def not_the_protocol(response: Response, body: bytes, label: str, *, quote: bool = True) -> RegistryError:
    """Return the error for a response that does not come from a registry (docs/registries.md#not-a-registry).

    Without ``quote``, only the title of an HTML page is shown.
    """
    _, words = _words(text_of(body), response.header("Content-Type"))
    if not quote and not words.startswith(_PAGE):
        words = f"{len(body)} bytes that are not the expected JSON"
    kind = response.header("Content-Type").shown(80) or "no type"
    return RegistryError(
        f"unexpected content for {label}: {response.url} returned {response.status} with {kind}: {words}",
        url=response.url,
        status=response.status,
        hint="check for a captive portal, a proxy's page, a wrong port, or a server that is not a registry",
    )


def _words(body: ServerText, content_type: ServerText) -> tuple[tuple[str, ...], str]:
    """Return the codes and the text of an error body (docs/registries.md#error-bodies)."""
    text, kind = body.as_sent.strip(), content_type.as_sent
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict):
        codes, words = _json_words(parsed)
        return codes, words or sanitize(text, MAX_QUOTED)
    is_xml = text.startswith("<?xml") or ("xml" in kind and "html" not in kind)
    if (text.startswith("<") and not is_xml) or "html" in kind:
        match = _TITLE.search(text)
        return (), f"{_PAGE}, {quoted(match[1].strip(), MAX_QUOTED)}" if match else _PAGE
    return (), sanitize(text, MAX_QUOTED)


def _json_words(body: dict[str, object]) -> tuple[tuple[str, ...], str]:
    errors = body.get("errors")
    found = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    codes = tuple(sanitize(str(error.get("code", "")), 80) for error in found)
    said = [
        ": ".join(str(error[key]) for key in ("code", "message") if error.get(key)) for error in found[:_MAX_ERRORS]
    ]
    if not said:
        said = [str(body[key]) for key in ("details", "message", "error", "error_description") if body.get(key)][:1]
    return codes, sanitize("; ".join(said), MAX_QUOTED)


def _wait_hint(wait: float | None, max_wait: float, otherwise: str) -> str:
    """Return the hint for a ``Retry-After``, or ``otherwise`` if there is none."""
    if not wait:
        return otherwise
    can_be_allowed = max_wait < wait <= LONGEST_WAIT
    plan = f"try again then, or pass --max-wait {math.ceil(wait)}" if can_be_allowed else "run the command again then"
    return f"the server asks you to wait {_duration(wait)}; {plan}"


def _pull_limit(response: Response, words: str, wait: float | None) -> tuple[str, tuple[str, ...]] | None:
    """Return hint and details if Docker Hub's pull limit is reached (docs/registries.md#docker-hub-limits)."""
    limit = _LIMIT.fullmatch(response.header("RateLimit-Limit").as_sent.strip())
    remaining = response.header("RateLimit-Remaining").as_sent.partition(";")[0].strip() or "0"
    if not (limit and remaining == "0") and "pull rate limit" not in words.lower():
        return None
    source = response.header("Docker-RateLimit-Source").shown(80).strip()
    details: tuple[str, ...] = () if wait is not None else ("imgfetch did not retry because that would not help.",)
    if limit is not None:
        counted = f" for the {'address' if _is_address(source) else 'user'} {source}" if source else ""
        window = f"{limit[1]} pulls per {_duration(int(limit[2]))}"
        details = (f"The limit is {window}{counted}; {sanitize(remaining, 20)} are left.", *details)
        wait = int(limit[2]) if wait is None else wait
    until = "later" if wait is None else _clock(wait)
    log_in = login_command(str(response.origin))
    is_anonymous = _is_address(source) or not source
    log_in = f"log in ({log_in})" if is_anonymous else "log in with an account that has a higher limit"
    return f"{log_in}, use a mirror (--mirror HOST), or try again {until}", details


def _is_address(text: str) -> bool:
    with suppress(ValueError):
        return bool(ipaddress.ip_address(text))
    return False


def _duration(seconds: float) -> str:
    if seconds < _HOUR:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / _MINUTE), 60)
    named = counted(hours, "hour")
    return f"{named} {minutes} min" if minutes else named


def _clock(seconds: float) -> str:
    """Return the local time at which some seconds from now will have passed."""
    if seconds > _LONG:  # beyond the range of some clocks
        return "much later"
    then = time.localtime(time.time() + seconds)
    return f"at about {time.strftime('%H:%M' if seconds < _TODAY else '%Y-%m-%d %H:%M', then)}"
