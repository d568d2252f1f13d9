"""Mirrors race each other, and the registry itself joins late."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import pytest

from imgfetch import threads
from imgfetch.errors import ImgfetchError, TransportError, VerificationError
from imgfetch.http.retries import Postpone
from imgfetch.registry.race import Races
from imgfetch.registry.route import Asker, Entrant, Route
from imgfetch.registry.server import LIMITS, Limits, Server
from imgfetch.registry.stream import AloneError, LeftError
from tests.fakes import missing
from tests.stories import Log

CALM = LIMITS._replace(first_byte=5, upstream=10)
RACING = LIMITS._replace(first_byte=0.1, upstream=5)
HURRIED = LIMITS._replace(first_byte=0.1, upstream=1.0)
RESET = TransportError("reset")
_LONGEST = 30.0


@dataclass(eq=False)
class FakePlace(Asker[str]):
    """A place that answers with its name.

    Attributes:
        name: its name.
        errors: raised by its first requests.
        until: silent before this is set.
        requests: the number of requests.
        pause: the seconds until its next request.
        when_asked, when_failed: called at a request, and after its failure.
        at_a_time: shared by all; the number of requests that are waiting, and the most there were.
    """

    name: str
    errors: list[ImgfetchError] = field(default_factory=list)
    until: threading.Event | None = None
    attempts: int = 1
    requests: int = 0
    closed: int = 0
    answers: list[str] = field(default_factory=list)
    pause: float = 0.0
    when_asked: Callable[[], object] = lambda: None
    when_failed: Callable[[], object] = lambda: None
    at_a_time: list[int] = field(default_factory=lambda: [0, 0])

    def __post_init__(self) -> None:
        self.server = Server(self.name)

    @property
    def entrant(self) -> Entrant[str]:
        return Entrant(self.server, self)

    def request(self) -> Callable[[], AbstractContextManager[str]]:
        self.requests += 1
        self.when_asked()
        return self._answer

    @contextmanager
    def _answer(self) -> Iterator[str]:
        self.at_a_time[0] += 1
        self.at_a_time[1] = max(self.at_a_time)
        if self.until:
            assert self.until.wait(_LONGEST)
        self.at_a_time[0] -= 1
        if self.errors:
            raise self.errors.pop(0)
        yield self.name
        self.closed += 1

    def answered(self, answer: str) -> None:
        self.answers.append(answer)

    def failed(self, error: ImgfetchError, postpone: Postpone | None = None) -> None:
        self.when_failed()
        self.attempts -= 1
        if self.attempts <= 0:
            raise error
        if self.pause:
            assert postpone, "the pause would delay the other places"
            postpone(self.pause)

    def begin_anew(self) -> None:
        self.attempts = 2


class Places:
    """Two mirrors and the registry itself; what is silent answers when the test ends."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.one, self.two, self.upstream = self.all = [FakePlace(name) for name in ("one", "two", "upstream")]
        for place in self.all:
            place.at_a_time = self.one.at_a_time

    def route(self, limits: Limits = CALM, *, is_serial: bool = False, races: Races | None = None) -> Route[str]:
        mirrors = [self.one.entrant, self.two.entrant]
        races = races or Races(is_serial=is_serial)
        return Route(mirrors, self.upstream.entrant, races=races, limits=limits)

    def ask(self, limits: Limits = CALM, *, is_serial: bool = False) -> str:
        with self.route(limits, is_serial=is_serial).open() as (entrant, answer):
            assert entrant.server.name == answer
            return answer

    @property
    def requests(self) -> list[int]:
        return [place.requests for place in self.all]


@pytest.fixture
def places() -> Iterator[Places]:
    places = Places()
    yield places
    places.end.set()
    for thread in threading.enumerate():
        if thread.name == "imgfetch-request":
            thread.join(_LONGEST)
            assert not thread.is_alive()


# ---- the race ----


def test_a_mirror_that_answers_is_the_only_one_asked(places: Places) -> None:
    assert places.ask() == "one"
    assert places.requests == [1, 0, 0]
    assert places.one.answers == ["one"]


def test_a_silent_mirror_is_raced_by_the_next_one(places: Places, log: Log) -> None:
    places.one.until = places.end
    assert places.ask(RACING) == "two"
    assert places.requests == [1, 1, 0]
    assert places.one.server.is_ill
    (warning,) = log.warnings
    assert re.fullmatch(r"one: sent nothing for \d+\.\d s; continuing with two", warning)


def test_a_silent_mirror_is_not_asked_again(places: Places) -> None:
    places.one.until = places.end
    assert [places.ask(RACING) for _ in range(3)] == ["two"] * 3
    assert places.requests == [1, 3, 0]


