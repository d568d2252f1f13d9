"""Pieces of a blob cost no attempt, whatever becomes of them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from imgfetch.errors import TransportError, VerificationError
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Source
from imgfetch.pull import fetchers
from imgfetch.pull.crew import Crew
from imgfetch.pull.fetch import receive
from imgfetch.registry.connections import PieceLimits
from imgfetch.registry.mirror_rules import Mirrors
from imgfetch.registry.mirrored import Mirrored
from imgfetch.registry.server import LIMITS
from imgfetch.store.folder import Folder
from imgfetch.store.partial import PartialBlob
from tests.fakes import FakeBody, FakeRegistry
from tests.stories import Log

CONTENT = random.Random("fetch").randbytes(300_000)
BLOB = Descriptor("", Digest.of(CONTENT), len(CONTENT))
REFERENCE = Reference.parse("registry.example/team/app:1")
STEP = 2_000
LIMITED = LIMITS._replace(
    pieces=PieceLimits(large=100_000, alone=0.01, worth=0.01, seconds=0.2, least=4_000, most=10_000, judged=1e9)
)
Change = Callable[[FakeBody], FakeBody]


@dataclass
class Piecewise(FakeRegistry):
    """A registry that sends one blob slowly, whole or in pieces.

    Attributes:
        far: change the answers to the next requests for pieces after the first response was closed.
        pieces: the first byte of each piece that was requested.
    """

    has_pieces: bool = True
    far: list[Change] = field(default_factory=list)
    pieces: list[int] = field(default_factory=list)

    @contextmanager
    def blob(
        self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0, length: int | None = None
    ) -> Iterator[FakeBody]:
        if length is None:
            with super().blob(reference, descriptor, what, offset=offset) as body:
                yield replace(body, step=STEP, between=lambda: time.sleep(0.01))
            return
        self.pieces.append(offset)
        body = FakeBody(CONTENT[offset : offset + length], start=offset, step=STEP)
        yield self.far.pop(0)(body) if self.far and not self.open_bodies else body


def falsified(body: FakeBody) -> FakeBody:
    return replace(body, content=bytes(len(body.content)))


def refused(_: FakeBody) -> FakeBody:
    raise TransportError("refused")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetchers, "PAUSE", 0.0)
    monkeypatch.setattr(fetchers, "_LOOK", 0.005)


@pytest.fixture
def source() -> Piecewise:
    return Piecewise(contents={str(BLOB.digest): CONTENT})


@pytest.fixture
def part(tmp_path: Path) -> Iterator[PartialBlob]:
    part = PartialBlob(Folder.at(tmp_path), "part", BLOB, "layer 1/1")
    yield part
    part.close()


def fetch(source: Source, part: PartialBlob, connections: int = 4) -> None:
    """Receive the blob without a second attempt."""
    crew = Crew(connections)
    with crew.job():
        mirrored = Mirrored(Mirrors(), lambda _: source, limits=LIMITED)
        receive(mirrored, REFERENCE, part, "layer 1/1", retries=RetryPolicy(retries=0), crew=crew)


def test_a_large_blob_comes_in_pieces_from_a_source_that_has_them(source: Piecewise, part: PartialBlob) -> None:
    fetch(source, part)
    assert part.is_full
    assert (source.offsets, len(source.pieces) > 5) == ([0], True)


def test_a_source_that_has_no_pieces_is_asked_for_none(source: Piecewise, part: PartialBlob) -> None:
    source.has_pieces = False
    fetch(source, part)
    assert (part.is_full, source.pieces) == (True, [])


def test_a_small_blob_comes_in_one_piece(source: Piecewise, part: PartialBlob, monkeypatch: pytest.MonkeyPatch) -> None:
    large = LIMITED.pieces._replace(large=len(CONTENT) + 1)
    monkeypatch.setitem(globals(), "LIMITED", LIMITED._replace(pieces=large))
    fetch(source, part)
    assert (part.is_full, source.pieces) == (True, [])


def test_a_coded_blob_comes_in_one_piece(source: Piecewise, part: PartialBlob) -> None:
    source.contents[str(BLOB.digest)] = FakeBody(CONTENT, codings=("gzip",))  # a label that is wrong
    fetch(source, part)
    assert (part.is_full, source.pieces) == (True, [])


def test_a_piece_that_fails_costs_no_attempt_and_no_byte(source: Piecewise, part: PartialBlob) -> None:
    source.far.append(refused)
    fetch(source, part)
    assert part.is_full
    first, rest = source.offsets
    assert (first, rest > 0) == (0, True)


def test_wrong_bytes_of_a_piece_cost_one_more_download_over_one_connection(
    source: Piecewise, part: PartialBlob, log: Log
) -> None:
    source.far.append(falsified)
    fetch(source, part)
    assert part.is_full
    assert source.offsets == [0, 0]
    (warning,) = log.warnings
    assert warning.endswith("; downloading it again over one connection")
    assert "registry.example: one connection for each blob from now on" in log.text


def test_wrong_bytes_of_a_piece_cost_no_attempt_if_the_pieces_ended_before_they_were_found(
    source: Piecewise, part: PartialBlob, log: Log
) -> None:
    source.far += [falsified, refused]
    fetch(source, part)
    assert part.is_full
    first, rest, again = source.offsets
    assert (first, rest > 0, again) == (0, True, 0)
    (warning,) = log.warnings
    assert warning.endswith("; downloading it again over one connection")


def test_wrong_bytes_of_one_response_are_its_place_s_failure(
    source: Piecewise, part: PartialBlob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "LIMITED", LIMITED._replace(pieces=LIMITED.pieces._replace(worth=1000.0)))
    source.contents[str(BLOB.digest)] = bytes(len(CONTENT))
    with pytest.raises(VerificationError):
        fetch(source, part)
    assert (source.offsets, source.pieces) == ([0], [])


def test_a_place_whose_bytes_are_always_wrong_is_blamed_for_them(source: Piecewise, part: PartialBlob) -> None:
    source.contents[str(BLOB.digest)] = bytes(len(CONTENT))
    with pytest.raises(VerificationError):
        fetch(source, part)
    assert source.offsets == [0, 0]
