"""A mirror that failed is skipped for a while, and the rates of mirrors decide whether one is left."""

from __future__ import annotations

import math
from contextlib import ExitStack

import pytest

from imgfetch.errors import (
    AuthenticationError,
    CertificateError,
    ImgfetchError,
    RateLimitedError,
    RegistryError,
    ResumeError,
    StorageError,
    TransportError,
    UnavailableError,
    VerificationError,
)
from imgfetch.registry.server import LIMITS, Server
from tests.fakes import Clock, missing

URL = "https://one.example/v2/"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Server:
    return Server("mirror one.example", clock=lambda: clock.now)


def another(clock: Clock, rate: float | None = None) -> Server:
    """Return a mirror with a measured rate."""
    server = Server("mirror two.example", clock=lambda: clock.now)
    if rate:
        send(server, clock, rate)
    return server


def send(server: Server, clock: Clock, rate: float, seconds: float = LIMITS.interval) -> None:
    """Let it send for a while."""
    with server.wait() as received:
        clock.now += seconds
        received(int(rate * seconds))


def denied(error: ImgfetchError) -> AuthenticationError:
    refusal = AuthenticationError("no token")
    refusal.__cause__ = error
    return refusal


# ---- health ----


@pytest.mark.parametrize(
    "error",
    [
        TransportError("the connection is refused"),
        CertificateError("an unknown authority"),
        UnavailableError("503", url=URL, status=503),
        RateLimitedError("429", url=URL, status=429),
        RegistryError("505", url=URL, status=505),
        denied(TransportError("the token server is silent")),
    ],
    ids=str,
)
def test_a_mirror_that_does_not_work_is_ill(server: Server, error: ImgfetchError) -> None:
    server.failed(error)
    assert server.is_ill
    assert not server.may_try()


@pytest.mark.parametrize(
    "error",
    [
        missing("a layer"),
        AuthenticationError("the image is not in the allow-list"),
        RegistryError("400", url=URL, status=400),
        VerificationError("wrong bytes"),
        StorageError("a CA file cannot be read"),
        denied(RegistryError("the token server returned 403", url=URL, status=403)),
    ],
    ids=str,
)
def test_a_mirror_that_lacks_or_refuses_something_is_well(server: Server, error: ImgfetchError) -> None:
    server.failed(error)
    assert not server.is_ill


def test_a_mirror_that_sends_wrong_bytes_for_several_blobs_is_ill(server: Server) -> None:
    for expected in (False, True):
        server.failed(VerificationError("wrong bytes"))
        assert server.is_ill == expected


def test_a_mirror_is_well_if_the_wrong_bytes_may_be_those_of_another_one(server: Server) -> None:
    for _ in range(9):
        server.failed(ResumeError("wrong bytes"))
    assert not server.is_ill


def test_an_ill_mirror_is_tried_by_one_request_after_a_while(server: Server, clock: Clock) -> None:
    server.failed(TransportError("reset"))
    clock.now += LIMITS.again - 1
    assert not server.may_try()
    clock.now += 1
    assert [server.may_try() for _ in range(3)] == [True, False, False]
    assert server.is_ill  # until it answers


def test_the_while_is_twice_as_long_after_each_trial_that_fails(server: Server, clock: Clock) -> None:
    server.failed(TransportError("reset"))
    waits = []
    for _ in range(4):
        since = clock.now
        while not server.may_try():
            clock.now += 1
        waits.append(clock.now - since)
        server.failed(TransportError("reset again"))
    assert waits == [30, 60, 120, 240]


def test_a_mirror_that_answers_is_well_again(server: Server, clock: Clock) -> None:
    for _ in range(2):
        server.failed(TransportError("reset"))
        clock.now += LIMITS.again
        assert server.may_try()
        server.answered()
        assert not server.is_ill


def test_requests_that_fail_together_are_one_failure(server: Server, clock: Clock) -> None:
    for _ in range(4):
        server.failed(TransportError("reset"))
    clock.now += LIMITS.again
    assert server.may_try()


