"""The destinations of an archive, and the errors of a disk."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import imgfetch
from imgfetch import NotFoundError
from tests.filesystems.mounts import tmpfs
from tests.images import OCI_TAR, hello, image, layer, part_of_a_header, tar
from tests.integration.conftest import Save
from tests.loopback import Answer, Loopback, Request
from tests.tools import missing, tool, umask
from tests.waiting import until

BUILT = image(hello(), layer(tar({"data": bytes(range(256)) * 16384}), OCI_TAR))  # 4 MiB
PLATFORM = ("--platform", "linux/amd64")


@pytest.fixture
def reference(loopback: Loopback) -> str:
    return loopback.add("team/app", "v1", BUILT)


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Return a tmpfs of 1 MiB, or of as many as the test says."""
    directory = tmp_path / "small"
    directory.mkdir()
    with tmpfs(directory, size=f"{getattr(request, 'param', 1)}m"):
        yield directory


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def fill(disk: Path, room: int) -> None:
    """Leave no more than ``room`` bytes on a disk."""
    with (disk / "others").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    with (disk / "others").open("r+b") as file:
        file.truncate((disk / "others").stat().st_size - room)


def filling(loopback: Loopback, disk: Path, room: int, *, after: Path | None = None) -> None:
    """Let others fill a disk when the last layer is asked for, long after the plan was made, and a file is there."""
    path = f"/v2/team/app/blobs/{BUILT.layers[-1].digest}"
    answer = loopback.answers[path]
    assert isinstance(answer, Answer)

    def serve(_: Request) -> Answer:
        until(lambda: after is None or after.exists())
        fill(disk, room)
        return answer

    loopback.answers[path] = serve


@pytest.mark.parametrize("small_disk", [16], indirect=True)
def test_a_disk_that_others_fill_leaves_the_target_as_it_was(
    small_disk: Path, reference: str, save: Save, loopback: Loopback, tmp_path: Path
) -> None:
    target = small_disk / "y.tar"
    target.write_bytes(b"before")
    cache = tmp_path / "cache"
    filling(loopback, small_disk, 1024**2, after=cache / "blobs" / "sha256" / BUILT.layers[0].digest[7:])
    done = save(reference, to=target, status=7)
    assert re.search(r"y\.tar: No space left on device \([0-9.]+ [kM]?B free\)", done.err)
    assert "partial downloads are kept in the cache" in done.err
    assert names(small_disk) == ["others", "y.tar"]
    assert target.read_bytes() == b"before"
    blobs, parts = (list((cache / name / "sha256").iterdir()) for name in ("blobs", "parts"))
    # What was fetched is kept, and what was on its way when the disk was full.
    assert (len(blobs), len(parts)) == (3, 1)


@pytest.mark.parametrize("small_disk", [16], indirect=True)
@pytest.mark.parametrize("cache", [True, False], ids=["cache", "no-cache"])
def test_a_save_goes_on_where_a_full_disk_stopped_it(
    small_disk: Path, reference: str, save: Save, loopback: Loopback, *, cache: bool
) -> None:
    target = small_disk / "y.tar"
    where = ("--cache-dir", small_disk / "cache") if cache else ("--no-cache",)
    good = loopback.answers[f"/v2/team/app/blobs/{BUILT.layers[-1].digest}"]
    filling(loopback, small_disk, 2 * 1024**2)
    # With one job, nothing else is written while the others fill the disk.
    done = save(reference, *where, "-j1", to=target, status=7)  # F60
    assert "No space left on device" in done.err
    assert "run the same command" in done.err or "partial downloads are kept" in done.err
    assert not target.exists()
    (part,) = small_disk.glob(f"**/parts/sha256/{BUILT.layers[-1].digest[7:]}")
    assert 0 < part.stat().st_size < len(BUILT.layers[-1].content)
    assert stat.S_IMODE(part.stat().st_mode) == 0o600  # S35

    (small_disk / "others").unlink()
    loopback.answers[f"/v2/team/app/blobs/{BUILT.layers[-1].digest}"] = good
    loopback.requests.clear()
    kept = part.stat().st_size
    save(reference, *where, to=target)
    assert tarfile.is_tarfile(target)
    assert names(small_disk) == (["cache", "y.tar"] if cache else ["y.tar"])
    (asked,) = [request for request in loopback.requests if BUILT.layers[-1].digest in request.path]
    assert asked.headers["Range"] == f"bytes={kept}-"


