"""The file format of a patch, which docs/patch-format.md describes: a preamble, a head, and blocks."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

import zstandard

from imgfetch.archive.streams import Advanced
from imgfetch.errors import CutShortError, UnsupportedError, VerificationError
from imgfetch.layers.compression import detect
from imgfetch.patch.frames import MAX_FRAME, decompress
from imgfetch.patch.head import MAX_HEAD, Head
from imgfetch.patch.script import MAX_SCRIPT, Script, decode, encode, most_work
from imgfetch.text import sanitize

MAGIC = b"imgfetch patch 1"
_KIND = MAGIC[:-1]
_PREAMBLE = struct.Struct("<16sQ32s")
_BLOCK = struct.Struct("<32sIIII")
_LEVEL = 19


class Block(NamedTuple):
    """Instructions and a frame, which is empty if nothing is new."""

    script: Script
    frame: bytes


class Sealed(NamedTuple):
    """A block that has its digest; its instructions are not read.

    Attributes:
        label: its name in messages.
        script: the frame of its instructions.
        script_size: the bytes of its instructions, as it says.
        frame: the frame of its content, or nothing.
    """

    label: str
    script: bytes
    script_size: int
    frame: bytes


class PatchReader:
    """Reads a patch once, from its first byte to its last.

    Every method raises `VerificationError` if the patch is damaged, and `CutShortError` if it ends early.

    Attributes:
        name: the file's name, safe to show.
        head: the head.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Read the head.

        Raises:
            UnsupportedError: the file is not a patch, or one of a later version.
        """
        self._file, self.name = file, sanitize(name)
        preamble = file.read(_PREAMBLE.size)
        if not preamble.startswith(MAGIC):
            raise self._other(preamble)
        preamble += self._read(_PREAMBLE.size - len(preamble), "its head")
        _, length, digest = _PREAMBLE.unpack(preamble)
        if length > MAX_HEAD:
            raise VerificationError(f"{self.name} has a head of {length} bytes, more than {MAX_HEAD}")
        frame = self._read(length, "its head")
        if hashlib.sha256(frame).digest() != digest:
            raise VerificationError(f"{self.name} is damaged in its head", hint="copy it again")
        with self.naming("its head"):
            self.head = Head.from_bytes(_content(frame), "the head")

    def _other(self, preamble: bytes) -> UnsupportedError | CutShortError:
        """Return the error about a file that does not begin as a patch of this version."""
        if MAGIC.startswith(preamble):
            return CutShortError(f"{self.name} is {'cut short' if preamble else 'empty'}", hint="copy it again")
        if begins_as_patch(preamble):
            return UnsupportedError(f"{self.name} is a patch of a later version", hint="upgrade imgfetch")
        if (compression := detect(preamble)) not in (None, "plain"):
            raw = "; if it was made with --raw, apply it with zstd -d --long=31 --patch-from=OLD"
            return UnsupportedError(
                f"{self.name} is not a patch, but compressed with {compression}",
                hint=f"decompress it first{raw if compression == 'zstd' else ''}",
            )
        return UnsupportedError(f"{self.name} is not a patch", hint="make patches with imgfetch patch OLD NEW -o FILE")

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks, for a reader that has the old layers: only they bound the work.

        Raises:
            VerificationError: one is damaged, or malformed; the message has its number.
        """
        sizes = [layer.size for layer in self.head.base]
        made = work = 0
        for sealed in self.sealed():
            with self.naming(sealed.label):
                block = Block(decode(decompress(sealed.script, b"", sealed.script_size), sizes), sealed.frame)
                made += block.script.size
                work += block.script.work
                if work > most_work(made + sum(sizes)):
                    raise VerificationError("it makes more work than its result needs")
            del sealed
            yield block

    def sealed(self) -> Iterator[Sealed]:
        """Yield the blocks, each with the right digest; this takes time for the bytes of the patch alone.

        Raises:
            VerificationError: one is damaged; the message has its number.
        """
        position = 0
        for number in range(1, self.head.blocks + 1):
            sealed = self._sealed(f"block {number}/{self.head.blocks}")
            position += _BLOCK.size + len(sealed.script) + len(sealed.frame)
            yield sealed
        if position != self.head.length or self._file.read(1):
            raise VerificationError(f"{self.name} has other data behind its last block", hint="copy it again")

    def verify(self, advanced: Advanced | None = None) -> None:
        """Read the rest, and verify that it is undamaged; only `apply` reads the instructions, and verifies the result.

        ``advanced`` is called with numbers of bytes that have been read.
        """
        for sealed in self.sealed():
            if advanced:
                advanced(len(sealed.script) + len(sealed.frame))
        if not self.head.images:
            raise VerificationError(f"{self.name} makes no image")

    @contextmanager
    def naming(self, place: str) -> Iterator[None]:
        """Name the patch and a place in it in the errors of the block."""
        try:
            yield
        except VerificationError as error:
            hint = "make the patch again; copying it again does not help"
            raise error.within(f"{self.name} is malformed in {place}").replace(hint=hint) from None

    def _sealed(self, label: str) -> Sealed:
        header = self._read(_BLOCK.size, label)
        digest, script, script_size, frame, reserved = _BLOCK.unpack(header)
        if max(script, script_size) > MAX_SCRIPT or frame > MAX_FRAME:
            raise VerificationError(f"{self.name} is damaged in {label}: it is too large", hint="copy it again")
        payload = self._read(script + frame, label)
        if hashlib.sha256(header[32:] + payload).digest() != digest:
            raise VerificationError(f"{self.name} is damaged in {label}", hint="copy it again")
        with self.naming(label):
            if reserved:
                raise VerificationError("it is of a later version")
        return Sealed(label, payload[:script], script_size, payload[script:])

    def _read(self, length: int, label: str) -> bytes:
        data = self._file.read(length)
        if len(data) < length:
            raise CutShortError(f"{self.name} is cut short or damaged in {label}", hint="copy it again")
        return data


def begins_as_patch(beginning: bytes) -> bool:
    """Return whether a file with some first bytes is a patch of any version."""
    return beginning.startswith(_KIND)


def write_head(head: Head, out: BinaryIO) -> int:
    """Write everything before the blocks, and return its length."""
    frame = zstandard.ZstdCompressor(level=_LEVEL).compress(head.to_bytes())
    out.write(_PREAMBLE.pack(MAGIC, len(frame), hashlib.sha256(frame).digest()) + frame)
    return _PREAMBLE.size + len(frame)


def write_block(block: Block, out: BinaryIO) -> int:
    """Write a block, and return its length."""
    script = encode(block.script)
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(script)
    rest = struct.pack("<IIII", len(packed), len(script), len(block.frame), 0) + packed + block.frame
    out.write(hashlib.sha256(rest).digest() + rest)
    return 32 + len(rest)


def _content(frame: bytes) -> bytes:
    """Return the content of the head's frame."""
    try:
        size = zstandard.get_frame_parameters(frame).content_size
    except zstandard.ZstdError as error:
        raise VerificationError(f"its frame is damaged ({error})") from None
    if size > MAX_HEAD:
        raise VerificationError(f"its frame has more than {MAX_HEAD} bytes, or does not say how many")
    return decompress(frame, b"", size)
