from __future__ import annotations

from collections.abc import Iterator

import pytest
import responses

from imgfetch.http.client import HttpClient
from imgfetch.tolerance import Oddities


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    """Answer requests, all of which must come."""
    with responses.RequestsMock(assert_all_requests_are_fired=True) as wire:
        yield wire


@pytest.fixture
def transport() -> Iterator[HttpClient]:
    transport = HttpClient(oddities=Oddities(), user_agent="imgfetch/test")
    yield transport
    transport.close()