def test_too_small_a_disk_is_told_before_any_layer_is_fetched(
    small_disk: Path, reference: str, save: Save, loopback: Loopback
) -> None:
    target = small_disk / "y.tar"
    done = save(reference, to=target, status=7)
    assert "not enough space in" in done.err
    assert str(small_disk) in done.err
    assert re.search(r"4\.\d+ MB needed \(4\.\d+ MB for the archive\), 1\.\d+ MB free", done.err)
    assert not any(layer.digest in path for layer in BUILT.layers for path in loopback.paths)
    assert not target.exists()


def test_a_cache_that_is_too_small_is_done_without(
    small_disk: Path, reference: str, save: Save, tmp_path: Path
) -> None:
    done = save(reference, "--cache-dir", small_disk / "cache")
    assert re.search(r"4\.\d+ MB needed \(4\.\d+ MB for layers\), 1\.\d+ MB free; continuing without a cache", done.err)
    assert done.err.count("warning: not enough space") == 1
    assert tarfile.is_tarfile(tmp_path / "y.tar")


def test_a_disk_that_is_too_small_for_cache_and_output_is_told_once(
    small_disk: Path, reference: str, save: Save
) -> None:
    done = save(reference, "--cache-dir", small_disk / "cache", to=small_disk / "y.tar", status=7)
    assert "for layers and" in done.err
    assert "continuing" not in done.err


def test_a_cache_that_is_read_only_is_done_without(
    small_disk: Path, reference: str, save: Save, tmp_path: Path
) -> None:
    subprocess.run([tool("mount"), "-o", "remount,ro", str(small_disk)], check=True, timeout=30)
    done = save(reference, "--cache-dir", small_disk / "cache")
    assert "Read-only file system" in done.err
    assert "continuing without a cache" in done.err
    assert tarfile.is_tarfile(tmp_path / "y.tar")


def test_a_device_that_is_full_is_told(reference: str, save: Save) -> None:
    done = save(reference, to="/dev/full", status=7)
    assert "/dev/full: No space left on device" in done.err


def test_a_device_stays_a_device(reference: str, save: Save) -> None:
    save(reference, to="/dev/null")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.fixture
def below_dev() -> Iterator[Path]:
    """Return a directory on a file system of plain files below /dev."""
    if not os.access("/dev/shm", os.W_OK):  # that is the point
        missing("this system has no /dev/shm that can be written to")
    with tempfile.TemporaryDirectory(prefix="imgfetch-test-", dir="/dev/shm") as directory:
        yield Path(directory)


def test_a_file_below_dev_is_a_file(
    below_dev: Path, reference: str, save: Save, loopback: Loopback, tmp_path: Path
) -> None:
    target = below_dev / "y.tar"
    target.write_bytes(b"before")
    good = dict(loopback.answers)
    loopback.answers[f"/v2/team/app/blobs/{BUILT.layers[-1].digest}"] = Answer(b"", 404)
    save(reference, to=target, status=3)
    assert target.read_bytes() == b"before"
    assert names(below_dev) == ["y.tar"]
    loopback.answers = dict(good)
    save(reference, to=target)
    save(reference)
    assert target.read_bytes() == (tmp_path / "y.tar").read_bytes()
    assert names(below_dev) == ["y.tar"]


