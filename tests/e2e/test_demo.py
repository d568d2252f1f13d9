"""The demo, and the image that it saves."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

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


def test_make_demo_on_an_old_python_ends_with_one_sentence_before_it_installs_anything(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.version_info = (3, 10, 13, 'final', 0)\n")
    (tmp_path / "python3.10").write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    (tmp_path / "python3.10").chmod(0o755)
    command = [tool("make"), "demo", f"PYTHON={tmp_path}/python3.10", f"VENV={tmp_path}/venv"]
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(command, capture_output=True, check=False, timeout=60, cwd=PROJECT, env=outer, text=True)
    assert done.returncode == 2
    assert (done.stdout, len(done.stderr.splitlines())) == ("", 2), done  # the second line is make's
    assert done.stderr.startswith("imgfetch needs Python 3.11 or later, and ")
    assert not (tmp_path / "venv").exists()


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
