"""Reproducible tar headers.

:mod:`tarfile` is unsuitable, because its output differs between versions of Python.  An image archive needs
only files and directories with owner 0:0, without names of owners and links.

Layout: POSIX.1-1988 ``ustar`` with two extensions of GNU tar: a size above 8 GiB - 1 in base 256, and a name
above 100 bytes in a separate entry of type ``L``.  PAX is not used, because some readers ignore a size in a
PAX header.
"""

from __future__ import annotations

import struct

BLOCK = 512
END = bytes(2 * BLOCK)
"""The end of an archive."""

FILE = b"0"
DIRECTORY = b"5"
_GNU_LONG_NAME = b"L"

_POSIX_MAGIC = b"ustar\x0000"
_GNU_MAGIC = b"ustar  \x00"

MAX_OCTAL = 8**11 - 1
"""The largest size or time in eleven octal digits."""
MAX_NAME = 100

_HEADER = struct.Struct("100s 8s 8s 8s 12s 12s 8s 1s 100s 8s 32s 32s 8s 8s 155s 12x")
_CHECKSUM_OFFSET = 148
_BLANK_CHECKSUM = b" " * 8
_ZERO = b"0000000\x00"


def header(name: str, size: int, *, mtime: int, mode: int = 0o644, typeflag: bytes = FILE) -> bytes:
    """Return the block or blocks before a member's content.

    The name must be ASCII, a directory's ends with a slash; ``mtime`` counts seconds since 1970, up to `MAX_OCTAL`.
    """
    encoded = name.encode("ascii")
    if len(encoded) <= MAX_NAME:
        return _block(encoded, size, mtime, mode, typeflag)
    long_name = encoded + b"\0"
    announcement = _block(b"././@LongLink", len(long_name), 0, 0o644, _GNU_LONG_NAME)
    return announcement + long_name + padding(len(long_name)) + _block(encoded[:MAX_NAME], size, mtime, mode, typeflag)


def padding(size: int) -> bytes:
    """Return the zeros that fill the last block after ``size`` bytes of content."""
    return bytes(-size % BLOCK)


def padded(size: int) -> int:
    """Return ``size`` rounded up to whole blocks."""
    return size + -size % BLOCK


def _block(name: bytes, size: int, mtime: int, mode: int, typeflag: bytes) -> bytes:
    gnu = size > MAX_OCTAL or typeflag == _GNU_LONG_NAME
    fields = _HEADER.pack(
        name,
        b"%07o\0" % mode,
        _ZERO,
        _ZERO,
        _number(size),
        b"%011o\0" % mtime,
        _BLANK_CHECKSUM,
        typeflag,
        b"",
        _GNU_MAGIC if gnu else _POSIX_MAGIC,
        b"",
        b"",
        _ZERO,
        _ZERO,
        b"",
    )
    checksum = b"%06o\0 " % sum(fields)
    return fields[:_CHECKSUM_OFFSET] + checksum + fields[_CHECKSUM_OFFSET + len(checksum) :]


def _number(value: int) -> bytes:
    """Return a size as eleven octal digits and NUL, or in base 256 if it is larger."""
    if value <= MAX_OCTAL:
        return b"%011o\0" % value
    return b"\x80" + value.to_bytes(11, "big")
