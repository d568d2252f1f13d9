"""The number and the delays of retries; see docs/registries.md#retries."""

from __future__ import annotations

import logging
import math
import threading
import time
import traceback
from collections.abc import Mapping

import pytest

from imgfetch.errors import (
    CertificateError,
    ImgfetchError,
    NotFoundError,
    ProxyError,
    RateLimitedError,
    RefusedError,
    ResumeError,
    StorageError,
    TransportError,
    UnavailableError,
    UnsupportedError,
    VerificationError,
)
from imgfetch.http import retries
from imgfetch.http.retries import Retrier, RetryPolicy
from tests.fakes import Clock


def unavailable(retry_after: float | None = None) -> UnavailableError:
    return UnavailableError("not now", url="https://registry.example", status=503, retry_after=retry_after)


def given_up(error: ImgfetchError, patience: RetryPolicy | None = None, **limits: int) -> ImgfetchError:
    """Fail in the same way until it is given up, and return the error that says so."""
    attempts = (patience or RetryPolicy(pause=lambda _: None)).attempts(**limits)
    for _ in range(50):
        try:
            attempts.failed(error)
        except type(error) as final:
            return final
    pytest.fail("it is tried for ever")


def waits_until_over(error: ImgfetchError, limits: Mapping[str, int] | None = None, **policy: float) -> list[float]:
    """Return what was waited until a failure that repeats was given up."""
    waits: list[float] = []
    given_up(error, RetryPolicy(pause=waits.append, **policy), **(limits or {}))
    return waits


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (TransportError("reset"), 5),
        (unavailable(), 5),
        (RateLimitedError("slow down", url="", status=429), 5),
        (RefusedError("refused", host="registry.example:443"), 3),
        (ResumeError("spoilt"), 2),
        (CertificateError("not trusted"), 1),
        (ProxyError("407"), 1),
        (NotFoundError("gone", url="", status=404), 1),
        (VerificationError("wrong"), 1),
        (UnsupportedError("a chart"), 1),
        (StorageError("full"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ImgfetchError) else str(value),
)
def test_each_failure_is_tried_as_often_as_it_is_worth(error: ImgfetchError, tries: int) -> None:
    assert len(waits_until_over(error)) == tries - 1


def test_the_pauses_double_and_differ_by_a_quarter() -> None:
    waits = waits_until_over(TransportError("reset"))
    for wait, base in zip(waits, (1, 2, 4, 8), strict=True):
        assert 0.75 * base <= wait <= 1.25 * base


def test_no_pause_is_longer_than_half_a_minute_and_a_quarter() -> None:
    waits = waits_until_over(TransportError("reset", tries=99), retries=9)
    assert len(waits) == 9
    assert max(waits) <= 1.25 * 30


@pytest.mark.parametrize("count", [0, 1, 3, 20])
def test_the_user_says_how_often(count: int) -> None:
    assert len(waits_until_over(TransportError("reset"), retries=count)) == count


def test_fewer_attempts_may_be_asked_for() -> None:
    assert len(waits_until_over(TransportError("reset"), {"limit": 3})) == 2
    assert len(waits_until_over(RefusedError("refused", host="h"), {"limit": 3, "refused": 2})) == 1


@pytest.mark.parametrize("seconds", [1, 7, 60])
def test_a_server_is_waited_for_as_long_as_it_says(seconds: float) -> None:
    assert waits_until_over(unavailable(seconds)) == [seconds] * 4


@pytest.mark.parametrize("seconds", [61, 3600.0, 1e9, math.inf])
def test_a_server_that_asks_for_too_much_ends_the_run_at_once(seconds: float) -> None:
    assert waits_until_over(unavailable(seconds)) == []


def test_the_longest_wait_is_the_users_to_say_but_for_six_hours() -> None:
    assert waits_until_over(unavailable(3600), max_wait=3600) == [3600] * 4
    assert waits_until_over(unavailable(7 * 3600), max_wait=1e9) == []


def test_a_server_that_asks_for_nothing_is_not_overrun() -> None:
    assert min(waits_until_over(unavailable(0))) >= 0.75


