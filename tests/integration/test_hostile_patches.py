"""Patches by someone who wants to harm the host that applies them: refused by name, and nothing is left behind."""

from __future__ import annotations

import argparse
import errno
import hashlib
import io
import json
import os
import random
import re
import struct
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from imgfetch.cli.advice import advised
from imgfetch.errors import NoSpaceError
from imgfetch.files import NO_TEMPORARY_SPACE, storage_errors
from imgfetch.patch import script as instructions
from imgfetch.patch.rebuild import rebuilt
from tests import images, patchwriter
from tests.bounded import STEPS, run
from tests.integration.conftest import Command
from tests.patches import archive
from tests.patchwriter import block, document, frame, head, new, number, old, patch, repeated, script, span

MIB = 1024**2
LAYER = images.tar({"data": random.Random(4).randbytes(2 * MIB)})
CONTENT = random.Random(5).randbytes(5000)
SKIPPABLE = b"\x50\x2a\x4d\x18" + struct.pack("<I", 5) + b"hello"


@dataclass(frozen=True)
class Place:
    """A directory with an old archive, and another one for temporary files."""

    directory: Path

    @property
    def base(self) -> Path:
        return self.directory / "old.tar"

    @property
    def forged(self) -> Path:
        return self.directory / "forged.patch"

    @property
    def result(self) -> Path:
        return self.directory / "result.tar"

    def left(self) -> list[str]:
        """Return the names of all files that are not those of the test."""
        return sorted(
            each.name for each in self.directory.rglob("*") if each.is_file() and each not in {self.base, self.forged}
        )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    (tmp_path / "place" / "temporary").mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "place" / "temporary"))
    place = Place(tmp_path / "place")
    archive(images.image(images.layer(LAYER, images.OCI_TAR)), place.base, layers="plain")
    return place


def made(*blocks: bytes, size: int = len(CONTENT), **members: object) -> bytes:
    """Return a patch of blocks over one old layer; ``size`` is that of the result."""
    about = document((size, hashlib.sha256(CONTENT).hexdigest()), blocks, base=[patchwriter.layer(LAYER)])
    return patch(head({**about, **members}), blocks)


def whole(content: bytes = CONTENT, *, packed: bytes | None = None, **lies: Any) -> bytes:
    """Return a patch that makes some bytes without an old layer, in one block."""
    return made(block(script([new(len(content))]), frame(content) if packed is None else packed, **lies))


def said(**members: object) -> bytes:
    """Return a patch without blocks whose head has other members."""
    return patch(head({**document(CONTENT), **members}))


def spelled(old_text: str, new_text: str) -> bytes:
    """Return a patch without blocks whose JSON is written in another way."""
    text = json.dumps(document(CONTENT))
    assert old_text in text
    return patch(head(text.replace(old_text, new_text, 1).encode()))


