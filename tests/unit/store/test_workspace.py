"""The directory beside an output, where the output goes, and whether there is room."""

from __future__ import annotations

import errno
import io
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imgfetch.archive import output
from imgfetch.errors import StorageError, TransportError
from imgfetch.files import require_free_space
from imgfetch.store import workspace
from imgfetch.store.flock import FileLock
from imgfetch.store.folder import Folder
from tests import tools


def fail(target: Path, *files: str) -> None:
    """Fail while there are files in the directory."""
    with workspace.beside(target) as made:
        path = made.folder.path
        for name in files:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(b"content")
        raise TransportError("cut")


def test_it_is_private_and_goes_away(tmp_path: Path) -> None:
    with workspace.beside(tmp_path / "y.tar") as made:
        path = made.folder.path
        assert path == tmp_path / ".y.tar.imgfetch"
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        (path / "part").write_bytes(b"x")
    assert list(tmp_path.iterdir()) == []


def test_it_goes_away_after_a_failure_if_nothing_of_a_layer_came(tmp_path: Path) -> None:
    with pytest.raises(TransportError):
        fail(tmp_path / "y.tar", "archive.part", "store/blobs/sha256/manifest")
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_removed_is_removed_by_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove = Folder.remove

    def busy(self: Folder, name: str) -> None:
        if name == "store":
            raise OSError(errno.ENOTEMPTY, "a thread still writes there")
        remove(self, name)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "remove", busy)
        with workspace.beside(tmp_path / "y.tar") as made:
            (made.folder.path / "store").mkdir()
    assert {path.name for path in tmp_path.rglob("*")} == {".y.tar.imgfetch", "store", "lock"}
    with workspace.beside(tmp_path / "y.tar") as made:
        assert made.folder.path == tmp_path / ".y.tar.imgfetch"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["parts", "layers"])
def test_what_came_of_a_layer_stays_after_a_failure_for_the_next_run(tmp_path: Path, below: str) -> None:
    with pytest.raises(TransportError):
        fail(tmp_path / "y.tar", "archive.part", f"store/{below}/sha256/{'0' * 64}")
    with workspace.beside(tmp_path / "y.tar") as made:
        path = made.folder.path
        assert path == tmp_path / ".y.tar.imgfetch"
        assert not (path / "archive.part").exists()
        assert (path / "store" / below / "sha256" / ("0" * 64)).exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["parts", "layers"])
def test_what_a_failure_left_is_shown_and_stays(tmp_path: Path, below: str) -> None:
    with pytest.raises(TransportError):
        fail(tmp_path / "y.tar", f"store/{below}/sha256/{'0' * 64}")
    for _ in range(2):
        with workspace.kept(tmp_path / "y.tar") as folder:
            assert folder
            assert folder.path == tmp_path / ".y.tar.imgfetch"


def test_nothing_is_shown_of_one_that_is_absent_in_use_empty_or_of_others(tmp_path: Path) -> None:
    def is_shown() -> bool:
        with workspace.kept(tmp_path / "y.tar") as folder:
            return folder is not None

    assert not is_shown()
    (tmp_path / ".y.tar.imgfetch" / "store" / "layers").mkdir(parents=True)
    (tmp_path / ".y.tar.imgfetch").chmod(0o700)
    (tmp_path / ".y.tar.imgfetch" / "lock").touch()
    assert not is_shown()
    with workspace.beside(tmp_path / "y.tar") as made:
        (made.folder.path / "store" / "layers" / "sha256").mkdir(parents=True)
        (made.folder.path / "store" / "layers" / "sha256" / "0").touch()
        assert not is_shown()  # another process uses it
    assert not is_shown()
    with pytest.raises(TransportError):
        fail(tmp_path / "y.tar", "store/layers/sha256/0")
    (tmp_path / ".y.tar.imgfetch").chmod(0o777)
    assert not is_shown()
    (tmp_path / ".y.tar.imgfetch").rename(tmp_path / "real")
    (tmp_path / "real").chmod(0o700)
    (tmp_path / ".y.tar.imgfetch").symlink_to("real")
    assert not is_shown()


def test_one_that_is_in_use_is_left_alone(tmp_path: Path) -> None:
    with workspace.beside(tmp_path / "y.tar") as first, workspace.beside(tmp_path / "y.tar") as second:
        assert first.folder.path != second.folder.path
        assert second.folder.path.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_those_that_come_while_it_goes_do_not_lose_their_files(tmp_path: Path) -> None:
    def use(number: int) -> None:
        for _ in range(300):  # so that the race is lost at least once without the lock
            with workspace.beside(tmp_path / "y.tar") as made:
                path = made.folder.path
                (path / workspace.STORE).mkdir()
                (path / workspace.STORE / "part").write_text(str(number))
                (path / "archive.part").write_text(str(number))
                assert (path / workspace.STORE / "part").read_text() == str(number)
                (path / "archive.part").replace(tmp_path / f"{number}.tar")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(8)))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{number}.tar" for number in range(8)]


