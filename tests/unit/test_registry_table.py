"""Each cell of docs/registry-table.md has evidence, and each behaviour that it names has a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import transcripts
from tests.faults import SCENARIOS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/registry-table.md").read_text()
CODE = "\n".join(path.read_text() for path in sorted((ROOT / "tests").rglob("test_*.py")))
REPLAYED = (ROOT / "tests/unit/registry/test_transcripts.py").read_text()
PARTS = ["challenge", "realm", "token", "redirects", "oddities"]
HOSTS = (
    *("dkr.ecr", "public.ecr.aws", "docker.pkg.dev", "gcr.io", "ghcr.io", "azurecr.io", "docker.io", "dhi.io"),
    *("quay.io", "registry.gitlab.com", "registry.k8s.io", "mcr.microsoft.com", "registry.redhat.io"),
    *("registry.connect.redhat.com", "nvcr.io", "ocir.io", "scw.cloud", "registry.digitalocean.com"),
    *("myhuaweicloud.com", "aliyuncs.com", "tencentyun.com"),
)
PREMISES = ["Harbor", "Artifactory", "Nexus", "Gitea", "Zot"]

Row = list[str]


def rows(section: str) -> list[Row]:
    """Return the rows of a section's table, without its head."""
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines[2:]]


*SECTIONS, LAST = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
CELLS = {section.partition("\n")[0]: rows(section) for section in SECTIONS}
BEHAVIOURS = {row[0].strip("`"): row for row in rows(LAST)}


@pytest.mark.parametrize("registry", CELLS)
def test_each_registry_has_all_parts_with_evidence(registry: str) -> None:
    assert [row[0] for row in CELLS[registry]] == PARTS
    for _, fact, _, evidence in CELLS[registry]:
        mark, _, source = evidence.removeprefix("*").partition("*")
        named = {
            "recorded": re.fullmatch(r": `([\w-]+)\.json`", source),
            "documented": re.fullmatch(r": .*([\w.-]+/[\w.-]+#\d+|`[\w./-]+` of \w|\]\(\S+\)).*", source),
            "assumed": re.fullmatch("", source),
        }
        assert named[mark], evidence
        assert fact


def test_a_recorded_cell_names_a_recorded_pull() -> None:
    assert set(re.findall(r"`([\w-]+)\.json`", TEXT)) <= set(transcripts.NAMES)


def test_the_registries_that_people_use_are_in_the_table() -> None:
    assert [host for host in HOSTS if host not in "".join(SECTIONS)] == []
    assert set(PREMISES) <= set(CELLS)


def test_the_behaviours_of_the_cells_are_exactly_those_that_have_tests() -> None:
    used = {name for cells in CELLS.values() for row in cells for name in re.findall(r"`([\w-]+)`", row[2])}
    assert used == set(BEHAVIOURS)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_the_test_of_a_behaviour_exists_and_replays_a_recording_if_it_says_so(behaviour: str) -> None:
    _, server, kind, test = BEHAVIOURS[behaviour]
    name = test.strip("`")
    assert server
    assert name in SCENARIOS or re.search(rf"^def {name}\(", CODE, re.MULTILINE)
    assert kind in ("recorded", "synthetic")
    assert kind == "synthetic" or f"def {name}(" in REPLAYED
