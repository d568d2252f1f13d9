"""The rules that `imgfetch makefile` prints, run by GNU make."""

from __future__ import annotations

import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imgfetch.archive.verify import verify
from tests.images import Built, hello, image, index, layer, tar
from tests.loopback import Answer, Loopback
from tests.tools import tool
from tests.waiting import until

BASE = hello("base")
APP, NEWER, WEB = image(BASE, hello("one")), image(BASE, hello("two")), image(BASE, hello("web"))
MAKE_MK = Path(__file__).parents[2] / "imgfetch" / "data" / "make.mk"
ARCHIVES = ("images/app.tar", "images/web.tar")

Make = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def make(loopback: Loopback, tmp_path: Path) -> Make:
    """Run make in a directory with two images; returns what it said, and fails if it does."""
    loopback.add("team/app", "1", APP)
    loopback.add("team/web", "stable", WEB)
    (tmp_path / "Makefile").write_text(
        f"images := app web\nimage.app := {loopback.host}/team/app:1\nimage.web := {loopback.host}/team/web:stable\n"
        f"IMGFETCH_SAVE_FLAGS = --platform linux/amd64 --cache-dir {tmp_path}/cache\ninclude {MAKE_MK}\n"
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
    make("-j4", "images-fetch")
    assert (tmp_path / "images.lock").read_text() == (
        f"{loopback.host}/team/app:1@{APP.digest} # app {loopback.host}/team/app:1\n"
        f"{loopback.host}/team/web:stable@{WEB.digest} # web {loopback.host}/team/web:stable\n"
    )
    for name, pinned in zip(ARCHIVES, (tmp_path / "images.lock").read_text().splitlines(), strict=True):
        assert verify(tmp_path / name, [pinned.split()[0]]).findings == ()
    asked = len(loopback.requests)
    assert "Nothing to be done" in make("images-fetch").stdout
    make("-q", "images-fetch")
    assert len(loopback.requests) == asked


def test_after_a_tag_moved_only_that_image_is_made_anew(make: Make, loopback: Loopback, tmp_path: Path) -> None:
    make("images-fetch", "images-checksums")
    before = stamps(tmp_path)
    move(loopback, NEWER)
    assert "Nothing to be done" in make("images-fetch").stdout  # what is pinned stays
    make("images-pin")
    make("images-fetch", "images-checksums")
    after = stamps(tmp_path)
    assert after["images/web.tar"] == before["images/web.tar"]
    assert after["images/app.tar"] != before["images/app.tar"]
    assert verify(tmp_path / "images/app.tar", [f"{loopback.host}/team/app:1@{NEWER.digest}"]).findings == ()
    sums = dict(reversed(line.split()) for line in (tmp_path / "images/SHA256SUMS").read_text().splitlines())
    assert sums == {Path(name).name: hashlib.sha256(content).hexdigest() for name, (_, content) in after.items()}
    make("-q", "images-fetch", "images-checksums")


def test_pinning_says_which_images_changed(make: Make, loopback: Loopback, tmp_path: Path) -> None:
    assert "pinned 2 images in images.lock; new or changed: app web\n" in make("images-pin").stdout
    move(loopback, NEWER)
    assert "pinned 2 images in images.lock; new or changed: app\n" in make("images-pin").stdout
    change(tmp_path, "images := app web", "images := web")
    assert make("images-pin").stdout.endswith("pinned 1 image in images.lock\n")


def test_pinning_without_a_change_changes_nothing(make: Make) -> None:
    make("images-fetch")
    assert make("images-pin").stdout == "images.lock is up to date\n"
    make("-q", "images-fetch")


def test_a_bundle_has_all_images_and_what_they_share_once(make: Make, loopback: Loopback, tmp_path: Path) -> None:
    make("-j4", "images-fetch", "images-bundle")
    pinned = [line.split()[0] for line in (tmp_path / "images.lock").read_text().splitlines()]
    assert verify(tmp_path / "images/bundle.tar", pinned).findings == ()
    assert len([path for path in loopback.paths if BASE.digest in path]) == 1
    make("-q", "images-fetch", "images-bundle")


@pytest.mark.parametrize("target", ["images-fetch", "images-bundle"])
def test_an_image_that_is_not_pinned_as_it_is_named_is_told(make: Make, tmp_path: Path, target: str) -> None:
    make("images-pin")
    makefile = (tmp_path / "Makefile").read_text()
    (tmp_path / "Makefile").write_text(makefile.replace("app:1\n", "app:2\n"))
    done = make(target, status=2)
    assert re.search(r"app is not in images.lock as \S+/team/app:2; run make images-pin", done.stderr)
    assert not list(tmp_path.glob("images/*.tar*"))


def test_a_tag_that_does_not_exist_leaves_no_lock(make: Make, loopback: Loopback, tmp_path: Path) -> None:
    del loopback.answers["/v2/team/app/manifests/1"]
    make("images-fetch", status=2)
    assert not list(tmp_path.glob("images.lock*"))


def test_an_interrupted_run_leaves_no_half_target(make: Make, loopback: Loopback, tmp_path: Path) -> None:
    slow = layer(tar({"big": random.Random(1).randbytes(3_000_000)}))
    loopback.add("team/app", "1", image(BASE, slow))
    make("images-pin")
    blob = f"/v2/team/app/blobs/{slow.digest}"
    whole, held = loopback.answers[blob], threading.Event()
    loopback.answers[blob] = Answer(slow.content, hold=held)
    program = [tool("make"), f"IMGFETCH={sys.executable} -m imgfetch", "images-fetch"]
    process = subprocess.Popen(program, cwd=tmp_path, env=environment(), start_new_session=True)
    until(lambda: blob in loopback.paths)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) != 0
    held.set()
    assert not (tmp_path / "images/app.tar").exists()
    loopback.answers[blob] = whole
    make("images-fetch")
    assert verify(tmp_path / "images/app.tar").findings == ()


