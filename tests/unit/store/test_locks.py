"""Locks, reservations and eviction."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import filelock
import pytest

from imgfetch.errors import StorageError, TransportError
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.source import Embedded
from imgfetch.store import directory, eviction, locks
from imgfetch.store.blobs import BlobStore
from imgfetch.store.locks import StoreLocks


def nothing() -> None:
    """Do not interrupt."""


def held(root: Path) -> StoreLocks:
    made = StoreLocks(root)
    root.mkdir(exist_ok=True)
    made.prepare()
    return made


ONE, TWO = Digest.of(b"one"), Digest.of(b"two")


def put(root: Path, content: bytes, age: float = 0) -> Digest:
    """Put a blob into a store, last used some seconds ago."""
    store = BlobStore(root)
    descriptor = Descriptor.of(content, "")
    store.add(descriptor, Embedded(content), "a blob")
    path = root / "blobs" / "sha256" / descriptor.digest.encoded
    os.utime(path, (time.time() - age,) * 2)
    store.close()
    return descriptor.digest


def names(root: Path) -> set[str]:
    return {path.name for path in (root / "blobs").glob("*/*")}


# ---- locks ----


def test_a_blob_is_claimed_by_one(root: Path) -> None:
    first, second = held(root), held(root)
    with first.claim(ONE, wait=False, interrupt=nothing) as is_ours:
        assert is_ours
        with second.claim(ONE, wait=False, interrupt=nothing) as is_theirs:
            assert not is_theirs
        with second.claim(TWO, wait=False, interrupt=nothing) as is_theirs:
            assert is_theirs
    with second.claim(ONE, wait=False, interrupt=nothing) as is_theirs:
        assert is_theirs


def test_a_claim_is_waited_for(root: Path) -> None:
    claimed = held(root)
    order: list[str] = []

    def other() -> None:
        with held(root).claim(ONE, wait=True, interrupt=nothing) as is_ours:
            order.append(f"second {is_ours}")

    with claimed.claim(ONE, wait=True, interrupt=nothing):
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second True"]


def test_waiting_for_a_claim_can_be_ended(root: Path) -> None:
    def stop() -> None:
        raise TransportError("stopped")

    with (
        held(root).claim(ONE, wait=True, interrupt=nothing),
        pytest.raises(TransportError),
        held(root).claim(ONE, wait=True, interrupt=stop),
    ):
        pass


def test_a_claim_that_cannot_be_made_is_a_failure_of_the_disk(root: Path) -> None:
    claimed = held(root)
    (root / "locks" / ONE.encoded[:3]).mkdir()
    with pytest.raises(StorageError), claimed.claim(ONE, wait=False, interrupt=nothing):
        pass


# ---- needs ----


def test_what_is_needed_is_known_to_all_until_the_end(root: Path) -> None:
    first, second = held(root), held(root)
    first.reserve([ONE])
    first.reserve([ONE, TWO])
    with second.alone():
        assert second.needed() == {ONE, TWO}
    first.close()
    with second.alone():
        assert second.needed() == set()
    assert list((root / "runs").iterdir()) == []


def test_what_a_dead_run_needed_is_swept(root: Path) -> None:
    held(root)
    program = (
        "import os, sys; from pathlib import Path; from imgfetch.store.locks import StoreLocks; "
        "from imgfetch.oci.digest import Digest; "
        "run = StoreLocks(Path(sys.argv[1])); run.prepare(); run.reserve([Digest.of(b'one')]); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program, str(root)], check=False, timeout=60)
    assert len(list((root / "runs").iterdir())) == 2
    living = held(root)
    with living.alone():
        assert living.needed() == set()
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
    list_directory = directory.list_directory

    def list_and_remove(path: Path) -> list[os.DirEntry[str]]:
        entries = list_directory(path)
        if path == root / below:
            for entry in entries:
                removed.append(entry.name)
                shutil.rmtree(entry) if entry.is_dir() else Path(entry).unlink()
        return entries

    for module in (directory, eviction, locks):
        monkeypatch.setattr(module, "list_directory", list_and_remove)
    use(root)
    assert removed
    run.close()


def test_a_directory_that_is_not_there_has_no_entries(root: Path) -> None:
    assert directory.list_directory(root) == []
    root.touch()
    assert directory.list_directory(root) == []


def test_a_process_that_never_lets_go_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_PATIENCE", 0.2)
    claimed = held(root)
    with filelock.FileLock(root / "lock"), pytest.raises(StorageError, match="another process has held"):
        claimed.reserve([ONE])


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
    with held(root).claim(ONE, wait=False, interrupt=nothing):
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


def test_a_cache_that_is_not_there_holds_nothing(root: Path) -> None:
    assert eviction.entries(root) == []
    assert eviction.prune(root) == []
    assert not root.exists()


def test_a_disk_that_refuses_is_a_warning_after_a_save(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(root, b"a")
    (root / "lock").unlink()
    (root / "lock").mkdir()
    assert eviction.trim(root, 0) == []
    assert "cannot shrink the cache" in caplog.text
