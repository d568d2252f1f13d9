"""The tar of a layer, followed as it is decompressed.

Readers extract it with Go's ``archive/tar``, so a header is valid if Go accepts it.  The rules of
`imgfetch.archive.tarheader` are stricter, because they are for archives.  The other rules are from measurements
(docs/registries.md#tar-of-a-layer).
"""

from __future__ import annotations

import re
import zlib

from imgfetch.errors import VerificationError
from imgfetch.layers.attributes import oddity_of_attributes
from imgfetch.layers.extensions import INT64, OLD_FILE, WITHOUT_CONTENT, Fields, extended, is_sparse, records_of
from imgfetch.layers.extraction import Entries, clean
from imgfetch.layers.tarheaders import (
    EXTENSIONS,
    GLOBAL_PAX,
    PAX,
    Header,
    HeaderError,
    text,
)

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_MAX_EXTENSION = 1024 * 1024
_MAX_RECORDS = 10_000_000  # of all PAX headers: of two million files with five each
_DEVICES = (b"3", b"4")

_CHECKSUM = slice(148, 156)
_NUMBERS = (slice(100, 108), slice(108, 116), slice(116, 124), slice(136, 148))
_DEVICE_NUMBERS = (slice(329, 337), slice(337, 345))
_GNU_TIMES, _STAR_TIMES = (slice(345, 357), slice(357, 369)), (slice(476, 488), slice(488, 500))
_POSIX, _GNU, _STAR_TRAILER = b"ustar\0", b"ustar  \0", b"tar\0"

_OCTAL = re.compile(rb"[0-7]+")
_UINT32 = range(2**32)
_USUAL = re.compile(
    rb"(?s)(?=([^\0]{1,100})).{100}(?:(?:[0-7]{7}|[0-7]{6} )[\0 ]){3}([0-7]{11})[\0 ][0-7]{11}[\0 ]"
    rb"([0-7]{6})\0 ([0-6])(?=([^\0]{0,100})).{100}"
    rb"(?:ustar\0...{64}(?:[0-7]{7}[\0 ]|\0{8}){2}(?=([^\0]{0,155})).{163}(?!tar\0)"
    rb"|ustar  \0.{64}(?:[0-7]{7}[\0 ]|\0{8}){2}\0.{11}\0)"
)
"""The name, size, checksum, type, link target and prefix of a header."""


class LayerTar:
    """Follows a tar that arrives in pieces, and examines its headers."""

    def __init__(self) -> None:
        self._entries = Entries()
        self._skip = self._padding = 0  # bytes until the next header, and those of them that the end may lack
        self._wanted, self._head = _BLOCK, bytearray()
        self._extensions: dict[bytes, bytes] = {}
        self._records: dict[bytes, bytes] = {}
        self._room = _MAX_RECORDS
        self._opened: Header | None = None  # of the extended header that is being read
        self._is_ending = self._is_over = False
        self._fault = ""

    def feed(self, piece: bytes) -> None:
        """Examine the next bytes; `finish` reports the faults."""
        at = 0
        while not self._is_over:
            step = min(self._skip, len(piece) - at)
            self._skip -= step
            at += step
            if self._skip:
                return
            data = piece[at : at + self._wanted - len(self._head)]
            at += len(data)
            if self._head or len(data) < self._wanted:
                self._head += data
                if len(self._head) < self._wanted:
                    return
                data, self._head = bytes(self._head), bytearray()
            try:
                self._take(data)
            except HeaderError as error:
                self._is_over, self._fault = True, str(error)

    def finish(self) -> str:
        """Describe what some readers refuse, if there is anything.

        Raises:
            VerificationError: all readers refuse the tar.
        """
        if not self._is_over and (self._skip > self._padding or self._head or self._opened):
            self._fault = "it ends within an entry"
        if self._fault:
            raise VerificationError(f"its tar cannot be extracted: {self._fault}")
        return self._entries.oddity

    def _take(self, data: bytes) -> None:
        """Take a header, or the content of an extended one."""
        if self._opened:
            self._extend(self._opened, data)
        elif self._is_ending:
            if data != _ZEROS:
                raise HeaderError("a block of zeros is followed by other data")
            self._is_over = True
        elif data == _ZEROS:
            self._is_ending = True
        else:
            kind, name, link, size = _usual(data) or _header(data)
            if kind in EXTENSIONS:
                self._open(Header(kind, name, size, link))
                return
            if self._extensions or kind == OLD_FILE:
                kind, name, link, size = extended((kind, name, link, size), self._extensions, self._records)
            self._enter(data, kind, name, link, size)

    def _enter(self, block: bytes, kind: bytes, name: bytes, link: bytes, size: int) -> None:
        """Judge an entry, and skip its content."""
        if kind in _DEVICES and not _has_device_numbers(block):
            self._entries.remark("it has a device number that is out of range, which docker 28's classic store refuses")
        if self._records:
            self._entries.remark(oddity_of_attributes(kind, self._records))
            if is_sparse(self._records):
                name = self._records.get(b"GNU.sparse.name") or name
        self._extensions, self._records = {}, {}
        self._entries.add(kind, name, link)
        size = 0 if kind in WITHOUT_CONTENT else size
        self._padding = -size % _BLOCK
        self._skip = size + self._padding

    def _open(self, header: Header) -> None:
        if header.size > _MAX_EXTENSION:
            raise HeaderError(f"an extended header has {header.size} bytes, more than {_MAX_EXTENSION}")
        self._opened, self._wanted = header, header.size

    def _extend(self, header: Header, content: bytes) -> None:
        """Take an extended header; a global one ends those before it, as in Go."""
        self._room -= content.count(b"\n")
        if self._room < 0:
            raise HeaderError(f"its PAX headers have more than {_MAX_RECORDS} records")
        records = records_of(content) if header.kind in (PAX, GLOBAL_PAX) else self._records
        if header.kind == GLOBAL_PAX:
            self._entries.add_name(clean(records.get(b"path") or header.name))
            self._extensions, self._records = {}, {}
        else:
            self._extensions[header.kind], self._records = content, records
        self._opened, self._wanted = None, _BLOCK
        self._skip = self._padding = -header.size % _BLOCK


