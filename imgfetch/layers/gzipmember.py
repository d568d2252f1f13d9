"""Gzip members, with the rules for headers of the libraries that readers use.

docker and containerd use Go's ``compress/gzip`` or the program ``unpigz``, podman and skopeo ``pgzip``.  zlib has other
rules for headers.  So headers are read here, and the library receives a plain one in their place.

Format: RFC 1952, section 2.3.
"""

from __future__ import annotations

import zlib

from imgfetch.layers import inflate
from imgfetch.layers.inflate import GZIP, InflateError, Inflater

MAGIC = b"\x1f\x8b\x08"
"""The first bytes of a member with deflated data."""

_LENGTH = 10  # of a header without optional fields
_PLAIN = MAGIC.ljust(_LENGTH, b"\0")
_CHECKSUM, _EXTRA, _NAME, _COMMENT, _RESERVED = 0x02, 0x04, 0x08, 0x10, 0xE0
_MAX_TEXT = 512  # bytes of a name or comment, with its NUL
_MAX_HEADER = 256 * 1024


class GzipMember(Inflater):
    """Decompresses one member."""

    def __init__(self, oddities: set[str]) -> None:
        """Start before the header; sentences about a header that some readers refuse are added to ``oddities``."""
        super().__init__(inflate.LIBRARIES[0], GZIP)
        self._oddities = oddities
        self._header: bytearray | None = bytearray()

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """As in `Stream`."""
        if self._header is not None:
            self._header += data
            found = _header(self._header)
            if found is None:
                if len(self._header) > _MAX_HEADER:
                    raise InflateError("the header is too long")
                return b""
            length, oddity = found
            if oddity:
                self._oddities.add(oddity)
            data, self._header = _PLAIN + bytes(self._header[length:]), None
        return super().decompress(data, max_length)


def _header(data: bytearray) -> tuple[int, str] | None:
    """Return a header's length and its oddity, if any; or ``None`` if its end is missing.

    Raises:
        InflateError: the header is invalid.
    """
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise InflateError("incorrect header")
    if len(data) < _LENGTH:
        return None
    flags, end, longest = data[3], _LENGTH, 0
    if flags & _EXTRA:
        end += 2 + int.from_bytes(data[end : end + 2], "little")
    for flag in (_NAME, _COMMENT):
        if flags & flag:
            start, end = end, data.find(0, end) + 1
            if not end:
                return None
            longest = max(longest, end - start)
    if flags & _CHECKSUM:
        end += 2
    if len(data) < end:
        return None
    if flags & _CHECKSUM and int.from_bytes(data[end - 2 : end], "little") != zlib.crc32(data[: end - 2]) & 0xFFFF:
        raise InflateError("incorrect header checksum")
    return end, _oddity(flags, longest)


def _oddity(flags: int, longest: int) -> str:
    if longest > _MAX_TEXT:
        return f"a gzip header has a name or comment of {longest - 1} bytes; Go accepts {_MAX_TEXT - 1}"
    if flags & _RESERVED:
        return "a gzip header has reserved flags, which unpigz refuses"
    if flags & _CHECKSUM and flags & (_EXTRA | _NAME | _COMMENT):
        return "a gzip header has a checksum and other fields, which podman and skopeo refuse"
    return ""
