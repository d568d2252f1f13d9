from __future__ import annotations

import struct
from collections.abc import Iterator
from types import ModuleType

import pytest

from imgfetch.errors import VerificationError
from imgfetch.layers import inflate
from imgfetch.layers.compression import decompressor
from imgfetch.layers.windows import WINDOWS
from tests.images import gz
from tests.oracle.streams import CHECKSUM, COMMENT, EXTRA, NAME, member

PLAIN = b"some text, and some more text"
LONG = b"n" * 512 + b"\0"


@pytest.fixture(autouse=True, params=inflate.LIBRARIES, ids=lambda library: library.__name__)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Let each library of this machine decompress gzip."""
    monkeypatch.setattr(inflate, "LIBRARIES", (request.param,))
    module: ModuleType = request.param
    return module


def decompressed(*pieces: bytes) -> tuple[bytes, str | None]:
    """Return the output, and what is odd about the input."""
    stream = decompressor("gzip", WINDOWS.lease())
    out = b"".join(out for piece in pieces for out in stream.feed(piece))
    return out, stream.finish()


def in_two_pieces(data: bytes) -> Iterator[tuple[bytes, str | None]]:
    """Decompress data that is cut at each byte, one after the other."""
    for at in range(len(data) + 1):
        yield decompressed(data[:at], data[at:])


EXTRA_FIELD = struct.pack("<H", 5) + b"extra"
GOOD = {
    "no fields": member(PLAIN),
    "a name and a comment": member(PLAIN, flags=NAME | COMMENT, fields=b"name\0comment\0"),
    "a name that is as long as Go allows": member(PLAIN, flags=NAME, fields=LONG[1:]),
    "a name in Latin-1": member(PLAIN, flags=NAME, fields=b"caf\xe9\0"),
    "an empty name": member(PLAIN, flags=NAME, fields=b"\0"),
    "an extra field": member(PLAIN, flags=EXTRA, fields=EXTRA_FIELD),
    "a checksum": member(PLAIN, flags=CHECKSUM),
    "all fields but a checksum": member(
        PLAIN, flags=1 | EXTRA | NAME | COMMENT, fields=EXTRA_FIELD + b"name\0comment\0"
    ),
}
TOO_LONG = "a gzip header has a name or comment of 512 bytes; Go accepts 511"
RESERVED = "a gzip header has reserved flags, which unpigz refuses"
CHECKED = "a gzip header has a checksum and other fields, which podman and skopeo refuse"
ODD = {
    "a name too long for Go": (member(PLAIN, flags=NAME, fields=LONG), TOO_LONG),
    "a comment too long for Go": (member(PLAIN, flags=NAME | COMMENT, fields=b"name\0" + LONG), TOO_LONG),
    "a reserved flag": (member(PLAIN, flags=0x20), RESERVED),
    "all reserved flags": (member(PLAIN, flags=0xE0), RESERVED),
    "a checksum and a name": (member(PLAIN, flags=CHECKSUM | NAME, fields=b"name\0"), CHECKED),
    "a checksum and an extra field": (member(PLAIN, flags=CHECKSUM | EXTRA, fields=EXTRA_FIELD), CHECKED),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_header_that_all_readers_accept_is_accepted_wherever_it_is_cut(name: str) -> None:
    assert set(in_two_pieces(GOOD[name])) == {(PLAIN, None)}


@pytest.mark.parametrize("name", ODD)
def test_a_header_that_some_readers_refuse_is_odd_wherever_it_is_cut(name: str) -> None:
    data, oddity = ODD[name]
    assert set(in_two_pieces(data)) == {(PLAIN, oddity)}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_header_of_any_member_is_found(name: str) -> None:
    data, oddity = ODD[name]
    assert decompressed(gz(PLAIN) + data + gz(b"")) == (2 * PLAIN, oddity)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(member(PLAIN, flags=CHECKSUM, crc=0), id="a wrong checksum"),
        pytest.param(member(PLAIN, flags=CHECKSUM | NAME, fields=b"name\0", crc=0), id="a wrong checksum of a name"),
        pytest.param(b"\x1f\x8b\x07" + member(PLAIN)[3:], id="an unknown method"),
    ],
)
def test_a_wrong_header_is_damage_wherever_it_is_cut(data: bytes) -> None:
    for at in range(1, len(data)):
        with pytest.raises(VerificationError, match="its gzip data is damaged"):
            decompressed(data[:at], data[at:])


def test_a_header_without_an_end_takes_little_memory() -> None:
    with pytest.raises(VerificationError, match="the header is too long"):
        decompressed(member(b"", flags=NAME)[:10], *[b"n" * 1000] * 300)


@pytest.mark.parametrize("end", range(1, 30))
def test_a_header_that_is_cut_short_is_refused(end: int) -> None:
    data = member(PLAIN, flags=EXTRA | NAME, fields=EXTRA_FIELD + b"a long name\0")
    with pytest.raises(VerificationError, match="its gzip data ends early"):
        decompressed(data[:end])