Make = Callable[[], bytes]
Spoil = Callable[[Path], object]
HEADS: Mapping[str, tuple[Make, str]] = {
    "without a size": (lambda: patch(b"", packed=frame(head(document(b"")), has_size=False)), "does not say how many"),
    "a bomb": (lambda: patch(b"", packed=repeated(16 * MIB)), "not valid JSON|empty"),
    "a bomb that lies": (lambda: patch(b"", packed=repeated(1024 * MIB, says=MIB)), "its frame is damaged"),
    "a window of 2 GiB": (lambda: patch(b"", packed=repeated(MIB, window_log=31)), "a window or a dictionary"),
    "a skippable frame": (lambda: patch(b"", packed=SKIPPABLE), "its frame is damaged"),
    "a dictionary": (lambda: patch(b"", packed=repeated(MIB, dictionary=9)), "a window or a dictionary"),
    "nothing": (lambda: patch(b""), "the head ends early"),
    "JSON beyond its end": (
        lambda: patch(head(document(b""), says=2**32 - 1)),
        "malformed in its head: the head ends early",
    ),
    "nested a million times": (lambda: patch(head(b'{"a":' * 10**6)), "too many values"),
    "nested as often as values are allowed": (lambda: patch(head(b"[" * 480_000)), "nested too deeply"),
    "NaN": (lambda: spelled('"size": 5000', '"size": NaN'), "NaN is not valid JSON"),
    "infinity": (lambda: spelled('"size": 5000', '"size": 1e999'), "too large"),
    "a number of five million digits": (lambda: spelled("5000", "9" * 5_000_000), "'size' of the head is malformed"),
    "a float": (lambda: said(blocks=0.0), "'blocks' of the head is malformed"),
    "a truth value": (lambda: said(blocks=True), "'blocks' of the head is malformed"),
    "nothing for a list": (lambda: said(base=None), "lacks keys"),
    "a key twice": (lambda: spelled("{", '{"blocks": 0, '), "occurs twice"),
    "a key in another case": (lambda: said(Blocks=0), "differs from 'blocks' only in case"),
    "a key with terminal escapes": (lambda: said(**{"\x1b]0;x\x07\u202e": 1}), r"\\x1b\]0;x\\x07\\u202e"),
    "a key with half a character": (lambda: said(**{"\ud800": 1}), r"\\ud800"),
    "a long key": (lambda: said(**{"x" * 15_000_000: 1}), "xxx…"),
    "200,000 keys": (lambda: said(**{f"k{each}": 1 for each in range(200_000)}), "and 199995 more"),
    "a list": (lambda: patch(head(b"[]")), "expected an object"),
    "a byte order mark": (lambda: spelled("{", "\ufeff{"), "not valid JSON"),
    "UTF-16": (lambda: patch(head(json.dumps(document(b"")).encode("utf-16"))), "not valid JSON"),
    "4,097 old layers": (lambda: said(base=[patchwriter.layer(b"")] * 4097), "4097 old layers, more than 4096"),
    "a diff_id in upper case": (
        lambda: said(base=[{**patchwriter.layer(b""), "diff_id": "SHA256:" + "0" * 64}]),
        "malformed in its head: not a valid digest",
    ),
    "the result by its SHA-512": (
        lambda: said(result={"digest": "sha512:" + "0" * 128, "size": 5000}),
        "not a SHA-256",
    ),
    "a result of 8 EiB": (lambda: said(result={"digest": "sha256:" + "0" * 64, "size": 2**63}), "'size' of the head"),
    "documents of 8 EiB": (lambda: said(documents=[2**62, 2**62]), "bytes of documents"),
}
"""Heads, and what is said about them."""


@pytest.mark.parametrize("forged", HEADS)
def test_a_head_that_is_wrong_on_purpose_is_refused(forged: str, place: Place, command: Command) -> None:
    make, says = HEADS[forged]
    refused(make(), says, place, command, 6)


@cache
def wide() -> bytes:
    return frame(bytes(MIB), LAYER[:5000])


BLOCKS: Mapping[str, tuple[Make, str]] = {
    "of a later version": (lambda: whole(reserved=1), "block 1/1: it is of a later version"),
    "no instructions": (lambda: made(block(b"")), "its instructions end early"),
    "no steps": (lambda: made(block(script([]))), "of another size: expected 5000 bytes, got 0 bytes"),
    "a prefix for nothing": (
        lambda: made(block(script([old(0, 0, 5000)], [span(0, 0, 5)]))),
        "a frame or a prefix without content",
    ),
    "a frame for nothing": (
        lambda: made(block(script([old(0, 0, 5000)]), frame(b""))),
        "a frame or a prefix without content",
    ),
    "no frame for something": (lambda: whole(packed=b""), "its frame is damaged"),
    "a frame without a size": (lambda: whole(packed=frame(CONTENT, has_size=False)), "its frame has another size"),
    "a frame that says less": (
        lambda: made(block(script([new(MIB)]), repeated(1024 * MIB, says=MIB)), size=MIB),
        "its frame is damaged",
    ),
    "a frame that says more": (
        lambda: made(block(script([new(32 * MIB)]), repeated(MIB, says=32 * MIB)), size=32 * MIB),
        "its frame is damaged",
    ),
    "a frame with a window of 2 GiB": (
        lambda: made(block(script([new(MIB)]), repeated(MIB, window_log=31)), size=MIB),
        "block 1/1: its frame has a window or a dictionary",
    ),
    "a frame with a dictionary": (
        lambda: made(block(script([new(MIB)]), repeated(MIB, dictionary=77)), size=MIB),
        "block 1/1: its frame has a window or a dictionary",
    ),
    "a frame with another prefix": (
        lambda: made(block(script([new(MIB)], [span(0, 9, 5000)]), wide()), size=MIB),
        "makes another archive than it says",
    ),
    "a skippable frame before it": (lambda: whole(packed=SKIPPABLE + frame(CONTENT)), "its frame has another size"),
    "a skippable frame behind it": (lambda: whole(packed=frame(CONTENT) + SKIPPABLE), "its frame is damaged"),
    "a skippable frame of instructions": (
        lambda: made(block(b"hello", packed=SKIPPABLE)),
        "block 1/1: its frame is damaged",
    ),
    "instructions without a size": (
        lambda: whole(b"12345", says=3, packed=frame(b"\0\x0a")),
        "its frame has another size",
    ),
    "a bomb of instructions": (
        lambda: made(block(b"", packed=repeated(1024 * MIB), says=4 * MIB)),
        "its frame has another size",
    ),
    "instructions that are zeros": (lambda: made(block(bytes(4 * MIB))), "it has an unknown instruction"),
    "four million steps": (lambda: made(block(b"\0" + b"\x02" * (4 * MIB - 1))), "it has more than 100000 parts"),
    "a prefix of 2^62 parts": (lambda: made(block(number(2**62))), "it has more than 100000 parts|end early"),
    "before the layer": (lambda: made(block(script([old(0, -1, 1)]))), "bytes that no old layer has"),
    "far behind the layer": (lambda: made(block(script([old(0, 2**61, 1)]))), "bytes that no old layer has"),
    "longer than the layer": (lambda: made(block(script([old(0, 0, 2**62)]))), "bytes that no old layer has"),
    "a layer that is not listed": (lambda: made(block(script([old(1, 0, 1)]))), "bytes that no old layer has"),
    "nothing of a layer": (lambda: made(block(script([old(0, 0, 0)]))), "bytes that no old layer has"),
    "2^61 bytes of a frame": (lambda: made(block(script([new(2**61)] * 9), frame(b""))), "its frame has more than"),
    "a number with ten bytes": (lambda: made(block(b"\0" + number(2**63))), "a number that is too long"),
    "a number that is padded": (lambda: made(block(number(0, 4) + new(5))), "longer than it need be"),
    "2^62 blocks": (lambda: made(blocks=2**62), "is cut short"),
    "fewer blocks": (lambda: made(block(b""), blocks=0, bytes=0), "of another size|behind its last block"),
}
"""Blocks, and what is said about them."""


