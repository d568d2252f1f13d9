"""The command line: progress, messages, environment, exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import imgfetch
from tests.conftest import Run
from tests.images import DOCKER_GZIP, hello, image, index
from tests.integration.conftest import Command, Save
from tests.loopback import Answer, Loopback

BUILT = image(hello("one", DOCKER_GZIP), hello("two", DOCKER_GZIP), docker=True)
PLATFORM = ("--platform", "linux/amd64")


@pytest.fixture
def reference(loopback: Loopback) -> str:
    return loopback.add("team/app", "v1", BUILT)


def test_it_ends_with_one_line_that_says_what_was_saved(reference: str, command: Command, tmp_path: Path) -> None:
    target = tmp_path / "y.tar"
    done = command("save", reference, "-o", target, *PLATFORM)
    last = done.err.splitlines()[-1]
    for part in (f"saved {reference} ", BUILT.digest, "linux/amd64", "kB", str(target), " s"):
        assert part in last
    assert done.out == ""


def test_quiet_says_nothing(reference: str, command: Command, tmp_path: Path) -> None:
    done = command("save", reference, "-q", "-o", tmp_path / "y.tar", *PLATFORM)
    assert (done.status, done.out, done.err) == (0, "", "")


def test_quiet_still_says_what_went_wrong(command: Command, loopback: Loopback, tmp_path: Path) -> None:
    done = command("save", f"{loopback.host}/x", "-q", "-o", tmp_path / "y.tar")
    assert done.status == 3
    assert "was not found" in done.err


def test_progress_is_one_json_object_a_line(reference: str, command: Command, tmp_path: Path) -> None:
    done = command("save", reference, "--progress", "json", "-o", tmp_path / "y.tar", *PLATFORM)
    events = [json.loads(line) for line in done.err.splitlines()]
    assert {"resolving", "planned", "started", "advanced", "finished", "saved"} == {event["event"] for event in events}
    sizes = {layer.digest: len(layer.content) for layer in BUILT.layers}
    (planned,) = (event for event in events if event["event"] == "planned")
    assert {blob["digest"]: blob["size"] for blob in planned["blobs"]} == sizes
    assert planned["bytes"] == sum(sizes.values())
    assert {event["digest"] for event in events if event["event"] == "finished"} == set(sizes)
    saved = events[-1]
    assert saved["size"] == (tmp_path / "y.tar").stat().st_size
    assert saved["images"][0]["digest"] == BUILT.digest
    assert saved["images"][0]["image_id"] == BUILT.config.digest


def test_an_error_is_a_json_object_too(command: Command, loopback: Loopback, tmp_path: Path) -> None:
    done = command("save", f"{loopback.host}/x", "--progress", "json", "-o", tmp_path / "y.tar")
    event = json.loads(done.err.splitlines()[-1])
    assert (event["event"], event["status"], done.status) == ("error", 3, 3)
    assert "was not found" in event["error"]


def test_a_log_gets_lines_and_no_bars(reference: str, command: Command, tmp_path: Path) -> None:
    done = command("save", reference, "-o", tmp_path / "y.tar", *PLATFORM)
    assert "\r" not in done.err
    assert done.err.splitlines()[0].startswith("imgfetch: 2 layers, ")


def test_verbose_logs_requests_without_secrets(save: Save, loopback: Loopback) -> None:
    reference = loopback.add("team/app", "v1", BUILT)
    digest = BUILT.layers[0].digest
    stored = loopback.answers[f"/v2/team/app/blobs/{digest}"]
    loopback.answers["/storage"] = stored
    location = f"http://{loopback.host}/storage?Signature=geheim&digest={digest}"
    loopback.answers[f"/v2/team/app/blobs/{digest}"] = Answer(status=307, headers={"Location": location})
    done = save(reference, "-vv")
    assert f"GET http://{loopback.host}/v2/team/app/manifests/v1: 200 OK" in done.err
    assert f"/storage?Signature=REDACTED&digest={digest}: 200 OK" in done.err
    assert "geheim" not in done.err


def test_the_environment_chooses_the_platform(run: Run, loopback: Loopback, tmp_path: Path) -> None:
    s390x = image(hello("big"), platform={"os": "linux", "architecture": "s390x"})
    reference = loopback.add("team/app", "v1", index(BUILT, s390x))
    env = {"DOCKER_DEFAULT_PLATFORM": "linux/s390x"}
    done = run("save", reference, "-o", str(tmp_path / "y.tar"), env=env)
    assert done.returncode == 0
    assert s390x.digest in done.stderr.decode()


USAGE = {
    "no command": [],
    "no reference": ["save"],
    "no such command": ["fetch"],
    "no number of jobs": ["save", "x", "-j", "none"],
    "too few jobs": ["save", "x", "-j", "0"],
    "no platform": ["save", "x", "--platform", "amd46"],
    "no format": ["save", "x", "--format", "zip"],
    "no progress": ["save", "x", "--progress", "loud"],
}


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE.keys())
def test_bad_usage_exits_with_2(arguments: list[str], command: Command) -> None:
    done = command(*arguments)
    assert done.status == 2
    assert "Try 'imgfetch" in done.err or "no command given; see imgfetch --help" in done.err


VARIABLES = {
    "SOURCE_DATE_EPOCH": "yesterday",
    "IMGFETCH_JOBS": "many",
    "IMGFETCH_PROGRESS": "loud",
    "DOCKER_DEFAULT_PLATFORM": "amd46",
}


@pytest.mark.parametrize(("name", "value"), VARIABLES.items())
def test_a_bad_variable_exits_with_2_and_is_named(name: str, value: str, reference: str, run: Run) -> None:
    done = run("save", reference, "-o", "/dev/null", env={name: value})
    assert done.returncode == 2
    assert name in done.stderr.decode()
    assert value in done.stderr.decode()


def test_the_module_and_the_script_are_the_same_command(run: Run) -> None:
    script = Path(sys.executable).with_name("imgfetch")
    said = subprocess.run([script, "--version"], capture_output=True, check=True, timeout=60).stdout
    assert said == run("--version").stdout == f"imgfetch {imgfetch.__version__}\n".encode()


def test_two_tags_of_an_image_are_one_image_in_the_archive(save: Save, loopback: Loopback) -> None:
    references = [loopback.add("team/app", tag, BUILT) for tag in ("v2", "v1")]
    done = save(*references)
    assert f"saved {references[0]}, {references[1]} {BUILT.digest}" in done.err


def test_a_save_by_digest_alone_says_once_that_docker_gives_no_name(
    command: Command, loopback: Loopback, tmp_path: Path
) -> None:
    names = [loopback.add(f"team/{name}", "v1", image(hello(name))) for name in ("one", "two")]
    pinned = command("digest", *names).out.split()
    arguments = ("--output-dir", tmp_path / "out", *PLATFORM)
    said = "docker load gives {} no name"
    assert command("save", *pinned, *arguments).err.count(said.format("2 images")) == 1
    alone = ("save", pinned[0], "-o", tmp_path / "y.tar", *PLATFORM)
    assert command(*alone).err.count(said.format("the image")) == 1
    for quiet in ((*alone, "-q"), (*alone, "--name", "app:1"), ("save", *names, *arguments)):
        assert "docker load" not in command(*quiet).err


def test_two_images_of_one_name_are_refused(save: Save, loopback: Loopback) -> None:
    other = image(hello("other"))
    reference = loopback.add("team/app", "v1", BUILT)
    loopback.add("team/app", "v2", other)
    done = save(reference, f"{reference}@{other.digest}", status=2)
    assert f"two different images would get the name {reference}" in done.err
    assert "hint: give one of them another name, with --name in a list" in done.err


def test_an_image_for_two_platforms_in_two_lines_gets_the_advice_to_write_one(
    command: Command, loopback: Loopback, tmp_path: Path
) -> None:
    arm = image(hello("arm"), platform={"os": "linux", "architecture": "arm64"})
    top = index(BUILT, arm)
    reference, listed = loopback.add("team/app", "v1", top), tmp_path / "list.txt"
    listed.write_text(f"{reference} --platform linux/arm64\n{reference} --platform linux/amd64\n")
    done = command("save", "-i", listed, "-o", tmp_path / "y.tar")
    assert (done.status, "would get the name" in done.err) == (2, True)
    assert "write one line with --platform linux/amd64,linux/arm64; else give one of them another name" in done.err
    done = command("save", "-i", listed, "--output-dir", tmp_path / "out")
    assert (done.status, "would both be saved to" in done.err) == (2, True)
    assert "hint: write one line with all platforms in --platform, or give one of them another name" in done.err
    listed.write_text(f"{reference} --platform linux/arm64,linux/amd64\n")
    assert command("save", "-i", listed, "-o", tmp_path / "y.tar").status == 0


def test_two_images_of_one_name_are_told_with_file_and_line(save: Save, loopback: Loopback, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    one, two = (loopback.add("team/app", tag, image(hello(tag))) for tag in ("v1", "v2"))
    listed.write_text(f"{one} --name app:1\n\n{two} --name app:1\n")
    done = save("-i", listed, status=2)
    assert f"images would get the name docker.io/library/app:1 ({listed}:1 and {listed}:3)\n" in done.err


def test_the_platform_default_takes_the_only_image_there_is(
    command: Command, loopback: Loopback, tmp_path: Path
) -> None:
    reference = loopback.add("team/app", "v1", image(hello(), platform={"os": "linux", "architecture": "mips"}))
    done = command("save", reference, "-o", tmp_path / "y.tar")
    assert done.status == 0
    assert f"warning: {reference} is for linux/mips, not for linux/" in done.err


def test_strict_makes_an_error_of_an_oddity(save: Save, loopback: Loopback) -> None:
    reference = loopback.add("team/app", "v1", BUILT)
    headers = {"Content-Type": BUILT.media_type, "Docker-Content-Digest": "sha256:" + "0" * 64}
    loopback.answers["/v2/team/app/manifests/v1"] = Answer(BUILT.raw, headers=headers)
    tolerant = save(reference)
    assert "warning: " in tolerant.err
    strict = save(reference, "--strict", status=6)
    assert "Docker-Content-Digest" in strict.err


def test_the_library_does_what_the_command_does(save: Save, loopback: Loopback, tmp_path: Path) -> None:
    reference = loopback.add("team/app", "v1", BUILT)
    save(reference, to="one.tar")
    saved = imgfetch.save(reference, tmp_path / "two.tar", platform="linux/amd64")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    assert saved.size == (tmp_path / "two.tar").stat().st_size
    assert str(saved.images[0].digest) == BUILT.digest
    assert str(saved.images[0].image_id) == BUILT.config.digest


def test_the_library_prints_nothing(loopback: Loopback, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    reference = loopback.add("team/app", "v1", image(hello(), platform={"os": "linux", "architecture": "mips"}))
    imgfetch.save(reference, tmp_path / "y.tar")
    with pytest.raises(imgfetch.NotFoundError):
        imgfetch.save(f"{loopback.host}/x", tmp_path / "y.tar")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("options", [{"jobs": 0}, {"source_date_epoch": -1}, {"source_date_epoch": 8**11}], ids=str)
def test_the_library_refuses_numbers_out_of_range(options: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        imgfetch.save("localhost:1/x", tmp_path / "y.tar", **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
