"""Help, usage errors, and suggestions."""

from __future__ import annotations

import argparse
import re
import shlex

import pytest

from imgfetch.cli import parser
from imgfetch.cli.commands import COMMANDS, TREE
from imgfetch.cli.examples import EXAMPLES

HIDDEN = {"--password"}


def helped(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the help of a command, as a terminal of 80 columns shows it."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match=r"^0$"):
        parser.parse([*name.split(), "--help"])
    return capsys.readouterr().out


def refused(line: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines of a usage error."""
    with pytest.raises(SystemExit, match=r"^2$"):
        parser.parse(shlex.split(line))
    said = capsys.readouterr()
    assert said.out == ""
    return said.err.splitlines()


@pytest.mark.parametrize("name", TREE)
def test_help_fits_a_terminal_and_ends_with_three_examples_and_the_manual(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = helped(name, capsys, monkeypatch)
    assert text.isascii()
    head, examples = text.split("\nexamples:\n")
    assert all(len(line) <= 80 for line in text.splitlines() if not line.startswith("If man"))
    assert head.startswith(f"usage: {f'imgfetch {name}'.strip()}")
    assert len(re.findall(r"^  (?!#).*imgfetch", examples, re.MULTILINE)) == len(EXAMPLES[name]) == 3
    assert "\n\nEnvironment variables and exit statuses: man imgfetch" in examples
    assert "IMGFETCH_JOBS" not in text


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_every_option_in_a_group_with_a_title(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = helped(name, capsys, monkeypatch)
    for group in COMMANDS[name].groups:
        section = re.search(rf"^{group.title}:\n((?:  .*\n)+)", text, re.MULTILINE)
        assert section
        for option in group.options:
            if option.help not in ("", argparse.SUPPRESS) and option.names[0].startswith("-"):
                assert re.search(rf"^  {', '.join(option.names)}\b", section[1], re.MULTILINE)


@pytest.mark.parametrize("command", [command for examples in EXAMPLES.values() for _, command in examples])
def test_every_example_is_a_command_that_the_parser_accepts(command: str) -> None:
    words = shlex.split(
        re.sub(r".*imgfetch (.*?)(?: [|<>].*|\)\"?)?$", r"\1", command.replace("$(cat images.lock)", ""))
    )
    assert parser.parse(words).command in COMMANDS


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("pull x", "unknown command 'pull'; did you mean 'save'?"),
        ("download x", "unknown command 'download'; did you mean 'save'?"),
        ("load -i x.tar", "unknown command 'load'; to load an archive, run: docker load -i FILE"),
        ("insepct x", "unknown command 'insepct'; did you mean 'inspect'?"),
        ("quay.io/x/y", "unknown command 'quay.io/x/y'"),
        ("cache lst", "unknown command 'lst'; did you mean 'list'?"),
        ("save --plattform linux/amd64,linux/arm64 x", "unknown option '--plattform'; did you mean '--platform'?"),
        ("save x --plat linux/amd64", "unknown option '--plat'; did you mean '--platform'?"),
        ("--verison", "unknown option '--verison'; did you mean '--version'?"),
        ("verify y.tar --qiuet", "unknown option '--qiuet'; did you mean '--quiet'?"),
        ("save x --xyzzy=SECRET", "unknown option '--xyzzy'"),
        ("save x -pSECRET", "unknown option '-p'"),
        ("save x --passwords=SECRET", "unknown option '--passwords'; did you mean '--password-stdin'?"),
        ("save x -q y", "unexpected argument 'y'; put all arguments before the options, or all after them"),
        ("save x -j 0", "-j/--jobs: must be between 1 and 64, not '0'"),
        ("save x -j 007", "-j/--jobs: must be a plain decimal number between 1 and 64, not '007'"),
    ],
)
def test_a_usage_error_is_two_lines_and_suggests_what_was_meant(
    line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error, hint = refused(line, capsys)
    assert error == f"imgfetch: error: {said}"
    name = next((name for name in sorted(TREE, reverse=True) if name and line.startswith(f"{name} ")), "")
    assert hint == f"Try '{f'imgfetch {name}'.strip()} --help'"


@pytest.mark.parametrize("line", ["save -- --plattform", "save --name '--no such' x"])
def test_a_word_that_cannot_be_an_option_is_not_taken_for_a_misspelt_one(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "unknown option" not in refused(line, capsys)[0]


@pytest.mark.parametrize("name", ["", "cache"])
def test_no_command_gives_an_overview(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = parser.parse(name.split())
    assert not arguments.command
    with pytest.raises(SystemExit, match=r"^2$"):
        arguments.parser.overview()
    said = capsys.readouterr()
    assert said.out == ""
    assert "\nexamples:\n" in said.err
    prog = f"imgfetch {name}".strip()
    assert said.err.splitlines()[-1] == f"imgfetch: error: no command given; see {prog} --help"
