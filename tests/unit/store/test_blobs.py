"""Only what is true gets a name in the store."""

from __future__ import annotations

import gzip
import os
import random
import time
from pathlib import Path

import pytest

from imgfetch.errors import ImgfetchError, StorageError, TransportError, UnsupportedError, VerificationError
from imgfetch.layers.diffid import DiffIdCheck, LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.store.blobs import BlobStore
from tests import images
from tests.fakes import FakeBody
from tests.stores import add
from tests.threads import together
from tests.tools import umask

CONTENT = b"some content\n" * 1000
BLOB = Descriptor("", Digest.of(CONTENT), len(CONTENT))
TAR_SIZE = 2560
LAYER = images.hello()
LAYER_BLOB = Descriptor(LAYER.media_type, Digest.parse(LAYER.digest), len(LAYER.content))


def path(root: Path, digest: Digest) -> Path:
    return root / "blobs" / digest.algorithm / digest.encoded


def files(root: Path) -> list[Path]:
    """Return what is there of blobs; locks are not."""
    return [
        found for below in ("blobs", "layers", "parts") for found in (root / below).rglob("*") if not found.is_dir()
    ]


def part(root: Path, digest: Digest) -> Path:
    return root / "parts" / digest.algorithm / digest.encoded


def check() -> DiffIdCheck:
    return DiffIdCheck("layer 1/2", LAYER.media_type)


def add_layer(store: BlobStore, source: FakeBody, descriptor: Descriptor = LAYER_BLOB) -> LayerInfo | None:
    return add(store, descriptor, source, "layer 1/2", layer=check)


# ---- taking in ----


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("step", [1, 1000, 10**6])
@pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=["empty", "a byte", "more"])
def test_the_right_content_gets_its_name(
    store: BlobStore, root: Path, *, content: bytes, step: int, algorithm: str
) -> None:
    descriptor = Descriptor.of(content, "", algorithm)
    assert store.has(descriptor) is False
    add(store, descriptor, FakeBody(content, step=step), "the config")
    assert store.has(descriptor) is True
    assert store.read(descriptor.digest) == content
    with store.open(descriptor.digest) as file:
        assert file.read() == content
    assert files(root) == [path(root, descriptor.digest)]


@pytest.mark.parametrize(
    ("content", "wanted", "got"),
    [
        (CONTENT[:-1] + b"!", str(BLOB.digest), images.sha256(CONTENT[:-1] + b"!")),
        (b"!" + CONTENT[1:], str(BLOB.digest), images.sha256(b"!" + CONTENT[1:])),
        (CONTENT + b"!", "13000 bytes", "more"),
        (CONTENT * 1000, "13000 bytes", "more"),
    ],
    ids=["its end changed", "its start changed", "longer", "much longer"],
)
def test_any_other_content_is_refused_and_leaves_nothing(
    store: BlobStore, root: Path, content: bytes, wanted: str, got: str
) -> None:
    with pytest.raises(VerificationError) as caught:
        add(store, BLOB, FakeBody(content), "layer 1/2")
    assert (caught.value.wanted, caught.value.got) == (wanted, got)
    for words in ("layer 1/2", str(BLOB.digest), "registry.example"):
        assert words in str(caught.value)
    assert files(root) == []
    assert store.has(BLOB) is False


@pytest.mark.parametrize("size", [0, 12999, 13001, 10**15])
def test_a_size_that_lies_is_refused_though_the_digest_is_right(store: BlobStore, root: Path, size: int) -> None:
    with pytest.raises(VerificationError):
        add(store, Descriptor("", BLOB.digest, size), FakeBody(CONTENT), "layer 1/2")
    assert files(root) == []


def test_no_more_than_one_byte_too_many_is_wanted(store: BlobStore) -> None:
    source = FakeBody(CONTENT)
    add(store, BLOB, source, "layer 1/2")
    assert source.limits == [13001]


def test_a_body_that_breaks_off_leaves_no_more_than_a_part(store: BlobStore, root: Path) -> None:
    with pytest.raises(TransportError, match="broke off"):
        add(store, BLOB, FakeBody(CONTENT[:5000], error=TransportError("broke off")), "layer 1/2")
    assert files(root) == [part(root, BLOB.digest)]
    assert store.has(BLOB) is False


