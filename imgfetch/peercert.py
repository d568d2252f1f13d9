"""Whom a server's certificate names, and by whom, for the message about one that is not trusted (M02).

The `ssl` module tells nothing of a certificate that does not verify, not even to say why.  So the server is asked once
more, without a request, and the two names are read from the bytes: X.509 (RFC 5280, section 4.1) in DER (X.690).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from imgfetch.printable import clean

TIMEOUT = 5.0

_VERSION = 0xA0
_LONG_FORM = 0x80
_COMMON_NAME, _ORGANISATION = bytes.fromhex("550403"), bytes.fromhex("55040a")
_ISSUER, _SUBJECT = 2, 4  # among the fields of a certificate, when the version is left out


def describe(host: str, port: int) -> str:
    """Return what the certificate at an address says of itself, or nothing if that cannot be found out."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), TIMEOUT) as connection,
            context.wrap_socket(connection, server_hostname=host) as tls,
        ):
            return names(tls.getpeercert(binary_form=True) or b"")
    except (OSError, ValueError):
        return ""


def names(certificate: bytes) -> str:
    """Return a certificate's subject and issuer, or nothing if it is none."""
    try:
        (_, outer), *_ = _elements(certificate)
        (_, inner), *_ = _elements(outer)
        fields = [(tag, content) for tag, content in _elements(inner) if tag != _VERSION]
        subject, issuer = _name(fields[_SUBJECT][1]), _name(fields[_ISSUER][1])
    except (ValueError, IndexError):
        return ""
    return f"it is for {subject}, by {issuer}"


def _name(sequence: bytes) -> str:
    """Return a distinguished name's common name, or else its organisation."""
    found: dict[bytes, str] = {}
    for _, relative in _elements(sequence):
        for _, attribute in _elements(relative):
            (_, kind), (_, value) = _elements(attribute)
            found.setdefault(kind, clean(value.decode("utf-8", "replace"), 100))
    return found.get(_COMMON_NAME) or found.get(_ORGANISATION) or "nobody in particular"


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each element.

    Raises:
        ValueError: the content is cut short.
    """
    position = 0
    while position < len(content):
        header = content[position : position + 2]
        if len(header) < 2:  # noqa: PLR2004
            raise ValueError("cut short")
        tag, length = header
        position += 2
        if length & _LONG_FORM:
            count = length - _LONG_FORM
            length = int.from_bytes(content[position : position + count], "big")
            position += count
        if position + length > len(content):
            raise ValueError("cut short")
        yield tag, content[position : position + length]
        position += length
