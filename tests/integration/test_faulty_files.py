"""The file systems of the tests have the faults that tests ask of them."""

from __future__ import annotations

import errno
import fcntl
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.filesystems.faults import Faults
from tests.filesystems.mounts import bindfs, faulty, overlay, read_only, tmpfs


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "place"
    place.mkdir()
    (place / "old").write_bytes(b"old")
    return place


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def lock(path: Path) -> None:
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def lock_for_reading(path: Path) -> None:
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_open(path: Path) -> None:
    with path.open("rb"):
        path.unlink()


FAILING: dict[str, tuple[Faults, Callable[[Path], object], int]] = {
    "no locks": (Faults(errors={"flock": errno.ENOLCK}), lock, errno.ENOLCK),
    "no system call for locks": (Faults(errors={"flock": errno.ENOSYS}), lock, errno.ENOSYS),
    "locks for writers": (Faults(nfs_locks=True), lock_for_reading, errno.EBADF),
    "no chmod": (Faults(errors={"chmod": errno.EPERM}), lambda path: path.chmod(0o600), errno.EPERM),
    "no hard links": (
        Faults(errors={"link": errno.EPERM}),
        lambda path: path.with_name("n").hardlink_to(path),
        errno.EPERM,
    ),
    "no room": (Faults(room=5, full=errno.EDQUOT), lambda path: path.write_bytes(b"123456"), errno.EDQUOT),
    "no files": (Faults(files=0), lambda path: path.with_name("new").mkdir(), errno.ENOSPC),
    "bad blocks": (Faults(errors={"read": errno.EIO}, names="*/ol?"), lambda path: path.read_bytes(), errno.EIO),
    "busy files": (Faults(busy=True), remove_open, errno.EBUSY),
}


@pytest.mark.parametrize(("faults", "act", "number"), FAILING.values(), ids=FAILING)
def test_a_fault_is_seen(place: Path, faults: Faults, act: Callable[[Path], object], number: int) -> None:
    with faulty(place, faults):
        with pytest.raises(OSError, match=r".") as caught:
            act(place / "old")
        assert caught.value.errno == number
        assert shutil.disk_usage(place).free > 0


def test_without_faults_all_is_well(place: Path) -> None:
    with faulty(place, Faults()) as below:
        lock(place / "old")
        lock_for_reading(place / "old")
        (place / "new").write_bytes(b"new")
        assert (below / "new").read_bytes() == b"new"
        (place / "new").replace(place / "newer")
        (place / "newer").chmod(0o600)
        assert stat.S_IMODE((place / "newer").stat().st_mode) == 0o600
        remove_open(place / "newer")
        assert names(place) == ["old"]
    assert (place / "old").read_bytes() == b"old"


def test_another_lock_is_respected(place: Path) -> None:
    with faulty(place, Faults(nfs_locks=True)), (place / "old").open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            lock(place / "old")
        fcntl.flock(file, fcntl.LOCK_UN)
        lock(place / "old")


def test_modes_and_owners_are_ignored(place: Path) -> None:
    with faulty(place, Faults(mode=0o777, owner=1234)):
        (place / "new").mkdir(mode=0o700)
        (place / "new").chmod(0o700)
        status = (place / "new").stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o777, 1234)


def test_an_open_file_that_is_removed_gets_a_hidden_name(place: Path) -> None:
    for mounted in (faulty(place, Faults()), bindfs(place)):
        with mounted, (place / "new").open("wb"):
            (place / "new").unlink()
            assert any(name.startswith(".fuse_hidden") for name in names(place))
        assert names(place) == ["old"]


def test_a_small_disk_fills_up_and_a_read_only_one_takes_nothing(place: Path) -> None:
    with tmpfs(place, size=64 * 1024, nr_inodes=2):
        with pytest.raises(OSError, match="No space"):
            (place / "new").write_bytes(bytes(70_000))
        with pytest.raises(OSError, match="No space"):
            (place / "newer").touch()
    with read_only(place), pytest.raises(OSError, match="Read-only"):
        (place / "new").touch()
    with overlay(place):
        (place / "old").write_bytes(b"new")
    assert (place / "old").read_bytes() == b"old"