def test_a_mirror_that_is_raced_may_win(places: Places) -> None:
    places.one.until, places.two.until = threading.Event(), places.end
    places.two.when_asked = places.one.until.set
    assert places.ask(RACING) == "one"
    assert places.requests == [1, 1, 0]
    assert not places.one.server.is_ill


def test_the_answer_of_a_place_that_lost_is_closed(places: Places) -> None:
    places.one.until = threading.Event()
    assert places.ask(RACING) == "two"
    places.one.until.set()
    for thread in threading.enumerate():
        if thread.name == "imgfetch-request":
            thread.join(_LONGEST)
    assert [places.one.closed, places.two.closed] == [1, 1]
    assert places.one.answers == []


def test_a_place_that_lost_before_its_time_was_up_is_well(places: Places) -> None:
    places.one.until = places.two.until = places.end
    assert places.ask(LIMITS._replace(first_byte=1.0, upstream=1.5)) == "upstream"
    assert places.requests == [1, 1, 1]
    assert [place.server.is_ill for place in places.all] == [True, False, False]


def test_the_next_mirror_is_asked_at_once_after_a_failure(places: Places) -> None:
    places.one.errors = [missing("it")]
    assert places.ask() == "two"
    assert places.requests == [1, 1, 0]


# ---- the registry itself ----


def test_the_registry_itself_is_asked_at_once_when_all_mirrors_have_failed(places: Places) -> None:
    places.one.errors, places.two.errors = [RESET], [missing("it")]
    assert places.ask() == "upstream"
    assert places.requests == [1, 1, 1]


def test_the_registry_itself_is_asked_when_the_mirrors_have_been_silent_for_long(places: Places) -> None:
    places.one.until = places.two.until = places.end
    assert places.ask(HURRIED) == "upstream"
    assert [place.server.is_ill for place in places.all] == [True, True, False]


def test_the_registry_itself_is_not_asked_before_that(places: Places) -> None:
    places.one.until, places.two.until = threading.Event(), places.end
    places.two.when_asked = places.one.until.set
    limits = LIMITS._replace(first_byte=0.1, upstream=20)
    assert places.ask(limits) == "one"
    assert places.requests == [1, 1, 0]


def test_a_mirror_may_answer_while_the_registry_itself_asks_for_a_pause(places: Places) -> None:
    places.one.until, places.two.errors = threading.Event(), [RESET]
    places.upstream.errors, places.upstream.attempts, places.upstream.pause = [RESET], 2, _LONGEST
    places.upstream.when_failed = places.one.until.set
    began = time.monotonic()
    assert places.ask(HURRIED._replace(upstream=0.1)) == "one"
    assert time.monotonic() - began < _LONGEST / 2
    assert places.upstream.requests == 1


@pytest.mark.parametrize("is_silent", [True, False], ids=["the mirror is silent", "the mirror has failed"])
def test_the_registry_itself_is_asked_again_after_a_pause(places: Places, *, is_silent: bool) -> None:
    until = threading.Event()
    places.one.until, places.one.errors, places.two.errors = until, [RESET], [RESET]
    places.upstream.errors, places.upstream.attempts, places.upstream.pause = [RESET], 2, 1.0
    if not is_silent:
        threading.Timer(0.5, until.set).start()
    began = time.monotonic()
    assert places.ask(HURRIED._replace(upstream=0.1)) == "upstream"
    assert time.monotonic() - began >= places.upstream.pause
    assert places.upstream.requests == 2
    until.set()


def test_the_registry_itself_is_asked_at_once_when_all_mirrors_are_ill(places: Places) -> None:
    for place in (places.one, places.two):
        place.server.failed(RESET)
    assert places.ask() == "upstream"
    assert places.requests == [0, 0, 1]


def test_a_mirror_may_answer_while_the_registry_itself_fails(places: Places) -> None:
    places.one.until, places.two.errors = threading.Event(), [missing("it")]
    places.upstream.errors, places.upstream.when_failed = [RESET], places.one.until.set
    assert places.ask(HURRIED) == "one"
    assert places.requests == [1, 1, 1]


def test_the_registry_itself_has_all_its_attempts(places: Places) -> None:
    places.one.errors, places.two.errors = [RESET], [RESET]
    places.upstream.errors, places.upstream.attempts = [RESET, RESET], 3
    assert places.ask() == "upstream"
    assert places.requests == [1, 1, 3]


def test_the_error_is_that_of_the_registry_itself_with_the_reasons_of_the_mirrors(places: Places) -> None:
    wrong = VerificationError("wrong bytes")
    places.one.errors, places.two.errors, places.upstream.errors = [RESET], [missing("it")], [wrong]
    with pytest.raises(VerificationError) as caught:
        places.ask()
    assert caught.value is wrong
    assert caught.value.__notes__ == ["one: reset", "two: it was not found"]


def test_mirrors_that_were_skipped_are_the_last_resort(places: Places) -> None:
    places.one.server.failed(RESET)
    places.two.errors, places.upstream.errors = [missing("it")], [TransportError("no route")]
    assert places.ask() == "one"
    assert places.requests == [1, 1, 1]