def test_clean_leaves_the_lock(make: Make, tmp_path: Path) -> None:
    make("images-fetch")
    make("images-clean")
    assert (tmp_path / "images.lock").exists()
    assert not (tmp_path / "images").exists()


# ---- mistakes in the makefile and in the lock: never a wrong image under a right name ----


def change(directory: Path, old: str, new: str, name: str = "Makefile") -> None:
    text = (directory / name).read_text()
    assert text.count(old) == 1
    (directory / name).write_text(text.replace(old, new))
    time.sleep(0.02)  # file times have to differ


@pytest.mark.parametrize("target", ["images-pin", "images-bundle"])
def test_a_misspelt_variable_is_an_error_that_names_both_spellings(make: Make, tmp_path: Path, target: str) -> None:
    change(tmp_path, "image.app :=", "image.aap :=")
    done = make(target, status=2)
    assert "image.app is undefined or empty" in done.stderr
    assert "image.aap is not used, because images does not list aap" in done.stderr
    assert not list(tmp_path.glob("images*"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("image.app := ", "image.app := # ", "image.app is undefined or empty"),
        ("image.app := ", "image.app := $(NOWHERE) # ", "image.app is undefined or empty"),
        ("image.app := ", "image.app := x:1 ", "image.app must be one reference, not several: x:1 "),
        ("images := app web", "images := app web app", "images lists a name twice: app web app"),
        ("images := app web", "images :=", "images is undefined or empty"),
        ("images := app web", "images := app web bundle\nimage.bundle := x:1", "an image cannot be named bundle"),
    ],
    ids=["empty", "unknown variable", "two references", "name twice", "no names", "name of the bundle"],
)
def test_a_mistake_in_the_names_ends_make(make: Make, tmp_path: Path, old: str, new: str, said: str) -> None:
    change(tmp_path, old, new)
    assert said in make("images-fetch", status=2).stderr
    assert not list(tmp_path.glob("images*"))


@pytest.mark.parametrize("name", ["../app", "team/app", "app%", "%", "it's", "'", "app:1"])
@pytest.mark.parametrize("target", ["images-fetch", "images-clean"])
def test_a_name_that_is_none_of_a_file_is_an_error(make: Make, tmp_path: Path, target: str, name: str) -> None:
    makefile = tmp_path / "Makefile"
    makefile.write_text(makefile.read_text().replace("images := app", f"images := app {name}"))
    done = make(target, status=2)
    assert f"the name {name} in images cannot be that of a file; use letters, digits and . _ -" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Makefile"]


