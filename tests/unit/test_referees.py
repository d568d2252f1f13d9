"""Images of the fault registry that another client got: imgfetch gets them, or a written rule says why not."""

from __future__ import annotations

from pathlib import Path

from tests.faults import SCENARIOS
from tests.referees import recorded
from tests.unit.test_documents import slugs

VERSIONS, EXITS = recorded()  # a test in tests/e2e expects it to be whole
REFUSED = {name: scenario for name, scenario in SCENARIOS.items() if scenario.status}
RULES = {name: scenario.rule for name, scenario in SCENARIOS.items() if scenario.rule}


def getters(name: str) -> list[str]:
    """Return the clients that got an image."""
    return [client for client, status in EXITS.get(name, {}).items() if status == 0]


def test_an_image_that_another_client_gets_is_refused_by_a_written_rule_only() -> None:
    got = {name: getters(name) for name in REFUSED if getters(name)}
    assert got.keys() == RULES.keys()


def test_each_rule_is_a_heading_and_the_message_of_its_scenario_is_known() -> None:
    headings = slugs((Path(__file__).parents[2] / "docs" / "registries.md").read_text())
    assert set(RULES.values()) <= headings
    assert all(SCENARIOS[name].says for name in RULES)


def test_each_client_gets_the_good_image_and_some_fault_divides_them() -> None:
    assert getters("good") == sorted(VERSIONS)
    assert {tuple(getters(name)) for name in EXITS} > {("crane",), ("docker", "docker-20.10"), ()}
