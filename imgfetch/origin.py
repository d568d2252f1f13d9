"""Scheme, host and port: what a secret is bound to (RFC 6454)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from imgfetch.errors import TransportError
from imgfetch.printable import clean
from imgfetch.printable import url as shown_url

DEFAULT_PORTS = {"http": 80, "https": 443}

_METADATA = frozenset({ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")})

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a URL leads.

    Attributes:
        scheme: ``http`` or ``https``.
        host: lower-case name or address, an IPv6 one without brackets.
        port: the port, given or the scheme's.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self:
        """Return a URL's origin.

        Raises:
            TransportError: the URL has none that HTTP can reach, or holds a login, which is never ours.
        """
        try:
            parts = urlsplit(url)
            given, host = parts.port, (parts.hostname or "").lower()
        except ValueError as error:
            raise TransportError(f"{shown_url(url)} is not a usable URL: {clean(str(error))}") from None
        scheme = parts.scheme.lower()
        if scheme not in DEFAULT_PORTS or not host:
            raise TransportError(f"{shown_url(url)} is not a usable URL: no http or https with a host")
        if "@" in parts.netloc:
            raise TransportError(f"{shown_url(url)} is not a usable URL: it holds a login")
        return cls(scheme, host, DEFAULT_PORTS[scheme] if given is None else given)

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine: ``localhost``, ``*.localhost``, 127.0.0.0/8, ``::1`` (P31)."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        address = self._address
        return address is not None and address.is_loopback

    @property
    def is_address(self) -> bool:
        """Whether the host is an address rather than a name."""
        return self._address is not None

    @property
    def is_nowhere(self) -> bool:
        """Whether it is an address at which no registry can be: link-local, metadata, unspecified, multicast (S04)."""
        address = self._address
        return address is not None and (
            address.is_link_local or address.is_unspecified or address.is_multicast or address in _METADATA
        )

    @property
    def _address(self) -> _Address | None:
        try:
            address = ipaddress.ip_address(self.host.partition("%")[0])
        except ValueError:
            return None
        return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address

    @property
    def host_and_port(self) -> str:
        """``host:port``, fit to be shown."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return clean(f"{host}:{self.port}")

    def __str__(self) -> str:
        """Return the host, with its port unless it is the scheme's own."""
        return self.host_and_port.removesuffix(f":{DEFAULT_PORTS[self.scheme]}")
