"""Decompression of zstd data, including skippable frames, in pieces of limited size.

Format: RFC 8878, sections 3.1.1 ("Zstandard Frames") and 3.1.2 ("Skippable Frames").
"""

from __future__ import annotations

from collections.abc import Iterator

import zstandard

from imgfetch.errors import UnsupportedError, VerificationError

MAX_WINDOW = 128 * 1024 * 1024
"""Maximum bytes of a window, as in the zstd command without ``--long``."""

MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE_MAGIC = b"\x2a\x4d\x18"  # after a byte of 0x50 to 0x5f
_SKIPPABLE_HEADER = 8
_TOO_LARGE_A_WINDOW = "requires too much memory"
"""Part of the library's own message (``ZSTD_error_frameParameter_windowTooLarge``); its bindings give no code."""

# The library returns all output of a call at once.  A block of 4 bytes becomes up to 128 KiB, so a slice becomes at
# most 32 MiB.  Larger slices are not faster.
_SLICE = 1024


def is_skippable(head: bytes) -> bool:
    """Return whether ``head`` starts a skippable frame."""
    return len(head) >= _SKIPPABLE_HEADER and head[0] & 0xF0 == 0x50 and head[1:4] == _SKIPPABLE_MAGIC  # noqa: PLR2004


class ZstdStream:
    """Consecutive frames, including skippable ones (docs/registries.md#zstd)."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._head = self._between = b""
        self._is_first = True
        self._has_garbage = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decompress more bytes.

        Raises:
            VerificationError: the data is damaged.
            UnsupportedError: the frame's window is larger than `MAX_WINDOW`.
        """
        self._head += data[: _SKIPPABLE_HEADER - len(self._head)]
        for start in range(0, len(data), _SLICE):
            behind = self._begin(data[start : start + _SLICE])
            while behind:
                frame = self._frame = self._frame or self._decompressor.decompressobj()
                try:
                    yield frame.decompress(behind)
                except zstandard.ZstdError as error:
                    raise _refusal(str(error)) from None
                behind = frame.unused_data
                if frame.eof:
                    self._frame = None
                    behind = self._begin(behind)

    def _begin(self, data: bytes) -> bytes:
        """Return the bytes of a frame: those of the present one, or of the next one if enough of it is here."""
        data, self._between = self._between + data, b""
        if self._frame is not None or self._is_first:
            self._is_first = False
            return data
        if self._has_garbage or not (data.startswith(MAGIC) or is_skippable(data)):
            self._has_garbage = self._has_garbage or len(data) >= _SKIPPABLE_HEADER
            self._between = b"" if self._has_garbage else data
            return b""
        return data

    def finish(self) -> str | None:
        """Check that the data is complete, and describe an oddity if there is one.

        Raises:
            VerificationError: the data ends within a frame.
        """
        if self._frame is not None:
            raise VerificationError("its zstd data ends early")
        if self._has_garbage or self._between:
            return "extra bytes follow its zstd data"
        if is_skippable(self._head):
            return "its zstd data begins with a skippable frame; some readers do not recognize it as zstd"
        return None


def _refusal(message: str) -> VerificationError | UnsupportedError:
    if _TOO_LARGE_A_WINDOW in message:
        return UnsupportedError(
            f"its zstd data needs a window of more than {MAX_WINDOW // 1024**2} MiB",
            hint="ask the publisher to compress without --long",
        )
    return VerificationError(f"its zstd data is damaged ({message})")
