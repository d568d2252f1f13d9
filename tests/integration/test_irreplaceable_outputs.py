"""An output that cannot be replaced is found before the first request, and another user's is never followed."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from imgfetch.archive.verify import verify
from imgfetch.pull.write import ExistingArchive
from imgfetch.store.blobs import BlobStore
from tests.images import hello, image
from tests.integration.conftest import Command
from tests.loopback import Answer, Loopback
from tests.tools import in_time, missing, root, tool

OTHER, NOBODY = 4321, 65534
ONE, TWO = image(hello("one")), image(hello("two"))
BEFORE = b"the archive of yesterday"
STICKY = "it belongs to another user, and its directory is sticky"
PLATFORM = ("--platform", "linux/amd64", "--no-cache")


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a directory that all users share, as /tmp is; the process is in it."""
    root()
    with tempfile.TemporaryDirectory(prefix="imgfetch-test-") as name:
        directory = Path(name)
        directory.chmod(0o1777)
        monkeypatch.chdir(directory)
        monkeypatch.setenv("HOME", "/nonexistent")
        yield directory


@contextmanager
def as_nobody() -> Iterator[None]:
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def warm_up(command: Command, reference: str) -> None:
    """Replace a file, for the sake of all that is imported, which another user may be unable to read."""
    for _ in range(2):
        assert command("save", reference, "-o", "warm.tar", *PLATFORM).status == 0


def a_file(owner: int, name: str = "y.tar") -> None:
    Path(name).write_bytes(BEFORE)
    os.chown(name, owner, -1)


def a_link(owner: int) -> None:
    Path("mine").write_bytes(BEFORE)
    os.chown("mine", NOBODY, -1)
    Path("y.tar").symlink_to("mine")
    os.lchown("y.tar", owner, -1)


def a_pipe(owner: int) -> None:
    os.mkfifo("y.tar")
    os.chmod("y.tar", 0o666)  # noqa: PTH101
    os.chown("y.tar", owner, -1)


@pytest.mark.parametrize("make", [a_file, a_link, a_pipe])
def test_another_users_entry_in_a_sticky_directory_is_refused_before_a_request(
    make: Callable[[int], None], shared: Path, loopback: Loopback, command: Command
) -> None:
    reference = loopback.add("a", "1", ONE)
    warm_up(command, reference)
    before = len(loopback.paths)
    make(OTHER)
    with as_nobody(), in_time(20):
        done = command("save", reference, "-o", "y.tar", *PLATFORM)
    assert (done.status, len(loopback.paths)) == (7, before), done.err
    assert f"cannot write y.tar: {STICKY}" in done.err
    assert "hint: choose another name or directory" in done.err
    assert sorted(path.name for path in shared.iterdir() if path.name != "mine") == ["warm.tar", "y.tar"]


@pytest.mark.parametrize(
    "case",
    [(NOBODY, 0o1777, 0), (OTHER, 0o1777, NOBODY), (OTHER, 0o777, 0)],
    ids=["our file", "our directory", "not sticky"],
)
def test_an_entry_that_can_be_replaced_is(
    case: tuple[int, int, int], shared: Path, loopback: Loopback, command: Command
) -> None:
    owner, mode, owner_of_directory = case
    reference = loopback.add("a", "1", ONE)
    warm_up(command, reference)
    a_file(owner)
    shared.chmod(mode)
    os.chown(shared, owner_of_directory, -1)
    with as_nobody():
        done = command("save", reference, "-o", "y.tar", *PLATFORM)
    assert done.status == 0, done.err
    assert Path("y.tar").stat().st_uid == NOBODY
    assert verify("y.tar").findings == ()


@pytest.mark.parametrize("number", range(3), ids=["first archive", "second archive", "SHA256SUMS"])
def test_every_file_in_an_output_directory_is_looked_at_before_the_first_download(
    shared: Path, loopback: Loopback, command: Command, number: int
) -> None:
    one, two = loopback.add("a", "1", ONE), loopback.add("b", "1", TWO)
    options = ("--output-dir", ".", *PLATFORM)
    assert command("save", one, two, *options).status == 0
    before = len(loopback.paths)
    files = sorted(shared.iterdir())
    kept = files.pop(number)
    for path in files:
        path.unlink()
    os.chown(kept, OTHER, -1)
    with as_nobody():
        done = command("save", one, two, *options)
    assert (done.status, len(loopback.paths)) == (7, before), done.err
    assert f"cannot write {kept.name}: {STICKY}" in done.err
    assert list(shared.iterdir()) == [kept]


@pytest.mark.parametrize(
    "option", [("-o", "link/y.tar"), ("-o", "./link/../link/new/y.tar"), ("--output-dir", "link/new")], ids=" ".join
)
def test_another_users_link_to_a_directory_is_not_followed(
    option: tuple[str, str], shared: Path, tmp_path: Path, loopback: Loopback, command: Command
) -> None:
    (tmp_path / "mine").mkdir()
    Path("link").symlink_to(tmp_path / "mine")
    os.lchown("link", OTHER, -1)
    done = command("save", loopback.add("a", "1", ONE), *option, *PLATFORM)
    assert (done.status, loopback.paths) == (7, []), done.err
    assert f"{shared}/" in done.err
    assert "link is a link of another user; name the directory it leads to" in done.err
    assert list((tmp_path / "mine").iterdir()) == []