def test_a_mirror_is_skipped_for_as_long_as_it_asks(server: Server, clock: Clock) -> None:
    server.failed(RateLimitedError("429", url=URL, status=429, retry_after=300))
    clock.now += 299
    assert not server.may_try()
    clock.now += 1
    assert server.may_try()


def test_a_mirror_that_would_cost_its_timeout_again_is_not_tried_again(server: Server, clock: Clock) -> None:
    server.give_up()
    clock.now += 1e9
    assert not server.may_try()


# ---- speed ----


def test_the_rate_is_that_of_all_downloads_together(server: Server, clock: Clock) -> None:
    with server.wait() as one:
        with server.wait() as two:
            clock.now += LIMITS.interval / 2
            two(500_000)
        clock.now += LIMITS.interval / 2
        one(300_000)
    assert server.rate == 800_000 / LIMITS.interval
    assert server.received == 800_000


def test_the_time_between_two_reads_is_not_the_mirrors(server: Server, clock: Clock) -> None:
    for _ in range(4):
        send(server, clock, 1e6, seconds=LIMITS.interval / 4)
        clock.now += 60  # a slow disk, or a pause between two blobs
    assert server.rate == 1e6


def test_too_few_bytes_are_no_measurement(server: Server, clock: Clock) -> None:
    send(server, clock, 1000, seconds=LIMITS.interval / 2)
    assert server.rate is None


def test_many_bytes_are_a_measurement_at_once(server: Server, clock: Clock) -> None:
    send(server, clock, 100e6, seconds=0.1)
    assert server.rate == pytest.approx(100e6)


def test_a_rate_is_that_of_the_last_measurement(server: Server, clock: Clock) -> None:
    send(server, clock, 50e6)
    send(server, clock, 100e3)
    assert server.rate == 100e3


def test_the_rest_takes_longer_if_other_downloads_share_the_rate(server: Server, clock: Clock) -> None:
    assert server.seconds_for(10**9) == 0  # nothing is known
    send(server, clock, 1e6)
    with server.download():
        assert server.seconds_for(10_000_000) == 10
        with server.download():
            assert server.seconds_for(10_000_000) == 20


@pytest.mark.parametrize(
    ("own", "other", "is_left"),
    [
        (500e3, 2e6, True),
        (50e6, 200e6, True),
        (500e3, 1.9e6, False),
        (500e3, None, True),
        (1e6, None, False),  # it is not slow, and nothing is known of the other
        (None, 1e9, False),
    ],
)
def test_a_mirror_is_left_for_one_that_is_or_may_be_much_faster(
    clock: Clock, own: float | None, other: float | None, *, is_left: bool
) -> None:
    server, faster = another(clock, own), another(clock, other)
    found = server.faster_one([faster], lambda _: LIMITS.faster)
    assert found == (faster if is_left else None)


def test_the_fastest_of_those_that_are_known_comes_first(server: Server, clock: Clock) -> None:
    send(server, clock, 100e3)
    others = [another(clock), another(clock, 1e6), another(clock, 2e6)]
    assert server.faster_one(others, lambda _: LIMITS.faster) == others[2]


def test_of_several_downloads_one_is_better_off_at_a_mirror_that_is_idle(server: Server, clock: Clock) -> None:
    send(server, clock, 5e6)
    idle = another(clock, 5e6)
    with server.download():
        assert server.faster_one([idle], lambda _: LIMITS.better) is None
        with server.download():
            assert server.faster_one([idle], lambda _: LIMITS.better) == idle


def test_a_download_that_begins_goes_where_its_share_is_largest(server: Server, clock: Clock) -> None:
    send(server, clock, 5e6)
    fast, faster = another(clock, 9e6), another(clock, 9e6)
    with server.download(), fast.download():
        assert server.faster_one([fast, faster], lambda _: LIMITS.better, joins=True) == faster


