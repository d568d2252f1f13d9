"""``python -m imgfetch`` in a directory whose files have the names of modules: none of them is executed."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pytest

import imgfetch
from imgfetch.cli import search_path
from tests import tools
from tests.conftest import Run
from tests.images import hello, image
from tests.loopback import Loopback

NAMES = sys.stdlib_module_names | set(importlib.metadata.packages_distributions()) - {"imgfetch"}
TRAP = "open(__file__ + '.executed', 'w').close()\n"


@pytest.fixture
def traps(tmp_path: Path) -> Path:
    """Return a directory with a module of each name that a program may import.

    Some, such as ``importlib``, Python itself imports before any program that it runs with ``-m``.
    """
    directory = tmp_path / "traps"
    directory.mkdir()
    (directory / "empty.py").write_text("import sys; print(*sys.modules)")
    command = [sys.executable, "-m", "empty"]
    done = subprocess.run(command, cwd=directory, capture_output=True, check=True, text=True)
    (directory / "empty.py").write_text(TRAP)
    for name in NAMES - set(done.stdout.split()):
        (directory / f"{name}.py").hardlink_to(directory / "empty.py")
    return directory


def executed(directory: Path) -> list[str]:
    return sorted(path.name.partition(".")[0] for path in directory.glob("*.executed"))


def test_a_trap_is_executed_by_a_program_that_imports_from_the_working_directory(tmp_path: Path) -> None:
    for name in ("json", "tqdm", "zlib"):
        (tmp_path / f"{name}.py").write_text(TRAP)
    subprocess.run([sys.executable, "-c", "import json, tqdm"], cwd=tmp_path, check=True)
    assert executed(tmp_path) == ["json", "tqdm"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version", "-v"],
        ["save", "--help"],
        ["save", "--hlep"],
        ["digest", "REFERENCE"],
        ["save", "REFERENCE", "-o", "y.tar.zst", "--progress", "bar"],
    ],
    ids=" ".join,
)
def test_no_command_executes_a_file_of_the_working_directory(
    loopback: Loopback, run: Run, traps: Path, arguments: list[str]
) -> None:
    reference = loopback.add("a", "1", image(hello()))
    done = run(*(reference if word == "REFERENCE" else word for word in arguments), cwd=traps)
    assert done.returncode == (2 if "--hlep" in arguments else 0), done.stderr
    assert executed(traps) == []


def test_the_installed_command_executes_no_file_of_the_working_directory(traps: Path) -> None:
    command = Path(sysconfig.get_path("scripts")) / "imgfetch"
    if not command.exists():
        tools.missing("imgfetch is not installed as a command")
    subprocess.run([command, "--version", "-v"], cwd=traps, check=True, stdout=subprocess.DEVNULL)
    assert executed(traps) == []


def test_a_checkout_works_without_an_installation(tmp_path: Path) -> None:
    package = shutil.copytree(Path(imgfetch.__file__).parent, tmp_path / "imgfetch")
    (package / "version.py").write_text('VERSION = "0.0.copy"\n')
    command = [sys.executable, "-S", "-m", "imgfetch", "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, text=True)
    assert done.stdout == "imgfetch 0.0.copy\n"


def test_a_program_that_imports_imgfetch_keeps_its_search_path(tmp_path: Path) -> None:
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "__init__.py").write_text("import imgfetch, own\n")
    (tmp_path / "program" / "__main__.py").write_text("import sys; print(sys.path[0])\n")
    (tmp_path / "own.py").touch()
    command = [sys.executable, "-m", "program", "-m", "imgfetch"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, text=True)
    assert done.stdout == f"{tmp_path}\n"


PYTHON, HERE = "/usr/bin/python3", os.getcwd()  # noqa: PTH109


@pytest.mark.parametrize(
    ("command", "arguments", "safe_path", "is_removed"),
    [
        (["-m", "imgfetch", "tags", "x"], ["-m", "tags", "x"], False, True),
        (["-m", "imgfetch"], ["-m"], False, True),
        (["-Bmimgfetch", "tags"], ["-m", "tags"], False, True),
        (["-m", "imgfetch.__main__", "tags"], ["-m", "tags"], False, True),
        (["-P", "-m", "imgfetch", "tags"], ["-m", "tags"], True, False),
        (["-m", "notimgfetch", "tags"], ["-m", "tags"], False, False),
        (["-Bmnotimgfetch"], ["-m"], False, False),
        (["-m", "program", "imgfetch"], ["-m", "imgfetch"], False, False),
        (["-m", "program", "-m", "imgfetch"], ["-m", "-m", "imgfetch"], False, False),
        (["/usr/bin/imgfetch", "tags"], ["/usr/bin/imgfetch", "tags"], False, False),
        (["-c", "import imgfetch"], ["-c"], False, False),
        ([], [""], False, False),
        ([], [], False, False),
    ],
    ids=str,
)
def test_the_working_directory_is_removed_only_for_imgfetch_itself(
    monkeypatch: pytest.MonkeyPatch, command: list[str], arguments: list[str], *, safe_path: bool, is_removed: bool
) -> None:
    monkeypatch.setattr(sys, "orig_argv", [PYTHON, *command])
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setattr(sys, "flags", SimpleNamespace(safe_path=safe_path))
    monkeypatch.setattr(sys, "path", [HERE, HERE, "/usr/lib/python3"])
    search_path.leave_out_the_working_directory()
    assert sys.path == [HERE, HERE, "/usr/lib/python3"][is_removed:]


def test_another_first_directory_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "orig_argv", [PYTHON, "-m", "imgfetch"])
    monkeypatch.setattr(sys, "argv", ["-m"])
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()  # Python then adds nothing, so the first directory is the user's
    monkeypatch.setattr(sys, "path", ["/usr/share/plugins"])
    search_path.leave_out_the_working_directory()
    assert sys.path == ["/usr/share/plugins"]
