"""Which proxy stands between us and a URL (P11).

``HTTPS_PROXY`` is for https URLs, ``HTTP_PROXY`` for http ones, ``ALL_PROXY`` for those whose own is not set, as for
curl.  Of a variable in both cases the upper one counts: so Go reads them, and with it docker, podman and containerd;
curl would take the lower one.  An empty variable is as good as none.

``NO_PROXY`` is a list of whom to ask directly.  An entry is

* ``*``: everybody;
* ``example.com``: this host, and all below it; ``.example.com`` or ``*.example.com``: all below it;
* ``192.0.2.1``, ``2001:db8::1``: this address; ``192.0.2.0/24``, ``2001:db8::/32``: all addresses that begin so;
* any of them but a range with ``:port`` behind it, an IPv6 address being in brackets then: this port only.

Names are not looked up, so a name is never in a range.  This machine is always asked directly.
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
    """A proxy that is to be used.

    Attributes:
        url: scheme, login, host and port; kept out of sight (P12).
        variable: the variable of the environment that names it (M04).
        shown: its host and port, fit to be shown.
    """

    url: str = field(repr=False)
    variable: str
    shown: str


@dataclass(frozen=True)
class Proxies:
    """The proxies that the environment names; they are looked at only when they are needed.

    Attributes:
        http: for http URLs, as the variable has it, which may hold a password (P12).
        https: for https URLs, likewise.
        no_proxy: whom to ask directly.
        http_variable: the variable that ``http`` comes from (M04).
        https_variable: the variable that ``https`` comes from.
    """

    http: str = field(default="", repr=False)
    https: str = field(default="", repr=False)
    no_proxy: tuple[str, ...] = ()
    http_variable: str = "HTTP_PROXY"
    https_variable: str = "HTTPS_PROXY"

    def choose(self, url: str) -> Proxy | None:
        """Return the proxy for a URL, or ``None`` where there is none to be used.

        Raises:
            UnusableError: the URL of the proxy is not usable.
            TransportError: this URL is not.
            UnsupportedError: the proxy is of a kind that we don't know.
        """
        origin = Origin.of(url)
        value, variable = {
            "http": (self.http, self.http_variable),
            "https": (self.https, self.https_variable),
        }[origin.scheme]
        if not value or origin.is_loopback or any(_matches(entry, origin) for entry in self.no_proxy):
            return None
        proxy = _parse(value, variable)
        _logger.debug("%s is behind the proxy %s, says %s", origin, proxy.shown, variable)
        return proxy


def from_environment(environment: Mapping[str, str]) -> Proxies:
    """Return what the environment says, without looking closer."""
    # A CGI server puts a request's "Proxy:" header into HTTP_PROXY (https://httpoxy.org).
    hidden = {"HTTP_PROXY"} if environment.get("REQUEST_METHOD") else set()
    found = {name: value.strip() for name, value in environment.items() if name not in hidden and value.strip()}

    def first(*names: str) -> tuple[str, str]:
        """Return the value and the name of the first that is set."""
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
    """Whether a host is that of an entry or below it; with a dot in front of the entry, only below it (as in Go)."""
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
    """Read the URL of a proxy; of one that cannot be read nothing is shown, for any part may be of a password."""
    scheme, separator, rest = value.partition("://")
    scheme, rest = (scheme.lower(), rest) if separator else ("http", value)
    if scheme in _SOCKS:
        raise UnsupportedError(
            f"{variable} names a SOCKS proxy, which is not supported", hint="name an http proxy, or unset it"
        )
    if scheme not in DEFAULT_PORTS:
        raise _unusable(variable, "it begins neither with http:// nor with https://")
    try:
        parts = urlsplit(f"//{rest}")
        host, given = parts.hostname, parts.port
    except ValueError:
        raise _unusable(variable, "host or port cannot be told") from None
    if not host or _SPOILT.search(rest):
        raise _unusable(variable, "it has no host" if not host else "there is white space in it")
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        raise _unusable(variable, "the login holds characters that must be percent-encoded")
    origin = Origin(scheme, host, DEFAULT_PORTS[scheme] if given is None else given)
    return Proxy(
        f"{scheme}://{_login(parts.username, parts.password)}{origin.host_and_port}", variable, origin.host_and_port
    )


def _login(user: str | None, password: str | None) -> str:
    """Return the login of a URL with every character encoded that must be, and with a colon, which requests wants."""
    if not user:
        return ""
    return "{}:{}@".format(*(quote(unquote(part or ""), safe="") for part in (user, password)))


def _unusable(variable: str, reason: str) -> UnusableError:
    return UnusableError(
        f"{variable} is not a usable proxy URL: {reason}", hint="it should look like http://user:password@host:port"
    )
