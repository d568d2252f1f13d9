"""The content codings that imgfetch undoes, and bodies whose end is far away."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Mapping

import zstandard


def deflated(content: bytes) -> bytes:
    return zlib.compress(content)


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


CODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": deflated,
    "zstd": zstd,
}


class Endless(io.RawIOBase):
    """A body that repeats a byte, to be wrapped in a buffer, and knows how much of it was read."""

    def __init__(self, content: bytes = b"\0") -> None:
        self._content = content
        self.read_so_far = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if self.read_so_far > 64 * 1024 * 1024:
            raise AssertionError("nobody stops")
        buffer[:] = self._content * len(buffer)
        self.read_so_far += len(buffer)
        return len(buffer)
