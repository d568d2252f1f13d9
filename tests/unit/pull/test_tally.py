from __future__ import annotations

from imgfetch.progress import Item, Progress
from imgfetch.pull.tally import Tally

BASE, TOP, NEW = (Item(f"sha256:{letter * 64}", 1000) for letter in "abc")


class Recorded(Progress):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattribute__(self, name: str) -> object:
        if name in vars(Progress):
            return lambda *_, **__: self.calls.append(name)
        return super().__getattribute__(name)


def test_bytes_count_as_downloaded_or_as_cached() -> None:
    tally = Tally(Progress())
    tally.finished(BASE, cached=True)
    tally.resumed(TOP, 600)
    tally.advanced(TOP, 400)
    tally.finished(TOP, cached=False)
    tally.advanced(NEW, 1000)
    tally.finished(NEW, cached=False)
    assert tally.share([BASE, TOP, NEW]) == (1400, 1600)


def test_the_shares_of_archives_count_what_was_downloaded_once() -> None:
    tally = Tally(Progress())
    for item in (BASE, TOP):
        tally.advanced(item, 1000)
        tally.finished(item, cached=False)
    assert tally.share([BASE]) == (1000, 0)
    assert tally.share([BASE, TOP]) == (1000, 1000)
    assert tally.share([BASE, TOP]) == (0, 2000)


def test_after_a_restart_nothing_of_an_earlier_attempt_counts() -> None:
    tally = Tally(Progress())
    tally.resumed(TOP, 600)
    tally.advanced(TOP, 100)
    tally.advanced(TOP, -700)
    tally.advanced(TOP, 1000)
    tally.finished(TOP, cached=False)
    assert tally.share([TOP]) == (1100, 0)


def test_bytes_that_are_taken_back_leave_those_of_an_earlier_attempt() -> None:
    tally = Tally(Progress())
    tally.resumed(TOP, 600)
    tally.advanced(TOP, 300)
    tally.advanced(TOP, -200)
    tally.advanced(TOP, 300)
    tally.finished(TOP, cached=False)
    assert tally.share([TOP]) == (600, 600)


def test_everything_is_passed_on() -> None:
    recorded = Recorded()
    tally = Tally(recorded)
    tally.resolving(0, 1, "x")
    tally.planned([BASE])
    tally.started(BASE)
    tally.resumed(BASE, 1)
    tally.advanced(BASE, 1)
    tally.interrupted(BASE, "cut")
    tally.failed(BASE)
    tally.finished(BASE, cached=False)
    methods = {name for name in vars(Progress) if not name.startswith("_")}
    assert set(recorded.calls) == methods
    assert len(recorded.calls) == len(methods)