def _usual(block: bytes) -> Fields | None:
    """Read a header as most programs write them; a quarter of the time that `_header` needs."""
    match = _USUAL.match(block)
    if not match:
        return None
    name, size, checksum, kind, link, prefix = match.groups()
    if int(checksum, 8) != _sum(block):
        return None
    return kind, prefix + b"/" + name if prefix else name, link, int(size, 8)


def _header(block: bytes) -> Fields:
    """Read a header as Go does.

    Raises:
        HeaderError: Go refuses it.
    """
    if not _has_right_checksum(block):
        raise HeaderError("the checksum of a header is wrong")
    is_posix = block[257:263] == _POSIX
    is_star = is_posix and block[508:512] == _STAR_TRAILER
    for field in _NUMBERS:
        _number(block[field])
    if is_posix or block[257:265] == _GNU:
        for field in (*_DEVICE_NUMBERS, *_STAR_TIMES) if is_star else _DEVICE_NUMBERS:
            _number(block[field])
    has_prefix = is_posix or (block[257:265] == _GNU and not _has_gnu_times(block))
    prefix = text(block[345 : 476 if is_star else 500]) if has_prefix else b""
    prefix = prefix if is_posix or prefix.isascii() else b""
    name = prefix + b"/" + text(block[:100]) if prefix else text(block[:100])
    kind, size = block[156:157], _number(block[124:136])
    if size < 0 and kind not in WITHOUT_CONTENT:
        raise HeaderError("the size in a header is negative")
    return kind, name, text(block[157:257]), size


def _has_gnu_times(block: bytes) -> bool:
    """Return whether the times of a GNU header are valid; Go takes others for the prefix of a name."""
    try:
        for field in _GNU_TIMES:
            _number(block[field] if block[field.start] else bytes(1))
    except HeaderError:
        return False
    return True


def _has_device_numbers(block: bytes) -> bool:
    """Return whether the numbers of a device, if there are any, have 32 bits."""
    is_numbered = block[257:263] == _POSIX or block[257:265] == _GNU
    return not is_numbered or all(_number(block[field]) in _UINT32 for field in _DEVICE_NUMBERS)


def _has_right_checksum(block: bytes) -> bool:
    wanted, unsigned = _octal(block[_CHECKSUM]), _sum(block)
    rest = block[: _CHECKSUM.start] + block[_CHECKSUM.stop :]
    signed = unsigned - 256 * sum(byte > 127 for byte in rest)  # noqa: PLR2004  # as some old programs do
    return wanted in (unsigned, signed)


def _sum(block: bytes) -> int:
    """Return the sum of a header's bytes, with spaces in place of the checksum."""
    # adler32 adds in C, modulo 65521, and from 1; the sum of half a block is less.
    halves = (zlib.adler32(block[:256]) & 0xFFFF) + (zlib.adler32(block[256:]) & 0xFFFF) - 2
    return halves - sum(block[_CHECKSUM]) + 8 * ord(" ")


def _number(field: bytes) -> int:
    """Read octal digits, or base 256."""
    if not field[0] & 0x80:
        return _octal(field)
    bits = 8 * len(field) - 1
    value = int.from_bytes(field, "big") & (1 << bits) - 1
    value -= (value >> bits - 1) << bits
    if value not in INT64:
        raise HeaderError("a number in a header is out of range")
    return value


def _octal(field: bytes) -> int:
    digits = text(field.strip(b" \0"))
    if digits and not _OCTAL.fullmatch(digits):
        raise HeaderError("a number in a header is malformed")
    return int(digits or b"0", 8)
