"""A save that fails or is interrupted leaves every kind of output as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imgfetch.archive import ustar
from imgfetch.archive.verify import verify
from tests.images import OCI_TAR, hello, image, layer, tar
from tests.integration.conftest import Command
from tests.loopback import Answer, Loopback
from tests.tools import missing, root, tool

BUILT = image(hello("first"), layer(tar({"data": bytes(range(256)) * 8192}), OCI_TAR))  # 2 MiB
LAST = f"/v2/team/app/blobs/{BUILT.layers[-1].digest}"
BEFORE = b"the archive of yesterday"


@dataclass
class Target:
    """An output, and the check that it is as it was."""

    path: Path
    check: Callable[[], None]
    status: int | None = None  # if it cannot be written at all
    says: str = ""


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Return a tmpfs with the options of the test."""
    root()
    directory = tmp_path / "disk"
    directory.mkdir()
    mount = [tool("mount"), "-t", "tmpfs", "-o", request.param, "imgfetch-test", str(directory)]
    done = subprocess.run(mount, capture_output=True, check=False, timeout=30)
    if done.returncode:
        missing(f"no tmpfs can be mounted: {done.stderr.decode()}")
    try:
        yield directory
    finally:
        subprocess.run([tool("umount"), str(directory)], check=True, timeout=30)


def new_file(directory: Path) -> Target:
    target = directory / "y.tar"
    return Target(target, lambda: no_file(target))


def existing_file(directory: Path) -> Target:
    target = directory / "y.tar"
    target.write_bytes(BEFORE)
    return Target(target, lambda: unchanged(target))


def link(directory: Path) -> Target:
    (directory / "real.tar").write_bytes(BEFORE)
    target = directory / "y.tar"
    target.symlink_to("real.tar")

    def check() -> None:
        assert target.is_symlink()
        unchanged(target)

    return Target(target, check)


def dangling_link(directory: Path) -> Target:
    target = directory / "y.tar"
    target.symlink_to("nothing")

    def check() -> None:
        assert target.is_symlink()
        no_file(directory / "nothing")

    return Target(target, check)


def pipe(directory: Path) -> Target:
    target = directory / "y.tar"
    os.mkfifo(target)
    read = subprocess.Popen([tool("cat"), str(target)], stdout=subprocess.PIPE)

    def check() -> None:
        stream, _ = read.communicate(timeout=30)
        assert not stream or is_cut_inside_an_entry(stream), len(stream)
        assert target.is_fifo()

    return Target(target, check)


def a_directory(directory: Path) -> Target:
    target = directory / "y.tar"
    target.mkdir()
    return Target(target, lambda: None, 7, "Is a directory")


def is_cut_inside_an_entry(stream: bytes) -> bool:
    """Return whether a tar stream ends inside an entry or its header, not between two."""
    position = 0
    while position + ustar.BLOCK <= len(stream):
        header = tarfile.TarInfo.frombuf(stream[position : position + ustar.BLOCK], "ascii", "strict")
        position += ustar.BLOCK + ustar.padded(header.size)
    return position != len(stream)


def no_file(path: Path) -> None:
    assert not path.exists()


def unchanged(path: Path) -> None:
    assert path.read_bytes() == BEFORE


TARGETS = {
    "a new file": new_file,
    "an existing file": existing_file,
    "a symbolic link": link,
    "a dangling link": dangling_link,
    "a FIFO": pipe,
    "a directory": a_directory,
}


