"""What the network libraries raise, said in our words (M01 to M03)."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3.exceptions

from imgfetch import peercert
from imgfetch.errors import CertificateError, NotTlsError, ProxyError, RefusedError, TransportError
from imgfetch.origin import Origin
from imgfetch.printable import clean
from imgfetch.printable import url as shown_url
from imgfetch.proxies import Proxy

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
"""Seconds between two bytes; a blob that goes on may take as long as it likes (P08)."""

_TIMES = (9, 10)  # OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_NOT_TLS = (
    "wrong_version_number",
    "wrong version number",
    "record_layer_failure",
    "record layer failure",
    "unknown_protocol",
    "unknown protocol",
    "unexpected_eof",
    "eof occurred",
)


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
        if proxy is not None:
            for cause in _causes(error):
                if isinstance(cause, urllib3.exceptions.ProxyError):
                    raise proxy_error(proxy, clean(str(cause.original_error or cause), 200)) from None
        # The system's own error is the cause: those of the libraries hold our headers and the whole URL (S14).
        raise _transport_error(url, error, direct=proxy is None) from _system_error(error)
    except (UnicodeError, ValueError) as error:  # a host name or a header that cannot be encoded
        raise TransportError(f"cannot ask {shown_url(url)}: {clean(str(error))}") from error


def _system_error(error: Exception) -> OSError | None:
    ours = (requests.RequestException, urllib3.exceptions.HTTPError)
    return next((cause for cause in _causes(error) if isinstance(cause, OSError) and not isinstance(cause, ours)), None)


def proxy_error(proxy: Proxy, reason: str) -> ProxyError:
    """Return the error for a proxy that does not let us through (M04)."""
    return ProxyError(
        f"the proxy {proxy.shown}, which {proxy.variable} names, does not let us through: {reason}",
        hint="if it wants a login, put it into the proxy's URL; what needs no proxy goes into NO_PROXY",
    )


def _transport_error(url: str, error: Exception, *, direct: bool) -> TransportError:
    origin = Origin.of(url)
    port = origin.host_and_port
    causes = list(_causes(error))
    for cause in causes:
        match cause:
            case ssl.SSLCertVerificationError():
                return _certificate_error(origin, cause, direct=direct)
            case ssl.SSLError():
                return _tls_error(port, cause)
            case socket.gaierror():
                return TransportError(
                    f"cannot find {port}: the name does not resolve ({clean(cause.strerror or str(cause))})",
                    hint="check the name, the DNS and the VPN",
                )
            case urllib3.exceptions.IncompleteRead() | http.client.IncompleteRead():
                return TransportError(
                    f"{port} broke off: {shown_url(url)} ended too early", hint="run the same command again"
                )
            case ConnectionRefusedError():
                return RefusedError(
                    f"cannot connect to {port}{_addresses(origin)}: connection refused",
                    host=port,
                    hint="check the name and the port; a proxy or VPN may be needed",
                )
    return _other_error(url, port, causes)


def _other_error(url: str, port: str, causes: list[BaseException]) -> TransportError:
    for cause in causes:
        # NewConnectionError is a ConnectTimeoutError, whatever the reason.
        is_ours = isinstance(cause, requests.RequestException | TimeoutError)
        if isinstance(cause, OSError) and cause.strerror and not is_ours:
            return TransportError(f"the connection to {port} failed: {clean(cause.strerror)}")
    for cause in causes:
        match cause:
            case urllib3.exceptions.ConnectTimeoutError():
                return TransportError(f"cannot connect to {port}: no answer in time")
            case urllib3.exceptions.ReadTimeoutError() | TimeoutError():
                return TransportError(f"{port} went silent: nothing came for too long from {shown_url(url)}")
            case urllib3.exceptions.LocationParseError() | requests.exceptions.InvalidURL():
                return TransportError(f"{shown_url(url)} is not a usable URL")
    return TransportError(f"no answer from {port} for {shown_url(url)}: {clean(str(causes[-1]))}")


def _certificate_error(origin: Origin, error: ssl.SSLCertVerificationError, *, direct: bool) -> CertificateError:
    """Say what is wrong with a certificate, and what can be done about that (M02)."""
    place = str(origin)
    reason = clean(getattr(error, "verify_message", "") or str(error))
    described = peercert.describe(origin.host, origin.port) if direct else ""
    about = f"; {described}" if described else ""
    hint = (
        f"put the CA as a .crt file into certs.d/{place}/, or name it with --ca-file; last resort: --insecure {place}"
    )
    if getattr(error, "verify_code", 0) in _TIMES:
        hint = f"check the clock of this machine; else {hint}"
    return CertificateError(
        f"the certificate of {origin.host_and_port} is not to be trusted: {reason}{about}", hint=hint
    )


def _tls_error(port: str, error: ssl.SSLError) -> TransportError:
    reason = clean(getattr(error, "reason", "") or str(error))
    if any(sign in f"{reason} {error}".lower() for sign in _NOT_TLS):
        return NotTlsError(f"{port} does not speak https: {reason}", host=port, hint="check the port")
    return TransportError(f"TLS with {port} failed: {reason}")


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


def _addresses(origin: Origin) -> str:
    """Return the addresses behind a name that has just been connected to, for a message."""
    try:
        found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    except OSError:
        return ""
    addresses = sorted({str(entry[4][0]) for entry in found})
    return "" if addresses == [origin.host] else f" ({', '.join(addresses[:4])})"
