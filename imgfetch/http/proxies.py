"""Choice of the proxy for a URL (docs/registries.md#proxies).

``HTTPS_PROXY`` applies to https URLs, ``HTTP_PROXY`` to http URLs, ``ALL_PROXY`` if the specific one is not set.
Upper-case names come first, as in Go and therefore in docker, podman and containerd; curl prefers lower case.  Empty
variables are ignored, and so is, with a warning, an ``ALL_PROXY`` that cannot be used, because Go never reads it.

``NO_PROXY`` lists hosts to connect to directly, separated by commas.  An entry is

* ``*``: all hosts;
* ``example.com``: this host and all below it; ``.example.com`` or ``*.example.com``: only those below it; other letters
  than ASCII's count as in IDNA;
* ``192.0.2.1``, ``2001:db8::1``: this address; ``192.0.2.0/24``, ``2001:db8::/32``: all addresses in this range;
* any of these but a range, followed by ``:port``: this port only, with an IPv6 address in brackets.

Names are not resolved, so they never match a range.  The loopback never has a proxy.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

import idna

from imgfetch.errors import UnsupportedError, UnusableError
from imgfetch.http.origin import DEFAULT_PORTS, Origin
from imgfetch.text import installation
from imgfetch.tolerance import Tolerance

# As in Go, a SOCKS 5 proxy resolves the names; SOCKS 4 cannot.
_SOCKS = {"socks": "socks5h", "socks4": "socks4", "socks4a": "socks4a", "socks5": "socks5h", "socks5h": "socks5h"}
_SOCKS_PORT = 1080
_FOR_ALL = frozenset({"ALL_PROXY", "all_proxy"})
_SPOILT = re.compile(r"[\s\x00-\x1f\x7f]")
_WITH_PORT = re.compile(r"(\[[^\]]*\]|[^:]*):([^:]*)")
_RANGE = re.compile(r"[0-9a-f:.]+/[0-9]{1,3}")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Proxy:
    """A proxy: its URL, which is never shown, its environment variable, and its printable host and port."""

    url: str = field(repr=False)
    variable: str
    shown: str

    @property
    def is_socks(self) -> bool:
        """Return whether it speaks SOCKS rather than HTTP."""
        return self.url.startswith("socks")


@dataclass(frozen=True)
class Proxies:
    """The texts of the environment's variables, which may contain passwords, parsed only when needed."""

    http: str = field(default="", repr=False)
    https: str = field(default="", repr=False)
    no_proxy: tuple[str, ...] = ()
    http_variable: str = "HTTP_PROXY"
    https_variable: str = "HTTPS_PROXY"
    tolerance: Tolerance = field(default_factory=Tolerance, repr=False, compare=False)

    def choose(self, url: str) -> Proxy | None:
        """Return the proxy for a URL, or ``None`` for a direct connection.

        Raises:
            UnusableError: ``url`` or the proxy's URL is malformed.
            UnsupportedError: a SOCKS proxy, and PySocks is not installed.
        """
        origin = Origin.of(url)
        value, variable = {
            "http": (self.http, self.http_variable),
            "https": (self.https, self.https_variable),
        }[origin.scheme]
        if not value or origin.is_loopback or any(_matches(entry, origin) for entry in self.no_proxy):
            return None
        try:
            proxy = _parse(value, variable)
        except (UnsupportedError, UnusableError) as error:
            if variable not in _FOR_ALL:
                raise
            self.tolerance.warn(f"ignoring {variable}, as docker does: {error}; {error.hint}")
            return None
        _logger.debug("%s: using the proxy %s from %s", origin, proxy.shown, variable)
        return proxy


def from_environment(
    environment: Mapping[str, str], configured: Mapping[str, str] | None = None, file: str = ""
) -> Proxies:
    """Read the environment's variables; the URLs are not parsed yet.

    ``configured`` has docker's ``http-proxy``, ``https-proxy`` and ``no-proxy`` from ``file``, each of which counts if
    the environment has none.
    """
    # A CGI server puts a request's "Proxy:" header into HTTP_PROXY (https://httpoxy.org).
    hidden = {"HTTP_PROXY"} if environment.get("REQUEST_METHOD") else set()
    found = {name: value.strip() for name, value in environment.items() if name not in hidden and value.strip()}

    def first(key: str, *names: str) -> tuple[str, str]:
        set_by = next((name for name in names if name in found), "")
        if not set_by and configured and key in configured:
            return configured[key], f"{key} in {file}"
        return found.get(set_by, ""), set_by or names[0]

    http, http_variable = first("http-proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
    https, https_variable = first("https-proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    no_proxy, _ = first("no-proxy", "NO_PROXY", "no_proxy")
    return Proxies(
        http=http,
        https=https,
        no_proxy=tuple(entry for part in no_proxy.split(",") if (entry := part.strip().lower())),
        http_variable=http_variable,
        https_variable=https_variable,
    )


def _matches(entry: str, origin: Origin) -> bool:
    if entry == "*":
        return True
    address = _address(origin.host)
    if _RANGE.fullmatch(entry):
        return address is not None and _holds(entry, address)
    if (with_port := _WITH_PORT.fullmatch(entry)) is not None:
        entry = with_port[1]
        if with_port[2] not in ("", str(origin.port)):
            return False
    if address is not None:
        return "%" not in entry and _address(entry.strip("[]")) == address
    return _covers(entry, origin.host)


def _covers(entry: str, host: str) -> bool:
    """Return whether a host is an entry's domain or below it; with a leading dot only below it, as in Go."""
    host, domain = host.rstrip("."), entry.rstrip(".").removeprefix("*" if entry.startswith("*.") else "")
    name = _ascii(domain.removeprefix("."))
    return bool(name) and (host.endswith(f".{name}") or (host == name and not domain.startswith(".")))


def _ascii(name: str) -> str:
    """Return a domain name as it is in URLs, ``xn--…``."""
    if not name.isascii():
        with suppress(idna.IDNAError):
            return idna.encode(name, uts46=True).decode()
    return name


def _holds(entry: str, address: _Address) -> bool:
    with suppress(ValueError):
        network = ipaddress.ip_network(entry, strict=False)
        mapped = _address(str(network.network_address))
        if network.version != address.version and mapped is not None and mapped.version == address.version:
            return address in ipaddress.ip_network((mapped, max(network.prefixlen - 96, 0)), strict=False)
        return address in network
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
    if scheme not in {*DEFAULT_PORTS, *_SOCKS}:
        raise _unusable(variable, "it must begin with http:// or https://")
    if scheme in _SOCKS and importlib.util.find_spec("socks") is None:
        raise UnsupportedError(
            f"{variable} names a SOCKS proxy, which needs PySocks",
            hint=f"{installation('socks')}; or set {variable} to an http proxy, or unset it",
        )
    try:
        parts = urlsplit(f"//{rest}")
        host, given = parts.hostname, parts.port
    except ValueError:
        raise _unusable(variable, "its host or port is malformed") from None
    if not host or _SPOILT.search(rest):
        raise _unusable(variable, "it has no host" if not host else "it contains white space")
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        raise _unusable(variable, "its user name or password contains characters that must be percent-encoded")
    origin = Origin(
        _SOCKS.get(scheme, scheme), host, DEFAULT_PORTS.get(scheme, _SOCKS_PORT) if given is None else given
    )
    return Proxy(
        f"{origin.scheme}://{_login(parts.username, parts.password)}{origin.host_and_port}",
        variable,
        origin.host_and_port,
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