@pytest.fixture
def hold() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def run_and_fail(failure: str, loopback: Loopback, hold: threading.Event, target: Target, cache: Path) -> None:
    """Run a save whose last layer is missing, or that is interrupted while it arrives."""
    reference = loopback.add("team/app", "v1", BUILT)
    arrives = threading.Event()
    good = loopback.answers[LAST]
    assert isinstance(good, Answer)

    def serve(_: object) -> Answer:
        arrives.set()
        return Answer(b"", 404) if failure == "a missing layer" else Answer(good.body, headers=good.headers, hold=hold)

    loopback.answers[LAST] = serve
    command = [sys.executable, "-m", "imgfetch", "save", reference, "--platform", "linux/amd64", "-o", target.path]
    environment = os.environ | {"IMGFETCH_CACHE_DIR": str(cache)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) as process:
        if target.status is None:
            assert arrives.wait(60)
            if failure == "an interruption":
                process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == (target.status or {"a missing layer": 3, "an interruption": 130}[failure]), err
    assert target.says in err.decode()
    assert b"Traceback" not in err
    target.check()


@pytest.mark.parametrize("failure", ["a missing layer", "an interruption"])
@pytest.mark.parametrize("make", TARGETS.values(), ids=TARGETS.keys())
def test_a_save_that_fails_leaves_its_target_as_it_was(
    make: Callable[[Path], Target], failure: str, loopback: Loopback, hold: threading.Event, tmp_path: Path
) -> None:
    directory = tmp_path / "out"
    directory.mkdir()
    target = make(directory)
    before = sorted(directory.iterdir())
    run_and_fail(failure, loopback, hold, target, tmp_path / "cache")
    assert sorted(directory.iterdir()) == before


@pytest.mark.parametrize("failure", ["a missing layer", "an interruption"])
@pytest.mark.parametrize("make", [new_file, existing_file], ids=["a new file", "an existing file"])
def test_a_save_that_fails_leaves_a_tmpfs_below_dev_as_it_was(
    make: Callable[[Path], Target], failure: str, loopback: Loopback, hold: threading.Event, tmp_path: Path
) -> None:
    if not os.access("/dev/shm", os.W_OK):
        missing("this system has no /dev/shm that can be written to")
    with tempfile.TemporaryDirectory(prefix="imgfetch-test-", dir="/dev/shm") as name:
        target = make(Path(name))
        before = sorted(Path(name).iterdir())
        run_and_fail(failure, loopback, hold, target, tmp_path / "cache")
        assert sorted(Path(name).iterdir()) == before


@pytest.mark.parametrize("disk", ["size=1m"], indirect=True)
def test_a_full_disk_is_left_as_it_was(disk: Path, loopback: Loopback, hold: threading.Event, tmp_path: Path) -> None:
    target = existing_file(disk)
    target.status, target.says = 7, f"not enough space in {disk}"
    run_and_fail("a missing layer", loopback, hold, target, tmp_path / "cache")
    assert sorted(disk.iterdir()) == [target.path]


@pytest.mark.parametrize("disk", ["size=9m"], indirect=True)
def test_a_read_only_disk_is_left_as_it_was(
    disk: Path, loopback: Loopback, hold: threading.Event, tmp_path: Path
) -> None:
    target = existing_file(disk)
    subprocess.run([tool("mount"), "-o", "remount,ro", str(disk)], check=True, timeout=30)
    target.status, target.says = 7, f"cannot write {target.path}: Read-only file system"
    run_and_fail("a missing layer", loopback, hold, target, tmp_path / "cache")


def test_a_file_above_the_limit_is_explained(loopback: Loopback, tmp_path: Path) -> None:
    reference = loopback.add("team/app", "v1", BUILT)
    line = f"ulimit -f 1024; exec {sys.executable} -m imgfetch save {reference} --platform linux/amd64 -o y.tar"
    environment = os.environ | {"IMGFETCH_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [tool("bash"), "-c", line], capture_output=True, check=False, timeout=60, cwd=tmp_path, env=environment
    )
    assert done.returncode == 7, done.stderr
    assert b": File too large" in done.stderr
    assert b"hint: choose another file system, because FAT32 holds files up to 4 GiB, or raise the limit" in done.stderr
    assert not (tmp_path / "y.tar").exists()


