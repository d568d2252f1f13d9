"""A page of a list of tags, and where the next one is.

Source: OCI distribution specification, "Listing Tags".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from imgfetch.oci import strictjson
from imgfetch.oci.reference import is_tag

_LINK = re.compile(r"<([^>]{1,4000})>\s*((?:;[^,]*)?)")
_NEXT = re.compile(r";\s*rel\s*=\s*\"?next\"?\s*(?:;|$)", re.IGNORECASE)


def tags(raw: bytes, what: str) -> list[str]:
    """Return the tags on a page; what cannot be a tag is left out, for it could not be asked for.

    Args:
        raw: the page.
        what: its name in messages.

    Raises:
        VerificationError: it is malformed.
    """
    members = strictjson.Object(strictjson.loads(raw, what), what, frozenset({"name", "tags"}))
    return [tag for tag in members.items_of("tags") if isinstance(tag, str) and is_tag(tag)]


def following(headers: Iterable[str]) -> str:
    """Return the path and query of the next page, or nothing.

    Only these are taken of its URL, which registries behind proxies give with hosts and schemes that nobody reaches; so
    no login goes anywhere else.

    Args:
        headers: the values of ``Link`` (RFC 8288).
    """
    for header in headers:
        for url, parameters in _LINK.findall(header):
            if _NEXT.search(parameters):
                parts = urlsplit(url)
                if parts.path.startswith("/v2/"):
                    return f"{parts.path}?{parts.query}" if parts.query else parts.path
    return ""
