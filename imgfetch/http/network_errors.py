"""What the network libraries raise, said in our words (M01 to M04)."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3.exceptions

from imgfetch.errors import (
    CertificateError,
    NotTlsError,
    ProxyError,
    RefusedError,
    TransportError,
    UnusableError,
)
from imgfetch.http import certificate
from imgfetch.http.origin import Origin
from imgfetch.http.proxies import Proxy
from imgfetch.text import sanitize
from imgfetch.text import url as shown_url

# OpenSSL's X509_V_ERR_…
_NOT_YET_VALID, _EXPIRED = 9, 10
_UNKNOWN_ISSUERS = frozenset({18, 19, 20, 21})
_OTHER_NAMES = frozenset({62, 64})

_NOT_TLS = (
    "wrong_version_number",
    "wrong version number",
    "record_layer_failure",
    "record layer failure",
    "unknown_protocol",
    "unknown protocol",
)
_CUT_OFF = ("unexpected_eof", "eof occurred")
_WANTS_LOGIN = "407"
_MAX_ADDRESSES = 4
_AGAIN = "run the same command again"


@contextmanager
def mapped(url: str, proxy: Proxy | None = None) -> Iterator[None]:
    """Turn whatever the libraries raise into a `TransportError` that says what happened to whom.

    Args:
        url: what was asked for.
        proxy: what stood between, if anything.
    """
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
        # The system's own error is the cause: those of the libraries hold our headers and the whole URL (S14).
        raise _transport_error(url, error, proxy) from _system_error(error)
    except (UnicodeError, ValueError) as error:  # a host name or a header that cannot be encoded
        raise UnusableError(f"cannot ask {shown_url(url)}: {sanitize(str(error))}") from error


def _system_error(error: Exception) -> OSError | None:
    ours = (requests.RequestException, urllib3.exceptions.HTTPError)
    return next((cause for cause in _causes(error) if isinstance(cause, OSError) and not isinstance(cause, ours)), None)


def proxy_error(proxy: Proxy, reason: str, url: str = "") -> ProxyError:
    """Return the error for a proxy that does not let us through (M04).

    Args:
        proxy: the proxy.
        reason: its words, or the system's, fit to be shown.
        url: what was asked for.
    """
    origin = Origin.of(url) if url else None
    wanted = f" to {origin.host_and_port}" if origin else ""
    if reason.startswith(_WANTS_LOGIN):
        hint = f"it wants a login: put it into the proxy's URL, http://USER:PASSWORD@{proxy.shown}, in {proxy.variable}"
    else:
        hint = f"check {proxy.variable} and that the proxy runs, or ask whoever runs it"
    return ProxyError(
        f"the proxy {proxy.shown}, which {proxy.variable} names, does not let us through{wanted}: {reason}",
        hint=f"{hint}; what needs no proxy goes into NO_PROXY{f', such as {origin.host}' if origin else ''}",
    )


def _transport_error(url: str, error: Exception, proxy: Proxy | None) -> TransportError:
    origin = Origin.of(url)
    port = origin.host_and_port
    causes = list(_causes(error))
    if proxy is not None and any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes):
        return proxy_error(proxy, _proxy_reason(causes), url)
    for cause in causes:
        match cause:
            case ssl.SSLError():
                return _tls_error(origin, cause, proxy)
            case socket.gaierror():
                return _name_error(origin, cause, proxy)
            case urllib3.exceptions.IncompleteRead() | http.client.IncompleteRead():
                return TransportError(f"{port} broke off: {shown_url(url)} ended too early", hint=_AGAIN)
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
                hint=f"{_AGAIN}; if it stays so, a firewall, proxy or VPN may be cutting it",
            )
    for cause in causes:
        match cause:
            case urllib3.exceptions.ConnectTimeoutError():
                return _not_connected(origin, proxy, "no answer in time")
            case urllib3.exceptions.ReadTimeoutError() | TimeoutError():
                return TransportError(
                    f"{port} went silent: nothing came for too long from {shown_url(url)}",
                    hint=f"{_AGAIN}; --timeout allows a longer silence",
                )
            case urllib3.exceptions.LocationParseError() | requests.exceptions.InvalidURL():
                return UnusableError(f"{shown_url(url)} is not a usable URL")
    return TransportError(
        f"no answer from {port} for {shown_url(url)}: {sanitize(str(causes[-1]))}",
        hint=f"check the port; if it is right, {_AGAIN}",
    )


def _not_connected(origin: Origin, proxy: Proxy | None, reason: str) -> TransportError:
    message = f"cannot connect to {origin.host_and_port}{_way(origin, proxy)}: {reason}"
    return TransportError(message, hint=_reaching(origin, proxy))


def _proxy_reason(causes: list[BaseException]) -> str:
    """Say why a proxy does not let us through, in its words or the system's."""
    for cause in causes:
        match cause:
            case socket.gaierror():
                return f"its name does not resolve ({sanitize(cause.strerror or str(cause))})"
            case ConnectionRefusedError():
                return "connection refused"
    original = next(cause for cause in causes if isinstance(cause, urllib3.exceptions.ProxyError)).original_error
    return sanitize(str(original).removeprefix("Tunnel connection failed: "), 200) or "no reason is given"


