"""docs/imgfetch.1.md says all that may be said on the command line, and nothing else."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgfetch.cli import commands, parser, report

ROOT = Path(__file__).parents[2]
MANUAL = (ROOT / "docs" / "imgfetch.1.md").read_text()
UNDOCUMENTED = {"PATH", "TERM", "REQUEST_METHOD"}
SECTIONS = dict(re.findall(r"^#{1,2} (.+)\n((?:(?!#).*\n?)*)", MANUAL, re.MULTILINE))
SHARED = SECTIONS["REGISTRY OPTIONS"]
HIDDEN = {"--password", "-h", "--help"}


def parsers(top: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    commands = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    for action in commands:
        for word, command in action.choices.items():
            yield from parsers(command, f"{name} {word}".strip())
    if name and not commands:
        yield name, top


COMMANDS = dict(parsers(parser.parser()))


def described(text: str) -> set[str]:
    """Return the options that a section has an entry for."""
    entries = re.findall(r"^(\*\*-.*)\n: ", text, re.MULTILINE)
    return {option for entry in entries for option in re.findall(r"\*\*(--?[\w-]+)\*\*", entry)}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_in_the_manual(command: str) -> None:
    given = {name for action in COMMANDS[command]._actions for name in action.option_strings} - HIDDEN
    assert given <= described(SECTIONS[command]) | described(SHARED)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_manual_has_no_option_that_does_not_exist(command: str) -> None:
    assert described(SECTIONS[command]) <= set(COMMANDS[command]._option_string_actions)


def test_every_command_is_in_the_synopsis() -> None:
    named = re.findall(r"^\*\*imgfetch (\w+)", SECTIONS["SYNOPSIS"], re.MULTILINE)
    assert named == list(dict.fromkeys(command.split()[0] for command in COMMANDS))


def test_shared_options_are_those_of_every_command_that_asks_a_registry() -> None:
    shared = described(SECTIONS["REGISTRY OPTIONS"])
    for command in ("save", "digest", "tags", "inspect"):
        assert shared <= set(COMMANDS[command]._option_string_actions)


def test_every_variable_and_every_exit_status_is_in_the_manual() -> None:
    variables = {option.variable for command in commands.COMMANDS.values() for option in command.all_options} - {""}
    assert "SOURCE_DATE_EPOCH" in variables
    code = "".join(path.read_text() for path in (ROOT / "imgfetch").rglob("*.py"))
    variables |= set(re.findall(r'environ(?:ment)?\.get\("([A-Z_]+)"', code)) - UNDOCUMENTED
    for variable in variables:
        assert f"**{variable}**\n: " in SECTIONS["ENVIRONMENT"]  # go-md2man loses a term of several lines
    for status in {0, *report.EXIT_STATUS.values()}:
        assert re.search(rf"^{status}$", SECTIONS["EXIT STATUS"], re.MULTILINE)
