"""Scheme, host and port, to which secrets are bound (RFC 6454)."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from imgfetch.errors import UnusableError
from imgfetch.text import sanitize, shown_url

DEFAULT_PORTS = {"http": 80, "https": 443}

_METADATA = frozenset({ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")})

_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+(?:%[a-z0-9._-]+)?")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")
_NUMERIC = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)(?:\.(?:[0-9]+|0x[0-9a-f]*)){0,3}")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_HUB_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})


class Origin(NamedTuple):
    """Origin of a URL; ``host`` is a lower-case name or address, without brackets for IPv6."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self:
        """Return a URL's origin.

        Raises:
            UnusableError: the URL is malformed, not http or https, or contains credentials.
        """
        try:
            parts = urlsplit(url)
            given, host = parts.port, (parts.hostname or "").lower()
        except ValueError as error:
            raise UnusableError(f"{shown_url(url)} is not a valid URL: {sanitize(str(error))}") from None
        scheme = parts.scheme.lower()
        if scheme not in DEFAULT_PORTS or not host:
            raise UnusableError(f"{shown_url(url)} is not a valid URL: it needs http or https and a host")
        if not _HOST.fullmatch(host):  # libraries disagree over where such a host ends
            raise UnusableError(f"{shown_url(url)} is not a valid URL: its host is neither a name nor an address")
        if "@" in parts.netloc:
            raise UnusableError(f"{shown_url(url)} is not a valid URL: it contains credentials")
        return cls(scheme, host, DEFAULT_PORTS[scheme] if given is None else given)

    @property
    def is_loopback(self) -> bool:
        """Return whether it is ``localhost``, ``*.localhost``, 127.0.0.0/8 or ``::1`` (RFC 6761, section 6.3)."""
        name = self.host.removesuffix(".")
        if name == "localhost" or name.endswith(".localhost"):
            return True
        address = self._address
        return address is not None and address.is_loopback

    @property
    def is_address(self) -> bool:
        """Return whether the host is an address rather than a name."""
        return self._address is not None

    @property
    def is_nowhere(self) -> bool:
        """Return whether it is a link-local, metadata, unspecified or multicast address, where no registry can be."""
        address = self._address
        return address is not None and (
            address.is_link_local or address.is_unspecified or address.is_multicast or address in _METADATA
        )

    def may_send_to(self, other: Origin) -> bool:
        """Return whether a server here may refer imgfetch to ``other`` (docs/registries.md#forbidden-addresses)."""
        return not other.is_nowhere and (self.is_loopback or not other.is_loopback)

    @property
    def _address(self) -> _Address | None:
        host = self.host.partition("%")[0].removesuffix(".")
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return _old_spelling(host)
        if isinstance(address, ipaddress.IPv6Address):
            return address.ipv4_mapped or address.sixtofour or _embedded(address) or address
        return address

    @property
    def host_and_port(self) -> str:
        """Printable ``host:port``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return sanitize(f"{host}:{self.port}")

    @property
    def url(self) -> str:
        """The URL of the root, without a path."""
        return f"{self.scheme}://{self}"

    def __str__(self) -> str:
        return self.host_and_port.removesuffix(f":{DEFAULT_PORTS[self.scheme]}")


def _old_spelling(host: str) -> ipaddress.IPv4Address | None:
    """Parse other spellings that resolvers accept: ``127.1``, ``2130706433``, ``0x7f.1``."""
    if not _NUMERIC.fullmatch(host):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that NAT64 or an old kind of tunnel would reach for an IPv6 one."""
    is_plain = address.is_loopback or address.is_unspecified
    if address in _NAT64 or (address in _COMPATIBLE and not is_plain):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def login_command(registry: str) -> str:
    """Return the command to log in to a registry, for hints."""
    return "imgfetch login" if registry in _HUB_HOSTS else f"imgfetch login {sanitize(registry)}"
