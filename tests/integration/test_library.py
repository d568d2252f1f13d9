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
from tests.uploads import UploadRegistry

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
    loopback.add("team/app", "1.5", image(hello("base"), hello("newer app")))
    loopback.add("team/web", "stable", image(hello("base"), hello("web")))
    loopback.answers["/v2/team/app/tags/list"] = Answer(b'{"name": "team/app", "tags": ["1.4"]}')
    assert "registry.example" in code
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with UploadRegistry() as offline:
        code = code.replace("registry.example", loopback.host).replace("offline.example", offline.host)
        exec(compile(code, "block", "exec"), {})  # that is the test
    assert "no archive" not in capsys.readouterr().out


def test_an_archive_for_each_image_is_passed_on_when_it_is_complete_and_returned_in_order(
    loopback: Loopback, tmp_path: Path
) -> None:
    references = [loopback.add(name, "1", image(hello("base"), hello(name))) for name in ("a", "b", "c")]
    broken = f"{loopback.host}/broken:1"
    seen: dict[Path, imgfetch.Saved] = {}

    def note(path: Path, saved: imgfetch.Saved) -> None:
        assert path.stat().st_size == saved.size
        seen[path] = saved

    done = imgfetch.save_each(
        [references[0], broken, *references[1:]],
        tmp_path / "out",
        saved=note,
        platform="linux/amd64",
        keep_going=True,
        patience=imgfetch.RetryPolicy(retries=0),
    )
    assert done.archives == seen
    assert [saved.images[0].references[0].repository for saved in done.archives.values()] == ["a", "b", "c"]
    (failure,) = done.failures
    assert isinstance(failure, imgfetch.NotFoundError)
    with pytest.raises(imgfetch.NotFoundError):
        imgfetch.save_each([*references, broken], str(tmp_path / "other"), platform="linux/amd64")
    assert list((tmp_path / "other").iterdir()) == []
    with pytest.raises(ValueError, match="jobs must be 1 or more"):
        imgfetch.save_each(references, tmp_path / "out", jobs=0)


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
