"""Compressed streams, recognized and decompressed within limits.

A `Decompressor` accepts pieces of any size and yields pieces of at most 512 KiB, so memory stays small at any ratio
(docs/registries.md#limits-for-layers); its window is within the bound of `windows`.  Every format may consist of
several streams: gzip members (eStargz has one for each file), zstd frames including skippable ones (zstd:chunked,
pzstd), bzip2 and xz streams.

There are no callbacks: a decompressor that refers to its user would be part of a reference cycle, which keeps a window
of up to 128 MiB until the garbage collector, to which that memory is invisible, happens to run.
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from typing import Protocol

from imgfetch.errors import CutShortError, UnsupportedError, VerificationError
from imgfetch.layers import tarheaders
from imgfetch.layers.gzipmember import MAGIC as GZIP_MAGIC
from imgfetch.layers.gzipmember import GzipMember
from imgfetch.layers.inflate import ZLIB, InflateError, Stream, inflater
from imgfetch.layers.windows import WINDOWS, Lease
from imgfetch.layers.xz import MAGIC as XZ_MAGIC
from imgfetch.layers.xz import XzStream
from imgfetch.layers.zstd import MAGIC as ZSTD_MAGIC
from imgfetch.layers.zstd import ZstdStream, is_skippable

PIECE = 256 * 1024
"""Bytes per piece, in or out: few enough to be hashed while they are in the processor's cache."""
HEAD = 512
"""Bytes that `detect` needs: a tar header."""

_SLICES = (1024, 256 * 1024)
"""Bytes passed to a stream at once: few for short streams, because the rest after a stream's end is copied."""
_BZIP2_MEMORY = 4 * 1024 * 1024
_HEADER = 10
"""Bytes that hold no content in any format, so that they are no more than garbage behind a whole stream."""

_MAGIC = {"gzip": GZIP_MAGIC, "bzip2": b"BZh", "xz": XZ_MAGIC}
_TAR_MAGIC = slice(257, 262)


def detect(head: bytes) -> str | None:
    """Recognize a layer's compression by its first `HEAD` bytes; ``plain`` means a tar or an empty layer.

    The table is that of docker's ``archive.DetectCompression``, which also takes unknown content for a tar.
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
        """Decompress more bytes; the caller must exhaust the iterator.

        Raises:
            VerificationError: the data is damaged.
            UnsupportedError: the data needs too much memory.
        """

    def finish(self) -> str | None:
        """Check that the data is complete, and describe an oddity if there is one.

        Raises:
            VerificationError: the end is missing.
        """


def decompressor(name: str, lease: Lease) -> Decompressor:
    """Return a decompressor for a result of `detect`, or for HTTP's ``deflate``; ``lease`` is for its windows."""
    oddities: set[str] = set()
    openers: Mapping[str, Callable[[], Stream]] = {
        "deflate": lambda: inflater(ZLIB),
        "gzip": lambda: GzipMember(oddities),
        "bzip2": lambda: _bzip2(lease),
        "xz": lambda: XzStream(lease),
    }
    if name in openers:
        return _Streams(name, openers[name], oddities)
    return ZstdStream(lease) if name == "zstd" else _Uncompressed()


def _bzip2(lease: Lease) -> Stream:
    lease.resize(_BZIP2_MEMORY)
    return bz2.BZ2Decompressor()


class Readable(Protocol):
    """A file, or what reads like one."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, and none at the end."""


def decompress(file: Readable, *, is_strict: bool = False) -> Iterator[bytes]:
    """Yield the tar stream from a file positioned at its first byte.

    Raises:
        VerificationError: the data is damaged or incomplete, or, if ``is_strict``, such that some readers refuse it.
        UnsupportedError: the compression is unknown, or needs too much memory.
    """
    piece = file.read(PIECE)
    compression = detect(piece)
    if compression is None:
        raise UnsupportedError("it is neither a tar archive nor compressed in a known format")
    with WINDOWS.lease() as lease:
        stream = decompressor(compression, lease)
        while piece:
            yield from stream.feed(piece)
            piece = file.read(PIECE)
        oddity = stream.finish()
    if is_strict and oddity:
        raise VerificationError(oddity)


class _Streams:
    """Consecutive streams, perhaps with padding or trailing data (docs/registries.md#several-streams)."""

    def __init__(self, name: str, open_stream: Callable[[], Stream], oddities: Collection[str] = frozenset()) -> None:
        """Start before the first stream; the streams add to ``oddities``."""
        self._name = name
        self._oddities = oddities
        self._magic = _MAGIC.get(name, b"")
        self._open = open_stream
        self._stream: Stream | None = open_stream()
        self._slice = _SLICES[1]
        self._fed = 0
        self._between = b""
        self._is_silent = False  # the present stream is behind another, and nothing has come out of it
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
        is_header = self._is_silent and self._fed <= _HEADER
        if self._stream is not None and not is_header:
            raise CutShortError(f"its {self._name} data ends early")
        if self._has_garbage or self._between or self._stream is not None:
            return f"extra bytes follow its {self._name} data"
        if self._has_zeros:
            return f"zeros separate or follow its {self._name} streams"
        return min(self._oddities, default=None)

    def _begin(self, data: bytes) -> bytes:
        """Find the next stream, and return its bytes."""
        data = self._between + data
        stripped = data.lstrip(b"\0")
        self._has_zeros = self._has_zeros or (len(stripped) < len(data) and self._name != "xz")
        self._between = b""
        if self._magic and stripped.startswith(self._magic):
            self._stream, self._is_silent = self._open(), True
            return stripped
        if self._magic.startswith(stripped):
            self._between = stripped
        else:
            self._has_garbage = True
        return b""

    def _continue(self, stream: Stream, data: bytes) -> Generator[bytes, None, int]:
        """Decompress, and return the number of bytes after the stream's end."""
        try:
            piece = stream.decompress(data, PIECE)
            self._is_silent = self._is_silent and not piece
            yield piece
            while not stream.eof and not stream.needs_input:
                yield stream.decompress(b"", PIECE)
        except (InflateError, lzma.LZMAError, OSError, EOFError) as error:
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


def is_header(block: bytes) -> bool:
    """Return whether some reader may take a block for a tar header, whatever else it is."""
    digits = tarheaders.text(block[148:156].strip(b" \0"))
    try:
        return tarheaders.has_right_checksum(block[:148] + digits.ljust(8) + block[156:])
    except tarheaders.HeaderError:
        return False


def _is_tar(block: bytes) -> bool:
    """Return whether a block is a tar header or, as in an empty archive, zeros."""
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
