"""Headers of a tar: what Go refuses, or reads differently from others, is refused."""

from __future__ import annotations

import io

import pytest

from imgfetch.archive.tarreader import DIRECTORY, FILE, TarEntry, TarReader
from imgfetch.errors import VerificationError
from imgfetch.layers.compression import detect
from tests.headers import GNU, NO_NUMBERS, USTAR, V7, checked, entry, header, pax, record

NUMBERS = ["mode", "owner", "group", "size", "time", "major device number", "minor device number"]
END = bytes(1024)


def read(*blocks: bytes) -> list[TarEntry]:
    return list(TarReader(io.BytesIO(b"".join(blocks) + END)))


def refused(*blocks: bytes) -> str:
    with pytest.raises(VerificationError, match=r"^the tar is damaged at byte ") as caught:
        read(*blocks)
    return str(caught.value)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize("field", NUMBERS)
def test_a_number_in_a_header_is_octal_digits_only(field: str, value: bytes) -> None:
    assert f"the {field} in this header is not a number" in refused(header(fields={field: value}))


@pytest.mark.parametrize("value", [b"", b" ", b"0", b" 0 ", b"\0 0\0", b"0000000", b"0000 \0"], ids=repr)
@pytest.mark.parametrize("field", NUMBERS)
def test_spaces_and_nuls_around_a_number_are_allowed(field: str, value: bytes) -> None:
    assert read(header(fields={field: value})) == [TarEntry("a", FILE, 0)]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_a_checksum_is_octal_digits_only(value: bytes) -> None:
    block = header()
    assert "the checksum in this header is not a number" in refused(block[:148] + value.ljust(8, b"\0") + block[156:])


def test_a_layer_without_a_magic_is_known_by_a_checksum_in_octal_digits_only() -> None:
    block = header(fields={"magic": V7})
    assert detect(block) == "plain"
    assert detect(block[:148] + b"+" + block[149:]) is None


@pytest.mark.parametrize(
    "value", [b"\xff" * 12, b"\xc0" + bytes(11), b"\x80\xff" + bytes(10), b"\x80" + bytes(3) + b"\x80" + bytes(7)]
)
def test_a_negative_or_huge_size_in_base_256_is_refused(value: bytes) -> None:
    assert "the size in this header is out of range" in refused(header(fields={"size": value}))


def test_a_time_in_base_256_may_be_negative_but_no_more_than_64_bits() -> None:
    assert read(header(fields={"time": b"\xff" * 12}))
    assert "out of range" in refused(header(fields={"time": b"\x80" + b"\xff" * 11}))


def test_device_numbers_are_looked_at_in_the_formats_that_have_them_only() -> None:
    fields = {"major device number": b"-1"}
    assert read(header(fields={**fields, "magic": V7}))
    for magic in (USTAR, GNU):
        refused(header(fields={**fields, "magic": magic}))


@pytest.mark.parametrize("kind", [b"0", b"\0", b"7"], ids=repr)
def test_a_file_whose_name_ends_with_a_slash_has_no_content(kind: bytes) -> None:
    assert read(entry(b"d/", kind=kind)) == [TarEntry("d/", DIRECTORY, 0)]
    assert "is a directory with content" in refused(entry(b"d/", entry(b"manifest.json", b"[]"), kind))
    assert "is a directory with content" in refused(pax(record(b"path", b"d/")), entry(b"d", b"x", kind))


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"5", b"6"], ids=repr)
def test_what_has_no_content_has_no_size(kind: bytes) -> None:
    assert read(entry(b"d", kind=kind))
    assert "with content" in refused(entry(b"d", entry(b"manifest.json", b"[]"), kind))


@pytest.mark.parametrize("field", ["access time", "change time"])
@pytest.mark.parametrize("value", [b"hidden", b"-1", b"/"], ids=repr)
def test_a_gnu_header_has_no_text_where_go_would_find_the_start_of_the_name(field: str, value: bytes) -> None:
    assert f"the {field} in this header is not a number" in refused(header(fields={"magic": GNU, field: value}))


def test_gnu_times_and_ustar_prefixes_are_read() -> None:
    assert read(header(fields={"magic": GNU, "access time": b"14612345670"})) == [TarEntry("a", FILE, 0)]
    assert read(header(fields={"magic": USTAR, "prefix": b"d/e"})) == [TarEntry("d/e/a", FILE, 0)]
    assert read(header(fields={"magic": V7, "prefix": b"d/e"})) == [TarEntry("a", FILE, 0)]


