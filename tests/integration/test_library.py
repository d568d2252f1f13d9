"""The blocks of docs/library.md and of the README run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