@pytest.mark.parametrize("size", [0, 1, 12999])
def test_a_body_that_ends_too_early_has_broken_off(store: BlobStore, root: Path, size: int) -> None:
    with pytest.raises(TransportError, match=f"was interrupted: {size} of 13000 bytes received") as caught:
        add(store, BLOB, FakeBody(CONTENT[:size]), "layer 1/2")
    for words in ("layer 1/2", str(BLOB.digest), "registry.example"):
        assert words in str(caught.value)
    assert files(root) == ([part(root, BLOB.digest)] if size else [])
    assert store.has(BLOB) is False


def test_what_was_there_stays_when_something_else_comes(store: BlobStore, root: Path) -> None:
    add(store, BLOB, FakeBody(CONTENT), "layer 1/2")
    add(store, BLOB, FakeBody(CONTENT[:-1] + b"!"), "layer 1/2")  # it is not even received
    assert files(root) == [path(root, BLOB.digest)]
    assert store.read(BLOB.digest) == CONTENT


def test_a_message_is_cleaned(store: BlobStore) -> None:
    with pytest.raises(VerificationError) as caught:
        add(store, BLOB, FakeBody(b"x", codings=("\x1b[31mgzip",)), "layer 1/2")
    assert str(caught.value).isprintable()


# ---- what was there before ----


def test_a_later_run_finds_what_an_earlier_one_left(store: BlobStore, root: Path) -> None:
    add(store, BLOB, FakeBody(CONTENT), "layer 1/2")
    assert BlobStore(root).has(BLOB) is True


@pytest.mark.parametrize(
    "damage",
    [CONTENT[:-1] + b"!", CONTENT[:-1], b"", CONTENT + b"!"],
    ids=["changed", "cut", "empty", "longer"],
)
def test_damage_is_noticed_and_repaired(store: BlobStore, root: Path, damage: bytes) -> None:
    add(store, BLOB, FakeBody(CONTENT), "layer 1/2")
    path(root, BLOB.digest).write_bytes(damage)
    later = BlobStore(root)
    assert later.has(BLOB) is False
    add(later, BLOB, FakeBody(CONTENT), "layer 1/2")
    assert later.has(BLOB) is True
    assert later.read(BLOB.digest) == CONTENT


@pytest.mark.parametrize("later", [False, True], ids=["the same run", "a later run"])
@pytest.mark.parametrize("size", [12999, 13001])
def test_a_descriptor_that_lies_about_the_size_is_told_and_does_no_harm(
    store: BlobStore, root: Path, size: int, *, later: bool
) -> None:
    add(store, BLOB, FakeBody(CONTENT), "layer 1/2")
    again = BlobStore(root) if later else store
    with pytest.raises(VerificationError) as caught:
        again.has(Descriptor("", BLOB.digest, size))
    assert (caught.value.wanted, caught.value.got) == (f"{size} bytes", "13000 bytes")
    assert again.has(BLOB) is True


@pytest.mark.parametrize("kind", ["directory", "link", "FIFO"])
@pytest.mark.parametrize("below", ["blobs", "parts"])
def test_what_is_no_file_is_replaced(store: BlobStore, root: Path, tmp_path: Path, below: str, kind: str) -> None:
    planted = root / below / "sha256" / BLOB.digest.encoded
    planted.parent.mkdir(parents=True)
    (tmp_path / "precious").write_bytes(CONTENT)
    if kind == "directory":
        (planted / "more").mkdir(parents=True)
    elif kind == "link":
        planted.symlink_to(tmp_path / "precious")
    else:
        os.mkfifo(planted)
    assert store.has(BLOB) is False
    add(store, BLOB, FakeBody(CONTENT), "layer 1/2")
    assert files(root) == [path(root, BLOB.digest)]
    assert store.read(BLOB.digest) == (tmp_path / "precious").read_bytes() == CONTENT


def test_a_store_that_cannot_be_made_is_a_failure_of_the_disk(root: Path) -> None:
    root.write_text("a file")
    with pytest.raises(StorageError) as caught:
        add(BlobStore(root), BLOB, FakeBody(CONTENT), "layer 1/2")
    assert isinstance(caught.value.__cause__, OSError)
    assert str(root) in str(caught.value)


def test_reading_what_is_not_there_is_a_failure_of_the_disk(store: BlobStore) -> None:
    with pytest.raises(StorageError):
        store.read(BLOB.digest)


# ---- layers ----