def test_a_star_header_is_refused() -> None:
    assert "this header was written by star" in refused(header(fields={"trailer": b"tar\0", "prefix": b"d"}))


LONG_NAME, LONG_LINK = entry(b"././@LongLink", b"long\0", b"L"), entry(b"././@LongLink", b"link\0", b"K")
PATH, TIME = pax(record(b"path", b"pax")), pax(record(b"mtime", b"1.5"))
GLOBAL = pax(record(b"comment", b"x"), kind=b"g")


@pytest.mark.parametrize(
    "blocks",
    [(PATH, TIME), (TIME, PATH), (LONG_NAME, LONG_NAME), (LONG_LINK, LONG_NAME, LONG_LINK)],
    ids=["PAX", "PAX reversed", "long names", "long links"],
)
def test_two_extended_headers_of_one_kind_before_an_entry_are_refused(blocks: tuple[bytes, ...]) -> None:
    assert "two extended headers of one kind" in refused(*blocks, entry(b"a"))


@pytest.mark.parametrize("gnu", [LONG_NAME, LONG_LINK], ids=["name", "link"])
def test_a_gnu_long_name_beside_a_pax_header_is_refused(gnu: bytes) -> None:
    for blocks in ((gnu, PATH), (PATH, gnu), (TIME, gnu)):
        assert "a PAX and a GNU header" in refused(*blocks, entry(b"a"))


@pytest.mark.parametrize("extension", [LONG_NAME, LONG_LINK, PATH], ids=["name", "link", "PAX"])
def test_a_global_header_between_an_extended_header_and_its_entry_is_refused(extension: bytes) -> None:
    assert "a global header separates" in refused(extension, GLOBAL, entry(b"a"))


@pytest.mark.parametrize("key", [b"path", b"linkpath", b"size"])
def test_a_global_header_gives_no_names_and_sizes(key: bytes) -> None:
    assert "this global header sets names" in refused(pax(record(key, b"1"), kind=b"g"), entry(b"a"))


def test_extended_headers_as_writers_write_them_are_read() -> None:
    assert read(GLOBAL, PATH, entry(b"a"), GLOBAL, entry(b"b"), TIME, entry(b"c")) == [
        TarEntry(name, FILE, 0) for name in ("pax", "b", "c")
    ]
    assert [one.name for one in read(LONG_LINK, LONG_NAME, entry(b"a"), LONG_NAME, entry(b"b"))] == ["long", "long"]
    more = [(b"uid", b"0"), (b"mtime", b"-1.5"), (b"atime", b""), (b"SCHILY.xattr.user.x", b"a\0b"), (b"uname", b"me")]
    assert read(pax(*(record(key, value) for key, value in more)), entry(b"a"))


@pytest.mark.parametrize(
    "records",
    [
        record(b"path", b"a\0b"),
        record(b"linkpath", b"a\0b"),
        record(b"a\0b", b"x"),
        record(b"", b"x"),
        record(b"mtime", b"soon"),
        record(b"mtime", b"1.x"),
        record(b"atime", b".5"),
        record(b"ctime", b"1_0"),
        record(b"uid", b"0x1"),
        record(b"gid", b"1.0"),
        record(b"size", b"-1"),
        record(b"size", b"+1"),
        record(b"size", b"1_0"),
        record(b"comment", b"x") + bytes(4),
        record(b"comment", b"x")[:-1],
        b"99 path=x\n",
        b"+9 path=x\n",
        b"10 path=x\t",
        b"7 path\n",
        b"path=x\n",
    ],
    ids=repr,
)
def test_a_pax_header_that_go_refuses_is_refused(records: bytes) -> None:
    assert "this PAX header" in refused(pax(records), entry(b"a"))


def test_the_last_of_several_records_counts() -> None:
    assert read(pax(record(b"path", b"x"), record(b"path", b"y")), entry(b"a")) == [TarEntry("y", FILE, 0)]


def test_a_header_with_a_right_checksum_tells_a_tar() -> None:
    reader = TarReader(io.BytesIO(header(fields={"size": b"-1"})))
    with pytest.raises(VerificationError):
        list(reader)
    assert reader.is_tar
    reader = TarReader(io.BytesIO(b"x" + header()[1:]))
    with pytest.raises(VerificationError):
        list(reader)
    assert not reader.is_tar
    assert checked(header()) == header()
