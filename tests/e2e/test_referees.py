"""A sample of the recorded results of other clients with the fault registry is still right."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.faults import SCENARIOS
from tests.modern import Tree
from tests.referees import WORKERS, ready, recorded
from tests.tools import missing

SAMPLE = (
    *("good", "f03-untrusted", "f10g-scheme", "f12-relative", "f14-two", "f18b-null", "f21-json", "f23-no-digest"),
    *("f28-404", "f31-429", "f40-label", "f42-chunked", "f55-relative", "f61-diff-id", "x14-manifest", "x20-hints"),
    *("c10-404", "c11-domain", "c12-sso", "c14-partner"),
)
"""Scenarios without long waits, in which the clients differ from each other and from imgfetch."""


def test_every_scenario_was_tried_by_every_client() -> None:
    versions, exits = recorded()
    tried = {name for name, results in exits.items() if results.keys() == versions.keys()}
    assert set(SCENARIOS) - tried == set(), "python -m tests.referees records them"


def test_the_clients_do_what_the_record_says(modern: Tree) -> None:
    versions, exits = recorded()
    with ready(modern) as referees, ThreadPoolExecutor(WORKERS) as pool:
        found = {name: client.version for name, client in referees.clients.items()}
        if found != versions:
            missing(f"the record is of {versions}, not of {found}: python -m tests.referees records it anew")
        assert dict(zip(SAMPLE, pool.map(referees.results, SAMPLE), strict=True)) == {n: exits[n] for n in SAMPLE}