def test_an_image_that_is_defined_and_not_listed_is_warned_of(make: Make, tmp_path: Path) -> None:
    change(tmp_path, "images := app web", "images := web")
    assert "image.app is not used, because images does not list app" in make("images-fetch").stderr
    assert [path.name for path in tmp_path.glob("images/*.tar")] == ["web.tar"]


def test_no_shell_expands_a_reference(make: Make, tmp_path: Path) -> None:
    change(tmp_path, "/team/app:1", "/team/app:$$(touch expanded; echo 1)")
    change(tmp_path, "$$(touch expanded; echo 1)", "$$TAG")
    (tmp_path / "Makefile").write_text("export TAG = 1\n" + (tmp_path / "Makefile").read_text())
    assert "invalid reference" in make("images-fetch", status=2).stderr
    assert not list(tmp_path.glob("images*"))


@pytest.mark.parametrize("behind", ["   ", "  # the newest", f"@{APP.digest}", f"@{APP.digest}  # pinned here"])
def test_what_may_stand_behind_a_reference(make: Make, tmp_path: Path, behind: str) -> None:
    change(tmp_path, "/team/app:1", f"/team/app:1{behind}")
    make("images-fetch", "images-bundle")
    pinned = [line.split()[0] for line in (tmp_path / "images.lock").read_text().splitlines()]
    for name, one, built in zip(ARCHIVES, pinned, (APP, WEB), strict=True):
        assert one.endswith(built.digest)
        assert verify(tmp_path / name, [one]).findings == ()
    make("images-pin")
    make("-q", "images-fetch", "images-bundle")


def test_a_name_finds_its_own_digest_in_whatever_order_the_names_are(
    make: Make, loopback: Loopback, tmp_path: Path
) -> None:
    make("images-pin")
    change(tmp_path, "images := app web", "images := web app")
    make("images-fetch")
    for name, reference in zip(ARCHIVES, ("app:1@" + APP.digest, "web:stable@" + WEB.digest), strict=True):
        assert verify(tmp_path / name, [f"{loopback.host}/team/{reference}"]).findings == ()


@pytest.mark.parametrize("target", ["images-fetch", "images-bundle"])
def test_another_reference_of_an_image_that_is_here_already_is_told(make: Make, tmp_path: Path, target: str) -> None:
    make(target)
    change(tmp_path, "image.app := ", "image.app := other.example/")
    assert "run make images-pin" in make(target, status=2).stderr


def test_other_flags_make_the_archives_anew(make: Make, tmp_path: Path) -> None:
    make("images-fetch", "images-bundle", "images-checksums")
    before = stamps(tmp_path)
    change(tmp_path, "IMGFETCH_SAVE_FLAGS =", "IMGFETCH_SAVE_FLAGS = --format oci")
    make("images-fetch", "images-bundle", "images-checksums")
    assert all(stamp != before[name] for name, stamp in stamps(tmp_path).items())
    assert {verify(path).kind for path in tmp_path.glob("images/*.tar")} == {verify(tmp_path / ARCHIVES[0]).kind}
    make("-q", "images-fetch", "images-bundle", "images-checksums")


def test_a_bundle_loses_an_image_that_is_not_listed_any_more(make: Make, tmp_path: Path) -> None:
    make("images-bundle")
    change(tmp_path, "images := app web", "images := web")
    make("images-bundle")
    assert len(verify(tmp_path / "images/bundle.tar").images) == 1


@pytest.mark.parametrize("target", ["images-fetch", "images-bundle"])
@pytest.mark.parametrize("mistake", ["another image's digest", "twice", "no digest"])
def test_a_spoilt_lock_is_told(make: Make, tmp_path: Path, target: str, mistake: str) -> None:
    make("images-pin")
    lock = tmp_path / "images.lock"
    app, web = lock.read_text().splitlines()
    if mistake == "twice":  # as after a merge that went wrong
        lock.write_text(f"{app}\n{app.replace(APP.digest, NEWER.digest)}\n{web}\n")
    elif mistake == "no digest":
        lock.write_text(f"{app.replace('@' + APP.digest, '')}\n{web}\n")
    else:
        lock.write_text(f"{' '.join([web.split()[0], *app.split()[1:]])}\n{web}\n")
    assert "app is not in images.lock as " in make(target, status=2).stderr
    assert not list(tmp_path.glob("images/*.tar" if target == "images-bundle" else "images/app.tar"))