def test_a_pipe_ends_when_the_image_is_not_found(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    target = pipe(tmp_path)
    done = command("save", f"{loopback.host}/team/nothing:v1", "-o", target.path)
    assert done.status == 3
    target.check()


# ---- names that promise a compression ----


@pytest.mark.parametrize("name", ["x.tar.xz", "x.TXZ", "x.tar.bz2", "x.tbz2", "x.zip", "x.gz", "x.tar.lz4", "x.tzst"])
def test_a_name_that_promises_another_compression_is_a_usage_error(command: Command, tmp_path: Path, name: str) -> None:
    done = command("save", "a.example/x", "-o", tmp_path / name)
    assert done.status == 2
    suffix = Path(name).suffix.lower()
    assert f"cannot be compressed as {suffix}; use .tar, .tar.gz, .tgz or .tar.zst" in done.err
    assert list(tmp_path.iterdir()) == []


# ---- an archive for each image ----


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
    assert done.err.count("left untouched") == 2


def test_the_first_failure_ends_a_save_of_several_archives(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    one = loopback.add("a", "v1", image(hello("a")))
    gone = f"{loopback.host}/gone:v1"
    three = loopback.add("c", "v1", image(hello("c")))
    done = command("save", one, gone, three, "--output-dir", tmp_path / "out", "--platform", "linux/amd64")
    assert done.status == 3
    assert gone in done.err
    assert "1 of 3 images was not tried" in done.err
    assert [path.name.partition("_")[2] for path in (tmp_path / "out").iterdir()] == [
        f"{loopback.host.partition(':')[2]}_a_v1.tar"
    ]


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
    kept, changed = loopback.add("a", "v1", BUILT), loopback.add("b", "v1", BUILT)
    gone = f"{loopback.host}/gone:v1"
    options = ("--output-dir", tmp_path, "--platform", "linux/amd64", "--if-changed")
    assert command("save", kept, changed, *options).status == 0
    before = (tmp_path / "SHA256SUMS").read_bytes()
    assert command("save", kept, gone, *options).status == 3
    assert (tmp_path / "SHA256SUMS").read_bytes() == before
    loopback.add("b", "v1", image(hello("new")))
    assert command("save", kept, changed, gone, *options).status == 3
    assert not (tmp_path / "SHA256SUMS").exists()


def test_a_forecast_fails_like_the_save_though_it_shows_what_can_be_saved(loopback: Loopback, command: Command) -> None:
    one, gone = loopback.add("a", "v1", BUILT), f"{loopback.host}/gone:v1"
    done = command("save", one, gone, "--dry-run", "--keep-going", "--platform", "linux/amd64")
    assert done.status == 3
    assert gone in done.err
    assert f"{one} linux/amd64: 2 layers, " in done.out


def test_a_name_that_is_too_long_for_a_file_is_shortened_in_an_output_directory(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    references = [loopback.add("/".join(["x" * 62] * 3), f"{'v' * 100}{number}", BUILT) for number in range(2)]
    options = ("--output-dir", tmp_path / "out", "--platform", "linux/amd64")
    assert command("save", *references, *options).status == 0
    names = sorted(path.name for path in (tmp_path / "out").glob("*.tar"))
    assert len(names) == 2
    assert all(name.endswith(".tar") and len(name) <= 255 for name in names)
    assert command("save", *references, *options, "--if-changed").err.count("left untouched") == 2


def test_an_output_with_too_long_a_name_is_refused_before_a_request(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    done = command("save", loopback.add("x", "1", BUILT), "-o", tmp_path / f"{'x' * 252}.tar")
    assert (done.status, loopback.paths) == (7, [])
    assert "File name too long" in done.err


def test_an_empty_output_directory_is_a_usage_error(command: Command) -> None:
    done = command("save", "a.example/x", "--output-dir", "")
    assert done.status == 2
    assert "--output-dir: must be a directory, not an empty text" in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("a.example/x", "-o", "y.tar"), "--output-dir cannot be combined with -o"),
        (("a.example/x", "--dry-run"), "--output-dir cannot be combined with --dry-run"),
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