def _name_error(origin: Origin, error: socket.gaierror, proxy: Proxy | None) -> TransportError:
    return TransportError(
        f"cannot find {origin.host_and_port}: the name does not resolve ({sanitize(error.strerror or str(error))})",
        hint=_reaching(origin, proxy, "the name, the DNS and the VPN"),
        # A name server that does not answer may do so in a second; one that knows of no such name will not (F01).
        tries=2 if error.errno == socket.EAI_AGAIN else 1,
    )


def _certificate_error(origin: Origin, error: ssl.SSLCertVerificationError, *, direct: bool) -> CertificateError:
    """Say what is wrong with a certificate, and what can be done about that (M02)."""
    place = str(origin)
    reason = sanitize(getattr(error, "verify_message", "") or str(error))
    found = certificate.fetch(origin.host, origin.port) if direct else None
    code = getattr(error, "verify_code", 0)
    hint = f"put the CA as a .crt file into certs.d/{place}/, or name it with --ca-file"
    if code in _UNKNOWN_ISSUERS:
        reason = f"nobody known here vouches for it ({reason})"
    elif code == _EXPIRED:
        reason = f"it has expired on {found.ends}" if found and found.ends else reason
        hint = "check the clock of this machine; if it is right, the server needs a new certificate"
    elif code == _NOT_YET_VALID:
        reason = f"it is not valid before {found.begins}" if found and found.begins else reason
        hint = "check the clock of this machine"
    elif code in _OTHER_NAMES:
        reason = f"it is not for {origin.host}, but for {found.hosts}" if found else reason
        hint = "ask by a name that it is for"
    about = f"; {found}" if found else ""
    return CertificateError(
        f"the certificate of {origin.host_and_port} is not to be trusted: {reason}{about}",
        hint=f"{hint}; last resort: --insecure {place}",
    )


def _tls_error(origin: Origin, error: ssl.SSLError, proxy: Proxy | None) -> TransportError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_error(origin, error, direct=proxy is None)
    port = origin.host_and_port
    reason = sanitize(getattr(error, "reason", "") or str(error))
    signs = f"{reason} {error}".lower()
    if any(sign in signs for sign in _NOT_TLS):
        return NotTlsError(
            f"{port} does not speak https; it seems to speak http: {reason}",
            host=port,
            hint="if that is intended: --plain-http; else check the port",
        )
    if any(sign in signs for sign in _CUT_OFF):
        return NotTlsError(
            f"{port} closed the connection where TLS should have begun: {reason}",
            host=port,
            hint=f"{_AGAIN}; if it stays so, check the port, or whether it speaks http (--plain-http)",
            tries=TransportError.tries,  # a server without TLS does this, and so does one that is too busy
        )
    return TransportError(
        f"TLS with {port} failed: {reason}",
        hint=f"the server wants a client certificate, or another one: put it as .cert and .key into certs.d/{origin}/"
        if "certificate" in signs
        else "its TLS may be too old, or something on the way interferes; check the port",
        tries=1,
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an exception of `requests` to the one that tells why, outermost first."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        item = waiting.pop(0)
        if not isinstance(item, BaseException) or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        waiting += [*item.args, getattr(item, "reason", None), item.__cause__]


def _way(origin: Origin, proxy: Proxy | None) -> str:
    """Say how an origin was to be reached: the addresses behind its name, and what stands between (M01)."""
    if proxy is not None:
        return f" (through the proxy {proxy.shown} of {proxy.variable})"
    said = [*_addresses(origin), *([] if origin.is_loopback else ["no proxy"])]  # this machine never has one
    return f" ({', '.join(said)})" if said else ""


def _reaching(origin: Origin, proxy: Proxy | None, suspects: str = "the name, the port and the VPN") -> str:
    """Say what to look at when an origin cannot be reached (M01)."""
    if origin.is_loopback:
        return "check the name and the port, and that the registry runs"
    if proxy is not None:
        return f"check {suspects}, and that the proxy may go there"
    return f"check {suspects}; if a proxy is needed, set {origin.scheme.upper()}_PROXY"


def _addresses(origin: Origin) -> list[str]:
    """Return the addresses behind a name that has just been connected to."""
    try:
        found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    addresses = sorted({str(entry[4][0]) for entry in found})
    return [] if addresses == [origin.host] else addresses[:_MAX_ADDRESSES]
