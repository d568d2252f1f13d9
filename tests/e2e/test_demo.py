"""The demo, and the image that it saves."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.make_fixtures import HELLO, TEXT, hello_image, program, write_layout
from tests.readers import Docker
from tests.tools import tool

PROJECT = Path(__file__).parents[2]


def demo(output: Path, **environment: str) -> str:
    """Run the demo in an empty home directory, and return what it prints."""
    home = output.parent / f"home-of-{output.name}"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **environment}
    command = [sys.executable, "-m", "tests.demo", str(output)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=120, cwd=PROJECT, env=environment)
    return done.stdout.decode()


def test_the_demo_saves_its_image_and_shows_what_it_holds(tmp_path: Path) -> None:
    output = tmp_path / "demo.tar"
    shown = demo(output, TZ="UTC")
    built = hello_image()
    assert any(f"blobs/sha256/{child.digest[7:]}" in shown for child in built.children)
    assert "docker load -i demo.tar" in shown
    listing = subprocess.run([tool("tar"), "-tvf", output], capture_output=True, check=True, env={"TZ": "UTC"})
    assert f"$ tar -tvf {output}\n{listing.stdout.decode()}" in shown


def test_two_demos_write_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first.tar", tmp_path / "second.tar"
    demo(first)
    demo(second)
    assert first.read_bytes() == second.read_bytes()


def test_the_demo_needs_no_library_of_the_tests(tmp_path: Path) -> None:
    for name in ("hypothesis", "pytest", "responses", "shtab"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError({name!r})\n")
    demo(tmp_path / "demo.tar", PYTHONPATH=str(tmp_path))


def make_demo(tmp_path: Path, change: str = "") -> subprocess.CompletedProcess[str]:
    """Run `make demo` without packages, with a Python that is changed by a statement."""
    (tmp_path / "sitecustomize.py").write_text(f"import sys\n{change}\n")
    (tmp_path / "python3.x").write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    (tmp_path / "python3.x").chmod(0o755)
    command = [tool("make"), "demo", f"PYTHON={tmp_path}/python3.x", f"VENV={tmp_path}/venv"]
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    outer |= {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    return subprocess.run(command, capture_output=True, check=False, timeout=120, cwd=PROJECT, env=outer, text=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("sys.version_info = (3, 10, 13, 'final', 0)", "imgfetch needs Python 3.11 or later, and "),
        ("sys.modules['ensurepip'] = None", "on Debian and Ubuntu: apt install python3-venv"),
    ],
    ids=["old Python", "no ensurepip"],
)
def test_make_demo_with_a_python_that_lacks_something_ends_with_one_sentence_and_leaves_nothing(
    tmp_path: Path, change: str, said: str
) -> None:
    done = make_demo(tmp_path, change)
    assert done.returncode == 2
    assert (done.stdout, len(done.stderr.splitlines())) == ("", 2), done  # the second line is make's
    assert said in done.stderr.splitlines()[0]
    assert not (tmp_path / "venv").exists()


def test_make_demo_completes_an_environment_that_an_interrupted_run_left_without_pip(tmp_path: Path) -> None:
    half = [sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"]
    subprocess.run(half, check=True, capture_output=True, timeout=60)
    assert "No module named pip" not in make_demo(tmp_path).stderr
    pip = [tmp_path / "venv/bin/python", "-m", "pip", "--version"]
    subprocess.run(pip, check=True, capture_output=True, timeout=60)


def test_the_fixture_is_what_its_script_makes(tmp_path: Path) -> None:
    write_layout(hello_image(), tmp_path, "latest")
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    kept = {path.relative_to(HELLO): path.read_bytes() for path in HELLO.rglob("*") if path.is_file()}
    assert made == kept


def test_the_demos_image_has_its_files_when_docker_has_loaded_it(docker: Docker, tmp_path: Path) -> None:
    archive = tmp_path / "demo.tar"
    demo(archive)
    loaded = docker.load(archive)
    with tarfile.open(fileobj=io.BytesIO(docker.exported(loaded.image_id))) as files:
        names = {member.name for member in files}
        assert {"hello", "etc/motd"} <= names
        motd = files.extractfile("etc/motd")
        assert motd is not None
        assert motd.read() == TEXT
        hello = files.extractfile("hello")
        assert hello is not None
        assert hello.read() in (program("amd64"), program("arm64"))
