from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from imgfetch.errors import VerificationError
from imgfetch.tolerance import Tolerance


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_an_oddity_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    Tolerance().warn("100 % odd")
    assert warnings(caplog) == ["100 % odd"]


def test_each_oddity_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    tolerance = Tolerance()
    for message in ("one", "two", "one", "two", "one"):
        tolerance.warn(message)
    assert warnings(caplog) == ["one", "two"]


def test_another_run_tells_it_again(caplog: pytest.LogCaptureFixture) -> None:
    Tolerance().warn("one")
    Tolerance().warn("one")
    assert warnings(caplog) == ["one", "one"]


def test_several_threads_tell_an_oddity_once(caplog: pytest.LogCaptureFixture) -> None:
    tolerance = Tolerance()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(tolerance.warn, ["one"] * 100))
    assert warnings(caplog) == ["one"]


def test_strictly_the_first_oddity_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(VerificationError, match=r"^odd$") as caught:
        Tolerance(strict=True).warn("odd")
    assert caught.value.hint == "without --strict this is a warning"
    assert warnings(caplog) == []
