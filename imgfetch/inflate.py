"""Deflated data, undone by the fastest library that is here.

`isal` is more than twice as fast as `zlib` where gzip layers are concerned, and has no build for some machines.
Both are put behind the interface that `bz2.BZ2Decompressor` and `lzma.LZMADecompressor` share.
"""

from __future__ import annotations

import zlib
from typing import Protocol, cast

try:
    import isal
    from isal import igzip_lib
except ImportError:  # no build for this machine
    ENGINE = f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
else:
    ENGINE = f"isal {isal.__version__}"
    _IsalError = cast(type[Exception], igzip_lib.IsalError)

GZIP = "gzip"
ZLIB = "zlib"
"""What is wrapped around the deflated data."""


class InflateError(Exception):
    """The data is damaged."""


class Inflater(Protocol):
    """Undoes one stream."""

    @property
    def eof(self) -> bool:
        """Whether the stream's end has come."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing more comes out before more goes in."""

    @property
    def unused_data(self) -> bytes:
        """What came behind the stream's end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return at most ``max_length`` bytes of what ``data`` and what was left of earlier data hold.

        Raises:
            InflateError: the data is damaged.
        """


class _ByZlib:
    """An `Inflater`, for every machine."""

    def __init__(self, wrapper: str) -> None:
        """Wait for the first byte of a stream in a wrapper."""
        self._stream = zlib.decompressobj({GZIP: 31, ZLIB: 15}[wrapper])

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
        try:
            return self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        except zlib.error as error:
            raise InflateError(str(error)) from None


class _ByIsal:
    """An `Inflater` for machines that `isal` is built for."""

    def __init__(self, wrapper: str) -> None:
        """Wait for the first byte of a stream in a wrapper."""
        flag = {GZIP: igzip_lib.DECOMP_GZIP, ZLIB: igzip_lib.DECOMP_ZLIB}[wrapper]
        self._stream = igzip_lib.IgzipDecompressor(flag=flag)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return self._stream.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        try:
            return self._stream.decompress(data, max_length)
        except _IsalError as error:
            raise InflateError(str(error)) from None


_fastest: type[_ByIsal | _ByZlib] = _ByIsal if ENGINE.startswith("isal") else _ByZlib


def inflater(wrapper: str) -> Inflater:
    """Return what undoes a stream in a wrapper, by the fastest library that is here."""
    return _fastest(wrapper)