@pytest.mark.parametrize("forged", BLOCKS)
def test_a_block_that_is_wrong_on_purpose_is_refused(forged: str, place: Place, command: Command) -> None:
    make, says = BLOCKS[forged]
    refused(make(), says, place, command, 6)


def exact(result: bytes, **members: object) -> bytes:
    """Return a patch whose sums are those of the result that it makes."""
    blocks = [
        block(script([new(len(part))]), frame(part))
        for start in range(0, len(result), 16 * MIB)
        if (part := result[start : start + 16 * MIB])
    ]
    return patch(head({**document(result, blocks), **members}), blocks)


RESULTS: Mapping[str, tuple[Make, int, str]] = {
    "nothing": (lambda: exact(b""), 1, "is not an image archive, but an empty file"),
    "zeros": (lambda: exact(bytes(10240)), 1, "is not an image archive, but an empty tar archive"),
    "a text": (lambda: exact(b"hello, world!\n" * 99), 1, "is not an image archive, but a text file"),
    "a patch": (lambda: exact(exact(b"hello")), 1, "is not an image archive"),
    "a tar": (lambda: exact(images.tar({"x": b"x"})), 1, "is not an image archive"),
    "a bomb": (lambda: exact(images.zstd(bytes(1024 * MIB))), 1, "is not an image archive"),
}
"""Results that are what their patch says, and no archive; the exit status, and what is said about them."""


@pytest.mark.parametrize("forged", RESULTS)
def test_a_result_that_is_no_image_archive_is_refused(forged: str, place: Place, command: Command) -> None:
    make, status, says = RESULTS[forged]
    refused(make(), f"the archive of .*forged.patch {says}", place, command, status)


COSTLY: Mapping[str, Make] = {
    "a wide prefix": lambda: made(block(script([new(1)], [span(0, 0, MIB), *[span(0, -MIB, MIB)] * 3]), frame(b"x"))),
    "a prefix of many parts": lambda: made(
        block(script([new(1)], [span(0, 0, 9), *[span(0, -9, 9)] * 999]), frame(b"x"))
    ),
    "many steps": lambda: made(block(script([old(0, 0, 5), *[old(0, -5, 5)] * 999]))),
    "many blocks": lambda: made(*[block(script([]))] * 1000),
}
"""Blocks of some bytes that make much work for their reader."""


@pytest.mark.parametrize("forged", COSTLY)
def test_work_that_the_result_does_not_need_is_refused(
    forged: str, place: Place, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instructions, "_LITTLE", MIB)
    monkeypatch.setattr(instructions, "_RATIO", 1)
    refused(COSTLY[forged](), "makes more work than its result needs", place, command, 6)


