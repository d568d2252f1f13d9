"""Layers are brought several at a time, and the first failure is the one that is told."""

from __future__ import annotations

import gzip
import io
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import responses

import imgfetch
from imgfetch.archive import tarlayout
from imgfetch.archive.tarlayout import UncompressedLayer
from imgfetch.errors import (
    ImgfetchError,
    NotFoundError,
    StorageError,
    TransportError,
    UnsupportedError,
    VerificationError,
)
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci.config import Config
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Image, Manifest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.progress import Item, Progress
from imgfetch.pull.downloads import Downloads
from imgfetch.pull.layer import Layer, distinct, layers_of, shared
from imgfetch.registry.client import Registry
from imgfetch.store.blobs import BlobStore
from imgfetch.store.directory import StoreDirectory
from imgfetch.store.locks import StoreLocks
from imgfetch.tolerance import Tolerance
from tests import images
from tests.fakes import FakeBody, FakeRegistry

REFERENCE = Reference.parse("registry.example/team/app:1")


def wait_for_abort(registry: FakeRegistry) -> None:
    """Stall until everything ends, as a connection does."""
    assert registry.aborted.wait(30)
    raise TransportError("stopped")


def halves(content: bytes, between: Callable[[], object]) -> FakeBody:
    return FakeBody(content, step=len(content) // 2 + 1, between=between)


class Noted(Progress):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def started(self, item: Item) -> None:
        self.told.append(("started", item))

    def advanced(self, item: Item, count: int) -> None:
        self.told.append(("advanced", item, count))

    def finished(self, item: Item, *, cached: bool) -> None:
        self.told.append(("finished", item, cached))


ONE, TWO, THREE, FOUR = (images.hello(text) for text in ("one", "two", "three", "four"))


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


def descriptor(blob: images.Blob) -> Descriptor:
    return Descriptor(blob.media_type, Digest.parse(blob.digest), len(blob.content))


def layers(*blobs: images.Blob) -> list[Layer]:
    return [
        Layer(
            descriptor(blob),
            Digest.parse(blob.diff_id),
            f"layer {number}/{len(blobs)} of {REFERENCE}",
            REFERENCE,
            frozenset({blob.media_type}),
        )
        for number, blob in enumerate(blobs, 1)
    ]


def downloading(
    wanted: Sequence[Layer], registry: FakeRegistry | Registry, store: BlobStore, **options: Any
) -> Downloads:
    defaults = {"jobs": 4, "progress": Progress(), "tolerance": Tolerance(), "copy": None}
    return Downloads(wanted, registry, store, retries=RetryPolicy(retries=0), **defaults | options)


def bring(wanted: Sequence[Layer], registry: FakeRegistry | Registry, store: BlobStore, **options: Any) -> None:
    """Bring layers, and wait for each in its order."""
    with downloading(wanted, registry, store, **options) as downloads:
        for layer in wanted:
            downloads.wait([layer])


# ---- what is to be brought ----


def image_of(*blobs: images.Blob) -> Image:
    manifest = Manifest(
        Descriptor("", Digest.of(b""), 0), Descriptor("", Digest.of(b""), 0), tuple(descriptor(blob) for blob in blobs)
    )
    config = Config(Platform("linux", "amd64"), tuple(Digest.parse(blob.diff_id) for blob in blobs))
    return Image(manifest, config, (REFERENCE,))


def test_the_layers_of_an_image_are_numbered_from_its_base() -> None:
    assert [layer.what for layer in layers_of(image_of(ONE, TWO, ONE))] == [
        "layer 1/3 of registry.example/team/app:1",
        "layer 2/3 of registry.example/team/app:1",
        "layer 3/3 of registry.example/team/app:1",
    ]


def test_a_layer_that_is_listed_with_two_types_has_both() -> None:
    typed = replace(ONE, media_type=images.OCI_TAR)
    (found,) = distinct(layers_of(image_of(ONE, typed)))
    assert found.media_types == {images.OCI_GZIP, images.OCI_TAR}


def test_a_layer_that_is_repeated_is_brought_once(registry: FakeRegistry, store: BlobStore) -> None:
    registry.add_blobs(ONE, TWO)
    wanted = distinct([*layers_of(image_of(ONE, TWO, ONE)), *layers_of(image_of(TWO))])
    assert [layer.descriptor for layer in wanted] == [descriptor(ONE), descriptor(TWO)]
    bring(wanted, registry, store, jobs=1)
    assert registry.asked == [ONE.digest, TWO.digest]


def test_a_blob_cannot_be_two_things_when_it_is_decompressed() -> None:
    other = replace(ONE, diff_id=TWO.diff_id)
    with pytest.raises(VerificationError) as caught:
        distinct(layers_of(image_of(ONE, THREE, other)))
    assert (caught.value.wanted, caught.value.got) == (ONE.diff_id, TWO.diff_id)
    assert "layer 3/3" in str(caught.value)
    assert "layer 1/3" in str(caught.value)


@pytest.mark.parametrize("lying", [0, 1], ids=["the first image", "the second image"])
@pytest.mark.parametrize("part", ["layers", "config"])
def test_two_images_that_give_a_blob_two_sizes_are_not_saved_together(
    registry: FakeRegistry, lying: int, part: str
) -> None:
    honest = images.image(ONE)
    wrong = {**(honest.config if part == "config" else ONE).descriptor}
    wrong["size"] += 512
    liar = images.image(ONE, manifest={part: wrong if part == "config" else [wrong]})
    registry.add_blobs(ONE, honest.config)
    for tag, built in zip("12", [liar, honest] if lying == 0 else [honest, liar], strict=True):
        registry.documents[tag] = Document(built.raw, built.media_type)
    out = io.BytesIO()
    with pytest.raises(VerificationError):
        imgfetch.save(
            ["registry.example/team/app:1", "registry.example/team/app:2"],
            out,
            platform="linux/amd64",
            open_registry=lambda _: registry,
            patience=RetryPolicy(retries=0),
        )


# ---- bringing ----


@pytest.mark.parametrize("jobs", [1, 2, 4, 64])
def test_every_layer_is_in_the_store_in_the_end(registry: FakeRegistry, store: BlobStore, jobs: int) -> None:
    registry.add_blobs(ONE, TWO, THREE, FOUR)
    bring(layers(ONE, TWO, THREE, FOUR), registry, store, jobs=jobs)
    assert [store.read(Digest.parse(blob.digest)) for blob in (ONE, TWO, THREE, FOUR)] == [
        blob.content for blob in (ONE, TWO, THREE, FOUR)
    ]
    assert sorted(registry.asked) == sorted(blob.digest for blob in (ONE, TWO, THREE, FOUR))


def test_one_job_brings_them_in_order(registry: FakeRegistry, store: BlobStore) -> None:
    registry.add_blobs(ONE, TWO, THREE)
    bring(layers(THREE, ONE, TWO), registry, store, jobs=1)
    assert registry.asked == [THREE.digest, ONE.digest, TWO.digest]


def test_several_jobs_bring_several_at_a_time(registry: FakeRegistry, store: BlobStore) -> None:
    meeting = threading.Barrier(3)
    for blob in (ONE, TWO, THREE):
        registry.contents[blob.digest] = halves(blob.content, lambda: meeting.wait(30))
    bring(layers(ONE, TWO, THREE), registry, store, jobs=3)
    assert len(registry.asked) == 3


def test_a_layer_can_be_had_before_the_others_are_there(registry: FakeRegistry, store: BlobStore) -> None:
    is_read = threading.Event()
    registry.add_blobs(ONE)
    registry.contents[TWO.digest] = halves(TWO.content, lambda: is_read.wait(30))
    wanted = layers(ONE, TWO)
    with downloading(wanted, registry, store, jobs=2) as downloads:
        downloads.wait([wanted[0]])
        assert store.read(wanted[0].descriptor.digest) == ONE.content
        is_read.set()
        downloads.wait([wanted[1]])


def test_what_comes_and_what_is_here_is_copied(registry: FakeRegistry, store: BlobStore) -> None:
    registry.add_blobs(ONE, TWO)
    bring(layers(ONE), registry, store)
    copies: dict[tarlayout.Blob, bytearray] = {}

    def copy(blob: tarlayout.Blob, position: int, data: bytes) -> None:
        copies.setdefault(blob, bytearray())[position : position + len(data)] = data

    wanted = layers(ONE, TWO)
    with downloading(wanted, registry, store, jobs=2, copy=copy) as downloads:
        downloads.wait(wanted)
        assert downloads.contents(wanted).keys() == {layer.descriptor.digest for layer in wanted}
        assert downloads.copied(wanted) == copies.keys()
    stored: dict[tarlayout.Blob, bytes] = {Digest.parse(blob.digest): blob.content for blob in (ONE, TWO)}
    decompressed = {
        UncompressedLayer(Digest.parse(TWO.digest), Digest.parse(TWO.diff_id)): gzip.decompress(TWO.content)
    }
    assert copies == stored | decompressed


def test_what_is_no_layer_is_not_waited_for(registry: FakeRegistry, store: BlobStore) -> None:
    registry.add_blobs(ONE)
    with downloading(layers(ONE), registry, store, jobs=1) as downloads:
        downloads.wait(layers(TWO))
        assert downloads.contents(layers(TWO)) == {}
        downloads.wait(layers(ONE))


def test_no_layers_need_no_thread(registry: FakeRegistry, store: BlobStore) -> None:
    with downloading([], registry, store, jobs=4) as downloads:
        downloads.wait([])


# ---- what is there already ----


def test_a_layer_in_the_store_costs_no_request(registry: FakeRegistry, store: BlobStore, root: Path) -> None:
    registry.add_blobs(ONE, TWO)
    bring(layers(ONE), registry, store)
    registry.asked.clear()
    progress = Noted()
    bring(layers(ONE, TWO), registry, BlobStore(root), jobs=1, progress=progress)
    assert registry.asked == [TWO.digest]
    item = Item(ONE.digest, len(ONE.content))
    assert progress.told[:2] == [("started", item), ("finished", item, True)]


@pytest.mark.parametrize("note", [None, b"", b'{"diff_id":"x"}'], ids=["missing", "empty", "broken"])
def test_so_does_one_of_which_the_note_is_lost(
    registry: FakeRegistry, store: BlobStore, root: Path, note: bytes | None
) -> None:
    registry.add_blobs(ONE)
    bring(layers(ONE), registry, store)
    notes = root / "layers" / "sha256" / Digest.parse(ONE.digest).encoded
    notes.unlink()
    if note is not None:
        notes.write_bytes(note)
    registry.asked.clear()
    bring(layers(ONE), registry, BlobStore(root))
    assert registry.asked == []
    assert notes.is_file()
    assert BlobStore(root).remembered(Digest.parse(ONE.digest), "sha256") is not None


def test_a_layer_whose_file_is_damaged_is_fetched_again(registry: FakeRegistry, store: BlobStore, root: Path) -> None:
    registry.add_blobs(ONE)
    bring(layers(ONE), registry, store)
    (root / "blobs" / "sha256" / Digest.parse(ONE.digest).encoded).write_bytes(b"damaged")
    bring(layers(ONE), registry, BlobStore(root))
    assert registry.asked == [ONE.digest] * 2
    assert BlobStore(root).read(Digest.parse(ONE.digest)) == ONE.content


@pytest.mark.parametrize("known", [True, False], ids=["with its note", "without its note"])
def test_a_layer_in_the_store_is_held_to_its_diff_id_too(
    registry: FakeRegistry, store: BlobStore, root: Path, *, known: bool
) -> None:
    registry.add_blobs(ONE)
    bring(layers(ONE), registry, store)
    if not known:
        (root / "layers" / "sha256" / Digest.parse(ONE.digest).encoded).unlink()
    with pytest.raises(VerificationError) as caught:
        bring(layers(replace(ONE, diff_id=TWO.diff_id)), registry, BlobStore(root))
    assert caught.value.wanted == f"diff_id {TWO.diff_id}"
    assert caught.value.got == ONE.diff_id


# ---- failures ----


def test_a_diff_id_that_differs_names_layer_and_both_values(registry: FakeRegistry, store: BlobStore) -> None:
    registry.add_blobs(ONE, TWO)
    with pytest.raises(VerificationError) as caught:
        bring(layers(ONE, replace(TWO, diff_id=THREE.diff_id)), registry, store, jobs=1)
    assert caught.value.wanted == f"diff_id {THREE.diff_id}"
    assert caught.value.got == TWO.diff_id
    for words in ("layer 2/2 of registry.example/team/app:1", TWO.digest, "gzip"):
        assert words in str(caught.value)


def test_a_changed_layer_is_refused(registry: FakeRegistry, store: BlobStore) -> None:
    registry.contents[ONE.digest] = ONE.content[:-1] + b"!"
    with pytest.raises(VerificationError) as caught:
        bring(layers(ONE), registry, store)
    assert caught.value.wanted == ONE.digest
    assert store.has(descriptor(ONE)) is False


@pytest.mark.parametrize(
    ("jobs", "is_small", "most"), [(2, True, 8), (2, False, 2), (1, True, 1), (9, True, 9), (9, False, 9)]
)
def test_small_layers_are_brought_eight_at_a_time_but_not_with_one_job(
    registry: FakeRegistry, store: BlobStore, monkeypatch: pytest.MonkeyPatch, *, jobs: int, is_small: bool, most: int
) -> None:
    blobs = [images.hello(f"layer {number}") for number in range(9)]
    smallest = min(len(blob.content) for blob in blobs)
    monkeypatch.setattr(
        "imgfetch.pull.downloads.SMALL", max(len(b.content) for b in blobs) if is_small else smallest - 1
    )
    running, together = 0, threading.Condition()

    def meet() -> None:
        nonlocal running
        with together:
            running += 1
            together.notify_all()
            assert together.wait_for(lambda: running >= most, 30)
        time.sleep(0.05)  # for one too many

    for blob in blobs:
        registry.contents[blob.digest] = halves(blob.content, meet)
    bring(layers(*blobs), registry, store, jobs=jobs)
    assert registry.most_bodies == most


def test_the_first_failure_is_told_and_ends_the_others(
    registry: FakeRegistry, store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgfetch.pull.downloads.SMALL", 0)
    registry.contents[ONE.digest] = halves(ONE.content, lambda: wait_for_abort(registry))
    registry.contents[TWO.digest] = halves(TWO.content, lambda: wait_for_abort(registry))
    registry.contents[THREE.digest] = VerificationError("the first failure")
    registry.add_blobs(FOUR)
    with pytest.raises(VerificationError, match="the first failure"):
        bring(layers(ONE, TWO, THREE, FOUR), registry, store, jobs=3)
    assert registry.aborted.is_set()
    assert registry.asked.count(FOUR.digest) == 0  # nothing new is begun


def test_a_failure_is_told_to_whoever_waits_for_another_layer(registry: FakeRegistry, store: BlobStore) -> None:
    registry.contents[ONE.digest] = halves(ONE.content, lambda: wait_for_abort(registry))
    registry.contents[TWO.digest] = UnsupportedError("no")
    wanted = layers(ONE, TWO)
    with (
        downloading(wanted, registry, store, jobs=2) as downloads,
        pytest.raises(UnsupportedError, match="no"),
    ):
        downloads.wait([wanted[0]])


def test_a_failure_may_be_told_to_those_alone_who_wait_for_the_layer(registry: FakeRegistry, store: BlobStore) -> None:
    registry.add_blobs(ONE, THREE)
    registry.contents[TWO.digest] = UnsupportedError("no")
    wanted, progress = layers(ONE, TWO, THREE), Failed()
    wanted[1] = wanted[1]._replace(origin="list:7")
    with downloading(wanted, registry, store, jobs=1, keep_going=True, progress=progress) as downloads:
        downloads.wait([wanted[0]])
        with pytest.raises(UnsupportedError, match=rf"^list:7: layer 2/3 of {REFERENCE}: no$"):
            downloads.wait(wanted)
        downloads.wait([wanted[2]])
        assert downloads.contents(wanted).keys() == {wanted[n].descriptor.digest for n in (0, 2)}
    assert progress.failures == [TWO.digest]


class Failed(Progress):
    """Remembers what was given up."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    def failed(self, item: Item) -> None:
        self.failures.append(item.name)


def test_a_failure_of_this_machine_ends_everything_anyway(registry: FakeRegistry, store: BlobStore) -> None:
    registry.add_blobs(ONE)
    registry.contents[TWO.digest] = StorageError("the disk is gone")
    wanted = layers(TWO, ONE)
    with (
        downloading(wanted, registry, store, jobs=1, keep_going=True) as downloads,
        pytest.raises(StorageError, match=r"^the disk is gone$"),
    ):
        downloads.wait([wanted[1]])
    assert registry.asked == [TWO.digest]


def test_a_layer_is_tried_in_all_repositories_that_should_have_it(registry: FakeRegistry, store: BlobStore) -> None:
    def elsewhere(name: str) -> Layer:
        (layer,) = layers(ONE)
        return layer._replace(reference=Reference.parse(f"registry.example/{name}:1"))

    registry.contents[ONE.digest] = NotFoundError("not here", url="u", status=404)
    same = [elsewhere(name) for name in ("one", "two", "two", "three")]
    (joined,) = shared(same)
    with (
        downloading([joined], registry, store, jobs=1, keep_going=True) as downloads,
        pytest.raises(NotFoundError, match=r"^layer 1/1 of registry\.example/team/app:1: not here$"),
    ):
        downloads.wait(same[:1])
    assert registry.names == [f"registry.example/{name}" for name in ("one", "two", "three")]


def test_layers_that_nobody_needs_any_more_are_left(registry: FakeRegistry, store: BlobStore) -> None:
    begun, go = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert go.wait(30)

    registry.contents[ONE.digest] = halves(ONE.content, hold)
    registry.add_blobs(TWO, THREE)
    wanted, progress = layers(ONE, TWO, THREE), Failed()
    with downloading(wanted, registry, store, jobs=1, progress=progress) as downloads:
        assert begun.wait(30)
        downloads.leave(wanted[:2])
        go.set()
        downloads.wait([wanted[0], wanted[2]])
    assert registry.asked == [ONE.digest, THREE.digest]
    assert progress.failures == [TWO.digest]


def test_whoever_waits_is_told_that_everything_is_stopped(registry: FakeRegistry, store: BlobStore) -> None:
    registry.contents[ONE.digest] = halves(ONE.content, lambda: wait_for_abort(registry))
    wanted = layers(ONE)
    with downloading(wanted, registry, store, jobs=1) as downloads:
        threading.Timer(0.1, downloads.stop).start()
        with pytest.raises(TransportError, match="stopped"):
            downloads.wait(wanted)


def test_a_layer_that_is_here_can_be_had_after_the_failure_of_another(registry: FakeRegistry, store: BlobStore) -> None:
    registry.add_blobs(ONE)
    registry.contents[TWO.digest] = UnsupportedError("no")
    wanted = layers(ONE, TWO)
    with downloading(wanted, registry, store, jobs=1) as downloads:
        with pytest.raises(UnsupportedError):
            downloads.wait(wanted)
        downloads.wait(wanted[:1])


def test_a_bug_is_told_as_it_is(registry: FakeRegistry, store: BlobStore) -> None:
    registry.contents[ONE.digest] = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError, match="a bug"):
        bring(layers(ONE), registry, store)


def interrupted(wanted: Sequence[Layer], registry: FakeRegistry, store: BlobStore, begun: threading.Event) -> None:
    """Be interrupted while layers are brought."""
    with downloading(wanted, registry, store, jobs=1):
        assert begun.wait(30)
        raise KeyboardInterrupt


def test_leaving_early_ends_the_threads(registry: FakeRegistry, store: BlobStore) -> None:
    begun = threading.Event()

    def stall() -> None:
        begun.set()
        wait_for_abort(registry)

    registry.contents[ONE.digest] = halves(ONE.content, stall)
    registry.add_blobs(TWO)
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        interrupted(layers(ONE, TWO), registry, store, begun)
    assert registry.asked == [ONE.digest]
    assert before.issuperset(threading.enumerate())


# ---- without a thread ----


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


@pytest.mark.usefixtures("no_threads")
def test_without_a_thread_layers_are_brought_as_they_are_awaited(registry: FakeRegistry, store: BlobStore) -> None:
    registry.add_blobs(ONE, TWO, THREE)
    wanted = layers(ONE, TWO, THREE)
    with downloading(wanted, registry, store, jobs=2) as downloads:
        assert registry.asked == []
        downloads.wait([wanted[1]])
        assert registry.asked == [ONE.digest, TWO.digest]
        downloads.wait(wanted)
        assert registry.asked == [ONE.digest, TWO.digest, THREE.digest]


@pytest.mark.usefixtures("no_threads")
@pytest.mark.parametrize(
    "failure", [VerificationError("a failure"), KeyboardInterrupt("a failure"), MemoryError("a failure")]
)
def test_without_a_thread_a_failure_ends_everything(
    registry: FakeRegistry, store: BlobStore, failure: BaseException
) -> None:
    def fail() -> None:
        raise failure

    registry.add_blobs(ONE, THREE)
    registry.contents[TWO.digest] = halves(TWO.content, fail)
    with pytest.raises(type(failure), match="a failure"):
        bring(layers(ONE, TWO, THREE), registry, store, jobs=2)
    assert registry.asked == [ONE.digest, TWO.digest]


@pytest.mark.usefixtures("no_threads")
def test_without_a_thread_a_layer_that_another_process_downloads_comes_last(
    registry: FakeRegistry, store: BlobStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add_blobs(ONE, TWO)
    other = StoreLocks(StoreDirectory(root))
    with ExitStack() as stack:
        nothing: Callable[[], None] = lambda: None  # noqa: E731
        stack.enter_context(other.claim(Digest.parse(ONE.digest), wait=False, interrupt=nothing, progress=nothing))
        monkeypatch.setattr("imgfetch.pull.downloads._BUSY", 0)
        with downloading(layers(ONE, TWO), registry, store) as downloads:
            downloads.wait(layers(TWO))
            assert registry.asked == [TWO.digest]
            stack.close()
            downloads.wait(layers(ONE, TWO))


def test_a_missing_layer_names_its_number_and_its_digest(store: BlobStore) -> None:
    url = f"https://registry.example/v2/team/app/blobs/{TWO.digest}"
    with responses.RequestsMock() as wire, Registry("registry.example") as registry:
        wire.get(f"https://registry.example/v2/team/app/blobs/{ONE.digest}", body=ONE.content)
        wire.get(url, status=404, body='{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}')
        with pytest.raises(NotFoundError) as caught:
            bring(layers(ONE, TWO, THREE), registry, store, jobs=1)
    for words in ("layer 2/3 of registry.example/team/app:1", TWO.digest, "the registry has lost this blob"):
        assert words in f"{caught.value}; {caught.value.hint}"
    assert caught.value.status == 404
    assert caught.value.url == url
    assert store.has(descriptor(ONE)) is True
    assert store.has(descriptor(TWO)) is False


def test_oddities_of_a_layer_are_told_or_refused(
    registry: FakeRegistry, store: BlobStore, caplog: pytest.LogCaptureFixture
) -> None:
    odd = replace(ONE, media_type=images.OCI_TAR)
    registry.add_blobs(odd)
    bring(layers(odd), registry, store)
    assert len(caplog.records) == 1
    assert "layer 1/1 of registry.example/team/app:1" in caplog.records[0].getMessage()
    with pytest.raises(VerificationError, match="layer 1/1"):
        bring(layers(odd), registry, store, tolerance=Tolerance(strict=True))


# ---- progress ----


def test_progress_is_told_of_every_byte(registry: FakeRegistry, store: BlobStore) -> None:
    registry.add_blobs(ONE, TWO)
    progress = Noted()
    bring(layers(ONE, TWO), registry, store, jobs=1, progress=progress)
    for blob in (ONE, TWO):
        item = Item(blob.digest, len(blob.content))
        told = [event for event in progress.told if event[1] == item]
        assert told[0] == ("started", item)
        assert told[-1] == ("finished", item, False)
        assert [event[0] for event in told[1:-1]] == ["advanced"] * (len(told) - 2)
        assert sum(event[2] for event in told[1:-1]) == len(blob.content)


def test_what_failed_is_not_finished(registry: FakeRegistry, store: BlobStore) -> None:
    registry.add_blobs(ONE)
    progress = Noted()
    with pytest.raises(ImgfetchError):
        bring(layers(replace(ONE, diff_id=TWO.diff_id)), registry, store, progress=progress)
    assert [event for event in progress.told if event[0] == "finished"] == []