@pytest.mark.parametrize("where", ["stdout", "/dev/stdout", "/dev/fd/3", "a pipe"])
def test_a_stream_that_fails_ends_inside_a_header(
    where: str, reference: str, loopback: Loopback, tmp_path: Path
) -> None:
    loopback.answers[f"/v2/team/app/blobs/{BUILT.layers[-1].digest}"] = Answer(b"", 404)
    line = SAVE.format(reference=reference)
    done = shell(
        {
            "stdout": f"{line} >part",
            "/dev/stdout": f"{line} -o /dev/stdout >part",
            "/dev/fd/3": f"{line} -o /dev/fd/3 3>part",
            "a pipe": f"mkfifo y.tar; cat y.tar >part & {line} -o y.tar; status=$?; wait; exit $status",
        }[where],
        tmp_path,
    )
    assert done.returncode == 3, done.stderr
    stream = (tmp_path / "part").read_bytes()
    assert part_of_a_header(stream), len(stream)


def test_a_library_s_stream_that_fails_ends_inside_a_header(reference: str, loopback: Loopback) -> None:
    loopback.answers[f"/v2/team/app/blobs/{BUILT.layers[-1].digest}"] = Answer(b"", 404)
    out = io.BytesIO()
    with pytest.raises(NotFoundError):
        imgfetch.save(reference, out, platform="linux/amd64")
    assert part_of_a_header(out.getvalue())


def test_a_stream_that_fails_before_it_begins_is_empty(loopback: Loopback) -> None:
    out = io.BytesIO()
    with pytest.raises(NotFoundError):
        imgfetch.save(f"{loopback.host}/team/nothing:v1", out, platform="linux/amd64")
    assert out.getvalue() == b""


def test_a_directory_that_is_not_there_is_told_before_any_layer_is_fetched(
    reference: str, save: Save, loopback: Loopback, tmp_path: Path
) -> None:
    done = save(reference, to=tmp_path / "nowhere" / "y.tar", status=7)
    assert "nowhere" in done.err
    assert "No such file or directory" in done.err
    assert not any(layer.digest in path for layer in BUILT.layers for path in loopback.paths)


def test_a_directory_is_no_file(reference: str, save: Save, tmp_path: Path) -> None:
    done = save(reference, to=tmp_path, status=7)
    assert "Is a directory" in done.err


def test_a_disk_that_is_read_only_is_told(reference: str, small_disk: Path, save: Save) -> None:
    subprocess.run([tool("mount"), "-o", "remount,ro", str(small_disk)], check=True, timeout=30)
    done = save(reference, to=small_disk / "y.tar", status=7)
    assert "y.tar: Read-only file system" in done.err


def test_the_archive_has_the_permissions_of_any_new_file(reference: str, save: Save, tmp_path: Path) -> None:
    with umask(0o027):
        save(reference)
    assert stat.S_IMODE((tmp_path / "y.tar").stat().st_mode) == 0o640


def test_a_link_at_the_target_is_replaced_and_not_followed(reference: str, save: Save, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"mine")
    target = tmp_path / "y.tar"
    target.symlink_to(elsewhere)
    save(reference, to=target)
    assert elsewhere.read_bytes() == b"mine"
    assert not target.is_symlink()
    assert tarfile.is_tarfile(target)


@pytest.mark.parametrize("output", ["-", "/dev/stdout", "link"])
def test_a_terminal_gets_no_archive(output: str, reference: str, loopback: Loopback, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    (tmp_path / "link").symlink_to(os.ttyname(theirs))
    command = [sys.executable, "-m", "imgfetch", "save", reference, *PLATFORM, "--no-cache", "-o", output]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, check=False, timeout=60, cwd=tmp_path)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 2
    assert b"refusing to write an archive to the terminal" in done.stderr
    assert loopback.requests == []


