"""A real registry with the referrers API, which docker-registry lacks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import requests

from tests import debs
from tests.engines import RealRegistry, daemon, free_port
from tests.oracle.program import built

_SOURCES = "usr/share/gocode/src"


@contextlib.contextmanager
def with_referrers(directory: Path) -> Iterator[RealRegistry]:
    """Start go-containerregistry's registry, which keeps everything in memory."""
    packages = debs.unpacked(*debs.GO_CONTAINERREGISTRY) / _SOURCES
    program = built([Path(__file__).with_name("referrers.go")], packages)
    host = f"127.0.0.1:{free_port()}"

    def is_up() -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"http://{host}/v2/", timeout=5).status_code == requests.codes.ok
        return False

    with daemon([program, host], directory / "referrers.log", is_up):
        yield RealRegistry(host, directory, f"http://{host}")
