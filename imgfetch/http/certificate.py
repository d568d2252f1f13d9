"""Reader of a server's untrusted certificate, for the error message.

Python's `ssl` does not parse a certificate that it did not verify and returns only its bytes.  So imgfetch connects
again without a request, and reads a few fields from the bytes: X.509 (RFC 5280, section 4.1) in DER (X.690).
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from imgfetch.text import format_some, sanitize

TIMEOUT = 5.0

_VERSION, _EXTENSIONS = 0xA0, 0xA3
_LONG_FORM = 0x80
_COMMON_NAME, _ORGANISATION = bytes.fromhex("550403"), bytes.fromhex("55040a")
_ALTERNATIVE_NAMES = bytes.fromhex("551d11")
_ISSUER, _VALIDITY, _SUBJECT = 2, 3, 4  # among the fields of a certificate, when the version is left out
_DNS_NAME, _ADDRESS = 0x82, 0x87
_TIMES = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}
_MAX_NAMES = 4


class Certificate(NamedTuple):
    """Printable fields of a certificate; unreadable times are empty, and ``names`` are the hosts that it covers."""

    subject: str
    issuer: str
    begins: str
    ends: str
    names: tuple[str, ...]

    @property
    def hosts(self) -> str:
        """The hosts that it covers, for messages."""
        return format_some(self.names, _MAX_NAMES)

    def has_misplaced(self, host: str) -> bool:
        """Return whether an address is among the DNS names, where no client looks for it."""
        return host in self.names

    def __str__(self) -> str:
        return f'issued to "{self.subject}" by "{self.issuer}"'


def fetch(host: str, port: int) -> Certificate | None:
    """Return the fields of a server's certificate, or ``None`` if it cannot be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), TIMEOUT) as connection,
            context.wrap_socket(connection, server_hostname=host) as tls,
        ):
            return read(tls.getpeercert(binary_form=True) or b"")
    except (OSError, ValueError):
        return None


def read(certificate: bytes) -> Certificate | None:
    """Return the fields of a certificate, or ``None`` if it is malformed."""
    try:
        (_, outer), *_ = _elements(certificate)
        (_, inner), *_ = _elements(outer)
        fields = [(tag, content) for tag, content in _elements(inner) if tag != _VERSION]
        begins, ends = (_time(tag, content) for tag, content in _elements(fields[_VALIDITY][1]))
        return Certificate(
            subject=_name(fields[_SUBJECT][1]),
            issuer=_name(fields[_ISSUER][1]),
            begins=begins,
            ends=ends,
            names=tuple(name for tag, content in fields if tag == _EXTENSIONS for name in _alternatives(content)),
        )
    except (ValueError, IndexError):
        return None


def _name(sequence: bytes) -> str:
    """Return a distinguished name's common name, or else its organisation."""
    found: dict[bytes, str] = {}
    for _, relative in _elements(sequence):
        for _, attribute in _elements(relative):
            (_, kind), (_, value) = _elements(attribute)
            found.setdefault(kind, sanitize(value.decode("utf-8", "replace"), 100))
    return found.get(_COMMON_NAME) or found.get(_ORGANISATION) or "(no name)"


def _time(tag: int, content: bytes) -> str:
    with suppress(ValueError, KeyError):
        moment = datetime.strptime(content.decode("ascii"), _TIMES[tag]).replace(tzinfo=UTC)
        return moment.strftime("%Y-%m-%d %H:%M UTC")
    return ""


def _alternatives(content: bytes) -> Iterator[str]:
    """Yield the hosts of the extension "subject alternative name"."""
    for _, extensions in _elements(content):
        for _, extension in _elements(extensions):
            (_, kind), *_, (_, value) = _elements(extension)
            if kind != _ALTERNATIVE_NAMES:
                continue
            for _, names in _elements(value):
                for tag, name in _elements(names):
                    if tag == _DNS_NAME:
                        yield sanitize(name.decode("utf-8", "replace"), 100)
                    elif tag == _ADDRESS:
                        yield str(ipaddress.ip_address(name))


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each element; a `ValueError` means that the content is truncated."""
    position = 0
    while position < len(content):
        tag, length = content[position : position + 2]  # a `ValueError` if there is only one byte
        position += 2
        if length & _LONG_FORM:
            count = length - _LONG_FORM
            length = int.from_bytes(content[position : position + count], "big")
            position += count
        if position + length > len(content):
            raise ValueError("truncated")
        yield tag, content[position : position + length]
        position += length
