"""Where the frames of a zstd stream begin and end.

The decompressor tells neither whether a stream was cut short nor which window it wants; the frames'
own headers do.  Format: RFC 8878, sections 3.1.1 ("Zstandard Frames") and 3.1.2 ("Skippable Frames").
"""

from __future__ import annotations

from collections.abc import Generator

from imgfetch.errors import UnsupportedError, VerificationError

MAX_WINDOW = 128 * 1024 * 1024
"""Bytes of window at most, as in the zstd command without ``--long`` (S27)."""

MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE_MAGIC = b"\x2a\x4d\x18"  # behind a byte of 0x50 to 0x5f

_DICTIONARY_ID_BYTES = (0, 1, 2, 4)
_CONTENT_SIZE_BYTES = (0, 2, 4, 8)
_RLE_BLOCK = 1
_RESERVED_BLOCK = 3


def is_skippable(head: bytes) -> bool:
    """Tell whether ``head`` begins a skippable frame."""
    return len(head) > 7 and head[0] & 0xF0 == 0x50 and head[1:4] == _SKIPPABLE_MAGIC  # noqa: PLR2004


class FrameScanner:
    """Follows the frames of a stream that is fed to it in pieces of any size."""

    def __init__(self) -> None:
        """Wait for the first frame."""
        self._kept = bytearray()
        self._skip = 0
        self._between = True
        self.begins_with_skippable = False
        self._frames = self._scan()
        self._need = next(self._frames)

    @property
    def is_complete(self) -> bool:
        """Whether the stream may end here."""
        return self._between and not self._kept and not self._skip

    def feed(self, data: bytes) -> None:
        """Follow ``data``.

        Raises:
            VerificationError: it is no zstd frame.
            UnsupportedError: the frame's window is larger than `MAX_WINDOW`.
        """
        position = 0
        while position < len(data):
            if self._skip:
                step = min(self._skip, len(data) - position)
                self._skip -= step
            else:
                step = min(self._need - len(self._kept), len(data) - position)
                self._kept += data[position : position + step]
                if len(self._kept) == self._need:
                    field = bytes(self._kept)
                    self._kept.clear()
                    self._need = self._frames.send(field)
            position += step

    def _scan(self) -> Generator[int, bytes, None]:
        """Ask for the bytes of one header after the other; set `_skip` for what needs no look."""
        is_first = True
        while True:
            self._between = True
            magic = yield 4
            self._between = False
            if magic == MAGIC:
                yield from self._scan_frame()
            elif magic[0] & 0xF0 == 0x50 and magic[1:] == _SKIPPABLE_MAGIC:  # noqa: PLR2004
                self._skip = int.from_bytes((yield 4), "little")
                self.begins_with_skippable = self.begins_with_skippable or is_first
            else:
                raise VerificationError(f"its zstd data is damaged: no frame begins with {magic.hex(' ')}")
            is_first = False

    def _scan_frame(self) -> Generator[int, bytes, None]:
        descriptor = (yield 1)[0]
        single_segment = bool(descriptor & 0x20)
        has_checksum = bool(descriptor & 0x04)
        window = 0 if single_segment else _window((yield 1)[0])
        if dictionary_id := _DICTIONARY_ID_BYTES[descriptor & 0x03]:
            yield dictionary_id
        content_size = _CONTENT_SIZE_BYTES[descriptor >> 6] or (1 if single_segment else 0)
        if content_size:
            content = int.from_bytes((yield content_size), "little")
            window = content if single_segment else window
        if window > MAX_WINDOW:
            raise UnsupportedError(
                f"its zstd data needs a window of {window // 1024**2} MiB, more than {MAX_WINDOW // 1024**2} MiB",
                hint="ask the publisher to compress without --long",
            )
        yield from self._scan_blocks()
        if has_checksum:
            yield 4

    def _scan_blocks(self) -> Generator[int, bytes, None]:
        last = False
        while not last:
            block = int.from_bytes((yield 3), "little")
            last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
            if kind == _RESERVED_BLOCK:
                raise VerificationError("its zstd data is damaged: a block of a reserved type")
            self._skip = 1 if kind == _RLE_BLOCK else size


def _window(descriptor: int) -> int:
    base = 1 << (10 + (descriptor >> 3))
    return base + (base >> 3) * (descriptor & 7)