def finest(count: int, size: int) -> bytes:
    """Return a patch of blocks of some hundred bytes, each with 100,000 steps, that claims a result of some size."""
    each = block(script([old(0, 0, 1), *[old(0, -1, 1)] * 99_999]))
    return made(
        *[each] * count, size=size, images=[{"names": ["x:1"], "id": f"sha256:{0:064}", "platform": "linux/amd64"}]
    )


def test_a_result_that_a_patch_only_claims_pays_for_no_work(place: Place, command: Command) -> None:
    refused(finest(40, MIB * 1024), "malformed in block 3/40: it makes more work than its", place, command, 6)


@pytest.mark.parametrize("arguments", [["verify"], ["inspect"], ["apply", "--dry-run"]], ids=" ".join)
def test_no_instruction_is_read_before_the_result_is_made(arguments: list[str], place: Place, tmp_path: Path) -> None:
    place.forged.write_bytes(finest(1000, 2**62))
    base = ["--from", place.base] if arguments[0] == "apply" else []
    done = run(tmp_path, *arguments, place.forged, *base, most_steps=STEPS)
    assert done.status == 0, done.err


def test_a_patch_without_images_is_not_called_good(place: Place, command: Command) -> None:
    place.forged.write_bytes(said())
    done = command("verify", place.forged)
    assert (done.status, done.out) == (6, "")
    assert "makes no image" in done.err


def refused(raw: bytes, says: str, place: Place, command: Command, status: int) -> None:
    """Require that a patch is refused with a short message that names it, and that nothing is left behind."""
    place.forged.write_bytes(raw)
    done = command("apply", place.forged, "--from", place.base, "-o", place.result)
    assert done.status == status, done.err
    assert str(place.forged) in done.err
    assert len(done.err) < 5000
    assert all(line.isprintable() for line in done.err.splitlines())
    assert re.search(says, done.err), done.err
    assert place.left() == []


def right(place: Place) -> bytes:
    """Return a patch that makes the old archive from its layer."""
    raw = place.base.read_bytes()
    start = raw.index(LAYER)
    rest = raw[:start] + raw[start + len(LAYER) :]
    blocks = [
        block(script([new(start), old(0, 0, len(LAYER)), new(len(rest) - start)]), frame(rest)),
    ]
    with tarfile.open(place.base) as packed:
        listed = json.load(packed.extractfile("manifest.json") or io.BytesIO())[0]
    image_id = "sha256:" + Path(listed["Config"]).name.removesuffix(".json")
    images = [{"names": listed["RepoTags"], "id": image_id, "platform": "linux/amd64"}]
    return patch(head(document(raw, blocks, base=[patchwriter.layer(LAYER)], images=images)), blocks)


def test_a_patch_by_another_program_is_applied(place: Place, command: Command) -> None:
    place.forged.write_bytes(right(place))
    done = command("apply", place.forged, "--from", place.base, "-o", place.result)
    assert done.status == 0, done.err
    assert place.result.read_bytes() == place.base.read_bytes()


