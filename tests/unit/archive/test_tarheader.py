"""Headers of an archive's tar: only those of known writers are accepted."""

from __future__ import annotations

import io

import pytest

from imgfetch.archive import tarreader
from imgfetch.archive.tarreader import DIRECTORY, FILE, TarEntry, TarReader
from imgfetch.errors import VerificationError
from imgfetch.layers.compression import detect
from tests.headers import GNU, NO_NUMBERS, USTAR, V7, entry, header, pax, record

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


@pytest.mark.parametrize("value", [b"", b" ", b"0", b" 0 ", b"0000000", b"0000 \0"], ids=repr)
@pytest.mark.parametrize("field", NUMBERS)
def test_spaces_before_and_spaces_and_nuls_behind_a_number_are_allowed(field: str, value: bytes) -> None:
    assert read(header(fields={field: value})) == [TarEntry("a", FILE, 0)]


def test_the_mode_of_an_entry_is_not_that_of_something_else() -> None:
    kinds = {b"0": b"0100644", b"\0": b"0100644", b"2": b"0120777", b"5": b"0040755"}
    for kind, own in kinds.items():
        for mode in (*kinds.values(), b"0010644", b"0060644", b"0140644", b"1000644"):
            blocks = header(fields={"type": kind, "mode": mode, "link": b"b" if kind == b"2" else b""})
            if mode == own:
                assert len(read(blocks)) == 1
            else:
                assert "the mode in this header is that of another kind of file" in refused(blocks)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_a_checksum_is_octal_digits_only(value: bytes) -> None:
    block = header()
    assert "the checksum in this header is not a number" in refused(block[:148] + value.ljust(8, b"\0") + block[156:])


def test_a_layer_without_a_magic_is_known_by_a_checksum_in_octal_digits_only() -> None:
    block = header(fields={"magic": V7})
    assert detect(block) == "plain"
    assert detect(block[:148] + b"+" + block[149:]) is None


@pytest.mark.parametrize("value", [b"\xff" * 12, b"\xc0" + bytes(11), b"\x80" + b"\xff" * 11], ids=repr)
@pytest.mark.parametrize("field", ["size", "time"])
def test_a_negative_or_huge_number_in_base_256_is_refused(field: str, value: bytes) -> None:
    assert f"the {field} in this header is " in refused(header(fields={field: value}))


def test_a_number_in_base_256_is_read() -> None:
    for number, is_read in ((8**7, True), (8**7 - 1, False)):
        block = header(fields={"owner": b"\x80" + number.to_bytes(7, "big")})
        assert read(block) if is_read else "the owner in this header is out of range" in refused(block)


@pytest.mark.parametrize(
    "magic", [b"ustar\0", b"ustar\x0001", b"ustar 00", b"star", b"ustar  \x00", b"\0ustar"], ids=repr
)
def test_a_format_of_nobody_is_refused(magic: bytes) -> None:
    block = header(fields={"magic": magic})
    if magic == GNU:
        assert read(block)
    else:
        assert "neither POSIX, GNU nor v7" in refused(block)


@pytest.mark.parametrize("magic", [USTAR, GNU, V7], ids=repr)
@pytest.mark.parametrize("field", ["name", "link"])
def test_nothing_follows_the_first_nul_of_a_text(magic: bytes, field: str) -> None:
    kind = b"2" if field == "link" else b"0"
    assert "in this header is malformed" in refused(header(fields={"magic": magic, "type": kind, field: b"a\0b"}))


@pytest.mark.parametrize("kind", [b"3", b"4", b"6", b"7", b"S", b"V", b"g", b"D", b"M", b"N", b"X", b" "], ids=repr)
def test_a_type_that_no_image_archive_has_is_refused(kind: bytes) -> None:
    assert f"this entry has the type {kind.decode()!a}" in refused(header(fields={"type": kind}))


@pytest.mark.parametrize("kind", [b"1", b"2", b"5"], ids=repr)
def test_what_has_no_content_has_no_size(kind: bytes) -> None:
    assert read(entry(b"d", kind=kind))
    assert "with content" in refused(entry(b"d", entry(b"manifest.json", b"[]"), kind))


def test_a_file_of_the_v7_format_whose_name_ends_with_a_slash_is_a_directory_without_content() -> None:
    assert read(entry(b"d/", kind=b"\0")) == [TarEntry("d/", DIRECTORY, 0)]
    assert "is a directory with content" in refused(entry(b"d/", entry(b"manifest.json", b"[]"), b"\0"))


@pytest.mark.parametrize("kind", [b"0", b"5"], ids=repr)
def test_what_is_no_link_has_no_target(kind: bytes) -> None:
    assert "with a link's target" in refused(header(fields={"type": kind, "link": b"b"}))


@pytest.mark.parametrize("field", ["access time", "change time"])
@pytest.mark.parametrize("value", [b"hidden", b"-1", b"/"], ids=repr)
def test_a_gnu_header_has_no_text_where_go_would_find_the_start_of_the_name(field: str, value: bytes) -> None:
    assert f"the {field} in this header is not a number" in refused(header(fields={"magic": GNU, field: value}))


@pytest.mark.parametrize("field", ["access time", "change time"])
def test_a_gnu_header_has_no_time_in_whose_place_go_would_find_the_start_of_the_name(field: str) -> None:
    fields = {"access time": b"0" * 11, field: b"\x80" + b"\xff" * 11}
    assert f"the {field} in this header is out of range" in refused(header(fields={"magic": GNU, **fields}))


