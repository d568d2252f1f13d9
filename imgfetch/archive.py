"""A tar archive whose every member, and so every offset, is known before the first byte is written.

A file takes the members in whatever order their contents come; a stream takes them one after the other.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, KeysView
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO

from imgfetch import ustar
from imgfetch.defaults import MTIME
from imgfetch.digest import Digest
from imgfetch.errors import VerificationError

_BUFFER = 256 * 1024
_STEP = 8 * 1024 * 1024  # bytes that the system copies at a time, between looks at signals
CAN_PUT = hasattr(os, "pwrite")
"""Whether pieces can be written from any thread."""
_CANNOT = frozenset(
    {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM, errno.EBADF, errno.ETXTBSY}
)
"""What a system says that cannot copy between these two files by itself."""


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of the archive.

    Attributes:
        name: its path; a directory's ends with a slash.
        size: its content's length in bytes.
        content: the content itself, or the digest of the blob that it is.
    """

    name: str
    size: int
    content: bytes | Digest = b""

    def header(self, mtime: int) -> bytes:
        """Return the tar blocks before the content."""
        if self.name.endswith("/"):
            return ustar.header(self.name, 0, mtime=mtime, mode=0o755, typeflag=ustar.DIRECTORY)
        return ustar.header(self.name, self.size, mtime=mtime)


Opener = Callable[[Digest], AbstractContextManager[BinaryIO]]
"""Opens a blob's verified content, and may wait until it is there."""


class Layout:
    """Where each member stands."""

    def __init__(self, members: Iterable[Member], *, mtime: int = MTIME) -> None:
        """Lay the members out in their order, ``mtime`` being the time of every entry in seconds since 1970."""
        self._entries: list[tuple[int, bytes, Member]] = []
        self._places: dict[Digest, list[tuple[int, Member]]] = {}
        position = 0
        for member in members:
            header = member.header(mtime)
            position += len(header)
            self._entries.append((position, header, member))
            if isinstance(member.content, Digest):
                self._places.setdefault(member.content, []).append((position, member))
            position += ustar.padded(member.size)
        self.size = position + len(ustar.END)

    @property
    def blobs(self) -> KeysView[Digest]:
        """The digests of the members that are blobs."""
        return self._places.keys()

    def stream(self, open_blob: Opener, out: BinaryIO) -> None:
        """Write the archive from its first byte to its last.

        Args:
            open_blob: opens the blobs, which are asked for in the order of the members.
            out: where the bytes go; needs no more than ``write``.

        Raises:
            OSError: ``out`` does not take them.
            VerificationError: a blob has not the length that it should have.
        """
        for _, header, member in self._entries:
            if isinstance(member.content, Digest):
                with open_blob(member.content) as blob:
                    out.write(header)
                    for chunk in _exactly(blob, member):  # noqa: FURB122  # a stream may have no other method
                        out.write(chunk)
            else:
                out.write(header + member.content)
            out.write(ustar.padding(member.size))
        out.write(ustar.END)

    def scaffold(self, out: BinaryIO) -> None:
        """Write all but the blobs into a file, which has its full length from then on.

        Raises:
            OSError: it does not take them.
        """
        out.truncate(self.size)
        for position, header, member in self._entries:
            out.seek(position - len(header))
            out.write(header if isinstance(member.content, Digest) else header + member.content)
        out.flush()

    def put(self, digest: Digest, position: int, data: bytes, out: BinaryIO) -> None:
        """Write a piece of a blob where it belongs in a file that `scaffold` made ready; from any thread.

        What is too much is left out, for it would stand in another member.  Whether the whole is right is not known
        before its end: who puts pieces calls `place` if they were not, or puts others in their place.

        Args:
            digest: the blob.
            position: where in the blob the piece begins.
            data: the piece.
            out: the file.

        Raises:
            OSError: the file does not take it.
        """
        for start, member in self._places[digest]:
            view = memoryview(data)[: max(member.size - position, 0)]
            at = start + position
            while view:
                count = os.pwrite(out.fileno(), view, at)
                view, at = view[count:], at + count

    def place(self, digest: Digest, blob: BinaryIO, out: BinaryIO) -> None:
        """Write a blob where it belongs in a file that `scaffold` made ready.

        Raises:
            OSError: the file does not take it.
            VerificationError: the blob has not the length that it should have.
        """
        for position, member in self._places[digest]:
            blob.seek(0)
            _place(blob, out, position, member)
        out.flush()


def _place(blob: BinaryIO, out: BinaryIO, position: int, member: Member) -> None:
    """Copy a blob into a file, by the system where it can, for then no byte passes through here."""
    end = position + member.size
    while position < end:
        copied = _copied_by_system(blob, out, position, min(_STEP, end - position))
        if not copied:
            break
        position += copied
    out.seek(position)
    out.writelines(_exactly(blob, member, end - position))


def _copied_by_system(blob: BinaryIO, out: BinaryIO, position: int, count: int) -> int:
    """Return how many bytes the system copied; none where it cannot."""
    if not hasattr(os, "copy_file_range"):
        return 0
    try:
        return os.copy_file_range(blob.fileno(), out.fileno(), count, None, position)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        return 0


def _exactly(blob: BinaryIO, member: Member, left: int | None = None) -> Iterator[memoryview]:
    """Yield the bytes that the header announces and no more: one more would be taken for another entry.

    Raises:
        VerificationError: there are others.
    """
    left = member.size if left is None else left
    buffer = memoryview(bytearray(min(_BUFFER, left + 1)))
    while count := blob.readinto(buffer[: left + 1]):  # type: ignore[attr-defined]  # a file has it
        left -= count
        if left < 0:
            break
        yield buffer[:count]
    if left:
        raise VerificationError(
            f"{member.name} was changed while it was written", wanted=f"{member.size} bytes", got="others"
        )
