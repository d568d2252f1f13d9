"""The papers of the project agree with each other and with the code."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

from imgfetch.cli import report
from tests import forms
from tests.unit.test_documents import links
from tests.unit.test_manual import COMMANDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")


def test_the_description_on_an_index_has_no_relative_link() -> None:
    description = SETUP["metadata"]["long_description"].removeprefix("file: ")
    assert list(links((ROOT / description).read_text())) == []


def test_readme_description_and_metadata_begin_with_the_same_sentence() -> None:
    sentence = README.split("\n")[2].partition(".")[0]
    assert sentence.replace("`", "") == SETUP["metadata"]["description"]
    assert sentence in (ROOT / "docs/pypi.md").read_text()


def test_the_classifiers_name_the_versions_of_python_that_the_readme_names() -> None:
    versions = re.findall(r":: (3\.\d+)$", SETUP["metadata"]["classifiers"], re.MULTILINE)
    assert f"Python {', '.join(versions[:-1])} and {versions[-1]}" in README
    assert SETUP["options"]["python_requires"] == f">={versions[0]}"


def test_the_readme_has_every_command_and_every_exit_status() -> None:
    assert {command.split()[0] for command in COMMANDS} == set(re.findall(r"^\| `imgfetch (\w+)", README, re.MULTILINE))
    table = README[README.index("| exit status |") :].partition("\n\n")[0]
    assert {"0", *map(str, report.EXIT_STATUS.values())} <= set(re.findall(r"\d+", table))


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 240, "move details to a page in docs/"


def test_the_tables_of_readers_are_those_that_the_tests_prove() -> None:
    assert forms.short_table() in README, "python -m tests.forms prints it"
    assert forms.table() in (ROOT / "docs/archives.md").read_text(), "python -m tests.forms prints it"
