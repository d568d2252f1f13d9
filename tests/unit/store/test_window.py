"""Bytes that arrive early wait in a ring on the disk."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from imgfetch.errors import StorageError
from imgfetch.store.folder import Folder
from imgfetch.store.window import Window

CONTENT = random.Random(1).randbytes(10_000)
SIZE = 1000


@pytest.fixture
def window(tmp_path: Path) -> Window:
    return Window.beside(Folder.at(tmp_path), SIZE)


def read(window: Window, position: int, count: int) -> bytes:
    found = b""
    while len(found) < count:
        found += window.read(position + len(found), count - len(found))
    return found


def test_bytes_are_where_they_were_written_also_around_the_end_of_the_ring(window: Window) -> None:
    for position in range(0, len(CONTENT), 700):
        window.write(position, CONTENT[position : position + 700])
        assert read(window, position, len(CONTENT[position : position + 700])) == CONTENT[position : position + 700]
    window.close()


def test_the_file_has_no_name_and_no_more_than_its_size(window: Window, tmp_path: Path) -> None:
    window.write(SIZE - 100, bytes(300))
    assert list(tmp_path.iterdir()) == []
    assert window._file.seek(0, 2) == SIZE
    window.close()


def test_a_disk_that_cannot_be_written_to_is_an_error_of_this_machine(window: Window) -> None:
    window.close()
    full = Path("/dev/full")
    with full.open("r+b", buffering=0) as device, pytest.raises(StorageError):
        Window(device, full, SIZE).write(0, b"x")
