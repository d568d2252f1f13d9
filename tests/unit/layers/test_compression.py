from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zlib
from collections.abc import Callable

import pytest

from imgfetch.errors import UnsupportedError, VerificationError
from imgfetch.layers import inflate
from imgfetch.layers.compression import PIECE, decompressor, detect
from imgfetch.layers.windows import WINDOWS
from tests.images import SKIPPABLE, gz, multi_member_gzip, tar, zstd
from tests.oracle.streams import NAME, member

MIB = 1024 * 1024
TAR = tar({"etc/": b"", "etc/motd": b"welcome\n" * 50})

Compress = Callable[[bytes], bytes]
COMPRESSIONS: dict[str, Compress] = {"gzip": gz, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd}


@pytest.fixture(autouse=True, params=inflate.LIBRARIES, ids=lambda library: library.__name__)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each library of this machine decompress gzip."""
    monkeypatch.setattr(inflate, "LIBRARIES", (request.param,))


def decompressed(name: str, data: bytes, step: int = MIB) -> tuple[bytes, str | None]:
    """Return what comes out, and what is odd about it."""
    stream = decompressor(name, WINDOWS.lease())
    out = b"".join(piece for at in range(0, len(data), step) for piece in stream.feed(data[at : at + step]))
    return out, stream.finish()


def old_tar() -> bytes:
    """Return a tar as before POSIX, which only its checksum tells from anything else."""
    header = bytearray(tar({"x": b"content"}))
    header[257:265] = bytes(8)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    return bytes(header)


def standard_tar(kind: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        archive.addfile(tarfile.TarInfo("x"))
    return out.getvalue()


@pytest.mark.parametrize(
    ("head", "name"),
    [
        pytest.param(gz(b"x"), "gzip", id="gzip"),
        pytest.param(bz2.compress(b"x"), "bzip2", id="bzip2"),
        pytest.param(lzma.compress(b"x"), "xz", id="xz"),
        pytest.param(zstd(b"x"), "zstd", id="zstd"),
        pytest.param(SKIPPABLE, "zstd", id="zstd's skippable frame"),
        pytest.param(TAR, "plain", id="ustar"),
        pytest.param(standard_tar(tarfile.GNU_FORMAT), "plain", id="GNU tar"),
        pytest.param(standard_tar(tarfile.PAX_FORMAT), "plain", id="PAX"),
        pytest.param(old_tar(), "plain", id="tar before POSIX"),
        pytest.param(bytes(1024), "plain", id="empty tar"),
        pytest.param(b"", "plain", id="nothing"),
        pytest.param(bytes(10), "plain", id="a few zeros"),
        pytest.param(b"\x1f\x8b", None, id="half a magic"),
        pytest.param(b"\x1f\x8b\x07" + bytes(600), None, id="gzip of an unknown method"),
        pytest.param(lzma.compress(b"x", format=lzma.FORMAT_ALONE), None, id="lzma"),
        pytest.param(b"PK\x03\x04" + bytes(600), None, id="zip"),
        pytest.param(b'{"_type":"https://in-toto.io/Statement/v0.1"}', None, id="JSON"),
        pytest.param(b"\x00asm\x01\x00\x00\x00" * 100, None, id="WebAssembly"),
        pytest.param(TAR[:257] + bytes(8) + TAR[265:], None, id="tar with a wrong checksum and no magic"),
        pytest.param(b"\x00" * 511 + b"x", None, id="zeros and something"),
    ],
)
def test_the_first_bytes_tell_the_compression(head: bytes, name: str | None) -> None:
    assert detect(head) == name


@pytest.mark.parametrize("step", [1, 13, MIB])
@pytest.mark.parametrize(
    ("name", "data", "plain"),
    [
        pytest.param("plain", TAR, TAR, id="plain"),
        pytest.param("gzip", gz(TAR), TAR, id="gzip"),
        pytest.param("gzip", gz(b""), b"", id="gzip of nothing"),
        pytest.param("gzip", multi_member_gzip(TAR, 100), TAR, id="gzip members"),
        pytest.param("bzip2", bz2.compress(TAR), TAR, id="bzip2"),
        pytest.param("bzip2", bz2.compress(TAR[:700]) + bz2.compress(TAR[700:]), TAR, id="bzip2 streams"),
        pytest.param("xz", lzma.compress(TAR), TAR, id="xz"),
        pytest.param("xz", lzma.compress(TAR[:700]) + lzma.compress(TAR[700:]), TAR, id="xz streams"),
        pytest.param("xz", lzma.compress(TAR[:700]) + bytes(8) + lzma.compress(TAR[700:]), TAR, id="xz's own padding"),
        pytest.param("zstd", zstd(TAR), TAR, id="zstd"),
        pytest.param("zstd", zstd(TAR[:700]) + zstd(TAR[700:]), TAR, id="zstd frames"),
        pytest.param("zstd", zstd(TAR[:9]) + SKIPPABLE + zstd(TAR[9:]) + SKIPPABLE, TAR, id="zstd's skippable frames"),
        pytest.param("deflate", zlib.compress(TAR), TAR, id="HTTP's deflate"),
    ],
)
def test_what_was_compressed_comes_out_again(name: str, data: bytes, plain: bytes, step: int) -> None:
    assert decompressed(name, data, step) == (plain, None)


@pytest.mark.parametrize("step", [1, 13, MIB])
@pytest.mark.parametrize(
    ("name", "data", "oddity"),
    [
        pytest.param("gzip", gz(TAR) + bytes(700), "zeros separate or follow its gzip streams", id="padded"),
        pytest.param(
            "gzip",
            gz(TAR[:9]) + bytes(3) + gz(TAR[9:]),
            "zeros separate or follow its gzip streams",
            id="zeros between members",
        ),
        pytest.param("gzip", gz(TAR) + b"junk", "extra bytes follow its gzip data", id="garbage"),
        pytest.param("gzip", gz(TAR) + bytes(9) + b"junk", "extra bytes follow its gzip data", id="both"),
        pytest.param("gzip", gz(TAR) + b"\x1f\x8b", "extra bytes follow its gzip data", id="half a magic behind"),
        pytest.param(
            "gzip",
            gz(TAR) + b"\x1f\x8bjunk" + gz(b"more"),
            "extra bytes follow its gzip data",
            id="nothing is read behind garbage",
        ),
        pytest.param("gzip", gz(TAR) + b"\x1f\x8b\x08", "extra bytes follow its gzip data", id="a magic behind"),
        pytest.param("zstd", zstd(TAR) + zstd(TAR)[:3], "extra bytes follow its zstd data", id="most of zstd's magic"),
        pytest.param("bzip2", bz2.compress(TAR) + b"junk", "extra bytes follow its bzip2 data", id="bzip2"),
        pytest.param("xz", lzma.compress(TAR) + b"junk", "extra bytes follow its xz data", id="xz"),
        pytest.param("zstd", zstd(TAR) + b"junk" * 9, "extra bytes follow its zstd data", id="zstd"),
        pytest.param("zstd", zstd(TAR) + bytes(3), "extra bytes follow its zstd data", id="zstd and a few zeros"),
        pytest.param("zstd", zstd(TAR) + SKIPPABLE[:5], "extra bytes follow its zstd data", id="half a frame's header"),
        pytest.param("zstd", zstd(TAR) + b"junk" * 9 + zstd(TAR), "extra bytes follow its zstd data", id="zstd behind"),
        pytest.param("deflate", zlib.compress(TAR) + b"junk", "extra bytes follow its deflate data", id="deflate"),
        pytest.param(
            "zstd",
            SKIPPABLE + SKIPPABLE + zstd(TAR),
            "its zstd data begins with a skippable frame; some readers do not recognize it as zstd",
            id="skippable frame first",
        ),
    ],
)
def test_what_is_odd_is_left_out_and_told(name: str, data: bytes, oddity: str, step: int) -> None:
    assert decompressed(name, data, step) == (TAR, oddity)


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_data_that_is_cut_short_anywhere_is_refused(name: str) -> None:
    data = COMPRESSIONS[name](b"hello\n" * 20)
    for end in range(1, len(data)):
        with pytest.raises(VerificationError, match=f"its {name} data ends early"):
            decompressed(name, data[:end])


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_a_second_stream_that_is_cut_short_is_refused(name: str) -> None:
    first, second = (COMPRESSIONS[name](text) for text in (b"hello", b"world"))
    with pytest.raises(VerificationError, match=f"its {name} data ends early"):
        decompressed(name, first + second[:-1])


def test_a_second_member_that_is_cut_short_before_its_content_is_refused() -> None:
    with pytest.raises(VerificationError, match="its gzip data ends early"):
        decompressed("gzip", gz(TAR) + member(TAR, flags=NAME, fields=b"a long name\0")[:15])


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_damaged_data_is_refused(name: str) -> None:
    data = bytearray(COMPRESSIONS[name](TAR))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(VerificationError, match=f"its {name} data is damaged"):
        decompressed(name, bytes(data))


def test_a_wrong_checksum_is_damage() -> None:
    data = bytearray(gz(TAR))
    data[-8] ^= 1
    with pytest.raises(VerificationError, match="its gzip data is damaged"):
        decompressed("gzip", bytes(data))


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_a_bomb_comes_out_in_small_pieces(name: str) -> None:
    # 16 MiB of zeros are about a thousandth of that in gzip, and less in the others
    size = 16 * MIB
    data = COMPRESSIONS[name](bytes(size))
    stream = decompressor(name, WINDOWS.lease())
    pieces = [len(piece) for piece in stream.feed(data)]
    stream.finish()
    assert len(data) < size // 900
    assert sum(pieces) == size
    assert max(pieces) <= (MIB // 4 if name != "zstd" else 32 * MIB)


def test_a_hundred_thousand_gzip_members_are_all_read() -> None:
    # were the rest of the data copied for each member, this would take minutes
    data = gz(b"x") * 100_000
    plain, oddity = decompressed("gzip", data, len(data))
    assert len(plain) == 100_000
    assert set(plain) == {ord("x")}
    assert oddity is None


@pytest.mark.parametrize("step", [1000, MIB])
def test_gzip_that_hardly_compresses_comes_out_whole(step: int) -> None:
    plain = b"".join(struct.pack("<I", number * 2654435761 % 2**32) for number in range(PIECE // 2))
    assert decompressed("gzip", gzip.compress(plain, 1), step) == (plain, None)


def test_xz_that_needs_much_memory_is_refused() -> None:
    # the same stream, made to say that its dictionary is 256 MiB large
    data = bytearray(lzma.compress(TAR, check=lzma.CHECK_CRC32))
    length = (data[12] + 1) * 4
    assert data[14:16] == b"\x21\x01"  # LZMA2, one byte of properties
    data[16] = 32
    data[12 + length - 4 : 12 + length] = struct.pack("<I", zlib.crc32(data[12 : 12 + length - 4]))
    with pytest.raises(UnsupportedError, match="its xz data needs more than 128 MiB of memory"):
        decompressed("xz", bytes(data))