def test_what_is_pinned_and_fetched_at_once_is_fetched_as_pinned(
    make: Make, loopback: Loopback, tmp_path: Path
) -> None:
    make("images-fetch")
    move(loopback, NEWER)
    make("-j4", "images-fetch", "images-bundle", "images-pin")
    for name in ("app", "bundle"):
        wanted = f"{loopback.host}/team/app:1@{NEWER.digest}"
        assert verify(tmp_path / f"images/{name}.tar", [wanted]).findings == ()
    make("-q", "images-fetch", "images-bundle")


@pytest.mark.parametrize("is_interrupted", [False, True], ids=["failed", "interrupted"])
def test_a_pin_that_ends_halfway_leaves_the_lock_as_it_was(
    make: Make, loopback: Loopback, tmp_path: Path, *, is_interrupted: bool
) -> None:
    make("images-pin")
    before = (tmp_path / "images.lock").read_bytes()
    move(loopback, NEWER)
    web, held = "/v2/team/web/manifests/stable", threading.Event()
    asked = len(loopback.requests)
    answer = loopback.answers.pop(web)
    if is_interrupted:
        loopback.answers[web] = Answer(answer.body, hold=held)
        program = [tool("make"), f"IMGFETCH={sys.executable} -m imgfetch", "images-pin"]
        process = subprocess.Popen(program, cwd=tmp_path, env=environment(), start_new_session=True)
        until(lambda: web in loopback.paths[asked:])
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) != 0
        held.set()
    else:
        make("images-pin", status=2)
    assert (tmp_path / "images.lock").read_bytes() == before
    loopback.answers[web] = answer
    make("images-pin")
    assert NEWER.digest.encode() in (tmp_path / "images.lock").read_bytes()


# ---- platforms, flags, and other makefiles ----


def test_an_image_may_have_a_platform_of_its_own(make: Make, loopback: Loopback, tmp_path: Path) -> None:
    arm = image(BASE, hello("arm"), platform={"architecture": "arm64", "os": "linux"})
    loopback.add("team/both", "1", index(APP, arm))
    change(tmp_path, "images := app web", "images := app web both")
    change(tmp_path, "include", f"image.both := {loopback.host}/team/both:1\nplatform.both := linux/arm64\ninclude")
    make("-j4", "images-fetch", "images-bundle")
    assert "/team/both:1@sha256:" in (tmp_path / "images.lock").read_text().splitlines()[2]
    assert " --platform linux/arm64 # both " in (tmp_path / "images.lock").read_text()
    for name in ("both", "bundle"):
        platforms = {str(found.config.platform) for found in verify(tmp_path / f"images/{name}.tar").images}
        assert "linux/arm64" in platforms
    make("-q", "images-fetch", "images-bundle")
    change(tmp_path, "platform.both := linux/arm64", "platform.both := linux/amd64")
    assert "both is not in images.lock as " in make("images-fetch", status=2).stderr
    make("images-pin", "images-fetch")
    assert {str(found.config.platform) for found in verify(tmp_path / "images/both.tar").images} == {"linux/amd64"}


def test_a_platform_of_no_image_is_warned_of(make: Make, tmp_path: Path) -> None:
    change(tmp_path, "include", "platform.aap := linux/arm64\ninclude")
    assert "platform.aap is not used, because images does not list aap" in make("images-pin").stderr


