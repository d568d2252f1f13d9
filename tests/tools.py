"""Things of the machine that tests need: programs, without which a test is skipped or fails, and a umask."""

from __future__ import annotations

import os
import shutil
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