def test_mirrors_that_were_skipped_are_no_resort_for_what_the_registry_itself_refuses(places: Places) -> None:
    places.one.server.failed(RESET)
    places.two.errors, places.upstream.errors = [missing("it")], [missing("it")]
    with pytest.raises(ImgfetchError, match="not found"):
        places.ask()
    assert places.requests == [0, 1, 1]


def test_a_mirror_that_was_interrupted_is_retried_if_the_registry_itself_cannot_be_reached(places: Places) -> None:
    places.two.errors, places.upstream.errors = [missing("it")], [TransportError("no route")]
    route = places.route()
    answers = []
    for _ in range(3):
        with route.open() as (entrant, answer):
            answers.append(answer)
        route.failed(entrant, RESET)
    with pytest.raises(TransportError, match="no route"):
        route.open().__enter__()
    assert answers == ["one"] * 3  # and as often as the registry itself would be
    assert places.requests == [3, 1, 1]


def test_a_mirror_that_never_answered_is_not_retried(places: Places) -> None:
    places.one.errors, places.two.errors, places.upstream.errors = [RESET], [missing("it")], [RESET]
    with pytest.raises(TransportError):
        places.ask()
    assert places.requests == [1, 1, 1]


# ---- what is ill ----


def test_a_mirror_that_fails_is_warned_of_once(places: Places, log: Log) -> None:
    for _ in range(3):
        places.one.errors, places.two.errors = [RESET], [missing("a layer")]
        assert places.ask() == "upstream"
    assert log.warnings == [
        "one: reset; trying the next source",
        "two: a layer was not found; trying the next source",
    ]
    assert places.requests == [1, 3, 3]  # one that lacks something may have the rest


def test_a_mirror_that_was_ill_for_long_is_tried_beside_the_next_one(places: Places) -> None:
    places.one.server = Server("one", LIMITS._replace(again=0))
    places.one.server.failed(RESET)
    places.one.until = places.end
    assert places.ask() == "two"  # without any delay
    assert places.requests == [1, 1, 0]


def test_a_mirror_that_was_ill_for_long_is_tried_beside_the_registry_itself(places: Places) -> None:
    places.one.server = Server("one", LIMITS._replace(again=0))
    places.one.server.failed(RESET)
    places.two.server.failed(RESET)
    places.one.until = places.end
    assert places.ask() == "upstream"
    assert places.requests == [1, 0, 1]


# ---- what is slow ----


def measured(place: FakePlace, rate: float) -> None:
    place.server.rate = rate


def test_a_mirror_is_left_once_for_one_that_is_faster(places: Places) -> None:
    route = places.route()
    measured(places.one, 1e5)
    measured(places.two, 1e7)
    with route.open() as (entrant, _):
        assert [route.is_left(entrant, 10**9, 10) for _ in range(2)] == [True, False]
    route.failed(entrant, LeftError("slow"))
    with route.open() as (_, answer):
        assert answer == "two"


def test_a_mirror_that_turns_out_to_be_slower_is_left_for_the_first_one(places: Places) -> None:
    route = places.route()
    for place, rate, is_left in ((places.one, 1e5, True), (places.two, 0.9e5, True), (places.one, 1e5, False)):
        with route.open() as (entrant, answer):
            assert answer == place.name
            measured(place, rate)
            assert route.is_left(entrant, 10**9, 10) == is_left
        route.failed(entrant, LeftError("slow"))


def test_a_blob_begins_with_a_mirror_of_which_nothing_is_known_if_the_first_one_is_slow(places: Places) -> None:
    measured(places.one, 1e5)
    assert places.ask() == "two"


def test_the_end_of_a_blob_is_not_worth_another_request(places: Places) -> None:
    measured(places.one, 1e5)
    route = places.route()
    measured(places.two, 1e7)
    with route.open() as (entrant, _):
        assert not route.is_left(entrant, 10**9, 10**9 - 100_000)


def test_the_registry_itself_is_never_left(places: Places) -> None:
    places.one.until = places.two.until = places.end
    route = places.route(LIMITS._replace(first_byte=0.4, upstream=0.45))
    with route.open() as (entrant, answer):
        assert answer == "upstream"
        measured(places.upstream, 1e4)
        measured(places.two, 1e9)
        assert not route.is_left(entrant, 10**9, 10)


def test_the_next_blob_begins_with_the_faster_mirror(places: Places) -> None:
    measured(places.one, 1e6)
    measured(places.two, 1e7)
    assert places.ask() == "two"


# ---- one at a time ----


