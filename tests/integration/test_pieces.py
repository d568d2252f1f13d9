"""A large layer over several connections, from a registry that sends slowly on each."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images import hello, image
from tests.integration.test_resume import check_names, noise
from tests.throttled import Throttled

SIZE = 3 * 1024**2
RATE = 512 * 1024  # bytes a second of each connection
RUN = 60  # seconds that a run gets
KILLS = 6
BUILT = image(noise("in pieces", SIZE), hello())
LAYER = BUILT.layers[0].digest
HURRIED = """
import sys
from imgfetch.cli import main
from imgfetch.pull import session
from tests.mirrors import PIECEMEAL
session.LIMITS = PIECEMEAL
sys.exit(main.main(sys.argv[1:]))
"""
"""imgfetch with limits that let small layers come in pieces."""


@pytest.fixture
def registry() -> Iterator[Throttled]:
    with Throttled(RATE) as registry:
        yield registry


def save(registry: Throttled, directory: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Begin to save the image to ``y.tar`` in a directory, with a cache there."""
    reference = registry.add("team/app", "v1", BUILT)
    where = ["-o", directory / "y.tar", "--cache-dir", directory / "cache"]
    command = [sys.executable, "-c", HURRIED, "save", reference, "--platform", "linux/amd64", *where, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "PYTHONSAFEPATH": ""})


def completed(registry: Throttled, directory: Path, *arguments: str) -> str:
    """Save the image, and return what is reported."""
    with save(registry, directory, *arguments) as process:
        _, err = process.communicate(timeout=RUN)
    assert process.returncode == 0, err.decode()
    check_names(directory / "cache")
    return err.decode()


def pieces(registry: Throttled) -> int:
    """Return the number of requests for the layer that do not begin at its first byte."""
    return sum(digest == LAYER and start > 0 for digest, start in registry.blobs)


def wait_until_sent(registry: Throttled, count: float, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + RUN
    while registry.sent < count and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.002)


def test_an_archive_is_the_same_whether_its_layers_came_in_pieces_or_not(registry: Throttled, tmp_path: Path) -> None:
    completed(registry, tmp_path)
    assert pieces(registry) > 5
    in_pieces = (tmp_path / "y.tar").read_bytes()
    registry.rate, registry.blobs = 1e12, []
    completed(registry, tmp_path, "--no-cache", "--connections", "1")
    assert pieces(registry) == 0
    assert (tmp_path / "y.tar").read_bytes() == in_pieces


@pytest.mark.parametrize("most", [1, 3, 8])
def test_there_are_never_more_connections_to_a_registry_than_allowed(
    registry: Throttled, tmp_path: Path, most: int
) -> None:
    completed(registry, tmp_path, "--connections", str(most), "--jobs", "2")
    assert registry.sending.most <= max(most, 2)
    assert (pieces(registry) > 0) == (most > 1)


def test_one_job_has_one_connection(registry: Throttled, tmp_path: Path) -> None:
    completed(registry, tmp_path, "--jobs", "1")
    assert (registry.sending.most, pieces(registry)) == (1, 0)


def test_a_download_in_pieces_that_is_killed_continues_at_the_byte(registry: Throttled, tmp_path: Path) -> None:
    choice = random.Random(KILLS)
    for number in range(KILLS):
        begun = registry.sent
        with save(registry, tmp_path) as process:
            wait_until_sent(registry, begun + SIZE * (number + choice.random()) / KILLS / 2, process)
            process.kill()
            process.communicate(timeout=RUN)
        check_names(tmp_path / "cache")
        part = tmp_path / "cache" / "parts" / "sha256" / LAYER[7:]
        kept = part.read_bytes() if part.exists() else b""
        assert BUILT.layers[0].content.startswith(kept)
    completed(registry, tmp_path)
    assert sorted(path.name for path in (tmp_path / "cache" / "parts" / "sha256").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_all_connections_at_once(registry: Throttled, tmp_path: Path, number: signal.Signals) -> None:
    with save(registry, tmp_path) as process:
        wait_until_sent(registry, SIZE / 2, process)
        process.send_signal(number)
        _, err = process.communicate(timeout=RUN)
    assert process.returncode == 128 + number
    assert b"Traceback" not in err
    assert b"one connection" not in err
    completed(registry, tmp_path)
