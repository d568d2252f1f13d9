from __future__ import annotations

import os
import pty
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgfetch import inputs
from imgfetch.inputs import MAX_SETTINGS, open_regular, read_settings
from tests.tools import in_time

LIMIT = 1000


@pytest.fixture(autouse=True)
def _alarm() -> Iterator[None]:
    with in_time(20):
        yield


@pytest.fixture(autouse=True)
def _descriptors(_alarm: None) -> Iterator[None]:
    """Expect no descriptor to be left open."""
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208  # names, without stat
    yield
    assert set(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208  # those of other tests may go away meanwhile


def special(kind: str, path: Path) -> Path:
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "link to a pipe":
            os.mkfifo(path.with_suffix(".fifo"))
            path.symlink_to(path.with_suffix(".fifo"))
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(path))
        case "directory":
            path.mkdir()
    return path


REASONS = {
    "pipe": "it is a named pipe, not a regular file; to pass a stream, use <(command)",
    "link to a pipe": "it is a named pipe, not a regular file; to pass a stream, use <(command)",
    "device": "it is a device, not a regular file",
    "socket": "it is a socket, not a regular file",
    "directory": "Is a directory",
}


@pytest.mark.parametrize("kind", REASONS)
def test_only_regular_files_are_read_and_nothing_else_is_waited_for(kind: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r".") as caught:
        read_settings(special(kind, tmp_path / "settings"))
    assert caught.value.strerror == REASONS[kind]


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_a_special_file_that_takes_the_place_of_a_regular_one_is_not_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settings"
    path.write_bytes(b"mine")
    real = os.open

    def swap(name: Path, flags: int) -> int:
        path.unlink()
        special(kind, path)
        return real(name, flags)

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(OSError, match=r"not a regular file|No such device"):
        read_settings(path)


def test_a_device_is_not_even_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(os, "open", lambda *arguments: opened.append(arguments))
    with pytest.raises(OSError, match="a device"):
        open_regular(special("device", tmp_path / "settings"))
    assert opened == []


def test_a_link_to_a_regular_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_settings(tmp_path / "link") == b"content"


def test_dev_null_is_an_empty_file_by_any_name(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(os.devnull)
    assert read_settings(os.devnull) == read_settings(tmp_path / "link") == b""


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1, 1 << 40], ids=["the limit", "one more", "a terabyte"])
def test_a_file_is_read_up_to_the_limit(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "settings"
    path.touch()
    os.truncate(path, size)
    read = counted(monkeypatch)
    if size == LIMIT:
        assert read_settings(path, LIMIT) == bytes(size)
    else:
        with pytest.raises(OSError, match=f"it is larger than {LIMIT} bytes"):
            read_settings(path, LIMIT)
    assert sum(read) <= LIMIT + inputs._PIECE


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the bytes that are read."""
    real, counts = os.read, []

    def read(descriptor: int, count: int) -> bytes:
        piece = real(descriptor, count)
        counts.append(len(piece))
        return piece

    monkeypatch.setattr(os, "read", read)
    return counts


def test_a_file_that_grows_while_it_is_read_is_read_up_to_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settings"
    path.write_bytes(b"x")
    real = os.read

    def grow(descriptor: int, count: int) -> bytes:
        with path.open("ab") as file:
            file.write(b"x" * 100_000)
        return real(descriptor, count)

    monkeypatch.setattr(os, "read", grow)
    with pytest.raises(OSError, match=f"it is larger than {MAX_SETTINGS} bytes"):
        read_settings(path)
    assert path.stat().st_size < 2 * MAX_SETTINGS


# ---- open files of this process ----


@pytest.fixture
def pipe(_descriptors: None) -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:  # The test has closed it.
            continue


@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}"])
def test_a_stream_is_read_to_its_end_and_then_remembered(name: str, pipe: tuple[int, int]) -> None:
    path = name.format(pipe[0])
    os.write(pipe[1], b"content")
    os.close(pipe[1])
    assert [read_settings(path) for _ in range(3)] == [b"content"] * 3


def test_a_stream_that_is_not_ready_is_waited_for(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[0], False)

    def write() -> None:
        os.write(pipe[1], b"late")
        os.close(pipe[1])

    writer = threading.Timer(0.1, write)
    writer.start()
    content = read_settings(f"/dev/fd/{pipe[0]}")
    writer.join()
    assert content == b"late"


def test_another_stream_with_the_same_number_is_another_stream() -> None:
    contents = []
    for text in (b"first", b"second"):
        end, other = os.pipe()
        os.write(other, text)
        os.close(other)
        contents.append((end, read_settings(f"/dev/fd/{end}")))
        os.close(end)
    assert contents[0][0] == contents[1][0]
    assert [content for _, content in contents] == [b"first", b"second"]


def test_an_open_regular_file_is_read_from_its_position_and_stays_there(tmp_path: Path) -> None:
    (tmp_path / "settings").write_bytes(b"before, content")
    with (tmp_path / "settings").open("rb", buffering=0) as file:
        file.seek(8)
        assert [read_settings(f"/dev/fd/{file.fileno()}") for _ in range(2)] == [b"content"] * 2
        (tmp_path / "settings").write_bytes(b"before, changed")
        assert read_settings(f"/dev/fd/{file.fileno()}") == b"changed"
        assert file.tell() == 8


def test_a_stream_without_an_end_is_read_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    read = counted(monkeypatch)
    with Path("/dev/zero").open("rb", buffering=0) as zeros, pytest.raises(OSError, match="it is larger than"):
        read_settings(f"/dev/fd/{zeros.fileno()}")
    assert sum(read) <= MAX_SETTINGS + inputs._PIECE


def test_no_settings_are_read_from_a_terminal() -> None:
    ours, theirs = pty.openpty()
    with pytest.raises(OSError, match="it is a terminal; use a pipe, or name a file"):
        read_settings(f"/dev/fd/{theirs}")
    with pytest.raises(OSError, match="it is a device, not a regular file"):
        read_settings(os.ttyname(theirs))
    os.close(theirs)
    os.close(ours)


def test_a_closed_descriptor_is_an_error() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        read_settings("/dev/fd/999")


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/dev/stdin", 0),
        ("/dev/fd/63", 63),
        ("/proc/self/fd/0", 0),
        ("/dev/fd/63/..", None),
        ("/proc/1/fd/0", None),
        ("/dev/fd/" + "9" * 5000, None),
        ("dev/fd/1", None),
    ],
)
def test_a_stream_is_known_by_its_name(path: str, own: int | None) -> None:
    assert inputs.own_descriptor(path) == inputs.own_descriptor(Path(path)) == own
