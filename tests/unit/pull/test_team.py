"""A large blob comes over several connections where that is faster, and over one wherever anything is odd."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from imgfetch.errors import NoSpaceError, RegistryError, TransportError, VerificationError
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.pull import fetchers
from imgfetch.pull.arrivals import Arrivals
from imgfetch.pull.crew import Crew
from imgfetch.pull.place import Mixture
from imgfetch.pull.place import Place as Sender
from imgfetch.pull.team import Team
from imgfetch.registry.connections import PieceLimits
from imgfetch.registry.server import LIMITS, Server
from imgfetch.registry.stream import AloneError, LeftError, Stream
from imgfetch.store.folder import Folder
from imgfetch.store.partial import PartialBlob
from tests.fakes import Clock, FakeBody, PacedBody
from tests.stories import Log

CONTENT = random.Random("pieces").randbytes(400_000)
FAR = 200_000
STEP = 2_000  # bytes that each connection brings at a time
SLOW = PieceLimits(
    large=1, alone=0.1, worth=0.5, seconds=0.5, least=4_000, most=20_000, judged=1e9, silent=1e9, lost=20.0
)
"""Limits for a first response that brings 20 kB a second by the fake clock."""
Change = Callable[[FakeBody], object]
Save = Callable[..., "Saved"]


@dataclass
class Place:
    """A place with a blob, whose clock passes when the first response brings something.

    Attributes:
        change: changes or refuses the answer to a request for a piece, by its number from 1.
        far: changes the answers to the next requests for pieces so far on that the first response has ended.
        asked: the first byte and length of each piece that was requested.
        open, most: the number of pieces that are open, and the most there were at a time.
    """

    change: dict[int, Change] = field(default_factory=dict)
    far: list[Change] = field(default_factory=list)
    asked: list[tuple[int, int]] = field(default_factory=list)
    open: int = 0
    most: int = 0
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.patience = 1.0

    @contextmanager
    def piece(self, offset: int, length: int) -> Iterator[FakeBody]:
        with self.lock:
            self.asked.append((offset, length))
            change = self.change.get(len(self.asked)) or self.change.get(0)
            if self.far and offset >= FAR:
                change = self.far.pop(0)
            self.open += 1
            self.most = max(self.most, self.open)
        body = FakeBody(CONTENT[offset : offset + length], start=offset, step=STEP, between=lambda: time.sleep(0.001))
        try:
            if change:
                change(body)
            yield body
        finally:
            with self.lock:
                self.open -= 1

    def tick(self) -> None:
        self.clock.now += 0.1
        time.sleep(0.002)  # threads have time too
        while self._is_first_awaited() and self.patience > 0:  # also on a busy machine
            self.patience -= 0.002
            time.sleep(0.002)

    def _is_first_awaited(self) -> bool:
        """Return whether the first piece has a thread, and has neither arrived nor failed."""
        if self.asked:
            return self.open > 0 and len(self.asked) == 1
        return any(thread.name == "imgfetch-piece" for thread in threading.enumerate())

    def first(self, start: int = 0) -> FakeBody:
        return FakeBody(CONTENT[start:], start=start, step=STEP, between=self.tick)


class Saved:
    """A download from a place into a file."""

    def __init__(self, directory: Path, place: Place, limits: PieceLimits = SLOW, connections: int = 4) -> None:
        self.place = place
        self.limits = limits
        self.server = Server("place", LIMITS._replace(pieces=limits))
        self.crew = Crew(connections)
        self.told: list[str] = []
        descriptor = Descriptor("", Digest.of(CONTENT), len(CONTENT))
        self.arrivals = Arrivals(self.count)
        self.counted = self.ahead = 0
        self.part = PartialBlob(Folder.at(directory), "part", descriptor, "the blob", advanced=self.arrivals)
        self.mixture = Mixture()

    def count(self, count: int, *, is_new: bool = True) -> None:
        """Sum up the bytes that are reported, and note how many there were ahead of the partial download."""
        del is_new
        self.counted += count
        self.ahead = max(self.ahead, self.counted - self.part.size)

    def receive(self, start: int = 0, **options: Callable[[int], bool]) -> None:
        """Receive what is missing, over one or several connections."""
        stream = Stream(self.place.first(start), self.server)
        for name, value in options.items():
            setattr(stream, name, value)
        self.mixture = Mixture(self.arrivals)
        with self.crew.job(), self.team(stream) as team:
            self.part.receive(team)

    @property
    def is_mixed(self) -> bool:
        return self.mixture.is_mixed

    def team(self, stream: Stream) -> Team:
        own = Sender(self.server, self.place.piece)
        return Team(stream, own, self.part, self.crew, self.mixture, clock=lambda: self.place.clock.now)


@pytest.fixture
def save(tmp_path: Path) -> Iterator[Save]:
    """Return `Saved` for a directory, whose file is closed at the end."""
    made: list[Saved] = []

    def save(place: Place, limits: PieceLimits = SLOW, connections: int = 4) -> Saved:
        made.append(Saved(tmp_path, place, limits, connections))
        return made[-1]

    yield save
    join_pieces()
    for each in made:
        each.part.close()
        assert each.counted == each.part.size


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetchers, "PAUSE", 0.0)
    monkeypatch.setattr(fetchers, "_LOOK", 0.005)


def refuse(error: Exception) -> Change:
    def change(_: FakeBody) -> None:
        raise error

    return change


def shorten(body: FakeBody) -> None:
    body.content = body.content[:-1]


def lengthen(body: FakeBody) -> None:
    body.content += b"x"


def break_off(body: FakeBody) -> None:
    body.content, body.error = body.content[: STEP + 1], TransportError("interrupted")


def falsify(body: FakeBody) -> None:
    body.content = bytes(len(body.content))


def join_pieces() -> None:
    """Wait for the threads of pieces, which end by themselves."""
    for thread in threading.enumerate():
        if thread.name == "imgfetch-piece":
            thread.join(30)
            assert not thread.is_alive()


# ---- several connections ----


def test_a_large_blob_from_a_slow_connection_comes_in_pieces(save: Save, tmp_path: Path) -> None:
    place = Place()
    saved = save(place)
    saved.receive()
    assert saved.part.is_full
    assert saved.is_mixed
    assert len(place.asked) > 10
    join_pieces()
    assert [path.name for path in tmp_path.iterdir()] == ["part"]


def test_bytes_are_reported_when_they_arrive_and_not_when_their_turn_comes(save: Save) -> None:
    saved = save(Place())
    saved.receive()
    assert saved.ahead > 2 * STEP  # a chunk is reported before it is counted as received


def test_there_are_never_more_connections_than_allowed(save: Save) -> None:
    place = Place()
    save(place, connections=3).receive()
    assert place.most == 3  # after the first response there is one more


def test_connections_of_other_jobs_are_left_to_them(save: Save) -> None:
    place = Place()
    saved = save(place, connections=4)
    with saved.crew.job(), saved.crew.job():
        saved.receive()
    assert place.most == 2


def test_one_connection_is_the_rule_if_the_user_says_so(save: Save) -> None:
    place = Place()
    saved = save(place, connections=1)
    saved.receive()
    assert (saved.part.is_full, place.asked) == (True, [])


def test_the_first_piece_is_small_and_alone(save: Save) -> None:
    is_first = threading.Event()
    place = Place()

    def wait(_: FakeBody) -> None:
        time.sleep(0.01)
        assert len(place.asked) == 1
        is_first.set()

    place.change[1] = wait
    save(place, SLOW._replace(seconds=5.0)).receive()
    assert is_first.is_set()
    assert place.asked[0][1] == SLOW.least
    assert len(place.asked) > 5


def test_a_place_that_is_proven_is_not_tried_with_one_piece_again(save: Save) -> None:
    place = Place()
    saved = save(place)
    saved.server.connections.is_proven = True
    saved.receive()
    assert place.asked[0][1] > SLOW.least


def test_a_fast_connection_stays_alone(save: Save) -> None:
    place = Place()
    saved = save(place, SLOW._replace(worth=1000.0))
    saved.receive()
    assert (saved.part.is_full, place.asked) == (True, [])


def test_bytes_that_arrived_early_wait_on_the_disk_within_limits(save: Save) -> None:
    place = Place()
    saved = save(place, SLOW._replace(most=8_000), connections=2)
    far = []

    def note(position: int) -> bool:
        time.sleep(0.01)  # the pieces are faster
        far.append(max(offset + length for offset, length in place.asked) - position if place.asked else 0)
        return False

    saved.receive(is_left=note)
    assert max(far) <= 2 * 2 * 8_000


def test_a_download_in_pieces_is_resumed_by_its_size(save: Save, tmp_path: Path) -> None:
    def interrupt(position: int) -> bool:
        if position > 150_000:
            raise TransportError("interrupted")
        return False

    saved = save(Place())
    with pytest.raises(TransportError, match="interrupted"):
        saved.receive(is_left=interrupt)
    assert saved.is_mixed
    assert 150_000 < saved.part.size < len(CONTENT)
    assert (tmp_path / "part").read_bytes() == CONTENT[: saved.part.size]
    saved.receive(saved.part.size)
    assert saved.part.is_full


# ---- oddities ----

ODD = {
    "refused": refuse(TransportError("refused")),
    "an error": refuse(RegistryError("503", url="", status=503)),
    "an error of ours": refuse(ValueError("no such argument")),
    "short": shorten,
    "long": lengthen,
    "interrupted": break_off,
}
each_oddity = pytest.mark.parametrize("change", ODD.values(), ids=ODD)


@each_oddity
def test_the_first_response_brings_all_if_the_first_piece_is_odd(change: Change, save: Save) -> None:
    place = Place({1: change})
    saved = save(place)
    saved.receive()
    assert saved.part.is_full
    assert (saved.is_mixed, len(place.asked), saved.server.connections.is_single) == (False, 1, True)
    saved.part.discard()
    saved.receive()
    assert (saved.part.is_full, len(place.asked)) == (True, 1)


@each_oddity
def test_a_later_piece_that_is_odd_has_the_rest_requested_over_one_connection(
    change: Change, save: Save, tmp_path: Path
) -> None:
    place = Place(far=[change])
    saved = save(place)
    with pytest.raises(AloneError):
        saved.receive()
    assert saved.server.connections.is_single
    assert 0 < saved.part.size < len(CONTENT)
    assert (tmp_path / "part").read_bytes() == CONTENT[: saved.part.size]
    join_pieces()
    count = len(place.asked)
    saved.receive(saved.part.size)
    assert (saved.part.is_full, len(place.asked)) == (True, count)


def test_wrong_bytes_in_a_piece_are_found_by_the_digest(save: Save) -> None:
    place = Place(far=[falsify])
    saved = save(place)
    with pytest.raises(VerificationError):
        saved.receive()
    assert (saved.is_mixed, saved.part.size) == (True, 0)


@contextmanager
def stalled(place: Place) -> Iterator[Change]:
    """Yield a change that lets a piece wait until the end of the block, in which time passes."""
    is_over = threading.Event()

    def stall(_: FakeBody) -> None:
        is_over.wait(20)
        raise TransportError("ended")

    def pass_time() -> None:
        while not is_over.is_set():
            place.tick()

    thread = threading.Thread(target=pass_time)
    thread.start()
    try:
        yield stall
    finally:
        is_over.set()
        thread.join(20)


def test_a_first_piece_that_does_not_arrive_costs_no_time(save: Save) -> None:
    place = Place()
    saved = save(place, SLOW._replace(lost=1e9))
    with stalled(place) as stall:
        place.change[0] = stall
        saved.receive()
    assert (saved.part.is_full, saved.is_mixed, saved.server.connections.is_single) == (True, False, True)


def test_pieces_that_do_not_arrive_end_the_pieces(save: Save, log: Log) -> None:
    place = Place({1: lambda _: None})
    saved = save(place, SLOW._replace(lost=50.0))
    with stalled(place) as stall:
        place.change[0] = stall
        with pytest.raises(AloneError):
            saved.receive()
    assert saved.server.connections.is_single

    assert log.text.endswith("one connection for each blob from now on: pieces of blobs do not arrive")


def test_a_piece_that_does_not_arrive_is_requested_again(save: Save) -> None:
    place = Place()
    saved = save(place, SLOW._replace(silent=20.0, lost=1e9))
    with stalled(place) as stall:
        place.far.append(stall)
        saved.receive()
    assert (saved.part.is_full, saved.server.connections.is_single) == (True, False)
    starts = [offset for offset, _ in place.asked]
    assert len(starts) == len(set(starts)) + 1


def test_pieces_that_do_not_arrive_twice_end_the_pieces(save: Save) -> None:
    place = Place()
    saved = save(place, SLOW._replace(silent=20.0, lost=1e9))
    with stalled(place) as stall:
        place.far += [stall, stall]
        with pytest.raises(AloneError):
            saved.receive()
    assert saved.server.connections.is_single


def test_several_connections_that_are_not_faster_are_given_up_without_losing_a_byte(save: Save) -> None:
    place = Place()
    saved = save(place, SLOW._replace(judged=0.2, gain=1e9))
    with stalled(place), pytest.raises(AloneError):
        saved.receive()
    assert saved.server.connections.is_single
    assert saved.part.size == max(offset + length for offset, length in place.asked)
    saved.receive(saved.part.size)
    assert saved.part.is_full


def test_several_connections_that_are_faster_are_kept(save: Save) -> None:
    place = Place()
    saved = save(place, SLOW._replace(judged=0.2, gain=0.01))
    with stalled(place):
        saved.receive()
    assert (saved.part.is_full, saved.server.connections.is_faster) == (True, True)


def test_one_blob_at_a_time_shows_whether_several_connections_are_faster(save: Save) -> None:
    place = Place()
    saved = save(place)
    assert saved.server.connections.begin(3)
    saved.receive()
    assert (saved.part.is_full, place.asked) == (True, [])


# ---- ends ----


def test_a_full_disk_costs_the_pieces_and_not_the_save(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise NoSpaceError("full")

    monkeypatch.setattr("imgfetch.store.partial.require_free_space", full)
    place = Place()
    saved = save(place)
    saved.receive()
    assert (saved.part.is_full, place.asked, saved.crew.free) == (True, [], 0)


def test_a_disk_that_fills_up_costs_the_pieces_and_not_the_save(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise NoSpaceError("full")

    monkeypatch.setattr("imgfetch.store.window.Window.write", full)
    place = Place()
    saved = save(place)
    saved.receive()
    assert (saved.part.is_full, len(place.asked), saved.crew.connections) == (True, 1, 0)
    assert not saved.server.connections.is_single  # it is not the place's fault


def test_without_threads_there_is_one_connection(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgfetch.threads.start", lambda *_: None)
    place = Place()
    saved = save(place)
    saved.receive()
    assert (saved.part.is_full, place.asked) == (True, [])


def test_the_end_of_the_receiver_ends_all_threads_and_what_they_write(save: Save) -> None:
    place = Place()
    saved = save(place)

    def stop(position: int) -> bool:
        if position > 200_000:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        saved.receive(is_left=stop)
    join_pieces()
    assert place.open == 0


def test_a_slow_place_is_left_for_a_faster_one_also_while_it_sends_pieces(save: Save) -> None:
    saved = save(Place())
    with pytest.raises(LeftError, match="faster"):
        saved.receive(is_left=lambda position: position > 200_000)
    assert saved.is_mixed
    assert 200_000 < saved.part.size < len(CONTENT)


def test_a_thread_that_outlives_the_end_writes_nothing(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetchers, "_GRACE", 0.0)
    is_over, place = threading.Event(), Place()
    written: list[int] = []
    monkeypatch.setattr("imgfetch.store.window.Window.write", lambda _, position, _data: written.append(position))

    def late(body: FakeBody) -> None:
        body.between = lambda: is_over.wait(20)

    place.change[1] = late
    saved = save(place)
    with ExitStack() as stack:
        team = stack.enter_context(saved.team(Stream(place.first(), saved.server)))
        chunks = team.chunks(len(CONTENT))
        while not place.asked:
            next(chunks)
    count = len(written)
    is_over.set()
    join_pieces()
    assert len(written) == count
    assert not saved.server.connections.is_single


def test_a_rate_limit_is_no_reason_for_several_connections(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place()
    limited = PacedBody(CONTENT, step=STEP, clock=place.clock, waits=0.1, reads=0.001)

    def read() -> None:
        limited.read()
        time.sleep(0.002)  # threads would have time too

    limited.between = read
    monkeypatch.setattr(place, "first", lambda _start: limited)
    save(place).receive()
    assert place.asked == []
