"""The ``Link`` header of a page, which leads to the next page (RFC 8288).

Registries send the URL absolute, relative, as a query alone, and without angle brackets
(docs/registries.md#lists-of-tags).  The header is split in linear time, whatever it contains.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urldefrag, urljoin, urlsplit

from imgfetch.errors import RegistryError
from imgfetch.text import ServerText, shown_url

MAX_HEADER = 64 * 1024
MAX_URL = 4000

# Each alternative is tried once at each place: a URL ends at the next bracket, and a quoted text at the end at last.
_PIECE = re.compile(r'<[^<>]*>|"(?:[^"\\]|\\.)*"?|[,;]|[^<",;]+|.', re.DOTALL)
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_URL = re.compile(r"[!#-;=?-\[\]-~]+")  # printable ASCII without space, quote, brackets and backslash


class Page(NamedTuple):
    """The place of a page.

    Attributes:
        base: the registry's URL, to which paths are appended.
        path: the requested path and query.
        address: the URL that sent the page, the base of relative URLs; another one than requested after a redirect.
        what: the list's name in messages.
    """

    base: str
    path: str
    address: str
    what: str

    def following(self, lines: Iterable[ServerText]) -> str:
        """Return the path and query of the next page, or nothing if this page is the last one.

        Raises:
            RegistryError: the header announces a page that cannot be requested.
        """
        header = ", ".join(line.as_sent for line in lines)
        if len(header) > MAX_HEADER:
            raise self._lost(f"its Link header exceeds {MAX_HEADER} bytes")
        links = _split(header)
        for target, *parameters in links:
            if "next" in _relations(parameters):
                return self._path(target)
        if any("next" in field.lower() and _is_open(field) for link in links for field in link):
            raise self._lost("its Link header is malformed")
        return ""

    def _path(self, target: str) -> str:
        """Return the path and query of a target at this registry.

        A registry behind a proxy may name a host that only the proxy can reach, and one that redirects elsewhere may
        have the list under another path.  So the list's own path counts on every host, and so does that of this page,
        but the list is requested here: credentials must not go to another host.
        """
        text = target[1:-1].strip() if target.startswith("<") and target.endswith(">") else target
        if len(text) > MAX_URL or not _URL.fullmatch(text):
            raise self._lost("its link is malformed")
        try:
            url = urldefrag(urljoin(self.address, text)).url
            parts, here = urlsplit(url), urlsplit(self.address).path
        except ValueError:
            raise self._lost("its link is malformed") from None
        if url.startswith(f"{self.base}/"):
            return url.removeprefix(self.base)
        own = self.path.partition("?")[0]
        if parts.scheme in ("http", "https") and (parts.path.endswith(own) or parts.path == here):
            return f"{own}?{parts.query}"
        raise self._lost(f"its link leads elsewhere, to {shown_url(url)}")

    def _lost(self, reason: str) -> RegistryError:
        return RegistryError(
            f"cannot read the next page of {self.what}: {reason}",
            url=shown_url(self.address),
            status=200,
            hint="the list is incomplete; tell the registry's operator",
        )


def _split(header: str) -> list[list[str]]:
    """Return the fields of each link: its target, and its parameters."""
    links: list[list[list[str]]] = [[[]]]
    for piece in _PIECE.findall(header):
        if piece == ",":
            links.append([[]])
        elif piece == ";":
            links[-1].append([])
        else:
            links[-1][-1].append(piece)
    return [["".join(field).strip() for field in link] for link in links]


def _relations(parameters: Iterable[str]) -> list[str]:
    """Return the relations of a link in lower case; only its first ``rel`` counts (RFC 8288, section 3.3)."""
    for name, _, value in (parameter.partition("=") for parameter in parameters):
        if name.strip().lower() == "rel":
            return value.strip().strip('"').lower().split()
    return []


def _is_open(field: str) -> bool:
    """Return whether a field has a quoted text without an end."""
    return _ESCAPED.sub("", field).count('"') % 2 == 1
