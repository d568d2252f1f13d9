"""Compression of a whole archive, selected by its file name.

The result is reproducible with the same libraries: it contains no time and no name, and zstd works in its parallel
mode, because its serial mode, for a system without a thread, produces other bytes.

zstd refers to content that is as far back as its window, so a second version of an image costs little.  A reader needs
memory for the window, or for the whole archive if that is smaller, and refuses a large one (docs/archives.md#windows).
"""

from __future__ import annotations

import gzip
import io
import logging
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, cast

import zstandard

from imgfetch.archive.image_layout import is_image_layout
from imgfetch.archive.streams import joined
from imgfetch.defaults import ZSTD_WINDOW
from imgfetch.layers.compression import HEAD, decompress, detect

_SUFFIXES = {".tar.gz": "gzip", ".tgz": "gzip", ".tar.zst": "zstd"}
_OTHER_SUFFIXES = re.compile(
    r"\.(?!tgz$)(7z|br|bz2?|bzip2|gz|gzip|lz|lz4|lzma|lzo|rar|sz|t[a-z]z|tbz2|tz2|t?zstd?|xz|z|zip)", re.IGNORECASE
)
_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3
_MAX_THREADS = 8
"""Those of zstd; each takes about 4 MiB."""
_MAX_GO_WINDOW = 512 * 1024**2
"""The largest window that programs in Go accept; see docs/archives.md#windows."""

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


def is_compressed_name(name: str) -> bool:
    """Return whether a name promises a compression, possible or not."""
    try:
        return bool(compression(Path(name)))
    except ValueError:
        return True


@contextmanager
def compressed(out: BinaryIO, compression: str, size: int, *, window: int = ZSTD_WINDOW) -> Iterator[BinaryIO]:
    """Yield a file that compresses ``size`` bytes into ``out``; zstd's ``window`` becomes a power of two."""
    if compression == "gzip":
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=out, mtime=0) as writer:
            yield cast(BinaryIO, writer)
    elif compression == "zstd":
        _warn_of(min(1 << _log(window), size))
        with _zstd(size, window).stream_writer(cast(IO[bytes], out), size=size, closefd=False) as writer:
            yield cast(BinaryIO, writer)
    else:
        yield out


def _warn_of(window: int) -> None:
    """Name the readers that refuse a window."""
    if window > ZSTD_WINDOW:
        several = "docker, podman, ctr, skopeo" if window > _MAX_GO_WINDOW else "skopeo (oci-archive:)"
        _logger.warning(
            "the archive needs a window of %s MiB, so %s, imgfetch verify and zstd -d refuse it; "
            "zstd -d --long=%s decompresses it",
            math.ceil(window / 1024**2),
            several,
            _log(window),
        )


def _zstd(size: int, window: int) -> zstandard.ZstdCompressor:
    """Return a compressor in the parallel mode, whose bytes do not depend on the number of threads, if it can start."""
    for count in (min(os.cpu_count() or 1, _MAX_THREADS), 1, 0):
        parameters = zstandard.ZstdCompressionParameters.from_level(
            _ZSTD_LEVEL, window_log=_log(window), enable_ldm=True, write_checksum=True, threads=count
        )
        compressor = zstandard.ZstdCompressor(compression_params=parameters)
        with suppress(zstandard.ZstdError):  # "not enough memory", for threads too
            compressor.compressobj(size=size).compress(b"\0")  # starts the threads, and is then forgotten
            break
    if not count:
        _logger.warning(
            "no thread is free for zstd, so the compressed file differs from other runs; its content does not"
        )
    return compressor


def _log(size: int) -> int:
    """Return the smallest exponent of two for a number."""
    return (size - 1).bit_length()


def compression_of(file: io.BufferedReader) -> str:
    """Recognize the compression of a regular file at its beginning, which remains to be read."""
    compression = detect(file.peek(HEAD)[:HEAD])
    return compression if compression and compression != "plain" else ""


def decompressed(file: io.BufferedReader) -> BinaryIO:
    """Return a regular file's content without its compression, if it has one.

    Reading damaged compressed data raises `VerificationError`.
    """
    return joined(decompress(file, is_strict=True)) if compression_of(file) else file