def test_two_downloads_do_not_begin_at_one_idle_mirror_at_once(server: Server, clock: Clock) -> None:
    send(server, clock, 5e6)
    idle = another(clock, 5e6)
    with server.download(), server.download():
        found = [server.faster_one([idle], lambda _: LIMITS.better) for _ in range(2)]
        assert found == [idle, None]
        clock.now += LIMITS.first_byte
        assert server.faster_one([idle], lambda _: LIMITS.better) == idle


@pytest.mark.parametrize(("rate", "downloads", "is_tried"), [(5e6, 1, False), (5e6, 2, True), (50e6, 4, False)])
def test_a_mirror_that_nobody_knows_is_tried_where_several_downloads_share_one_that_is_not_fast(
    server: Server, clock: Clock, rate: float, downloads: int, *, is_tried: bool
) -> None:
    send(server, clock, rate)
    with ExitStack() as stack:
        for _ in range(downloads):
            stack.enter_context(server.download())
        assert bool(server.faster_one([another(clock)], lambda _: LIMITS.better)) == is_tried


@pytest.mark.parametrize("error", [VerificationError("wrong"), ResumeError("wrong")], ids=["whole", "rest"])
def test_a_mirror_that_sent_wrong_bytes_is_never_the_faster_one_until_a_blob_is_right(
    server: Server, clock: Clock, error: VerificationError
) -> None:
    send(server, clock, 100e3)
    other = another(clock, 1e6)
    other.failed(error)
    assert server.faster_one([other], lambda _: LIMITS.faster) is None
    other.sent(is_whole=False)
    assert server.faster_one([other], lambda _: LIMITS.faster) is None
    other.sent(is_whole=True)
    assert server.faster_one([other], lambda _: LIMITS.faster) == other


def test_an_ill_mirror_is_never_the_faster_one(server: Server, clock: Clock) -> None:
    send(server, clock, 100e3)
    others = [another(clock), another(clock, 1e6)]
    for other in others:
        other.failed(TransportError("reset"))
    assert server.faster_one(others, lambda _: LIMITS.faster) is None


def test_one_download_finds_out_how_fast_a_mirror_is(server: Server, clock: Clock) -> None:
    send(server, clock, 100e3)
    unknown = another(clock)
    assert [server.faster_one([unknown], lambda _: LIMITS.faster) for _ in range(2)] == [unknown, None]
    with unknown.download():
        assert not unknown.may_explore()
    assert unknown.may_explore()  # the download was too short to know


def test_slowness_counts_from_the_last_time_that_a_mirror_was_not_slow(server: Server, clock: Clock) -> None:
    for rate, expected in ((100e3, 2), (100e3, 4), (5e6, 0), (100e3, 2)):
        send(server, clock, rate)
        assert server.slow_for == expected


def test_a_topic_is_news_once(server: Server) -> None:
    assert [server.is_news(topic) for topic in ("a", "b", "a")] == [True, True, False]


def test_a_place_that_is_given_up_is_not_tried_when_something_else_fails(server: Server, clock: Clock) -> None:
    server.give_up()
    server.failed(TransportError("reset"))
    clock.now = math.nextafter(math.inf, 0)
    assert not server.may_try()


# ---- parts of blobs ----


def test_a_mirror_is_verified_by_a_whole_blob_and_not_by_the_rest_of_one(server: Server) -> None:
    server.sent(is_whole=False)
    assert not server.is_verified
    server.sent(is_whole=True)
    server.sent(is_whole=False)
    assert server.is_verified


def test_a_mirror_is_idle_while_it_has_no_download_and_none_is_about_to_begin(server: Server, clock: Clock) -> None:
    assert server.is_idle
    with server.download():
        assert not server.is_idle
    assert server.is_idle
    server.expect()
    assert not server.is_idle
    clock.now += LIMITS.first_byte
    assert server.is_idle
