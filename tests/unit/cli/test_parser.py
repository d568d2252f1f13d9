"""Help, usage errors, and suggestions."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from imgfetch.cli import parser
from imgfetch.cli.commands import COMMANDS, TREE
from imgfetch.cli.examples import EXAMPLES
from imgfetch.oci.reference import Reference

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
        ("quay.io/x/y -o y", "unknown command 'quay.io/x/y'; did you mean 'imgfetch save quay.io/x/y'?"),
        ("alpine:3.20", "unknown command 'alpine:3.20'; did you mean 'imgfetch save alpine:3.20'?"),
        ("cache lst", "unknown command 'lst'; did you mean 'list'?"),
        ("save --plattform linux/amd64,linux/arm64 x", "unknown option '--plattform'; did you mean '--platform'?"),
        ("save x --plat linux/amd64", "unknown option '--plat'; did you mean '--platform'?"),
        ("--verison", "unknown option '--verison'; did you mean '--version'?"),
        ("verify y.tar --qiuet", "unknown option '--qiuet'; did you mean '--quiet'?"),
        ("save x --xyzzy=SECRET", "unknown option '--xyzzy'"),
        ("save x -pSECRET", "unknown option '-p'; pass a password with --password-stdin"),
        ("login -u robot -p SECRET", "unknown option '-p'; pass a password with --password-stdin"),
        ("save x --passwords=SECRET", "unknown option '--passwords'; did you mean '--password-stdin'?"),
        ("help", "unknown command 'help'; did you mean '--help'?"),
        ("help save", "unknown command 'help'; did you mean '--help'?"),
        ("diff a.tar b.tar", "unknown command 'diff'; did you mean 'patch'?"),
        ("upload a.tar x", "unknown command 'upload'; did you mean 'push'?"),
        ("cache list x", "unexpected argument 'x'"),
        ("inspect x y", "unexpected argument 'y'"),
        ("save x -q Y", "REF: invalid reference 'Y': the repository 'Y' must be lower-case"),
        ("save x -q y -pSECRET", "unknown option '-p'; pass a password with --password-stdin"),
        ("digest x --limit-rate 8M", "unknown option '--limit-rate'; it is an option of imgfetch save"),
        (
            "--cache-size 8M save x",
            "unknown option '--cache-size'; it is an option of imgfetch save, to be written after the command",
        ),
        (
            "--output-dir=x save x",
            "unknown option '--output-dir'; it is an option of imgfetch save, to be written after the command",
        ),
        (
            "tags x --platform arm64",
            "unknown option '--platform'; it is an option of imgfetch save, digest, inspect and verify",
        ),
        ("inspect x -o y", "unknown option '-o'; it is an option of imgfetch save, digest, patch and apply"),
        (
            "cache prune -q",
            "unknown option '-q'; it is an option of imgfetch save, digest, verify, push, patch and apply",
        ),
        (
            "save x --limit-rate ten",
            "--limit-rate: must be a number of bytes a second, such as 500k or 10M, not 'ten'",
        ),
        ("save localhost:5000", "REF: 'localhost:5000' is only a registry; write localhost:5000/REPOSITORY"),
        ("tags 127.0.0.1:5000/", "REPOSITORY: '127.0.0.1:5000/' is only a registry; write 127.0.0.1:5000/REPOSITORY"),
        ("inspect [::1]:5000", "REF|FILE: '[::1]:5000' is only a registry; write [::1]:5000/REPOSITORY"),
        ("tags app.tar", "REPOSITORY: 'app.tar' looks like a file, not an image"),
        ("save x -output y.tar", "unknown option '-output'; did you mean '--output'?"),
        ("save x -username=SECRET", "unknown option '-username'; did you mean '--username'?"),
        ("save x -oy -images=list", "unknown option '-images'; did you mean '--images'?"),
        ("-V", "unknown option '-V'; did you mean '--version'?"),
        ("save x --b\u00e4", "unknown option '--b\u00e4'"),
        ("list", "unknown command 'list'; did you mean 'tags' or 'cache list'?"),
        ("check y.tar", "unknown command 'check'; did you mean 'verify'?"),
        ("version", "unknown command 'version'; did you mean '--version'?"),
        ("copy y.tar", "unknown command 'copy'; to copy between registries, run: skopeo copy"),
        ("cache rm", "unknown command 'rm'; did you mean 'cache prune'?"),
        ("save x --format ocy", "--format: must be one of docker, docker-classic, oci, not 'ocy'; did you mean 'oci'?"),
        ("save x --layers=plan", "--layers: must be one of original, plain, not 'plan'; did you mean 'plain'?"),
        ("save x --layers xyz", "--layers: must be one of original, plain, not 'xyz'"),
        (
            "save x --progress bars",
            "--progress: must be one of auto, bar, plain, json, none, not 'bars'; did you mean 'bar'?",
        ),
        ("completion bsh", "SHELL: must be one of bash, zsh, fish, not 'bsh'; did you mean 'bash'?"),
        (
            "verify y.tar x --platform amd46",
            (
                "--platform: not a valid platform: 'amd46'; did you mean 'amd64'? (write OS/ARCH[/VARIANT], such as "
                "linux/arm64 or linux/arm/v7)"
            ),
        ),
        ("save x -j 0", "-j/--jobs: must be between 1 and 64, not '0'"),
        ("completion", "the following arguments are required: SHELL"),
        ("save x -j 007", "-j/--jobs: must be a plain decimal number between 1 and 64, not '007'"),
    ],
)
def test_a_usage_error_is_two_lines_and_suggests_what_was_meant(
    line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error, hint = refused(line, capsys)
    assert error == f"imgfetch: error: {said}"
    name = next((name for name in sorted(TREE, reverse=True) if name and f"{line} ".startswith(f"{name} ")), "")
    assert hint == f"Try '{f'imgfetch {name}'.strip()} --help'"


def test_a_short_option_before_the_command_belongs_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    error, hint = refused("-q save x", capsys)
    assert error.startswith("imgfetch: error: unknown option '-q'; it is an option of imgfetch save, ")
    assert error.endswith(" and apply, to be written after the command")
    assert hint == "Try 'imgfetch save --help'"


@pytest.mark.parametrize("name", ["images.txt", "lists/images.txt", "./images.txt", "/images.txt"])
def test_a_list_without_its_option_is_refused_before_any_request(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists").mkdir()
    for path in ("images.txt", "lists/images.txt", "alpine"):
        (tmp_path / path).touch()
    name = str(tmp_path / "images.txt") if name.startswith("/") else name
    for command in ("save", "digest"):
        error, _ = refused(f"{command} alpine {name} -o y", capsys)
        assert f"'{name}' is a file here; did you mean -i '{name}'?" in error
    (tmp_path / "alpine.tar").touch()
    assert (
        "'alpine.tar' looks like a file, not an image; to write it, use -o 'alpine.tar'"
        in refused("save alpine alpine.tar", capsys)[0]
    )
    assert parser.parse(["verify", "y.tar", name]).wanted == [name]
    for image in ("alpine", "docker.io/library/images.txt", "images.md", "images.txt:1"):
        assert parser.parse(["save", image]).references == [Reference.parse(image)]


@pytest.mark.parametrize("line", ["verify y.tar -q a b", "verify y.tar a -q b", "verify -q y.tar --platform arm64 a b"])
def test_arguments_may_come_before_and_after_the_options(line: str) -> None:
    arguments = parser.parse(line.split())
    assert (arguments.file, list(map(str, arguments.wanted))) == (
        "y.tar",
        ["docker.io/library/a:latest", "docker.io/library/b:latest"],
    )


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
