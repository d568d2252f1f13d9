"""Scheme, host and port: what a secret is bound to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from imgfetch.errors import TransportError
from imgfetch.printable import clean
from imgfetch.printable import url as shown_url

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what a secret is bound to (RFC 6454)."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self:
        """Return a URL's origin.

        Raises:
            TransportError: the URL has none that HTTP can reach.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or DEFAULT_PORTS.get(parts.scheme.lower(), 0)
            host = (parts.hostname or "").lower()
        except ValueError as error:
            raise TransportError(f"{shown_url(url)} is not a usable URL: {clean(str(error))}") from None
        if parts.scheme.lower() not in DEFAULT_PORTS or not host:
            raise TransportError(f"{shown_url(url)} is not a usable URL: no http or https with a host")
        return cls(parts.scheme.lower(), host, port)

    def __str__(self) -> str:
        """Return ``host:port`` as a person would write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return clean(host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}")