@pytest.mark.parametrize("kind", ["link", "file", "open"])
def test_one_that_somebody_planted_is_not_used(tmp_path: Path, kind: str) -> None:
    planted = tmp_path / ".y.tar.imgfetch"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "link":
        planted.symlink_to(elsewhere)
    elif kind == "file":
        planted.write_bytes(b"mine")
    else:
        planted.mkdir()
        planted.chmod(0o777)
    with workspace.beside(tmp_path / "y.tar") as made:
        path = made.folder.path
        assert path not in (planted, elsewhere)
        (path / "x").write_bytes(b"x")
    assert list(elsewhere.iterdir()) == []
    assert os.path.lexists(planted)


def test_one_that_cannot_be_listed_hides_no_other_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_to_list(_folder: Folder) -> list[str]:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def leave(error: Exception | None = None) -> None:
        with workspace.beside(tmp_path / "y.tar"):
            monkeypatch.setattr(Folder, "names", fail_to_list)
            if error:
                raise error

    leave()
    monkeypatch.undo()
    with pytest.raises(TransportError):
        leave(TransportError("cut"))


def test_one_in_a_directory_that_hands_its_group_on_is_found_again(tmp_path: Path) -> None:
    tmp_path.chmod(0o2775)
    with pytest.raises(TransportError):
        fail(tmp_path / "y.tar", f"store/parts/sha256/{'0' * 64}")
    with workspace.beside(tmp_path / "y.tar") as made:
        assert made.folder.path == tmp_path / ".y.tar.imgfetch"
    planted = tmp_path / ".z.tar.imgfetch"
    planted.mkdir()
    planted.chmod(0o2777)
    with workspace.beside(tmp_path / "z.tar") as made:
        assert made.folder.path != planted


def test_a_new_directory_that_is_not_empty_is_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".y.tar.imgfetch").touch()
    child = Folder.child

    def exchange(folder: Folder, name: str, *, make: bool = False) -> Folder:
        if not make and name.startswith(".y.tar.imgfetch") and name != ".y.tar.imgfetch":
            (tmp_path / name / "letter").write_text("mine")
        return child(folder, name, make=make)

    monkeypatch.setattr(Folder, "child", exchange)
    with pytest.raises(StorageError, match="another user replaced the new directory"):
        fail(tmp_path / "y.tar")
    assert [path.read_text() for path in tmp_path.glob("*/letter")] == ["mine"]


def test_a_link_of_another_user_to_the_output_is_not_followed(tmp_path: Path) -> None:
    tools.root()
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with workspace.beside(tmp_path / "link" / "y.tar"):
        pass
    os.chown(tmp_path / "link", 65534, -1, follow_symlinks=False)
    with pytest.raises(StorageError, match="link is a link of another user; name the directory it leads to"):
        fail(tmp_path / "link" / "y.tar")


@pytest.mark.parametrize("names", [["letter"], ["store", "lock", "letter"], ["store"]])
def test_another_directory_that_was_given_its_name_is_not_used(tmp_path: Path, names: list[str]) -> None:
    planted = tmp_path / ".y.tar.imgfetch"
    planted.mkdir(mode=0o700)
    for name in names:
        (planted / name).write_text("mine")
    with workspace.beside(tmp_path / "y.tar") as made:
        assert made.folder.path != planted
    assert {path.name: path.read_text() for path in planted.iterdir()} == dict.fromkeys(names, "mine")


@pytest.mark.parametrize("name", ["x" * 255, "漢" * 85])
def test_a_long_name_has_one_too(tmp_path: Path, name: str) -> None:
    with workspace.beside(tmp_path / name) as made:
        path = made.folder.path
        assert path.is_dir()


def test_a_directory_that_is_not_there_is_told_with_the_outputs_name(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere/y\.tar: No such file or directory"):
        fail(tmp_path / "nowhere" / "y.tar")


def test_a_lock_is_no_obstacle_when_its_holder_is_gone(tmp_path: Path) -> None:
    left = tmp_path / ".y.tar.imgfetch"
    left.mkdir(mode=0o700)
    (left / "lock").touch()
    with workspace.beside(tmp_path / "y.tar") as made:
        path = made.folder.path
        assert path == left
        assert not FileLock(Folder.at(left), "lock").acquire()


# ---- where the output goes ----


def test_an_output_is_a_file_a_device_or_a_stream(tmp_path: Path) -> None:
    assert output.regular(tmp_path / "y.tar") == tmp_path / "y.tar"
    assert output.regular("/dev/null") is None
    assert output.regular(io.BytesIO()) is None
    for directory in (str(tmp_path), f"{tmp_path}/new/"):
        with pytest.raises(StorageError, match="Is a directory"):
            output.regular(directory)


def test_a_link_in_a_circle_is_told_when_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    assert output.regular(tmp_path / "one") == tmp_path / "one"


# ---- room ----


def test_room_is_added_up_by_file_system(tmp_path: Path) -> None:
    require_free_space([(tmp_path, 1, "layers"), (tmp_path, 1, "the archive")])
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    with pytest.raises(StorageError) as caught:
        require_free_space([(tmp_path, free, "layers"), (tmp_path, free, "the archive")])
    assert "needed" in str(caught.value)
    assert "for layers and" in str(caught.value)
    assert "free" in str(caught.value)


def test_a_directory_that_went_away_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        require_free_space([(tmp_path / "gone", 1, "layers")])