def shell(script: str, directory: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a line of shell in which ``imgfetch`` is the command."""
    line = f'imgfetch() {{ "{sys.executable}" -m imgfetch "$@"; }}; {script}'
    return subprocess.run(
        [tool("bash"), "-c", line], capture_output=True, check=False, timeout=60, cwd=directory, env=os.environ | ENV
    )


ENV = {"IMGFETCH_CACHE_DIR": "cache"}
SAVE = "imgfetch save {reference} --platform linux/amd64"
SHELL = {
    "a pipe that closes": (SAVE + " | head -c 100 >head; exit ${{PIPESTATUS[0]}}", 7, "Broken pipe"),
    "a stdout that is full": (SAVE + " >/dev/full", 7, "cannot write the output: No space left on device\n"),
    "a stdout that is closed": (SAVE + " >&-", 2, "stdout is closed"),
    "a stderr that is closed": (SAVE + " -o y.tar 2>&-", 0, ""),
    "a stderr that is full": (SAVE + " -o y.tar 2>/dev/full", 0, ""),
    "a stdout that is a file": (SAVE + " >y.tar", 0, "saved "),
    "a file by the name of stdout": (SAVE + " -o /dev/stdout >y.tar && tar -tf y.tar >list", 0, "saved "),
    "a link to the name of stdout": ("ln -s /dev/stdout out; " + SAVE + " -o out >y.tar && test -L out", 0, "saved "),
    "a stdout that is appended to": (
        "printf before >both; " + SAVE + " -o /dev/stdout >>both && printf after >>both && tail -c +7 both >y.tar && "
        "test $(head -c 6 both)$(tail -c 5 both) = beforeafter",
        0,
        "saved ",
    ),
    "the stdout of the shell": (SAVE + " -o /proc/$$/fd/1 >y.tar", 0, "saved "),
    "a device by the name of stdout": (SAVE + " -o /dev/stdout >/dev/full", 7, "stdout: No space left on device\n"),
    "a directory's name": (SAVE + " -o nowhere/", 7, "Is a directory"),
    "a name that is too long": (SAVE + " -o $(printf x%.0s {{1..300}})", 7, "File name too long"),
    "a name of many bytes": (SAVE + " -o $(printf 漢%.0s {{1..80}})", 0, "saved "),
}


@pytest.mark.parametrize(("script", "status", "says"), SHELL.values(), ids=SHELL.keys())
def test_what_a_shell_does_with_stdout_and_stderr(
    script: str, status: int, says: str, reference: str, tmp_path: Path
) -> None:
    done = shell(script.format(reference=reference), tmp_path)
    err = done.stderr.decode()
    assert done.returncode == status, err
    assert says in err
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    if status == 0 and (tmp_path / "y.tar").exists():
        assert tarfile.is_tarfile(tmp_path / "y.tar")
    assert list(tmp_path.glob(".*")) == []


def test_a_reader_that_goes_away_gives_no_traceback(reference: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "imgfetch", "save", reference, *PLATFORM, "--no-cache"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
    assert process.stdout is not None
    process.stdout.read(100)
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read().decode()
    assert process.wait(60) == 7
    assert "Broken pipe" in err
    assert "Traceback" not in err
    process.stderr.close()


def test_a_cache_that_was_damaged_is_repaired(reference: str, save: Save, loopback: Loopback, tmp_path: Path) -> None:
    save(reference, to="one.tar")
    encoded = BUILT.layers[0].digest.removeprefix("sha256:")
    stored = tmp_path / "cache" / "blobs" / "sha256" / encoded
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    loopback.requests.clear()
    save(reference, to="two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    assert [path for path in loopback.paths if "/blobs/" in path] == [f"/v2/team/app/blobs/sha256:{encoded}"]


def test_nobody_else_may_read_the_cache(reference: str, save: Save, tmp_path: Path) -> None:
    save(reference)
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o700
    blobs = tmp_path / "cache" / "blobs" / "sha256"
    assert {stat.S_IMODE(path.stat().st_mode) for path in blobs.iterdir()} == {0o600}
