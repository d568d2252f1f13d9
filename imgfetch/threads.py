"""Threads, as many as the system has.

A container's limit of processes, an old seccomp profile, or a limit of memory can leave a process without a thread.
imgfetch then works in fewer threads, at last in the calling one alone, and more slowly.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

_Item = TypeVar("_Item")


def start(work: Callable[[], None], name: str) -> threading.Thread | None:
    """Return a thread that does some work, or ``None`` if the system has no thread left."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except (RuntimeError, MemoryError):  # "can't start new thread"
        return None
    return thread


def for_each(
    items: Iterable[_Item],
    function: Callable[[_Item, Callable[[], bool]], None],
    *,
    jobs: int,
    name: str,
    stop: Callable[[], None] = lambda: None,
) -> None:
    """Call a function for each item, in the calling thread and up to ``jobs - 1`` others.

    It also receives a function that returns true after a failure in another thread.  No call begins then, and the first
    failure is raised when all have ended.  ``stop`` is called after a failure or a signal, to end calls that wait.
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
        for thread in filter(None, others):
            thread.join()
    if failures:
        raise failures[0]
