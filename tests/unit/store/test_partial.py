"""A part is continued where it ends, and believed only when it is whole."""

from __future__ import annotations

import gzip
import random
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from imgfetch.errors import (
    AuthenticationError,
    CertificateError,
    ImgfetchError,
    NotFoundError,
    RegistryError,
    ResumeError,
    StorageError,
    TransportError,
    UnavailableError,
    VerificationError,
)
from imgfetch.http import retries
from imgfetch.http.retries import RetryPolicy
from imgfetch.layers.diffid import DiffIdCheck
from imgfetch.layers.windows import TOTAL, WINDOWS
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Source
from imgfetch.pull.resolve import Resolver
from imgfetch.pull.start import PROGRESS
from imgfetch.store.blobs import BlobStore
from imgfetch.store.folder import Folder
from imgfetch.store.partial import PartialBlob
from imgfetch.tolerance import Tolerance
from tests import images
from tests.fakes import Clock, FakeBody, FakeRegistry

LAYER = images.hello()
BLOB = Descriptor(LAYER.media_type, Digest.parse(LAYER.digest), len(LAYER.content))
REFERENCE = Reference.parse("registry.example/team/app:1")
WHAT = "layer 1/1"


class Script(FakeRegistry):
    """A registry that answers by a script: a body's bytes, how many of the rest to send, or an error.

    Requests to resume get ``refusal`` instead, if there is one.
    """

    def __init__(
        self,
        answers: list[bytes | int | Exception],
        refusal: Callable[[], Exception] | int | None = None,
        *,
        has_ranges: bool = True,
        content: bytes = LAYER.content,
    ) -> None:
        super().__init__()
        self.script = iter(answers)
        self.refused = refusal if has_ranges else None
        self.has_ranges = has_ranges
        self.whole = content

    def answer(self, _descriptor: Descriptor, _what: str, offset: int) -> FakeBody | Exception:
        assert len(self.asked) < 1000
        answer = self.refused if offset and self.refused is not None else next(self.script)
        if isinstance(answer, bytes):
            return FakeBody(answer)
        start = offset if self.has_ranges else 0
        if isinstance(answer, int):
            return FakeBody(self.whole[start : start + answer], start)
        return answer if isinstance(answer, Exception) else answer()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "part"


def check() -> DiffIdCheck:
    return DiffIdCheck(WHAT, LAYER.media_type)


_PARTS: list[PartialBlob] = []


def opened(path: Path, advanced: list[int] | None = None, copied: bytearray | None = None) -> PartialBlob:
    told = advanced if advanced is not None else []
    copy = copied if copied is not None else bytearray()

    def put(position: int, data: bytes) -> None:
        copy[position : position + len(data)] = data

    _PARTS.append(
        PartialBlob(
            Folder.at(path.parent),
            path.name,
            BLOB,
            WHAT,
            layer=check,
            advanced=lambda count, **_: told.append(count),
            copy=put,
        )
    )
    return _PARTS[-1]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _PARTS:
        _PARTS.pop().close()


def fetch(registry: Source, store: BlobStore, retries: int = 4, blob: Descriptor = BLOB) -> None:
    patience = RetryPolicy(retries=retries, pause=lambda _: None)
    Resolver(registry, store, Tolerance(), patience).fetch(REFERENCE, blob, WHAT)


# ---- a part ----


def test_a_part_is_private_and_stays_when_it_is_cut(path: Path) -> None:
    part = opened(path)
    with pytest.raises(TransportError, match=f"50 of {BLOB.size} bytes received"):
        part.receive(FakeBody(LAYER.content[:50]))
    part.close()
    assert path.read_bytes() == LAYER.content[:50]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_empty_part_goes_away(path: Path) -> None:
    opened(path).close()
    assert not path.exists()


def test_a_later_run_hashes_what_is_there_and_goes_on(path: Path) -> None:
    path.write_bytes(LAYER.content[:50])
    told: list[int] = []
    part = opened(path, told)
    part.rehash()
    assert (part.size, part.furthest) == (50, 50)
    contents = part.receive(FakeBody(LAYER.content[50:], start=50))
    assert contents is not None
    assert str(contents.diff_id) == LAYER.diff_id
    assert sum(told) == BLOB.size
    assert part.furthest == BLOB.size


