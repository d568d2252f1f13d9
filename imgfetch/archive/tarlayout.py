"""A tar archive whose members, and so all offsets, are known before the first byte is written.

A file accepts the members' contents in any order; a stream is written in sequence.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, KeysView
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple

from imgfetch.archive import ustar
from imgfetch.defaults import MTIME
from imgfetch.errors import VerificationError
from imgfetch.layers.compression import decompress
from imgfetch.oci.digest import Digest

_BUFFER = 256 * 1024
_STEP = 8 * 1024 * 1024  # bytes per system call, so that an interruption takes effect soon
_CANNOT = frozenset(
    {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM, errno.EBADF, errno.ETXTBSY}
)
"""Errors of systems that cannot copy between two files."""


class UncompressedLayer(NamedTuple):
    """A layer of the registry, to be stored decompressed."""

    digest: Digest
    diff_id: Digest


Blob = Digest | UncompressedLayer
"""A blob of the store, as it is or decompressed."""
Content = bytes | Blob
"""A member's content itself, or the blob with the content."""
Write = Callable[[bytes | memoryview], object]
Opener = Callable[[Digest], AbstractContextManager[BinaryIO]]
"""Opens a blob's verified content, perhaps after waiting for its download."""


class Member(NamedTuple):
    """An entry of the archive; a directory's name ends with a slash."""

    name: str
    size: int
    content: Content = b""

    def header(self, mtime: int) -> bytes:
        """Return the tar blocks before the content."""
        if self.name.endswith("/"):
            return ustar.header(self.name, 0, mtime=mtime, mode=0o755, typeflag=ustar.DIRECTORY)
        return ustar.header(self.name, self.size, mtime=mtime)


class TarLayout:
    """The offset of each member.

    A method raises `OSError` if a file cannot be read or written, `VerificationError` if a blob has the wrong length.
    """

    def __init__(self, members: Iterable[Member], *, mtime: int = MTIME) -> None:
        """Place the members in order; ``mtime`` is the time of every entry in seconds since 1970."""
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

        Some readers accept a stream that ends after a member as a complete archive.  So the stream never pauses there:
        a header is written before imgfetch waits for its blob, and the last byte of a piece with the next piece.
        ``out`` needs only ``write``.
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
        """Compare an archive, positioned at its first byte, with this layout and the digest of every blob."""
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
        """Replace a file's content with everything except the blobs, at full length."""
        out.truncate(0)
        out.truncate(self.size)
        for position, header, member in self._entries:
            out.seek(position - len(header))
            out.write(header + member.content if isinstance(member.content, bytes) else header)
        out.flush()

    def put(self, digest: Digest, position: int, data: bytes, out: BinaryIO) -> None:
        """Write a piece from ``position`` of a blob to its place in a file prepared by `scaffold`, from any thread.

        Excess data is dropped, because it would overwrite another member.  The pieces are not verified here: if they
        turn out to be wrong, the caller must replace them or call `place`.
        """
        for start, member in self._places.get(digest, ()):
            _writer(out, start + position)(memoryview(data)[: max(member.size - position, 0)])

    def place(
        self, content: Blob, open_blob: Opener, out: BinaryIO, *, interrupt: Callable[[], None] = lambda: None
    ) -> None:
        """Write one of `blobs` to its place in a file prepared by `scaffold`, from any thread.

        ``interrupt`` is called often, and raises an error to stop.
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
    """Return a function that writes consecutive pieces from ``position``."""

    def write(data: bytes | memoryview) -> None:
        nonlocal position
        interrupt()
        view = memoryview(data)
        while view:
            count = os.pwrite(out.fileno(), view, position)
            view, position = view[count:], position + count

    return write


def _copied_by_system(blob: BinaryIO, out: BinaryIO, position: int, size: int, interrupt: Callable[[], None]) -> int:
    """Let the system copy without reading the data into this process, and return the number of bytes copied."""
    copied = 0
    if not hasattr(os, "copy_file_range"):  # Python was built for a glibc older than 2.27.
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
    """Write exactly the bytes that the header announces; one more would be read as another entry."""
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
    """Yield up to ``limit`` bytes of a file; each piece is valid until the next one."""
    buffer = memoryview(bytearray(min(_BUFFER, limit)))
    while limit and (count := file.readinto(buffer[:limit])):  # type: ignore[attr-defined]  # a file has it
        limit -= count
        yield buffer[:count]


def _holds(archive: BinaryIO, member: Member) -> bool:
    """Return whether the archive's next bytes are the member's blob."""
    content = member.content
    assert not isinstance(content, bytes)  # noqa: S101  # only called for blobs
    digest = content.diff_id if isinstance(content, UncompressedLayer) else content
    hasher, left = digest.hasher(), member.size
    for piece in _pieces(archive, left):
        hasher.update(piece)
        left -= len(piece)
    return not left and digest.matches(hasher)


def _changed(member: Member) -> VerificationError:
    return VerificationError(
        f"{member.name} changed while it was written", wanted=f"{member.size} bytes", got="another length"
    )
