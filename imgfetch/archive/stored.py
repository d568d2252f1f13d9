"""Archives that are verified first and then read again: any member, from any position, by several threads.

`imgfetch.archive.scan` reads an archive once, from its first byte to its last, and says where each member is.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from imgfetch.archive.scan import ScannedMember
from imgfetch.archive.source import copied, open_descriptor
from imgfetch.archive.streams import Advanced, CountedFile, Source, Spool, name_of
from imgfetch.archive.verify import Examined, examine
from imgfetch.errors import VerificationError
from imgfetch.files import BUFFER, storage_errors

PIECE = 64 * 1024
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Reading = Callable[[], AbstractContextManager[Advanced]]


@dataclass(frozen=True, eq=False)
class StoredArchive:
    """An archive that was verified.

    Attributes:
        name: its path, safe to show.
        descriptor: the open tar, or directory.
        start: the position of the tar in the file.
        is_directory: whether it is an OCI image layout that is a directory.
    """

    name: str
    descriptor: int
    start: int = 0
    is_directory: bool = False

    def pieces(self, member: ScannedMember, start: int, length: int) -> Iterator[bytes]:
        """Yield some bytes of a file, which may have changed since it was verified.

        Raises:
            VerificationError: it became shorter.
            StorageError: it cannot be read.
        """
        with storage_errors(Path(self.name), "read"), self._opened(member) as (descriptor, offset):
            position, end = offset + start, offset + start + length
            while position < end:
                piece = os.pread(descriptor, min(PIECE, end - position), position)
                if not piece:
                    raise changed(self.name)
                position += len(piece)
                yield piece

    @contextmanager
    def _opened(self, member: ScannedMember) -> Iterator[tuple[int, int]]:
        """Yield an open file, and the position of a member's content in it."""
        if not self.is_directory:
            yield self.descriptor, self.start + member.offset
            return
        descriptor = os.open(member.entry.name, _FLAGS, dir_fd=self.descriptor)
        try:
            yield descriptor, 0
        finally:
            os.close(descriptor)


@contextmanager
def examined(path: str | os.PathLike[str], spool: Spool, reading: Reading) -> Iterator[tuple[Examined, StoredArchive]]:
    """Verify an archive, and yield its contents and the open archive; the errors are those of `verify`.

    ``reading`` yields a function that is called with numbers of bytes while the archive is verified.  A pipe is copied
    to a file from ``spool`` first, and the content of a compressed archive while it is verified.
    """
    name = name_of(path)
    with ExitStack() as stack:
        with storage_errors(Path(path), "read"):
            descriptor = open_descriptor(os.fspath(path))
        stack.callback(os.close, descriptor)
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            with reading() as advanced:
                found = examine(path, advanced=advanced)
            yield found, StoredArchive(name, descriptor, is_directory=True)
            return
        source: Source = path
        if not stat.S_ISREG(mode) and not os.isatty(descriptor):
            pipe = CountedFile(stack.enter_context(os.fdopen(os.dup(descriptor), "rb", 0)), lambda _: None)
            source = file = _copied(stack, iter(lambda: pipe.read(BUFFER), b""), spool, name)
            descriptor = file.fileno()
        start = os.lseek(descriptor, 0, os.SEEK_CUR)
        copies: list[BinaryIO] = []

        def copy() -> BinaryIO:
            copies.append(stack.enter_context(spool()))
            return copies[0]

        with reading() as advanced:
            found = examine(source, advanced=advanced, copy=copy)
        yield found, StoredArchive(name, *((copies[0].fileno(), 0) if copies else (descriptor, start)))


def changed(name: str) -> VerificationError:
    """Return the error about an archive that differs from the one that was verified."""
    return VerificationError(f"{name} was changed after it was verified", hint="run the same command again")


def _copied(stack: ExitStack, pieces: Iterable[bytes], spool: Spool, name: str) -> BinaryIO:
    """Return a file with a copy of some data, at its beginning."""
    file = stack.enter_context(spool())
    with storage_errors(f"a temporary copy of {name}", "write"):
        for _ in copied(pieces, file, f"a temporary copy of {name}"):
            pass
        file.seek(0)
    return file