def test_a_body_from_the_first_byte_replaces_what_is_there(path: Path) -> None:
    path.write_bytes(b"x" * 50)
    told: list[int] = []
    part = opened(path, told)
    part.rehash()
    assert part.receive(FakeBody(LAYER.content)) is not None
    assert sum(told) == BLOB.size
    part.close()
    assert path.read_bytes() == LAYER.content


@pytest.mark.parametrize("start", [0, 50], ids=["from the first byte", "the rest"])
@pytest.mark.parametrize("before", [b"", LAYER.content[:50]], ids=["nothing here", "begun"])
def test_a_copy_has_what_was_here_and_what_came(path: Path, before: bytes, start: int) -> None:
    path.write_bytes(before)
    copied = bytearray()
    part = opened(path, copied=copied)
    part.rehash()
    assert copied == before
    start = min(start, len(before))
    part.receive(FakeBody(LAYER.content[start:], start=start))
    assert copied == LAYER.content


def test_a_copy_is_made_good_where_a_blob_is_begun_anew(path: Path) -> None:
    copied = bytearray()
    part = opened(path, copied=copied)
    with pytest.raises(VerificationError):
        part.receive(FakeBody(LAYER.content[:-1] + b"!"))
    part.receive(FakeBody(LAYER.content))
    assert copied == LAYER.content


def test_a_copy_is_of_the_blob_and_not_of_its_encoding(path: Path) -> None:
    copied = bytearray()
    part = opened(path, copied=copied)
    part.receive(FakeBody(gzip.compress(LAYER.content), codings=("gzip",)))
    assert copied[: BLOB.size] == LAYER.content


def test_what_was_continued_and_is_wrong_is_told_from_what_was_wrong_at_once(path: Path) -> None:
    path.write_bytes(b"x" * 50)
    part = opened(path)
    part.rehash()
    with pytest.raises(ResumeError, match="resumed from an earlier attempt"):
        part.receive(FakeBody(LAYER.content[50:], start=50))
    assert part.size == 0
    with pytest.raises(VerificationError) as caught:
        part.receive(FakeBody(LAYER.content[:-1] + b"!"))
    assert type(caught.value) is VerificationError
    assert caught.value.tries == 2
    part.close()
    assert not path.exists()


@pytest.mark.parametrize("sent", [0, 30, 49])
def test_a_download_from_the_first_byte_that_breaks_off_keeps_the_rest_of_the_part(path: Path, sent: int) -> None:
    path.write_bytes(LAYER.content[:50])
    told: list[int] = []
    part = opened(path, told)
    part.rehash()
    with pytest.raises(TransportError, match=f"{sent} of {BLOB.size} bytes received"):
        part.receive(FakeBody(LAYER.content[:sent]))
    assert (part.size, part.furthest, sum(told)) == (sent, 50, sent)
    part.rehash()
    assert (part.size, part.furthest, sum(told)) == (50, 50, 50)
    assert part.receive(FakeBody(LAYER.content[50:], start=50)) is not None
    part.close()
    assert path.read_bytes() == LAYER.content


def test_a_part_that_was_not_overtaken_stays_for_another_run(path: Path) -> None:
    path.write_bytes(LAYER.content[:50])
    part = opened(path)
    part.rehash()
    with pytest.raises(TransportError):
        part.receive(FakeBody(b""))
    part.close()
    assert path.read_bytes() == LAYER.content[:50]


@pytest.mark.parametrize("codings", [(), ("gzip",)], ids=["plain", "coded"])
def test_nothing_of_a_longer_part_stays_behind_the_blob(path: Path, tmp_path: Path, codings: tuple[str, ...]) -> None:
    content = gzip.compress(LAYER.content) if codings else LAYER.content
    path.write_bytes(content * 10)
    part = opened(path)
    part.receive(FakeBody(content, codings=codings))
    part.move_to(Folder.at(tmp_path), "blob")
    assert (tmp_path / "blob").read_bytes() == LAYER.content


def test_after_a_mismatch_everything_is_progress_again(path: Path) -> None:
    path.write_bytes(b"x" * 50)
    part = opened(path)
    part.rehash()
    with pytest.raises(ResumeError):
        part.receive(FakeBody(LAYER.content[50:], start=50))
    assert (part.size, part.furthest) == (0, 0)
    assert path.read_bytes() == b""


def test_a_part_that_is_too_long_is_begun_anew(path: Path) -> None:
    path.write_bytes(LAYER.content + b"more")
    part = opened(path)
    part.rehash()
    assert part.size == 0