def test_our_own_link_to_a_directory_is_followed(
    shared: Path, tmp_path: Path, loopback: Loopback, command: Command
) -> None:
    (tmp_path / "mine").mkdir()
    (shared / "link").symlink_to(tmp_path / "mine")
    assert command("save", loopback.add("a", "1", ONE), "-o", "link/y.tar", *PLATFORM).status == 0
    assert verify(tmp_path / "mine" / "y.tar").findings == ()


def test_another_users_directory_in_a_sticky_one_may_be_named(
    shared: Path, loopback: Loopback, command: Command
) -> None:
    (shared / "theirs").mkdir()
    os.chown(shared / "theirs", OTHER, -1)
    assert command("save", loopback.add("a", "1", ONE), "-o", "theirs/y.tar", *PLATFORM).status == 0


def test_an_immutable_file_is_found_before_a_request(loopback: Loopback, command: Command) -> None:
    root()
    with tempfile.TemporaryDirectory(prefix="imgfetch-test-") as name, ExitStack() as stack:
        path = Path(name, "y.tar")
        path.write_bytes(BEFORE)
        if subprocess.run([tool("chattr"), "+i", path], capture_output=True, check=False).returncode:
            missing("this file system has no immutable files")
        stack.callback(subprocess.run, ["chattr", "-i", path], check=True)
        done = command("save", loopback.add("a", "1", ONE), "-o", path, *PLATFORM)
        assert (done.status, loopback.paths) == (7, []), done.err
        assert f"cannot write {path}: Operation not permitted" in done.err
        assert "lsattr shows whether" in done.err
        assert path.read_bytes() == BEFORE


@pytest.mark.parametrize("source", ["a file beside it", "a file of another file system"])
def test_a_mounted_file_is_found_before_a_request(
    source: str, tmp_path: Path, loopback: Loopback, command: Command
) -> None:
    root()
    path, mounted = tmp_path / "y.tar", tmp_path / "mounted"
    if source != "a file beside it":
        if not os.access("/dev/shm", os.W_OK):
            missing("this system has no /dev/shm that can be written to")
        mounted = Path("/dev/shm", f"imgfetch-test-{os.getpid()}")
    mounted.write_bytes(BEFORE)
    path.touch()
    try:
        if subprocess.run([tool("mount"), "--bind", mounted, path], capture_output=True, check=False).returncode:
            missing("no file can be mounted")
        try:
            done = command("save", loopback.add("a", "1", ONE), "-o", path, *PLATFORM)
        finally:
            subprocess.run(["umount", path], check=True)
        assert (done.status, loopback.paths) == (7, []), done.err
        assert f"cannot write {path}: it is a mount point, which cannot be replaced" in done.err
        assert "hint: mount its directory instead of the file, or write to stdout" in done.err
        assert mounted.read_bytes() == BEFORE
    finally:
        mounted.unlink()


# ---- entries that another user plants while the image is downloaded ----


def a_link_to_a_file_of_ours(owner: int) -> None:
    Path("mine").write_bytes(BEFORE)
    Path("y.tar").symlink_to("mine")
    os.lchown("y.tar", owner, -1)


def a_link_to_a_device(owner: int) -> None:
    Path("y.tar").symlink_to("/dev/full")
    os.lchown("y.tar", owner, -1)


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("plant", [a_file, a_pipe, a_link_to_a_file_of_ours, a_link_to_a_device])
@pytest.mark.parametrize("options", [(), ("--if-changed",)], ids=["", "--if-changed"])
def test_an_entry_planted_during_a_download_is_replaced_and_not_followed(
    options: tuple[str, ...], plant: Callable[[int], None], loopback: Loopback, command: Command
) -> None:
    reference = loopback.add("a", "1", ONE)
    blob = f"/v2/a/blobs/{ONE.layers[0].digest}"
    good = loopback.answers[blob]
    assert isinstance(good, Answer)

    def serve(_: object) -> Answer:
        if not os.path.lexists("y.tar"):
            plant(OTHER)
        return good

    loopback.answers[blob] = serve
    with in_time(20):
        done = command("save", reference, "-o", "y.tar", *options, *PLATFORM)
    assert done.status == 0, done.err
    assert Path("y.tar").is_file()
    assert not Path("y.tar").is_symlink()
    assert Path("y.tar").stat().st_uid == 0
    assert verify("y.tar").findings == ()
    assert not Path("mine").exists() or Path("mine").read_bytes() == BEFORE


def test_a_pipe_that_takes_the_place_of_an_existing_archive_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "y.tar")
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    with in_time(20):
        assert ExistingArchive.at(tmp_path / "y.tar", BlobStore(tmp_path / "store")) is None
