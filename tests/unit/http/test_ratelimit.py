"""The rate limit is exact over all responses together, even, and ends at once."""

from __future__ import annotations

import threading
import time
from collections import deque

import pytest

from imgfetch.defaults import MIN_RATE
from imgfetch.http.ratelimit import CREDIT, RateLimit, Share
from tests.fakes import Clock

RATE = 1_000_000


def run(limit: RateLimit, clock: Clock, *, connections: int, seconds: float, delay: float = 0.0) -> list[int]:
    """Read at most a piece from each connection whenever its pause is over, and return the times of all bytes.

    ``delay`` is the time that each read takes.
    """
    end, ready, arrivals = clock.now + seconds, deque([clock.now] * connections), []
    while (when := min(ready)) < end:
        ready.remove(when)
        clock.now = max(clock.now, when) + delay
        size = int(limit.chunk)
        arrivals += [(clock.now, size)]
        ready.append(limit.spend(size))
    return arrivals


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limited(clock: Clock, rate: int = RATE) -> RateLimit:
    return RateLimit(rate, clock=lambda: clock.now)


@pytest.mark.parametrize("connections", [1, 4, 16])
@pytest.mark.parametrize("rate", [MIN_RATE, 500_000, 10_000_000, 1_000_000_000])
def test_after_five_seconds_the_bytes_of_all_connections_are_within_five_percent_of_the_limit(
    clock: Clock, rate: int, connections: int
) -> None:
    arrivals = run(limited(clock, rate), clock, connections=connections, seconds=5.0)
    assert sum(size for _, size in arrivals) == pytest.approx(5 * rate, rel=0.05)


@pytest.mark.parametrize("connections", [1, 4])
def test_no_second_has_more_than_a_quarter_of_a_second_above_the_limit(clock: Clock, connections: int) -> None:
    limit = limited(clock)
    clock.now += 60.0  # unused time is not saved up
    arrivals = run(limit, clock, connections=connections, seconds=5.0)
    for start, _ in arrivals:
        assert sum(size for when, size in arrivals if start <= when < start + 1.0) <= 1.25 * RATE


def test_a_pause_that_ends_late_is_made_up_for(clock: Clock) -> None:
    limit = limited(clock)
    arrivals = run(limit, clock, connections=1, seconds=5.0, delay=0.01)
    assert sum(size for _, size in arrivals) == pytest.approx(5 * RATE, rel=0.05)


def test_time_without_data_is_not_made_up_for(clock: Clock) -> None:
    limit = limited(clock)
    limit.spend(RATE)
    clock.now += 100.0
    assert limit.seconds_until(limit.spend(RATE)) == pytest.approx(1.0 - CREDIT)


def test_bytes_that_others_received_are_paid_for_first(clock: Clock) -> None:
    limit = limited(clock)
    assert [limit.spend(RATE // 2) - clock.now for _ in range(3)] == [0.5, 1.0, 1.5]


def test_without_a_limit_nobody_waits(clock: Clock) -> None:
    limit = RateLimit(clock=lambda: clock.now)
    assert limit.seconds_until(limit.spend(10**15)) <= 0
    assert limit.chunk > 10**15


@pytest.mark.parametrize("rate", [MIN_RATE - 1, 0, -1, float("nan")])
def test_a_rate_too_low_to_finish_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="1000 bytes a second or more"):
        RateLimit(rate)


def test_a_response_pauses_only_after_its_first_bytes() -> None:
    clock = Clock()
    limit = limited(clock)
    limit.spend(3600 * RATE)
    Share(limit).pause()


def test_a_pause_ends_at_once_when_the_response_is_ended() -> None:
    share = Share(RateLimit(MIN_RATE))
    share.received(3600 * MIN_RATE)
    began = time.monotonic()
    threading.Timer(0.05, share.end).start()
    share.pause()
    assert time.monotonic() - began < 60.0