@pytest.mark.parametrize("kind", ["directory", "link", "second name"])
def test_a_part_that_is_no_file_of_its_own_is_begun_anew(path: Path, tmp_path: Path, kind: str) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    if kind == "directory":
        (path / "more").mkdir(parents=True)
    elif kind == "link":
        path.symlink_to(precious)
    else:
        path.hardlink_to(precious)
    part = opened(path)
    part.rehash()
    assert part.size == 0
    part.receive(FakeBody(LAYER.content))
    assert path.read_bytes() == LAYER.content
    assert precious.read_bytes() == b"mine"


def test_a_size_that_is_too_large_is_a_lie_where_the_digest_is_right(path: Path) -> None:
    lying = Descriptor(BLOB.media_type, BLOB.digest, BLOB.size + 9)
    part = PartialBlob(Folder.at(path.parent), path.name, lying, WHAT)
    with pytest.raises(VerificationError) as caught:
        part.receive(FakeBody(LAYER.content))
    part.close()
    assert (caught.value.wanted, caught.value.got) == (f"{BLOB.size + 9} bytes", f"{BLOB.size} bytes")


# ---- until all of it is here ----


def test_each_attempt_asks_for_the_rest(store: BlobStore) -> None:
    registry = Script([40, TransportError("reset"), 30, 10**6])
    fetch(registry, store)
    assert registry.offsets == [0, 40, 40, 70]
    assert store.has(BLOB)


def test_a_server_without_ranges_sends_it_all_again(store: BlobStore) -> None:
    registry = Script([40, 10**6], has_ranges=False)
    fetch(registry, store)
    assert registry.offsets == [0, 40]
    assert store.has(BLOB)


def test_wrong_bytes_are_asked_for_once_more(store: BlobStore) -> None:
    registry = Script([b"x" * BLOB.size, 10**6])
    fetch(registry, store)
    assert registry.offsets == [0, 0]
    registry = Script([b"x" * BLOB.size] * 2 + [10**6])
    other = BlobStore(store.root / "other")
    with pytest.raises(VerificationError):
        fetch(registry, other)
    assert registry.offsets == [0, 0]
    assert not other.has(BLOB)


def test_a_part_of_something_else_costs_one_attempt_and_then_it_is_clean(store: BlobStore) -> None:
    registry = Script([b"x" * 40, 10**6, b"y" * BLOB.size, 10**6])
    fetch(registry, store)
    assert registry.offsets == [0, 40, 0, 0]
    assert store.has(BLOB)


def test_attempts_without_progress_come_to_an_end(store: BlobStore) -> None:
    registry = Script([unavailable()] * 9)
    with pytest.raises(UnavailableError):
        fetch(registry, store)
    assert len(registry.offsets) == 5


def test_a_large_blob_may_break_off_as_often_as_it_makes_progress(store: BlobStore) -> None:
    content = bytes(9 * PROGRESS)
    blob = Descriptor.of(content, "")
    registry = Script([PROGRESS] * 9, content=content)
    fetch(registry, store, blob=blob)
    assert registry.offsets == [number * PROGRESS for number in range(9)]


def unavailable() -> UnavailableError:
    return UnavailableError("not now", url="", status=503)


def missing() -> NotFoundError:
    return NotFoundError("gone", url="", status=404)


def passing() -> RegistryError:
    error = RegistryError("its URL has expired", url="", status=403)
    error.tries = 3
    return error


def reset() -> TransportError:
    return TransportError("reset")


def named(answer: Callable[[], Exception] | int) -> str:
    return f"{answer} bytes" if isinstance(answer, int) else answer.__name__


def put_part(store: BlobStore, content: bytes, blob: Descriptor = BLOB) -> Path:
    path = store.root / "parts" / "sha256" / blob.digest.encoded
    path.parent.mkdir(parents=True)
    store.root.chmod(0o700)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("retries", [0, 1, 4])
@pytest.mark.parametrize(
    ("refusal", "most"),
    [
        (missing, 1),
        (lambda: AuthenticationError("denied"), 1),
        (lambda: CertificateError("not trusted"), 1),
        (lambda: VerificationError("a wrong length"), 1),
        (passing, 3),
        (unavailable, 4),
        (reset, 4),
        (0, 4),
        (1, 4),
    ],
    ids=["404", "401", "certificate", "length", "403", "503", "reset", "no bytes", "a byte"],
)
def test_a_part_that_cannot_be_resumed_is_downloaded_from_its_first_byte(
    store: BlobStore, refusal: Callable[[], Exception] | int, most: int, retries: int
) -> None:
    put_part(store, LAYER.content[:40])
    registry = Script([10**6], refusal)
    fetch(registry, store, retries)
    refused = min(most, max(retries, 1))  # the last attempt begins with the first byte
    assert [offset > 0 for offset in registry.offsets] == [True] * refused + [False]
    assert store.read(BLOB.digest) == LAYER.content


