"""Choice of the proxy for a URL (docs/registries.md#proxies).

``HTTPS_PROXY`` applies to https URLs, ``HTTP_PROXY`` to http URLs, ``ALL_PROXY`` if the specific one is not set.
Upper-case names come first, as in Go and therefore in docker, podman and containerd; curl prefers lower case.  Empty
variables are ignored.

``NO_PROXY`` lists hosts to connect to directly.  An entry is

* ``*``: all hosts;
* ``example.com``: this host and all below it; ``.example.com`` or ``*.example.com``: only those below it;
* ``192.0.2.1``, ``2001:db8::1``: this address; ``192.0.2.0/24``, ``2001:db8::/32``: all addresses in this range;
* any of these but a range, followed by ``:port``: this port only, with an IPv6 address in brackets.

Names are not resolved, so they never match a range.  The loopback never has a proxy.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from imgfetch.errors import UnsupportedError, UnusableError
from imgfetch.http.origin import DEFAULT_PORTS, Origin

_SOCKS = frozenset({"socks", "socks4", "socks4a", "socks5", "socks5h"})
_SPOILT = re.compile(r"[\s\x00-\x1f\x7f]")
_WITH_PORT = re.compile(r"(\[[^\]]*\]|[^:]*):([0-9]{1,5})")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Proxy:
    """A proxy: its URL, which is never shown, its environment variable, and its printable host and port."""

    url: str = field(repr=False)
    variable: str
    shown: str


@dataclass(frozen=True)
class Proxies:
    """The texts of the environment's variables, which may contain passwords, parsed only when needed."""

    http: str = field(default="", repr=False)
    https: str = field(default="", repr=False)
    no_proxy: tuple[str, ...] = ()
    http_variable: str = "HTTP_PROXY"
    https_variable: str = "HTTPS_PROXY"

    def choose(self, url: str) -> Proxy | None:
        """Return the proxy for a URL, or ``None`` for a direct connection.

        Raises:
            UnusableError: ``url`` or the proxy's URL is malformed.
            UnsupportedError: a SOCKS proxy.
        """
        origin = Origin.of(url)
        value, variable = {
            "http": (self.http, self.http_variable),
            "https": (self.https, self.https_variable),
        }[origin.scheme]
        if not value or origin.is_loopback or any(_matches(entry, origin) for entry in self.no_proxy):
            return None
        proxy = _parse(value, variable)
        _logger.debug("%s: using the proxy %s from %s", origin, proxy.shown, variable)
        return proxy


def from_environment(environment: Mapping[str, str]) -> Proxies:
    """Read the environment's variables; the URLs are not parsed yet."""
    # A CGI server puts a request's "Proxy:" header into HTTP_PROXY (https://httpoxy.org).
    hidden = {"HTTP_PROXY"} if environment.get("REQUEST_METHOD") else set()
    found = {name: value.strip() for name, value in environment.items() if name not in hidden and value.strip()}

    def first(*names: str) -> tuple[str, str]:
        return next(((found[name], name) for name in names if name in found), ("", names[0]))

    http, http_variable = first("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
    https, https_variable = first("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    no_proxy, _ = first("NO_PROXY", "no_proxy")
    return Proxies(
        http=http,
        https=https,
        no_proxy=tuple(entry for entry in re.split(r"[\s,]+", no_proxy) if entry),
        http_variable=http_variable,
        https_variable=https_variable,
    )


def _matches(entry: str, origin: Origin) -> bool:
    if entry == "*":
        return True
    address = _address(origin.host)
    if "/" in entry:
        return address is not None and _holds(entry, address)
    if (with_port := _WITH_PORT.fullmatch(entry)) is not None:
        entry = with_port[1]
        if int(with_port[2]) != origin.port:
            return False
    if address is not None:
        return _address(entry.strip("[]")) == address
    return _covers(entry.lower(), origin.host)


def _covers(entry: str, host: str) -> bool:
    """Return whether a host is an entry's domain or below it; with a leading dot only below it, as in Go."""
    entry, host = entry.rstrip("."), host.rstrip(".")
    domain = entry.removeprefix("*") if entry.startswith("*.") else entry
    return bool(domain) and (host == domain or host.endswith(f".{domain.removeprefix('.')}"))


def _holds(entry: str, address: _Address) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _address(host: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def _parse(value: str, variable: str) -> Proxy:
    """Parse a proxy's URL; errors do not quote it because any part may belong to a password."""
    scheme, separator, rest = value.partition("://")
    scheme, rest = (scheme.lower(), rest) if separator else ("http", value)
    if scheme in _SOCKS:
        raise UnsupportedError(
            f"{variable} names a SOCKS proxy, which is not supported",
            hint=f"set {variable} to an http proxy, or unset it",
        )
    if scheme not in DEFAULT_PORTS:
        raise _unusable(variable, "it must begin with http:// or https://")
    try:
        parts = urlsplit(f"//{rest}")
        host, given = parts.hostname, parts.port
    except ValueError:
        raise _unusable(variable, "its host or port is malformed") from None
    if not host or _SPOILT.search(rest):
        raise _unusable(variable, "it has no host" if not host else "it contains white space")
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        raise _unusable(variable, "its user name or password contains characters that must be percent-encoded")
    origin = Origin(scheme, host, DEFAULT_PORTS[scheme] if given is None else given)
    return Proxy(
        f"{scheme}://{_login(parts.username, parts.password)}{origin.host_and_port}", variable, origin.host_and_port
    )


def _login(user: str | None, password: str | None) -> str:
    """Return a URL's credentials percent-encoded, with the colon that requests needs."""
    if not user:
        return ""
    return "{}:{}@".format(*(quote(unquote(part or ""), safe="") for part in (user, password)))


def _unusable(variable: str, reason: str) -> UnusableError:
    return UnusableError(
        f"{variable} is not a valid proxy URL: {reason}", hint=f"for example: {variable}=http://USER:PASSWORD@HOST:PORT"
    )
