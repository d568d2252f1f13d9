"""The README's first commands."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.engines import Docker
from tests.make_fixtures import HELLO, TEXT, hello_image, program, write_layout

PROJECT = Path(__file__).parents[2]


def test_the_demo_saves_its_image_and_shows_what_it_holds(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.demo", str(tmp_path / "demo.tar")]
    done = subprocess.run(command, capture_output=True, check=True, timeout=120, cwd=PROJECT)
    built = hello_image()
    shown = done.stdout.decode()
    assert "manifest.json" in shown
    assert any(f"blobs/sha256/{child.digest[7:]}" in shown for child in built.children)
    assert "docker load -i demo.tar" in shown


def test_the_fixture_is_what_its_script_makes(tmp_path: Path) -> None:
    write_layout(hello_image(), tmp_path, "latest")
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    kept = {path.relative_to(HELLO): path.read_bytes() for path in HELLO.rglob("*") if path.is_file()}
    assert made == kept


def test_the_demos_image_has_its_files_when_docker_has_loaded_it(docker: Docker, tmp_path: Path) -> None:
    archive = tmp_path / "demo.tar"
    subprocess.run(
        [sys.executable, "-m", "tests.demo", str(archive)], capture_output=True, check=True, timeout=120, cwd=PROJECT
    )
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
