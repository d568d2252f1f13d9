"""Target URL of a redirect, with the rules for following it (docs/registries.md#redirects)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urljoin

from imgfetch.errors import RegistryError
from imgfetch.http.origin import Origin
from imgfetch.text import ServerText, shown_url
from imgfetch.tolerance import Tolerance

MAX_REDIRECTS = 10

STATUSES = frozenset({301, 302, 303, 307, 308})
_KEEPING = frozenset({307, 308})
"""Statuses of redirects that keep the method and the body (RFC 9110, section 15.4)."""
_READING = frozenset({"GET", "HEAD"})


def is_followed(method: str, status: int) -> bool:
    """Return whether a response is a redirect that is followed; others would turn an upload into a download."""
    return status in (STATUSES if method in _READING else _KEEPING)


def target(
    location: ServerText,
    chain: Sequence[str],
    status: int,
    tolerance: Tolerance,
    *,
    downgrade: bool = False,
    same_host: bool = False,
) -> str:
    """Return the target URL of a redirect; ``chain`` lists all URLs requested so far, including the redirect's own.

    ``downgrade`` allows a redirect from https to http (docs/registries.md#redirects-to-http), and ``tolerance`` reports
    it.  ``same_host`` refuses a redirect to another host.

    Raises:
        RegistryError: the redirect cannot be followed.
    """
    if not location:
        raise _lost(status, chain, "redirect without a Location header")
    target = resolved(chain[-1], location.as_sent)
    reached = [*chain, target]
    if target in chain:
        raise _lost(status, reached, "redirect loop")
    if len(chain) > MAX_REDIRECTS:
        raise _lost(status, reached, f"more than {MAX_REDIRECTS} redirects")
    home, here, there = Origin.of(chain[0]), Origin.of(chain[-1]), Origin.of(target)
    if not home.may_send_to(there):
        raise _lost(status, reached, "did not follow a redirect to an unsafe address")
    if same_host and there.host != home.host:
        raise _lost(status, reached, "did not follow a redirect of a token request to another host")
    if here.scheme == "https" and there.scheme == "http":
        if not downgrade:
            raise _lost(status, reached, "did not follow a redirect from https to http")
        tolerance.warn(
            f"{here} redirects to {there} over plain http; imgfetch still verifies the content by its digest"
        )
    return target


def resolved(url: str, location: str) -> str:
    """Resolve a ``Location`` (RFC 9110, section 10.2.2) without re-encoding, which would break signed URLs."""
    with suppress(UnicodeError):  # headers are decoded as Latin-1, URLs are UTF-8
        location = location.encode("latin-1").decode("utf-8")
    location = location.strip()
    if re.match("https?://", location, re.IGNORECASE):
        return location
    if location.startswith("/") and not location.startswith("//"):
        scheme, _, rest = url.partition("://")
        return f"{scheme}://{re.split('[/?#]', rest, maxsplit=1)[0]}{location}"
    with suppress(ValueError):  # `Origin` reports a malformed URL
        location = urljoin(url, location)
    return location


def _lost(status: int, chain: Sequence[str], reason: str) -> RegistryError:
    hosts = " -> ".join(shown_url(url) for url in chain[:4])
    return RegistryError(
        f"{reason}: {hosts}{' -> …' if len(chain) > 4 else ''}",  # noqa: PLR2004
        url=shown_url(chain[-1]),
        status=status,
        hint="the redirect is wrong; tell the registry's operator",
    )
