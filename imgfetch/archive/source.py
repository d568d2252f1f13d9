"""The places from which an archive is read: files, pipes, open files, and directories.

A path is opened once and read once from beginning to end, so a pipe is as good as a file.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Protocol

from imgfetch.archive import foreign
from imgfetch.archive.directory import DirectoryReader
from imgfetch.archive.lineends import LineEnds
from imgfetch.archive.streams import BUFFER, Advanced, CountedFile, Resumed, Source, Spool, joined, name_of, size_of
from imgfetch.archive.tarreader import TarEntry, TarReader
from imgfetch.errors import CutShortError, UnsupportedError, VerificationError
from imgfetch.files import storage_errors
from imgfetch.inputs import own_descriptor
from imgfetch.layers.compression import HEAD, decompress, detect, is_header


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
def opened(source: Source, advanced: Advanced | None = None, copy: Spool | None = None) -> Iterator[Members]:
    """Open an archive for one reading.

    Args:
        source: a path, also of a pipe or an OCI image layout that is a directory, or an open file.
        advanced: called with numbers of bytes that have been read; of a compressed file, before decompression.
        copy: opens a temporary file, which receives the tar of a compressed file as it is read.

    Raises:
        UnsupportedError: it is neither a tar archive, perhaps compressed, nor an OCI image layout.
        VerificationError: the compressed data is damaged.
        StorageError: it cannot be read.
    """
    name = name_of(source)
    path = Path(source) if isinstance(source, (str, os.PathLike)) else name
    with storage_errors(path, "read"):
        if not isinstance(source, (str, os.PathLike)):
            yield _members(source, name, advanced, copy)
            return
        descriptor = open_descriptor(os.fspath(source))
        try:
            if os.isatty(descriptor):
                raise UnsupportedError(f"{name} is a terminal, not an image archive", hint="name a file, or use a pipe")
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                with closing(DirectoryReader(descriptor, name, advanced)) as reader:
                    yield reader
            else:
                with os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
                    yield _members(file, name, advanced, copy)
        finally:
            os.close(descriptor)


def can_be_read_again(source: Source) -> bool:
    """Return whether a source is the path of a regular file or a directory; an open file has been read to its end."""
    if not isinstance(source, (str, os.PathLike)) or own_descriptor(source) is not None:
        return False
    return size_of(source) is not None or Path(source).is_dir()


def open_descriptor(path: str) -> int:
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


def _members(file: BinaryIO, name: str, advanced: Advanced | None, copy: Spool | None) -> _TarMembers:
    """Return the members of a file, which is decompressed if necessary."""
    counted = CountedFile(file, advanced or (lambda _: None))
    beginning = _read(counted, foreign.BEGINNING)
    if counted.seekable():
        counted.seek(-len(beginning), os.SEEK_CUR)
    whole = io.BufferedReader(counted if counted.seekable() else Resumed(beginning, counted), BUFFER)
    compression = detect(beginning)
    if compression in ("plain", None):
        _refuse_foreign(beginning, name)
        return _TarMembers(whole, counted, name)
    if is_header(beginning[:HEAD]):
        raise VerificationError(f"{name} is {compression} data to some readers and a tar to others")
    pieces = decompress(whole, is_strict=True)
    if copy:
        pieces = copied(pieces, copy(), f"a temporary copy of {name}")
    try:
        beginning = _beginning(pieces, counted, name)
    except UnsupportedError as error:
        command = "zstd -d --long=31" if compression == "zstd" else f"{compression} -d"
        hint = f"decompress it with {command}, and read the result, which may come through a pipe"
        raise UnsupportedError(f"{name} cannot be read: {error}", hint=hint) from None
    _refuse_foreign(beginning, name, compression or "")
    return _TarMembers(joined(chain([beginning], pieces)), counted, name, is_compressed=True)


def _read(file: CountedFile, size: int) -> bytes:
    """Return the first bytes of a file, fewer only at its end."""
    found = b""
    while len(found) < size and (piece := file.read(size - len(found))):
        found += piece
    return found


def copied(pieces: Iterable[bytes], copy: BinaryIO, label: str) -> Iterator[bytes]:
    """Yield the pieces, each after it was written to a file without a buffer, which messages call by the label."""
    for piece in pieces:
        view = memoryview(piece)
        with storage_errors(label, "write"):
            while view:
                view = view[copy.write(view) :]
        yield piece
    with storage_errors(label, "write"):
        copy.flush()


def _beginning(pieces: Iterator[bytes], file: CountedFile, name: str) -> bytes:
    """Return the first pieces of decompressed data."""
    beginning = b""
    try:
        while len(beginning) < foreign.BEGINNING and (piece := next(pieces, None)) is not None:
            beginning += piece
    except VerificationError as error:
        if file.line_ends.are_converted:
            raise VerificationError(copied_as_text(name)) from None
        state = "cut short" if isinstance(error, CutShortError) else "damaged"
        raise VerificationError(f"{name} is {state}: {error}", hint="copy or download it again") from None
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
