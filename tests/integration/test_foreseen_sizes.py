"""An archive of decompressed layers is written while they arrive, if the sizes that they state are right."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgfetch.archive.tarlayout import TarLayout, UncompressedLayer
from imgfetch.pull import sizes
from tests.images import Blob, hello, image, layer
from tests.integration.conftest import Command
from tests.loopback import Answer, Loopback, Request

PLAIN = ("--layers", "plain", "--platform", "linux/amd64")


class Ranges(Loopback):
    """A registry that honours ranges."""

    def answer(self, request: Request) -> Answer:
        answer = super().answer(request)
        wanted = request.headers.get("Range", "").removeprefix("bytes=").partition("-")
        if not wanted[0] or answer.status != 200:
            return answer
        first, last = int(wanted[0]), int(wanted[2] or len(answer.body) - 1)
        headers = {**answer.headers, "Content-Range": f"bytes {first}-{last}/{len(answer.body)}"}
        return Answer(answer.body[first : last + 1], 206, headers)

    @property
    def ranges(self) -> list[str]:
        return [request.headers["Range"] for request in self.requests if "Range" in request.headers]


@pytest.fixture
def registry() -> Iterator[Ranges]:
    with Ranges() as registry:
        yield registry


@pytest.fixture
def decompressed_again(monkeypatch: pytest.MonkeyPatch) -> list[UncompressedLayer]:
    """Return the layers that are decompressed when they are here."""
    found: list[UncompressedLayer] = []
    place = TarLayout.place

    def spy(self: TarLayout, content: object, *arguments: object, **options: object) -> None:
        if isinstance(content, UncompressedLayer):
            found.append(content)
        place(self, content, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(TarLayout, "place", spy)
    return found


def save(command: Command, reference: str, path: Path, *options: str) -> bytes:
    done = command("save", reference, *PLAIN, *options, "-o", path)
    assert done.status == 0, done.err
    assert command("verify", path).status == 0
    return path.read_bytes()


def several_members(blob: Blob) -> Blob:
    """Return a layer in two gzip members, of which the last states a size of its own."""
    tar = gzip.decompress(blob.content)
    return layer(gzip.compress(tar[:1024]) + gzip.compress(tar[1024:]), blob.media_type, raw=tar)


LAYERS = tuple(hello(f"layer {number}") for number in range(3))


@pytest.mark.parametrize("layers", [LAYERS, (LAYERS[0], LAYERS[1], LAYERS[0])], ids=["different", "one twice"])
def test_layers_are_decompressed_once(
    registry: Ranges,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    decompressed_again: list[UncompressedLayer],
    layers: tuple[Blob, ...],
) -> None:
    reference = registry.add("team/app", "1", image(*layers))
    usual = save(command, reference, tmp_path / "usual.tar", "--cache-dir", str(tmp_path / "one"))
    assert len(decompressed_again) == len({blob.digest for blob in layers})
    assert registry.ranges == []
    decompressed_again.clear()
    monkeypatch.setattr(sizes, "WORTH", 0)
    assert save(command, reference, tmp_path / "new.tar", "--cache-dir", str(tmp_path / "two")) == usual
    assert decompressed_again == []
    assert sorted(registry.ranges) == sorted(
        {blob.digest: f"bytes={len(blob.content) - 8}-{len(blob.content) - 1}" for blob in layers}.values()
    )


def test_a_wrong_size_has_the_layers_decompressed_again(
    registry: Ranges,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    decompressed_again: list[UncompressedLayer],
) -> None:
    reference = registry.add("team/app", "1", image(LAYERS[0], several_members(LAYERS[1]), LAYERS[2]))
    usual = save(command, reference, tmp_path / "usual.tar", "--cache-dir", str(tmp_path / "one"))
    decompressed_again.clear()
    monkeypatch.setattr(sizes, "WORTH", 0)
    assert save(command, reference, tmp_path / "new.tar", "--cache-dir", str(tmp_path / "two")) == usual
    assert len(decompressed_again) == 3


def test_two_blobs_of_one_layer_may_state_different_sizes(
    registry: Ranges, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = registry.add("team/app", "1", image(LAYERS[0], several_members(LAYERS[0])))
    usual = save(command, reference, tmp_path / "usual.tar", "--cache-dir", str(tmp_path / "one"))
    monkeypatch.setattr(sizes, "WORTH", 0)
    assert save(command, reference, tmp_path / "new.tar", "--cache-dir", str(tmp_path / "two")) == usual
    assert len(registry.ranges) == 2


def test_a_layer_that_was_wrong_is_written_from_its_first_byte_again(
    registry: Ranges, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = registry.add("team/app", "1", image(*LAYERS))
    usual = save(command, reference, tmp_path / "usual.tar", "--cache-dir", str(tmp_path / "one"))
    monkeypatch.setattr(sizes, "WORTH", 0)
    path = next(path for path in registry.answers if LAYERS[1].digest in path)
    whole = registry.answers[path]
    assert isinstance(whole, Answer)
    answers = [Answer(hello("layer 9").content[: len(whole.body)].ljust(len(whole.body), b"\0"))]
    registry.answers[path] = lambda request: answers.pop() if answers and "Range" not in request.headers else whole
    assert (
        save(command, reference, tmp_path / "new.tar", "--retries", "1", "--cache-dir", str(tmp_path / "two")) == usual
    )
    assert answers == []


def test_one_request_at_a_time_asks_for_no_size(
    registry: Ranges, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "WORTH", 0)
    reference = registry.add("team/app", "1", image(*LAYERS))
    save(command, reference, tmp_path / "y.tar", "-j1")
    assert registry.ranges == []


def test_a_size_that_the_disk_has_no_room_for_is_ignored(
    registry: Ranges, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "WORTH", 0)
    monkeypatch.setattr(sizes, "size_of", lambda *_: 1 << 60)
    reference = registry.add("team/app", "1", image(*LAYERS))
    save(command, reference, tmp_path / "y.tar")
    assert len(registry.ranges) == 3


def test_layers_of_the_cache_are_decompressed_into_their_places(
    registry: Ranges, command: Command, tmp_path: Path, decompressed_again: list[UncompressedLayer]
) -> None:
    reference = registry.add("team/app", "1", image(*LAYERS))
    first = save(command, reference, tmp_path / "first.tar")
    decompressed_again.clear()
    assert save(command, reference, tmp_path / "second.tar") == first
    assert len(decompressed_again) == 3
