"""Decompression of deflated data by ``zlib-ng``, or by ``zlib`` on machines for which zlib-ng has no wheels.

Both share their origin and refuse the same streams, which Go's ``compress/flate`` refuses too.
`isal` needs a third less time but accepts an incomplete Huffman code, so it would silently accept a layer that nothing
else can read (RFC 1951, section 3.2.7; ``inflate_table`` in zlib's ``inftrees.c``).

Both have the interface that `bz2.BZ2Decompressor` and `lzma.LZMADecompressor` share, except zlib before Python 3.12.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Protocol

GZIP = 31
ZLIB = 15
"""Window bits that select the wrapper format, as for ``inflateInit2``."""

_NO_MEMORY = "Error -4 "  # zlib's Z_MEM_ERROR


class InflateError(Exception):
    """The data is damaged."""


class Stream(Protocol):
    """Decompresses one stream: the interface of `bz2` and `lzma`."""

    @property
    def eof(self) -> bool:
        """True after the end of the stream."""

    @property
    def needs_input(self) -> bool:
        """True if the next output requires more input."""

    @property
    def unused_data(self) -> bytes:
        """Bytes after the end of the stream."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most ``max_length`` decompressed bytes of the earlier input and ``data``.

        Raises:
            InflateError: the data is damaged.
        """


LIBRARIES: tuple[ModuleType, ...]
"""The installed libraries, the fastest first.  They have the same interface."""

try:
    from zlib_ng import zlib_ng
except ImportError:  # There is no build for this machine.
    ENGINE, LIBRARIES = f"zlib {zlib.ZLIB_RUNTIME_VERSION}", (zlib,)
else:
    ENGINE, LIBRARIES = f"zlib-ng {zlib_ng.ZLIBNG_RUNTIME_VERSION}", (zlib_ng, zlib)


class Inflater:
    """A `Stream` by one of the libraries."""

    def __init__(self, library: ModuleType, wrapper: int) -> None:
        """Start before the stream; ``wrapper`` is `GZIP` or `ZLIB`."""
        # It keeps the rest of its input, which otherwise is copied twice for each piece of output.
        open_stream: Callable[[int], Stream] = getattr(library, "_ZlibDecompressor", partial(_Copying, library))
        self._stream = open_stream(wrapper)
        self._damage: type[Exception] = library.error

    @property
    def eof(self) -> bool:
        """As in `Stream`."""
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        """As in `Stream`."""
        return not self._stream.eof and self._stream.needs_input

    @property
    def unused_data(self) -> bytes:
        """As in `Stream`."""
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """As in `Stream`."""
        try:
            return self._stream.decompress(data, max_length)
        except self._damage as error:
            if str(error).startswith(_NO_MEMORY):
                raise MemoryError from error
            raise InflateError(str(error)) from None


class _Copying:
    """A `Stream` by ``zlib`` before Python 3.12, which returns the rest of its input instead of keeping it."""

    def __init__(self, library: ModuleType, wrapper: int) -> None:
        self._stream: zlib._Decompress = library.decompressobj(wrapper)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        kept = self._stream.unconsumed_tail
        return self._stream.decompress(kept + data if kept else data, max_length)


def inflater(wrapper: int) -> Stream:
    """Return a decompressor of the fastest library for one stream."""
    return Inflater(LIBRARIES[0], wrapper)
