"""A save that fails or is interrupted leaves every kind of output as it was."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
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
from imgfetch.cli.advice import advised
from imgfetch.cli.parser import parse
from imgfetch.errors import NoSpaceError, StorageError
from imgfetch.files import storage_errors
from tests.filesystems.mounts import tmpfs
from tests.images import OCI_TAR, hello, image, layer, tar
from tests.integration.conftest import Command
from tests.loopback import Answer, Loopback
from tests.tools import missing, tool

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
    """Return a tmpfs of the size of the test."""
    directory = tmp_path / "disk"
    directory.mkdir()
    with tmpfs(directory, size=request.param):
        yield directory


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


@pytest.mark.parametrize("disk", ["1m"], indirect=True)
def test_a_full_disk_is_left_as_it_was(disk: Path, loopback: Loopback, hold: threading.Event, tmp_path: Path) -> None:
    target = existing_file(disk)
    target.status, target.says = 7, f"not enough space in {disk}"
    run_and_fail("a missing layer", loopback, hold, target, tmp_path / "cache")
    assert sorted(disk.iterdir()) == [target.path]


@pytest.mark.parametrize("disk", ["9m"], indirect=True)
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


@pytest.mark.parametrize(
    "name",
    [
        *("x.tar.xz", "x.TXZ", "x.tar.bz2", "x.tbz2", "x.zip", "x.gz", "x.tar.lz4", "x.tzst"),
        *("x.tar.zstd", "x.tzstd", "x.tar.gzip", "x.tar.Z", "x.tar.lzo", "x.tar.bz", "x.tz2"),
    ],
)
def test_a_name_that_promises_another_compression_is_a_usage_error(command: Command, tmp_path: Path, name: str) -> None:
    done = command("save", "a.example/x", "-o", tmp_path / name)
    assert done.status == 2
    suffix = Path(name).suffix.lower()
    assert f"cannot be compressed as {suffix}; use .tar, .tar.gz, .tgz or .tar.zst" in done.err
    assert list(tmp_path.iterdir()) == []


# ---- before a request ----


def test_an_output_with_too_long_a_name_is_refused_before_a_request(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    done = command("save", loopback.add("x", "1", BUILT), "-o", tmp_path / f"{'x' * 252}.tar")
    assert (done.status, loopback.paths) == (7, [])
    assert "File name too long" in done.err


def test_a_forecast_fails_like_the_save_though_it_shows_what_can_be_saved(loopback: Loopback, command: Command) -> None:
    one, gone = loopback.add("a", "v1", BUILT), f"{loopback.host}/gone:v1"
    done = command("save", one, gone, "--dry-run", "--keep-going", "--platform", "linux/amd64")
    assert done.status == 3
    assert gone in done.err
    assert f"{one} linux/amd64: 2 layers, " in done.out


def test_a_full_disk_has_advice_that_frees_space_and_keeps_what_another_run_resumes(
    loopback: Loopback, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = image(hello("old"))
    assert command("save", loopback.add("team/old", "1", old), "-o", tmp_path / "x.tar").status == 0
    blobs = [path for path in (tmp_path / "cache/blobs").rglob("*") if path.is_file()]
    save = ("save", loopback.add("team/app", "1", BUILT), "--platform", "linux/amd64", "-o", tmp_path / "y.tar")
    full = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    options = "or choose another --output or --cache-dir\n"
    done = command(*save)
    assert (done.status, done.err.partition("hint: ")[2]) == (7, f"free some space, {options}")
    for path in blobs:
        os.utime(path, (0, 0))
    prune = f"imgfetch cache prune --older-than 1d --cache-dir {tmp_path}/cache"
    assert command(*save).err.endswith(f"hint: free some space, for example with {prune}, {options}")
    kept = {path for path in (tmp_path / "cache/blobs").rglob("*") if path.is_file()} - set(blobs)
    assert command(*prune.split()[1:]).status == 0
    assert {path for path in (tmp_path / "cache/blobs").rglob("*") if path.is_file()} == kept != set()


def test_a_cache_on_another_disk_than_the_full_one_is_not_to_be_pruned(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    assert command("save", loopback.add("team/app", "1", BUILT), "-o", tmp_path / "x.tar").status == 0
    for path in (tmp_path / "cache").rglob("*"):
        os.utime(path, (0, 0))
    words = ["save", "x", "-o", "y", "--cache-dir", str(tmp_path / "cache")]
    for place, is_same in (("/proc", False), (str(tmp_path / "y.tar"), True), (None, False)):
        error = NoSpaceError("full", path=Path(place) if place else None)
        assert ("prune" in str(advised(error, parse(words)).hint)) is is_same
    assert advised(NoSpaceError("full"), parse(["logout"])).hint == "free some space"


def test_a_stream_to_a_full_disk_leaves_an_incomplete_output_that_the_user_must_remove(
    loopback: Loopback, tmp_path: Path
) -> None:
    reference = loopback.add("team/app", "1", BUILT)
    words = ["save", reference, "--platform", "linux/amd64", "--cache-dir", tmp_path / "cache"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "imgfetch", *words], stdout=full, stderr=subprocess.PIPE, check=False, timeout=60
        )
    assert done.returncode == 7
    assert b"hint: free some space where stdout leads, and remove the incomplete output there" in done.stderr


_DIRECTORY = "name a file in it"
_MOUNTED = "mount its directory instead of the file"
_STDOUT = "or write to stdout: imgfetch"


@pytest.mark.parametrize(
    ("number", "words", "hint"),
    [
        (errno.EISDIR, "save x -o y", f"{_DIRECTORY}, or write an archive for each image with --output-dir DIR"),
        (errno.EISDIR, "save x --output-dir y", "move it away, or choose another --output-dir"),
        (errno.EISDIR, "digest x -o y", _DIRECTORY),
        (errno.EISDIR, "login", _DIRECTORY),
        (errno.EBUSY, "save x -o y", f"{_MOUNTED}, {_STDOUT} save … > FILE"),
        (errno.EBUSY, "save x --output-dir y", _MOUNTED),
        (errno.EBUSY, "digest x -o y", f"{_MOUNTED}, {_STDOUT} digest … > FILE"),
    ],
)
def test_the_next_step_after_an_output_that_cannot_be_written_suits_the_command(
    number: int, words: str, hint: str, tmp_path: Path
) -> None:
    def fail(purpose: str) -> str | None:
        with pytest.raises(StorageError) as caught, storage_errors(tmp_path / "y", purpose):
            raise OSError(number, os.strerror(number))
        return advised(caught.value, parse(words.split())).hint

    assert fail("write") == hint
    assert fail("read") is None
    assert "--cache-dir" in str(fail("use"))


IN_THE_WAY = {
    "save {} -o y": f"{_DIRECTORY}, or write an archive for each image with --output-dir DIR",
    "save {} --output-dir .": "move it away, or choose another --output-dir",
    "digest {} -o y": _DIRECTORY,
}


@pytest.mark.parametrize("words", IN_THE_WAY)
def test_a_directory_that_is_in_the_way_is_told_before_a_request(
    loopback: Loopback, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("y", "SHA256SUMS"):
        Path(name).mkdir()
    done = command(*words.format(loopback.add("team/app", "1", BUILT)).split())
    assert (done.status, loopback.paths) == (7, [])
    assert ": Is a directory\n" in done.err
    assert done.err.endswith(f"hint: {IN_THE_WAY[words]}\n")


@pytest.mark.parametrize("words", ["save {} -o 'a b/c/y.tar'", "digest {} -o 'a b/c/y.lock'"])
def test_a_missing_directory_of_an_output_is_told_with_the_command_that_makes_it(
    loopback: Loopback, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command(*shlex.split(words.format(loopback.add("team/app", "1", BUILT))))
    assert done.status == 7
    assert "No such file or directory\n" in done.err
    assert done.err.endswith("hint: create its directory: mkdir -p 'a b/c'\n")


def test_a_missing_file_that_is_read_is_not_to_be_created(command: Command, tmp_path: Path) -> None:
    assert "hint" not in command("verify", tmp_path / "missing" / "y.tar").err


def test_a_file_in_the_place_of_an_output_directory_is_told(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "y.tar").touch()
    done = command("save", loopback.add("team/app", "1", BUILT), "--output-dir", tmp_path / "y.tar")
    assert done.status == 7
    assert done.err.endswith(
        "y.tar: File exists\nimgfetch:   hint: --output-dir needs a directory; for one archive, use -o\n"
    )
