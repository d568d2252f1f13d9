"""Reading of any tool's tar archive, by the rules of `tarheader`.

:mod:`tarfile` is unsuitable: it holds a PAX header of any size in memory, accepts a broken header as the end of the
archive, and its filters are for extracting, which imgfetch never does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from imgfetch.archive import tarheader
from imgfetch.archive.tarheader import Extensions
from imgfetch.archive.ustar import BLOCK
from imgfetch.errors import CutShortError, VerificationError
from imgfetch.layers.tarheaders import EXTENSIONS, Header, HeaderError, decoded, has_right_checksum

MAX_ENTRIES = 50_000
MAX_EXTENSION = 64 * 1024
"""Maximum bytes of a long name or a PAX header."""
_MAX_EXTENSIONS = 16 * 1024 * 1024

FILE, DIRECTORY, HARD_LINK, SYMBOLIC_LINK = "file", "directory", "hard link", "symbolic link"

_KINDS = {
    tarheader.FILE: FILE,
    tarheader.OLD_FILE: FILE,
    tarheader.HARD_LINK: HARD_LINK,
    tarheader.SYMBOLIC_LINK: SYMBOLIC_LINK,
    tarheader.DIRECTORY: DIRECTORY,
}
_BUFFER = 256 * 1024
_MAX_PADDING = 64 * 1024 * 1024


class TarEntry(NamedTuple):
    """A member of an archive.

    Attributes:
        name: the path as written.
        kind: `FILE`, `DIRECTORY`, `HARD_LINK` or `SYMBOLIC_LINK`.
        size: in bytes.
        link: a link's target.
    """

    name: str
    kind: str
    size: int
    link: str = ""


class TarReader:
    """Reads an archive once, from its first byte to its last.

    Every method raises `VerificationError` if the file is damaged, ends too early, or is not a tar archive.

    Attributes:
        position: the offset of the next block, or of the last one read when an error is raised.
        warnings: sentences about faults at the end of the archive.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Start at the current position of ``file``; content is skipped by seeking if possible."""
        self._file = file
        self._can_seek = file.seekable()
        self._left = self._padding = self._extended = 0
        self.position = 0
        self.warnings: list[str] = []

    def __iter__(self) -> Iterator[TarEntry]:
        """Yield every member; its content can be read until the next one."""
        for _ in range(MAX_ENTRIES):
            self._skip()
            entry = self._next()
            if entry is None:
                return
            yield entry
        raise VerificationError(f"the tar has too many entries: more than {MAX_ENTRIES}")

    def pieces(self) -> Iterator[memoryview]:
        """Yield the content of the current member; each piece is valid until the next one."""
        buffer = memoryview(bytearray(min(_BUFFER, self._left) or 1))
        while self._left:
            count = self._file.readinto(buffer[: min(len(buffer), self._left)])  # type: ignore[attr-defined]
            if not count:
                raise self._cut_short(self._left + self._padding)
            self._left -= count
            self.position += count
            yield buffer[:count]

    def head(self, limit: int) -> bytes:
        """Return at most ``limit`` first bytes of the current member."""
        wanted = min(limit, self._left)
        head = self._file.read(wanted)
        self._left -= len(head)
        self.position += len(head)
        if len(head) < wanted:
            raise self._cut_short(self._left + self._padding)
        return head

    def read(self) -> bytes:
        """Return the rest of the content of the current member."""
        return b"".join(bytes(piece) for piece in self.pieces())

    def _next(self) -> TarEntry | None:
        extensions, has_extension = Extensions(), False
        while block := self._block():
            try:
                header = self._header(block)
                if header.kind not in EXTENSIONS:
                    return self._entry(extensions.applied(header))
                extensions.add(header.kind, self._extension(header.size))
                has_extension = True
            except HeaderError as error:
                raise self._damaged(str(error)) from None
        if has_extension:
            raise self._damaged("the entry of an extended header is missing")
        return None

    def _header(self, block: bytes) -> Header:
        if not has_right_checksum(block):
            raise HeaderError("the checksum of this header is wrong")
        return tarheader.parse(block)

    def _entry(self, header: Header) -> TarEntry:
        kind = _KINDS[header.kind]
        if header.kind == tarheader.OLD_FILE and header.name.endswith(b"/"):
            kind = DIRECTORY  # as in the v7 format
        if header.size and kind != FILE:
            raise HeaderError(f"this entry is a {kind} with content, which some readers parse as more entries")
        if header.link and kind in (FILE, DIRECTORY):
            raise HeaderError(f"this entry is a {kind} with a link's target")
        self._left, self._padding = header.size, -header.size % BLOCK
        return TarEntry(decoded(header.name), kind, header.size, decoded(header.link))

    def _block(self) -> bytes | None:
        """Return a header, or nothing at the end of the archive."""
        block = self._file.read(BLOCK)
        if not block:
            if not self.position:
                raise VerificationError("it is empty")
            self.warnings.append("the two zero blocks at the end of the tar are missing")
            return None
        if len(block) < BLOCK:
            self.position += len(block)
            raise self._cut_short(BLOCK - len(block))
        if block.strip(b"\0"):
            self.position += BLOCK
            return block
        second = self._file.read(BLOCK)
        if second.strip(b"\0") or self._has_more():
            self.warnings.append("other data follows the end of the tar")
        elif len(second) < BLOCK:
            self.warnings.append("one of the two zero blocks at the end of the tar is missing")
        return None

    def _has_more(self) -> bool:
        """Return whether more follows than a reasonable number of zeros, which programs use to fill the last record."""
        passed = 0
        while piece := self._file.read(_BUFFER):
            passed += len(piece)
            if piece.strip(b"\0") or passed > _MAX_PADDING:
                return True
        return False

    def _extension(self, size: int) -> bytes:
        self._extended += size
        if size > MAX_EXTENSION or self._extended > _MAX_EXTENSIONS:
            raise self._damaged(f"its extended headers are too long: {size} bytes here, {self._extended} in all")
        self._left, self._padding = size, -size % BLOCK
        content = self.read()
        self._skip()
        return content

    def _skip(self) -> None:
        """Skip the rest of an entry and its padding."""
        count = self._left + self._padding
        if self._can_seek and count > _BUFFER:
            end = self._file.seek(count - 1, os.SEEK_CUR)
            if not self._file.read(1):
                raise self._cut_short(end + 1 - self._file.seek(0, os.SEEK_END))
            self.position += count
        else:
            while count:
                piece = self._file.read(min(count, _BUFFER))
                if not piece:
                    raise self._cut_short(count)
                count -= len(piece)
                self.position += len(piece)
        self._left = self._padding = 0

    def _cut_short(self, missing: int) -> CutShortError:
        text = f"the tar ends at byte {self.position}, {missing} bytes before the end of this entry"
        return CutShortError(text, missing=missing)

    def _damaged(self, why: str) -> VerificationError:
        return VerificationError(f"the tar is damaged at byte {self.position}: {why}")
