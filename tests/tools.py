"""Things of the machine that tests need: programs, without which a test is skipped or fails, and a umask."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

REQUIRE = "IMGFETCH_REQUIRE_TOOLS"


def missing(what: str) -> None:
    """Skip the test for want of ``what``, or fail it where ``IMGFETCH_REQUIRE_TOOLS`` is set."""
    if os.environ.get(REQUIRE):
        pytest.fail(f"{what}, and {REQUIRE} is set", pytrace=False)
    pytest.skip(what)


def tool(name: str) -> str:
    """Return a program's path."""
    path = shutil.which(name)
    if path is None:
        missing(f"{name} is not installed")
    return str(path)


def root() -> None:
    """Need to be root."""
    if os.geteuid() != 0:
        missing("root is needed")


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def in_time(seconds: int) -> Iterator[None]:
    """Fail where a call waits for ever, as the opening of a pipe may."""

    def stop(*_: object) -> None:
        raise AssertionError(f"it waits for more than {seconds} s")

    # Not SIGALRM, which the command uses itself.
    before = signal.signal(signal.SIGUSR1, stop)
    timer = threading.Timer(seconds, signal.pthread_kill, (threading.get_ident(), signal.SIGUSR1))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGUSR1, before)


@contextmanager
def stdin_from(descriptor: int) -> Iterator[None]:
    """Let stdin be an open file, which is closed."""
    before = os.dup(0)
    os.dup2(descriptor, 0)
    os.close(descriptor)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


@contextmanager
def stdin_of(content: bytes) -> Iterator[None]:
    """Let stdin be a pipe with this content."""
    end, other = os.pipe()

    def write() -> None:
        with os.fdopen(other, "wb") as pipe:
            pipe.write(content)

    thread = threading.Thread(target=write)
    thread.start()
    with stdin_from(end):
        yield
    thread.join()
