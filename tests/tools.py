"""Programs that tests need: found, or else the test is skipped, or fails where they are required."""

from __future__ import annotations

import os
import shutil

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
