"""The last bytes of a gzip layer tell its decompressed size, which stays a guess."""

from __future__ import annotations

import gzip
import random
from dataclasses import replace

import pytest

from imgfetch.errors import TransportError
from imgfetch.oci import mediatypes
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference
from imgfetch.pull import sizes
from imgfetch.pull.layer import Layer
from imgfetch.pull.sizes import foreseen, size_of
from tests import images
from tests.fakes import FakeBody, FakeRegistry
from tests.unit.pull.test_downloads import descriptor

REFERENCE = Reference.parse("registry.example/team/app:1")
GIB = 1 << 30


def trailer(size: int) -> bytes:
    """Return the last bytes of a gzip file."""
    return b"CRC." + (size % (4 * GIB)).to_bytes(4, "little")


def layer(blob: images.Blob, media_type: str = mediatypes.OCI_LAYER_GZIP) -> Layer:
    return Layer(descriptor(blob), Digest.parse(blob.diff_id), "layer 1/1", REFERENCE, frozenset({media_type}))


@pytest.fixture(autouse=True)
def _any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "WORTH", 0)


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


ONE, TWO = images.hello("one"), images.hello("two")


@pytest.mark.parametrize(
    ("size", "compressed"),
    [(512, 100), (4 * GIB - 512, 2 * GIB), (4 * GIB, 2 * GIB), (5 * GIB, 5 * GIB), (10 * GIB, 8 * GIB), (GIB, GIB + 9)],
)
def test_a_size_is_read_modulo_four_gibibytes(size: int, compressed: int) -> None:
    assert size_of(trailer(size), compressed) == size


@pytest.mark.parametrize(
    ("last", "compressed"),
    [
        pytest.param(b"", 100, id="nothing"),
        pytest.param(trailer(512)[1:], 100, id="too short"),
        pytest.param(trailer(512) + b"\0", 100, id="too long"),
        pytest.param(trailer(513), 100, id="no size of a tar"),
        pytest.param(trailer(0), 100, id="nothing inside"),
        pytest.param(trailer(GIB), 1_000_000, id="more than deflate can make"),
    ],
)
def test_a_size_that_cannot_be_right_is_no_guess(last: bytes, compressed: int) -> None:
    assert size_of(last, compressed) is None


def test_what_deflate_reaches_is_possible() -> None:
    content = bytes(64 * 1024 * 1024)
    stored = gzip.compress(content, 9)
    assert size_of(stored[-8:], len(stored)) == len(content)
    noise = random.Random(1).randbytes(1024 * 1024)
    stored = gzip.compress(noise, 1)
    assert size_of(stored[-8:], len(stored)) == len(noise)


def test_each_layer_costs_one_request_for_its_last_bytes(registry: FakeRegistry) -> None:
    registry.add_blobs(ONE, TWO)
    found = foreseen([layer(ONE), layer(TWO)], registry)
    assert found is not None
    assert {str(digest): info.size for digest, info in found.items()} == {
        blob.digest: len(gzip.decompress(blob.content)) for blob in (ONE, TWO)
    }
    assert sorted(registry.offsets) == sorted(len(blob.content) - 8 for blob in (ONE, TWO))


@pytest.mark.parametrize("media_type", [mediatypes.OCI_LAYER, mediatypes.OCI_LAYER_ZSTD, mediatypes.DOCKER_LAYER, "x"])
def test_there_is_no_guess_and_no_request_unless_all_layers_are_gzip(registry: FakeRegistry, media_type: str) -> None:
    registry.add_blobs(ONE, TWO)
    assert foreseen([layer(ONE), layer(TWO, media_type)], registry) is None
    assert registry.offsets == []


def test_a_few_bytes_are_decompressed_again(registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.add_blobs(ONE)
    monkeypatch.setattr(sizes, "WORTH", len(ONE.content) + 1)
    assert foreseen([layer(ONE)], registry) is None
    assert registry.offsets == []


def test_many_layers_are_decompressed_again(registry: FakeRegistry) -> None:
    assert foreseen([layer(ONE)] * 65, registry) is None
    assert registry.offsets == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(TransportError("gone"), id="an error"),
        pytest.param(FakeBody(ONE.content[-7:], start=len(ONE.content) - 8), id="too few"),
        pytest.param(FakeBody(bytes(8), start=len(ONE.content) - 8), id="nonsense"),
    ],
)
def test_an_odd_answer_is_no_guess_and_no_failure(registry: FakeRegistry, answer: FakeBody | Exception) -> None:
    registry.add_blobs(ONE, TWO)
    registry.refusal = answer
    assert foreseen([layer(ONE)], registry) is None


def test_a_layer_without_room_for_a_trailer_is_not_requested(registry: FakeRegistry) -> None:
    small = layer(ONE)
    assert foreseen([small._replace(descriptor=replace(small.descriptor, size=8))], registry) is None
    assert registry.offsets == []
