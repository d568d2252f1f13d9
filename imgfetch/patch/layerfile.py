"""A decompressed layer that can be read at any position: in its archive, or in a temporary file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from imgfetch.errors import VerificationError
from imgfetch.files import storage_errors
from imgfetch.layers.compression import Readable
from imgfetch.oci.digest import Digest
from imgfetch.patch.script import Span

PIECE = 1024 * 1024
"""Bytes that are read at once: so many that two threads seldom wait for each other."""


class LayerFile(NamedTuple):
    """A layer whose content was verified.

    Attributes:
        diff_id: its digest.
        size: its length in bytes.
        file: an open file that contains it.
        start: the position of its first byte there.
    """

    diff_id: Digest
    size: int
    file: BinaryIO
    start: int = 0

    def read(self, position: int, length: int) -> bytes:
        """Return the bytes from a position, fewer at the end of the layer, and none behind it.

        Raises:
            VerificationError: the file became shorter.
            StorageError: the file cannot be read.
        """
        return read_at(self.file, self.start + position, max(0, min(length, self.size - position)))

    def pieces(self, position: int, length: int) -> Iterator[bytes]:
        """Yield a part of the layer."""
        end = position + length
        while position < end:
            piece = self.read(position, min(PIECE, end - position))
            yield piece
            position += len(piece)


class Part:
    """A part of a file as a file of its own, which is read once."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._position, self._end = file, start, start + size

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, and none at the end."""
        piece = read_at(self._file, self._position, min(size, self._end - self._position))
        self._position += len(piece)
        return piece


def gathered(layers: Sequence[LayerFile], spans: Sequence[Span]) -> bytearray:
    """Return parts of layers, one after the other; they do not go beyond a layer's end.

    Raises:
        VerificationError: a file became shorter.
        StorageError: a file cannot be read.
    """
    content = bytearray(sum(span.length for span in spans))
    left = memoryview(content)
    for number, position, length in spans:
        layer = layers[number]
        _read_into(left[:length], layer.file, layer.start + position)
        left = left[length:]
    return content


def pieces(content: Readable) -> Iterator[bytes]:
    """Yield the rest of some content."""
    while piece := content.read(PIECE):
        yield piece


def read_at(file: BinaryIO, position: int, length: int) -> bytes:
    """Return exactly ``length`` bytes of a file; any thread may call it.

    Raises:
        VerificationError: the file became shorter.
        StorageError: the file cannot be read.
    """
    with storage_errors(str(file.name), "read"):
        data = os.pread(file.fileno(), length, position)
    if len(data) < length:
        rest = bytearray(length - len(data))
        _read_into(memoryview(rest), file, position + len(data))
        data += rest
    return data


def _read_into(target: memoryview, file: BinaryIO, position: int) -> None:
    with storage_errors(str(file.name), "read"):
        while target:
            count = os.preadv(file.fileno(), [target], position)
            if not count:
                raise VerificationError(f"{file.name} became shorter while it was read")
            target, position = target[count:], position + count


def temporary(name: str = "") -> BinaryIO:
    """Return a temporary file, which is removed when it is closed; messages call it by the ``name``, if it has one.

    Raises:
        StorageError: there is no place for one.
    """
    with storage_errors("a temporary file", "create"):
        file = tempfile.TemporaryFile(prefix="imgfetch-")  # noqa: SIM115  # the caller closes it
    if name:
        file.raw.name = name  # type: ignore[attr-defined]  # as any file of `io.FileIO`, it has one
    return file
