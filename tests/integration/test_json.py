"""docs/json.md names every member that the commands print."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images import ARM64, attestation, hello, image, index
from tests.integration.conftest import Command
from tests.loopback import Loopback
from tests.uploads import UploadRegistry

DOCUMENT = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
IMAGE = image(hello("base"), hello("top"), config={"config": {}})
BUILT = index(IMAGE, image(hello("arm64"), platform=ARM64), attestation(IMAGE))


def section(title: str) -> set[str]:
    """Return the names that a section has in code."""
    (text,) = re.findall(rf"^## `{re.escape(title)}`\n(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`([\w ]+)`", text))


def keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from keys(inner)


@pytest.mark.parametrize(
    ("title", "arguments"),
    [
        ("inspect --json", ("inspect", "REFERENCE", "--json")),
        ("inspect --json", ("inspect", "ARCHIVE", "--json")),
        ("verify --json", ("verify", "ARCHIVE", "--json")),
        ("save --dry-run --json", ("save", "REFERENCE", "--dry-run", "--json")),
        ("cache list --json", ("cache", "list", "--json")),
        ("save --json", ("save", "REFERENCE", "--json", "-o", "OUTPUT", "-q")),
        ("save --json", ("save", "REFERENCE", "--json", "--output-dir", "DIRECTORY", "-q")),
        ("digest --json", ("digest", "REFERENCE", "--json")),
        ("push --json", ("push", "ARCHIVE", "TARGET", "--json", "-q")),
        ("push --json", ("push", "ARCHIVE", "TARGET", "--json", "--dry-run")),
    ],
    ids=[
        "inspect",
        "inspect a file",
        "verify",
        "dry run",
        "cache list",
        "save",
        "output-dir",
        "digest",
        "push",
        "push dry run",
    ],
)
def test_every_member_is_described(
    title: str, arguments: tuple[str, ...], loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    reference = loopback.add("team/app", "1", BUILT)
    archive = tmp_path / "y.tar"
    assert command("save", reference, "-o", archive, "--all-platforms").status == 0
    replaced = {
        "REFERENCE": reference,
        "ARCHIVE": str(archive),
        "OUTPUT": str(tmp_path / "other.tar"),
        "DIRECTORY": str(tmp_path / "directory"),
    }
    with UploadRegistry() as target:
        replaced["TARGET"] = target.host
        done = command(*(replaced.get(argument, argument) for argument in arguments))
    assert done.status == 0
    found = set(keys(json.loads(done.out)))
    assert found
    assert found <= section(title)


def test_every_event_and_its_members_are_described(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    reference = loopback.add("team/app", "1", BUILT)
    arguments = ("-o", tmp_path / "y.tar", "--progress", "json", "--platform", "linux/amd64")
    said = command("save", reference, *arguments).err.splitlines()
    said += command("save", reference, *arguments, "--if-changed").err.splitlines()
    said += command("save", f"{reference}0", *arguments).err.splitlines()
    with UploadRegistry() as target:
        said += command("push", tmp_path / "y.tar", target.host, "--progress", "json").err.splitlines()
    events = [json.loads(line) for line in said]
    described = section("save --progress json") | section("save --json") | section("push --json")
    assert {"planned", "started", "finished", "saved", "unchanged", "error", "pushed"} <= {
        event["event"] for event in events
    }
    for event in events:
        assert {event["event"], *keys(event)} <= described, event


def test_the_json_of_a_save_has_its_bytes_and_those_of_the_next_one_are_cached(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    reference = loopback.add("team/app", "1", IMAGE)
    arguments = ("save", reference, "--json", "-o", tmp_path / "y.tar", "--platform", "linux/amd64")
    first, second = (json.loads(command(*arguments).out) for _ in range(2))
    size = sum(len(layer.content) for layer in IMAGE.layers)
    assert (first["downloaded"], first["cached"]) == (size, 0)
    assert (second["downloaded"], second["cached"]) == (0, size)
    assert first["size"] == second["size"] == (tmp_path / "y.tar").stat().st_size
    assert f"0 B downloaded, {size} B cached, " in command(*arguments).err


@pytest.mark.parametrize("output", [(), ("-o", "-"), ("-o", "/dev/stdout"), ("-o", "/proc/self/fd/1")], ids=" ".join)
def test_the_json_of_an_archive_on_stdout_is_a_usage_error(
    loopback: Loopback, command: Command, output: tuple[str, ...]
) -> None:
    done = command("save", loopback.add("team/app", "1", IMAGE), "--json", *output)
    assert (done.status, done.out) == (2, "")
    assert "--json prints to stdout, where the archive would be; add -o FILE" in done.err
