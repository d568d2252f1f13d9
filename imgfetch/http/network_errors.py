"""Mapping of the network libraries' exceptions to `TransportError` with messages for users."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3.exceptions

from imgfetch import shortage
from imgfetch.errors import (
    CertificateError,
    NotTlsError,
    ProxyError,
    RefusedError,
    ResourceError,
    TransportError,
    UnusableError,
)
from imgfetch.http import certificate
from imgfetch.http.origin import Origin
from imgfetch.http.proxies import Proxy
from imgfetch.text import sanitize, shown_url

# OpenSSL's X509_V_ERR_…
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_ISSUERS = frozenset({18, 19, 20, 21})
_OTHER_NAMES = frozenset({62, 64})

_NOT_TLS = ("wrong version number", "record layer failure", "unknown protocol")
_CUT_OFF = ("unexpected eof", "eof occurred")
_WANTS_LOGIN = "407"
_MAX_ADDRESSES = 4
_SOCKS_FAILURES = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
_AGAIN = "run the same command again"


@contextmanager
def mapped(url: str, proxy: Proxy | None = None) -> Iterator[None]:
    """Convert the libraries' exceptions to a `TransportError` that names the server or the proxy."""
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
        # The cause is the system's error because the libraries' errors contain headers and the whole URL
        # (docs/registries.md#secrets-in-messages).
        raise _local_error(url, error) or _transport_error(url, error, proxy) from _system_error(error)
    except (UnicodeError, ValueError) as error:  # a host name or a header that cannot be encoded
        raise UnusableError(f"cannot request {shown_url(url)}: {sanitize(str(error))}") from None


def _local_error(url: str, error: Exception) -> ResourceError | None:
    """Return the error for a request that failed because this process lacks something."""
    lack = shortage.of(error)
    if any(isinstance(cause, socket.gaierror | ssl.SSLCertVerificationError) for cause in _causes(error)):
        lack = lack or shortage.of_files()
    return ResourceError(f"cannot request {shown_url(url)}: {lack.reason}", hint=lack.hint) if lack else None


def _system_error(error: Exception) -> OSError | None:
    ours = (requests.RequestException, urllib3.exceptions.HTTPError)
    return next((cause for cause in _causes(error) if isinstance(cause, OSError) and not isinstance(cause, ours)), None)


def proxy_error(proxy: Proxy, reason: str, url: str = "") -> ProxyError:
    """Return the error for a proxy that fails or refuses a connection, for a printable ``reason``."""
    origin = Origin.of(url) if url else None
    wanted = f" to {origin.host_and_port}" if origin else ""
    if reason.startswith(_WANTS_LOGIN):
        hint = f"add credentials for the proxy: {proxy.variable}=http://USER:PASSWORD@{proxy.shown}"
    else:
        hint = f"check {proxy.variable} and whether the proxy is running, or tell the proxy's operator"
    return ProxyError(
        f"cannot connect{wanted} through the proxy {proxy.shown} ({proxy.variable}): {reason}",
        hint=f"{hint}; to bypass the proxy, add {origin.host if origin else 'the host'} to NO_PROXY",
    )


def _transport_error(url: str, error: Exception, proxy: Proxy | None) -> TransportError:
    origin = Origin.of(url)
    port = origin.host_and_port
    causes = list(_causes(error))
    by_proxy = _SOCKS_FAILURES if proxy and proxy.is_socks else urllib3.exceptions.ProxyError
    if proxy is not None and any(isinstance(cause, by_proxy) for cause in causes):
        return proxy_error(proxy, _proxy_reason(causes), url)
    for cause in causes:
        match cause:
            case ssl.SSLError():
                return _tls_error(origin, cause, proxy)
            case socket.gaierror():
                return _name_error(origin, cause, proxy)
            case urllib3.exceptions.IncompleteRead() | http.client.IncompleteRead():
                return TransportError(f"{port} closed the connection partway through {shown_url(url)}", hint=_AGAIN)
            case ConnectionRefusedError():
                return RefusedError(
                    f"cannot connect to {port}{_way(origin, proxy)}: connection refused",
                    host=port,
                    hint=_reaching(origin, proxy),
                )
    return _other_error(url, causes, proxy)


