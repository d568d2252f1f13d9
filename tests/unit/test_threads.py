"""Threads that may be missing."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from imgfetch import threads

Fewer = Callable[[int], None]


@pytest.fixture
def fewer(monkeypatch: pytest.MonkeyPatch) -> Fewer:
    """Return a function that leaves some threads to the system."""
    start = threading.Thread.start

    def fewer(left: int) -> None:
        budget = [left]

        def start_if_possible(thread: threading.Thread) -> None:
            if not budget[0]:
                raise RuntimeError("can't start new thread")
            budget[0] -= 1
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", start_if_possible)

    return fewer


@pytest.mark.parametrize("lack", [RuntimeError("can't start new thread"), MemoryError()], ids=repr)
def test_a_thread_that_cannot_start_is_none(monkeypatch: pytest.MonkeyPatch, lack: Exception) -> None:
    def start(_: threading.Thread) -> None:
        raise lack

    monkeypatch.setattr(threading.Thread, "start", start)
    assert threads.start(list, "name") is None


WITH_LITTLE_MEMORY = """
import os, re, resource, signal, sys
from imgfetch import threads

def limit(size):
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))

def fill(kept):
    for size in (1000, 40):
        try:
            while True:
                kept.append(bytes(size))
        except MemoryError:
            pass

def begins(left):
    kept = []
    size = int(re.search(r"VmSize:\\s*(\\d+)", open("/proc/self/status").read())[1]) * 1024
    limit(size)
    fill(kept)
    limit(size + left)
    return threads.start(list, "name") is not None

for left in map(int, sys.argv[1:]):
    child = os.fork()
    if not child:
        signal.alarm(20)
        os._exit(begins(left))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
STACK = 8 * 1024**2


def test_a_thread_without_memory_to_begin_is_none_and_not_waited_for() -> None:
    sizes = [*range(STACK, STACK + 40 * 1024, 4096), 64 * 1024**2]
    command = [sys.executable, "-c", WITH_LITTLE_MEMORY, *map(str, sizes)]
    done = subprocess.run(
        command,
        capture_output=True,
        check=False,
        timeout=400,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_STACK, (STACK, resource.RLIM_INFINITY)),
    )
    assert done.stdout.split() == ["0"] * (len(sizes) - 1) + ["1"], done.stderr[-2000:]


@pytest.mark.parametrize("left", [0, 1, 2, 9])
@pytest.mark.parametrize("jobs", [1, 4])
def test_every_item_has_its_turn_once(fewer: Fewer, left: int, jobs: int) -> None:
    fewer(left)
    done: list[int] = []
    threads.for_each(range(20), lambda item, _: done.append(item), jobs=jobs, name="test")
    assert sorted(done) == list(range(20))


def test_several_items_have_their_turns_at_a_time() -> None:
    barrier = threading.Barrier(3, timeout=30)
    threads.for_each(range(3), lambda *_: barrier.wait() and None, jobs=3, name="test")


def test_as_many_threads_as_jobs_have_a_turn() -> None:
    names: set[str] = set()
    threads.for_each(range(50), lambda *_: names.add(threading.current_thread().name), jobs=2, name="test")
    assert names <= {threading.current_thread().name, "test-1"}


@pytest.mark.parametrize("left", [0, 3])
def test_the_first_failure_is_raised_and_no_call_begins_after_it(fewer: Fewer, left: int) -> None:
    fewer(left)
    begun: list[int] = []
    failed = threading.Event()

    def fail(item: int, is_over: Callable[[], bool]) -> None:
        begun.append(item)
        if item == 0:
            failed.set()
            raise ValueError("the first")
        assert failed.wait(30)
        while not is_over():
            time.sleep(0.001)

    with pytest.raises(ValueError, match="the first"):
        threads.for_each(range(20), fail, jobs=4, name="test")
    assert len(begun) <= left + 1


def test_a_signal_ends_the_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal comes while threads are being started, which is outside any call."""
    start, ended = threads.start, threading.Event()

    def start_and_stop(work: Callable[[], None], name: str) -> threading.Thread | None:
        if name == "test-2":
            raise KeyboardInterrupt
        return start(work, name)

    def wait(_: int, is_over: Callable[[], bool]) -> None:
        while not is_over():
            time.sleep(0.001)
        ended.set()

    monkeypatch.setattr(threads, "start", start_and_stop)
    with pytest.raises(KeyboardInterrupt):
        threads.for_each(range(4), wait, jobs=4, name="test")
    assert ended.wait(30)


def test_a_call_that_does_not_end_delays_a_failure_by_the_grace_only() -> None:
    begun, ended = threading.Event(), threading.Event()

    def wait_or_fail(_item: int, _: Callable[[], bool]) -> None:
        if threading.current_thread() is not threading.main_thread():
            begun.set()
            assert ended.wait(30)
        else:
            assert begun.wait(30)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        threads.for_each(range(2), wait_or_fail, jobs=2, name="test", grace=0.01)
    assert not ended.is_set()
    ended.set()
