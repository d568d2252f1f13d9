"""Compressed streams, recognized and decompressed within bounds.

A `Decompressor` is fed with pieces of any size and yields what comes out, in pieces of at most `PIECE` bytes, of zstd
at most 32 MiB.  Whatever the ratio, memory stays small (S27).  All formats may hold several streams one after the
other: gzip members (eStargz has one for each file), zstd frames with skippable ones among them (zstd:chunked, pzstd),
bzip2 and xz streams.

Nothing is called back: a decompressor that knew its user would be part of a cycle of references, which keeps a window
of up to 128 MiB until the garbage collector, to which that memory is invisible, happens to run.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable, Generator, Iterator
from typing import BinaryIO, Protocol

from imgfetch.errors import UnsupportedError, VerificationError
from imgfetch.layers import tarheaders
from imgfetch.layers.inflate import GZIP, ZLIB, InflateError, Stream, inflater
from imgfetch.layers.zstd import MAGIC as ZSTD_MAGIC
from imgfetch.layers.zstd import ZstdStream, is_skippable

PIECE = 256 * 1024
"""Bytes that go in or come out at a time: few enough to be hashed while the processor's cache has them."""
HEAD = 512
"""Bytes that `detect` needs: a tar header."""

_SLICES = (1024, 256 * 1024)
"""Bytes that a stream is given at a time: few where streams are short, for what stands behind an end is copied."""
_XZ_MEMORY = 128 * 1024 * 1024

_MAGIC = {"gzip": b"\x1f\x8b\x08", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00"}
_TAR_MAGIC = slice(257, 262)


def detect(head: bytes) -> str | None:
    """Name the compression of a layer by its first `HEAD` bytes; ``plain`` is a tar or nothing at all.

    The table is that of docker's ``archive.DetectCompression``, with a plain tar told from the unknown.
    """
    for name, magic in _MAGIC.items():
        if head.startswith(magic):
            return name
    if head.startswith(ZSTD_MAGIC) or is_skippable(head):
        return "zstd"
    return "plain" if _is_tar(head[:HEAD]) else None


class Decompressor(Protocol):
    """Decompresses one layer."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take more compressed bytes, and yield what comes out; to be followed to its end.

        Raises:
            VerificationError: they are damaged.
            UnsupportedError: they ask for more memory than we give.
        """

    def finish(self) -> str | None:
        """Return what is odd about the data, if anything is, now that all has come.

        Raises:
            VerificationError: the end is missing.
        """


def decompressor(name: str) -> Decompressor:
    """Return a decompressor for a compression that `detect` names, or for HTTP's ``deflate``."""
    match name:
        case "gzip":
            return _Streams(name, lambda: inflater(GZIP))
        case "deflate":
            return _Streams(name, lambda: inflater(ZLIB))
        case "bzip2":
            return _Streams(name, bz2.BZ2Decompressor)
        case "xz":
            return _Streams(name, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY))
        case "zstd":
            return ZstdStream()
        case _:
            return _Uncompressed()


def decompress(file: BinaryIO) -> Iterator[bytes]:
    """Yield the whole of a layer's tar stream from a file that is at the layer's first byte.

    Raises:
        VerificationError: the data is damaged or incomplete.
        UnsupportedError: the compression is unknown, or asks for too much.
    """
    piece = file.read(PIECE)
    compression = detect(piece)
    if compression is None:
        raise UnsupportedError("it is neither a tar nor compressed in a known way")
    stream = decompressor(compression)
    while piece:
        yield from stream.feed(piece)
        piece = file.read(PIECE)
    stream.finish()


class _Streams:
    """Streams one after the other, with what some builders leave between and behind them (L10 to L12)."""

    def __init__(self, name: str, open_stream: Callable[[], Stream]) -> None:
        self._name = name
        self._magic = _MAGIC.get(name, b"")
        self._open = open_stream
        self._stream: Stream | None = open_stream()
        self._slice = _SLICES[1]
        self._fed = 0
        self._between = b""
        self._has_zeros = False
        self._has_garbage = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        start = 0
        while start < len(data) and not self._has_garbage:
            piece = data[start : start + self._slice]
            start += len(piece)
            if self._stream is None:
                piece = self._begin(piece)
            if self._stream is not None:
                start -= yield from self._continue(self._stream, piece)

    def finish(self) -> str | None:
        if self._stream is not None:
            raise VerificationError(f"its {self._name} data ends early")
        if self._has_garbage or self._between:
            return f"bytes that are no {self._name} data stand behind its end"
        return f"zeros stand between or behind its {self._name} streams" if self._has_zeros else None

    def _begin(self, data: bytes) -> bytes:
        """Look for the next stream; return its bytes."""
        data = self._between + data
        stripped = data.lstrip(b"\0")
        self._has_zeros = self._has_zeros or (len(stripped) < len(data) and self._name != "xz")
        self._between = b""
        if self._magic and stripped.startswith(self._magic):
            self._stream = self._open()
            return stripped
        if self._magic.startswith(stripped):
            self._between = stripped
        else:
            self._has_garbage = True
        return b""

    def _continue(self, stream: Stream, data: bytes) -> Generator[bytes, None, int]:
        """Decompress; return how many bytes stand behind the stream's end."""
        try:
            yield stream.decompress(data, PIECE)
            while not stream.eof and not stream.needs_input:
                yield stream.decompress(b"", PIECE)
        except (InflateError, lzma.LZMAError, OSError, EOFError) as error:
            if "limit" in str(error):
                limit = f"{_XZ_MEMORY // 1024**2} MiB"
                raise UnsupportedError(f"its {self._name} data needs more than {limit} of memory") from None
            raise VerificationError(f"its {self._name} data is damaged ({error})") from None
        self._fed += len(data)
        behind = len(stream.unused_data) if stream.eof else 0
        # The next stream, or the next piece of this one, is likely to be as long as all of it so far.
        self._slice = min(max(2 * (self._fed - behind), _SLICES[0]), _SLICES[1])
        if stream.eof:
            self._stream, self._fed = None, 0
        return behind


class _Uncompressed:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> str | None:
        return None


def _is_tar(block: bytes) -> bool:
    """Tell whether a block is a tar header or, for an empty archive, zeros."""
    if not block.strip(b"\0"):
        return True
    if len(block) < HEAD:
        return False
    if block[_TAR_MAGIC] == b"ustar":
        return True
    try:
        return tarheaders.has_right_checksum(block)
    except tarheaders.HeaderError:
        return False