def _other_error(url: str, causes: list[BaseException], proxy: Proxy | None) -> TransportError:
    origin = Origin.of(url)
    port = origin.host_and_port
    is_connecting = any(isinstance(cause, urllib3.exceptions.NewConnectionError) for cause in causes)
    for cause in causes:
        # NewConnectionError is a ConnectTimeoutError, whatever the reason.
        is_ours = isinstance(cause, requests.RequestException | TimeoutError)
        if isinstance(cause, OSError) and cause.strerror and not is_ours:
            if is_connecting:
                return _not_connected(origin, proxy, sanitize(cause.strerror))
            return TransportError(
                f"the connection to {port} failed: {sanitize(cause.strerror)}",
                hint=f"{_AGAIN}; if it still fails, a firewall, proxy or VPN may be interfering",
            )
    for cause in causes:
        match cause:
            case urllib3.exceptions.ConnectTimeoutError():
                return _not_connected(origin, proxy, "connection timed out")
            case urllib3.exceptions.ReadTimeoutError() | TimeoutError():
                return TransportError(
                    f"{port}{_way(origin, proxy) if proxy else ''}"
                    f" stopped responding: {shown_url(url)} sent no data before the timeout",
                    hint=f"{_AGAIN}; --timeout SECONDS allows longer pauses",
                )
            case urllib3.exceptions.LocationParseError() | requests.exceptions.InvalidURL():
                return UnusableError(f"{shown_url(url)} is not a valid URL")
    return TransportError(_unanswered(port, url, causes), hint=f"check the port; if it is right, {_AGAIN}")


def _unanswered(port: str, url: str, causes: list[BaseException]) -> str:
    """Return the message for a server that sent nothing, or bytes that are not an HTTP response."""
    if any(isinstance(cause, http.client.RemoteDisconnected) for cause in causes):
        return f"{port} closed the connection without responding to {shown_url(url)}"
    kind = "invalid" if any(isinstance(cause, http.client.HTTPException) for cause in causes) else "no"
    return f"{kind} response from {port} for {shown_url(url)}: {sanitize(str(causes[-1]))}"


def _not_connected(origin: Origin, proxy: Proxy | None, reason: str) -> TransportError:
    message = f"cannot connect to {origin.host_and_port}{_way(origin, proxy)}: {reason}"
    return TransportError(message, hint=_reaching(origin, proxy))


def _proxy_reason(causes: list[BaseException]) -> str:
    for cause in causes:
        match cause:
            case socket.gaierror():
                return f"the proxy's name does not resolve ({sanitize(cause.strerror or str(cause))})"
            case ConnectionRefusedError():
                return "connection refused"
    reasons = [str(cause.original_error) for cause in causes if isinstance(cause, urllib3.exceptions.ProxyError)]
    reasons += [str(getattr(cause, "msg", "")) for cause in causes if hasattr(cause, "socket_err")]  # of PySocks
    return sanitize(next(iter(reasons), "").removeprefix("Tunnel connection failed: "), 200) or "no reason given"


def _name_error(origin: Origin, error: socket.gaierror, proxy: Proxy | None) -> TransportError:
    return TransportError(
        f"cannot find {origin.host_and_port}: the name does not resolve ({sanitize(error.strerror or str(error))})",
        hint=_reaching(origin, proxy, "the name, the DNS and the VPN"),
        # A name server that does not answer may recover in a second; an unknown name stays unknown.
        tries=2 if error.errno == socket.EAI_AGAIN else 1,
    )


