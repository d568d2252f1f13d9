"""A repository's tags, page by page.

Source: OCI distribution specification, "Listing Tags".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from imgfetch.errors import RegistryError
from imgfetch.oci import strictjson
from imgfetch.oci.reference import is_tag

MAX_PAGES = 10_000

# requests.utils.parse_header_links would cut a URL at ";", and a quoted value at ";" or "=".
_LINK = re.compile(r'<([^>]{1,4000})>\s*((?:;(?:"[^"]*"|[^",])*)?)')
_NEXT = re.compile(r";\s*rel\s*=\s*\"?next\"?\s*(?:;|$)", re.IGNORECASE)


class Page(NamedTuple):
    """The valid tags of a page, its URL without secrets, and the path and query of the next page, or nothing."""

    tags: tuple[str, ...]
    url: str
    following: str

    @classmethod
    def parse(cls, raw: bytes, links: Iterable[str], url: str, what: str) -> Self:
        """Parse a page and its ``Link`` headers (RFC 8288); ``what`` is its name in messages."""
        members = strictjson.Object(strictjson.loads(raw, what), what, frozenset({"name", "tags"}))
        tags = tuple(tag for tag in members.items_of("tags") if isinstance(tag, str) and is_tag(tag))
        return cls(tags, url, _following(links))


def listed(read: Callable[[str], Page], path: str, what: str) -> Iterator[str]:
    """Yield all tags of the list ``what`` from the page at ``path`` on; ``read`` requests one by its path and query."""
    seen: set[str] = set()
    while path:
        seen.add(path)
        page = read(path)
        yield from page.tags
        path = page.following
        if path in seen or len(seen) >= MAX_PAGES:
            raise RegistryError(f"{what} does not end: {len(seen)} pages received", url=page.url, status=200)


def _following(links: Iterable[str]) -> str:
    """Return the path and query of the next page, or nothing.

    The URL's scheme and host are ignored: those of registries behind proxies are often unreachable, and credentials
    must not go to another host.
    """
    for url, parameters in _LINK.findall(", ".join(links)):
        parts = urlsplit(url)
        if _NEXT.search(parameters) and parts.path.startswith("/v2/"):
            return f"{parts.path}?{parts.query}" if parts.query else parts.path
    return ""
