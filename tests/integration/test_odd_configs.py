"""Images that some readers refuse because of their configs: `save` warns, and `inspect` shows what docker loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.images import Built, hello, image, index
from tests.integration.conftest import Command
from tests.loopback import Loopback

UNTIMED = image(hello(), config={"created": ""})
WARNING = "has a malformed 'created' ('' instead of a time as in RFC 3339), which docker 20.10 and 28 (classic store), "
PLATFORM = ("--platform", "linux/amd64")


def test_a_config_that_some_readers_refuse_is_saved_with_one_warning(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    reference = loopback.add("x", "1", UNTIMED)
    done = command("save", reference, "-o", tmp_path / "y.tar", *PLATFORM)
    assert done.status == 0
    (warning,) = [line for line in done.err.splitlines() if "warning" in line]
    assert f"the config of {reference} {WARNING}" in warning


def test_under_strict_it_is_refused_before_a_layer_is_fetched(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    done = command("save", loopback.add("x", "1", UNTIMED), "-o", tmp_path / "y.tar", "--strict", *PLATFORM)
    assert done.status == 6
    assert WARNING in done.err
    assert not [path for path in loopback.paths if UNTIMED.layers[0].digest in path]
    assert not (tmp_path / "y.tar").exists()


def test_only_the_configs_that_are_saved_are_warned_of(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    good = image(hello("good"), platform={"os": "linux", "architecture": "arm64"})
    reference = loopback.add("x", "1", index(UNTIMED, good))
    done = command("save", reference, "-o", tmp_path / "y.tar", "--platform", "linux/arm64")
    assert (done.status, "warning" in done.err) == (0, False)


def test_verify_notes_it(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    reference = loopback.add("x", "1", UNTIMED)
    command("save", reference, "-o", tmp_path / "y.tar", *PLATFORM)
    done = command("verify", tmp_path / "y.tar")
    assert done.status == 0
    (note,) = [line for line in done.out.splitlines() if ": note: " in line]
    assert WARNING in note


ODD_MANIFEST = image(hello(), manifest={"annotations": {"a": 1}})
ODD_INDEX = index(
    image(hello()), image(hello("arm"), platform={"os": "linux", "architecture": "arm64"}), annotations={"a": 1}
)


@pytest.mark.parametrize(
    ("built", "what", "options"),
    [(ODD_MANIFEST, "the manifest of", PLATFORM), (ODD_INDEX, "the index of", ("--all-platforms",))],
    ids=["manifest", "index"],
)
def test_a_manifest_that_some_readers_refuse_is_warned_of_like_a_config(
    loopback: Loopback, command: Command, tmp_path: Path, *, built: Built, what: str, options: tuple[str, ...]
) -> None:
    told = "has a malformed 'annotations' (an object instead of an object of strings), which containerd and "
    reference = loopback.add("x", "1", built)
    done = command("save", reference, "-o", tmp_path / "y.tar", *options)
    assert done.status == 0
    (warning,) = [line for line in done.err.splitlines() if "warning" in line]
    assert f"{what} {reference} {told}" in warning
    done = command("verify", tmp_path / "y.tar")
    assert done.status == 0
    (note,) = [line for line in done.out.splitlines() if ": note: " in line]
    assert told in note
    done = command("save", reference, "-o", tmp_path / "z.tar", "--strict", *options)
    assert (done.status, told in done.err) == (6, True)


def test_an_archive_without_a_manifest_needs_no_warning_of_it(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    reference = loopback.add("x", "1", ODD_MANIFEST)
    classic = ("--format", "docker-classic", "--strict")
    assert command("save", reference, "-o", tmp_path / "y.tar", *classic, *PLATFORM).status == 0


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({"config": {"Entrypoint": "/bin/sh"}}, {"entrypoint": ["/bin/sh"]}),
        ({"config": {"Cmd": "/hello world"}}, {"command": ["/hello world"]}),
        ({"config": {"Cmd": ["/hello", None]}}, {"command": ["/hello", ""]}),
        ({"config": {"env": ["A=b"]}}, {"environment": ["A=b"]}),
        ({"config": {"Labels": {"a": None}}}, {"labels": {"a": ""}}),
        ({"history": [None]}, {"history": [{"created_by": "", "empty": False}]}),
        ({"history": [{"Created_By": "x"}]}, {"history": [{"created_by": "x", "empty": False}]}),
    ],
    ids=repr,
)
def test_inspect_shows_what_docker_loads(
    loopback: Loopback, command: Command, config: dict[str, Any], shown: dict[str, Any]
) -> None:
    reference = loopback.add("x", "1", image(hello(), config=config))
    done = command("inspect", "--json", reference)
    assert done.status == 0, done.err
    inspected = json.loads(done.out)["images"][0]
    assert inspected == {**inspected, **shown}
