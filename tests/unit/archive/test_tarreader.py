"""Reading a tar, as GNU, PAX and ustar write it, and as nobody should."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgfetch.archive import tarreader
from imgfetch.archive.tarreader import DIRECTORY, FILE, HARD_LINK, SYMBOLIC_LINK, TarReader
from imgfetch.errors import VerificationError
from tests.images import tar

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


class Pipe(io.RawIOBase):
    """A stream that cannot seek and gives a few bytes at a time."""

    def __init__(self, content: bytes, step: int = 700) -> None:
        self._content = io.BytesIO(content)
        self._step = step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._content.readinto(memoryview(buffer)[: self._step])


Open = Callable[[bytes], io.BufferedIOBase]
OPENERS: dict[str, Open] = {"file": io.BytesIO, "pipe": lambda content: io.BufferedReader(Pipe(content))}


def written(*members: tuple[tarfile.TarInfo, bytes], form: str = "gnu") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=FORMATS[form]) as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def info(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


@pytest.mark.parametrize("opener", OPENERS.values(), ids=OPENERS)
@pytest.mark.parametrize("form", FORMATS)
def test_members_are_as_they_were_written(form: str, opener: Open) -> None:
    long = "d" * 90 + "/" + "n" * 60
    content = {"a": b"x" * 5, long: bytes(range(256)) * 3000, "empty": b""}
    members = [(info(name), text) for name, text in content.items()]
    members += [
        (info("directory/", tarfile.DIRTYPE), b""),
        (info("link", tarfile.SYMTYPE, "a"), b""),
        (info("hard", tarfile.LNKTYPE, "a"), b""),
        (info("é" * 20), b"last"),
    ]
    reader = TarReader(opener(written(*members, form=form)))  # type: ignore[arg-type]
    found = {entry.name.rstrip("/"): (entry.kind, entry.link, reader.read()) for entry in reader}
    assert found == {
        **{name: (FILE, "", text) for name, text in content.items()},
        "directory": (DIRECTORY, "", b""),
        "link": (SYMBOLIC_LINK, "a", b""),
        "hard": (HARD_LINK, "a", b""),
        "é" * 20: (FILE, "", b"last"),
    }
    assert reader.warnings == []


@pytest.mark.parametrize("opener", OPENERS.values(), ids=OPENERS)
def test_content_may_be_passed_over_or_begun(opener: Open) -> None:
    content = tar({"a": b"a" * 900_000, "b": b"b" * 900_000, "c": b"c"})
    reader = TarReader(opener(content))  # type: ignore[arg-type]
    found = [(entry.name, reader.head(3)) for entry in reader if entry.name != "a"]
    assert found == [("b", b"bbb"), ("c", b"c")]


@pytest.mark.parametrize("opener", OPENERS.values(), ids=OPENERS)
@pytest.mark.parametrize("look", [False, True], ids=["passed over", "read"])
def test_every_cut_is_found(opener: Open, look: bool) -> None:  # noqa: FBT001
    whole = tar({"a": b"a" * 600, "d/": b"", "b": b"b" * 400_000})
    for length in [*range(1, 2560, 100), len(whole) - 300_000, len(whole) - 1025]:
        reader = TarReader(opener(whole[:length]))  # type: ignore[arg-type]
        with_error = False
        try:
            for _ in reader:
                if look:
                    reader.read()
        except VerificationError:
            with_error = True
        assert with_error or reader.warnings, length


def damaged(content: bytes, position: int, replacement: bytes) -> bytes:
    return content[:position] + replacement + content[position + len(replacement) :]


def checked(header: bytes) -> bytes:
    """Return a header with the right checksum."""
    blank = header[:148] + b" " * 8 + header[156:]
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:]


GOOD = tar({"a": b"content"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (damaged(GOOD, 10, b"x"), "checksum of this header is wrong"),
        (damaged(GOOD, 148, b"zzzzzz"), "checksum in this header is not a number"),
        (checked(damaged(GOOD[:512], 124, b"zz")) + GOOD[512:], "size in this header is not a number"),
        (checked(damaged(GOOD[:512], 124, b"\x80" + b"\xff" * 11)) + GOOD[512:], "out of range"),
        (GOOD[:300], "ends at byte 300, 212 bytes before"),
        (checked(damaged(GOOD[:512], 124, b"77777777777\0")) + GOOD[512:], "ends"),
        (checked(damaged(GOOD[:512], 156, b"x")) + GOOD[512:], "several extended|PAX header|in the GNU format"),
        (checked(damaged(GOOD[:512], 156, b"x")) + GOOD[512:], "PAX header"),
    ],
    ids=["empty", "name", "checksum", "size", "base 256", "cut", "too large", "pax", "long name"],
)
def test_damage_is_told_with_its_place(content: bytes, said: str) -> None:
    reader = TarReader(io.BytesIO(content))
    with pytest.raises(VerificationError, match=said):
        [reader.read() for _ in reader]


@pytest.mark.parametrize(
    ("content", "remark"),
    [
        (GOOD[:1024], "two zero blocks at the end of the tar are missing"),
        (GOOD[:-512], "one of the two zero blocks"),
        (GOOD + b"more", "other data follows the end"),
        (GOOD + GOOD, "other data follows the end"),
        (GOOD + bytes(10240), None),
    ],
    ids=["no end", "half an end", "text", "another", "zeros"],
)
def test_the_end_is_looked_at(content: bytes, remark: str | None) -> None:
    reader = TarReader(io.BytesIO(content))
    assert [entry.name for entry in reader] == ["a"]
    assert len(reader.warnings) == (remark is not None)
    assert all(remark and remark in text for text in reader.warnings)


def test_there_is_an_end_to_the_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarreader, "MAX_ENTRIES", 3)
    with pytest.raises(VerificationError, match="too many entries"):
        list(TarReader(io.BytesIO(tar({str(number): b"" for number in range(4)}))))


@given(st.data())
def test_whatever_stands_there_ends_in_an_error_of_ours_or_in_entries(data: st.DataObject) -> None:
    whole = bytearray(written((info("a" * 120), b"x" * 700), (info("b", tarfile.SYMTYPE, "c"), b""), form="pax"))
    for _ in range(data.draw(st.integers(1, 8))):
        position = data.draw(st.integers(0, len(whole) - 1))
        whole[position] = data.draw(st.integers(0, 255))
    reader = TarReader(io.BytesIO(bytes(whole[: data.draw(st.integers(0, len(whole)))])))
    try:
        for entry in reader:
            assert entry.kind in (FILE, DIRECTORY, HARD_LINK, SYMBOLIC_LINK)
            assert len(reader.read()) <= len(whole)
    except VerificationError as error:
        assert str(error)  # noqa: PT017
