"""Tar headers as docker, containerd, podman and skopeo read them, with Go's ``archive/tar``.

A header that Go refuses, or that readers interpret differently, is refused.  So every reader finds the names and the
content that were verified here.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Self

LONG_NAME, LONG_LINK, PAX, GLOBAL_PAX = b"L", b"K", b"x", b"g"
EXTENSIONS = frozenset({LONG_NAME, LONG_LINK, PAX, GLOBAL_PAX})
MAX_SIZE = 2**62

_NAME, _CHECKSUM, _TYPE, _LINK, _MAGIC, _MAGIC_AND_VERSION, _PREFIX, _TRAILER = (
    slice(0, 100),
    slice(148, 156),
    slice(156, 157),
    slice(157, 257),
    slice(257, 263),
    slice(257, 265),
    slice(345, 500),
    slice(508, 512),
)
_SIZE = slice(124, 136)
_NUMBERS = {
    "mode": slice(100, 108),
    "owner": slice(108, 116),
    "group": slice(116, 124),
    "time": slice(136, 148),
}
_DEVICE_NUMBERS = {"major device number": slice(329, 337), "minor device number": slice(337, 345)}
_GNU_TIMES = {"access time": slice(345, 357), "change time": slice(357, 369)}
_POSIX, _GNU, _STAR_TRAILER = b"ustar\0", b"ustar  \0", b"tar\0"

_OCTAL = re.compile(rb"[0-7]*")
_PAX_TEXTS = frozenset({b"path", b"linkpath", b"uname", b"gname"})
_PAX_NUMBERS = {
    **dict.fromkeys((b"uid", b"gid"), re.compile(rb"([+-]?[0-9]{1,18})?")),
    **dict.fromkeys((b"mtime", b"atime", b"ctime"), re.compile(rb"([+-]?[0-9]{1,18}(\.[0-9]*)?)?")),
}
_MAX_DIGITS = 18  # of 2**62


class HeaderError(ValueError):
    """A header is malformed, or readers interpret it differently."""


class Header(NamedTuple):
    """An entry's type, path, length in bytes, and link target."""

    kind: bytes
    name: bytes
    size: int
    link: bytes

    @classmethod
    def parse(cls, block: bytes) -> Self:
        """Read a block with a correct checksum, or raise `HeaderError`."""
        is_posix, is_gnu = block[_MAGIC] == _POSIX, block[_MAGIC_AND_VERSION] == _GNU
        for what, field in {**_NUMBERS, **(_DEVICE_NUMBERS if is_posix or is_gnu else {})}.items():
            _number(block[field], what)
        if is_posix and block[_TRAILER] == _STAR_TRAILER:
            raise HeaderError("this header was written by star; readers find different names in it")
        for what, field in _GNU_TIMES.items():
            if is_gnu and block[field.start]:  # Go reads an invalid time as part of the name.
                _number(block[field], what)
        prefix = text(block[_PREFIX]) if is_posix else b""
        name = prefix + b"/" + text(block[_NAME]) if prefix else text(block[_NAME])
        size = _number(block[_SIZE], "size")
        if not 0 <= size <= MAX_SIZE:
            raise HeaderError("the size in this header is out of range")
        return cls(block[_TYPE], name, size, text(block[_LINK]))


class Extensions:
    """The extended headers of an entry."""

    def __init__(self) -> None:
        self._texts: dict[bytes, bytes] = {}
        self._records: dict[bytes, bytes] = {}

    def add(self, kind: bytes, content: bytes) -> None:
        """Add one of `EXTENSIONS`, or raise `HeaderError` if readers interpret the combination differently."""
        if kind == GLOBAL_PAX:
            if self._texts:
                raise HeaderError("a global header separates this entry from its extended header")
            if {b"path", b"linkpath", b"size"} & records(content).keys():
                raise HeaderError("this global header sets names or sizes, which some readers ignore")
            return
        if kind in self._texts:
            raise HeaderError(
                "this entry has two extended headers of one kind; readers disagree about which one counts"
            )
        self._texts[kind] = text(content)
        if kind == PAX:
            self._records = records(content)
        if PAX in self._texts and len(self._texts) > 1:
            raise HeaderError("this entry has a PAX and a GNU header; readers disagree about which one counts")

    def applied(self, own: Header) -> Header:
        """Return an entry's header, with these extensions applied."""
        size = self._records.get(b"size")
        return Header(
            own.kind,
            self._texts.get(LONG_NAME) or self._records.get(b"path") or own.name,
            own.size if size is None else _decimal(size),
            self._texts.get(LONG_LINK) or self._records.get(b"linkpath") or own.link,
        )


def has_right_checksum(block: bytes) -> bool:
    """Return whether a header's checksum is correct.

    Raises:
        HeaderError: the checksum is not a number.
    """
    blank = block[: _CHECKSUM.start] + b" " * 8 + block[_CHECKSUM.stop :]
    signed = sum(byte - 256 if byte > 127 else byte for byte in blank)  # noqa: PLR2004  # as some old programs do
    return octal(block[_CHECKSUM], "checksum") in (sum(blank), signed)


def octal(field: bytes, what: str) -> int:
    """Read octal digits, with spaces and NULs around them; a blank field is 0.

    Raises:
        HeaderError: the field contains anything else.
    """
    digits = field.strip(b" \0")
    if not _OCTAL.fullmatch(digits):
        raise HeaderError(f"the {what} in this header is not a number")
    return int(digits or b"0", 8)


def records(content: bytes) -> dict[bytes, bytes]:
    """Return the records of a PAX header; of several with one key the last counts.

    Raises:
        HeaderError: the header is malformed, or describes a sparse file.
    """
    found: dict[bytes, bytes] = {}
    start = 0
    while start < len(content):
        digits = content[start : start + _MAX_DIGITS + 1].partition(b" ")[0]
        end = start + _decimal(digits)
        key, equals, value = content[start + len(digits) + 1 : end].partition(b"=")
        if not (end <= len(content) and equals and value.endswith(b"\n") and _is_valid(key, value[:-1])):
            raise HeaderError("this PAX header is malformed")
        found[key] = value[:-1]
        start = end
    if any(key.startswith(b"GNU.sparse.") for key in found):
        raise HeaderError("this entry is a sparse file, which an image archive never contains")
    return found


def text(field: bytes) -> bytes:
    """Return the bytes before the first NUL."""
    return field.partition(b"\0")[0]


def decoded(text: bytes) -> str:
    """Return a path as text."""
    return text.decode("utf-8", "backslashreplace")


def _is_valid(key: bytes, value: bytes) -> bool:
    if not key or b"\0" in key or (key in _PAX_TEXTS and b"\0" in value):
        return False
    return key not in _PAX_NUMBERS or _PAX_NUMBERS[key].fullmatch(value) is not None


def _number(field: bytes, what: str) -> int:
    """Read octal digits, or base 256, which may be negative."""
    if not field[0] & 0x80:
        return octal(field, what)
    bits = 8 * len(field) - 1
    value = int.from_bytes(field, "big") & (1 << bits) - 1
    value -= (value >> bits - 1) << bits
    if not -(2**63) <= value < 2**63:
        raise HeaderError(f"the {what} in this header is out of range")
    return value


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > _MAX_DIGITS:
        raise HeaderError(f"{decoded(digits[:40])!a} in this PAX header is not a number")
    return int(digits)
