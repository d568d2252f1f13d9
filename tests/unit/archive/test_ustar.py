from __future__ import annotations

import io
import tarfile

import pytest

from imgfetch.archive import ustar

LONG = f"blobs/sha512/{'0123456789abcdef' * 8}"


def test_a_header_is_these_bytes() -> None:
    assert ustar.header("oci-layout", 30, mtime=1) == (
        b"oci-layout".ljust(100, b"\0")
        + b"0000644\0"
        + b"0000000\0"  # uid
        + b"0000000\0"  # gid
        + b"00000000036\0"  # size
        + b"00000000001\0"  # mtime
        + b"011215\0 "  # checksum
        + b"0"
        + bytes(100)  # no link
        + b"ustar\x0000"
        + bytes(32)  # no user name
        + bytes(32)  # no group name
        + b"0000000\0"
        + b"0000000\0"
        + bytes(155)
        + bytes(12)
    )


def read(header: bytes, content: bytes = b"") -> tarfile.TarInfo:
    """Return what the standard library makes of a header."""
    archive = header + content + bytes(-len(content) % 512) + bytes(1024)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        (member,) = tar.getmembers()
        return member


@pytest.mark.parametrize(
    ("name", "size", "mtime", "mode"),
    [
        pytest.param("index.json", 0, 1, 0o644, id="empty"),
        pytest.param("index.json", 1234, 1, 0o644, id="small"),
        pytest.param("a/b", 5, 0, 0o755, id="executable"),
        pytest.param("n" * 100, 5, 1_700_000_000, 0o600, id="longest name of a block"),
        pytest.param("n" * 101, 5, 1, 0o644, id="long name"),
        pytest.param(LONG, 5, 8**11 - 1, 0o644, id="name of a sha512 blob, latest time"),
    ],
)
def test_the_standard_library_reads_a_file_back(name: str, size: int, mtime: int, mode: int) -> None:
    member = read(ustar.header(name, size, mtime=mtime, mode=mode), bytes(size))
    assert (member.name, member.size, member.mtime, member.mode) == (name, size, mtime, mode)
    assert (member.uid, member.gid, member.uname, member.gname, member.linkname) == (0, 0, "", "", "")
    assert member.isreg()


def test_the_standard_library_reads_a_directory_back() -> None:
    member = read(ustar.header("blobs/", 0, mtime=1, mode=0o755, typeflag=ustar.DIRECTORY))
    assert (member.name, member.mode, member.size) == ("blobs", 0o755, 0)
    assert member.isdir()


@pytest.mark.parametrize(
    ("size", "field", "magic"),
    [
        pytest.param(8 * 1024**3 - 1, b"77777777777\0", b"ustar\x0000", id="largest in octal"),
        pytest.param(8 * 1024**3, b"\x80\0\0\0\0\0\0\x02\0\0\0\0", b"ustar  \0", id="8 GiB"),
        pytest.param(10**13 + 1, b"\x80\0\0\0\0\0\x09\x18\x4e\x72\xa0\x01", b"ustar  \0", id="10 TB"),
        pytest.param(
            2**63 - 1, b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", b"ustar  \0", id="largest that Go reads"
        ),
    ],
)
def test_a_size_of_8_gib_or_more_is_written_in_base_256(size: int, field: bytes, magic: bytes) -> None:
    header = ustar.header("layer", size, mtime=1)
    assert len(header) == 512
    assert header[124:136] == field
    assert header[257:265] == magic
    assert tarfile.TarInfo.frombuf(header, "ascii", "strict").size == size


def test_a_name_of_100_bytes_takes_one_block() -> None:
    header = ustar.header("n" * 100, 0, mtime=1)
    assert len(header) == 512
    assert header[:100] == b"n" * 100


def test_a_longer_name_stands_in_an_entry_of_its_own() -> None:
    header = ustar.header(LONG, 7, mtime=1)
    announcement, name, own = header[:512], header[512:1024], header[1024:]
    assert announcement[:100] == b"././@LongLink".ljust(100, b"\0")
    assert announcement[124:136] == b"00000000216\0"  # 141 characters and NUL
    assert announcement[156:157] == b"L"
    assert announcement[257:265] == b"ustar  \0"
    assert name == LONG.encode().ljust(512, b"\0")
    assert own[:100] == LONG[:100].encode()
    assert own[124:136] == b"00000000007\0"
    assert len(own) == 512


@pytest.mark.parametrize("size", [0, 1, 8 * 1024**3])
@pytest.mark.parametrize("name", ["x", "blobs/sha256/ab", "~" * 100])
def test_the_checksum_is_the_sum_of_the_other_bytes_and_eight_spaces(name: str, size: int) -> None:
    header = ustar.header(name, size, mtime=1)
    others = header[:148] + header[156:]
    assert header[148:156] == b"%06o\0 " % (sum(others) + 8 * 32)


def test_a_name_that_is_not_ascii_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        ustar.header("\u00e9", 0, mtime=1)


@pytest.mark.parametrize(
    ("size", "padding", "padded"),
    [(0, 0, 0), (1, 511, 512), (511, 1, 512), (512, 0, 512), (513, 511, 1024)],
)
def test_content_is_filled_up_to_whole_blocks(size: int, padding: int, padded: int) -> None:
    assert ustar.padding(size) == bytes(padding)
    assert ustar.padded(size) == padded


def test_an_archive_ends_with_two_blocks_of_zeros() -> None:
    assert bytes(1024) == ustar.END
