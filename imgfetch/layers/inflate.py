"""Deflated data, decompressed by ``zlib-ng`` where it has wheels and by ``zlib`` elsewhere.

Both come from one source and refuse the same streams, which are those that Go's ``compress/flate`` refuses too.
`isal` is a fifth faster, but accepts an incomplete Huffman code, so a layer that only it can read would be saved
without a word (RFC 1951, section 3.2.7; ``inflate_table`` in zlib's ``inftrees.c``).

Either library is put behind the interface that `bz2.BZ2Decompressor` and `lzma.LZMADecompressor` share.
"""

from __future__ import annotations

import zlib
from typing import Protocol, cast

GZIP = 31
ZLIB = 15
"""Window bits that select the wrapper around the deflated data, as for ``inflateInit2``."""


class InflateError(Exception):
    """The data is damaged."""


class Stream(Protocol):
    """Decompresses one stream: the interface of `bz2` and `lzma`."""

    @property
    def eof(self) -> bool:
        """Whether the stream's end has come."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out before more goes in."""

    @property
    def unused_data(self) -> bytes:
        """Bytes behind the stream's end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most ``max_length`` decompressed bytes of earlier data and of ``data``.

        Raises:
            InflateError: the data is damaged.
        """


class _Library(Protocol):
    """The interface that both modules share."""

    error: type[Exception]

    def decompressobj(self, wbits: int) -> _Deflated: ...


class _Deflated(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


_zlib = cast(_Library, zlib)
LIBRARIES: tuple[_Library, ...]
"""The libraries that this machine has, the fastest first."""

try:
    from zlib_ng import zlib_ng
except ImportError:  # no build for this machine
    ENGINE, LIBRARIES = f"zlib {zlib.ZLIB_RUNTIME_VERSION}", (_zlib,)
else:
    ENGINE, LIBRARIES = f"zlib-ng {zlib_ng.ZLIBNG_RUNTIME_VERSION}", (cast(_Library, zlib_ng), _zlib)


class _Inflater:
    """A `Stream` by one of the libraries."""

    def __init__(self, library: _Library, wrapper: int) -> None:
        self._stream = library.decompressobj(wrapper)
        self._damage = library.error

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return not self._stream.eof and not self._stream.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        kept = self._stream.unconsumed_tail
        try:
            return self._stream.decompress(kept + data if kept else data, max_length)
        except self._damage as error:
            raise InflateError(str(error)) from None


def inflater(wrapper: int) -> Stream:
    """Return a decompressor for one stream in a wrapper, by the fastest library."""
    return _Inflater(LIBRARIES[0], wrapper)