def test_gnu_times_and_ustar_prefixes_are_read() -> None:
    assert read(header(fields={"magic": GNU, "access time": b"14612345670"})) == [TarEntry("a", FILE, 0)]
    assert read(header(fields={"magic": USTAR, "prefix": b"d/e"})) == [TarEntry("d/e/a", FILE, 0)]


@pytest.mark.parametrize(
    ("magic", "field"),
    [(USTAR, "trailer"), (GNU, "trailer"), (V7, "trailer"), (V7, "prefix"), (V7, "major device number")],
)
def test_there_is_nothing_where_a_format_has_nothing(magic: bytes, field: str) -> None:
    assert "the end in this header is malformed" in refused(header(fields={"magic": magic, field: b"tar"}))


def gnu(kind: bytes, content: bytes) -> bytes:
    fields = {"size": b"%011o" % len(content), "type": kind, "magic": GNU}
    return header(b"././@LongLink", fields) + content + bytes(-len(content) % 512)


LONG_NAME, LONG_LINK = gnu(b"L", b"long\0"), gnu(b"K", b"link\0")
PATH, TIME = pax(record(b"path", b"pax")), pax(record(b"mtime", b"1.5"))
GLOBAL = pax(record(b"comment", b"x"), kind=b"g")


@pytest.mark.parametrize(
    "blocks",
    [(PATH, TIME), (TIME, PATH), (LONG_NAME, LONG_NAME), (LONG_LINK, LONG_NAME, LONG_LINK)]
    + [pair for one in (LONG_NAME, LONG_LINK) for pair in ((one, PATH), (PATH, one), (TIME, one))],
)
def test_several_extended_headers_before_an_entry_are_refused(blocks: tuple[bytes, ...]) -> None:
    assert "several extended headers" in refused(*blocks, entry(b"a"))


@pytest.mark.parametrize("extension", [LONG_NAME, LONG_LINK, PATH], ids=["name", "link", "PAX"])
def test_an_extended_header_has_an_entry(extension: bytes) -> None:
    assert "the entry of an extended header is missing" in refused(extension)


@pytest.mark.parametrize("name", [b"", b"long", b"\0", b"a\0b\0", b"a\0\0"], ids=repr)
def test_a_long_name_ends_with_its_first_nul(name: bytes) -> None:
    assert "this long name does not end with its first NUL" in refused(gnu(b"L", name), entry(b"a"))


@pytest.mark.parametrize("extension", [entry(b"x", b"a\0", b"L"), entry(b"x", b"a\0", b"K")], ids=["name", "link"])
def test_a_long_name_is_in_the_gnu_format(extension: bytes) -> None:
    assert "in the POSIX format" in refused(extension, entry(b"a"))


def test_extended_headers_as_writers_write_them_are_read() -> None:
    assert read(PATH, entry(b"a"), entry(b"b"), TIME, entry(b"c")) == [
        TarEntry(name, FILE, 0) for name in ("pax", "b", "c")
    ]
    link = header(fields={"type": b"2", "link": b"b"})
    assert [one.name for one in read(LONG_LINK, LONG_NAME, link, LONG_NAME, entry(b"b"))] == ["long", "long"]
    more = [(b"uid", b"0"), (b"mtime", b"-1.5"), (b"atime", b"1"), (b"SCHILY.xattr.user.x", b"a\0b"), (b"uname", b"me")]
    assert read(pax(*(record(key, value) for key, value in more)), entry(b"a"))


def test_a_name_has_a_longest_length() -> None:
    assert read(gnu(b"L", b"a" * 1024 + b"\0"), entry(b"a"))
    for extension in (
        gnu(b"L", b"a" * 1025 + b"\0"),
        gnu(b"K", b"a" * 1025 + b"\0"),
        pax(record(b"path", b"a" * 1025)),
    ):
        assert "a name of more than 1024 bytes" in refused(extension, entry(b"a"))


def test_there_is_an_end_to_the_extended_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarreader, "MAX_EXTENSION", 100)
    assert "headers are too long: 101 bytes here" in refused(gnu(b"L", b"a" * 100 + b"\0"), entry(b"a"))
    monkeypatch.setattr(tarreader, "_MAX_EXTENSIONS", 15)
    blocks = (LONG_NAME, entry(b"a"))
    assert read(*blocks, *blocks, *blocks)
    assert "5 bytes here, 20 in all" in refused(*blocks, *blocks, *blocks, *blocks)


def test_two_sizes_that_differ_are_refused_unless_one_has_no_room_in_a_header() -> None:
    assert read(pax(record(b"size", b"3")), entry(b"a", b"abc")) == [TarEntry("a", FILE, 3)]
    assert "two sizes" in refused(pax(record(b"size", b"0")), entry(b"a", entry(b"manifest.json", b"[]")))
    reader = TarReader(io.BytesIO(pax(record(b"size", b"%d" % 8**11)) + entry(b"a")))
    assert next(iter(reader)) == TarEntry("a", FILE, 8**11)


@pytest.mark.parametrize(
    "records",
    [
        record(b"path", b"a\0b"),
        record(b"linkpath", b"a\0b"),
        record(b"a\0b", b"x"),
        record(b"", b"x"),
        record(b"path", b""),
        record(b"path", b"x") + record(b"path", b"y"),
        record(b"comment", b"x"),
        record(b"GNU.sparse.major", b"1"),
        record(b"hdrcharset", b"BINARY"),
        record(b"size", b"00"),
        record(b"mtime", b""),
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
