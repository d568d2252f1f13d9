"""Headers of a tar archive, packed to the byte.

Our own, for the bytes that :mod:`tarfile` writes differ between versions of Python.  Only what
an image archive needs: files and directories, owner 0:0, no names of owners, no links.

Layout: POSIX.1-1988 ``ustar``.  Two things it cannot hold are written as GNU tar writes them: a size
above 8 GiB - 1 in base 256, a name above 100 bytes in an entry of type ``L`` before its own.  PAX is not
used, for some readers lose a size that stands in a PAX header.
"""

from __future__ import annotations

import struct

BLOCK = 512
END = bytes(2 * BLOCK)
"""What ends an archive."""

FILE = b"0"
DIRECTORY = b"5"
_GNU_LONG_NAME = b"L"

_POSIX_MAGIC = b"ustar\x0000"
_GNU_MAGIC = b"ustar  \x00"

MAX_OCTAL = 8**11 - 1
"""The largest size or time that eleven octal digits hold."""
MAX_NAME = 100

_HEADER = struct.Struct("100s 8s 8s 8s 12s 12s 8s 1s 100s 8s 32s 32s 8s 8s 155s 12x")
_CHECKSUM_OFFSET = 148
_BLANK_CHECKSUM = b" " * 8
_ZERO = b"0000000\x00"


def header(name: str, size: int, *, mtime: int, mode: int = 0o644, typeflag: bytes = FILE) -> bytes:
    """Return the block or blocks before a member's content.

    Args:
        name: the member's path, ASCII; a directory's ends with a slash.
        size: the content's length in bytes.
        mtime: seconds since 1970, 0 to `MAX_OCTAL`.
        mode: permission bits.
        typeflag: `FILE` or `DIRECTORY`.
    """
    encoded = name.encode("ascii")
    if len(encoded) <= MAX_NAME:
        return _block(encoded, size, mtime, mode, typeflag)
    long_name = encoded + b"\0"
    announcement = _block(b"././@LongLink", len(long_name), 0, 0o644, _GNU_LONG_NAME)
    return announcement + long_name + padding(len(long_name)) + _block(encoded[:MAX_NAME], size, mtime, mode, typeflag)


def padding(size: int) -> bytes:
    """Return the zeros that fill up the last block of ``size`` bytes of content."""
    return bytes(-size % BLOCK)


def padded(size: int) -> int:
    """Return the length of ``size`` bytes of content with their padding."""
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
    """Return a size as eleven octal digits and NUL, or in base 256 where that is too short."""
    if value <= MAX_OCTAL:
        return b"%011o\0" % value
    return b"\x80" + value.to_bytes(11, "big")