@pytest.mark.parametrize(
    ("layer", "compression"),
    [
        (images.hello(), "gzip"),
        (images.hello(media_type=images.OCI_ZSTD), "zstd"),
        (images.hello(media_type=images.OCI_TAR), "plain"),
    ],
    ids=["gzip", "zstd", "plain"],
)
def test_a_layer_is_decompressed_while_it_comes(store: BlobStore, layer: images.Blob, compression: str) -> None:
    descriptor = Descriptor(layer.media_type, Digest.parse(layer.digest), len(layer.content))
    contents = add_layer(store, FakeBody(layer.content, step=7), descriptor)
    assert contents == LayerInfo(Digest.parse(layer.diff_id), compression, TAR_SIZE)
    assert store.remembered(descriptor.digest, "sha256") == contents


def test_a_later_run_knows_what_was_found_in_a_layer(store: BlobStore, root: Path) -> None:
    contents = add_layer(store, FakeBody(LAYER.content))
    assert BlobStore(root).remembered(LAYER_BLOB.digest, "sha256") == contents


def test_what_was_found_in_one_algorithm_is_no_answer_in_another(store: BlobStore) -> None:
    add_layer(store, FakeBody(LAYER.content))
    assert store.remembered(LAYER_BLOB.digest, "sha512") is None


def test_nothing_is_known_of_a_layer_that_was_never_seen(store: BlobStore) -> None:
    assert store.remembered(LAYER_BLOB.digest, "sha256") is None


def test_a_blob_that_is_no_layer_has_no_contents(store: BlobStore) -> None:
    assert add(store, BLOB, FakeBody(CONTENT), "the config") is None
    assert store.remembered(BLOB.digest, "sha256") is None


@pytest.mark.parametrize(
    "note",
    [b"", b"{}", b"not JSON", b'{"diff_id":"sha256:0"}', b'{"diff_id":5}', b"[]", b"\xff", b" " * 10_000],
    ids=["empty", "no diff_id", "no JSON", "no digest", "a number", "an array", "not UTF-8", "long"],
)
def test_a_damaged_note_is_no_note(store: BlobStore, root: Path, note: bytes) -> None:
    add_layer(store, FakeBody(LAYER.content))
    notes = root / "layers" / "sha256" / LAYER_BLOB.digest.encoded
    assert notes.is_file()
    notes.write_bytes(note)
    assert store.remembered(LAYER_BLOB.digest, "sha256") is None


@pytest.mark.parametrize(
    ("content", "cls"),
    [(LAYER.content[:-5], VerificationError), (b"no tar at all" * 100, UnsupportedError)],
    ids=["its data ends early", "of no known kind"],
)
def test_a_layer_that_is_broken_in_itself_gets_no_name(
    store: BlobStore, root: Path, content: bytes, cls: type[ImgfetchError]
) -> None:
    descriptor = Descriptor.of(content, LAYER.media_type)
    with pytest.raises(cls, match="layer 1/2"):
        add_layer(store, FakeBody(content), descriptor)
    assert files(root) == [part(root, descriptor.digest)]  # its bytes are right, and need not come again


def test_damage_on_the_way_is_not_taken_for_a_fault_of_the_image(store: BlobStore, root: Path) -> None:
    damaged = LAYER.content[:20] + b"\0\0\0" + LAYER.content[23:]
    with pytest.raises(VerificationError) as caught:
        add_layer(store, FakeBody(damaged))
    assert caught.value.wanted == LAYER.digest
    assert files(root) == []


# ---- content codings ----


@pytest.mark.parametrize("coding", ["gzip", "br", "unknown"])
def test_a_layer_that_is_only_labelled_with_a_coding_is_taken_as_it_is(store: BlobStore, coding: str) -> None:
    contents = add_layer(store, FakeBody(LAYER.content, codings=(coding,)))
    assert contents == LayerInfo(Digest.parse(LAYER.diff_id), "gzip", TAR_SIZE)
    assert store.read(LAYER_BLOB.digest) == LAYER.content


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_layer_that_a_proxy_compressed_is_decompressed_once_for_each_coding(store: BlobStore, times: int) -> None:
    coded = LAYER.content
    for _ in range(times):
        coded = gzip.compress(coded)
    contents = add_layer(store, FakeBody(coded, codings=("gzip",) * times))
    assert contents == LayerInfo(Digest.parse(LAYER.diff_id), "gzip", TAR_SIZE)
    assert store.read(LAYER_BLOB.digest) == LAYER.content


