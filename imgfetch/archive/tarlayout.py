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

from imgfetch.archive import ustar
from imgfetch.defaults import MTIME
from imgfetch.errors import VerificationError
from imgfetch.layers.compression import decompress
from imgfetch.oci.digest import Digest

_BUFFER = 256 * 1024
_STEP = 8 * 1024 * 1024  # bytes that the system copies at a time, between looks at signals
_CANNOT = frozenset(
    {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM, errno.EBADF, errno.ETXTBSY}
)
"""What a system says that cannot copy between these two files by itself."""


@dataclass(frozen=True, slots=True)
class UncompressedLayer:
    """The tar stream of a layer.

    Attributes:
        digest: the layer's, as the registry has it.
        diff_id: the stream's own.
    """

    digest: Digest
    diff_id: Digest


Blob = Digest | UncompressedLayer
"""What stands in the store, as it is or decompressed."""
Content = bytes | Blob
"""A member's content itself, or the blob that it is."""
Write = Callable[[bytes | memoryview], object]
Opener = Callable[[Digest], AbstractContextManager[BinaryIO]]
"""Opens a blob's verified content, and may wait until it is there."""


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of the archive.

    Attributes:
        name: its path; a directory's ends with a slash.
        size: its content's length in bytes.
        content: the content itself, or the blob that it is.
    """

    name: str
    size: int
    content: Content = b""

    def header(self, mtime: int) -> bytes:
        """Return the tar blocks before the content."""
        if self.name.endswith("/"):
            return ustar.header(self.name, 0, mtime=mtime, mode=0o755, typeflag=ustar.DIRECTORY)
        return ustar.header(self.name, self.size, mtime=mtime)


class TarLayout:
    """Where each member stands."""

    def __init__(self, members: Iterable[Member], *, mtime: int = MTIME) -> None:
        """Lay the members out in their order, ``mtime`` being the time of every entry in seconds since 1970."""
        self.members = tuple(members)
        self._entries: list[tuple[int, bytes, Member]] = []
        self._places: dict[Blob, list[tuple[int, Member]]] = {}
        position = 0
        for member in self.members:
            header = member.header(mtime)
            position += len(header)
            self._entries.append((position, header, member))
            if not isinstance(member.content, bytes):
                self._places.setdefault(member.content, []).append((position, member))
            position += ustar.padded(member.size)
        self.size = position + len(ustar.END)

    @property
    def blobs(self) -> KeysView[Blob]:
        """The members that are blobs."""
        return self._places.keys()

    def size_of(self, content: Blob) -> int:
        """Return the length in bytes of one of `blobs`."""
        return self._places[content][0][1].size

    def stream(self, open_blob: Opener, out: BinaryIO) -> None:
        """Write the archive from its first byte to its last.

        Some readers take what ends where a member ends for a whole archive.  So the stream never rests there: a header
        is written before its blob is waited for, and the last byte of each piece goes out with the next one.

        Args:
            open_blob: opens the blobs, which are asked for in the order of the members.
            out: where the bytes go; needs no more than ``write``.

        Raises:
            OSError: ``out`` does not take them.
            VerificationError: a blob has not the length that it should have.
        """
        held = padding = b""

        def write(data: bytes | memoryview) -> None:
            nonlocal held
            if data:
                out.write(b"".join((held, data[:-1])))
                held = bytes(data[-1:])

        for _, header, member in self._entries:
            write(padding + header)
            if isinstance(member.content, bytes):
                write(member.content)
            else:
                with open_blob(_digest(member.content)) as blob:
                    _deliver(blob, member, write)
            padding = ustar.padding(member.size)
        out.write(held + padding + ustar.END)

    def matches(self, archive: BinaryIO) -> bool:
        """Tell whether an archive that is read from its first byte on is this one, by the digest of every blob.

        Raises:
            OSError: it cannot be read.
        """
        for _, header, member in self._entries:
            known = header if not isinstance(member.content, bytes) else header + member.content
            if archive.read(len(known)) != known:
                return False
            if not isinstance(member.content, bytes) and not _holds(archive, member):
                return False
            if archive.read(-member.size % ustar.BLOCK) != ustar.padding(member.size):
                return False
        return archive.read(len(ustar.END) + 1) == ustar.END

    def scaffold(self, out: BinaryIO) -> None:
        """Write all but the blobs into a file, which has its full length and nothing else from then on.

        Raises:
            OSError: it does not take them.
        """
        out.truncate(0)
        out.truncate(self.size)
        for position, header, member in self._entries:
            out.seek(position - len(header))
            out.write(header + member.content if isinstance(member.content, bytes) else header)
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
        for start, member in self._places.get(digest, ()):
            _writer(out, start + position)(memoryview(data)[: max(member.size - position, 0)])

    def place(
        self, content: Blob, open_blob: Opener, out: BinaryIO, *, interrupt: Callable[[], None] = lambda: None
    ) -> None:
        """Write a blob where it belongs in a file that `scaffold` made ready; from any thread.

        Args:
            content: one of `blobs`.
            open_blob: opens it.
            out: the file.
            interrupt: is called often, and raises to end the work.

        Raises:
            OSError: the file does not take it.
            VerificationError: the blob has not the length that it should have.
        """
        for position, member in self._places[content]:
            with open_blob(_digest(content)) as blob:
                copied = 0
                if not isinstance(content, UncompressedLayer):
                    copied = _copied_by_system(blob, out, position, member.size, interrupt)
                _deliver(blob, member, _writer(out, position + copied, interrupt), copied)


def _digest(content: Blob) -> Digest:
    return content.digest if isinstance(content, UncompressedLayer) else content


def _writer(out: BinaryIO, position: int, interrupt: Callable[[], None] = lambda: None) -> Write:
    """Return what writes one piece after the other, from a position in a file on."""

    def write(data: bytes | memoryview) -> None:
        nonlocal position
        interrupt()
        view = memoryview(data)
        while view:
            count = os.pwrite(out.fileno(), view, position)
            view, position = view[count:], position + count

    return write


def _copied_by_system(blob: BinaryIO, out: BinaryIO, position: int, size: int, interrupt: Callable[[], None]) -> int:
    """Let the system copy what it can, for then no byte passes through here; return how much that is."""
    copied = 0
    if not hasattr(os, "copy_file_range"):  # as in a Python that was built for an older glibc than 2.27
        return copied
    try:
        while copied < size:
            interrupt()
            count = os.copy_file_range(
                blob.fileno(), out.fileno(), min(_STEP, size - copied), copied, position + copied
            )
            if not count:
                break
            copied += count
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    return copied


def _deliver(blob: BinaryIO, member: Member, write: Write, start: int = 0) -> None:
    """Hand on as many bytes as the header announces and no more: one more would be taken for another entry.

    Raises:
        VerificationError: there are others.
    """
    left = member.size - start
    if not isinstance(member.content, UncompressedLayer):
        blob.seek(start)
    for piece in decompress(blob) if isinstance(member.content, UncompressedLayer) else _pieces(blob, left + 1):
        left -= len(piece)
        if left < 0:
            raise _changed(member)
        write(piece)
    if left:
        raise _changed(member)


def _pieces(file: BinaryIO, limit: int) -> Iterator[memoryview]:
    """Yield what a file holds from here on, up to a limit; each piece is gone when the next one comes."""
    buffer = memoryview(bytearray(min(_BUFFER, limit)))
    while limit and (count := file.readinto(buffer[:limit])):  # type: ignore[attr-defined]  # a file has it
        limit -= count
        yield buffer[:count]


def _holds(archive: BinaryIO, member: Member) -> bool:
    """Tell whether an archive goes on with what a member should hold."""
    content = member.content
    assert not isinstance(content, bytes)  # noqa: S101  # it is called for blobs
    digest = content.diff_id if isinstance(content, UncompressedLayer) else content
    hasher, left = digest.hasher(), member.size
    for piece in _pieces(archive, left):
        hasher.update(piece)
        left -= len(piece)
    return not left and digest.matches(hasher)


def _changed(member: Member) -> VerificationError:
    return VerificationError(
        f"{member.name} was changed while it was written", wanted=f"{member.size} bytes", got="others"
    )
