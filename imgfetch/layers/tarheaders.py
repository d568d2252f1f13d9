"""Parts of tar headers that layers and archives have in common.

`imgfetch.layers.layertar` reads the headers of layers as Go does, and `imgfetch.archive.tarheader` those of archives by
stricter rules.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LONG_NAME, LONG_LINK, PAX, GLOBAL_PAX = b"L", b"K", b"x", b"g"
EXTENSIONS = frozenset({LONG_NAME, LONG_LINK, PAX, GLOBAL_PAX})

_CHECKSUM = slice(148, 156)
_ASCII = bytes(range(128))
_OCTAL = re.compile(rb"[0-7]*")


class HeaderError(ValueError):
    """A header is malformed, or readers interpret it differently."""


class Header(NamedTuple):
    """An entry's type, path, length in bytes, and link target."""

    kind: bytes
    name: bytes
    size: int
    link: bytes


def has_right_checksum(block: bytes) -> bool:
    """Return whether a header's checksum is correct.

    Raises:
        HeaderError: the checksum is not a number.
    """
    blank = block[: _CHECKSUM.start] + b" " * 8 + block[_CHECKSUM.stop :]
    unsigned = sum(blank)
    signed = unsigned - 256 * len(blank.translate(None, _ASCII))  # as some old programs do
    return octal(block[_CHECKSUM], "checksum") in (unsigned, signed)


def octal(field: bytes, what: str) -> int:
    """Read octal digits, with spaces and NULs around them; a blank field is 0.

    Raises:
        HeaderError: the field contains anything else.
    """
    digits = field.strip(b" \0")
    if not _OCTAL.fullmatch(digits):
        raise HeaderError(f"the {what} in this header is not a number")
    return int(digits or b"0", 8)


def text(field: bytes) -> bytes:
    """Return the bytes before the first NUL."""
    return field.partition(b"\0")[0]


def decoded(text: bytes) -> str:
    """Return a path as text."""
    return text.decode("utf-8", "backslashreplace")
