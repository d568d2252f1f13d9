"""No other user can write to what a store trusts."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgfetch.errors import StorageError, TransportError, VerificationError
from imgfetch.layers.diffid import DiffIdCheck, LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.source import Embedded
from imgfetch.store import eviction
from imgfetch.store.blobs import BlobStore
from imgfetch.store.directory import StoreDirectory, UntrustedCacheError
from imgfetch.store.folder import Folder
from imgfetch.store.locks import StoreLocks
from tests import images, tools
from tests.stores import add, receive_part
from tests.tools import umask

NOBODY = 65534
CONTENT, OTHER = b"some content\n" * 1000, b"any content!\n" * 1000
BLOB = Descriptor.of(CONTENT, "")
LAYER = images.hello()
LAYER_BLOB = Descriptor(LAYER.media_type, Digest.parse(LAYER.digest), len(LAYER.content))
WRONG = LayerInfo(Digest.of(b"another layer"), "gzip", 2560)
OPEN = pytest.mark.parametrize("mode", [0o775, 0o777, 0o1777], ids=oct)


@pytest.fixture
def root() -> Iterator[Path]:
    """Return a place that every user can reach, which pytest's own directories are not."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory) / "store"


def filled(root: Path) -> BlobStore:
    """Return a store with a blob, a layer, a part and what is remembered of the layer."""
    store = BlobStore(root)
    store.reserve([BLOB.digest])
    add(store, BLOB, Embedded(CONTENT), "the config")
    add(store, LAYER_BLOB, Embedded(LAYER.content), "layer", layer=lambda: DiffIdCheck("layer", LAYER.media_type))
    with pytest.raises(TransportError, match="was interrupted"):
        receive_part(store, Descriptor.of(OTHER, ""), Embedded(OTHER[:100]))
    return store


def path(root: Path, below: str, digest: Digest) -> Path:
    return root / below / digest.algorithm / digest.encoded


def remembered(root: Path) -> LayerInfo | None:
    return BlobStore(root).remembered(LAYER_BLOB.digest, "sha256")


def as_nobody(command: str) -> int:
    """Run a shell's command as another user, and return its status."""
    return subprocess.run(
        ["/bin/sh", "-c", command], user=NOBODY, group=NOBODY, extra_groups=[], check=False
    ).returncode


# ---- modes ----


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o022, 0o077], ids=oct)
@pytest.mark.parametrize("mode", [0o700, 0o755], ids=oct)
def test_all_below_the_root_is_for_its_user_alone(root: Path, mask: int, mode: int) -> None:
    root.mkdir()
    root.chmod(mode)
    with umask(mask):
        store = filled(root)
        found = {found: found.stat() for found in root.rglob("*")}
        store.close()
    assert {stat.S_IMODE(each.st_mode) for each in found.values() if stat.S_ISDIR(each.st_mode)} == {0o700}
    assert {stat.S_IMODE(each.st_mode) for each in found.values() if stat.S_ISREG(each.st_mode)} == {0o600}
    below = {found.relative_to(root).parts[0] for found in found}
    assert below == {"CACHEDIR.TAG", "blobs", "layers", "parts", "locks", "runs", "lock"}
    assert any(found.suffix == ".json" for found in found)
    assert stat.S_IMODE(root.stat().st_mode) == mode


def test_directories_that_are_missing_above_the_root_are_private_too(root: Path) -> None:
    with umask(0):
        BlobStore(root / "one" / "two").prepare()
    assert {stat.S_IMODE(each.stat().st_mode) for each in (root, root / "one", root / "one" / "two")} == {0o700}


@pytest.mark.parametrize("mode", [0o770, 0o775, 0o757, 0o777, 0o1777], ids=oct)
def test_a_root_that_others_can_write_to_is_refused_with_the_command_that_mends_it(root: Path, mode: int) -> None:
    filled(root).close()
    root.chmod(mode)
    for use in (BlobStore(root).prepare, lambda: BlobStore(root).has(BLOB)):
        with pytest.raises(StorageError, match="is writable by other users") as caught:
            use()
        assert f"chmod go-w {root}" in str(caught.value.hint)
    assert remembered(root) is None
    if not mode & 0o002:
        subprocess.run(shlex.split(f"chmod go-w {root}"), check=True)
        BlobStore(root).prepare()


