"""Locks, reservations and eviction."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from imgfetch.errors import StorageError, TransportError
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.source import Embedded
from imgfetch.store import eviction, locks
from imgfetch.store.blobs import BlobStore
from imgfetch.store.claims import Claim
from imgfetch.store.directory import StoreDirectory
from imgfetch.store.flock import FileLock
from imgfetch.store.folder import Folder
from imgfetch.store.locks import StoreLocks, Wait
from tests.stores import add


def nothing() -> None:
    """Do not interrupt."""


def held(root: Path) -> StoreLocks:
    made = StoreLocks(StoreDirectory(root))
    made.prepare()
    return made


def claiming(run: StoreLocks, digest: Digest, *, wait: bool = False) -> AbstractContextManager[Claim]:
    return run.claim(digest, wait=wait, interrupt=nothing, progress=nothing)


ONE, TWO = Digest.of(b"one"), Digest.of(b"two")


def put(root: Path, content: bytes, age: float = 0) -> Digest:
    """Put a blob into a store, last used some seconds ago."""
    store = BlobStore(root)
    descriptor = Descriptor.of(content, "")
    add(store, descriptor, Embedded(content), "a blob")
    path = root / "blobs" / "sha256" / descriptor.digest.encoded
    os.utime(path, (time.time() - age,) * 2)
    store.close()
    return descriptor.digest


def names(root: Path) -> set[str]:
    return {path.name for path in (root / "blobs").glob("*/*")}


# ---- locks ----


def test_a_blob_is_claimed_by_one(root: Path) -> None:
    first, second = held(root), held(root)
    with claiming(first, ONE) as is_ours:
        assert is_ours is Claim.OURS
        with claiming(second, ONE, wait=False) as is_theirs:
            assert is_theirs is Claim.THEIRS
        with claiming(second, TWO, wait=False) as is_theirs:
            assert is_theirs is Claim.OURS
    with claiming(second, ONE, wait=False) as is_theirs:
        assert is_theirs is Claim.OURS


def test_a_claim_is_waited_for(root: Path) -> None:
    claimed = held(root)
    order: list[str] = []

    def other() -> None:
        with claiming(held(root), ONE, wait=True) as is_ours:
            order.append(f"second {is_ours.name}")

    with claiming(claimed, ONE, wait=True):
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second OURS"]


def test_waiting_for_a_claim_can_be_ended(root: Path) -> None:
    def stop() -> None:
        raise TransportError("stopped")

    with (
        claiming(held(root), ONE, wait=True),
        pytest.raises(TransportError),
        held(root).claim(ONE, wait=True, interrupt=stop, progress=nothing),
    ):
        pass


def test_a_claim_that_cannot_be_made_is_a_failure_of_the_disk(root: Path) -> None:
    claimed = held(root)
    (root / "locks" / ONE.encoded[:3]).mkdir()
    with pytest.raises(StorageError), claiming(claimed, ONE, wait=False):
        pass


# ---- needs ----


@pytest.mark.parametrize("moment", ["before the lock", "with the lock"])
def test_a_run_whose_new_lock_was_taken_for_a_dead_one_s_takes_another(
    root: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    acquire = FileLock.acquire

    def late(lock: FileLock) -> bool:
        monkeypatch.setattr(FileLock, "acquire", acquire)
        if moment == "with the lock":  # of an eviction
            (root / "runs" / lock._name).touch()
            assert acquire(FileLock(lock.folder, lock._name))
            assert not acquire(lock)
            return False
        assert acquire(lock)
        (root / "runs" / lock._name).unlink()
        return True

    monkeypatch.setattr(FileLock, "acquire", late)
    run, other = held(root), held(root)
    run.reserve([ONE])
    with other.alone():
        assert other.needed() == {ONE}
    run.close()
    other.close()


def test_what_is_needed_is_known_to_all_until_the_end(root: Path) -> None:
    first, second = held(root), held(root)
    first.reserve([ONE])
    first.reserve([ONE, TWO])
    with second.alone():
        assert second.needed() == {ONE, TWO}
    first.close()
    with second.alone():
        assert second.needed() == set()
    second.close()
    assert list((root / "runs").iterdir()) == []


def test_what_a_dead_run_needed_is_swept(root: Path) -> None:
    held(root).close()
    program = (
        "import os, sys; from pathlib import Path; from imgfetch.store.locks import StoreLocks; "
        "from imgfetch.store.directory import StoreDirectory; from imgfetch.oci.digest import Digest; "
        "run = StoreLocks(StoreDirectory(Path(sys.argv[1]))); run.prepare(); "
        "run.reserve([Digest.of(b'one')]); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program, str(root)], check=False, timeout=60)
    assert len(list((root / "runs").iterdir())) == 2
    living = held(root)
    with living.alone():
        assert living.needed() == set()
    living.close()
    assert list((root / "runs").iterdir()) == []


def test_a_run_that_ends_at_this_moment_needs_nothing(root: Path) -> None:
    ending, other = held(root), held(root)
    ending.reserve([ONE])
    (note,) = root.glob("runs/*.json")
    note.unlink()  # as a run does first that ends, while it holds its lock still
    with other.alone():
        assert other.needed() == set()
    assert eviction.prune(root) == []
    ending.close()


@pytest.mark.parametrize(
    ("use", "below"),
    [
        *((eviction.entries, below) for below in ("blobs", "parts", "blobs/sha256", "parts/sha256")),
        *((eviction.prune, below) for below in ("blobs", "parts", "blobs/sha256", "parts/sha256", "runs")),
        *((lambda root: BlobStore(root).prepare(), below) for below in ("blobs", "parts", "layers", "locks", "runs")),
    ],
)
def test_what_another_process_removes_after_it_was_listed_is_no_failure(
    root: Path, use: Callable[[Path], object], below: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = BlobStore(root)
    run.reserve([put(root, b"a")])
    for made in (root / "parts" / "sha256", root / "layers" / "sha256", root / "locks" / "planted"):
        made.mkdir(parents=True, exist_ok=True)
        (made / ONE.encoded).touch()
    removed: list[str] = []
    listed = Folder.names

    def list_and_remove(folder: Folder) -> list[str]:
        found = listed(folder)
        if folder.path == root / below:
            for name in found:
                removed.append(name)
                path = folder.path / name
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return found

    monkeypatch.setattr(Folder, "names", list_and_remove)
    use(root)
    assert removed
    run.close()


def test_a_process_that_never_lets_go_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_PATIENCE", 0.2)
    claimed, other = held(root), held(root)
    with other.alone(), pytest.raises(StorageError, match=f"process {os.getpid()} has held"):
        claimed.reserve([ONE])


def test_a_lock_that_is_another_file_keeps_its_content(root: Path, tmp_path: Path) -> None:
    held(root).close()
    precious = tmp_path / "precious"
    for content in (b"mine", b"", b"12345"):
        precious.write_bytes(content)
        (root / "lock").unlink(missing_ok=True)
        (root / "lock").hardlink_to(precious)
        with held(root).alone():
            assert precious.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1}', b"[1]", b'["sha256:0"]', b"[" * 100_000, b"\xff"])
def test_needs_that_cannot_be_read_keep_everything(root: Path, content: bytes) -> None:
    digest = put(root, b"a")
    living = held(root)
    living.reserve([digest])
    (needs,) = root.glob("runs/*.json")
    needs.write_bytes(content)
    with pytest.raises(StorageError, match="is damaged"):
        eviction.prune(root)
    assert eviction.trim(root, 0) == []
    assert names(root) == {digest.encoded}
    living.close()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_process_without_progress_is_not_waited_for(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock, lock = Clock(), FileLock(Folder.made(root), "lock")
    wait = Wait(ONE, clock)
    (root / "lock").write_text("12345 0123456789abcdef")  # another process
    answers = []
    for clock.now in (0, 4, 6, 30, 59, 62):
        answers.append(wait.look(lock, "the same"))
    assert answers == [Claim.THEIRS] * 5 + [Claim.BESIDE]
    waiting, beside = (record.getMessage() for record in caplog.records)
    assert waiting == f"waiting for another imgfetch (process 12345), which downloads the same layer, {ONE}"
    assert [record.levelno < logging.WARNING for record in caplog.records] == [True, False]
    assert beside == f"process 12345 makes no progress with {ONE}; downloading it here too"


@pytest.mark.parametrize("content", [b"12345", b"", b"rubbish " * 10])
def test_a_lock_with_any_content_is_another_process_s(root: Path, content: bytes) -> None:
    clock, lock = Clock(), FileLock(Folder.made(root), "lock")
    (root / "lock").write_bytes(content)
    wait = Wait(ONE, clock)
    clock.now = 100
    assert [wait.look(lock, 1), wait.look(lock, 1)][1] is Claim.THEIRS
    clock.now = 200
    assert wait.look(lock, 1) is Claim.BESIDE


def test_another_thread_of_this_process_is_waited_for_in_silence(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock, lock = Clock(), FileLock(Folder.made(root), "lock")
    wait = Wait(ONE, clock)
    assert lock.acquire()
    for clock.now in range(0, 500, 50):
        assert wait.look(FileLock(Folder.at(root), "lock"), "the same") is Claim.THEIRS
    assert caplog.records == []
    lock.release()


def test_a_blob_with_the_same_lock_that_advances_is_progress(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[object] = []

    def look(_wait: Wait, _lock: FileLock, progress: object) -> Claim:
        looks.append(progress)
        part.write_bytes(b"x" * len(looks))
        return Claim.THEIRS if len(looks) < 5 else Claim.BESIDE

    monkeypatch.setattr(Wait, "look", look)
    monkeypatch.setattr(locks, "POLL", 0)
    blob = Descriptor.of(b"a", "")
    part = root / "parts" / "sha256" / f"{blob.digest.encoded[:3]}{'0' * 61}"
    other = held(root)
    part.parent.mkdir(parents=True)
    with claiming(other, blob.digest):
        add(BlobStore(root), blob, Embedded(b"a"), "a blob")
    assert len(set(map(str, looks))) == 5
    other.close()


def test_a_process_that_makes_progress_is_waited_for(root: Path) -> None:
    clock, lock = Clock(), FileLock(Folder.made(root), "lock")
    wait = Wait(ONE, clock)
    for clock.now in range(0, 500, 50):
        assert wait.look(lock, clock.now) is Claim.THEIRS


def test_a_blob_is_downloaded_beside_a_process_that_is_suspended(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_STUCK", 0.0)
    monkeypatch.setattr(FileLock, "is_own", False)
    content = b"a"
    blob = Descriptor.of(content, "")
    other = held(root)
    with claiming(other, blob.digest) as claim:
        assert claim is Claim.OURS
        (root / "parts" / "sha256").mkdir(parents=True)
        (root / "parts" / "sha256" / blob.digest.encoded).write_bytes(b"theirs")
        store = BlobStore(root)
        add(store, blob, Embedded(content), "a blob")
        assert store.read(blob.digest) == content
        assert [path.read_bytes() for path in root.glob("parts/*/*")] == [b"theirs"]
        store.close()
    other.close()


# ---- eviction ----


def test_the_least_recently_used_goes_first(root: Path) -> None:
    old, middle, new = (put(root, name.encode() * 100, age) for name, age in (("a", 300), ("b", 200), ("c", 100)))
    gone = eviction.trim(root, 250)
    assert [entry.digest for entry in gone] == [old]
    assert names(root) == {middle.encoded, new.encoded}
    assert eviction.trim(root, 250) == []


def test_what_is_used_is_recent(root: Path) -> None:
    first = put(root, b"a" * 100, 300)
    put(root, b"b" * 100, 200)
    assert BlobStore(root).has(Descriptor("", first, 100))
    eviction.trim(root, 100)
    assert names(root) == {first.encoded}


def test_what_a_living_run_needs_stays(root: Path) -> None:
    needed, other = put(root, b"a" * 100, 300), put(root, b"b" * 100)
    run = BlobStore(root)
    run.reserve([needed])
    assert [entry.digest for entry in eviction.prune(root)] == [other]
    run.close()
    assert [entry.digest for entry in eviction.prune(root)] == [needed]


def test_what_is_just_being_brought_stays(root: Path) -> None:
    put(root, b"a")
    part = root / "parts" / "sha256" / ONE.encoded
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(b"o")
    with claiming(held(root), ONE, wait=False):
        eviction.prune(root)
        assert part.exists()
    (entry,) = eviction.entries(root)
    assert entry.is_part
    eviction.prune(root)
    assert not part.exists()


def test_notes_go_with_their_layers(root: Path) -> None:
    digest = put(root, b"a")
    note = root / "layers" / "sha256" / digest.encoded
    note.parent.mkdir(parents=True)
    note.write_text("{}")
    eviction.prune(root)
    assert not note.exists()


def test_what_is_kept_by_the_caller_stays(root: Path) -> None:
    old, new = put(root, b"a", 90), put(root, b"b")
    eviction.prune(root, keep=lambda entry: entry.age < 60)
    assert names(root) == {new.encoded} != {old.encoded}


def test_what_is_none_of_ours_is_left_alone(root: Path) -> None:
    put(root, b"a")
    strange = root / "blobs" / "sha256" / "README"
    strange.write_text("mine")
    eviction.prune(root)
    assert names(root) == {"README"}


def test_only_a_cache_is_pruned_or_listed(root: Path, tmp_path: Path) -> None:
    layout = tmp_path / "layout" / "blobs" / "sha256" / ONE.encoded
    layout.parent.mkdir(parents=True)
    layout.write_bytes(b"one")
    (tmp_path / "link").symlink_to(tmp_path / "layout")
    for use in (eviction.entries, eviction.prune):
        for directory in (tmp_path / "layout", tmp_path / "link"):
            with pytest.raises(StorageError, match="is not a cache of imgfetch: it contains blobs"):
                use(directory)
    assert layout.read_bytes() == b"one"
    digest = put(root, b"a")
    (root / "CACHEDIR.TAG").unlink()  # as a version without tags left it
    (root / "lock").touch()
    assert [entry.digest for entry in eviction.prune(root)] == [digest]


def test_a_cache_that_is_not_there_holds_nothing(root: Path) -> None:
    assert eviction.entries(root) == []
    assert eviction.prune(root) == []
    assert not root.exists()


def test_a_disk_that_refuses_is_a_warning_after_a_save(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(root, b"a")
    (root / "lock").unlink(missing_ok=True)
    (root / "lock").mkdir()
    assert eviction.trim(root, 0) == []
    assert "cannot shrink the cache" in caplog.text
