"""Two runs with one cache, against each fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import SCENARIOS
from tests.integration.second_runs.conftest import Servers, Visit, forget, return_to, state_of


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_second_run_fails_that_would_succeed_with_an_empty_cache(
    servers: Servers, visit: Visit, tmp_path: Path, name: str
) -> None:
    kept = tmp_path / "kept"
    forget(servers)
    first = visit(name, kept)
    assert bool(first) == bool(SCENARIOS[name].status), first
    later, control = state_of(servers), visit(name, tmp_path / "empty")
    return_to(later)
    assert not (failure := visit(name, kept)) or control, failure
    forget(servers)
    assert not (failure := visit(name, kept)) or first, failure
