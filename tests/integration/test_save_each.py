"""``--output-dir``: an archive for each image, with the downloads in common."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from imgfetch.archive.checksums import HashedOutput
from imgfetch.archive.verify import verify
from tests.images import ARM64, OCI_TAR, hello, image, index, layer, tar
from tests.integration.conftest import Command
from tests.loopback import Answer, Loopback, Request
from tests.tools import tool
from tests.waiting import until

BUILT = image(hello("first"), layer(tar({"data": bytes(range(256)) * 8192}), OCI_TAR))  # 2 MiB


def test_an_archive_for_each_image_is_what_each_would_be_alone(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    one = loopback.add("team/app", "v1", BUILT)
    two = loopback.add("other", "v2", image(hello("other")))
    platform = ("--platform", "linux/amd64")
    done = command("save", one, two, one, "--output-dir", tmp_path / "a" / "b", *platform)
    assert done.status == 0, done.err
    host = loopback.host.replace(":", "_")
    checked = [tool("sha256sum"), "--check", "--strict", "SHA256SUMS"]
    subprocess.run(checked, cwd=tmp_path / "a" / "b", check=True, capture_output=True)
    files = {path.name: path.read_bytes() for path in (tmp_path / "a" / "b").glob("*.tar")}
    assert sorted(files) == sorted([f"{host}_team_app_v1.tar", f"{host}_other_v2.tar"])
    assert done.err.count("imgfetch: saved ") == 2
    command("save", two, "-o", tmp_path / "alone.tar", *platform)
    assert files[f"{host}_other_v2.tar"] == (tmp_path / "alone.tar").read_bytes()
    done = command("save", one, two, "--output-dir", tmp_path / "a" / "b", "--if-changed", *platform)
    assert done.err == "imgfetch: already up to date, and left untouched: 2 archives\n"
    done = command("save", one, two, "--output-dir", tmp_path / "a" / "b", "--if-changed", "--progress=json", *platform)
    assert done.err.count('"event": "unchanged"') == 2


@pytest.mark.parametrize(
    "options",
    [
        ("--all-platforms",),
        ("--platform", "linux/amd64,linux/arm64", "--keep-index"),
        ("--platform", "linux/arm64", "--layers", "plain"),
        ("--platform", "linux/amd64", "--format", "docker-classic", "-j1"),
        ("--platform", "linux/amd64", "--format", "oci", "--base", "BASE"),
        ("--platform", "linux/amd64", "--no-cache", "-j1"),
    ],
    ids=" ".join,
)
def test_every_option_has_the_effect_that_it_has_on_one_archive(
    options: tuple[str, ...], loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    base = hello("base")
    odd = replace(base, media_type=OCI_TAR)  # its type is wrong, so this archive has it decompressed
    built = [index(image(base, hello(f"{n}")), image(hello(f"arm {n}"), platform=ARM64)) for n in range(3)]
    built.append(index(image(odd, hello("odd")), image(hello("odd arm"), platform=ARM64)))
    references = [loopback.add(f"app-{number}", "1", each) for number, each in enumerate(built)]
    given = [loopback.add("base", "1", image(base)) if option == "BASE" else option for option in options]
    done = command("save", *references, "--output-dir", tmp_path / "out", *given)
    assert done.status == 0, done.err
    for number, reference in enumerate(references):
        assert command("save", reference, "-o", tmp_path / "alone.tar", *given).status == 0
        assert archive(tmp_path, f"app-{number}_1").read_bytes() == (tmp_path / "alone.tar").read_bytes(), reference
    check_sums(tmp_path / "out")


def archive(directory: Path, name: str) -> Path:
    """Return the archive whose name has this end."""
    (found,) = (directory / "out").glob(f"*_{name}.tar")
    return found


def archives(directory: Path) -> list[str]:
    return sorted(path.name.partition("_")[2].partition("_")[2] for path in (directory / "out").glob("*.tar"))


def check_sums(directory: Path) -> None:
    """Let sha256sum compare all archives with the file of their checksums."""
    checked = [tool("sha256sum"), "--check", "--strict", "SHA256SUMS"]
    subprocess.run(checked, cwd=directory, check=True, capture_output=True)
    assert len((directory / "SHA256SUMS").read_text().splitlines()) == len(list(directory.glob("*.tar")))


def blobs(loopback: Loopback) -> Counter[str]:
    """Return how often each blob was requested."""
    return Counter(path.rpartition("/blobs/")[2] for path in loopback.paths if "/blobs/" in path)


PLATFORM = ("--platform", "linux/amd64")
BASE, OWN = hello("base"), [layer(tar({f"{n}": bytes([n]) * 300_000}), OCI_TAR) for n in range(4)]


@pytest.fixture
def four(loopback: Loopback) -> list[str]:
    """Return four images with a common layer."""
    return [loopback.add(f"app-{number}", "1", image(BASE, own)) for number, own in enumerate(OWN)]


@pytest.mark.parametrize("cache", [(), ("--no-cache",)], ids=["cache", "no-cache"])
def test_a_layer_of_several_images_is_downloaded_once(
    four: list[str], cache: tuple[str, ...], loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    done = command("save", *four, "--output-dir", tmp_path / "out", *PLATFORM, *cache, "--json")
    assert done.status == 0, done.err
    assert set(blobs(loopback).values()) == {1}
    check_sums(tmp_path / "out")
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".tar", ""}
    told = json.loads(done.out)
    assert [each["images"][0]["references"] for each in told] == [[reference] for reference in four]
    assert sum(each["downloaded"] for each in told) == sum(len(blob.content) for blob in (BASE, *OWN))
    assert sum(each["cached"] for each in told) == 3 * len(BASE.content)


def test_no_archive_is_read_again_for_its_checksum(
    four: list[str], command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    monkeypatch.setattr("imgfetch.archive.checksums._read", lambda path: read.append(path) or "0" * 64)
    assert command("save", *four[:2], "--output-dir", tmp_path / "out", *PLATFORM).status == 0
    assert read == []
    assert command("save", *four, "--output-dir", tmp_path / "out", *PLATFORM, "--if-changed").status == 0
    assert sorted(read) == [archive(tmp_path, "app-0_1"), archive(tmp_path, "app-1_1")]


def test_an_archive_is_complete_while_others_wait_for_a_layer(
    four: list[str], loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    seen: list[list[str]] = []

    def last(_: Request) -> Answer:
        until(lambda: len(archives(tmp_path)) == 3)
        seen.append(archives(tmp_path))
        return Answer(OWN[0].content)

    loopback.answers[f"/v2/app-0/blobs/{OWN[0].digest}"] = last
    done = command("save", *four, "--output-dir", tmp_path / "out", *PLATFORM)
    assert done.status == 0, done.err
    assert seen == [["app-1_1.tar", "app-2_1.tar", "app-3_1.tar"]]
    check_sums(tmp_path / "out")


@pytest.mark.parametrize("cache", [(), ("--no-cache",)], ids=["cache", "no-cache"])
@pytest.mark.parametrize("keep_going", [(), ("--keep-going",)], ids=["stop", "keep going"])
def test_a_layer_that_fails_leaves_complete_archives_and_the_next_run_resumes(
    *,
    four: list[str],
    keep_going: tuple[str, ...],
    cache: tuple[str, ...],
    loopback: Loopback,
    command: Command,
    tmp_path: Path,
) -> None:
    path, listed = f"/v2/app-1/blobs/{OWN[1].digest}", tmp_path / "list.txt"
    good = loopback.answers[path]
    loopback.answers[path] = Answer(OWN[1].content[:100_000], headers={"Content-Length": str(len(OWN[1].content))})
    listed.write_text("\n".join(four))
    arguments = ("save", "-i", listed, "--output-dir", tmp_path / "out", *PLATFORM, *cache, *keep_going, "-j1")
    done = command(*arguments)
    assert done.status == 5
    assert f"error: {listed}:2: " in done.err
    assert f"layer 2/2 of {four[1]}" in done.err
    if keep_going:
        assert archives(tmp_path) == ["app-0_1.tar", "app-2_1.tar", "app-3_1.tar"]
        check_sums(tmp_path / "out")
    else:
        assert archives(tmp_path) == ["app-0_1.tar"]
        assert "1 of 4 archives are complete; the failure follows" in done.err
        assert not (tmp_path / "out" / "SHA256SUMS").exists()
    kept = f"{tmp_path}/out/.SHA256SUMS.imgfetch" if cache else "the cache"
    assert f"partial downloads are kept in {kept}\n" in done.err

    loopback.answers[path] = good
    loopback.requests.clear()
    done = command(*arguments)
    assert done.status == 0, done.err
    missing = {OWN[1].digest} if keep_going else {OWN[1].digest, OWN[2].digest, OWN[3].digest}
    assert blobs(loopback).keys() & {blob.digest for blob in (BASE, *OWN)} == missing
    (resumed,) = (request for request in loopback.requests if request.path == path)
    assert resumed.headers["Range"] == "bytes=100000-"
    check_sums(tmp_path / "out")
    assert {each.suffix for each in (tmp_path / "out").iterdir()} == {".tar", ""}


def test_of_an_image_that_has_failed_no_further_layer_is_downloaded(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    broken, other = loopback.add("broken", "1", image(BASE, *OWN)), loopback.add("app", "1", image(BASE))
    del loopback.answers[f"/v2/broken/blobs/{OWN[0].digest}"]

    def slow(_: Request) -> Answer:  # its download begins before the failure of the other is noticed, or not at all
        time.sleep(1)
        return Answer(OWN[1].content)

    loopback.answers[f"/v2/broken/blobs/{OWN[1].digest}"] = slow
    done = command("save", broken, other, "--output-dir", tmp_path / "out", *PLATFORM, "--keep-going", "-j1")
    assert done.status == 3
    assert archives(tmp_path) == ["app_1.tar"]
    assert not {OWN[2].digest, OWN[3].digest} & blobs(loopback).keys()
    assert blobs(loopback)[BASE.digest] == 1


def test_a_layer_of_a_failed_image_that_another_needs_is_downloaded(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    broken, other = loopback.add("broken", "1", image(*OWN)), loopback.add("app", "1", image(BASE, OWN[3]))
    del loopback.answers[f"/v2/broken/blobs/{OWN[0].digest}"]

    def slow(_: Request) -> Answer:
        time.sleep(1)
        return Answer(OWN[1].content)

    loopback.answers[f"/v2/broken/blobs/{OWN[1].digest}"] = slow
    done = command("save", broken, other, "--output-dir", tmp_path / "out", *PLATFORM, "--keep-going", "-j1")
    assert (done.status, archives(tmp_path)) == (3, ["app_1.tar"])


def test_an_archive_has_no_file_before_all_its_layers_are_here(
    four: list[str], loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    seen: list[list[str]] = []

    def look(_: Request) -> Answer:
        time.sleep(0.3)
        seen.append([path.name for path in (tmp_path / "out").rglob("*.part")])
        return Answer(OWN[0].content)

    loopback.answers[f"/v2/app-0/blobs/{OWN[0].digest}"] = look
    assert command("save", four[0], "--output-dir", tmp_path / "out", *PLATFORM).status == 0
    assert seen == [[]]


def test_a_layer_that_one_repository_lacks_comes_from_another_that_has_it(
    four: list[str], loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    del loopback.answers[f"/v2/app-0/blobs/{BASE.digest}"]
    done = command("save", *four, "--output-dir", tmp_path / "out", *PLATFORM, "--keep-going")
    assert done.status == 0, done.err
    assert blobs(loopback)[BASE.digest] == 2
    check_sums(tmp_path / "out")


def test_an_image_that_states_a_wrong_diff_id_of_a_common_layer_fails_alone(
    four: list[str], loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    wrong = loopback.add("wrong", "1", image(replace(BASE, diff_id=OWN[0].diff_id)))
    done = command("save", wrong, *four, "--output-dir", tmp_path / "out", *PLATFORM, "--keep-going")
    assert done.status == 6
    assert f"layer 1/1 of {wrong} ({BASE.digest}, gzip) does not match the config" in done.err
    assert len(archives(tmp_path)) == 4
    assert blobs(loopback)[BASE.digest] == 1


@pytest.mark.parametrize("cache", [(), ("--no-cache",)], ids=["cache", "no-cache"])
def test_an_interrupted_run_leaves_complete_archives_and_parts_for_the_next_one(
    four: list[str], cache: tuple[str, ...], loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    path, hold = f"/v2/app-1/blobs/{OWN[1].digest}", threading.Event()
    good = loopback.answers[path]
    loopback.answers[path] = Answer(OWN[1].content, hold=hold)
    arguments = ["save", *four, "--output-dir", str(tmp_path / "out"), *PLATFORM, *cache, "-j1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "imgfetch", *arguments],
        env=os.environ | {"IMGFETCH_CACHE_DIR": str(tmp_path / "cache")},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert any(": saved " in line for line in process.stderr)
    part = f"**/parts/sha256/{OWN[1].digest[7:]}"
    until(lambda: any(each.stat().st_size > 100_000 for each in tmp_path.glob(part)))
    process.send_signal(signal.SIGINT)
    with process.stderr:
        said = process.stderr.read()
    hold.set()
    assert process.wait(30) == 130, said
    assert "1 of 4 archives are complete; the failure follows" in said
    assert "run the same command again to resume" in said
    assert archives(tmp_path) == ["app-0_1.tar"]
    assert verify(archive(tmp_path, "app-0_1")).findings == ()
    assert list((tmp_path / "out").rglob("*.part")) == []

    loopback.answers[path] = good
    loopback.requests.clear()
    assert command(*arguments).status == 0
    assert not {BASE.digest, OWN[0].digest} & blobs(loopback).keys()
    (resumed,) = (request for request in loopback.requests if request.path == path)
    assert resumed.headers["Range"].startswith("bytes=1")
    check_sums(tmp_path / "out")


def test_an_archive_that_is_being_written_is_given_up_where_another_fails(
    four: list[str], loopback: Loopback, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = threading.Event()

    def write(output: HashedOutput, _: bytes) -> int:
        writing.set()
        end = time.monotonic() + 10
        while time.monotonic() < end:
            output._interrupt()
            time.sleep(0.01)
        return 0

    monkeypatch.setattr(HashedOutput, "write", write)

    def missing(_: Request) -> Answer:
        writing.wait(30)
        return Answer(status=404)

    loopback.answers[f"/v2/app-1/blobs/{OWN[1].digest}"] = missing
    done = command("save", *four[:2], "--output-dir", tmp_path / "out", *PLATFORM)
    assert (done.status, list((tmp_path / "out").iterdir())) == (3, []), done.err


def test_all_images_that_cannot_be_found_are_reported_before_a_layer_is_downloaded(
    four: list[str], loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    listed, gone = tmp_path / "list.txt", [f"{loopback.host}/gone:{number}" for number in (1, 2)]
    listed.write_text("\n".join([four[0], gone[0], four[1], gone[1]]))
    done = command("save", "-i", listed, "--output-dir", tmp_path / "out", *PLATFORM)
    assert done.status == 3
    assert "error: 2 of 4 images failed" in done.err
    for line, reference in ((2, gone[0]), (4, gone[1])):
        assert f"  {listed}:{line}: the manifest of {reference} was not found" in done.err
    assert not {blob.digest for blob in (BASE, *OWN)} & blobs(loopback).keys()
    assert list((tmp_path / "out").iterdir()) == []
    assert "archives are complete" not in done.err


def test_all_images_that_would_have_one_file_are_reported_with_file_and_line(command: Command, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("a.example/x/y:1\na.example/x_y:1\nb.example/z:1 --name same\nb.example/w:1 --name same\n")
    done = command("save", "-i", listed, "--output-dir", tmp_path / "out")
    assert done.status == 2
    for one, two, name in (
        (f"a.example/x/y:1 ({listed}:1)", f"a.example/x_y:1 ({listed}:2)", "a.example_x_y_1"),
        (f"b.example/z:1 ({listed}:3)", f"b.example/w:1 ({listed}:4)", "same_latest"),
    ):
        assert f"{one} and {two} would both be saved to {tmp_path}/out/{name}.tar" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["docker.io_library_x_1.tar", "SHA256SUMS"])
def test_a_pipe_in_the_place_of_an_archive_is_refused_before_a_request(
    name: str, command: Command, tmp_path: Path, loopback: Loopback
) -> None:
    (tmp_path / "out").mkdir()
    place = "_".join((loopback.host.replace(":", "_"), "x_1.tar")) if name.endswith(".tar") else name
    os.mkfifo(tmp_path / "out" / place)
    done = command("save", loopback.add("x", "1", BUILT), "--output-dir", tmp_path / "out")
    assert (done.status, loopback.paths) == (7, [])
    assert f"cannot write {tmp_path}/out/{place}: it is not a regular file" in done.err


def test_the_space_for_all_archives_is_required_before_a_layer_is_downloaded(
    four: list[str], loopback: Loopback, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(len(blob.content) for blob in OWN)
    monkeypatch.setattr("imgfetch.files.shutil.disk_usage", lambda _: SimpleNamespace(free=size * 3 // 2))
    done = command("save", *four, "--output-dir", tmp_path / "out", *PLATFORM)
    assert done.status == 7
    assert re.search(r"for layers and 1\.2\d MB for the archives\), 1\.81 MB free", done.err)
    assert not {blob.digest for blob in (BASE, *OWN)} & blobs(loopback).keys()
    assert archives(tmp_path) == []


def test_the_other_archives_are_saved_if_asked_and_the_failures_reported_together(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    one, three = (loopback.add(name, "v1", image(hello(name))) for name in ("a", "c"))
    gone = [f"{loopback.host}/gone:v{number}" for number in (1, 2)]
    arguments = (one, gone[0], three, gone[1], "--platform", "linux/amd64", "--keep-going")
    done = command("save", *arguments, "--output-dir", tmp_path / "out")
    assert done.status == 3
    assert "error: 2 of 4 images failed" in done.err
    assert all(reference in done.err for reference in gone)
    listed = (tmp_path / "out" / "SHA256SUMS").read_text()
    assert len(listed.splitlines()) == len(list((tmp_path / "out").glob("*.tar"))) == 2
    done = command("save", *arguments, "-o", tmp_path / "bundle.tar")
    assert done.status == 3
    assert "error: 2 of 4 images failed" in done.err
    assert len(verify(tmp_path / "bundle.tar").images) == 2
    done = command("save", *gone, "--keep-going", "-o", tmp_path / "none.tar")
    assert (done.status, (tmp_path / "none.tar").exists()) == (3, False)


def test_a_failure_for_one_of_several_archives_names_file_and_line(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    gone = f"{loopback.host}/gone:v1"
    (tmp_path / "list.txt").write_text(f"{loopback.add('a', 'v1', BUILT)}\n\n{gone}\n{gone}\n")
    options = ("--output-dir", tmp_path / "out", "--platform", "linux/amd64")
    done = command("save", "-i", tmp_path / "list.txt", *options)
    assert done.status == 3
    assert f"error: {tmp_path}/list.txt:3: " in done.err


def test_no_checksum_of_a_replaced_archive_is_left_by_a_save_that_fails(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    kept, changed, broken = (loopback.add(name, "v1", image(hello(name))) for name in "abc")
    layer_of_broken = f"/v2/c/blobs/{hello('c').digest}"
    options = ("--output-dir", tmp_path / "out", "--if-changed", "-j1", *PLATFORM)
    assert command("save", kept, changed, *options).status == 0
    sums = tmp_path / "out" / "SHA256SUMS"
    before = sums.read_bytes()
    good = loopback.answers.pop(layer_of_broken)
    assert command("save", kept, broken, *options).status == 3
    assert sums.read_bytes() == before
    loopback.add("b", "v1", image(hello("new")))
    assert command("save", kept, changed, broken, *options).status == 3
    assert not sums.exists()
    loopback.answers[layer_of_broken] = good
    assert command("save", kept, changed, broken, *options).err.count("left untouched: 2 archives") == 1
    check_sums(tmp_path / "out")


def test_a_name_that_is_too_long_for_a_file_is_shortened_in_an_output_directory(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    references = [loopback.add("/".join(["x" * 62] * 3), f"{'v' * 100}{number}", BUILT) for number in range(2)]
    options = ("--output-dir", tmp_path / "out", "--platform", "linux/amd64")
    assert command("save", *references, *options).status == 0
    names = sorted(path.name for path in (tmp_path / "out").glob("*.tar"))
    assert len(names) == 2
    assert all(name.endswith(".tar") and len(name) <= 255 for name in names)
    assert command("save", *references, *options, "--if-changed").err.count("left untouched: 2 archives") == 1


def test_an_empty_output_directory_is_a_usage_error(command: Command) -> None:
    done = command("save", "a.example/x", "--output-dir", "")
    assert done.status == 2
    assert "--output-dir: must be a directory, not an empty text" in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("a.example/x", "-o", "y.tar"), "--output-dir cannot be combined with -o"),
        (("a.example/x", "--dry-run"), "combined with --dry-run, which shows the blobs of all images without it"),
        (("a.example/x/y:1", "a.example/x_y:1"), "would both be saved to "),
        (("a.example/x", "a.example/y", "--name", "z"), "--name cannot be combined with several images"),
    ],
    ids=["-o", "--dry-run", "one name", "--name"],
)
def test_a_contradiction_of_an_output_directory_is_a_usage_error(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = command("save", *arguments, "--output-dir", tmp_path / "out")
    assert done.status == 2
    assert says in done.err
    assert list(tmp_path.iterdir()) == []
