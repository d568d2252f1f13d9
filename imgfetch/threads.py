"""Threads, as many as the system has.

A container's limit of processes, an old seccomp profile, or a limit of memory can leave a process without a thread.
imgfetch then works in fewer threads, at last in the calling one alone, and more slowly.
"""

from __future__ import annotations

import mmap
import resource
import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

_Item = TypeVar("_Item")


_STACK = 8 * 1024 * 1024
"""Bytes of a thread's stack if they have no limit."""
_RESERVE = 1024 * 1024
"""Bytes that a thread needs beside its stack."""


def start(work: Callable[[], None], name: str) -> threading.Thread | None:
    """Return a thread that does some work, or ``None`` if the system has no thread or no memory left."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        _check_memory()
        thread.start()
    except (RuntimeError, MemoryError, OSError):  # "can't start new thread"
        return None
    return thread


def _check_memory() -> None:
    """Raise ``OSError`` without memory for a thread.

    Python would wait for ever for one that has its stack, but no memory to announce that it has begun.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_STACK)
    stack = _STACK if limit == resource.RLIM_INFINITY else limit
    mmap.mmap(-1, (threading.stack_size() or stack) + _RESERVE).close()


def for_each(
    items: Iterable[_Item],
    function: Callable[[_Item, Callable[[], bool]], None],
    *,
    jobs: int,
    name: str,
    stop: Callable[[], None] = lambda: None,
    grace: float | None = None,
) -> None:
    """Call a function for each item, in the calling thread and up to ``jobs - 1`` others.

    It also receives a function that returns true after a failure in another thread.  No call begins then, and the first
    failure is raised when all have ended, or after ``grace`` seconds.  ``stop`` is called after a failure or a signal,
    to end calls that wait.
    """
    found = list(items)
    waiting, failures, is_over = iter(found), list[BaseException](), threading.Event()

    def work() -> None:
        try:
            for item in waiting:
                if is_over.is_set():
                    return
                function(item, is_over.is_set)
        except BaseException as error:  # noqa: BLE001  # raised below
            failures.append(error)
            is_over.set()
            stop()

    others: list[threading.Thread | None] = []
    try:
        others.extend(start(work, f"{name}-{number}") for number in range(1, min(jobs, len(found))))
        work()
    except BaseException:  # a signal outside of a call
        is_over.set()
        stop()
        raise
    finally:
        _join([thread for thread in others if thread], grace if is_over.is_set() else None)
    if failures:
        raise failures[0]


def _join(started: Iterable[threading.Thread], grace: float | None) -> None:
    """Wait until threads have ended, or for some seconds."""
    end = None if grace is None else time.monotonic() + grace
    for thread in started:
        thread.join(None if end is None else max(0.0, end - time.monotonic()))
