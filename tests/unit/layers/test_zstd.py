from __future__ import annotations

import struct

import pytest
import zstandard

from imgfetch.errors import UnsupportedError, VerificationError
from imgfetch.layers.windows import Windows
from imgfetch.layers.zstd import ZstdStream, is_skippable
from tests.images import SKIPPABLE, zstd

MAGIC = b"\x28\xb5\x2f\xfd"
MIB = 1024 * 1024


def block(kind: int, size: int, content: bytes, *, last: bool) -> bytes:
    """Return a block; kinds are 0 raw, 1 RLE, 2 compressed, 3 reserved."""
    return (last | kind << 1 | size << 3).to_bytes(3, "little") + content


END = block(0, 0, b"", last=True)


def skippable(nibble: int, content: bytes) -> bytes:
    return struct.pack("<II", 0x184D2A50 + nibble, len(content)) + content


def decompressed(data: bytes, step: int = MIB) -> tuple[bytes, str | None]:
    """Return what comes out of a stream, and what is odd about it."""
    stream = ZstdStream(Windows().lease())
    out = b"".join(piece for at in range(0, len(data), step) for piece in stream.feed(data[at : at + step]))
    return out, stream.finish()


STREAMS = [
    pytest.param(b"", b"", id="nothing"),
    pytest.param(zstd(b"hello"), b"hello", id="one frame"),
    pytest.param(zstd(b""), b"", id="a frame of nothing"),
    pytest.param(zstd(bytes(300_000)), bytes(300_000), id="several blocks"),
    pytest.param(zstd(b"hello") + zstd(b"world"), b"helloworld", id="two frames"),
    pytest.param(zstd(b"hello") + SKIPPABLE + zstd(b"world"), b"helloworld", id="skippable in the middle"),
    pytest.param(zstd(b"hello") + SKIPPABLE, b"hello", id="skippable last"),
    pytest.param(
        zstd(b"") + skippable(0, b"") + skippable(15, b"x" * 5000), b"", id="first and last kind of skippable"
    ),
    pytest.param(zstandard.ZstdCompressor(write_checksum=False).compress(b"hello"), b"hello", id="no checksum"),
    pytest.param(MAGIC + b"\x00\x00" + block(1, 100, b"x", last=True), b"x" * 100, id="a repeated byte"),
    pytest.param(MAGIC + b"\x20" + b"\x00" + END, b"", id="single segment"),
    pytest.param(zstd(b"hello") * 1000, b"hello" * 1000, id="a thousand frames"),
]


@pytest.mark.parametrize("step", [1, 3, MIB])
@pytest.mark.parametrize(("stream", "content"), STREAMS)
def test_a_stream_is_complete_at_the_end_of_its_last_frame(stream: bytes, content: bytes, step: int) -> None:
    assert decompressed(stream, step) == (content, None)


@pytest.mark.parametrize(
    "stream",
    [zstd(b"hello"), SKIPPABLE, skippable(0, b""), zstandard.ZstdCompressor(write_checksum=True).compress(b"hello")],
    ids=["frame", "skippable", "empty", "checksum"],
)
def test_a_frame_is_not_complete_before_its_last_byte(stream: bytes) -> None:
    for end in range(1, len(stream)):
        with pytest.raises(VerificationError, match="its zstd data ends early"):
            decompressed(stream[:end])


@pytest.mark.parametrize("step", [1, 3, MIB])
@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        pytest.param(SKIPPABLE + zstd(b"hello"), True, id="first"),
        pytest.param(SKIPPABLE, True, id="alone"),
        pytest.param(zstd(b"hello") + SKIPPABLE, False, id="last"),
        pytest.param(zstd(b"hello"), False, id="nowhere"),
    ],
)
def test_a_skippable_frame_at_the_beginning_is_noticed(stream: bytes, step: int, *, expected: bool) -> None:
    _, oddity = decompressed(stream, step)
    assert oddity == (
        "its zstd data begins with a skippable frame; some readers do not recognize it as zstd" if expected else None
    )


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
    assert decompressed(head + END) == (b"", None)


@pytest.mark.parametrize("step", [1, MIB])
@pytest.mark.parametrize(
    "head",
    [
        pytest.param(window(27, 1), id="an eighth more than 128 MiB"),
        pytest.param(window(31), id="--long=31"),
        pytest.param(window(41, 7), id="the largest there is"),
        pytest.param(MAGIC + b"\xe0" + (200 * MIB).to_bytes(8, "little"), id="single segment of 200 MiB"),
    ],
)
def test_a_larger_window_is_refused(head: bytes, step: int) -> None:
    with pytest.raises(UnsupportedError, match="needs a window of more than 128 MiB") as caught:
        decompressed(zstd(b"hello") + head + END, step)
    assert caught.value.hint == "ask the publisher to compress without --long"


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        pytest.param(MAGIC + b"\x00\x00" + block(3, 0, b"", last=True), "corruption", id="a block of a reserved type"),
        pytest.param(MAGIC + b"\x01\x00" + b"d" + END, "Dictionary mismatch", id="a dictionary"),
        pytest.param(MAGIC + b"\x04\x00" + END + bytes(4), "checksum", id="a wrong checksum"),
    ],
)
def test_what_the_library_refuses_is_damage(stream: bytes, why: str) -> None:
    with pytest.raises(VerificationError, match=rf"its zstd data is damaged \(.*{why}"):
        decompressed(stream)


def test_what_comes_out_at_a_time_is_bounded_whatever_the_ratio() -> None:
    # 4 KiB that become 128 MiB
    bomb = MAGIC + b"\x00\x38" + block(1, 128 * 1024, b"\0", last=False) * 1023 + block(1, 128 * 1024, b"\0", last=True)
    sizes = [len(piece) for piece in ZstdStream(Windows().lease()).feed(bomb)]
    assert sum(sizes) == 128 * MIB
    assert max(sizes) <= MIB // 2


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