PLACES: Mapping[str, tuple[Spoil, str]] = {
    "a named pipe": (os.mkfifo, "a named pipe"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "a device"),
    "a link to itself": (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    "a link to nothing": (lambda path: path.symlink_to(path.with_name("nothing")), "No such file"),
    "nothing": (lambda _: None, "No such file"),
}
"""Files that cannot be read, and what is said about them."""


@pytest.mark.parametrize("kind", PLACES)
def test_an_odd_file_is_neither_a_patch_nor_a_base(kind: str, place: Place, command: Command) -> None:
    spoil, says = PLACES[kind]
    place.forged.write_bytes(right(place))
    odd = place.directory / "odd"
    spoil(odd)
    for arguments in ([odd, "--from", place.base], [place.forged, "--from", odd]):
        done = command("apply", *arguments, "-o", place.result)
        assert done.status == 7
        assert f"cannot read {odd}: " in done.err
        assert says in done.err
    assert place.left() == []


def test_a_name_that_is_too_long_is_blamed_on_its_own_option(place: Place, command: Command) -> None:
    place.forged.write_bytes(right(place))
    for arguments in (
        ["apply", place.forged, "--from", "n" * 300],
        ["patch", "n" * 300, place.base],
        ["patch", place.base, "n" * 300],
    ):
        done = command(*arguments, "-o", place.result.with_suffix(""))
        assert done.status == 7
        assert f"cannot read {'n' * 300}: File name too long" in done.err


def test_a_base_is_found_among_odd_files(place: Place, command: Command) -> None:
    place.forged.write_bytes(right(place))
    crowd = place.directory / "crowd"
    crowd.mkdir()
    for name, (spoil, _) in PLACES.items():
        spoil(crowd / f"{name}.tar")
    (crowd / "loop.tar").symlink_to(".")
    (crowd / "empty.tar").touch()
    (crowd / "half.tar").write_bytes(place.base.read_bytes()[:99_999])
    (crowd / "patch.tar").write_bytes(right(place))
    done = command("apply", place.forged, "--from", crowd, "-o", place.result)
    assert (done.status, place.result.exists()) == (6, False)
    place.base.rename(crowd / "whole.tar")
    done = command("apply", place.forged, "--from", crowd, "-o", place.result)
    assert done.status == 0, done.err


def test_a_base_that_changes_after_its_verification_never_gives_another_result(
    place: Place, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(*given: Any) -> Iterator[bytes]:
        with place.base.open("r+b") as file:
            file.seek(MIB)
            file.write(b"changed")
        return rebuilt(*given)

    monkeypatch.setattr("imgfetch.patch.apply.rebuilt", changed)
    refused(right(place), "makes another archive than it says", place, command, 6)


@pytest.mark.parametrize("of", ["base", "forged"])
@pytest.mark.parametrize("link", [os.link, os.symlink, None])
def test_an_output_that_is_an_input_gets_the_whole_archive(
    of: str, link: Callable[[Path, Path], None] | None, place: Place, command: Command
) -> None:
    place.forged.write_bytes(right(place))
    source = place.base if of == "base" else place.forged
    before, whole_archive = source.read_bytes(), place.base.read_bytes()
    if link:
        link(source, place.result)
    output = place.result if link else source
    done = command("apply", place.forged, "--from", place.base, "-o", output)
    assert done.status == 0, done.err
    assert output.read_bytes() == whole_archive
    assert not output.is_symlink()
    assert not link or source.read_bytes() == before


def test_a_long_chain_has_two_archives_at_a_time(
    place: Place, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_files = []

    def seen(*given: Any) -> Iterator[bytes]:
        open_files.append(len(list(Path("/proc/self/fd").iterdir())))
        return rebuilt(*given)

    monkeypatch.setattr("imgfetch.patch.apply.rebuilt", seen)
    place.forged.write_bytes(right(place))
    done = command("apply", *[place.forged] * 40, "--from", place.base, "-o", place.result)
    assert done.status == 0, done.err
    assert len(open_files) == 40
    assert max(open_files) <= min(open_files) + 2
    assert place.result.read_bytes() == place.base.read_bytes()


def test_the_largest_block_is_read_in_bounded_memory(place: Place, tmp_path: Path) -> None:
    parts = [span(0, 0, 2 * MIB), *[span(0, -2 * MIB, 2 * MIB)] * 47]
    content = random.Random(7).randbytes(32 * MIB)
    largest = block(script([new(32 * MIB)], parts), frame(content))
    finest = block(
        script([new(1)] * 100_000, [span(0, 0, 1000), *[span(0, -1000, 1000)] * 99_999]), frame(CONTENT * 20)
    )
    place.forged.write_bytes(made(largest, finest, largest, size=64 * MIB + 100_000))
    done = run(tmp_path, "apply", place.forged, "--from", place.base, "-o", place.result)
    assert done.status == 6
    assert "makes another archive than it says" in done.err
    assert done.peak < 512 * MIB
    assert place.left() == []


@pytest.mark.parametrize(("patches", "hint"), [(1, "choose another --output"), (2, "name another directory for them")])
def test_a_result_without_room_is_refused_with_the_directory_that_lacks_it(
    patches: int, hint: str, place: Place, command: Command
) -> None:
    huge = place.directory / "huge.patch"
    huge.write_bytes(said(result={"digest": "sha256:" + "0" * 64, "size": 2**62}))
    place.forged.write_bytes(right(place))
    done = command("apply", huge, *[place.forged] * (patches - 1), "--from", place.base, "-o", place.result)
    assert done.status == 7
    assert f"{huge} makes an archive of 4611686 TB, but only" in done.err
    assert hint in done.err
    assert not place.result.exists()


def test_a_full_directory_for_temporary_files_is_named_in_the_hint() -> None:
    with pytest.raises(NoSpaceError) as caught, storage_errors("a temporary file", "write"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert advised(caught.value, argparse.Namespace(command="apply")).hint == NO_TEMPORARY_SPACE
