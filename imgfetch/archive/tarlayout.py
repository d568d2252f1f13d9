"""A tar archive whose members, and so all offsets, are known before the first byte is written.

A file accepts the members' contents in any order; a stream is written in sequence.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, KeysView
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple, Protocol

from imgfetch.archive import ustar
from imgfetch.defaults import MTIME
from imgfetch.errors import VerificationError
from imgfetch.layers import compression
from imgfetch.layers.compression import decompress
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest

_BUFFER = 256 * 1024


class UncompressedLayer(NamedTuple):
    """A layer of the registry, to be stored decompressed."""

    digest: Digest
    diff_id: Digest


Blob = Digest | UncompressedLayer
"""A blob of the store, as it is or decompressed."""
Content = bytes | Blob
"""A member's content itself, or the blob with the content."""
Write = Callable[[bytes | memoryview], object]


class Readable(compression.Readable, Protocol):
    """A file, or what reads like one."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Read bytes into a buffer, and return their number, 0 at the end."""


Opener = Callable[[Digest], AbstractContextManager[Readable]]
"""Opens a blob's content, perhaps after waiting for its download; its end raises an error if the bytes were wrong."""


class Documents(Protocol):
    """The manifests, indexes and configs of an archive, which are not kept in memory."""

    def read(self, digest: Digest, /) -> bytes:
        """Return a document."""

    def put(self, descriptor: Descriptor, content: bytes, /) -> None:
        """Add a document."""


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
        self._mtime = mtime
        self._entries: list[tuple[int, Member]] = []
        self._places: dict[Blob, list[tuple[int, Member]]] = {}
        position = 0
        for member in self.members:
            position += len(member.header(mtime))
            self._entries.append((position, member))
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

        for member in self.members:
            write(padding + member.header(self._mtime))
            if isinstance(member.content, bytes):
                write(member.content)
            else:
                with open_blob(_digest(member.content)) as blob:
                    _deliver(blob, member, write)
            padding = ustar.padding(member.size)
        out.write(held + padding + ustar.END)

    def parts(self) -> Iterator[Content]:
        """Yield the archive from its first byte to its last, with each blob in the place of its content."""
        padding = b""
        for member in self.members:
            yield padding + member.header(self._mtime)
            yield member.content
            padding = ustar.padding(member.size)
        yield padding + ustar.END

    def matches(self, archive: BinaryIO) -> bool:
        """Compare an archive, positioned at its first byte, with this layout and the digest of every blob."""
        for member in self.members:
            header = member.header(self._mtime)
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
        for position, member in self._entries:
            header = member.header(self._mtime)
            out.seek(position - len(header))
            out.write(header + member.content if isinstance(member.content, bytes) else header)
        out.flush()

    def put(self, blob: Blob, position: int, data: bytes, out: BinaryIO) -> None:
        """Write a piece from ``position`` of a blob to its place in a file prepared by `scaffold`, from any thread.

        A blob that is not a member has no place.  Excess data is dropped, because it would overwrite another member.
        The pieces are not verified here: if they turn out to be wrong, the caller must replace them or call `place`.
        """
        for start, member in self._places.get(blob, ()):
            _writer(out, start + position)(memoryview(data)[: max(member.size - position, 0)])

    def place(
        self, content: Blob, open_blob: Opener, out: BinaryIO, *, interrupt: Callable[[], None] = lambda: None
    ) -> None:
        """Write one of `blobs` to its place in a file prepared by `scaffold`, from any thread.

        ``interrupt`` is called often, and raises an error to stop.
        """
        for position, member in self._places[content]:
            with open_blob(_digest(content)) as blob:
                _deliver(blob, member, _writer(out, position, interrupt))


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


def _deliver(blob: Readable, member: Member, write: Write) -> None:
    """Write exactly the bytes that the header announces; one more would be read as another entry."""
    left = member.size
    for piece in decompress(blob) if isinstance(member.content, UncompressedLayer) else _pieces(blob, left + 1):
        left -= len(piece)
        if left < 0:
            raise _changed(member)
        write(piece)
    if left:
        raise _changed(member)


def _pieces(file: Readable, limit: int) -> Iterator[memoryview]:
    """Yield up to ``limit`` bytes of a file; each piece is valid until the next one."""
    buffer = memoryview(bytearray(min(_BUFFER, limit)))
    while limit and (count := file.readinto(buffer[:limit])):
        limit -= count
        yield buffer[:count]


def _holds(archive: BinaryIO, member: Member) -> bool:
    """Return whether the archive's next bytes are the member's blob."""
    content = member.content
    assert not isinstance(content, bytes)  # noqa: S101  # only called for blobs
    digest = content.diff_id if isinstance(content, UncompressedLayer) else content
    hasher, left = digest.hasher(), member.size
    while left and (piece := archive.read(min(_BUFFER, left))):
        hasher.update(piece)
        left -= len(piece)
    return not left and digest.matches(hasher)


def _changed(member: Member) -> VerificationError:
    return VerificationError(
        f"{member.name} changed while it was written", wanted=f"{member.size} bytes", got="another length"
    )
