"""Files to read from: another file whose bytes are counted, and pieces of content."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from imgfetch.archive.lineends import LineEnds
from imgfetch.inputs import STDIN, wait_for
from imgfetch.text import sanitize

Source = str | os.PathLike[str] | BinaryIO
BUFFER = 64 * 1024
"""Bytes that a reader of pieces buffers: fewer than a piece, because then most of a piece is not copied there."""

Advanced = Callable[[int], None]
Spool = Callable[[], BinaryIO]
"""Opens a new file, for data that cannot be read at any position."""


def size_of(source: Source) -> int | None:
    """Return the length of a regular file, or else ``None``."""
    try:
        status = Path(source).stat() if isinstance(source, (str, os.PathLike)) else os.fstat(source.fileno())
    except (OSError, ValueError, AttributeError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def name_of(source: Source) -> str:
    """Return a source's name, safe to show."""
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        return "stdin" if path == STDIN else sanitize(path)
    name = getattr(source, "name", "")
    return sanitize(name) if isinstance(name, str) and name and not name.startswith("<") else "stdin"


@contextmanager
def silently(*_: object) -> Iterator[Advanced]:
    """Report no progress."""
    yield lambda _: None


def joined(pieces: Iterator[bytes], name: str = "") -> BinaryIO:
    """Return a file that can be read once; an error of the pieces is raised where it is read."""
    return io.BufferedReader(_Pieces(pieces, name), BUFFER)


class CountedFile(io.RawIOBase):
    """Another file, which stays open; the bytes that are read from it are reported.

    Attributes:
        size: the length of a regular file, or else ``None``.
        line_ends: those that have been read.
    """

    def __init__(self, file: BinaryIO, advanced: Advanced) -> None:
        super().__init__()
        self._file = file
        self._advanced = advanced
        self.size = size_of(file)
        self._is_regular = self.size is not None or isinstance(file, io.BytesIO)  # devices only seem to support seeking
        self.line_ends = LineEnds()
        self._position = file.tell() if self._is_regular else 0

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return whether the file can be rewound."""
        return self._is_regular

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, and report the bytes that are skipped."""
        position = self._file.seek(offset, whence)
        self._advanced(position - self._position)
        self._position = position
        return position

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # the types that callers pass
        """Read some bytes, and report their number."""
        while (read := self._file.readinto(buffer)) is None:  # type: ignore[attr-defined]
            wait_for(self._file)
        count: int = read
        self._position += count
        self._advanced(count)
        self.line_ends.add(memoryview(buffer).cast("B")[:count])
        return count


class _Pieces(io.RawIOBase):
    """A readable file made of pieces."""

    def __init__(self, pieces: Iterator[bytes], name: str) -> None:
        super().__init__()
        self.name = name
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # the types that callers pass
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        target = memoryview(buffer).cast("B")
        count = min(len(self._left), len(target))
        target[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class Resumed(_Pieces):
    """A file whose beginning has been read, read again from there."""

    def __init__(self, beginning: bytes, file: io.RawIOBase | io.BufferedReader, name: str = "") -> None:
        super().__init__(iter([beginning]), name)
        self._file = file

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # the types that callers pass
        """Read some bytes."""
        return super().readinto(buffer) or self._file.readinto(buffer) or 0
