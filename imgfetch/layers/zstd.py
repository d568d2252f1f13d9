"""Decompression of zstd data, including skippable frames, in pieces of limited size.

The library returns all output of a call at once, and a block of 4 bytes becomes up to 128 KiB.  So the data is cut
between blocks, whose headers say what they become.

Format: RFC 8878, sections 3.1.1 ("Zstandard Frames") and 3.1.2 ("Skippable Frames").
"""

from __future__ import annotations

from collections.abc import Iterator

import zstandard

from imgfetch import shortage
from imgfetch.errors import CutShortError, UnsupportedError, VerificationError
from imgfetch.layers.windows import MAX_WINDOW, Lease

MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE_MAGIC = b"\x2a\x4d\x18"  # after a byte of 0x50 to 0x5f
_SKIPPABLE_HEADER = 8
_FRAME_HEADER, _MAX_FRAME_HEADER = 5, 18  # bytes; the first tell how many there are
_BLOCK_HEADER, _CHECKSUM = 3, 4
_SINGLE_SEGMENT, _HAS_CHECKSUM = 0x20, 0x04
_DICTIONARY_ID, _CONTENT_SIZE = (0, 1, 2, 4), (0, 2, 4, 8)
_RLE, _COMPRESSED = 1, 2
_MAX_BLOCK = 128 * 1024
_PIECE = 256 * 1024
"""Bytes that come out at a time, and at most two blocks more."""


def is_skippable(head: bytes) -> bool:
    """Return whether ``head`` starts a skippable frame."""
    return len(head) >= _SKIPPABLE_HEADER and head[0] & 0xF0 == 0x50 and head[1:4] == _SKIPPABLE_MAGIC  # noqa: PLR2004


class ZstdStream:
    """Consecutive frames, including skippable ones (docs/registries.md#zstd)."""

    def __init__(self, lease: Lease) -> None:
        """Start before the first frame; ``lease`` is for the windows."""
        self._lease = lease
        self._decompressor: zstandard.ZstdDecompressor | None = None
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._left = self._behind = 0  # bytes of the present block or skippable frame, and behind the last block
        self._is_first, self._is_last, self._has_garbage, self._is_odd = True, False, False, False
        self._kept = b""  # a header, as far as it is here

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decompress more bytes.

        Raises:
            VerificationError: the data is damaged.
            UnsupportedError: the frame's window is larger than `MAX_WINDOW`.
        """
        data, self._kept = self._kept + data, b""
        start = 0
        while start < len(data) and not self._has_garbage:
            end = start if self._frame or self._left else self._begin(data, start)
            end = self._pass(data, end) if self._frame or self._left else end
            if end == start:
                self._kept = data[start:]
                return
            if self._frame:
                yield self._decompressed(self._frame, data[start:end])
            start = end

    def finish(self) -> str | None:
        """Check that the data is complete, and describe an oddity if there is one.

        Raises:
            VerificationError: the data ends within a frame.
        """
        if self._frame or self._left or (self._kept and (self._is_first or self._kept.startswith(MAGIC))):
            raise CutShortError("its zstd data ends early")
        if self._has_garbage or self._kept:
            return "extra bytes follow its zstd data"
        if self._is_odd:
            return "its zstd data begins with a skippable frame; some readers do not recognize it as zstd"
        return None

    def _begin(self, data: bytes, start: int) -> int:
        """Begin the next frame if its header is here, and return the end of the header."""
        head = data[start : start + _MAX_FRAME_HEADER]
        if is_skippable(head):
            self._is_odd = self._is_odd or self._is_first
            self._left, self._is_last, self._is_first = int.from_bytes(head[4:_SKIPPABLE_HEADER], "little"), True, False
            return start + _SKIPPABLE_HEADER
        if not head.startswith(MAGIC):
            if len(head) < _SKIPPABLE_HEADER:
                return start
            if self._is_first:
                raise VerificationError("its zstd data is damaged (unknown frame)")
            self._has_garbage = True
            return len(data)
        length = _length(head)
        if len(head) < length:
            return start
        self._frame = self._opened(_window(head))
        self._is_first = self._is_last = False
        self._behind = _CHECKSUM if head[4] & _HAS_CHECKSUM else 0
        return start + length

    def _opened(self, window: int) -> zstandard.ZstdDecompressionObj:
        """Return a decompressor for the next frame, with the memory of the last one if that is enough."""
        if self._decompressor is None or window > self._lease.size:
            self._decompressor = None  # and its memory, before there is a lease for more
            self._lease.resize(window)
            self._decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        return self._decompressor.decompressobj()

    def _pass(self, data: bytes, at: int) -> int:
        """Return the end of the next blocks, of as many as may be decompressed at once."""
        room = _PIECE
        while room > 0:
            step = min(self._left, len(data) - at)
            self._left -= step
            at += step
            header = data[at : at + _BLOCK_HEADER]
            if self._left or self._is_last or len(header) < _BLOCK_HEADER:
                break
            value = int.from_bytes(header, "little")
            self._is_last, kind, size = bool(value & 1), value >> 1 & 3, value >> 3
            self._left = _BLOCK_HEADER + (1 if kind == _RLE else size) + (self._behind if self._is_last else 0)
            room -= _MAX_BLOCK if kind == _COMPRESSED else size
        return at

    def _decompressed(self, frame: zstandard.ZstdDecompressionObj, data: bytes) -> bytes:
        try:
            piece = frame.decompress(data)
        except zstandard.ZstdError as error:
            if shortage.of(error):
                raise MemoryError from error
            raise VerificationError(f"its zstd data is damaged ({error})") from None
        if self._is_last and not self._left:
            self._frame = None
        return piece


def _length(head: bytes) -> int:
    """Return the length of a frame's header, or a larger number if it is unknown yet."""
    if len(head) < _FRAME_HEADER:
        return _FRAME_HEADER
    descriptor = head[4]
    is_single = bool(descriptor & _SINGLE_SEGMENT)
    content_size = _CONTENT_SIZE[descriptor >> 6] or (1 if is_single else 0)
    return _FRAME_HEADER + (not is_single) + _DICTIONARY_ID[descriptor & 3] + content_size


def _window(head: bytes) -> int:
    """Return the bytes of memory for a frame's window.

    Raises:
        UnsupportedError: they are more than `MAX_WINDOW`.
    """
    descriptor = head[4]
    behind = _FRAME_HEADER + _DICTIONARY_ID[descriptor & 3]
    if descriptor & _SINGLE_SEGMENT:
        window = int.from_bytes(head[behind : _length(head)], "little")
    else:
        power = 1 << 10 + (head[_FRAME_HEADER] >> 3)
        window = power + power // 8 * (head[_FRAME_HEADER] & 7)
    if window > MAX_WINDOW:
        raise UnsupportedError(
            f"its zstd data needs a window of more than {MAX_WINDOW // 1024**2} MiB",
            hint="ask the publisher to compress without --long",
        )
    return window
