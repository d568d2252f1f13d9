"""The list of a manifest's referrers, page by page; or as an index under a tag, which has the same form.

Source: OCI distribution specification, "Listing Referrers" and "Referrers Tag Schema".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from imgfetch.errors import RegistryError, VerificationError
from imgfetch.oci import strictjson
from imgfetch.oci.descriptor import Descriptor

MAX_LISTED = 4096
"""The most entries of the list of one manifest's referrers."""
MAX_PAGES = 1000
_KEYS = frozenset({"schemaVersion", "mediaType", "manifests", "annotations", "artifactType", "subject"})


class Page(NamedTuple):
    """The entries of a page, its URL without secrets, and the path and query of the next page, or nothing."""

    entries: tuple[Descriptor, ...]
    url: str
    following: str


def parse_list(raw: bytes, what: str) -> tuple[Descriptor, ...]:
    """Return the entries of the list or page ``what``.

    Raises:
        VerificationError: it is not a list of manifests.
    """
    members = strictjson.Object(strictjson.loads(raw, what), what, _KEYS)
    if "manifests" not in members:
        raise VerificationError(f"{what} is not a list of manifests")
    entries = members.items_of("manifests")
    _limit(len(entries), what)
    return tuple(Descriptor.from_json(entry, f"manifest {number} of {what}") for number, entry in enumerate(entries, 1))


def listed(read: Callable[[str], Page | None], path: str, what: str) -> tuple[Descriptor, ...] | None:
    """Return the list ``what`` from the page at ``path`` on, or ``None`` if the registry has no such lists.

    ``read`` requests a page by its path and query, and returns ``None`` if there is no such page.
    """
    seen: set[str] = set()
    found: list[Descriptor] = []
    while path:
        seen.add(path)
        page = read(path)
        if page is None:
            return None
        found += page.entries
        _limit(len(found), what)
        path = page.following
        if path in seen or len(seen) >= MAX_PAGES:
            raise RegistryError(f"{what} does not end: {len(seen)} pages received", url=page.url, status=200)
    return tuple(found)


def _limit(count: int, what: str) -> None:
    if count > MAX_LISTED:
        raise VerificationError(f"{what} has too many entries", wanted=f"at most {MAX_LISTED}", got=str(count))
