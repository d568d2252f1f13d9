"""A repository's tags, page by page.

Source: OCI distribution specification, "Listing Tags".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from imgfetch.errors import RegistryError
from imgfetch.oci import strictjson
from imgfetch.oci.reference import is_tag

MAX_PAGES = 10_000
MAX_TAGS = 500_000
MAX_CHARACTERS = 16 * 1024**2
"""The most characters of all tags of a list, which is kept in memory."""


class Page(NamedTuple):
    """The valid tags of a page, its URL without secrets, and the path and query of the next page, or nothing."""

    tags: tuple[str, ...]
    url: str
    following: str


def parse_page(raw: bytes, what: str) -> tuple[str, ...]:
    """Return the valid tags of a page of the list ``what``."""
    members = strictjson.Object(strictjson.loads(raw, what), what, frozenset({"name", "tags"}))
    return tuple(tag for tag in members.items_of("tags") if isinstance(tag, str) and is_tag(tag))


def listed(read: Callable[[str], Page], path: str, what: str) -> Iterator[str]:
    """Yield all tags of the list ``what`` from the page at ``path`` on; ``read`` requests one by its path and query."""
    seen: set[str] = set()
    tags = characters = 0
    while path:
        seen.add(path)
        page = read(path)
        tags, characters = tags + len(page.tags), characters + sum(map(len, page.tags))
        if tags > MAX_TAGS or characters > MAX_CHARACTERS:
            limit = f"{MAX_TAGS} tags" if tags > MAX_TAGS else f"{MAX_CHARACTERS} characters"
            raise RegistryError(f"{what} is too long: more than {limit}", url=page.url, status=200)
        yield from page.tags
        path = page.following
        if path in seen or len(seen) >= MAX_PAGES:
            raise RegistryError(f"{what} does not end: {len(seen)} pages received", url=page.url, status=200)
