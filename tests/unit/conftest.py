from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgfetch.http.client import HttpClient
from imgfetch.registry.client import Registry
from imgfetch.store.blobs import BlobStore
from imgfetch.tolerance import Tolerance
from tests.stories import Log
from tests.wire import HOST, Wire


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Answer requests, all of which must come."""
    with Wire(assert_all_requests_are_fired=True) as wire:
        yield wire


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry(HOST) as registry:
        yield registry


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    return Log(caplog)


@pytest.fixture
def transport() -> Iterator[HttpClient]:
    transport = HttpClient(tolerance=Tolerance())
    yield transport
    transport.close()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Return a port at which nobody listens, and which nobody else gets."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return the directory of the store."""
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> BlobStore:
    return BlobStore(root)
