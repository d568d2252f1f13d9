from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from imgfetch import files
from imgfetch.errors import StorageError
from imgfetch.files import atomic_write, storage_errors

NOBODY = 65534


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file that is to be replaced, alone in its directory."""
    directory = tmp_path / "directory"
    directory.mkdir()
    target = directory / "image.tar"
    target.write_bytes(b"old")
    return target


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be somebody whom permissions concern."""
    before = os.geteuid()
    os.seteuid(before or NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("durable", [False, True], ids=["quick", "durable"])
def test_a_file_takes_the_place_of_another_when_the_block_ends_well(target: Path, *, durable: bool) -> None:
    with atomic_write(target, mode=0o666, durable=durable) as file:
        file.write(b"new")
        file.flush()
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert names(target.parent) == ["image.tar"]


def test_a_file_appears_where_none_was(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "image.tar", mode=0o666, durable=True) as file:
        file.write(b"new")
        assert not (tmp_path / "image.tar").exists()
    assert (tmp_path / "image.tar").read_bytes() == b"new"


def test_the_file_can_be_read_again_before_it_has_its_name(target: Path) -> None:
    with atomic_write(target, mode=0o666, durable=False) as file:
        file.write(b"new content")
        file.seek(4)
        assert file.read() == b"content"


@pytest.mark.parametrize("error", [ValueError, StorageError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_block_that_fails_leaves_everything_as_it_was(target: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with atomic_write(target, mode=0o666, durable=True) as file:
            file.write(b"half of the new")
            file.flush()
            raise error("stop")

    with pytest.raises(error, match=r"^stop$"):
        fail()
    assert target.read_bytes() == b"old"
    assert names(target.parent) == ["image.tar"]


def test_a_block_that_fails_leaves_nothing_where_nothing_was(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / "image.tar", mode=0o666, durable=True):
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_a_symbolic_link_is_replaced_and_not_followed(target: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.tar"
    link.symlink_to(target)
    with atomic_write(link, mode=0o666, durable=True) as file:
        file.write(b"new")
    assert not link.is_symlink()
    assert link.read_bytes() == b"new"
    assert target.read_bytes() == b"old"


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(("mode", "expected"), [(0o666, 0o640), (0o600, 0o600)], ids=["archive", "private"])
def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path, mode: int, expected: int) -> None:
    with atomic_write(tmp_path / "x", mode=mode, durable=False) as file:
        assert os.fstat(file.fileno()).st_mode & 0o777 == expected
    assert (tmp_path / "x").stat().st_mode & 0o777 == expected


def test_the_unfinished_file_may_stand_elsewhere(target: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    folders = os.open(parts, os.O_RDONLY), os.open(target.parent, os.O_PATH)
    with atomic_write(target, mode=0o600, durable=True, folders=folders) as file:
        file.write(b"new")
        assert names(target.parent) == ["image.tar"]
        assert len(names(parts)) == 1
    for folder in folders:
        os.close(folder)
    assert target.read_bytes() == b"new"
    assert names(parts) == []


def test_two_may_replace_a_file_at_the_same_time(target: Path) -> None:
    with atomic_write(target, mode=0o666, durable=False) as first:
        with atomic_write(target, mode=0o666, durable=False) as second:
            first.write(b"first")
            second.write(b"second")
        assert target.read_bytes() == b"second"
    assert target.read_bytes() == b"first"
    assert names(target.parent) == ["image.tar"]


@pytest.mark.parametrize(
    "name",
    ["n" * 255, "\u00e9" * 127, "\u6f22" * 85, "\U0001f40b" * 63],
    ids=["1 byte a letter", "2 bytes", "3 bytes", "4 bytes"],
)
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path, name: str) -> None:
    assert 252 <= len(name.encode()) <= 255
    with atomic_write(tmp_path / name, mode=0o666, durable=False) as file:
        file.write(b"new")
    assert (tmp_path / name).read_bytes() == b"new"


def test_a_directory_that_is_not_writable_is_a_storage_error(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(target.parent)
    target.parent.chmod(0o555)
    with (
        unprivileged(),
        pytest.raises(StorageError) as caught,
        atomic_write(Path(target.name), mode=0o666, durable=True),
    ):
        pytest.fail("it was opened")
    assert str(caught.value) == "cannot write image.tar: Permission denied"
    assert isinstance(caught.value.__cause__, PermissionError)
    assert target.read_bytes() == b"old"
    assert names(target.parent) == ["image.tar"]


def test_a_directory_that_is_not_readable_will_do(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # it cannot be opened to bring the change of names to the disk
    monkeypatch.chdir(target.parent)
    if os.geteuid() == 0:
        os.chown(target.parent, NOBODY, -1)
    target.parent.chmod(0o300)
    with unprivileged(), atomic_write(Path(target.name), mode=0o666, durable=True) as file:
        file.write(b"new")
    target.parent.chmod(0o700)
    assert target.read_bytes() == b"new"
    assert names(target.parent) == ["image.tar"]


@pytest.mark.parametrize(
    ("path", "reason", "cause"),
    [
        pytest.param("missing/image.tar", "No such file or directory", FileNotFoundError, id="directory missing"),
        pytest.param("directory/image.tar/x", "Not a directory", NotADirectoryError, id="directory is a file"),
        pytest.param("directory", "Is a directory", IsADirectoryError, id="target is a directory"),
        pytest.param("directory/" + "n" * 256, "File name too long", OSError, id="long name"),
    ],
)
def test_a_place_where_no_file_can_be_is_a_storage_error(
    target: Path, tmp_path: Path, path: str, reason: str, cause: type[OSError]
) -> None:
    with pytest.raises(StorageError) as caught, atomic_write(tmp_path / path, mode=0o666, durable=True) as file:
        file.write(b"new")
    assert str(caught.value) == f"cannot write {tmp_path / path}: {reason}"
    assert isinstance(caught.value.__cause__, cause)
    assert names(tmp_path) == ["directory"]
    assert names(target.parent) == ["image.tar"]


def test_a_disk_that_is_full_while_writing_is_a_storage_error(target: Path) -> None:
    with pytest.raises(StorageError, match="No space left on device"), atomic_write(target, mode=0o666, durable=True):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert target.read_bytes() == b"old"
    assert names(target.parent) == ["image.tar"]


def test_content_is_brought_to_the_disk_while_it_is_written(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = threading.Semaphore(0)
    monkeypatch.setattr(files, "_SYNC_INTERVAL", 0.001)
    monkeypatch.setattr(os, "fdatasync", lambda _: synced.release())
    with atomic_write(target, mode=0o666, durable=True):
        assert synced.acquire(timeout=30)
        assert synced.acquire(timeout=30)
    assert not any(thread.name == "imgfetch-sync" for thread in threading.enumerate())


def test_a_disk_that_fails_meanwhile_is_a_storage_error(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A later fsync may say that all is well, for such a failure is told once.
    has_failed = threading.Event()

    def fail(_: int) -> None:
        has_failed.set()
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(files, "_SYNC_INTERVAL", 0.001)
    monkeypatch.setattr(os, "fdatasync", fail)

    def write() -> None:
        with atomic_write(target, mode=0o666, durable=True) as file:
            file.write(b"new")
            assert has_failed.wait(30)

    with pytest.raises(StorageError, match="Input/output error"):
        write()
    assert target.read_bytes() == b"old"
    assert names(target.parent) == ["image.tar"]


def test_a_block_that_fails_does_not_wait_for_the_disk(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    has_begun, may_end = threading.Event(), threading.Event()

    def hang(_: int) -> None:
        has_begun.set()
        may_end.wait(30)

    monkeypatch.setattr(files, "_SYNC_INTERVAL", 0.001)
    monkeypatch.setattr(os, "fdatasync", hang)

    def interrupt() -> None:
        with atomic_write(target, mode=0o666, durable=True):
            assert has_begun.wait(30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert names(target.parent) == ["image.tar"]
    assert not may_end.is_set()
    may_end.set()


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.EPERM, "choose another name or directory; "), (errno.EBUSY, "mount its directory instead of the file")],
    ids=["of another user", "mounted"],
)
def test_a_file_that_becomes_irreplaceable_meanwhile_has_a_way_out(
    target: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str
) -> None:
    def fail(*_: object, **_directories: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(StorageError) as caught, atomic_write(target, mode=0o666, durable=True) as file:
        file.write(b"new")
    assert str(caught.value) == f"cannot write {target}: {os.strerror(number)}"
    assert (caught.value.hint or "").startswith(hint)
    assert names(target.parent) == ["image.tar"]


def test_a_full_disk_tells_what_to_do() -> None:
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("this system has no device that is always full")
    with pytest.raises(StorageError) as caught, storage_errors(full, "write"), full.open("wb", buffering=0) as file:
        file.write(b"x")
    message = str(caught.value)
    assert message == "cannot write /dev/full: No space left on device"
    assert caught.value.hint == "free some space, or choose another output or cache directory"
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC


def test_a_full_disk_whose_space_is_not_to_be_seen_is_told_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "x"
    with pytest.raises(StorageError) as caught, storage_errors(path, "write"):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")
    assert str(caught.value) == f"cannot write {path}: Disk quota exceeded"


def test_the_purpose_and_the_path_are_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught, storage_errors(tmp_path / "x\x1b[2J", "read"):
        raise OSError("without a number")
    assert str(caught.value) == rf"cannot read {tmp_path}/x\x1b[2J: without a number"


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^mine$"), storage_errors(tmp_path, "read"):
        raise ValueError("mine")
