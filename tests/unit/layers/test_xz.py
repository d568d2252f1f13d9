from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Sequence

import pytest

from imgfetch.errors import UnsupportedError
from imgfetch.layers.windows import Windows
from imgfetch.layers.xz import XzStream

KIB = 1024
MIB = 1024 * 1024
TEXT = b"some text that is long enough" * 100
SMALL, LARGE = ({"id": lzma.FILTER_LZMA2, "dict_size": size} for size in (64 * KIB, 8 * MIB))


def xz(filters: Sequence[dict[str, int]], content: bytes = TEXT) -> bytes:
    return lzma.compress(content, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=filters)


def integer(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + integer(value >> 7)


def joined(*streams: bytes) -> bytes:
    """Return one stream of the blocks of several with one block each."""
    blocks, records = b"", b""
    for stream in streams:
        length = 4 * (struct.unpack("<I", stream[-8:-4])[0] + 1)
        index = stream[-12 - length : -12]
        blocks += stream[12 : -12 - length]
        records += index[2:-4].rstrip(b"\0")  # behind the number of records, and without the padding
    index = b"\0" + integer(len(streams)) + records
    index += bytes(-len(index) % 4)
    index += struct.pack("<I", zlib.crc32(index))
    footer = struct.pack("<I", len(index) // 4 - 1) + streams[0][6:8]
    return streams[0][:12] + blocks + index + struct.pack("<I", zlib.crc32(footer)) + footer + b"YZ"


def decompressed(data: bytes, windows: Windows, step: int = MIB) -> tuple[bytes, int]:
    """Return what comes out, and the bytes that were leased."""
    with windows.lease() as lease:
        stream = XzStream(lease)
        out = b""
        for at in range(0, len(data), step):
            assert stream.needs_input
            out += stream.decompress(data[at : at + step], MIB)
        assert stream.eof
        assert stream.unused_data == b""
        return out, lease.size


@pytest.mark.parametrize("step", [1, 13, MIB])
@pytest.mark.parametrize("size", [4 * KIB, 6 * KIB, 64 * KIB, 96 * KIB, MIB, 8 * MIB, 64 * MIB, 96 * MIB])
def test_the_dictionary_is_leased_wherever_the_header_is_cut(size: int, step: int) -> None:
    data = xz([{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": size}])
    assert decompressed(data, Windows(), step) == (TEXT, size + MIB)


@pytest.mark.parametrize("step", [1, MIB])
def test_the_dictionary_is_that_of_the_last_filter(step: int) -> None:
    filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_DELTA, "dist": 4}, LARGE]
    assert decompressed(xz(filters), Windows(), step) == (TEXT, 9 * MIB)


def test_a_stream_without_a_block_needs_little() -> None:
    assert decompressed(lzma.compress(b""), Windows()) == (b"", MIB)


def test_a_stream_of_several_blocks_has_one_dictionary() -> None:
    stream = joined(xz([LARGE]), xz([SMALL]), xz([LARGE]))
    assert lzma.decompress(stream) == TEXT * 3
    assert decompressed(stream, Windows()) == (TEXT * 3, 9 * MIB)


def test_a_later_block_with_a_larger_dictionary_is_refused() -> None:
    stream = joined(xz([SMALL]), xz([LARGE]))
    assert lzma.decompress(stream) == TEXT * 2
    with pytest.raises(UnsupportedError, match="its xz data needs more than 1 MiB of memory in a later block"):
        decompressed(stream, Windows())


@pytest.mark.parametrize("flags", range(256))
def test_a_header_with_any_flags_is_left_to_the_library(flags: int) -> None:
    data = bytearray(xz([SMALL]))
    data[13] = flags
    data[20:24] = struct.pack("<I", zlib.crc32(data[12:20]))
    try:
        expected = lzma.decompress(bytes(data))
    except lzma.LZMAError as error:
        with pytest.raises(lzma.LZMAError, match=str(error)):
            decompressed(bytes(data), Windows())
    else:
        assert decompressed(bytes(data), Windows())[0] == expected


@pytest.mark.parametrize("length", [2, 9, 10, 11])
def test_a_header_with_an_integer_of_any_length_is_refused(length: int) -> None:
    header = (bytes([4, 0, 0x21]) + b"\xff" * (length - 1) + b"\x01").ljust(16, b"\0")
    data = xz([SMALL])[:12] + header + struct.pack("<I", zlib.crc32(header))
    with pytest.raises(lzma.LZMAError, match=r"options|Corrupt"):
        decompressed(data, Windows())
