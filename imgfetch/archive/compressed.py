"""Compression of a whole archive, selected by its file name.

The result is reproducible with the same libraries: it contains no time and no name, and zstd works in its parallel
mode, because its serial mode, for a system without a thread, produces other bytes.
"""

from __future__ import annotations

import gzip
import io
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, cast

import zstandard

from imgfetch.archive.directory import is_image_layout
from imgfetch.archive.streams import joined
from imgfetch.layers.compression import HEAD, decompress, detect

_SUFFIXES = {".tar.gz": "gzip", ".tgz": "gzip", ".tar.zst": "zstd"}
_OTHER_SUFFIXES = re.compile(r"\.(?!tgz$)(7z|br|bz2|gz|lz|lz4|lzma|rar|sz|t[a-z]z|tbz2|t?zst|xz|zip)", re.IGNORECASE)
_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3

_logger = logging.getLogger(__name__)


def looks_like_file(text: str) -> bool:
    """Return whether a text names an archive, not a reference: it has the form of a file name, or such a file exists.

    A directory counts only if it is an OCI image layout, because any other one may have the name of an image by chance.
    """
    has_form = text.startswith(("/", "./", "../")) or text.endswith(("/", ".tar", *_SUFFIXES))
    path = Path(text)
    return has_form or (is_image_layout(path) if path.is_dir() else path.exists())


def compression(path: Path | None) -> str:
    """Return ``gzip``, ``zstd``, or nothing for an uncompressed file.

    Raises:
        ValueError: the name promises a compression that an archive cannot have.
    """
    name = path.name.lower() if path else ""
    found = next((compression for suffix, compression in _SUFFIXES.items() if name.endswith(suffix)), "")
    suffix = Path(name).suffix
    if not found and _OTHER_SUFFIXES.fullmatch(suffix):
        raise ValueError(f"an archive cannot be compressed as {suffix}; use .tar, .tar.gz, .tgz or .tar.zst")
    return found


@contextmanager
def compressed(out: BinaryIO, compression: str) -> Iterator[BinaryIO]:
    """Yield a file that compresses into ``out``."""
    if compression == "gzip":
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=out, mtime=0) as writer:
            yield cast(BinaryIO, writer)
    elif compression == "zstd":
        with _zstd().stream_writer(cast(IO[bytes], out), closefd=False) as writer:
            yield cast(BinaryIO, writer)
    else:
        yield out


def _zstd() -> zstandard.ZstdCompressor:
    """Return a compressor in the parallel mode, whose bytes do not depend on the number of threads, if it can start."""
    for count in (os.cpu_count() or 1, 1, 0):
        compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True, threads=count)
        with suppress(zstandard.ZstdError):  # "not enough memory", for threads too
            compressor.compressobj().compress(b"\0")  # starts the threads, and is then forgotten
            break
    if not count:
        _logger.warning(
            "no thread is free for zstd, so the compressed file differs from other runs; its content does not"
        )
    return compressor


def compression_of(file: io.BufferedReader) -> str:
    """Recognize the compression of a regular file at its beginning, which remains to be read."""
    compression = detect(file.peek(HEAD)[:HEAD])
    return compression if compression and compression != "plain" else ""


def decompressed(file: io.BufferedReader) -> BinaryIO:
    """Return a regular file's content without its compression, if it has one.

    Reading damaged compressed data raises `VerificationError`.
    """
    return joined(decompress(file, is_strict=True)) if compression_of(file) else file
