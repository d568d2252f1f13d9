from __future__ import annotations

import struct

import pytest
import zstandard

from imgfetch.errors import UnsupportedError, VerificationError
from imgfetch.layers.zstd import FrameScanner, is_skippable
from tests.images import SKIPPABLE, zstd

MAGIC = b"\x28\xb5\x2f\xfd"
MIB = 1024 * 1024


def block(kind: int, size: int, content: bytes, *, last: bool) -> bytes:
    """Return a block; kinds are 0 raw, 1 RLE, 2 compressed, 3 reserved."""
    return (last | kind << 1 | size << 3).to_bytes(3, "little") + content


END = block(0, 0, b"", last=True)


def skippable(nibble: int, content: bytes) -> bytes:
    return struct.pack("<II", 0x184D2A50 + nibble, len(content)) + content


STREAMS = [
    pytest.param(zstd(b"hello"), id="one frame"),
    pytest.param(zstd(b""), id="a frame of nothing"),
    pytest.param(zstd(bytes(300_000)), id="several blocks"),
    pytest.param(zstd(b"hello") + zstd(b"world"), id="two frames"),
    pytest.param(SKIPPABLE + zstd(b"hello"), id="skippable first"),
    pytest.param(zstd(b"hello") + SKIPPABLE + zstd(b"world"), id="skippable in the middle"),
    pytest.param(zstd(b"hello") + SKIPPABLE, id="skippable last"),
    pytest.param(SKIPPABLE, id="skippable alone"),
    pytest.param(skippable(0, b"") + skippable(15, b"x"), id="first and last kind of skippable, one empty"),
    pytest.param(zstandard.ZstdCompressor(write_checksum=False).compress(b"hello"), id="no checksum"),
    pytest.param(
        zstandard.ZstdCompressor(write_content_size=False).compressobj().flush(), id="no content size, nothing in it"
    ),
    pytest.param(MAGIC + b"\x00\x00" + block(1, 100, b"x", last=True), id="a repeated byte"),
    pytest.param(
        MAGIC + b"\x00\x00" + block(0, 3, b"abc", last=False) + block(1, 9, b"x", last=False) + END, id="three blocks"
    ),
    pytest.param(MAGIC + b"\x01\x00" + b"d" + END, id="dictionary of 1 byte"),
    pytest.param(MAGIC + b"\x02\x00" + b"di" + END, id="dictionary of 2 bytes"),
    pytest.param(MAGIC + b"\x03\x00" + b"dict" + END, id="dictionary of 4 bytes"),
    pytest.param(MAGIC + b"\x20" + b"\x00" + END, id="single segment, size of 1 byte"),
    pytest.param(MAGIC + b"\x60" + b"\x00\x00" + END, id="single segment, size of 2 bytes"),
    pytest.param(MAGIC + b"\x80\x00" + bytes(4) + END, id="size of 4 bytes"),
    pytest.param(MAGIC + b"\xc0\x00" + bytes(8) + END, id="size of 8 bytes"),
    pytest.param(MAGIC + b"\x04\x00" + END + b"\x99\xe9\xd8\x51", id="checksum"),
]


@pytest.mark.parametrize("step", [1, 3, MIB])
@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_is_complete_at_the_end_of_its_last_frame(stream: bytes, step: int) -> None:
    scanner = FrameScanner()
    for start in range(0, len(stream), step):
        scanner.feed(stream[start : start + step])
    assert scanner.is_complete


@pytest.mark.parametrize("stream", [zstd(b"hello"), SKIPPABLE, skippable(0, b"")], ids=["frame", "skippable", "empty"])
def test_a_frame_is_not_complete_before_its_last_byte(stream: bytes) -> None:
    for end in range(1, len(stream)):
        scanner = FrameScanner()
        scanner.feed(stream[:end])
        assert not scanner.is_complete, f"{end} of {len(stream)} bytes"


def test_nothing_at_all_is_complete() -> None:
    assert FrameScanner().is_complete


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        pytest.param(SKIPPABLE + zstd(b"hello"), True, id="first"),
        pytest.param(zstd(b"hello") + SKIPPABLE, False, id="last"),
        pytest.param(zstd(b"hello"), False, id="nowhere"),
        pytest.param(b"", False, id="nothing"),
    ],
)
def test_a_skippable_frame_at_the_beginning_is_noticed(stream: bytes, *, expected: bool) -> None:
    # L08
    scanner = FrameScanner()
    scanner.feed(stream)
    assert scanner.begins_with_skippable is expected


def window(exponent: int, mantissa: int = 0) -> bytes:
    """Return the beginning of a frame with a window of ``2**exponent * (1 + mantissa / 8)`` bytes."""
    return MAGIC + b"\x00" + bytes([(exponent - 10) << 3 | mantissa])


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(window(10), id="1 KiB"),
        pytest.param(window(27), id="128 MiB"),
        pytest.param(MAGIC + b"\xe0" + (128 * MIB).to_bytes(8, "little"), id="single segment of 128 MiB"),
        pytest.param(MAGIC + b"\xc0\x00" + (2**40).to_bytes(8, "little"), id="small window, much content"),
    ],
)
def test_a_window_of_up_to_128_mib_is_accepted(head: bytes) -> None:
    scanner = FrameScanner()
    scanner.feed(head + END)
    assert scanner.is_complete


@pytest.mark.parametrize(
    ("head", "shown"),
    [
        pytest.param(window(27, 1), "144 MiB", id="an eighth more than 128 MiB"),
        pytest.param(window(31), "2048 MiB", id="--long=31"),
        pytest.param(window(41, 7), "3932160 MiB", id="the largest there is"),
        pytest.param(MAGIC + b"\xe0" + (200 * MIB).to_bytes(8, "little"), "200 MiB", id="single segment"),
    ],
)
def test_a_larger_window_is_refused_and_named(head: bytes, shown: str) -> None:
    # S27, M22
    with pytest.raises(UnsupportedError, match=f"needs a window of {shown}, more than 128 MiB") as caught:
        FrameScanner().feed(head)
    assert caught.value.hint == "ask the publisher to compress without --long"


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(VerificationError, match="its zstd data is damaged: no frame begins with 00 01 02 03"):
        FrameScanner().feed(zstd(b"hello") + b"\x00\x01\x02\x03")


def test_a_block_of_the_reserved_type_is_refused() -> None:
    with pytest.raises(VerificationError, match="its zstd data is damaged: a block of a reserved type"):
        FrameScanner().feed(MAGIC + b"\x00\x00" + block(3, 0, b"", last=True))


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        pytest.param(skippable(0, b""), True, id="first kind"),
        pytest.param(skippable(15, b"more"), True, id="last kind"),
        pytest.param(skippable(0, b"")[:7], False, id="7 bytes"),
        pytest.param(MAGIC + bytes(4), False, id="a frame"),
        pytest.param(b"\x60\x2a\x4d\x18" + bytes(4), False, id="a kind too far"),
        pytest.param(b"", False, id="nothing"),
    ],
)
def test_a_skippable_frame_is_told_by_eight_bytes(head: bytes, *, expected: bool) -> None:
    assert is_skippable(head) is expected
