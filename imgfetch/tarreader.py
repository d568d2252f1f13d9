"""Reads the entries of a tar archive, whoever wrote it.

Our own, for :mod:`tarfile` holds a PAX header in memory however large it says to be, takes a broken header for the
end of the archive, and its filters are for extracting, which is never done here.

Layouts: v7, POSIX.1-1988 ``ustar``, GNU (long names in entries of type ``L`` and ``K``, sizes in base 256) and PAX
(``path``, ``linkpath``, ``size``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from imgfetch.errors import VerificationError
from imgfetch.printable import quoted
from imgfetch.ustar import BLOCK

MAX_ENTRIES = 200_000
MAX_EXTENSION = 1024 * 1024
"""Bytes of a long name or a PAX header at most."""

FILE, DIRECTORY, HARD_LINK, SYMBOLIC_LINK, OTHER = "file", "directory", "hard link", "symbolic link", "special file"

_KINDS = {b"0": FILE, b"\0": FILE, b"7": FILE, b"1": HARD_LINK, b"2": SYMBOLIC_LINK, b"5": DIRECTORY}
_LONG_NAME, _LONG_LINK, _PAX, _GLOBAL_PAX = b"L", b"K", b"x", b"g"
_NAME, _SIZE, _CHECKSUM, _TYPE, _LINK, _MAGIC, _PREFIX = (
    slice(0, 100),
    slice(124, 136),
    slice(148, 156),
    slice(156, 157),
    slice(157, 257),
    slice(257, 263),
    slice(345, 500),
)
_POSIX_MAGIC = b"ustar\0"
_MAX_SIZE = 2**62
_BUFFER = 256 * 1024
_MAX_PADDING = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """A member of an archive.

    Attributes:
        name: its path as it is written.
        kind: `FILE`, `DIRECTORY`, `HARD_LINK`, `SYMBOLIC_LINK` or `OTHER`.
        size: its content's length in bytes.
        link: where a link leads.
    """

    name: str
    kind: str
    size: int
    link: str = ""


class TarReader:
    """Goes through an archive once, from its first byte to its last.

    Attributes:
        position: the offset of the block that is read next, or was read last when an error is raised.
        remarks: what is wrong with the end of the archive, where that does not keep it from being read.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Read from ``file``, which is at the archive's first byte; content is passed over by seeking if it can."""
        self._file = file
        self._can_seek = file.seekable()
        self._left = self._padding = 0
        self.position = 0
        self.remarks: list[str] = []

    def __iter__(self) -> Iterator[Entry]:
        """Yield every member; its content may be read until the next one is asked for.

        Raises:
            VerificationError: this is no tar, or it is damaged.
        """
        for _ in range(MAX_ENTRIES):
            self._skip()
            entry = self._next()
            if entry is None:
                return
            yield entry
        raise VerificationError(f"the tar has too many entries: more than {MAX_ENTRIES}")

    def pieces(self) -> Iterator[memoryview]:
        """Yield the content of the member that was yielded last; each piece is gone when the next one comes.

        Raises:
            VerificationError: the archive ends within it.
        """
        buffer = memoryview(bytearray(min(_BUFFER, self._left) or 1))
        while self._left:
            count = self._file.readinto(buffer[: min(len(buffer), self._left)])  # type: ignore[attr-defined]
            if not count:
                raise self._cut_short()
            self._left -= count
            self.position += count
            yield buffer[:count]

    def head(self, limit: int) -> bytes:
        """Return the first bytes of the member that was yielded last, ``limit`` at most.

        Raises:
            VerificationError: the archive ends within them.
        """
        wanted = min(limit, self._left)
        head = self._file.read(wanted)
        self._left -= len(head)
        self.position += len(head)
        if len(head) < wanted:
            raise self._cut_short()
        return head

    def read(self, limit: int) -> bytes | None:
        """Return the content of the member that was yielded last, or ``None`` if there is more than ``limit``.

        Raises:
            VerificationError: the archive ends within it.
        """
        return None if self._left > limit else b"".join(bytes(piece) for piece in self.pieces())

    def _next(self) -> Entry | None:
        name = link = b""
        size: int | None = None
        for _ in range(8):  # a long name, a long link, a PAX header, and some that mean nothing
            block = self._block()
            if block is None:
                return None
            own, kind = self._number(block[_SIZE]), block[_TYPE]
            self._check(block)
            if kind in (_LONG_NAME, _LONG_LINK, _PAX, _GLOBAL_PAX):
                content = self._extension(own)
                if kind == _LONG_NAME:
                    name = content.partition(b"\0")[0]
                elif kind == _LONG_LINK:
                    link = content.partition(b"\0")[0]
                elif kind == _PAX:
                    records = self._records(content)
                    name, link = records.get(b"path", name), records.get(b"linkpath", link)
                    size = self._decimal(records[b"size"]) if b"size" in records else size
                continue
            return self._entry(block, name or _name(block), link or _text(block[_LINK]), own if size is None else size)
        raise self._damaged("it has one extended header after the other")

    def _entry(self, block: bytes, name: bytes, link: bytes, size: int) -> Entry:
        kind = _KINDS.get(block[_TYPE], OTHER)
        if kind == FILE and name.endswith(b"/"):
            kind = DIRECTORY  # as v7 writes them
        if kind in (FILE, OTHER):
            self._left, self._padding = size, -size % BLOCK
        return Entry(_decoded(name), kind, size if kind in (FILE, OTHER) else 0, _decoded(link))

    def _block(self) -> bytes | None:
        """Return a header, or nothing at the end of the archive."""
        block = self._file.read(BLOCK)
        if not block:
            if not self.position:
                raise VerificationError("it is empty")
            self.remarks.append("the two blocks of zeros that end a tar are missing")
            return None
        if len(block) < BLOCK:
            raise self._damaged("it ends within a header")
        if block.strip(b"\0"):
            self.position += BLOCK
            return block
        second = self._file.read(BLOCK)
        if second.strip(b"\0") or self._has_more():
            self.remarks.append("something stands behind the end of the tar")
        elif len(second) < BLOCK:
            self.remarks.append("one of the two blocks of zeros that end a tar is missing")
        return None

    def _has_more(self) -> bool:
        """Tell whether there is anything but zeros, with which programs fill up the last record, or no end of them."""
        passed = 0
        while piece := self._file.read(_BUFFER):
            passed += len(piece)
            if piece.strip(b"\0") or passed > _MAX_PADDING:
                return True
        return False

    def _check(self, block: bytes) -> None:
        field = block[_CHECKSUM].strip(b" \0")
        wanted = self._octal(field, "checksum")
        blank = block[: _CHECKSUM.start] + b" " * 8 + block[_CHECKSUM.stop :]
        signed = sum(byte - 256 if byte > 127 else byte for byte in blank)  # noqa: PLR2004  # some old programs' way
        if wanted not in (sum(blank), signed):
            raise self._damaged("the checksum of this header is wrong")

    def _extension(self, size: int) -> bytes:
        if size > MAX_EXTENSION:
            raise self._damaged(f"this extended header has {size} bytes, more than {MAX_EXTENSION}")
        self._left, self._padding = size, -size % BLOCK
        content = b"".join(bytes(piece) for piece in self.pieces())
        self._skip()
        return content

    def _records(self, content: bytes) -> dict[bytes, bytes]:
        records = {}
        while content.strip(b"\0"):
            length_text, space, _ = content.partition(b" ")
            length = self._decimal(length_text)
            record, content = content[:length], content[length:]
            key, equals, value = record[len(length_text) + 1 :].partition(b"=")
            if not (space and equals and value.endswith(b"\n") and len(record) == length):
                raise self._damaged("this PAX header is malformed")
            records[key] = value[:-1]
        if any(key.startswith(b"GNU.sparse.") for key in records):
            raise self._damaged("it holds a sparse file, which no image archive needs")
        return records

    def _number(self, field: bytes) -> int:
        """Return a size, in octal digits or in base 256."""
        if field[0] & 0x80:
            value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        else:
            value = self._octal(field.strip(b" \0"), "size")
        if value > _MAX_SIZE:
            raise self._damaged("the size in this header is beyond reason")
        return value

    def _octal(self, text: bytes, what: str) -> int:
        try:
            return int(text or b"0", 8)
        except ValueError:
            raise self._damaged(f"the {what} in this header is no number") from None

    def _decimal(self, text: bytes) -> int:
        if not text.isdigit() or len(text) > 18:  # noqa: PLR2004  # digits of 2**62
            raise self._damaged(f"{quoted(_decoded(text[:40]))} in this PAX header is no number")
        return int(text)

    def _skip(self) -> None:
        """Pass over what is left of an entry, and its padding."""
        count = self._left + self._padding
        if self._can_seek and count > _BUFFER:
            end = self._file.seek(0, 1) + count - 1
            self._file.seek(end)
            if not self._file.read(1):
                raise self._damaged("it ends within this entry")
            self.position += count
        else:
            while count:
                piece = self._file.read(min(count, _BUFFER))
                if not piece:
                    raise self._damaged("it ends within this entry")
                count -= len(piece)
                self.position += len(piece)
        self._left = self._padding = 0

    def _cut_short(self) -> VerificationError:
        return self._damaged(f"it ends {self._left} bytes before the end of this entry")

    def _damaged(self, why: str) -> VerificationError:
        return VerificationError(f"the tar is damaged at byte {self.position}: {why}")


def _name(block: bytes) -> bytes:
    prefix = _text(block[_PREFIX]) if block[_MAGIC] == _POSIX_MAGIC else b""
    return prefix + b"/" + _text(block[_NAME]) if prefix else _text(block[_NAME])


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "backslashreplace")
