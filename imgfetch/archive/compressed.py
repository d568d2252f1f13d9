"""The compression of a whole archive, chosen by its name.

The same bytes come out each time, as long as the libraries are the same: no time, no name stands in them, and zstd is
told to use its parallel way whatever the number of processors, for that makes other bytes than the serial one.
"""

from __future__ import annotations

import gzip
import io
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from imgfetch.archive.targets import SUFFIXES
from imgfetch.layers.compression import HEAD, PIECE, decompressor, detect

_FEED = 2048  # compressed bytes at a time, for a few may hold very many
_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3


def compression(path: Path | None) -> str:
    """Return ``gzip``, ``zstd``, or nothing for a file that is not to be compressed."""
    name = path.name.lower() if path else ""
    return next((compression for suffix, compression in SUFFIXES.items() if name.endswith(suffix)), "")


@contextmanager
def compressed(out: BinaryIO, compression: str) -> Iterator[BinaryIO]:
    """Yield what compresses into ``out`` all that is written to it.

    Raises:
        OSError: ``out`` does not take it.
    """
    if compression == "gzip":
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=out, mtime=0) as writer:
            yield cast(BinaryIO, writer)
    elif compression == "zstd":
        import zstandard  # noqa: PLC0415  # few archives need it, and it takes its time

        compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True, threads=os.cpu_count() or 1)
        with compressor.stream_writer(cast(IO[bytes], out), closefd=False) as writer:
            yield cast(BinaryIO, writer)
    else:
        yield out


def compression_of(path: Path) -> str:
    """Return the compression that a file begins with.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        compression = detect(file.read(HEAD))
    return compression if compression and compression != "plain" else ""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open an archive for reading from its first byte on, decompressed if it begins like something compressed.

    What is read raises `VerificationError` where the compressed data is damaged.

    Raises:
        OSError: it cannot be read.
    """
    compression = compression_of(path)
    with path.open("rb") as raw:
        if compression:
            yield io.BufferedReader(_Decompressed(raw, compression), PIECE)
        else:
            yield raw


class _Decompressed(io.RawIOBase):
    """What a compressed file holds, from its first byte on."""

    def __init__(self, raw: BinaryIO, compression: str) -> None:
        super().__init__()
        self._raw = raw
        self._ready: deque[memoryview] = deque()
        self._decompressor = decompressor(compression, lambda data: self._ready.append(memoryview(data)))
        self._is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # what it is called with
        while not self._ready and not self._is_over:
            piece = self._raw.read(_FEED)
            if piece:
                self._decompressor.feed(piece)
            else:
                self._decompressor.finish()
                self._is_over = True
        if not self._ready:
            return 0
        target = memoryview(buffer).cast("B")
        first = self._ready.popleft()
        count = min(len(first), len(target))
        target[:count] = first[:count]
        if count < len(first):
            self._ready.appendleft(first[count:])
        return count