def test_large_content_that_cannot_be_compressed_survives_a_proxys_try(store: BlobStore) -> None:
    content = random.Random(1).randbytes(3_000_000)
    blob = Descriptor.of(content, "")
    add(store, blob, FakeBody(gzip.compress(content, 1), codings=("gzip",), step=100_000), "layer 1/2")
    assert store.read(blob.digest) == content


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(LAYER.content[:-1]),
        gzip.compress(LAYER.content + b"!"),
        gzip.compress(LAYER.content)[:-5],
        gzip.compress(bytes(10**8)),
        LAYER.content[:-1] + b"!",
        b"rubbish",
    ],
    ids=["cut within", "longer within", "cut", "bomb", "changed and labelled", "rubbish"],
)
def test_a_coded_layer_that_is_something_else_is_refused_and_leaves_nothing(
    store: BlobStore, root: Path, content: bytes
) -> None:
    with pytest.raises(VerificationError) as caught:
        add_layer(store, FakeBody(content, codings=("gzip",), step=100_000))
    assert "layer 1/2" in str(caught.value)
    assert "gzip" in str(caught.value)
    assert files(root) == []


def test_no_more_of_a_coded_body_is_wanted_than_a_coding_may_add(store: BlobStore) -> None:
    source = FakeBody(gzip.compress(CONTENT), codings=("gzip",))
    add(store, BLOB, source, "layer 1/2")
    assert len(source.limits) == 1
    assert 13001 <= source.limits[0] <= 100_000


# ---- who may look ----


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077], ids=oct)
def test_nobody_else_can_look_at_the_store(store: BlobStore, root: Path, mask: int) -> None:
    with umask(mask):
        add(store, BLOB, FakeBody(CONTENT), "the config")
        add_layer(store, FakeBody(LAYER.content))
    assert root.stat().st_mode & 0o777 == 0o700
    assert {found.stat().st_mode & 0o777 for found in files(root)} == {0o600}
    assert len(files(root)) == 3  # two blobs and a note


def test_a_part_is_private_while_it_comes(store: BlobStore, root: Path) -> None:
    modes: list[int] = []

    def look() -> None:
        modes.extend(found.stat().st_mode & 0o777 for found in files(root))

    with umask(0):
        add(store, BLOB, FakeBody(CONTENT, between=look), "the config")
    assert set(modes) == {0o600}


def test_a_store_that_everybody_may_write_to_is_refused(root: Path) -> None:
    add(BlobStore(root), BLOB, FakeBody(CONTENT), "the config")
    root.chmod(0o777)
    with pytest.raises(StorageError, match="is writable by other users"):
        BlobStore(root).has(BLOB)
    with pytest.raises(StorageError, match="is writable by other users"):
        add(BlobStore(root), BLOB, FakeBody(CONTENT), "the config")


# ---- threads ----


def slow(content: bytes) -> FakeBody:
    """Return a body that gives others time to get in its way."""
    return FakeBody(content, between=lambda: time.sleep(0.002))


@pytest.mark.parametrize("apart", [False, True], ids=["one store", "three stores"])
def test_threads_that_bring_the_same_blob_do_not_disturb_each_other(root: Path, *, apart: bool) -> None:
    stores = [BlobStore(root) for _ in range(3)] if apart else [BlobStore(root)] * 3
    assert together(*(lambda store=store: add(store, BLOB, slow(CONTENT), "the config") for store in stores)) == []
    assert files(root) == [path(root, BLOB.digest)]
    assert BlobStore(root).has(BLOB) is True


def test_a_thread_that_brings_something_else_harms_no_other(store: BlobStore, root: Path) -> None:
    failures = together(
        lambda: add(store, BLOB, slow(CONTENT), "good"),
        lambda: add(store, BLOB, slow(CONTENT[:-1] + b"!"), "bad"),
        lambda: add(store, BLOB, slow(CONTENT + b"!"), "bad"),
    )
    assert all(str(failure).startswith("bad ") for failure in failures)
    assert files(root) == [path(root, BLOB.digest)]
    assert store.read(BLOB.digest) == CONTENT


def test_after_close_nothing_is_written(store: BlobStore, root: Path) -> None:
    store.close()
    with pytest.raises(ImgfetchError):
        add(store, BLOB, FakeBody(CONTENT), "the config")
    assert files(root) == []
