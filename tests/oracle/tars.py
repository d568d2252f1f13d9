"""Tar archives, member by member, with any header that a program may write."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

BLOCK = 512
FIELDS = {
    "name": slice(0, 100),
    "mode": slice(100, 108),
    "uid": slice(108, 116),
    "gid": slice(116, 124),
    "size": slice(124, 136),
    "mtime": slice(136, 148),
    "checksum": slice(148, 156),
    "type": slice(156, 157),
    "link": slice(157, 257),
    "magic": slice(257, 265),
    "uname": slice(265, 297),
    "gname": slice(297, 329),
    "devmajor": slice(329, 337),
    "devminor": slice(337, 345),
    "prefix": slice(345, 500),
    "trailer": slice(500, 512),
}
MAGICS = {"v7": b"", "ustar": b"ustar\x0000", "gnu": b"ustar  \0"}
FILE, HARD_LINK, SYMBOLIC_LINK, DIRECTORY = b"0", b"1", b"2", b"5"


@dataclass
class Entry:
    """A member.

    Attributes:
        name: the path.
        content: what follows the header.
        kind: tar's type.
        link: a link's target.
        style: a key of `MAGICS`.
        fields: bytes that stand in these fields of the header instead of the right ones.
        before: extended headers.
    """

    name: bytes
    content: bytes = b""
    kind: bytes = FILE
    link: bytes = b""
    style: str = "ustar"
    fields: dict[str, bytes] = field(default_factory=dict)
    before: bytes = b""

    def packed(self) -> bytes:
        """Return the extended headers, the header, and the content with its padding."""
        long = b""
        if len(self.name) > 100:  # the field's length
            long = gnu_long(self.name) if self.style == "gnu" else pax([(b"path", self.name)])
        return self.before + long + self._header() + padded(self.content)

    def _header(self) -> bytes:
        block = bytearray(BLOCK)
        right = {
            "name": self.name,
            "mode": b"0000755\0" if self.kind == DIRECTORY else b"0000644\0",
            "uid": b"0000000\0",
            "gid": b"0000000\0",
            "size": b"%011o\0" % len(self.content),
            "mtime": b"00000000001\0",
            "type": self.kind,
            "link": self.link,
            "magic": MAGICS[self.style],
        }
        for name, content in {**right, **self.fields}.items():
            place = FIELDS[name]
            length = place.stop - place.start
            block[place] = content[:length].ljust(length, b"\0")
        if "checksum" not in self.fields:
            block[FIELDS["checksum"]] = b" " * 8
            block[FIELDS["checksum"]] = b"%06o\0 " % sum(block)
        return bytes(block)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def gnu_long(name: bytes, kind: bytes = b"L") -> bytes:
    """Return GNU's header for a long name or a long link."""
    return Entry(b"././@LongLink", name + b"\0", kind, style="gnu").packed()


def pax(records: Iterable[tuple[bytes, bytes]], kind: bytes = b"x") -> bytes:
    """Return a PAX header."""
    return Entry(b"PaxHeaders.0/x", b"".join(record(key, value) for key, value in records), kind).packed()


def record(key: bytes, value: bytes) -> bytes:
    """Return a record of a PAX header, which begins with its own length."""
    body = b" %s=%s\n" % (key, value)
    length = len(body) + 1
    while len(b"%d" % length) + len(body) != length:
        length += 1
    return b"%d" % length + body


def packed(entries: Iterable[Entry]) -> bytes:
    """Return an archive with its end."""
    return b"".join(entry.packed() for entry in entries) + bytes(2 * BLOCK)
