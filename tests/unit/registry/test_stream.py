"""A blob on its way counts for its server only what the server is responsible for."""

from __future__ import annotations

import pytest

from imgfetch.registry.server import LIMITS, Server
from imgfetch.registry.stream import Stream
from tests.fakes import Clock, PacedBody

STEP = 1_000_000


def test_the_pauses_of_a_rate_limit_are_not_the_servers_time() -> None:
    clock = Clock()
    server = Server("mirror", LIMITS, lambda: clock.now)
    stream = Stream(PacedBody(bytes(7 * STEP), step=STEP, clock=clock), server)
    assert sum(len(chunk) for chunk in stream.chunks(7 * STEP)) == 7 * STEP
    assert server.rate == pytest.approx(STEP)


def test_the_first_bytes_do_not_wait_for_a_rate_limit() -> None:
    clock = Clock()
    began = clock.now
    Stream(PacedBody(bytes(7 * STEP), step=STEP, clock=clock), Server())
    assert clock.now == began
