"""Patches between two archives: made, applied, and refused if anything is wrong."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pty
import random
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from imgfetch import apply_patch, make_patch, save
from imgfetch.errors import ImgfetchError, UnsupportedError, VerificationError
from imgfetch.layers.gzipmember import GzipMember
from imgfetch.oci.digest import Digest
from imgfetch.patch import raw
from imgfetch.patch.container import MAGIC, Block
from imgfetch.patch.head import Head
from imgfetch.patch.make import make
from imgfetch.patch.script import Span, Take
from imgfetch.text import format_size
from tests.authority import new_key
from tests.images import OCI_ZSTD, gz, hello, image, layer, tar, zstd
from tests.integration.conftest import Command
from tests.loopback import Loopback
from tests.patches import BASE, NEW, NEWEST, OLD, OTHER, applied, archive, literal, opened, rewritten, sha256
from tests.signing import public_pem
from tests.tools import tool

_LONG = random.Random(3).randbytes(1_000_000)


@dataclass(frozen=True)
class Made:
    """Two archives and the patch between them.

    Attributes:
        plain: the new archive with decompressed layers.
    """

    directory: Path

    @property
    def old(self) -> Path:
        return self.directory / "old.tar"

    @property
    def new(self) -> Path:
        return self.directory / "new.tar"

    @property
    def plain(self) -> Path:
        return self.directory / "plain.tar"

    @property
    def patch(self) -> Path:
        return self.directory / "new.patch"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    made = Made(tmp_path_factory.mktemp("patch"))
    with Loopback() as registry:
        options = {"platform": "linux/amd64"}
        save(registry.add("team/app", "1", OLD), made.old, **options)  # type: ignore[arg-type]
        reference = registry.add("team/app", "2", NEW)
        save(reference, made.new, **options)  # type: ignore[arg-type]
        save(reference, made.plain, layers="plain", **options)  # type: ignore[arg-type]
    with made.patch.open("wb") as out:
        make(made.old, made.new, out)
    return made


def name(made: Made) -> str:
    return opened(made.patch.read_bytes()).head.images[0].names[0]


def test_the_result_is_the_archive_that_save_writes_with_decompressed_layers(made: Made, tmp_path: Path) -> None:
    assert sha256(applied(made.patch, made.old, tmp_path)) == sha256(made.plain)


def test_a_patch_has_little_more_than_the_difference(made: Made) -> None:
    assert made.patch.stat().st_size < 3000
    assert made.new.stat().st_size > 500_000


@pytest.mark.parametrize("is_file", [True, False], ids=["a file", "a stream"])
def test_diff_ids_may_be_in_sha512(is_file: bool, tmp_path: Path) -> None:  # noqa: FBT001
    one, two = (
        replace(layer(raw), diff_id=f"sha512:{hashlib.sha512(raw).hexdigest()}")
        for raw in (tar({"one": _LONG}), tar({"two": _LONG + b"2"}))
    )
    old, plain, patch = (tmp_path / each for each in ("old.tar", "plain.tar", "new.patch"))
    stream, result = io.BytesIO(), tmp_path / "result.tar"
    archive(image(one), old)
    archive(image(one, two), plain, layers="plain")
    make_patch(old, plain, patch)
    assert patch.stat().st_size < 2000
    apply_patch(patch, old, result if is_file else stream)
    assert (result.read_bytes() if is_file else stream.getvalue()) == plain.read_bytes()


@pytest.mark.parametrize("form", ["plain", "classic", "oci", "zstd", "compressed"])
def test_the_base_may_have_any_form(form: str, made: Made, tmp_path: Path) -> None:
    old = tmp_path / ("old.tar.gz" if form == "compressed" else "old.tar")
    options: dict[str, dict[str, object]] = {
        "plain": {"layers": "plain"},
        "classic": {"archive_format": "docker-classic"},
        "oci": {"archive_format": "oci"},
    }
    archive(OLD, old, **options.get(form, {}))
    assert sha256(applied(made.patch, old, tmp_path)) == sha256(made.plain)


def test_a_base_that_is_compressed_as_a_whole_is_decompressed_once(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(OLD, tmp_path / "old.tar.gz", layers="plain")
    members = []
    monkeypatch.setattr(GzipMember, "__init__", lambda *args, begin=GzipMember.__init__: members.append(begin(*args)))
    assert sha256(applied(made.patch, tmp_path / "old.tar.gz", tmp_path)) == sha256(made.plain)
    assert len(members) == 1


def test_a_base_with_decompressed_layers_needs_no_temporary_file(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(OLD, tmp_path / "old.tar", layers="plain")
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    assert sha256(applied(made.patch, tmp_path / "old.tar", tmp_path)) == sha256(made.plain)


def test_a_result_is_whole_although_the_system_writes_less_than_it_is_given(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "write", lambda file, data, write=os.write: write(file, data[:100_000]))
    assert sha256(applied(made.patch, made.old, tmp_path)) == sha256(made.plain)


def test_the_base_may_be_an_image_layout_in_a_directory(made: Made, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    archive(OLD, tmp_path / "old.tar", archive_format="oci")
    with tarfile.open(tmp_path / "old.tar") as packed:
        packed.extractall(layout, filter="data")
    assert sha256(applied(made.patch, layout, tmp_path)) == sha256(made.plain)


def test_the_base_is_found_among_other_files_of_a_directory(made: Made, tmp_path: Path) -> None:
    archives = tmp_path / "archives"
    archives.mkdir()
    archive(OTHER, archives / "a.tar", platform="linux/arm64")
    (archives / "b.tar").write_text("not an archive")
    archive(image(BASE), archives / "c.tar")
    archive(image(OLD.layers[1]), archives / "d.tar")
    assert sha256(applied(made.patch, archives, tmp_path)) == sha256(made.plain)


@pytest.mark.parametrize("archive_format", ["docker", "oci"])
def test_several_images_are_in_one_patch(archive_format: str, tmp_path: Path) -> None:
    several = {"team/app": NEW, "team/other": image(hello("other"), BASE)}
    archive({"team/app": OLD, "team/other": OLD}, tmp_path / "old.tar")
    with Loopback() as registry:
        references = [registry.add(repository, "2", built) for repository, built in several.items()]
        for file, layers in (("new.tar", "original"), ("plain.tar", "plain")):
            save(
                references,
                tmp_path / file,
                platform="linux/amd64",
                archive_format=archive_format,  # type: ignore[arg-type]
                layers=layers,  # type: ignore[arg-type]
                source_date_epoch=12345,
            )
    for new in ("new.tar", "plain.tar"):
        with (tmp_path / "made.patch").open("wb") as out:
            make(tmp_path / "old.tar", tmp_path / new, out)
        result = applied(tmp_path / "made.patch", tmp_path / "old.tar", tmp_path)
        assert sha256(result) == sha256(tmp_path / "plain.tar")


def test_an_image_with_nothing_in_common_goes_whole(tmp_path: Path) -> None:
    archive(OLD, tmp_path / "old.tar")
    archive(image(hello("unlike", OCI_ZSTD)), tmp_path / "new.tar", layers="plain")
    with (tmp_path / "made.patch").open("wb") as out:
        assert make(tmp_path / "old.tar", tmp_path / "new.tar", out).base == ()
    result = applied(tmp_path / "made.patch", tmp_path / "old.tar", tmp_path)
    assert sha256(result) == sha256(tmp_path / "new.tar")


def test_the_last_file_of_a_layer_may_have_grown(tmp_path: Path) -> None:
    archive(image(layer(tar({"log": _LONG[:9000]}))), tmp_path / "old.tar")
    archive(image(layer(tar({"log": _LONG}))), tmp_path / "new.tar", layers="plain")
    with (tmp_path / "made.patch").open("wb") as out:
        make(tmp_path / "old.tar", tmp_path / "new.tar", out)
    result = applied(tmp_path / "made.patch", tmp_path / "old.tar", tmp_path)
    assert sha256(result) == sha256(tmp_path / "new.tar")


def test_patches_that_follow_one_another_are_applied_at_once(made: Made, command: Command, tmp_path: Path) -> None:
    archive(NEWEST, tmp_path / "newest.tar", layers="plain")
    assert command("patch", made.plain, tmp_path / "newest.tar", "-o", tmp_path / "b.patch").status == 0
    done = command("apply", made.patch, tmp_path / "b.patch", "--from", made.old, "-o", tmp_path / "result.tar")
    assert done.status == 0, done.err
    assert sha256(tmp_path / "result.tar") == sha256(tmp_path / "newest.tar")


def test_a_digest_of_the_registry_is_proved_by_the_manifest_in_the_patch(made: Made, tmp_path: Path) -> None:
    repository = name(made).rpartition(":")[0]
    applied(made.patch, made.old, tmp_path, f"{repository}@{NEW.digest}", name(made), NEW.digest)
    with pytest.raises(ImgfetchError, match=r"is not in the archive|no image with the digest"):
        applied(made.patch, made.old, tmp_path, f"{repository}@{OLD.digest}")


def test_a_manifest_of_another_image_proves_nothing(made: Made, tmp_path: Path) -> None:
    wrong = rewritten(made.patch.read_bytes(), head=lambda head: head._replace(documents=(OLD.raw,)))
    for wanted in (f"{name(made).rpartition(':')[0]}@{OLD.digest}", OLD.digest):
        with pytest.raises(ImgfetchError, match="is another image than the patch makes"):
            applied(wrong, made.old, tmp_path, wanted)


def test_another_base_is_refused_with_the_missing_image_and_layer(made: Made, command: Command, tmp_path: Path) -> None:
    archive(image(BASE), tmp_path / "other.tar")
    done = command("apply", made.patch, "--from", tmp_path / "other.tar", "-o", tmp_path / "result.tar")
    assert done.status == 6
    assert f"missing: layer 2/2 of {name(made).rpartition(':')[0]}:1, {OLD.layers[1].diff_id}" in done.err
    assert not (tmp_path / "result.tar").exists()


def test_a_damaged_base_is_refused_before_anything_is_written(made: Made, command: Command, tmp_path: Path) -> None:
    archive(OLD, tmp_path / "old.tar", layers="plain")
    raw = bytearray((tmp_path / "old.tar").read_bytes())
    raw[-5000] ^= 1
    (tmp_path / "old.tar").write_bytes(raw)
    (tmp_path / "result.tar").write_text("before")
    done = command("apply", made.patch, "--from", tmp_path / "old.tar", "-o", tmp_path / "result.tar")
    assert done.status == 6
    assert "does not match the config" in done.err
    assert "hint: copy or save that archive again" in done.err
    assert (tmp_path / "result.tar").read_text() == "before"


def test_a_stream_gets_nothing_before_the_result_is_verified(made: Made, tmp_path: Path) -> None:
    wrong = rewritten(made.patch.read_bytes(), head=lambda head: head._replace(digest=Digest.of(b"")))
    (tmp_path / "wrong.patch").write_bytes(wrong)
    command = [sys.executable, "-m", "imgfetch", "apply", "--from", str(made.old)]
    done = subprocess.run([*command, str(tmp_path / "wrong.patch")], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (6, b"")
    assert b"makes another archive than it says" in done.stderr
    done = subprocess.run([*command, str(made.patch)], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, made.plain.read_bytes())


Change = Callable[[bytes], bytes]


def flipped(at: float) -> Change:
    def change(raw: bytes) -> bytes:
        place = int(at * len(raw)) if isinstance(at, float) else at
        return raw[:place] + bytes([raw[place] ^ 0x10]) + raw[place + 1 :]

    return change


def with_block(change: Callable[[Block], Block]) -> Change:
    return lambda raw: rewritten(raw, blocks=lambda blocks: [*blocks[:-1], change(blocks[-1])])


def stepped(*steps: Span | Take) -> Change:
    """Return a change that replaces the last step of the last block."""
    return with_block(
        lambda block: block._replace(script=block.script._replace(steps=(*block.script.steps[:-1], *steps)))
    )


def prefixed(span: Span) -> Change:
    return with_block(lambda block: block._replace(script=block.script._replace(prefix=(span,))))


DAMAGES: Mapping[str, tuple[Change, str]] = {
    "empty": (lambda _: b"", "is empty"),
    "the beginning of the first line": (lambda raw: raw[:7], "is cut short"),
    "not a patch": (lambda raw: b"x" + raw[1:], "is not a patch"),
    "a later version": (lambda raw: raw.replace(MAGIC, MAGIC[:-1] + b"2", 1), "is a patch of a later version"),
    "cut in the preamble": (lambda raw: raw[:30], "is cut short"),
    "cut in the head": (lambda raw: raw[:100], "is cut short"),
    "cut in a block": (lambda raw: raw[:-1], "is cut short"),
    "without blocks": (lambda raw: raw[: -opened(raw).head.length], "is cut short"),
    "a bit of the head's length": (flipped(17), "is cut short|more than"),
    "a bit of the head's sum": (flipped(30), "is damaged in its head"),
    "a bit of the head": (flipped(70), "is damaged in its head"),
    "a bit of a block's lengths": (
        lambda raw: flipped(len(raw) - opened(raw).head.length + 33)(raw),
        "damaged in block 1/1",
    ),
    "a bit of a frame": (flipped(0.99), "is damaged in block 1/1"),
    "more behind the end": (lambda raw: raw + b"x", "has other data behind its last block"),
    "another length": (
        lambda raw: rewritten(raw, head=lambda head: head._replace(length=head.length)) + b"\0",
        "has other data behind",
    ),
    "a block twice": (lambda raw: rewritten(raw, blocks=lambda blocks: blocks * 2), "makes an archive of another size"),
    "no block": (lambda raw: rewritten(raw, blocks=lambda _: []), "makes an archive of another size"),
    "another result": (
        lambda raw: rewritten(raw, head=lambda head: head._replace(digest=Digest.of(b"x"))),
        "makes another archive than it says",
    ),
    "another size": (
        lambda raw: rewritten(raw, head=lambda head: head._replace(size=head.size + 1)),
        "makes an archive of another size",
    ),
    "a huge result": (
        lambda raw: rewritten(raw, head=lambda head: head._replace(size=10**17)),
        "makes an archive of 100000 TB, but only .* are free",
    ),
    "other images": (
        lambda raw: rewritten(raw, head=lambda head: head._replace(images=())),
        "makes an archive with other images than it says",
    ),
    "another base's size": (
        lambda raw: rewritten(
            raw, head=lambda head: head._replace(base=tuple(each._replace(size=10**9) for each in head.base))
        ),
        "has a wrong size of the layer",
    ),
    "beyond an old layer": (stepped(Span(0, 10**9, 5)), "refers to bytes that no old layer has"),
    "an unknown old layer": (stepped(Span(9, 0, 5)), "refers to bytes that no old layer has"),
    "a prefix beyond an old layer": (prefixed(Span(0, 0, 10**9)), "refers to bytes that no old layer has"),
    "another prefix": (prefixed(Span(0, 0, 512)), "its frame is damaged|makes another archive"),
    "more content than the frame has": (
        stepped(Take(10**6)),
        "its frame has another size|makes an archive of another size",
    ),
    "too much content": (stepped(Take(10**8)), "its frame has more than"),
    "a frame without content": (
        with_block(lambda block: block._replace(script=block.script._replace(steps=(Span(0, 0, 5),)))),
        "has a frame or a prefix without content|makes an archive of another size",
    ),
    "another frame": (
        with_block(lambda block: block._replace(frame=b"x" * 50)),
        "malformed in block 1/1: its frame is damaged",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_patch_is_refused(damage: str, made: Made, tmp_path: Path) -> None:
    change, says = DAMAGES[damage]
    with pytest.raises(ImgfetchError, match=says):
        applied(change(made.patch.read_bytes()), made.old, tmp_path)


def test_an_archive_with_a_wrong_layer_is_refused_although_the_patch_makes_the_archive_that_it_says(
    made: Made, tmp_path: Path
) -> None:
    wrong = bytearray(made.plain.read_bytes())
    wrong[-5000] ^= 1
    patch = literal(made.patch.read_bytes(), bytes(wrong))
    with pytest.raises(ImgfetchError, match=r"makes an archive that no reader should load: .* is damaged"):
        applied(patch, made.old, tmp_path)


@pytest.mark.parametrize("form", ["as a whole", "in its layers"])
def test_a_result_that_is_compressed_is_refused(form: str, made: Made, tmp_path: Path) -> None:
    archive = gz(made.plain.read_bytes()) if form == "as a whole" else made.new.read_bytes()
    with pytest.raises(VerificationError, match="makes an archive that is compressed") as caught:
        applied(literal(made.patch.read_bytes(), archive), made.old, tmp_path)
    assert caught.value.hint == "make the patch again, with imgfetch patch or imgfetch save --patch-from"


@pytest.mark.parametrize("names", [(), ("x:1",)])
def test_a_patch_says_which_images_it_makes(names: tuple[str, ...], made: Made, tmp_path: Path) -> None:
    def change(head: Head) -> Head:
        return head._replace(images=(head.images[0]._replace(names=names),))

    with pytest.raises(ImgfetchError, match="with other images than it says"):
        applied(rewritten(made.patch.read_bytes(), head=change), made.old, tmp_path)


def test_an_image_that_is_expected_is_in_the_result(made: Made, tmp_path: Path) -> None:
    with pytest.raises(ImgfetchError, match="team/app:9 is not in the archive"):
        applied(made.patch, made.old, tmp_path, f"{name(made).rpartition(':')[0]}:9")


def test_any_change_of_a_patch_is_found_without_a_traceback(made: Made, tmp_path: Path) -> None:
    raw, chance = made.patch.read_bytes(), random.Random(1)
    for _ in range(200):
        place, length = chance.randrange(len(raw)), chance.choice((1, 1, 8, 100))
        changed = raw[:place] + chance.randbytes(length) + raw[place + chance.choice((0, length)) :]
        if changed != raw:
            with pytest.raises(ImgfetchError):
                applied(changed, made.old, tmp_path)


def test_any_change_below_the_sums_is_found_without_a_traceback(made: Made, tmp_path: Path) -> None:
    raw, chance = made.patch.read_bytes(), random.Random(2)

    def change(block: Block) -> Block:
        frame = bytearray(block.frame)
        frame[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
        steps = list(block.script.steps)
        if chance.random() < 0.5:
            frame, place = bytearray(block.frame), chance.randrange(len(steps))
            steps[place] = steps[place]._replace(length=chance.randrange(1, 10 ** chance.randrange(1, 10)))
        return Block(block.script._replace(steps=tuple(steps)), bytes(frame))

    for _ in range(100):
        changed = with_block(change)(raw)
        try:
            result = applied(changed, made.old, tmp_path)
        except ImgfetchError:
            continue
        assert sha256(result) == sha256(made.plain)  # zstd ignores some bits


def test_a_result_is_not_written_beside_the_archive_of_another_patch(made: Made, tmp_path: Path) -> None:
    (tmp_path / "wrong.patch").write_bytes(DAMAGES["another result"][0](made.patch.read_bytes()))
    command = [sys.executable, "-m", "imgfetch", "apply", str(tmp_path / "wrong.patch"), "--from", str(made.old)]
    assert subprocess.run([*command, "-o", str(tmp_path / "y.tar")], capture_output=True, check=False).returncode == 6
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.patch"]


def test_zstd_alone_applies_a_raw_patch(made: Made, command: Command, tmp_path: Path) -> None:
    archive(OLD, tmp_path / "old.tar", layers="plain")
    assert command("patch", tmp_path / "old.tar", made.new, "--raw", "-o", tmp_path / "raw.patch").status == 0
    assert (tmp_path / "raw.patch").stat().st_size < 3000
    decompress = [tool("zstd"), "-q", "-d", "--long=31", f"--patch-from={tmp_path / 'old.tar'}"]
    subprocess.run([*decompress, tmp_path / "raw.patch", "-o", tmp_path / "new.tar"], check=True)
    assert sha256(tmp_path / "new.tar") == sha256(made.plain)


def test_a_raw_patch_needs_an_old_archive_with_decompressed_layers(
    made: Made, command: Command, tmp_path: Path
) -> None:
    done = command("patch", made.old, made.new, "--raw", "-o", tmp_path / "raw.patch")
    assert (done.status, list(tmp_path.glob("raw.patch"))) == (1, [])
    assert "save --layers plain" in done.err


def test_a_raw_patch_is_for_archives_that_a_window_holds(
    made: Made, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw, "MAX_ARCHIVE", 10_000)
    done = command("patch", made.plain, made.new, "--raw", "-o", tmp_path / "raw.patch")
    assert done.status == 1
    assert "make the patch without --raw" in done.err


def test_a_patch_is_never_verified_as_signed(made: Made, command: Command, tmp_path: Path) -> None:
    (key := tmp_path / "cosign.pub").write_bytes(public_pem(new_key()))
    done = command("verify", made.patch, "--key", key)
    assert (done.status, done.out) == (2, "")
    assert "is a patch, which has no signatures; apply it, and verify the archive that it makes" in done.err


def test_inspect_and_verify_know_a_patch(made: Made, command: Command, tmp_path: Path) -> None:
    shown = command("inspect", made.patch)
    assert shown.status == 0
    assert f"  image        {name(made)} linux/amd64\n  image ID     {NEW.config.digest}" in shown.out
    assert (
        f"  old layer    layer 2/2 of {name(made).rpartition(':')[0]}:1, 699 kB, {OLD.layers[1].diff_id}" in shown.out
    )
    done = command("verify", made.patch)
    assert (done.status, done.out) == (0, f"{made.patch}: ok: a patch that makes {name(made)} linux/amd64\n")
    printed = command("inspect", made.patch, "--json").out
    assert command("verify", made.patch, "--json").out == printed
    assert json.loads(printed)["archive"] == {"digest": f"sha256:{sha256(made.plain)}", "size": 713216}
    assert command("verify", made.patch, "x:1").status == 2
    for option in (["--raw"], ["--platform", "linux/amd64"]):
        done = command("inspect", made.patch, *option)
        assert (done.status, f"{made.patch} is a patch, for which there is no {option[0]}" in done.err) == (2, True)
    (tmp_path / "wrong.patch").write_bytes(DAMAGES["a bit of a frame"][0](made.patch.read_bytes()))
    assert command("verify", tmp_path / "wrong.patch").status == 6


@pytest.mark.parametrize(
    "arguments", [["verify"], ["verify", "--json"], ["inspect", "--json"], ["inspect"]], ids=" ".join
)
@pytest.mark.parametrize("given", ["a pipe", "a named pipe", "a file", "a damaged patch"])
def test_a_patch_is_recognized_in_any_stream(
    given: str, arguments: list[str], made: Made, command: Command, tmp_path: Path
) -> None:
    shown = command(*arguments, made.patch).out.replace(f"{made.patch}", "stdin")
    named, raw = tmp_path / "pipe", made.patch.read_bytes()
    if given == "a named pipe":
        os.mkfifo(named)
        shown = shown.replace("stdin", str(named))
    elif given == "a damaged patch":
        raw, shown = raw[:-1], "" if "verify" in arguments else shown
    line = [sys.executable, "-m", "imgfetch", *arguments, named if given == "a named pipe" else "-"]
    with made.patch.open("rb") as file:
        run = subprocess.Popen(
            line, stdin=file if given == "a file" else subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        if given == "a named pipe":
            named.write_bytes(raw)
        out, err = run.communicate(None if given in ("a file", "a named pipe") else raw, timeout=60)
    size = f"  size         {format_size(len(raw))}\n"
    assert out.decode() == (shown if given == "a file" else shown.replace(size, ""))
    assert (run.returncode, err == b"") == ((6, False) if not shown else (0, True))
    assert b"stdin is cut short or damaged in block" in err or not err


def test_dry_run_verifies_the_base_and_writes_nothing(made: Made, command: Command, tmp_path: Path) -> None:
    done = command("apply", made.patch, "--from", made.old, "-o", tmp_path / "y.tar", "--dry-run")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[0] == f"{name(made)} linux/amd64"
    assert not (tmp_path / "y.tar").exists()


def test_a_patch_may_come_from_stdin(made: Made) -> None:
    apply = [sys.executable, "-m", "imgfetch", "apply", "-", "--from", str(made.old)]
    done = subprocess.run(apply, input=made.patch.read_bytes(), capture_output=True, check=True)
    assert done.stdout == made.plain.read_bytes()
    shown = subprocess.run([*apply, "--dry-run"], input=made.patch.read_bytes(), capture_output=True, check=True)
    assert shown.stdout.decode().splitlines()[0] == f"{name(made)} linux/amd64"
    for given in (made.patch.read_bytes()[:-1], b"", b"something else"):
        done = subprocess.run(apply, input=given, capture_output=True, check=False)
        assert (done.returncode != 0, done.stdout) == (True, b"")
        assert b"stdin is " in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        "apply - --from old.tar -o x",
        "apply new.patch --from - -o x",
        "patch - new.tar -o x",
        "patch old.tar - -o x",
        "verify -",
        "inspect -",
    ],
)
def test_a_closed_stdin_is_not_another_file(arguments: str, made: Made, tmp_path: Path) -> None:
    line = f'"{sys.executable}" -m imgfetch {arguments.replace("-o x", f"-o {tmp_path}/x")} <&-'
    done = subprocess.run([tool("bash"), "-c", line], cwd=made.directory, capture_output=True, check=False)
    assert done.returncode == 2
    assert re.search(b"cannot read (an archive|a patch) from stdin, which is closed; name a file", done.stderr)
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_gets_no_patch(made: Made, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    line = [sys.executable, "-m", "imgfetch", "patch", made.old, made.new]
    done = subprocess.run(line, stdout=theirs, stderr=subprocess.PIPE, check=False, cwd=tmp_path)
    os.close(theirs)
    os.close(ours)
    assert (done.returncode, b"refusing to write a patch to the terminal" in done.stderr) == (2, True)


@pytest.mark.parametrize(("packed", "compression"), [(gz, "gzip"), (zstd, "zstd")])
def test_a_patch_that_is_compressed_is_refused_with_the_step_to_take(
    packed: Callable[[bytes], bytes], compression: str, made: Made, tmp_path: Path
) -> None:
    with pytest.raises(
        UnsupportedError, match=f"given.patch is not a patch, but compressed with {compression}"
    ) as caught:
        applied(packed(made.patch.read_bytes()), made.old, tmp_path)
    raw = "; if it was made with --raw, apply it with zstd -d --long=31 --patch-from=OLD"
    assert caught.value.hint == f"decompress it first{raw if compression == 'zstd' else ''}"


def test_stdin_is_one_of_the_patches_at_most(made: Made, command: Command) -> None:
    done = command("apply", "-", "-", "--from", made.old, "-o", "x.tar")
    assert (done.status, "stdin cannot be a patch twice" in done.err) == (2, True)


def test_a_dry_run_does_not_look_for_images(made: Made, command: Command) -> None:
    done = command("apply", made.patch, "--from", made.old, "--dry-run", "--expect", name(made))
    assert (done.status, done.out) == (2, "")
    assert "--dry-run makes no archive, and cannot be combined with --expect" in done.err


def test_a_dry_run_finds_a_damaged_block(made: Made, command: Command, tmp_path: Path) -> None:
    (tmp_path / "wrong.patch").write_bytes(DAMAGES["a bit of a frame"][0](made.patch.read_bytes()))
    done = command("apply", tmp_path / "wrong.patch", "--from", made.old, "--dry-run")
    assert (done.status, done.out, "is damaged in block" in done.err) == (6, "", True)


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_the_old_archive_may_come_from_stdin(options: tuple[str, ...], made: Made, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "imgfetch",
        "apply",
        made.patch,
        "--from",
        "-",
        "-o",
        tmp_path / "new.tar",
        *options,
    ]
    done = subprocess.run(command, input=made.old.read_bytes(), capture_output=True, check=False)
    assert (done.returncode, (tmp_path / "new.tar").exists()) == (0, not options), done.stderr
    assert options or sha256(tmp_path / "new.tar") == sha256(made.plain)


def test_stdin_is_not_both_a_patch_and_an_old_archive(command: Command) -> None:
    done = command("apply", "-", "--from", "-")
    assert (done.status, "stdin cannot be both " in done.err) == (2, True)


def test_an_archive_may_replace_the_old_one(made: Made, command: Command, tmp_path: Path) -> None:
    old = tmp_path / "app.tar"
    old.write_bytes(made.old.read_bytes())
    done = command("apply", made.patch, "--from", old, "-o", old)
    assert (done.status, sha256(old)) == (0, sha256(made.plain))
    assert f"made {name(made)} linux/amd64 in {old}, " in done.err


@pytest.mark.parametrize("suffix", ["tar.gz", "tgz", "tar.zst", "tar.xz"])
def test_an_archive_does_not_get_a_name_that_promises_compression(
    suffix: str, made: Made, command: Command, tmp_path: Path
) -> None:
    done = command("apply", made.patch, "--from", made.old, "-o", tmp_path / f"new.{suffix}")
    assert (done.status, "but imgfetch apply does not compress" in done.err) == (2, True)
    assert not list(tmp_path.iterdir())


def test_a_patch_of_two_archives_does_not_get_the_name_of_one(made: Made, command: Command, tmp_path: Path) -> None:
    done = command("patch", made.old, made.new, "-o", tmp_path / "new.tar")
    assert (done.status, "imgfetch patch writes a patch, but -o" in done.err) == (2, True)


def test_a_patch_is_not_an_archive_but_is_recognized(made: Made, command: Command) -> None:
    done = command("patch", made.old, made.patch)
    assert (done.status, f"{made.patch} is not an image archive, but a patch" in done.err) == (1, True)
    assert "hint: make the archive with imgfetch apply" in done.err
    with made.patch.open("rb") as file:
        done = command("verify", f"/dev/fd/{file.fileno()}", "x:1")
    assert "to require an image, use imgfetch apply /dev/fd/" in done.err


def test_another_digest_under_the_name_is_refused_with_those_that_the_patch_proves(made: Made, tmp_path: Path) -> None:
    with pytest.raises(ImgfetchError, match=f"whose images have the digests {NEW.digest}$"):
        applied(made.patch, made.old, tmp_path, f"{name(made)}@{OLD.digest}")


def test_a_patch_from_an_archive_with_decompressed_layers_says_that_it_proves_nothing(
    made: Made, command: Command, tmp_path: Path
) -> None:
    patch = tmp_path / "x.patch"
    assert command("patch", made.old, made.plain, "-o", patch).status == 0
    for wanted in (f"{name(made)}@{NEW.digest}", NEW.digest):
        with pytest.raises(ImgfetchError, match="make it with imgfetch save --patch-from"):
            applied(patch, made.old, tmp_path, wanted)