@pytest.mark.parametrize("retries", [0, 1, 4])
@pytest.mark.parametrize("refusal", [missing, unavailable, reset, 0], ids=named)
def test_a_cut_download_that_cannot_be_resumed_begins_anew_in_the_same_run(
    store: BlobStore, refusal: Callable[[], Exception] | int, retries: int
) -> None:
    registry = Script([40, 10**6], refusal)
    if retries:
        fetch(registry, store, retries)
    else:
        with pytest.raises(TransportError, match="was interrupted"):
            fetch(registry, store, retries)
        fetch(registry, store, retries)
    assert registry.offsets[0] == registry.offsets[-1] == 0
    assert len(registry.offsets) <= max(retries + 1, 3)
    assert store.has(BLOB)


def test_a_request_for_the_whole_blob_gets_all_attempts(store: BlobStore) -> None:
    put_part(store, LAYER.content[:40])
    registry = Script([unavailable() for _ in range(4)] + [10**6], missing)
    fetch(registry, store)
    assert registry.offsets == [40, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(("sent", "rest"), [(30, 40), (60, 60)], ids=["before the part's end", "behind it"])
def test_after_a_refusal_a_download_has_the_attempts_of_one_with_an_empty_cache(
    store: BlobStore, sent: int, rest: int
) -> None:
    put_part(store, LAYER.content[:40])
    registry = Script([sent, 10**6], unavailable)
    fetch(registry, store)
    assert registry.offsets == [40] * 4 + [0] + [rest] * 3 + [0]
    assert store.read(BLOB.digest) == LAYER.content


def test_bytes_of_an_earlier_run_are_no_measure_for_the_progress_of_a_whole_download(store: BlobStore) -> None:
    content = bytes(5 * PROGRESS)
    blob = Descriptor.of(content, "")
    put_part(store, content[: 4 * PROGRESS], blob)
    registry = Script([1, 2, 3, PROGRESS + 3, 4, 5, 6, 10**8], content=content, has_ranges=False)
    fetch(registry, store, blob=blob)
    assert registry.offsets == [4 * PROGRESS] * 8


def test_a_slow_line_that_brings_bytes_has_all_attempts(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(retries.time, "monotonic", lambda: clock.now)

    class Slow(Script):
        def answer(self, descriptor: Descriptor, what: str, offset: int) -> FakeBody | Exception:
            clock.now += 1000
            return super().answer(descriptor, what, offset)

    fetch(registry := Slow([10] * 4 + [10**6]), store)
    assert registry.offsets == [0, 10, 20, 30, 40]
    silent = Slow([0] * 9)
    with pytest.raises(TransportError):
        fetch(silent, BlobStore(store.root / "other"))
    assert silent.offsets == [0]


def test_the_error_is_that_of_the_request_for_the_whole_blob(store: BlobStore) -> None:
    path = put_part(store, LAYER.content[:40])
    for refusal in (missing, unavailable):
        with pytest.raises(AuthenticationError, match="denied"):
            fetch(Script([AuthenticationError("denied")], refusal), store)
    with pytest.raises(UnavailableError):
        fetch(Script([unavailable() for _ in range(5)], missing), store)
    assert path.read_bytes() == LAYER.content[:40]


def test_a_download_that_was_not_overtaken_is_resumed_later(store: BlobStore) -> None:
    put_part(store, LAYER.content[:60])
    with pytest.raises(TransportError, match="30 of"):
        fetch(Script([30], missing), store, retries=0)
    registry = Script([10**6])
    fetch(registry, store)
    assert registry.offsets == [60]
    assert store.has(BLOB)


def test_ranges_that_bring_bytes_are_asked_for_again(store: BlobStore) -> None:
    registry = Script([10] * 5)
    with pytest.raises(TransportError):
        fetch(registry, store)
    assert registry.offsets == [0, 10, 20, 30, 40]  # nothing is asked for twice, for the whole blob brings no more
    fetch(registry_of_rest := Script([10, 10, 10, 10, 10**6]), store)
    assert registry_of_rest.offsets == [50, 60, 70, 80, 0]  # but nobody knows that in another run


def test_bytes_that_had_come_before_are_no_progress(store: BlobStore) -> None:
    content = bytes(9 * PROGRESS)
    blob = Descriptor.of(content, "")
    registry = Script([2 * PROGRESS] * 50, content=content, has_ranges=False)
    with pytest.raises(TransportError) as caught:
        fetch(registry, store, blob=blob)
    assert registry.offsets == [0] + [2 * PROGRESS] * 4
    assert caught.value.details[0].startswith("Tried 5 times")


def test_a_server_that_cuts_sometimes_early_and_sometimes_late_is_left_too(store: BlobStore) -> None:
    content = bytes(9 * PROGRESS)
    blob = Descriptor.of(content, "")
    registry = Script([2 * PROGRESS, 1] * 50, content=content, has_ranges=False)
    with pytest.raises(TransportError):
        fetch(registry, store, blob=blob)
    assert len(registry.offsets) == 5


@pytest.mark.parametrize("retries", [0, 1, 4])
def test_a_server_without_ranges_is_asked_no_more_often_than_others(store: BlobStore, retries: int) -> None:
    put_part(store, LAYER.content[:40])
    registry = Script([40] * 50, has_ranges=False)
    with pytest.raises(TransportError):
        fetch(registry, store, retries)
    assert registry.offsets == [40] * (retries + 1)


def test_a_server_that_sends_a_little_more_each_time_is_given_time(store: BlobStore) -> None:
    content = bytes(5 * PROGRESS)
    blob = Descriptor.of(content, "")
    registry = Script([number * PROGRESS for number in range(1, 6)], content=content, has_ranges=False)
    fetch(registry, store, 1, blob)
    assert len(registry.offsets) == 5


@pytest.mark.parametrize("refusal", [missing, unavailable, reset, 0, PROGRESS // 2], ids=named)
@pytest.mark.parametrize("sent", [0, 1, PROGRESS, 2 * PROGRESS + 1])
@pytest.mark.parametrize("before", [0, PROGRESS, 3 * PROGRESS], ids=["no part", "a part", "a longer part"])
@pytest.mark.parametrize("is_right", [True, False], ids=["right", "wrong"])
@pytest.mark.parametrize("has_ranges", [True, False], ids=["ranges", "no ranges"])
def test_no_server_keeps_a_run_busy_for_ever(
    store: BlobStore,
    refusal: Callable[[], Exception] | int,
    sent: int,
    before: int,
    *,
    is_right: bool,
    has_ranges: bool,
) -> None:
    content = bytes(4 * PROGRESS)
    blob = Descriptor("", Digest.of(content if is_right else b"?"), len(content))
    put_part(store, b"x" * before, blob)
    registry = Script([sent] * 1000, refusal, has_ranges=has_ranges, content=content)
    with suppress(ImgfetchError):
        fetch(registry, store, blob=blob)
    assert len(registry.offsets) <= 5 * (2 + 3 * 4)


def test_a_file_that_cannot_be_read_is_not_tried_again(store: BlobStore) -> None:
    registry = Script([StorageError("its CA file cannot be read"), 10**6])
    with pytest.raises(StorageError):
        fetch(registry, store)
    assert registry.offsets == [0]


def test_what_another_process_left_complete_is_not_asked_for(store: BlobStore) -> None:
    put_part(store, LAYER.content)
    registry = Script([])
    fetch(registry, store)
    assert registry.offsets == []
    assert store.read(BLOB.digest) == LAYER.content


@pytest.mark.parametrize("is_restarted", [False, True], ids=["closed", "restarted"])
def test_a_download_that_ends_early_gives_its_window_back_though_it_is_kept(
    tmp_path: Path, *, is_restarted: bool
) -> None:
    content = images.zstd(random.Random(0).randbytes(2 * 1024**2))
    whole = Descriptor.of(content, images.OCI_ZSTD)
    part = PartialBlob(Folder.at(tmp_path), "part", whole, WHAT, layer=lambda: DiffIdCheck(WHAT, images.OCI_ZSTD))
    with pytest.raises(TransportError, match="was interrupted"):
        part.receive(FakeBody(content[:1000]))
    assert WINDOWS.free < TOTAL
    if is_restarted:
        part.restart()
        assert WINDOWS.free == TOTAL
    part.close()
    assert WINDOWS.free == TOTAL
