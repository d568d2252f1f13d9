"""A patch for hosts without imgfetch: one zstd frame, whose prefix is the old archive."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from imgfetch.archive.streams import Advanced
from imgfetch.errors import UnsupportedError
from imgfetch.patch import frames
from imgfetch.patch.decompressed import result_of
from imgfetch.patch.given import opened_new, opened_old
from imgfetch.patch.layerfile import read_at
from imgfetch.patch.load import Loaded

MAX_ARCHIVE = 2**31 - 2**20
"""Maximum bytes of an archive: the largest window of zstd, less some room."""


def make_raw(old: Path, new: Path, out: BinaryIO, *, advanced: Advanced | None = None) -> int:
    """Write a frame that ``zstd -d --long=31 --patch-from=OLD`` makes the new archive of; return the archive's size.

    Both archives are in memory meanwhile, as they are when it is applied.

    `make_patch` documents the arguments and the errors.
    """
    library = frames.compression_library()
    with opened_old(old, advanced) as base, opened_new(new, advanced) as result:
        prefix, content = _decompressed(base, old), _content(result)
        out.write(frames.compress(content, prefix, library, window_log=31, has_checksum=True))
    return len(content)


def _decompressed(base: Loaded, path: Path) -> bytes:
    """Return the old archive, which must be the same on the target host, byte for byte."""
    size = base.members.size or 0
    if base.file is None or len(base.places) < len(base.layers):
        raise UnsupportedError(
            f"{path} has compressed layers, in which zstd finds nothing in common",
            hint="save the old image with imgfetch save --layers plain on both hosts",
        )
    _require_size(size, str(path))
    return read_at(base.file, 0, size)


def _content(result: Loaded) -> bytes:
    content = bytearray()
    for part in result_of(result).parts:
        for piece in [part] if isinstance(part, bytes) else part.pieces(0, part.size):
            content += piece
        _require_size(len(content), result.members.name)
    return bytes(content)


def _require_size(size: int, name: str) -> None:
    if size > MAX_ARCHIVE:
        raise UnsupportedError(
            f"{name} has more than {MAX_ARCHIVE} bytes, which zstd cannot compare", hint="make the patch without --raw"
        )
