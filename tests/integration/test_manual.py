"""The manual page and the completions work."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from imgfetch.cli.commands import SHELLS
from tests import make_data
from tests.conftest import Run
from tests.tools import tool

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the manual page as a terminal shows it."""
    source = tmp_path_factory.mktemp("manual") / "imgfetch.1"
    subprocess.run([tool("go-md2man"), "-in", ROOT / "docs/imgfetch.1.md", "-out", source], check=True)
    done = subprocess.run(
        [tool("groff"), "-ww", "-man", "-Tutf8", "-P-cbou", source], capture_output=True, check=True, text=True
    )
    assert done.stderr == ""
    return done.stdout


def test_the_manual_page_is_made_and_groff_reads_it(page: str) -> None:
    for text in ("NAME", "--if-changed", "EXIT STATUS", "-o, --output FILE"):
        assert text in page


@pytest.mark.parametrize("mark", [r"--[a-z-]+", r"[A-Z]+_[A-Z_]+"], ids=["option", "variable"])
def test_the_page_loses_nothing_of_its_source(mark: str, page: str) -> None:
    source = (ROOT / "docs/imgfetch.1.md").read_text()
    wanted = set(re.findall(rf"\*\*\$?({mark})", source))
    assert len(wanted) > 20
    assert {name for name in wanted if name not in page.replace("\u2010\n", "-").replace("\u2010", "-")} == set()
    assert not re.search(r"^ *: |\*\*", page, re.MULTILINE), "a description that is not one"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_reads_its_completions(shell: str, run: Run, tmp_path: Path) -> None:
    done = run("completion", shell)
    assert (done.returncode, done.stderr) == (0, b"")
    script = tmp_path / f"imgfetch.{shell}"
    script.write_bytes(done.stdout)
    subprocess.run([tool(shell), "-n", script], capture_output=True, check=True)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", {"save", "digest", "tags", "inspect", "verify", "cache", "completion"}),
        ("save --form", {"--format"}),
        ("save --format ", {"docker", "docker-classic", "oci"}),
        ("cache ", {"dir", "list", "prune"}),
        ("save --base y", {"y.tar"}),
    ],
)
def test_bash_completes(typed: str, offered: set[str], run: Run, tmp_path: Path) -> None:
    (tmp_path / "imgfetch.bash").write_bytes(run("completion", "bash").stdout)
    (tmp_path / "y.tar").touch()
    words = ["imgfetch", *re.split(" ", typed)]
    quoted = " ".join(f'"{word}"' for word in words)
    script = (
        f". ./imgfetch.bash; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; COMP_LINE='imgfetch {typed}'; "
        "COMP_POINT=${#COMP_LINE}; function=$(complete -p imgfetch | sed 's/.*-F \\([^ ]*\\).*/\\1/'); "
        f'$function imgfetch "{words[-1]}" "{words[-2]}"; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run([tool("bash"), "-c", script], cwd=tmp_path, capture_output=True, check=True, text=True)
    found = {line.strip() for line in done.stdout.splitlines()}
    assert offered <= found, done


def test_zsh_and_fish_complete(run: Run, tmp_path: Path) -> None:
    for shell in ("zsh", "fish"):
        (tmp_path / shell).write_bytes(run("completion", shell).stdout)
    load = 'autoload -U compinit; compinit -u -d ./dump; eval "$(cat zsh)"; echo "${_comps[imgfetch]}"'
    ask = 'source fish; complete -C "imgfetch save --for"; complete -C "imgfetch ca"'
    for command, said in (([tool("zsh"), "-fc", load], "_shtab_imgfetch"), ([tool("fish"), "-Nc", ask], "--format")):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, text=True, timeout=60)
        assert said in done.stdout, done


@pytest.mark.parametrize("shell", SHELLS)
def test_the_completions_in_the_wheel_are_those_of_todays_parser(shell: str) -> None:
    committed = make_data.completion_file(shell).read_bytes()
    assert committed == make_data.completion(shell), "run `make data`"


def test_the_manual_page_in_the_wheel_is_that_of_todays_manual() -> None:
    assert make_data.PAGE.read_bytes() == make_data.page(), "run `make data`"


def test_completion_needs_no_library(run: Run, tmp_path: Path) -> None:
    (tmp_path / "shtab.py").write_text("raise ImportError\n")
    done = run("completion", "bash", env={"PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (0, make_data.completion_file("bash").read_bytes())
