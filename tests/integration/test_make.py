"""docs/make.mk, run by GNU make."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imgfetch.verification import verify
from tests.images import Built, hello, image, layer, tar
from tests.loopback import Answer, Loopback
from tests.tools import tool

BASE = hello("base")
APP, NEWER, WEB = image(BASE, hello("one")), image(BASE, hello("two")), image(BASE, hello("web"))
MAKE_MK = Path(__file__).parents[2] / "docs" / "make.mk"
ARCHIVES = ("images/app.tar", "images/web.tar")

Make = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def make(loopback: Loopback, tmp_path: Path) -> Make:
    """Run make in a directory with two images; returns what it said, and fails if it does."""
    loopback.add("team/app", "1", APP)
    loopback.add("team/web", "stable", WEB)
    (tmp_path / "Makefile").write_text(
        f"images := app web\nimage.app := {loopback.host}/team/app:1\nimage.web := {loopback.host}/team/web:stable\n"
        f"IMGFETCH_FLAGS = -q --platform linux/amd64 --cache-dir {tmp_path}/cache\ninclude {MAKE_MK}\n"
    )
    program = tool("make")

    def run(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        command = [program, "--no-print-directory", f"IMGFETCH={sys.executable} -m imgfetch", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, check=False, text=True, timeout=120
        )
        assert done.returncode == status, done
        return done

    return run


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "IMGFETCH_"))}


def stamps(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Return what identifies each archive that was not written anew."""
    return {name: ((directory / name).stat().st_ino, (directory / name).read_bytes()) for name in ARCHIVES}


def move(loopback: Loopback, built: Built) -> None:
    loopback.add("team/app", "1", built)
    time.sleep(0.02)  # file times have to differ


def test_images_are_pinned_and_brought_and_a_second_run_does_nothing(
    make: Make, loopback: Loopback, tmp_path: Path
) -> None:
    make("-j4", "fetch")
    assert (tmp_path / "images.lock").read_text() == (
        f"{loopback.host}/team/app:1@{APP.digest} # app {loopback.host}/team/app:1\n"
        f"{loopback.host}/team/web:stable@{WEB.digest} # web {loopback.host}/team/web:stable\n"
    )
    for name, pinned in zip(ARCHIVES, (tmp_path / "images.lock").read_text().splitlines(), strict=True):
        assert verify(tmp_path / name, [pinned.split()[0]]).findings == ()
    asked = len(loopback.requests)
    assert "Nothing to be done" in make("fetch").stdout
    make("-q", "fetch")
    assert len(loopback.requests) == asked


def test_after_a_tag_moved_only_that_image_is_made_anew(make: Make, loopback: Loopback, tmp_path: Path) -> None:
    make("fetch", "checksums")
    before = stamps(tmp_path)
    move(loopback, NEWER)
    assert "Nothing to be done" in make("fetch").stdout  # what is pinned stays
    make("pin")
    make("fetch", "checksums")
    after = stamps(tmp_path)
    assert after["images/web.tar"] == before["images/web.tar"]
    assert after["images/app.tar"] != before["images/app.tar"]
    assert verify(tmp_path / "images/app.tar", [f"{loopback.host}/team/app:1@{NEWER.digest}"]).findings == ()
    sums = dict(reversed(line.split()) for line in (tmp_path / "images/SHA256SUMS").read_text().splitlines())
    assert sums == {Path(name).name: hashlib.sha256(content).hexdigest() for name, (_, content) in after.items()}
    make("-q", "fetch", "checksums")


def test_pinning_without_a_change_changes_nothing(make: Make) -> None:
    make("fetch")
    make("pin")
    make("-q", "fetch")


def test_a_bundle_has_all_images_and_what_they_share_once(make: Make, loopback: Loopback, tmp_path: Path) -> None:
    make("-j4", "fetch", "bundle")
    pinned = [line.split()[0] for line in (tmp_path / "images.lock").read_text().splitlines()]
    assert verify(tmp_path / "images/bundle.tar", pinned).findings == ()
    assert len([path for path in loopback.paths if BASE.digest in path]) == 1
    make("-q", "fetch", "bundle")


@pytest.mark.parametrize("target", ["fetch", "bundle"])
def test_an_image_that_is_not_pinned_as_it_is_named_is_told(make: Make, tmp_path: Path, target: str) -> None:
    make("pin")
    makefile = (tmp_path / "Makefile").read_text()
    (tmp_path / "Makefile").write_text(makefile.replace("app:1\n", "app:2\n"))
    done = make(target, status=2)
    assert "app is not in images.lock as " in done.stderr
    assert "run make pin" in done.stderr
    assert not list(tmp_path.glob("images/*.tar*"))


def test_a_tag_that_does_not_exist_leaves_no_lock(make: Make, loopback: Loopback, tmp_path: Path) -> None:
    del loopback.answers["/v2/team/app/manifests/1"]
    make("fetch", status=2)
    assert not list(tmp_path.glob("images.lock*"))


def test_an_interrupted_run_leaves_no_half_target(make: Make, loopback: Loopback, tmp_path: Path) -> None:
    slow = layer(tar({"big": os.urandom(3_000_000)}))
    loopback.add("team/app", "1", image(BASE, slow))
    make("pin")
    blob = f"/v2/team/app/blobs/{slow.digest}"
    whole, held = loopback.answers[blob], threading.Event()
    loopback.answers[blob] = Answer(slow.content, hold=held)
    program = [tool("make"), f"IMGFETCH={sys.executable} -m imgfetch", "fetch"]
    process = subprocess.Popen(program, cwd=tmp_path, env=environment(), start_new_session=True)
    end = time.monotonic() + 30
    while blob not in loopback.paths and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) != 0
    held.set()
    assert not (tmp_path / "images/app.tar").exists()
    loopback.answers[blob] = whole
    make("fetch")
    assert verify(tmp_path / "images/app.tar").findings == ()


def test_clean_leaves_the_lock(make: Make, tmp_path: Path) -> None:
    make("fetch")
    make("clean")
    assert (tmp_path / "images.lock").exists()
    assert not (tmp_path / "images").exists()
