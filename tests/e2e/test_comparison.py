"""The README's comparison table says what the installed tools do."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import comparison
from tests.tools import tool

README = (Path(__file__).parents[2] / "README.md").read_text()
NAMES = ("imgfetch", "docker", "podman", "skopeo", "crane")


def table() -> Mapping[str, Mapping[str, str]]:
    """Return the table's cells by claim and tool."""
    heading, _, *rows = re.findall(
        r"^\|.*\|$", README[README.index("## Why not") :].partition("\n\n#")[0], re.MULTILINE
    )
    assert tuple(cell.split()[0] for cell in heading.split("|")[2:-1]) == NAMES
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    return {claim: dict(zip(NAMES, answers, strict=True)) for claim, *answers in cells}


TABLE = table()


def expected(cell: str, version: str) -> str:
    """Return what a cell such as ``no`` or ``4.3: no, 5.8: yes`` says of a version, or nothing."""
    by_version = dict(re.findall(r"([\d.]+): (\w+)", cell))
    if not by_version:
        return cell if f" {version.partition('+')[0]}" in README or not version else ""
    return next((answer for known, answer in by_version.items() if version.startswith(f"{known}.")), "")


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("t")  # podman takes no more than 50 characters


@pytest.fixture
def saver(name: str, directory: Path, request: pytest.FixtureRequest) -> comparison.Tool:
    if name == "imgfetch":
        return comparison.imgfetch(directory)
    if name == "docker":
        return comparison.docker(request.getfixturevalue("docker"))
    if name == "crane" and not shutil.which(name):
        pytest.skip("crane is not installed")  # Debian 12 has none, so its column was measured by hand
    return getattr(comparison, name)(tool(name), directory)


def test_every_measured_claim_is_a_row_of_the_table() -> None:
    assert list(comparison.CLAIMS) == list(TABLE)[: len(comparison.CLAIMS)]


@pytest.mark.parametrize("claim", comparison.CLAIMS)
@pytest.mark.parametrize("name", NAMES)
def test_the_table_says_what_a_tool_does(name: str, claim: str, saver: comparison.Tool, directory: Path) -> None:
    version = saver.version.partition(" ")[2]
    answer = expected(TABLE[claim][name], version)
    if not answer:
        pytest.skip(f"{saver.version} is not in the table")
    assert ("yes" if comparison.CLAIMS[claim](saver, directory) else "no") == answer
