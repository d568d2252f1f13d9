"""The blocks of docs/library.md and of the README run, and a type checker knows the public names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import imgfetch
from tests.images import hello, image
from tests.loopback import Answer, Loopback

DOCS = Path(__file__).parents[2]


def blocks(name: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (DOCS / name).read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", blocks("docs/library.md") + blocks("README.md"))
def test_a_block_runs(
    code: str,
    loopback: Loopback,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    loopback.add("team/app", "1.4", image(hello("base"), hello("app")))
    loopback.add("team/web", "stable", image(hello("base"), hello("web")))
    loopback.answers["/v2/team/app/tags/list"] = Answer(b'{"name": "team/app", "tags": ["1.4"]}')
    assert "registry.example" in code
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    exec(compile(code.replace("registry.example", loopback.host), "block", "exec"), {})  # that is the test
    assert "no archive" not in capsys.readouterr().out


def test_a_misspelt_import_fails_the_type_check_and_no_other(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    right = [f"from imgfetch import {name} as _{number}" for number, name in enumerate(imgfetch.__all__)]
    wrong = ["from imgfetch import svae", "import imgfetch", "imgfetch.dry_rnu"]
    code = tmp_path / "code.py"
    code.write_text("\n".join([*right, *wrong]))
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", code]
    done = subprocess.run(command, cwd=DOCS, capture_output=True, check=False, text=True)
    found = [int(line.split(":")[1]) for line in done.stdout.splitlines()]
    assert found == [len(right) + 1, len(right) + 3], done.stdout
