"""The places from which an archive is read: files, pipes, open files, and directories.

A path is opened once and read once from beginning to end, so a pipe is as good as a file.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Protocol

from imgfetch.archive import foreign
from imgfetch.archive.directory import DirectoryReader
from imgfetch.archive.lineends import LineEnds
from imgfetch.archive.streams import Advanced, CountedFile, Source, joined, size_of
from imgfetch.archive.tarreader import TarEntry, TarReader
from imgfetch.errors import CutShortError, UnsupportedError, VerificationError
from imgfetch.files import storage_errors
from imgfetch.inputs import STDIN, own_descriptor
from imgfetch.layers.compression import HEAD, PIECE, decompress, detect, is_header
from imgfetch.text import sanitize


class Members(Protocol):
    """The members of an archive, in order.

    Attributes:
        name: the archive's path, safe to show.
        size: the length of a regular file, or else ``None``.
        position: the bytes of the tar read so far.
        is_compressed: whether the file is compressed as a whole.
        line_ends: those of the file, as far as it has been read.
        warnings: sentences about faults at the end of the archive.
    """

    name: str
    size: int | None
    position: int
    is_compressed: bool
    line_ends: LineEnds
    warnings: list[str]

    def __iter__(self) -> Iterator[TarEntry]:
        """Yield every member; its content can be read until the next one."""

    def head(self, limit: int) -> bytes:
        """Return at most ``limit`` first bytes of the current member."""

    def pieces(self) -> Iterator[memoryview]:
        """Yield the rest of the current member; each piece is valid until the next one."""

    def read(self) -> bytes:
        """Return the rest of the current member."""


@contextmanager
def opened(source: Source, advanced: Advanced | None = None) -> Iterator[Members]:
    """Open an archive for one reading.

    Args:
        source: a path, also of a pipe or an OCI image layout that is a directory, or an open file.
        advanced: called with numbers of bytes that have been read; of a compressed file, before decompression.

    Raises:
        UnsupportedError: it is neither a tar archive, perhaps compressed, nor an OCI image layout.
        VerificationError: the compressed data is damaged.
        StorageError: it cannot be read.
    """
    name = name_of(source)
    path = Path(source) if isinstance(source, (str, os.PathLike)) else name
    with storage_errors(path, "read"):
        if not isinstance(source, (str, os.PathLike)):
            yield _members(source, name, advanced)
            return
        descriptor = _open(os.fspath(source))
        try:
            if os.isatty(descriptor):
                raise UnsupportedError(f"{name} is a terminal, not an image archive", hint="name a file, or use a pipe")
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                with closing(DirectoryReader(descriptor, name, advanced)) as reader:
                    yield reader
            else:
                with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
                    yield _members(file, name, advanced)
        finally:
            os.close(descriptor)


def name_of(source: Source) -> str:
    """Return a source's name, safe to show."""
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        return "stdin" if path == STDIN else sanitize(path)
    name = getattr(source, "name", "")
    return sanitize(name) if isinstance(name, str) and name and not name.startswith("<") else "stdin"


def can_be_read_again(source: Source) -> bool:
    """Return whether a source is the path of a regular file or a directory; an open file has been read to its end."""
    if not isinstance(source, (str, os.PathLike)) or own_descriptor(source) is not None:
        return False
    return size_of(source) is not None or Path(source).is_dir()


def _open(path: str) -> int:
    """Open a path; an open file of this process is duplicated, because it may be a socket, or another user's file."""
    own = own_descriptor(path)
    if own is not None:
        return os.dup(own)
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)


class _TarMembers(TarReader):
    """The members of a tar, with the name and the size of the file."""

    def __init__(self, tar: BinaryIO, file: CountedFile, name: str, *, is_compressed: bool = False) -> None:
        super().__init__(tar)
        self.name = name
        self.size = file.size
        self.line_ends = file.line_ends
        self.is_compressed = is_compressed


def _members(file: BinaryIO, name: str, advanced: Advanced | None) -> _TarMembers:
    """Return the members of a file, which is decompressed if necessary."""
    counted = CountedFile(file, advanced or (lambda _: None))
    buffered = io.BufferedReader(counted, PIECE)
    beginning = buffered.read(foreign.BEGINNING)
    if buffered.seekable():
        buffered.seek(-len(beginning), os.SEEK_CUR)
        whole: BinaryIO = buffered
    else:
        whole = joined(chain([beginning], iter(partial(buffered.read, PIECE), b"")))
    compression = detect(beginning)
    if compression in ("plain", None):
        _refuse_foreign(beginning, name)
        return _TarMembers(whole, counted, name)
    if is_header(beginning[:HEAD]):
        raise VerificationError(f"{name} is {compression} data to some readers and a tar to others")
    pieces = decompress(whole, is_strict=True)
    beginning = _beginning(pieces, counted, name)
    _refuse_foreign(beginning, name, compression or "")
    return _TarMembers(joined(chain([beginning], pieces)), counted, name, is_compressed=True)


def _beginning(pieces: Iterator[bytes], file: CountedFile, name: str) -> bytes:
    """Return the first pieces of decompressed data."""
    beginning = b""
    try:
        while len(beginning) < foreign.BEGINNING and (piece := next(pieces, None)) is not None:
            beginning += piece
    except CutShortError as error:
        raise VerificationError(f"{name} is cut short: {error}", hint="copy or download it again") from None
    except VerificationError as error:
        if file.line_ends.are_converted:
            raise VerificationError(copied_as_text(name)) from None
        raise VerificationError(f"{name} is damaged: {error}", hint="copy or download it again") from None
    except UnsupportedError as error:
        raise UnsupportedError(f"{name} cannot be read: {error}") from None
    return beginning


def cut_short(members: Members, error: CutShortError) -> str:
    """Return the sentence about an archive that ends early."""
    length = members.size or (0 if members.is_compressed else members.position)
    at = f" at {length} bytes" if length else ""
    if length and error.missing and not members.is_compressed:
        at = f" at {length} of at least {length + error.missing} bytes"
    return f"{members.name} is cut short{at}: copy or download it again"


def copied_as_text(name: str) -> str:
    """Return the sentence about a file with converted line ends."""
    return f"{name} was copied as text, with LF converted to CR LF: copy or write it again in binary mode"


def _refuse_foreign(beginning: bytes, name: str, compression: str = "") -> None:
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
