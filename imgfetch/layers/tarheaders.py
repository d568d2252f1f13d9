"""Headers of a tar archive, as docker, containerd, podman and skopeo read them, with Go's ``archive/tar``.

A header that Go refuses, or over which readers differ, is refused.  So nobody finds other names or other content in an
archive than those that were checked here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from imgfetch.text import quoted

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
    """A header is malformed, or readers differ over it."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says.

    Attributes:
        kind: the entry's type.
        name: its path.
        size: its content's length in bytes.
        link: where a link leads.
    """

    kind: bytes
    name: bytes
    size: int
    link: bytes

    @classmethod
    def parse(cls, block: bytes) -> Self:
        """Read a block, the checksum of which is right.

        Raises:
            HeaderError: it is malformed, or readers differ over it.
        """
        is_posix, is_gnu = block[_MAGIC] == _POSIX, block[_MAGIC_AND_VERSION] == _GNU
        for what, field in {**_NUMBERS, **(_DEVICE_NUMBERS if is_posix or is_gnu else {})}.items():
            _number(block[field], what)
        if is_posix and block[_TRAILER] == _STAR_TRAILER:
            raise HeaderError("this header is star's, in which readers find different names")
        for what, field in _GNU_TIMES.items():
            if is_gnu and block[field.start]:  # what is no time is part of the name to Go
                _number(block[field], what)
        prefix = text(block[_PREFIX]) if is_posix else b""
        name = prefix + b"/" + text(block[_NAME]) if prefix else text(block[_NAME])
        size = _number(block[_SIZE], "size")
        if not 0 <= size <= MAX_SIZE:
            raise HeaderError("the size in this header is beyond reason")
        return cls(block[_TYPE], name, size, text(block[_LINK]))


class Extensions:
    """The headers before an entry that say what its own has no room for."""

    def __init__(self) -> None:
        """Begin with none."""
        self._texts: dict[bytes, bytes] = {}
        self._records: dict[bytes, bytes] = {}

    def add(self, kind: bytes, content: bytes) -> None:
        """Take one of `EXTENSIONS`.

        Raises:
            HeaderError: it is malformed, or readers differ over what it and those before it mean together.
        """
        if kind == GLOBAL_PAX:
            if self._texts:
                raise HeaderError("a global header stands between an entry and its extended header")
            if {b"path", b"linkpath", b"size"} & records(content).keys():
                raise HeaderError("this global header names entries or gives them sizes, which not every reader heeds")
            return
        if kind in self._texts:
            raise HeaderError("this entry has two extended headers of one kind; readers differ over which counts")
        self._texts[kind] = text(content)
        if kind == PAX:
            self._records = records(content)
        if PAX in self._texts and len(self._texts) > 1:
            raise HeaderError("this entry has a PAX header and a GNU one; readers differ over which counts")

    def applied(self, own: Header) -> Header:
        """Return an entry's header with what they say."""
        size = self._records.get(b"size")
        return Header(
            own.kind,
            self._texts.get(LONG_NAME) or self._records.get(b"path") or own.name,
            own.size if size is None else _decimal(size),
            self._texts.get(LONG_LINK) or self._records.get(b"linkpath") or own.link,
        )


def has_right_checksum(block: bytes) -> bool:
    """Tell whether a header's bytes add up.

    Raises:
        HeaderError: its checksum is no number.
    """
    blank = block[: _CHECKSUM.start] + b" " * 8 + block[_CHECKSUM.stop :]
    signed = sum(byte - 256 if byte > 127 else byte for byte in blank)  # noqa: PLR2004  # some old programs' way
    return octal(block[_CHECKSUM], "checksum") in (sum(blank), signed)


def octal(field: bytes, what: str) -> int:
    """Return a number in octal digits, with spaces and NULs around them; a blank field is 0.

    Raises:
        HeaderError: it is anything else.
    """
    digits = field.strip(b" \0")
    if not _OCTAL.fullmatch(digits):
        raise HeaderError(f"the {what} in this header is no number")
    return int(digits or b"0", 8)


def records(content: bytes) -> dict[bytes, bytes]:
    """Return what a PAX header says: of several records with one key the last.

    Raises:
        HeaderError: it is malformed, or describes a sparse file.
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
        raise HeaderError("it holds a sparse file, which no image archive needs")
    return found


def text(field: bytes) -> bytes:
    """Return what stands before the first NUL."""
    return field.partition(b"\0")[0]


def decoded(text: bytes) -> str:
    """Return a path as text."""
    return text.decode("utf-8", "backslashreplace")


def _is_valid(key: bytes, value: bytes) -> bool:
    if not key or b"\0" in key or (key in _PAX_TEXTS and b"\0" in value):
        return False
    return key not in _PAX_NUMBERS or _PAX_NUMBERS[key].fullmatch(value) is not None


def _number(field: bytes, what: str) -> int:
    """Return a number in octal digits, or in base 256 and then perhaps negative."""
    if not field[0] & 0x80:
        return octal(field, what)
    bits = 8 * len(field) - 1
    value = int.from_bytes(field, "big") & (1 << bits) - 1
    value -= (value >> bits - 1) << bits
    if not -(2**63) <= value < 2**63:
        raise HeaderError(f"the {what} in this header is beyond reason")
    return value


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > _MAX_DIGITS:
        raise HeaderError(f"{quoted(decoded(digits[:40]))} in this PAX header is no number")
    return int(digits)
