"""Headers of a tar, right or not, byte by byte."""

from __future__ import annotations

from collections.abc import Mapping

FIELDS = {
    "name": slice(0, 100),
    "mode": slice(100, 108),
    "owner": slice(108, 116),
    "group": slice(116, 124),
    "size": slice(124, 136),
    "time": slice(136, 148),
    "type": slice(156, 157),
    "link": slice(157, 257),
    "magic": slice(257, 265),
    "major device number": slice(329, 337),
    "minor device number": slice(337, 345),
    "prefix": slice(345, 500),
    "access time": slice(345, 357),
    "change time": slice(357, 369),
    "trailer": slice(508, 512),
}
USTAR, GNU, V7 = b"ustar\x0000", b"ustar  \0", b""
NO_NUMBERS = (b"-1", b"+5", b"1_0", b"0o7", b"0b1", b"0x1", b"8", b"5 5", b"5\x005", b"1\n", b"\t1", b"1\xd9\xa1")
"""Texts that are not octal numbers, although Python or a lenient reader accepts some of them."""


def replaced(block: bytes, field: str, value: bytes) -> bytes:
    """Return a header with another field, filled up with NULs."""
    at = FIELDS[field]
    return block[: at.start] + value.ljust(at.stop - at.start, b"\0") + block[at.stop :]


def checked(block: bytes) -> bytes:
    """Return a header with the right checksum."""
    blank = block[:148] + b" " * 8 + block[156:]
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:]


def header(name: bytes = b"a", fields: Mapping[str, bytes] | None = None) -> bytes:
    """Return a header: a file without content, but for the given fields."""
    block = replaced(bytes(512), "name", name)
    for field, value in {"type": b"0", "magic": USTAR, **(fields or {})}.items():
        block = replaced(block, field, value)
    return checked(block)


def entry(name: bytes, content: bytes = b"", kind: bytes = b"0") -> bytes:
    """Return a header and its content."""
    fields = {"size": b"%011o" % len(content), "type": kind}
    return header(name, fields) + content + bytes(-len(content) % 512)


def record(key: bytes, value: bytes) -> bytes:
    """Return a record of a PAX header."""
    rest = b" %b=%b\n" % (key, value)
    length = len(rest)
    while len(b"%d%b" % (length, rest)) != length:
        length = len(b"%d%b" % (length, rest))
    return b"%d%b" % (length, rest)


def pax(*records: bytes, kind: bytes = b"x") -> bytes:
    """Return a PAX header of records."""
    return entry(b"p", b"".join(records), kind)
