"""`make bench` runs, with images too small for its figures to mean anything."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.patches import NEWEST, OLD, archive
from tests.tools import tool

CASES = ["floor", "blob", "mirrors", "layers", "start", "growth-layers"]


def test_the_benchmark_measures_its_cases_and_writes_its_page(tmp_path: Path) -> None:
    tool("docker-registry")
    tool("curl")
    _run(tmp_path, "--quick", *(f"--case={name}" for name in CASES))
    cases = {case["name"]: case for case in json.loads((tmp_path / "all.json").read_text())["cases"]}
    assert list(cases) == CASES
    assert all("imgfetch" in case["runs"] or case["sizes"] for case in cases.values())
    assert [goal["got"] is not None for name in ("floor", "mirrors", "start") for goal in cases[name]["goals"]] == [
        True
    ] * 3
    page = (tmp_path / "benchmarks.md").read_text()
    assert all(f"\n## `{name}`\n" in page for name in CASES)
    assert ET.fromstring((tmp_path / "benchmarks.svg").read_text()).tag.endswith("svg")


def test_the_benchmark_of_patches_writes_its_section_and_leaves_the_others(tmp_path: Path) -> None:
    tool("docker-registry")
    for version, built in (("old", OLD), ("new", NEWEST)):
        path = tmp_path / "images" / f"01-{version}.tar"
        path.parent.mkdir(exist_ok=True)
        archive(built, path, name=f"registry.example/two-small-packages:{version}")
    page = tmp_path / "benchmarks.md"
    page.write_text("# Benchmarks\n\n## `cold`\n\n## Notes\n\n- One.\n")
    for _ in range(2):
        _run(tmp_path, "--patches", "1", "--rounds", "1", "--images", tmp_path / "images")
    (pair,) = json.loads((tmp_path / "all.json").read_text())["pairs"]
    assert pair["is_identical"]
    assert 0 < pair["patch"] < pair["base"] < pair["size"]
    assert list(pair["runs"]) == ["save", "make", "apply", "apply, compressed", "verify"]
    assert re.findall("^## .*", page.read_text(), re.MULTILINE) == ["## `cold`", "## Patches", "## Notes"]
    assert ET.fromstring((tmp_path / "benchmarks-patches.svg").read_text()).tag.endswith("svg")


def _run(directory: Path, *options: str | Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "--scratch", directory, "--docs", directory, *options]
    done = subprocess.run(
        [*command, "--json", directory / "all.json"], capture_output=True, check=False, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