def test_one_request_at_a_time_asks_each_place_when_the_one_before_has_failed(places: Places) -> None:
    places.one.until, places.one.errors = threading.Event(), [TransportError("no data")]
    threading.Timer(0.7, places.one.until.set).start()
    assert places.ask(HURRIED, is_serial=True) == "two"
    assert places.requests == [1, 1, 0]
    assert places.one.at_a_time == [0, 1]


def test_one_request_at_a_time_gives_a_silent_mirror_up(places: Places) -> None:
    places.one.server = Server("one", LIMITS._replace(again=0))
    places.one.until, places.one.errors = threading.Event(), [TransportError("no data")]
    threading.Timer(0.7, places.one.until.set).start()
    assert [places.ask(HURRIED, is_serial=True) for _ in range(3)] == ["two"] * 3
    assert places.requests == [1, 3, 0]


def test_several_requests_at_a_time_overlap(places: Places) -> None:
    places.one.until = places.end
    assert places.ask(RACING) == "two"
    assert places.one.at_a_time[1] == 2


def test_without_threads_places_are_asked_one_after_the_other(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "start", lambda _work, _name: None)
    places.one.errors, places.two.errors = [RESET], [RESET]
    assert places.ask() == "upstream"
    assert places.one.at_a_time == [0, 1]


# ---- more requests at one place ----


def test_another_request_at_a_mirror_comes_after_the_other_mirrors_and_before_the_registry_itself(
    places: Places,
) -> None:
    places.one.errors, places.one.attempts = [missing("the rest")], 2
    places.two.errors = [missing("it")]
    assert places.ask() == "one"
    assert places.requests == [2, 1, 0]


def test_a_mirror_that_was_silent_gets_no_other_request(places: Places) -> None:
    places.one.until, places.one.errors, places.one.attempts = threading.Event(), [TransportError("no data")], 2
    threading.Timer(0.7, places.one.until.set).start()
    places.two.errors = [missing("it")]
    assert places.ask(HURRIED, is_serial=True) == "upstream"
    assert places.requests == [1, 1, 1]


def test_a_mirror_that_was_silent_gets_another_request_if_nothing_else_is_left(places: Places) -> None:
    places.one.until, places.one.errors, places.one.attempts = threading.Event(), [TransportError("no data")], 2
    threading.Timer(0.7, places.one.until.set).start()
    places.two.errors, places.upstream.errors = [missing("it")], [RESET]
    assert places.ask(HURRIED, is_serial=True) == "one"
    assert places.requests == [2, 1, 1]


# ---- the end ----


def test_the_end_of_a_run_ends_the_wait_for_an_answer(places: Places, log: Log) -> None:
    places.one.until = places.two.until = places.upstream.until = places.end
    races = Races()
    threading.Timer(0.2, races.stop).start()
    with pytest.raises(TransportError, match="stopped"), places.route(races=races).open():
        pass
    assert log.warnings == []


def test_after_the_end_of_a_run_there_is_no_request(places: Places) -> None:
    races = Races()
    races.stop()
    with pytest.raises(TransportError, match="stopped"), places.route(races=races).open():
        pass
    assert places.requests == [0, 0, 0]


def test_an_error_that_is_no_failure_of_a_place_is_raised(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(places.one, "_answer", broken)
    with pytest.raises(ZeroDivisionError):
        places.ask()


def test_a_place_is_asked_again_over_one_connection() -> None:
    places = Places()
    route = places.route()
    with route.open() as (entrant, _):
        pass
    route.failed(entrant, AloneError("the rest does not come in pieces"))
    with route.open() as (again, _):
        assert again is entrant
    assert (places.one.requests, places.two.requests, places.upstream.requests) == (2, 0, 0)


def test_the_registry_itself_is_asked_again_over_one_connection() -> None:
    places = Places()
    route = Route([], places.upstream.entrant, races=Races(), limits=CALM)
    with route.open() as (entrant, _):
        pass
    route.failed(entrant, AloneError("the rest does not come in pieces"))
    assert route.has_next
    with route.open() as (again, _):
        assert again is entrant
    assert places.upstream.attempts == 1


# ---- parts ----


def test_the_other_mirrors_may_have_parts_and_the_registry_itself_is_not_asked_for_them() -> None:
    places = Places()
    route = places.route()
    with route.open() as (entrant, _):
        assert [each.server for each in route.helpers(entrant)] == [places.two.server]


def test_no_mirror_is_asked_for_parts_of_what_the_registry_itself_sends() -> None:
    places = Places()
    places.one.errors, places.two.errors = [missing("it")], [missing("it")]
    route = places.route()
    with route.open() as (entrant, _):
        assert entrant.server is places.upstream.server
        assert route.helpers(entrant) == []


def test_a_mirror_that_failed_is_not_asked_for_parts() -> None:
    places = Places()
    places.one.errors = [missing("it")]
    route = places.route()
    with route.open() as (entrant, _):
        assert entrant.server is places.two.server
        assert route.helpers(entrant) == []
