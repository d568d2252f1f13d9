from __future__ import annotations

import io
import random
from pathlib import Path

import pytest

from imgfetch.archive import tarlayout
from imgfetch.archive.tarlayout import Member, TarLayout, UncompressedLayer
from imgfetch.errors import VerificationError
from imgfetch.oci.digest import Digest
from tests.images import gz

HUGE = 8 * 1024**3 + 1
CONTENTS = [b"base", b"top" * 1000, b"x" * 512, b"", b"a" * (tarlayout._BUFFER + 1)]
BLOBS = {Digest.of(content): content for content in CONTENTS}
MEMBERS = [
    Member("index.json", 2, b"{}"),
    Member("blobs/", 0),
    *(Member(f"blobs/{number}", len(content), digest) for number, (digest, content) in enumerate(BLOBS.items())),
    Member("again", 4, Digest.of(b"base")),
]
LAYOUT = TarLayout(MEMBERS, mtime=7)


def open_blob(wanted: Digest) -> io.BytesIO:
    return io.BytesIO(BLOBS[wanted])


def streamed(layout: TarLayout = LAYOUT) -> bytes:
    out = io.BytesIO()
    layout.stream(open_blob, out)
    return out.getvalue()


def ends_of_members(layout: TarLayout) -> list[range]:
    """Return, for each member, where a reader may take a stream that ends for a whole archive."""
    return [
        range(position + member.size, position + member.size + -member.size % 512 + 1)
        for position, member in layout._entries
    ]


class Sink:
    """Takes a stream, and keeps how long it was after each write."""

    def __init__(self) -> None:
        self.taken = bytearray()
        self.lengths: list[int] = []

    def write(self, data: bytes) -> int:
        self.taken += data
        self.lengths.append(len(self.taken))
        return len(data)


def gzipped_with_a_wrong_end(content: bytes) -> bytes:
    return gz(content)[:-8] + bytes(8)


def on_disk(directory: Path, digest: Digest, content: bytes) -> Path:
    path = directory / digest.encoded
    path.write_bytes(content)
    return path


def filled(directory: Path, order: list[Digest]) -> bytes:
    """Return an archive that was written into a file, its blobs from files, in the order given."""
    with (directory / "out.tar").open("w+b") as out:
        LAYOUT.scaffold(out)
        for digest in order:
            path = on_disk(directory, digest, BLOBS[digest])
            LAYOUT.place(digest, lambda _, path=path: path.open("rb", buffering=0), out)
    return (directory / "out.tar").read_bytes()


def test_the_length_is_known_beforehand() -> None:
    assert len(streamed()) == LAYOUT.size
    assert TarLayout([Member("layer", HUGE, Digest.of(b""))]).size == 512 + 8 * 1024**3 + 512 + 1024


def test_blobs_are_asked_for_in_the_order_in_which_they_stand() -> None:
    asked: list[Digest] = []

    def open_and_note(wanted: Digest) -> io.BytesIO:
        asked.append(wanted)
        return open_blob(wanted)

    LAYOUT.stream(open_and_note, io.BytesIO())
    assert asked == [*BLOBS, Digest.of(b"base")]
    assert LAYOUT.blobs == BLOBS.keys()


@pytest.mark.parametrize("seed", range(5))
def test_a_file_gets_the_bytes_of_the_stream_whatever_comes_first(seed: int, tmp_path: Path) -> None:
    order = random.Random(seed).sample(sorted(BLOBS, key=str), len(BLOBS))
    assert filled(tmp_path, order) == streamed()


def test_nothing_of_a_blob_is_written_before_it_is_there() -> None:
    out = io.BytesIO()

    def refuse(wanted: Digest) -> io.BytesIO:
        raise KeyError(wanted.encoded)

    with pytest.raises(KeyError):
        LAYOUT.stream(refuse, out)
    assert len(out.getvalue()) == TarLayout(MEMBERS[:2]).size - 1024 + 511  # but for a byte of its header


def test_a_stream_needs_no_more_than_write() -> None:
    out = Sink()
    LAYOUT.stream(open_blob, out)  # type: ignore[arg-type]
    assert bytes(out.taken) == streamed()


def test_a_stream_never_rests_where_a_member_ends() -> None:
    out = Sink()
    LAYOUT.stream(open_blob, out)  # type: ignore[arg-type]
    *lengths, size = out.lengths
    assert size == LAYOUT.size
    assert not [length for length in lengths for end in ends_of_members(LAYOUT) if length in end]


@pytest.mark.parametrize("number", range(len(CONTENTS)))
def test_a_stream_whose_blob_fails_has_part_of_the_next_header(number: int) -> None:
    position, member = LAYOUT._entries[2 + number]
    out = io.BytesIO()

    def fail(wanted: Digest) -> io.BytesIO:
        if wanted == list(BLOBS)[number]:
            raise KeyboardInterrupt
        return open_blob(wanted)

    with pytest.raises(KeyboardInterrupt):
        LAYOUT.stream(fail, out)
    assert position - len(member.header(1)) < len(out.getvalue()) < position
    assert streamed().startswith(out.getvalue())


@pytest.mark.parametrize("size", [512, 513, 1000, tarlayout._BUFFER])
@pytest.mark.parametrize("fault", ["longer", "damaged at its end"])
def test_a_blob_that_is_wrong_at_its_end_ends_the_stream_before_its_last_byte(size: int, fault: str) -> None:
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    digest = Digest.of(content)
    layout = TarLayout(
        [Member("layer", size, digest if fault == "longer" else UncompressedLayer(digest, digest)), Member("next", 0)]
    )
    blob = content + b"?" if fault == "longer" else gzipped_with_a_wrong_end(content)
    out = io.BytesIO()
    with pytest.raises(VerificationError):
        layout.stream(lambda _: io.BytesIO(blob), out)
    assert len(out.getvalue()) < 512 + size


@pytest.mark.parametrize("content", [b"1234", b"123456", b""], ids=["shorter", "longer", "empty"])
def test_a_blob_of_another_length_than_announced_ends_the_archive(content: bytes, tmp_path: Path) -> None:
    # what is too much would be taken for another entry
    digest = Digest.of(b"12345")
    layout = TarLayout([Member("blobs/sha256/x", 5, digest)])
    said = r"^blobs/sha256/x changed while it was written: expected 5 bytes"
    out = io.BytesIO()
    with pytest.raises(VerificationError, match=said):
        layout.stream(lambda _: io.BytesIO(content), out)
    assert len(out.getvalue()) <= 512 + 5
    path = on_disk(tmp_path, digest, content)
    with (tmp_path / "out.tar").open("w+b") as file:
        layout.scaffold(file)
        with pytest.raises(VerificationError, match=said):
            layout.place(digest, lambda _: path.open("rb", 0), file)
    assert (tmp_path / "out.tar").stat().st_size == layout.size


def test_pieces_may_come_in_any_order_and_more_than_once(tmp_path: Path) -> None:
    with (tmp_path / "out.tar").open("w+b") as out:
        LAYOUT.scaffold(out)
        for digest, content in BLOBS.items():
            LAYOUT.put(digest, 0, b"wrong" + content + b"too much of it", out)
            for start in reversed(range(0, len(content), 700)):
                LAYOUT.put(digest, start, content[start : start + 700], out)
            LAYOUT.put(digest, len(content) + 9, b"far behind the end", out)
    assert (tmp_path / "out.tar").read_bytes() == streamed()