def test_a_root_that_belongs_to_another_user_is_refused(root: Path) -> None:
    tools.root()
    filled(root).close()
    os.chown(root, NOBODY, -1)
    with pytest.raises(StorageError, match="belongs to another user"):
        BlobStore(root).prepare()


@pytest.mark.parametrize("mode", [0o2777, 0o2770, 0o3777], ids=oct)
@pytest.mark.parametrize("owner", [os.geteuid(), NOBODY], ids=["own", "another user's"])
def test_an_open_directory_that_hands_its_group_on_is_refused_too(root: Path, mode: int, owner: int) -> None:
    tools.root()
    root.mkdir()
    os.chown(root, owner, -1)
    root.chmod(mode)
    with pytest.raises(UntrustedCacheError):
        BlobStore(root).prepare()
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("name", ["Makefile", "index.json", "blobs.txt", ".bashrc", "CACHEDIR.TAG"])
def test_a_directory_with_other_data_is_no_cache(root: Path, name: str) -> None:
    (root / "blobs").mkdir(parents=True)
    (root / name).write_text("Signature: 8a477f597d28d172789f06886806bc55\n# of another program\n")
    shown = "a tag of another program" if name == "CACHEDIR.TAG" else name
    with pytest.raises(UntrustedCacheError, match=f"is not a cache of imgfetch: it contains {shown}"):
        BlobStore(root).prepare()
    assert sorted(path.name for path in root.iterdir()) == sorted(["blobs", name])


@pytest.mark.parametrize("kind", ["another user's", "writable by all", "a second name", "a link", "a FIFO"])
def test_a_tag_that_another_user_may_have_planted_is_none(root: Path, tmp_path: Path, kind: str) -> None:
    tools.root()
    BlobStore(root).prepare()
    tag = root / "CACHEDIR.TAG"
    if kind == "another user's":
        os.chown(tag, NOBODY, -1)
    elif kind == "writable by all":
        tag.chmod(0o666)
    elif kind == "a second name":
        tag.rename(root.parent / "tag")
        tag.hardlink_to(root.parent / "tag")
    else:
        tag.rename(tmp_path / "tag")
        tag.symlink_to(tmp_path / "tag") if kind == "a link" else os.mkfifo(tag)
    with pytest.raises(UntrustedCacheError, match="is not a cache of imgfetch"):
        eviction.prune(root)


