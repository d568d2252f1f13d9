from __future__ import annotations

import gc
import random
import threading

import pytest

from imgfetch.errors import TransportError, UnsupportedError
from imgfetch.layers.windows import Windows
from tests.threads import together

MIB = 1024 * 1024


def test_a_lease_waits_until_there_is_room() -> None:
    windows = Windows(100)
    first = windows.lease()
    first.resize(60)
    has_begun, order = threading.Event(), list[str]()

    def second() -> None:
        with windows.lease(has_begun.set) as lease:
            lease.resize(60)
            order.append("leased")

    def release() -> None:
        assert has_begun.wait(30)
        order.append("released")
        first.release()

    assert together(second, release) == []
    assert order == ["released", "leased"]
    assert windows.free == 100


def test_a_lease_that_waits_can_be_stopped() -> None:
    windows = Windows(100)
    first = windows.lease()
    first.resize(100)

    def stop() -> None:
        raise TransportError("stopped")

    def second() -> None:
        windows.lease(stop).resize(1)

    (failure,) = together(second)
    assert isinstance(failure, TransportError)
    assert windows.free == 0


def test_a_thread_with_a_lease_gets_another_one_at_once_if_the_sum_of_its_own_fits() -> None:
    windows = Windows(100, 110)
    one, other = threading.Barrier(2), threading.Barrier(2)

    def nested() -> None:
        with windows.lease() as outer, windows.lease() as inner:
            outer.resize(50)
            one.wait(30)  # now both have all there is
            inner.resize(60)
            other.wait(30)
            with pytest.raises(UnsupportedError, match="0 MiB are in use for the whole file"):
                windows.lease().resize(1)

    assert together(nested, nested) == []
    assert windows.free == 100


def test_a_lease_that_grows_is_given_back_first() -> None:
    windows = Windows(100)

    def growing() -> None:
        with windows.lease() as lease:
            for size in (30, 60, 90, 100, 20):
                lease.resize(size)
                assert lease.size >= size

    assert together(*[growing] * 8) == []
    assert windows.free == 100


def test_a_lease_keeps_its_bytes_for_a_smaller_window() -> None:
    windows = Windows(100)
    with windows.lease() as lease:
        lease.resize(80)
        lease.resize(10)
        assert (lease.size, windows.free) == (80, 20)


def test_more_than_there_is_is_refused_at_once() -> None:
    with pytest.raises(UnsupportedError, match="it needs 200 MiB of memory"):
        Windows(100 * MIB, 300 * MIB).lease().resize(200 * MIB)


def test_a_lease_that_is_dropped_is_given_back_without_the_collector() -> None:
    windows = Windows(100)
    gc.disable()
    try:
        for _ in range(5):
            windows.lease().resize(100)
        assert windows.free == 100
    finally:
        gc.enable()


@pytest.mark.parametrize("seed", range(5))
def test_any_threads_with_any_leases_end(seed: int) -> None:
    windows = Windows(100)
    most = 0

    def work() -> None:
        nonlocal most
        chosen = random.Random(seed)
        for _ in range(50):
            with windows.lease() as lease:
                for _ in range(3):
                    lease.resize(chosen.randrange(1, 101))
                    most = max(most, 100 - windows.free)

    assert together(*[work] * 10) == []
    assert windows.free == 100
    assert most <= 100
