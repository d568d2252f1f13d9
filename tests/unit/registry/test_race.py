from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from imgfetch.http import interrupt
from imgfetch.registry.race import Races


def test_a_request_that_was_not_taken_is_ended_with_its_race() -> None:
    begun, ended = threading.Event(), threading.Event()

    @contextmanager
    def silent() -> Iterator[str]:
        current = interrupt.current()
        assert current is not None
        current.watch(ended.set)
        begun.set()
        ended.wait(30)
        yield "late"

    with Races().begin() as race:
        race.start("silent", silent, is_alone=False)
        assert begun.wait(10)
        race.start("quick", lambda: nullcontext("answer"), is_alone=False)
        taken = race.take(10)
        assert taken is not None
        assert (taken.who, taken.answer) == ("quick", "answer")
        assert not ended.is_set()
    assert ended.wait(1)