@pytest.mark.parametrize("names", [[], [".gitignore"], ["lost+found"], ["blobs", "locks", "runs", "lock", "layers.0f"]])
def test_a_directory_with_nothing_else_becomes_a_cache(root: Path, names: list[str]) -> None:
    root.mkdir(mode=0o755)
    for name in names:
        (root / name).touch() if name.startswith((".", "lock")) and name != "locks" else (root / name).mkdir()
    BlobStore(root).prepare()
    assert (root / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    BlobStore(root).prepare()


def test_a_link_of_another_user_on_the_way_is_not_followed(root: Path, tmp_path: Path) -> None:
    tools.root()
    (root / "real").mkdir(parents=True)
    (root / "own").symlink_to("real")
    (root / "theirs").symlink_to(root / "real")
    os.chown(root / "theirs", NOBODY, -1, follow_symlinks=False)
    BlobStore(root / "own" / "cache").prepare()
    for path in (root / "theirs" / "cache", root / "own" / ".." / "theirs" / "cache"):
        with pytest.raises(StorageError, match="theirs is a link of another user"):
            BlobStore(path).prepare()
    (root / "circle").symlink_to("circle")
    with pytest.raises(StorageError, match="Too many levels of symbolic links"):
        BlobStore(root / "circle").prepare()
    assert Folder.at(tmp_path / "..").status().st_ino == tmp_path.parent.stat().st_ino


def test_nothing_is_remembered_where_modes_are_ignored(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(root).close()
    root.chmod(0o777)
    monkeypatch.setattr("imgfetch.store.directory.keeps_modes", lambda _: False)
    assert remembered(root) is None
    notes = path(root, "layers", LAYER_BLOB.digest)
    notes.unlink()
    store = BlobStore(root)
    assert store.has(LAYER_BLOB)
    store.remember(LAYER_BLOB.digest, WRONG)
    assert not notes.exists()


# ---- what an earlier version left open ----


@OPEN
@pytest.mark.parametrize("below", ["blobs", "blobs/sha256", "parts", "parts/sha256", "locks", "runs"])
def test_an_open_directory_is_closed_before_it_is_used(root: Path, below: str, mode: int) -> None:
    filled(root).close()
    (root / below).chmod(mode)
    note = remembered(root)
    assert BlobStore(root).has(BLOB) is True
    assert stat.S_IMODE((root / below).stat().st_mode) == 0o700
    assert note is not None  # nobody could write there


@OPEN
@pytest.mark.parametrize("below", ["layers", "layers/sha256"])
@pytest.mark.parametrize("is_linked", [False, True], ids=["an own note", "a link to an own note"])
def test_nothing_is_remembered_where_others_could_write(root: Path, below: str, mode: int, *, is_linked: bool) -> None:
    filled(root).close()
    if is_linked:  # the right owner and mode, and another layer's
        other = root / "layers" / "sha256" / Digest.of(b"another").encoded
        path(root, "layers", LAYER_BLOB.digest).rename(other)
        other.write_bytes(WRONG.to_json())
        path(root, "layers", LAYER_BLOB.digest).hardlink_to(other)
    (root / below).chmod(mode)
    assert remembered(root) is None
    assert BlobStore(root).has(LAYER_BLOB) is True
    assert not [found for found in root.iterdir() if found.name.startswith("layers.")]
    BlobStore(root).remember(LAYER_BLOB.digest, WRONG)
    assert remembered(root) == WRONG
    assert stat.S_IMODE((root / "layers").stat().st_mode) == 0o700


def test_a_store_that_was_never_open_keeps_what_is_remembered(root: Path) -> None:
    filled(root).close()
    BlobStore(root).prepare()
    assert remembered(root) is not None


@pytest.mark.parametrize("kind", ["a link", "a FIFO", "another user's"])
@pytest.mark.parametrize("below", ["blobs", "parts", "locks", "runs", "blobs/sha512"])
def test_what_is_no_own_directory_is_refused(root: Path, below: str, kind: str, tmp_path: Path) -> None:
    store = BlobStore(root)
    store.prepare()
    store.close()
    planted = root / below
    planted.parent.mkdir(exist_ok=True)
    if planted.exists():
        planted.rmdir()
    if kind == "a link":
        planted.symlink_to(tmp_path)
    elif kind == "a FIFO":
        os.mkfifo(planted)
    else:
        tools.root()
        planted.mkdir()
        os.chown(planted, NOBODY, -1)
    with pytest.raises(StorageError, match=f"{below} is not a directory of this user"):
        BlobStore(root).prepare()


# ---- files ----


@pytest.mark.parametrize("kind", ["writable by a group", "writable by all", "another user's", "a FIFO"])
def test_a_note_that_another_user_can_write_is_none(root: Path, kind: str) -> None:
    filled(root).close()
    spoil(path(root, "layers", LAYER_BLOB.digest), kind)
    assert remembered(root) is None


@pytest.mark.parametrize("kind", ["writable by a group", "writable by all", "another user's", "a FIFO"])
def test_a_blob_that_another_user_can_write_is_replaced(root: Path, kind: str) -> None:
    filled(root).close()
    spoil(path(root, "blobs", BLOB.digest), kind)
    store = BlobStore(root)
    assert store.has(BLOB) is False
    add(store, BLOB, Embedded(CONTENT), "the config")
    assert_is_private(path(root, "blobs", BLOB.digest))


@pytest.mark.parametrize("kind", ["writable by a group", "writable by all", "another user's", "a FIFO"])
def test_a_part_that_another_user_can_write_is_begun_anew(root: Path, kind: str) -> None:
    filled(root).close()
    blob = Descriptor.of(OTHER, "")
    spoil(path(root, "parts", blob.digest), kind)
    receive_part(BlobStore(root), blob, Embedded(OTHER))
    assert_is_private(path(root, "blobs", blob.digest))


def assert_is_private(file: Path) -> None:
    status = file.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o600, os.geteuid())


def spoil(file: Path, kind: str) -> None:
    if kind == "another user's":
        tools.root()
        os.chown(file, NOBODY, -1)
    elif kind == "a FIFO":
        file.unlink()
        os.mkfifo(file, 0o600)
    else:
        file.chmod(0o660 if "group" in kind else 0o606)


# ---- another user ----


def test_another_user_can_plant_nothing_in_a_store_that_was_made_under_an_open_umask(root: Path) -> None:
    tools.root()
    root.mkdir()
    root.chmod(0o755)
    with umask(0):
        filled(root).close()
    note, blob = path(root, "layers", LAYER_BLOB.digest), path(root, "blobs", BLOB.digest)
    for command in (
        f"echo x > {note}",
        f"echo x > {note}.new && mv {note}.new {note}",
        f"rm -f {blob}",
        f"ls {root}/runs",
    ):
        assert as_nobody(command) != 0
    assert remembered(root) is not None


def test_another_user_who_planted_a_note_before_is_not_trusted(root: Path) -> None:
    tools.root()
    filled(root).close()
    note = path(root, "layers", LAYER_BLOB.digest)
    for directory in (root, root / "layers", note.parent):
        directory.chmod(0o755 if directory == root else 0o777)
    planted = WRONG.to_json().decode()
    assert as_nobody(f"rm -f {note} && echo {shlex.quote(planted)} > {note}") == 0
    assert LayerInfo.from_json(note.read_bytes()) == WRONG
    assert remembered(root) is None


def test_another_user_who_planted_a_right_blob_cannot_change_it_after_it_was_hashed(root: Path) -> None:
    tools.root()
    filled(root).close()
    blob = path(root, "blobs", BLOB.digest)
    for directory in (root, root / "blobs", blob.parent):
        directory.chmod(0o755 if directory == root else 0o777)
    copy = root.with_name("copy")
    copy.write_bytes(CONTENT)
    assert as_nobody(f"rm -f {blob} && cat {copy} > {blob}") == 0
    assert BlobStore(root).has(BLOB) is False


# ---- what is read is what was hashed ----


@pytest.mark.parametrize("is_new", [False, True], ids=["found", "brought"])
def test_a_blob_that_is_exchanged_after_its_check_is_refused(root: Path, *, is_new: bool) -> None:
    store = filled(root)
    if not is_new:
        store = BlobStore(root)
    assert store.has(BLOB) is True
    other = root / "other"
    other.write_bytes(OTHER)
    other.chmod(0o600)
    other.replace(path(root, "blobs", BLOB.digest))
    with pytest.raises(VerificationError, match="was changed after it was verified"):
        store.read(BLOB.digest)


def test_a_blob_that_is_changed_in_place_after_its_check_is_refused(root: Path) -> None:
    store = filled(root)
    assert store.has(BLOB) is True
    os.truncate(path(root, "blobs", BLOB.digest), 5)
    with pytest.raises(VerificationError, match="was changed after it was verified"):
        store.read(BLOB.digest)


def test_a_blob_that_is_changed_while_it_is_read_is_refused(root: Path) -> None:
    store = filled(root)
    before = path(root, "blobs", BLOB.digest).stat().st_mtime_ns

    def change() -> None:
        with store.open(BLOB.digest) as file:
            assert file.read(10) == CONTENT[:10]
            path(root, "blobs", BLOB.digest).write_bytes(OTHER)
            os.utime(path(root, "blobs", BLOB.digest), ns=(before, before + 1))
            assert file.read() == OTHER[10:]

    with pytest.raises(VerificationError, match="was changed after it was verified"):
        change()


def test_a_blob_is_hashed_while_it_is_copied(root: Path) -> None:
    store = filled(root)
    read = bytearray()
    with store.open(BLOB.digest) as file:
        buffer = memoryview(bytearray(1000))
        while count := file.readinto(buffer):
            read += buffer[:count]
    assert read == CONTENT


def test_the_same_content_in_another_file_or_used_by_another_run_is_no_change(root: Path) -> None:
    store = filled(root)
    same = root / "same"
    same.write_bytes(CONTENT)
    same.chmod(0o600)
    same.replace(path(root, "blobs", BLOB.digest))
    assert store.read(BLOB.digest) == CONTENT
    with store.open(BLOB.digest) as file:
        assert BlobStore(root).has(BLOB) is True  # which notes the time
        assert file.read() == CONTENT


def test_a_run_is_noted_in_a_private_file(root: Path) -> None:
    root.mkdir()
    run = StoreLocks(StoreDirectory(root))
    with umask(0):
        run.prepare()
        run.reserve([BLOB.digest])
    (note,) = root.glob("runs/*.json")
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    run.close()
