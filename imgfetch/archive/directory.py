"""An OCI image layout that is a directory, read as if it were a tar archive of itself.

The files come in a fixed order: the documents, and then all others by name.  Links are not followed, and special files
are not opened.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from itertools import islice
from typing import BinaryIO

from imgfetch.archive import foreign_members
from imgfetch.archive.image_layout import is_image_layout
from imgfetch.archive.lineends import LineEnds
from imgfetch.archive.tarreader import DIRECTORY, FILE, MAX_ENTRIES, TarEntry
from imgfetch.errors import UnsupportedError, VerificationError
from imgfetch.layers.compression import PIECE

_FIRST = ("oci-layout", "index.json", "manifest.json")
_MAX_DEPTH = 8
_MAX_LISTED = 1000


class DirectoryReader:
    """Reads the files of a directory, each once.

    Attributes:
        name: the directory's path, safe to show.
        size: ``None``, as it is not known.
        position: the bytes read.
        is_compressed: false.
        line_ends: not examined.
        warnings: none.
    """

    size: int | None = None
    is_compressed = False

    def __init__(self, directory: int, name: str, advanced: Callable[[int], None] | None = None) -> None:
        """Read an open directory, which stays open; ``advanced`` is called with numbers of bytes.

        Raises:
            UnsupportedError: it is not an OCI image layout.
        """
        self.name = name
        self.position = 0
        self.warnings: list[str] = []
        self.line_ends = LineEnds()
        self._directory = directory
        self._left = 0
        self._advanced = advanced or (lambda _: None)
        self._file: BinaryIO = io.BytesIO()
        if not is_image_layout(directory):
            with os.scandir(directory) as entries:
                names = [entry.name for entry in islice(entries, _MAX_LISTED)]
            raise foreign_members.directory(names).error(name)

    def __iter__(self) -> Iterator[TarEntry]:
        """Yield every file and directory; a file's content can be read until the next one."""
        count = 0
        for where, directories, files, parent in os.fwalk(".", dir_fd=self._directory, onerror=_raise):
            prefix = where.removeprefix(".").removeprefix("/")
            directories.sort()
            count += len(directories) + len(files)
            if count > MAX_ENTRIES or prefix.count("/") > _MAX_DEPTH:
                raise VerificationError(f"the directory has more than {MAX_ENTRIES} entries, or {_MAX_DEPTH} levels")
            for name in directories:
                path = f"{prefix}/{name}".lstrip("/")
                self._check(name, parent, path, stat.S_IFDIR)
                yield TarEntry(path, DIRECTORY, 0)
            for name in sorted(files, key=_order):
                path = f"{prefix}/{name}".lstrip("/")
                self._check(name, parent, path, stat.S_IFREG)
                self.close()
                self._file = _open(name, parent)
                self._left = os.fstat(self._file.fileno()).st_size
                yield TarEntry(path, FILE, self._left)

    def close(self) -> None:
        """Close the current file."""
        self._file.close()

    def head(self, limit: int) -> bytes:
        """Return at most ``limit`` first bytes of the current file."""
        wanted, head = min(limit, self._left), b""
        while len(head) < wanted:
            piece = self._file.read(wanted - len(head))
            if not piece:
                raise self._cut_short()
            head += piece
        self._count(wanted)
        return head

    def pieces(self) -> Iterator[memoryview]:
        """Yield the rest of the current file; each piece is valid until the next one."""
        buffer = memoryview(bytearray(min(PIECE, self._left) or 1))
        while self._left:
            count = self._file.readinto(buffer[: min(len(buffer), self._left)])  # type: ignore[attr-defined]
            if not count:
                raise self._cut_short()
            self._count(count)
            yield buffer[:count]

    def read(self) -> bytes:
        """Return the rest of the current file."""
        return b"".join(bytes(piece) for piece in self.pieces())

    def _count(self, count: int) -> None:
        self._left -= count
        self.position += count
        self._advanced(count)

    def _check(self, name: str, parent: int, path: str, expected: int) -> None:
        """Refuse anything but files and directories; `_open` does not follow a link that replaces a file later."""
        found = stat.S_IFMT(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
        if found != expected:
            kind = "a symbolic link, which imgfetch does not follow" if found == stat.S_IFLNK else "a special file"
            raise UnsupportedError(
                f"{self.name}/{path} is {kind}", hint=f"copy the directory with its contents: cp -rL {self.name} COPY"
            )

    def _cut_short(self) -> VerificationError:
        return VerificationError(f"a file in {self.name} became shorter while it was read")


def _open(name: str, parent: int) -> BinaryIO:
    """Open a file; a link that has replaced it is an error, and a pipe does not block."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.fdopen(os.open(name, flags, dir_fd=parent), "rb", buffering=0)


def _order(name: str) -> tuple[int, str]:
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST)), name


def _raise(error: OSError) -> None:
    raise error
