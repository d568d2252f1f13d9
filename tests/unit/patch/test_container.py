"""The file of a patch, read with bounds."""

from __future__ import annotations

import hashlib
import io
import struct

import pytest
import zstandard

from imgfetch.errors import VerificationError
from imgfetch.oci.digest import Digest
from imgfetch.patch.container import MAGIC, Block, PatchReader, write_block, write_head
from imgfetch.patch.frames import compress, compression_library, decompress
from imgfetch.patch.head import MAX_HEAD, Head
from imgfetch.patch.rebuild import rebuilt
from imgfetch.patch.script import Script, Take

CONTENT = b"content" * 100
BLOCK = Block(Script((), (Take(700),)), compress(CONTENT, b"", compression_library()))


def patch(*blocks: Block, size: int = 0, more: int = 0, rest: bytes = b"") -> PatchReader:
    """Return a patch without old layers; ``more`` is added to the length of its blocks."""
    body, out = io.BytesIO(), io.BytesIO()
    length = sum(write_block(block, body) for block in blocks) + more
    write_head(Head((), Digest.of(b""), size, (), (), len(blocks) + bool(rest), length + len(rest)), out)
    return PatchReader(io.BytesIO(out.getvalue() + body.getvalue() + rest), "x.patch")


def test_a_patch_is_read_as_it_was_written() -> None:
    assert list(patch(BLOCK, BLOCK).blocks()) == [BLOCK, BLOCK]
    assert b"".join(rebuilt(patch(BLOCK, BLOCK, size=1400), ())) == CONTENT * 2


def test_a_head_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(VerificationError, match="has a head of 16777217 bytes, more than 16777216"):
        PatchReader(io.BytesIO(MAGIC + struct.pack("<Q32s", MAX_HEAD + 1, b"")), "x.patch")


def test_a_head_that_becomes_too_long_is_refused_before_it_is_decompressed() -> None:
    frame = zstandard.ZstdCompressor().compress(bytes(MAX_HEAD + 1))
    raw = MAGIC + struct.pack("<Q32s", len(frame), hashlib.sha256(frame).digest()) + frame
    with pytest.raises(
        VerificationError, match=r"x\.patch is malformed in its head: its frame has more than 16777216 bytes"
    ):
        PatchReader(io.BytesIO(raw), "x.patch")


@pytest.mark.parametrize("lengths", [(2**22 + 1, 0, 0), (0, 2**22 + 1, 0), (0, 0, 2**26)])
def test_a_block_that_is_too_large_is_refused_before_it_is_read(lengths: tuple[int, int, int]) -> None:
    with pytest.raises(VerificationError, match="is damaged in block 1/1: it is too large"):
        list(patch(rest=struct.pack("<32sIIII", b"", *lengths, 0)).blocks())


@pytest.mark.parametrize("more", [-1, 1])
def test_the_length_of_all_blocks_is_that_of_the_head(more: int) -> None:
    with pytest.raises(VerificationError, match="has other data behind its last block"):
        list(patch(BLOCK, more=more).blocks())


def test_a_frame_has_the_size_that_its_block_says() -> None:
    with pytest.raises(VerificationError, match="its frame has another size"):
        decompress(BLOCK.frame, b"", 699)


def test_a_frame_has_one_frame_and_nothing_else() -> None:
    with pytest.raises(VerificationError, match="its frame is damaged"):
        decompress(BLOCK.frame * 2, b"", 700)


def test_no_more_is_written_than_the_head_says() -> None:
    pieces = rebuilt(patch(BLOCK, BLOCK, size=1399), ())
    assert next(pieces) == CONTENT
    with pytest.raises(VerificationError, match="makes an archive of another size"):
        next(pieces)
