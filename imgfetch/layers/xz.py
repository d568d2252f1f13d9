"""Decompression of xz streams, with a lease for the dictionary.

The first block's header tells the size of the dictionary, which the library may then not exceed in the blocks behind.

Format: https://tukaani.org/xz/xz-file-format.txt, sections 2.1.1 ("Stream Header") and 3.1 ("Block Header").
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from itertools import islice

from imgfetch.errors import UnsupportedError
from imgfetch.layers.windows import MAX_WINDOW, Lease

MAGIC = b"\xfd7zXZ\0"
_STREAM_HEADER = 12
_BESIDE = 1024 * 1024
"""Bytes of memory beside the dictionary, and more than enough."""
_LZMA2 = 0x21
_MORE_FOLLOWS = 0x80  # in a byte of an integer


class XzStream:
    """Decompresses one stream, as a `Stream`."""

    def __init__(self, lease: Lease) -> None:
        """Start before the header."""
        self._lease = lease
        self._head = b""
        self._stream: lzma.LZMADecompressor | None = None

    @property
    def eof(self) -> bool:
        """As in `Stream`."""
        return self._stream is not None and self._stream.eof

    @property
    def needs_input(self) -> bool:
        """As in `Stream`."""
        return self._stream is None or self._stream.needs_input

    @property
    def unused_data(self) -> bytes:
        """As in `Stream`."""
        return self._stream.unused_data if self._stream else b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """As in `Stream`.

        Raises:
            UnsupportedError: the dictionary is too large, or a later one is larger than the first.
        """
        if self._stream is None:
            data = self._head = self._head + data
            size = _dictionary(data)
            if size is None:
                return b""
            memory = size + _BESIDE
            if memory > MAX_WINDOW:
                raise UnsupportedError(f"its xz data needs more than {MAX_WINDOW // 1024**2} MiB of memory")
            self._lease.resize(memory)
            self._stream, self._head = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=memory), b""
        try:
            return self._stream.decompress(data, max_length)
        except lzma.LZMAError as error:
            if "limit" in str(error):
                size = self._lease.size // 1024**2
                raise UnsupportedError(f"its xz data needs more than {size} MiB of memory in a later block") from None
            raise


def _dictionary(head: bytes) -> int | None:
    """Return the size of the first block's dictionary, or ``None`` if the header's end is missing.

    It is 0 without a block, and for a header that the library will refuse.
    """
    if len(head) <= _STREAM_HEADER:
        return None
    end = _STREAM_HEADER + 4 * (head[_STREAM_HEADER] + 1)
    if not head[_STREAM_HEADER]:
        return 0
    if len(head) < end:
        return None
    flags, rest = head[_STREAM_HEADER + 1], iter(head[_STREAM_HEADER + 2 : end])
    for _ in range((flags >> 6).bit_count()):
        _varint(rest)
    properties, identity = b"", 0
    for _ in range((flags & 3) + 1):
        identity = _varint(rest)
        properties = bytes(islice(rest, min(_varint(rest), len(head))))
    code = properties[0] if properties and identity == _LZMA2 else 0
    return (2 | code & 1) << code // 2 + 11


def _varint(data: Iterator[int]) -> int:
    """Read an integer of 7 bits a byte, the lowest first."""
    value = 0
    for position, byte in enumerate(data):
        value |= (byte & 0x7F) << 7 * position
        if byte < _MORE_FOLLOWS:
            break
    return value
