"""Deflated data, undone by the fastest library that is here.

`isal` is more than twice as fast as `zlib` where gzip layers are concerned, and has no build for some machines.
Both take the same calls, save for what they raise.
"""

from __future__ import annotations

import zlib
from types import ModuleType
from typing import Protocol

try:
    import isal
    from isal import isal_zlib
except ImportError:  # no build for this machine
    _fastest: ModuleType = zlib
    ENGINE = f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
else:
    _fastest = isal_zlib
    ENGINE = f"isal {isal.__version__}"

GZIP = 31
"""zlib's "wbits" for a gzip wrapper and the largest window."""
ZLIB = 15
"""The same for a zlib wrapper."""


class InflateError(Exception):
    """The data is damaged."""


class _Decompress(Protocol):
    """What `zlib.decompressobj` returns."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Inflater:
    """One stream, with the interface that `bz2.BZ2Decompressor` and `lzma.LZMADecompressor` share."""

    def __init__(self, bits: int, *, library: ModuleType | None = None) -> None:
        """Wait for the first byte of a stream whose wrapper is `GZIP` or `ZLIB`.

        Args:
            bits: the wrapper.
            library: `zlib`, or what stands in for it; by default the fastest that is here.
        """
        library = library or _fastest
        self._stream: _Decompress = library.decompressobj(bits)
        self._damage: type[Exception] = library.error

    @property
    def eof(self) -> bool:
        """Whether the stream's end has come."""
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out before more goes in."""
        return not self._stream.eof and not self._stream.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """What came behind the stream's end."""
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most ``max_length`` bytes of what ``data`` and what was left of earlier data hold.

        Raises:
            InflateError: the data is damaged.
        """
        try:
            return self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        except self._damage as error:
            raise InflateError(str(error)) from None
