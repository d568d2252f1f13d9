"""Several hosts share a list of images: each saves a shard of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.images import hello, image
from tests.integration.conftest import Command
from tests.loopback import Loopback

PLATFORM = ("--platform", "linux/amd64")


@pytest.fixture
def listed(loopback: Loopback, tmp_path: Path) -> Path:
    """Return a list of five images."""
    references = [loopback.add(f"team/app{number}", "1", image(hello(str(number)))) for number in range(5)]
    path = tmp_path / "images.txt"
    path.write_text("# all\n" + "\n".join([references[0], *references]) + "\n")
    return path


def archives(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.glob("*.tar")}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shards_together_are_the_list(command: Command, listed: Path, tmp_path: Path, count: int) -> None:
    assert command("save", "-i", listed, "--output-dir", tmp_path / "all", *PLATFORM).status == 0
    together: dict[str, bytes] = {}
    for number in range(1, count + 1):
        directory = tmp_path / str(number)
        options = ("--shard", f"{number}/{count}", "--output-dir", directory, *PLATFORM)
        assert command("save", "-i", listed, *options).status == 0
        assert not together.keys() & archives(directory).keys()
        together |= archives(directory)
    assert together == archives(tmp_path / "all")
    assert len(together) == 5


def test_a_shard_may_be_one_archive(command: Command, listed: Path, tmp_path: Path) -> None:
    assert command("save", "-i", listed, "--shard", "5/5", "-o", tmp_path / "y.tar", *PLATFORM).status == 0
    assert "/team/app4:1" in command("verify", tmp_path / "y.tar").out


@pytest.mark.parametrize("quiet", [False, True], ids=["", "quiet"])
def test_an_empty_shard_is_a_success_for_a_directory(
    command: Command, listed: Path, tmp_path: Path, *, quiet: bool
) -> None:
    options = ("--shard", "6/6", "--output-dir", tmp_path / "out", "--json", *(("-q",) if quiet else ()))
    done = command("save", "-i", listed, *options)
    assert (done.status, done.out.strip()) == (0, "[]")
    assert ("shard 6/6 is empty" in done.err) is not quiet
    assert archives(tmp_path / "out") == {}


@pytest.mark.parametrize("options", [("-o", "y.tar"), ("--dry-run",)], ids=" ".join)
def test_an_empty_shard_is_an_error_for_one_archive(command: Command, listed: Path, options: tuple[str, ...]) -> None:
    done = command("save", "-i", listed, "--shard", "6/6", *options)
    assert done.status == 2
    assert "shard 6/6 is empty" in done.err


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "3/", "/3", "-1/3", "1/0", "1/10001", "1/3/5", "1.0/3", " 1/3"])
def test_a_shard_that_does_not_exist_is_a_usage_error(command: Command, text: str) -> None:
    done = command("save", "a.example/x", f"--shard={text}", "-o", "y.tar")
    assert done.status == 2
    assert "--shard: must be N/COUNT, such as 3/16" in done.err
