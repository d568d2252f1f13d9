"""Two runs with one cache, against each fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import SCENARIOS
from tests.integration.second_runs.conftest import Servers, Visit, check_second_run


@pytest.mark.parametrize("name", [name for name, scenario in SCENARIOS.items() if not scenario.in_pieces])
def test_no_second_run_fails_that_would_succeed_with_an_empty_cache(
    servers: Servers, visit: Visit, tmp_path: Path, name: str
) -> None:
    check_second_run(servers, visit, tmp_path, name)