def _certificate_error(origin: Origin, error: ssl.SSLCertVerificationError, *, direct: bool) -> CertificateError:
    place = str(origin)
    reason = sanitize(getattr(error, "verify_message", "") or str(error))
    found = certificate.fetch(origin.host, origin.port) if direct else None
    code = getattr(error, "verify_code", 0)
    about = f"; {found}" if found else ""
    hint = "the server needs another certificate; tell the registry's operator"
    if code in _UNKNOWN_ISSUERS:
        hint = f"pass the CA certificate with --ca-file FILE, or copy it to ~/.config/containers/certs.d/{place}/ca.crt"
        issuer, about = (f' "{found.issuer}"', f'; issued to "{found.subject}"') if found else ("", "")
        reason = f"unknown issuer{issuer} ({reason})"
    elif code == _EXPIRED:
        reason = f"it expired on {found.ends}" if found and found.ends else reason
        hint = "check the clock of this machine; if it is right, the server needs a new certificate"
    elif code == _NOT_YET_VALID:
        reason = f"it is not valid before {found.begins}" if found and found.begins else reason
        hint = "check the clock of this machine"
    elif code in _OTHER_NAMES:
        reason = f"it is valid for {found.hosts}, not for {origin.host}" if found else reason
        hint = "use a host name that the certificate covers"
        if found and not found.names:
            reason = f'it names its host only as the common name "{found.subject}", which does not count any more'
            hint = f"the server needs a certificate with {origin.host} as a subject alternative name"
        elif found and found.has_misplaced(origin.host):
            reason = f"it has {origin.host} as a DNS name, and not as an address"
            hint = f"the server needs a certificate with IP:{origin.host}; a DNS entry does not count for an address"
    return CertificateError(
        f"cannot verify the certificate of {origin.host_and_port}: {reason}{about}",
        hint=f"{hint}; last resort: --insecure {place}",
    )


def _tls_error(origin: Origin, error: ssl.SSLError, proxy: Proxy | None) -> TransportError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_error(origin, error, direct=proxy is None)
    port = origin.host_and_port
    reason = sanitize(getattr(error, "reason", "") or str(error))
    signs = f"{reason} {error}".lower().replace("_", " ")
    if any(sign in signs for sign in _NOT_TLS):
        return NotTlsError(
            f"{port} does not use https; it probably uses http: {reason}",
            host=port,
            hint="if that is intended, pass --plain-http; otherwise check the port",
        )
    if any(sign in signs for sign in _CUT_OFF):
        return NotTlsError(
            f"{port} closed the connection during the TLS handshake: {reason}",
            host=port,
            hint=f"{_AGAIN}; if it still fails, check the port, or pass --plain-http for a registry without TLS",
            tries=TransportError.tries,  # an overloaded server does this as well as one without TLS
        )
    return TransportError(
        f"the TLS handshake with {port} failed: {reason}",
        hint="the server requires a client certificate, or rejected yours: copy the right certificate and its key to "
        f"~/.config/containers/certs.d/{origin}/client.cert and client.key"
        if "certificate" in signs
        else "the server's TLS version may be too old, or a proxy or firewall may be interfering; check the port",
        tries=1,
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception of `requests` and its nested causes, outermost first."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop(0)
        if not isinstance(item, BaseException) or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        waiting += [*item.args, getattr(item, "reason", None), getattr(item, "socket_err", None), item.__cause__]
        if isinstance(item, urllib3.exceptions.NewConnectionError):  # which is without PySocks' error as its cause
            waiting.append(item.__context__)


def _way(origin: Origin, proxy: Proxy | None) -> str:
    """Return the route to an origin for a message: its addresses and the proxy."""
    if proxy is not None:
        return f" (through the proxy {proxy.shown}, {proxy.variable})"
    parts = [*_addresses(origin), *([] if origin.is_loopback else ["no proxy"])]  # the loopback never has one
    return f" ({', '.join(parts)})" if parts else ""


def _reaching(origin: Origin, proxy: Proxy | None, suspects: str = "the name, the port and the VPN") -> str:
    if origin.is_loopback:
        return "check the name and the port, and whether the registry is running"
    if proxy is not None:
        return f"check {suspects}, and whether the proxy allows the host"
    return f"check {suspects}; if a proxy is needed, set {origin.scheme.upper()}_PROXY"


def _addresses(origin: Origin) -> list[str]:
    """Return the addresses of a host name; none if the host is an address."""
    try:
        found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    addresses = sorted({str(entry[4][0]) for entry in found})
    return [] if addresses == [origin.host] else addresses[:_MAX_ADDRESSES]
