"""Several mirrors bring one blob, each after it has shown that its bytes are right."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imgfetch.errors import ImgfetchError, TransportError, VerificationError
from imgfetch.pull.place import Mixture, Place
from imgfetch.pull.team import Team
from imgfetch.registry.connections import Connections
from imgfetch.registry.server import LIMITS, Server
from imgfetch.registry.stream import AloneError, Stream
from tests.fakes import FakeBody
from tests.stories import Log
from tests.unit.pull.test_team import CONTENT, ODD, SLOW, Change, Saved, each_oddity, falsify, no_pause, stalled
from tests.unit.pull.test_team import Place as FakePlace

SHARED = SLOW._replace(large=10**9, shared=1, enough=1e12, tail=0.1)
"""Limits with which other mirrors help, and a place alone has one connection."""
__all__ = ("no_pause",)


class Mirror:
    """A mirror that may help.

    Attributes:
        sent: what was requested from it, in order: its small blob, or the first byte of a piece.
    """

    def __init__(self, name: str, fake: FakePlace, error: ImgfetchError | None = None) -> None:
        self.fake = fake
        self.error = error
        self.sent: list[str | int] = []
        self.server = Server(name, LIMITS._replace(pieces=SHARED))
        self.place = Place(self.server, self._piece, self._small)

    def _small(self) -> None:
        self.sent.append("small")
        if self.error:
            raise self.error

    def _piece(self, offset: int, length: int) -> object:
        self.sent.append(offset)
        return self.fake.piece(offset, length)

    @property
    def pieces(self) -> int:
        """The number of pieces that it sent, beside the bytes that were compared."""
        return sum(isinstance(each, int) for each in self.sent) - 1


class Shared(Saved):
    """A download with which mirrors help."""

    def __init__(self, directory: Path, *changes: dict[int, Change], connections: int = 4) -> None:
        super().__init__(directory, FakePlace(), SHARED, connections)
        self.server.is_verified = True
        clock = self.place.clock
        self.mirrors = [Mirror(f"mirror {n}", FakePlace(change, clock=clock)) for n, change in enumerate(changes)]
        self.judged = True

    def team(self, stream: Stream) -> Team:
        others = [mirror.place for mirror in self.mirrors]
        own = Place(self.server, self.place.piece)
        return Team(stream, own, self.part, self.crew, self.mixture, others=others, clock=lambda: self.place.clock.now)

    def fetch(self) -> None:
        """Receive the blob, and judge the places."""
        stream = Stream(self.place.first(), self.server)
        with Mixture() as self.mixture, self.crew.job(), self.team(stream) as team:
            try:
                self.part.receive(team)
            except VerificationError:
                team.judge(is_right=False)
                raise
            team.judge(is_right=True)


Share = Callable[..., Shared]


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Share]:
    made: list[Shared] = []

    def share(*changes: dict[int, Change], connections: int = 4) -> Shared:
        made.append(Shared(tmp_path, *changes, connections=connections))
        return made[-1]

    yield share
    for each in made:
        each.part.close()


def until_quiet() -> None:
    """Wait until no mirror helps."""
    for thread in threading.enumerate():
        if thread.name == "imgfetch-helper":
            thread.join(20)


# ---- what a mirror shows first ----


def test_mirrors_that_are_idle_bring_pieces_after_a_small_blob_and_bytes_that_are_known(share: Share) -> None:
    saved = share({}, {})
    saved.fetch()
    until_quiet()
    assert saved.part.is_full
    for mirror in saved.mirrors:
        small, compared, *pieces = mirror.sent
        assert (small, mirror.sent.count("small")) == ("small", 1)
        assert isinstance(compared, int)
        assert pieces
        assert compared < min(pieces)
        assert not mirror.server.connections.is_lent


def test_a_mirror_shows_once_in_a_run_that_its_bytes_are_right(share: Share) -> None:
    saved = share({})
    saved.fetch()
    until_quiet()
    (mirror,) = saved.mirrors
    mirror.sent.clear()
    saved.part.discard()
    saved.fetch()
    assert "small" not in mirror.sent
    assert mirror.sent
    assert 0 not in mirror.sent


def test_a_mirror_whose_small_blob_is_wrong_brings_no_piece(share: Share) -> None:
    saved = share({})
    (mirror,) = saved.mirrors
    mirror.error = VerificationError("wrong")
    saved.fetch()
    assert (saved.part.is_full, mirror.sent) == (True, ["small"])
    assert mirror.server.connections.is_single


def test_no_mirror_helps_a_place_of_which_no_blob_was_right(share: Share) -> None:
    saved = share({})
    saved.server.is_verified = False
    saved.fetch()
    assert (saved.part.is_full, saved.mirrors[0].sent) == (True, [])


def test_a_mirror_that_sends_other_bytes_than_the_first_brings_no_piece(share: Share) -> None:
    saved = share({1: falsify})
    saved.fetch()
    (mirror,) = saved.mirrors
    assert (saved.part.is_full, len(mirror.sent)) == (True, 2)
    assert (mirror.server.is_doubtful, mirror.server.connections.is_single) == (True, True)
    assert not saved.server.is_doubtful


def test_a_mirror_that_contradicts_the_first_is_not_preferred_meanwhile(share: Share) -> None:
    saved = share({1: falsify})
    (mirror,) = saved.mirrors
    with saved.crew.job(), saved.team(Stream(saved.place.first(), saved.server)) as team:
        saved.part.receive(team)
    assert (mirror.server.is_doubtful, mirror.server.connections.is_single) == (True, False)


def test_a_mirror_is_not_blamed_for_bytes_that_differ_if_those_of_the_first_are_wrong(
    share: Share, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = share({})
    wrong = FakeBody(bytes(len(CONTENT)), step=2_000, between=saved.place.tick)
    monkeypatch.setattr(saved.place, "first", lambda: wrong)
    with pytest.raises(VerificationError):
        saved.fetch()
    (mirror,) = saved.mirrors
    assert len(mirror.sent) == 2
    assert (mirror.server.is_doubtful, mirror.server.connections.is_single) == (False, False)


# ---- who helps ----


def test_a_place_that_is_helped_keeps_to_one_connection(share: Share) -> None:
    saved = share({})
    saved.server.connections.is_proven = True
    saved.fetch()
    assert saved.place.most == 1


def test_a_mirror_helps_with_one_blob_until_that_is_verified(share: Share) -> None:
    saved = share({})
    (mirror,) = saved.mirrors
    lines, downloads = mirror.server.connections, mirror.server.download()
    mirror.fake.change[3] = lambda _: downloads.__enter__()
    with saved.mixture, saved.crew.job():
        with saved.team(Stream(saved.place.first(), saved.server)) as team:
            saved.part.receive(team)
            until_quiet()
            assert lines.is_lent
        assert not lines.lend()
    assert not lines.is_lent


def test_a_mirror_that_finishes_after_its_blob_may_help_with_another_one() -> None:
    lines, mixture = Connections("mirror"), Mixture()
    assert lines.lend()
    with mixture:
        mixture.senders.add(lines)
    mixture.take_back(lines)
    assert not lines.is_lent


def test_a_mirror_that_sent_nothing_of_a_blob_may_help_with_another_one_at_once(share: Share) -> None:
    saved = share({1: falsify})
    lines = saved.mirrors[0].server.connections
    with saved.mixture, saved.crew.job():
        with saved.team(Stream(saved.place.first(), saved.server)) as team:
            saved.part.receive(team)
            until_quiet()
            assert lines.is_lent
        assert not lines.is_lent


def test_a_mirror_that_has_a_download_brings_no_piece(share: Share) -> None:
    saved = share({}, {})
    with saved.mirrors[0].server.download():
        saved.fetch()
    assert [bool(mirror.sent) for mirror in saved.mirrors] == [False, True]


def test_a_mirror_that_gets_a_download_brings_no_more_pieces(share: Share) -> None:
    saved = share({})
    (mirror,) = saved.mirrors
    downloads = mirror.server.download()
    mirror.fake.change[3] = lambda _: downloads.__enter__()
    saved.fetch()
    assert (saved.part.is_full, mirror.pieces) == (True, 2)
    assert not mirror.server.connections.is_single


@pytest.mark.parametrize("fault", ["is_doubtful", "is_ill", "is_single", "is_lent"])
def test_a_mirror_that_is_not_well_or_helps_already_is_not_asked(
    share: Share, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = share({})
    server = saved.mirrors[0].server
    if fault == "is_ill":
        monkeypatch.setattr(Server, fault, property(lambda each: each is server))
    else:
        setattr(server if hasattr(server, fault) else server.connections, fault, True)
    saved.fetch()
    assert (saved.part.is_full, saved.mirrors[0].sent) == (True, [])


def test_with_one_connection_no_mirror_helps(share: Share) -> None:
    saved = share({}, connections=1)
    saved.fetch()
    assert (saved.part.is_full, saved.mirrors[0].sent) == (True, [])


@pytest.mark.parametrize("limit", [{"enough": 1.0}, {"shared": len(CONTENT) + 1}, {"tail": 1e9}])
def test_a_download_that_is_fast_or_nearly_over_keeps_to_its_mirror(share: Share, limit: dict[str, float]) -> None:
    saved = share({})
    saved.server.connections.limits = SHARED._replace(**limit)  # type: ignore[arg-type]
    saved.fetch()
    assert (saved.part.is_full, saved.mirrors[0].sent) == (True, [])


def test_a_place_that_other_mirrors_help_is_not_left_for_one_of_them(share: Share) -> None:
    saved = share({})
    stream = Stream(saved.place.first(), saved.server)
    asked: list[int] = []
    stream.is_left = lambda position: bool(asked.append(position))
    with saved.crew.job(), saved.team(stream) as team:
        saved.part.receive(team)
    assert asked
    assert max(asked) < len(CONTENT) / 2


# ---- oddities ----


@each_oddity
def test_the_other_places_bring_the_rest_of_a_piece_of_a_mirror_that_is_odd(change: Change, share: Share) -> None:
    saved = share({4: change}, {})
    odd, good = saved.mirrors
    saved.fetch()
    assert (saved.part.is_full, odd.pieces) == (True, 3)
    assert (odd.server.connections.is_single, good.server.connections.is_single) == (True, False)
    assert not saved.server.connections.is_single


@each_oddity
def test_a_mirror_that_is_odd_at_its_first_request_brings_no_piece(change: Change, share: Share) -> None:
    saved = share({1: change})
    saved.fetch()
    (mirror,) = saved.mirrors
    assert (saved.part.is_full, mirror.pieces, mirror.server.connections.is_single) == (True, 0, True)


def test_the_first_response_brings_the_rest_if_the_only_other_mirror_is_odd(share: Share) -> None:
    saved = share({2: ODD["refused"]})
    saved.fetch()
    assert (saved.part.is_full, saved.place.asked) == (True, [])


def test_mirrors_bring_the_rest_if_the_first_has_no_pieces(share: Share) -> None:
    saved = share({}, {})
    saved.place.change[0] = ODD["refused"]
    saved.fetch()
    assert (saved.part.is_full, saved.server.connections.is_single) == (True, True)
    assert not any(mirror.server.connections.is_single for mirror in saved.mirrors)


def test_the_rest_is_requested_again_if_no_place_has_pieces_any_more(share: Share) -> None:
    saved = share({})
    saved.place.change[0] = ODD["refused"]
    saved.mirrors[0].fake.far.append(ODD["refused"])
    with pytest.raises(AloneError):
        saved.fetch()
    assert 0 < saved.part.size < len(CONTENT)
    assert saved.mirrors[0].server.connections.is_single


def test_the_rest_is_requested_again_if_no_place_has_time_for_it(
    share: Share, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = share({})
    (mirror,) = saved.mirrors
    monkeypatch.setattr(saved.server.connections, "take", lambda _most: False)
    downloads = mirror.server.download()
    mirror.fake.far.append(lambda _: downloads.__enter__())
    with stalled(saved.place), pytest.raises(AloneError):
        saved.fetch()
    assert 0 < saved.part.size < len(CONTENT)
    assert "do not arrive" not in log.text


def test_a_mirror_that_hangs_costs_no_other_time_than_its_piece(share: Share) -> None:
    saved = share({}, {})
    for place in (saved.server, *(mirror.server for mirror in saved.mirrors)):
        place.connections.limits = SHARED._replace(silent=20.0, lost=1e9)
    with stalled(saved.place) as stall:
        saved.mirrors[0].fake.change[3] = stall
        saved.fetch()
    assert saved.part.is_full
    until_quiet()


def test_a_mirror_that_hangs_before_it_helps_costs_nothing(share: Share) -> None:
    saved = share({})
    is_over = threading.Event()

    def hang(_: FakeBody) -> None:
        is_over.wait(20)
        raise TransportError("ended")

    saved.mirrors[0].fake.change[1] = hang
    began = time.monotonic()
    saved.fetch()
    assert saved.part.is_full
    assert time.monotonic() - began < 15
    assert saved.mirrors[0].server.connections.is_lent  # nor is it asked by another download meanwhile
    is_over.set()
    until_quiet()
    assert not saved.mirrors[0].server.connections.is_lent


def test_wrong_bytes_of_a_mirror_are_found_by_the_digest(share: Share) -> None:
    saved = share({4: falsify})
    with pytest.raises(VerificationError):
        saved.fetch()
    assert saved.part.size == 0


def test_bytes_of_several_places_prove_nothing_about_the_first(share: Share) -> None:
    saved = share({})
    saved.server.is_doubtful = False
    saved.server.is_verified = True
    with saved.crew.job(), saved.team(Stream(saved.place.first(), saved.server)) as team:
        saved.part.receive(team)
        saved.server.is_verified = False
        team.judge(is_right=True)
    assert not saved.server.is_verified


def test_without_threads_no_mirror_helps(share: Share, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgfetch.threads.start", lambda *_: None)
    saved = share({})
    saved.fetch()
    assert (saved.part.is_full, saved.mirrors[0].sent) == (True, [])
