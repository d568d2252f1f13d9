from __future__ import annotations

import os
import pty
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from imgfetch.archive.output import is_terminal, opened, regular
from imgfetch.errors import StorageError
from tests.tools import root

STREAMS = [
    "/dev/stdout",
    "/dev/stderr",
    "/dev/fd/2",
    "/dev/../dev/stdout",
    "/proc/self/fd/1",
    "/proc/thread-self/fd/1",
    pytest.param(f"/proc/{os.getpid()}/fd/1", id="its own"),
    pytest.param(f"/proc/{os.getppid()}/fd/1", id="its parent's"),
    "/dev/fd/999",
]


@pytest.fixture
def descriptor(tmp_path: Path) -> int:
    """A file that holds ``before``, as a shell opens one for ``>>``."""
    path = tmp_path / "opened"
    path.write_bytes(b"before, ")
    return os.open(path, os.O_WRONLY | os.O_APPEND)


def linked(path: Path, target: str | Path) -> Path:
    path.symlink_to(target)
    return path


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system has no /proc")
@pytest.mark.parametrize("name", STREAMS)
def test_what_a_process_has_open_is_a_stream_by_any_name(name: str, tmp_path: Path) -> None:
    assert regular(name) is None
    assert regular(linked(tmp_path / "link", name)) is None
    assert regular(linked(tmp_path / "link-to-a-link", "link")) is None
    assert regular(linked(tmp_path / "directory", Path(name).parent) / Path(name).name) is None


@pytest.mark.parametrize("name", ["/dev/new.tar", "/dev/shm/new.tar", "/dev/fdx", "/dev/shm/../new.tar"])
def test_a_name_below_dev_that_nothing_has_is_a_file_s(name: str) -> None:
    assert regular(name) == Path(name)


def test_a_file_is_one_by_whatever_way_it_is_reached(tmp_path: Path) -> None:
    (tmp_path / "y.tar").write_bytes(b"before")
    ways = [tmp_path / "y.tar", linked(tmp_path / "link", "y.tar"), linked(tmp_path / "dangling", "nowhere")]
    if Path("/proc/self/cwd").exists():
        ways += [Path(f"/proc/self/root{tmp_path}/y.tar"), Path(f"/proc/self/root{tmp_path}/new.tar")]
    assert [regular(way) for way in ways] == ways


def test_pipes_and_devices_are_no_files_whatever_they_are_called(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "y.tar")
    assert regular(tmp_path / "y.tar") is None
    assert regular(linked(tmp_path / "link", tmp_path / "y.tar")) is None
    assert regular(linked(tmp_path / "null.tar", os.devnull)) is None


@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}"])
def test_what_is_open_already_is_gone_on_with(name: str, descriptor: int, tmp_path: Path) -> None:
    name = name.format(descriptor)
    if not Path(name).exists():
        pytest.skip("this system has no such names")
    assert regular(name) is None
    with opened(name, None) as file:
        file.write(b"the archive, ")
    os.write(descriptor, b"and what follows")
    os.close(descriptor)
    assert (tmp_path / "opened").read_bytes() == b"before, the archive, and what follows"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system has no /proc")
def test_what_another_process_has_open_is_not_emptied(descriptor: int, tmp_path: Path) -> None:
    wait = [sys.executable, "-c", "input()"]
    with subprocess.Popen(wait, stdin=subprocess.PIPE, stdout=descriptor) as process:
        with opened(f"/proc/{process.pid}/fd/1", None) as file:
            file.write(b"the archive")
        process.communicate(b"\n", timeout=30)
    os.close(descriptor)
    assert (tmp_path / "opened").read_bytes() == b"before, the archive"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system has no /proc")
def test_a_socket_takes_a_stream_by_its_name() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with opened(f"/dev/fd/{theirs.fileno()}", None) as file:
            file.write(b"the archive")
        assert ours.recv(100) == b"the archive"


def test_a_file_that_has_taken_the_place_of_a_pipe_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "y.tar"
    os.mkfifo(path)
    assert regular(path) is None
    path.unlink()
    path.write_bytes(b"mine")
    with pytest.raises(StorageError, match="it became a regular file"), opened(path, None):
        pass
    assert path.read_bytes() == b"mine"


def test_a_pipe_that_is_gone_is_not_made_a_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"), opened(tmp_path / "y.tar", None):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_link_of_another_user_is_not_followed(tmp_path: Path) -> None:
    root()
    os.mkfifo(tmp_path / "pipe")
    linked(tmp_path / "planted", "pipe")
    os.lchown(tmp_path / "planted", 4321, 4321)
    linked(tmp_path / "y.tar", "planted")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(StorageError, match="planted is a link of another user"), opened(tmp_path / "y.tar", None):
        pass
    os.close(reader)


def test_another_users_pipe_in_a_directory_of_ours_is_used(tmp_path: Path) -> None:
    root()
    os.mkfifo(tmp_path / "y.tar")
    os.chown(tmp_path / "y.tar", 4321, 4321)
    reader = os.open(tmp_path / "y.tar", os.O_RDONLY | os.O_NONBLOCK)
    with opened(tmp_path / "y.tar", None) as file:
        file.write(b"the archive")
    assert os.read(reader, 100) == b"the archive"
    os.close(reader)


def test_a_link_that_takes_the_place_of_a_pipe_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "y.tar")
    (tmp_path / "mine").write_bytes(b"mine")
    real_open = os.open

    def swap(path: Path, flags: int) -> int:
        path.unlink()
        path.symlink_to("mine")
        return real_open(path, flags)

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(StorageError, match="Too many levels of symbolic links"), opened(tmp_path / "y.tar", None):
        pass
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_a_closed_descriptor_is_told() -> None:
    with (
        pytest.raises(StorageError, match="cannot write /dev/fd/999: Bad file descriptor"),
        opened("/dev/fd/999", None),
    ):
        pass


def test_a_terminal_is_one_by_any_name(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    assert is_terminal(name)
    assert is_terminal(linked(tmp_path / "y.tar", name))
    assert is_terminal(f"/dev/fd/{theirs}")
    os.close(theirs)
    os.close(ours)
    for other in (os.devnull, tmp_path / "new", tmp_path):
        assert not is_terminal(other)
    assert not (tmp_path / "new").exists()
    os.mkfifo(tmp_path / "pipe")
    assert not is_terminal(tmp_path / "pipe")  # nor is a reader waited for
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
