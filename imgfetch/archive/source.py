"""The places from which an archive is read: files, pipes, open files, and directories.

A path is opened once and read once from beginning to end, so a pipe is as good as a file.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Protocol

from imgfetch.archive import foreign
from imgfetch.archive.directory import DirectoryReader
from imgfetch.archive.tarreader import TarEntry, TarReader
from imgfetch.errors import UnsupportedError, VerificationError
from imgfetch.files import storage_errors
from imgfetch.layers.compression import HEAD, PIECE, decompress, detect, is_header
from imgfetch.text import sanitize

Source = str | os.PathLike[str] | BinaryIO


class Members(Protocol):
    """The members of an archive, in order.

    Attributes:
        name: the archive's path, safe to show.
        size: the length of a regular file, or else ``None``.
        position: the bytes of the tar read so far.
        is_tar: whether the tar has a valid header, so that faults are damage.
        warnings: sentences about harmless faults at the end of the archive.
    """

    name: str
    size: int | None
    position: int
    is_tar: bool
    warnings: list[str]

    @property
    def consumed(self) -> int:
        """The bytes of the file read so far; of a compressed one, before decompression."""

    def __iter__(self) -> Iterator[TarEntry]:
        """Yield every member; its content can be read until the next one."""

    def head(self, limit: int) -> bytes:
        """Return at most ``limit`` first bytes of the current member."""

    def pieces(self) -> Iterator[memoryview]:
        """Yield the rest of the current member; each piece is valid until the next one."""

    def read(self) -> bytes:
        """Return the rest of the current member."""


@contextmanager
def opened(source: Source) -> Iterator[Members]:
    """Open an archive for one reading.

    Args:
        source: a path, also of a pipe or an OCI image layout that is a directory, or an open file.

    Raises:
        UnsupportedError: it is neither a tar archive, perhaps compressed, nor an OCI image layout.
        VerificationError: the compressed data is damaged.
        StorageError: it cannot be read.
    """
    name = name_of(source)
    path = Path(source) if isinstance(source, (str, os.PathLike)) else name
    with storage_errors(path, "read"):
        if not isinstance(source, (str, os.PathLike)):
            yield _members(source, name)
            return
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                yield DirectoryReader(descriptor, name)
            else:
                with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
                    yield _members(file, name)
        finally:
            os.close(descriptor)


def name_of(source: Source) -> str:
    """Return a source's name, safe to show."""
    if isinstance(source, (str, os.PathLike)):
        return sanitize(os.fspath(source))
    name = getattr(source, "name", "")
    return sanitize(name) if isinstance(name, str) and name and not name.startswith("<") else "stdin"


class _TarMembers(TarReader):
    """The members of a tar, with the name and the size of the file."""

    def __init__(self, tar: BinaryIO, file: _Counted, name: str) -> None:
        super().__init__(tar)
        self.name = name
        self.size = _size(file)
        self._source = file

    @property
    def consumed(self) -> int:
        """The bytes of the file read so far."""
        return self._source.count


def _members(file: BinaryIO, name: str) -> _TarMembers:
    """Return the members of a file, which is decompressed if necessary."""
    counted = _Counted(file)
    buffered = io.BufferedReader(counted, PIECE)
    beginning = buffered.read(foreign.BEGINNING)
    if counted.seekable():
        buffered.seek(-len(beginning), os.SEEK_CUR)
        whole: BinaryIO = buffered
    else:
        whole = _joined(beginning, iter(partial(buffered.read, PIECE), b""))
    compression = detect(beginning)
    if compression not in ("plain", None):
        if is_header(beginning[:HEAD]):
            raise VerificationError(f"{name} is {compression} data to some readers and a tar to others")
        whole, beginning = _decompressed(whole, name)
    else:
        compression = ""
    _refuse_foreign(beginning, name, compression)
    return _TarMembers(whole, counted, name)


def _decompressed(file: BinaryIO, name: str) -> tuple[BinaryIO, bytes]:
    """Return decompressed data as a file, and its beginning."""
    pieces = decompress(file, is_strict=True)
    beginning = b""
    try:
        for piece in pieces:
            beginning += piece
            if len(beginning) >= foreign.BEGINNING:
                break
    except VerificationError as error:
        raise VerificationError(f"{name} is damaged: {error}", hint="copy or download it again") from None
    except UnsupportedError as error:
        raise UnsupportedError(f"{name} cannot be read: {error}") from None
    return _joined(beginning, pieces), beginning


def _refuse_foreign(beginning: bytes, name: str, compression: str) -> None:
    """Refuse a file that cannot be a tar archive."""
    if detect(beginning) == "plain" and beginning[:HEAD].strip(b"\0"):
        return
    found = foreign.recognize(beginning)
    if found is None:
        nested = f", but {compression} data within {compression} data" if compression and detect(beginning) else ""
        raise UnsupportedError(
            f"{name} is not an image archive{nested or ': it is neither a tar nor compressed in a known format'}",
            hint="name a file that was written by imgfetch save, docker save, podman save or skopeo copy",
        )
    raise found.error(name, compression)


def _joined(beginning: bytes, rest: Iterator[bytes]) -> BinaryIO:
    return io.BufferedReader(_Pieces(chain([beginning], rest)), PIECE)


def _size(file: _Counted) -> int | None:
    """Return the length of a regular file."""
    try:
        status = os.fstat(file.fileno())
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


class _Counted(io.RawIOBase):
    """Another file, which stays open, and the number of bytes read from it.

    Attributes:
        count: the bytes that are read or skipped.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._is_regular = _is_seekable(file)
        self.count = 0

    def fileno(self) -> int:
        return self._file.fileno()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._is_regular

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.count = self._file.seek(offset, whence)
        return self.count

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # the types that callers pass
        count: int = self._file.readinto(buffer)  # type: ignore[attr-defined]
        self.count += count
        return count


def _is_seekable(file: BinaryIO) -> bool:
    """Return whether a file can be rewound; devices only seem to support it."""
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (OSError, ValueError, AttributeError):
        return isinstance(file, io.BytesIO)


class _Pieces(io.RawIOBase):
    """A readable file made of pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
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
