"""The handlers of signals during a command and after it."""

from __future__ import annotations

import signal

import pytest

from imgfetch.cli.report import StopError, caught

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


@pytest.mark.parametrize("is_program", [True, False])
def test_after_a_signal_further_ones_have_no_effect_if_the_program_is_about_to_end(*, is_program: bool) -> None:
    before = [signal.getsignal(number) for number in NUMBERS]
    try:
        with pytest.raises(StopError), caught(is_program=is_program):
            signal.raise_signal(signal.SIGINT)
        after = [signal.getsignal(number) for number in NUMBERS]
    finally:
        for number, handler in zip(NUMBERS, before, strict=True):
            signal.signal(number, handler)
    assert after == ([signal.SIG_IGN] * len(NUMBERS) if is_program else before)


@pytest.mark.parametrize("is_program", [True, False])
def test_without_a_signal_the_handlers_are_those_from_before(*, is_program: bool) -> None:
    before = [signal.getsignal(number) for number in NUMBERS]
    with caught(is_program=is_program):
        assert [signal.getsignal(number) for number in NUMBERS] != before
    assert [signal.getsignal(number) for number in NUMBERS] == before