def test_progress_begins_the_count_anew_and_shortens_the_pause() -> None:
    waits: list[float] = []
    attempts = RetryPolicy(pause=waits.append).attempts()
    for _ in range(50):
        attempts.failed(TransportError("cut"), progressed=True)
    assert all(1 <= wait <= 1.1 for wait in waits)
    for _ in range(3):
        attempts.failed(TransportError("cut"))
    with pytest.raises(TransportError):
        attempts.failed(TransportError("cut"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(retries.time, "monotonic", lambda: clock.now)
    return clock


@pytest.mark.parametrize("seconds", [1, 59, 60, 61, 3600])
def test_the_time_that_an_attempt_took_is_no_progress(seconds: float, clock: Clock) -> None:
    waits: list[float] = []
    attempts = RetryPolicy(timeout=10**6, pause=waits.append).attempts()
    for _ in range(4):
        clock.now += seconds
        attempts.failed(TransportError("silent"))
    clock.now += seconds
    with pytest.raises(TransportError) as caught:
        attempts.failed(TransportError("silent"))
    assert len(waits) == 4
    assert caught.value.details == (f"Tried 5 times in {5 * seconds:.0f} s.",)


@pytest.mark.parametrize(("timeout", "tries"), [(1, 3), (60, 3), (100, 5)])
def test_attempts_that_bring_nothing_have_a_time_together(timeout: float, tries: int, clock: Clock) -> None:
    attempts = RetryPolicy(timeout=timeout, pause=lambda _: None).attempts()
    for _ in range(tries - 1):
        clock.now += 100
        attempts.failed(TransportError("silent"))
    clock.now += 100
    with pytest.raises(TransportError) as caught:
        attempts.failed(TransportError("silent"))
    assert caught.value.details == (f"Tried {tries} times in {tries}00 s.",)


def test_time_that_brings_bytes_does_not_count(clock: Clock) -> None:
    attempts = RetryPolicy(pause=lambda _: None).attempts()
    for is_idle in (True, False, True, False):
        clock.now += 200
        attempts.failed(TransportError("slow"), is_idle=is_idle)


def test_pauses_that_a_server_asks_for_do_not_count(clock: Clock) -> None:
    def pause(seconds: float) -> None:
        clock.now += seconds

    attempts = RetryPolicy(max_wait=3600, pause=pause).attempts()
    for _ in range(4):
        clock.now += 10
        attempts.failed(unavailable(3600))


def test_a_pause_that_passes_elsewhere_does_not_count_either(clock: Clock) -> None:
    attempts = RetryPolicy(max_wait=3600).attempts()
    for _ in range(4):
        postponed: list[float] = []
        attempts.failed(unavailable(3600), postpone=postponed.append)
        assert postponed == [3600]
        clock.now += 3610


def test_after_that_time_what_else_can_be_tried_is_tried(clock: Clock) -> None:
    attempts = RetryPolicy(pause=lambda _: None).attempts()
    clock.now += 301
    assert attempts.failed(TransportError("silent"), has_other=True) == retries.NONE_LEFT
    with pytest.raises(TransportError):
        attempts.failed(TransportError("silent"))


@pytest.mark.parametrize(("seconds", "level"), [(2, "INFO"), (4, "WARNING"), (60, "WARNING")])
def test_an_attempt_that_took_long_is_reported(
    seconds: float, level: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = RetryPolicy(pause=lambda _: None).attempts()
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            clock.now += seconds
            attempts.failed(TransportError("silent"))
    assert [record.levelname for record in caplog.records] == [level] * 2
    assert "silent; retrying in 1 s (attempt 2 of 5)" in caplog.text


def test_the_attempts_that_are_left_are_returned() -> None:
    attempts = RetryPolicy(pause=lambda _: None).attempts()
    assert [attempts.failed(TransportError("cut")) for _ in range(4)] == [4, 3, 2, 1]
    assert attempts.failed(TransportError("cut"), progressed=True) == 4


def test_who_can_try_something_else_is_told_at_once_that_no_attempt_is_left() -> None:
    waits: list[float] = []
    attempts = RetryPolicy(pause=waits.append).attempts()
    missing = NotFoundError("gone", url="", status=404)
    assert attempts.failed(missing, has_other=True) == 0
    assert (waits, missing.tries, missing.details) == ([], 1, ())
    assert [attempts.failed(TransportError("cut")) for _ in range(4)] == [4, 3, 2, 1]  # and it is not counted
    assert attempts.failed(TransportError("cut"), has_other=True) == 0
    with pytest.raises(TransportError):
        attempts.failed(TransportError("cut"))


def test_after_a_stop_nothing_else_is_tried() -> None:
    patience = RetryPolicy()
    patience.stop()
    for error in (NotFoundError("gone", url="", status=404), TransportError("cut")):
        with pytest.raises(type(error)):
            patience.attempts().failed(error, has_other=True)


def test_wrong_bytes_are_counted_apart_and_no_progress_helps_them() -> None:
    attempts = RetryPolicy(pause=lambda _: None).attempts()
    for _ in range(3):
        attempts.failed(TransportError("cut"))
    attempts.failed(ResumeError("spoilt"))
    wrong = VerificationError("wrong", tries=2)
    attempts.failed(wrong, progressed=True)
    with pytest.raises(VerificationError):
        attempts.failed(wrong, progressed=True)  # once more from zero, and no more


def test_what_was_done_is_told(caplog: pytest.LogCaptureFixture) -> None:
    error = TransportError("reset", hint="try later")
    with caplog.at_level(logging.INFO):
        final = given_up(error)
    assert (final.args, final.hint, final.details) == (error.args, "try later", ("Tried 5 times.",))
    assert (error.tries, error.details) == (5, ())  # an error does not change once it is made
    levels = [record.levelname for record in caplog.records]
    assert levels[:2] + levels[3:] == ["INFO", "INFO", "WARNING"]  # the third pause is 3 to 5 s
    assert "attempt 5 of 5" in caplog.records[-1].getMessage()


def test_what_was_tried_once_says_nothing_of_it() -> None:
    final = given_up(NotFoundError("gone", url="https://registry.example", status=404))
    assert isinstance(final, NotFoundError)
    assert (final.details, final.url, final.status) == ((), "https://registry.example", 404)


def test_what_was_given_up_is_not_tried_by_somebody_else() -> None:
    final = given_up(TransportError("reset"))
    assert final.tries == 1
    assert waits_until_over(final) == []


def test_an_error_that_is_given_up_keeps_its_cause_and_its_traceback() -> None:
    try:
        raise TransportError("reset") from OSError("cable cut")
    except TransportError as error:
        final = given_up(error)
        assert str(final.__cause__) == "cable cut"
        frames = [frame.name for frame in traceback.extract_tb(final.__traceback__)]
    assert "test_an_error_that_is_given_up_keeps_its_cause_and_its_traceback" in frames


def test_a_stop_ends_a_wait_and_all_that_follow() -> None:
    patience = RetryPolicy()
    error = unavailable(30)
    threading.Timer(0.1, patience.stop).start()
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        patience.attempts().failed(error)
    with pytest.raises(UnavailableError):
        Retrier(patience, None, None).failed(error)
    assert time.monotonic() - began < 25
    assert patience.fresh().wait(0) is True
