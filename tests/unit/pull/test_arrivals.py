"""Each byte of a blob is reported once, whichever way it comes."""

from __future__ import annotations

import pytest

from imgfetch.pull.arrivals import Arrivals


@pytest.fixture
def reported() -> list[int]:
    return []


@pytest.fixture
def arrivals(reported: list[int]) -> Arrivals:
    return Arrivals(lambda count, *, is_new=True: reported.append(count if is_new else 0))


def test_bytes_that_waited_are_not_reported_again(arrivals: Arrivals, reported: list[int]) -> None:
    arrivals.early(30)
    arrivals(10)  # of the first response, before them
    arrivals.add_next(20)
    arrivals(20)
    arrivals.add_next(10)
    arrivals(15)  # with some that did not wait
    assert reported == [30, 10, 5]


def test_bytes_that_are_dropped_are_taken_back_but_for_those_that_are_kept(
    arrivals: Arrivals, reported: list[int]
) -> None:
    arrivals.early(30)
    arrivals.add_next(5)
    arrivals.keep(10)
    arrivals(5)
    arrivals.keep()
    arrivals.keep()
    assert reported == [30, -15, -10]


def test_a_restart_takes_back_what_was_added(arrivals: Arrivals, reported: list[int]) -> None:
    arrivals(10)
    arrivals(-10)
    assert reported == [10, -10]
