"""A store whose cache fails continues in another directory."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from imgfetch.errors import ResourceError, StorageError, TransportError
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.source import Embedded
from imgfetch.store import blobs, workspace
from imgfetch.store.blobs import BlobStore
from imgfetch.store.directory import UntrustedCacheError
from imgfetch.store.folder import Folder
from imgfetch.store.partial import PartialBlob
from imgfetch.store.place import Place
from tests.stores import add

CONTENT = b"some content\n" * 1000
BLOB = Descriptor.of(CONTENT, "")


@pytest.fixture
def spare(tmp_path: Path) -> Callable[[], Folder]:
    (tmp_path / "spare").mkdir()
    return lambda: Folder.at(tmp_path / "spare")


def failing(path: Path, number: int, times: int = 1) -> Callable[[PartialBlob], LayerInfo | None]:
    """Return a function that receives half of the blob, fails, and receives all of it the next time."""
    left = times

    def receive(part: PartialBlob) -> LayerInfo | None:
        nonlocal left
        if left:
            left -= 1
            with pytest.raises(TransportError):
                part.receive(Embedded(CONTENT[:6500]))
            raise StorageError("cannot write", path=path) from OSError(number, os.strerror(number))
        return part.receive(Embedded(CONTENT))

    return receive


@pytest.mark.parametrize("number", [errno.EIO, errno.EDQUOT, errno.ENOLCK, errno.ESTALE, errno.EFBIG])
def test_a_cache_that_fails_in_a_blob_is_left_with_one_warning(
    root: Path, spare: Callable[[], Folder], number: int, caplog: pytest.LogCaptureFixture
) -> None:
    store, advanced = BlobStore(root, spare), [0]
    first = Descriptor.of(b"first", "")
    store.put(first, b"first")
    for _ in range(2):
        brought = store.bring(
            BLOB, "a blob", failing(root / "parts", number), advanced=lambda count, **_: advanced.append(count)
        )
        assert brought is not None
    assert sum(advanced) == BLOB.size
    assert [record.getMessage().endswith("continuing without a cache") for record in caplog.records] == [True]
    assert store.read(BLOB.digest) == CONTENT
    assert store.read(first.digest) == b"first"  # which the cache has
    assert not store.uses_cache
    assert store.bytes_missing([first, BLOB]) == 0
    store.close()


def test_a_failure_of_something_else_is_not_the_caches(root: Path, spare: Callable[[], Folder], tmp_path: Path) -> None:
    store = BlobStore(root, spare)
    for path in (tmp_path / "y.tar", tmp_path, None):
        with pytest.raises(StorageError, match="cannot write"):
            store.bring(BLOB, "a blob", failing(path, errno.EIO))  # type: ignore[arg-type]  # a stream has no path
    assert store.uses_cache


def test_a_lack_of_this_process_is_not_the_caches(root: Path, spare: Callable[[], Folder]) -> None:
    store = BlobStore(root, spare)

    def receive(_part: PartialBlob) -> None:
        with Folder.at(root).errors("write", "parts"):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with pytest.raises(ResourceError, match="Too many open files"):
        store.bring(BLOB, "a blob", receive)
    assert store.uses_cache


def test_a_failure_without_another_directory_is_raised(root: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        BlobStore(root).bring(BLOB, "a blob", failing(root, errno.EIO))


def test_a_failure_of_the_other_directory_is_raised(root: Path, spare: Callable[[], Folder], tmp_path: Path) -> None:
    store = BlobStore(root, spare)
    store.bring(BLOB, "a blob", failing(root, errno.EIO))
    other = Descriptor.of(CONTENT * 2, "")
    with pytest.raises(StorageError, match="cannot write"):
        store.bring(other, "a blob", failing(tmp_path / "spare" / "store", errno.EIO))


def test_a_full_disk_is_not_filled_a_second_time(root: Path, spare: Callable[[], Folder]) -> None:
    store = BlobStore(root, spare)

    def receive(_part: PartialBlob) -> None:
        with Folder.at(root).errors("write", "parts"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError, match="No space left"):
        store.bring(BLOB, "a blob", receive)
    assert store.uses_cache


def test_documents_outlive_a_cache_that_goes_away(root: Path, spare: Callable[[], Folder]) -> None:
    store, big = BlobStore(root, spare), Descriptor.of(bytes(17 * 1024 * 1024), "")
    documents = [(Descriptor.of(content, ""), content) for content in (b"one", b"two")]
    add(BlobStore(root), documents[0][0], Embedded(b"one"), "a document")
    store.put(documents[0][0], b"something else")  # which is not read, because the right one is here
    for descriptor, content in documents:
        store.put(descriptor, content)
    store.put(big, bytes(big.size))
    shutil.rmtree(root)
    for descriptor, content in documents:
        assert store.read(descriptor.digest) == content
    with pytest.raises(StorageError, match="No such file or directory") as caught:
        store.read(big.digest)
    assert "removed during the command" in str(caught.value.hint)
    add(store, BLOB, Embedded(CONTENT), "a blob")
    assert store.read(BLOB.digest) == CONTENT
    assert not store.uses_cache


def test_a_full_cache_gets_its_room_back(
    root: Path, spare: Callable[[], Folder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "_is_on_device", lambda *_: False)
    store = BlobStore(root, spare)
    is_full = True

    def receive(part: PartialBlob) -> LayerInfo | None:
        nonlocal is_full
        if is_full:
            is_full = False
            with pytest.raises(TransportError):
                part.receive(Embedded(CONTENT[:6500]))
            with Folder.at(root).errors("write", "parts"):
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        return part.receive(Embedded(CONTENT))

    store.bring(BLOB, "a blob", receive)
    assert list((root / "parts").glob("*/*")) == []
    assert not store.uses_cache


def test_a_cache_that_cannot_be_made_is_left(root: Path, spare: Callable[[], Folder]) -> None:
    root.touch()
    store = BlobStore(root, spare)
    store.prepare()
    assert not store.uses_cache
    add(store, BLOB, Embedded(CONTENT), "a blob")
    assert store.read(BLOB.digest) == CONTENT


def test_a_cache_that_must_not_be_trusted_is_an_error(root: Path, spare: Callable[[], Folder]) -> None:
    root.mkdir()
    root.chmod(0o777)
    with pytest.raises(UntrustedCacheError):
        BlobStore(root, spare).prepare()


def test_nothing_is_written_after_the_end(root: Path, spare: Callable[[], Folder]) -> None:
    store = BlobStore(root, spare)
    store.close()
    with pytest.raises(StorageError):
        add(store, BLOB, Embedded(CONTENT), "a blob")


def test_a_temporary_directory_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with workspace.temporary() as folder:
        store = BlobStore(None, lambda: folder)
        add(store, BLOB, Embedded(CONTENT), "a blob")
        assert store.read(BLOB.digest) == CONTENT
        store.close()
    assert list(tmp_path.iterdir()) == []


# ---- two runs ----


def test_a_right_blob_of_another_run_is_not_removed_with_the_wrong_one(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(BlobStore(root), BLOB, Embedded(CONTENT), "a blob")
    path = root / "blobs" / "sha256" / BLOB.digest.encoded
    path.write_bytes(b"spoilt")
    one, other = BlobStore(root), BlobStore(root)
    remove = Place._remove_wrong

    def other_first(place: Place, digest: object) -> None:
        monkeypatch.setattr(Place, "_remove_wrong", remove)
        right = path.with_name("right")
        right.write_bytes(CONTENT)
        right.chmod(0o600)
        right.replace(path)  # as a run does that no longer waits for this one
        remove(place, digest)  # type: ignore[arg-type]  # it is one
        assert path.read_bytes() == CONTENT

    monkeypatch.setattr(Place, "_remove_wrong", other_first)
    add(one, BLOB, Embedded(CONTENT), "a blob")
    assert other.has(BLOB)
    assert path.read_bytes() == CONTENT


def test_a_file_that_is_elsewhere_too_keeps_its_time(root: Path, tmp_path: Path) -> None:
    BlobStore(root).prepare()
    precious = tmp_path / "precious"
    precious.write_bytes(CONTENT)
    precious.chmod(0o600)
    os.utime(precious, (1, 1))
    path = root / "blobs" / "sha256" / BLOB.digest.encoded
    path.parent.mkdir(parents=True)
    path.hardlink_to(precious)
    assert BlobStore(root).has(BLOB)
    assert precious.stat().st_mtime == 1