def test_the_flags_are_those_of_every_command(make: Make, tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("{}")
    change(tmp_path, "include", "IMGFETCH_FLAGS := --no-such-option\ninclude")
    assert "unknown option '--no-such-option'" in make("images-pin", status=2).stderr
    change(tmp_path, "--no-such-option", f"--authfile {tmp_path}/none.json")
    make("images-pin", "images-fetch")


def test_no_checksums_of_an_earlier_archive_are_left(make: Make, loopback: Loopback, tmp_path: Path) -> None:
    assert "wrote images/SHA256SUMS; to check it: cd images && sha256sum -c" in make("images-checksums").stdout
    make("images-pin", "images-fetch")
    assert (tmp_path / "images/SHA256SUMS").exists()
    move(loopback, NEWER)
    make("images-pin", "images-fetch")
    assert not (tmp_path / "images/SHA256SUMS").exists()
    make("images-checksums", "images-bundle")
    subprocess.run([tool("sha256sum"), "-c", "SHA256SUMS"], cwd=tmp_path / "images", check=True, capture_output=True)


def test_the_checksums_have_the_bundle_too(make: Make, tmp_path: Path) -> None:
    def listed() -> set[str]:
        return {line.split()[1] for line in (tmp_path / "images/SHA256SUMS").read_text().splitlines()}

    make("images-checksums")
    assert listed() == {"app.tar", "web.tar"}
    make("images-bundle", "images-checksums")
    assert listed() == {"app.tar", "web.tar", "bundle.tar"}
    make("images-checksums")
    assert listed() == {"app.tar", "web.tar", "bundle.tar"}
    subprocess.run([tool("sha256sum"), "-c", "SHA256SUMS"], cwd=tmp_path / "images", check=True, capture_output=True)


def test_the_targets_of_others_are_their_own(make: Make, tmp_path: Path) -> None:
    rules = "".join(f"{name}:\n\t@echo my own {name}\n" for name in ("all", "clean", "pin", "fetch", "bundle"))
    (tmp_path / "Makefile").write_text(rules + (tmp_path / "Makefile").read_text())
    assert make().stdout == "my own all\n"
    done = make("clean", "pin", "fetch", "bundle")
    assert (done.stdout.count("my own"), done.stderr) == (4, "")


def test_a_rule_shows_the_command_and_nothing_of_its_script(make: Make) -> None:
    done = make("images-pin", "images-fetch", "images-bundle", "images-checksums")
    assert all(len(line) < 400 for line in (done.stdout + done.stderr).splitlines())
    assert "awk" not in done.stdout + done.stderr
    assert "printf" not in done.stdout + done.stderr
    assert done.stderr.count("imgfetch save") == 3


def test_each_save_is_one_line_that_names_its_images(make: Make, loopback: Loopback) -> None:
    done = make(
        "-j4", "images-fetch", "images-bundle", "IMGFETCH_FLAGS=--retries 0 --no-mirror --realm-override 'a=http://b'"
    )
    app, web = f"{loopback.host}/team/app:1", f"{loopback.host}/team/web:stable"
    lines = done.stderr.splitlines()
    assert all(
        re.fullmatch(r"\+ .* -m imgfetch save -q --retries 0 .* 'a=http://b' .* -o \S+ \(.*\)", line) for line in lines
    )
    assert {line.partition(" -o ")[2] for line in lines} == {
        f"images/app.tar ({app})",
        f"images/web.tar ({web})",
        f"images/bundle.tar ({app} {web})",
    }


def test_an_include_above_the_names_is_an_error(make: Make, tmp_path: Path) -> None:
    lines = (tmp_path / "Makefile").read_text().splitlines()
    (tmp_path / "Makefile").write_text("\n".join([lines[-1], *lines[:-1], ""]))
    assert "define it above the line that includes make.mk" in make("images-fetch", status=2).stderr


def test_nothing_in_the_rules_is_newer_than_make_3_81() -> None:
    rules = "\n".join(line for line in MAKE_MK.read_text().splitlines() if not line.startswith("#"))
    newer = {
        "!=": r"^[\w.]+\s*!=",
        "::=": "::=",
        "$(file": r"\$\(file\b",
        "&:": "&:",
        ".ONESHELL": r"\.ONESHELL",
        ".RECIPEPREFIX": r"\.RECIPEPREFIX",
        "private": r"^private\b",
        "undefine": r"^undefine\b",
        "define NAME =": r"^define\s+\S+\s*[:+?]?=",
        "$(intcmp or $(let": r"\$\((intcmp|let|guile)\b",
        ".SHELLFLAGS": r"\.SHELLFLAGS",
        "target-specific export": r"^\S+:\s*(un)?export\b",
    }
    assert [name for name, pattern in newer.items() if re.search(pattern, rules, re.MULTILINE)] == []


def test_the_command_prints_the_rules() -> None:
    done = subprocess.run([sys.executable, "-m", "imgfetch", "makefile"], capture_output=True, check=True, timeout=60)
    assert done.stdout == MAKE_MK.read_bytes()
