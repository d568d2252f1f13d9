"""A save keeps its rate limit over all connections, and nothing mistakes the limit for a slow server."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from imgfetch.http.ratelimit import CREDIT
from imgfetch.http.retries import RetryPolicy
from imgfetch.pull.client import Client
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.mirror_rules import Mirrors
from tests.images import OCI_TAR, image, layer, tar
from tests.integration.conftest import Command
from tests.loopback import Loopback
from tests.mirrors import HURRIED, MirrorServer
from tests.stories import Log
from tests.waiting import until

LAYERS, SIZE = 4, 120_000
LAYER_BLOBS = [layer(tar({"noise": random.Random(number).randbytes(SIZE)}), OCI_TAR) for number in range(LAYERS)]
IMAGE = image(*LAYER_BLOBS)
HALVES = [image(*LAYER_BLOBS[: LAYERS // 2]), image(*LAYER_BLOBS[LAYERS // 2 :])]
RATE = 400_000


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    return Log(caplog)


def client(*, timeout: float = 60.0, mirrors: tuple[str, ...] = ()) -> Client:
    config = RegistryConfig(mirrors=Mirrors(urls=mirrors), plain_http=True)
    return Client(config, retries=RetryPolicy(retries=0), timeout=timeout)


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_save_takes_at_least_the_time_that_its_limit_implies(loopback: Loopback, tmp_path: Path, jobs: int) -> None:
    reference = loopback.add("team/app", "1", IMAGE)
    unlimited, limited = tmp_path / "unlimited.tar", tmp_path / "limited.tar"
    client().save(reference, unlimited, platform="linux/amd64")
    began = time.monotonic()
    client().save(reference, limited, platform="linux/amd64", jobs=jobs, limit_rate=RATE)
    assert time.monotonic() - began >= LAYERS * SIZE / RATE - CREDIT - jobs / 64
    assert limited.read_bytes() == unlimited.read_bytes()


def test_the_limit_is_that_of_all_registries_together(tmp_path: Path) -> None:
    with Loopback() as one, Loopback() as two:
        references = [registry.add("team/app", "1", IMAGE) for registry in (one, two)]
        images = [f"{references[0]}", f"{references[1]}"]
        began = time.monotonic()
        client().save(images, tmp_path / "both.tar", platform="linux/amd64", limit_rate=RATE)
        assert time.monotonic() - began >= LAYERS * SIZE / RATE - CREDIT - 4 / 64


def test_the_limit_is_that_of_all_archives_of_a_directory_together(
    command: Command, loopback: Loopback, tmp_path: Path
) -> None:
    references = [loopback.add(f"team/app{number}", "1", built) for number, built in enumerate(HALVES)]
    began = time.monotonic()
    options = ("--limit-rate", "400k", "--output-dir", tmp_path / "out", "--platform", "linux/amd64")
    assert command("save", *references, *options).status == 0
    assert time.monotonic() - began >= LAYERS * SIZE / RATE - CREDIT - 8 / 64


def test_no_mirror_looks_slow_because_of_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: Log) -> None:
    monkeypatch.setattr("imgfetch.pull.session.LIMITS", HURRIED._replace(first_byte=30.0, upstream=60.0))
    with ExitStack() as stack:
        first, other, upstream = (stack.enter_context(MirrorServer(IMAGE)) for _ in range(3))
        mirrors = tuple(f"{upstream.host}={mirror.url}" for mirror in (first, other))
        client(mirrors=mirrors).save(
            f"{upstream.host}/team/app:1", tmp_path / "y.tar", platform="linux/amd64", limit_rate=RATE
        )
    assert [len(server.requests) for server in (first, other, upstream)] == [LAYERS + 2, 0, 0]
    assert log.warnings == []


def test_a_pause_for_the_limit_is_not_a_silent_server(loopback: Loopback, tmp_path: Path) -> None:
    reference = loopback.add("team/app", "1", image(layer(tar({"x": random.Random(3).randbytes(300)}), OCI_TAR)))
    began = time.monotonic()
    # The manifest and the config are received at once, and then there is a pause of more than a second.
    client(timeout=1.0).save(reference, tmp_path / "y.tar", platform="linux/amd64", limit_rate=1000)
    assert time.monotonic() - began > 1.0


@pytest.mark.parametrize("jobs", ["1", "4"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_pause_at_once(loopback: Loopback, tmp_path: Path, number: signal.Signals, jobs: str) -> None:
    reference = loopback.add("team/app", "1", IMAGE)
    arguments = [reference, "-o", str(tmp_path / "y.tar"), "--limit-rate", "1k", "-j", jobs, "--no-cache"]
    process = subprocess.Popen(
        [sys.executable, "-m", "imgfetch", "save", *arguments, "--platform", "linux/amd64"], stderr=subprocess.PIPE
    )
    until(lambda: any("/blobs/" in path and str(IMAGE.config.digest) not in path for path in loopback.paths))
    process.send_signal(number)
    _, err = process.communicate(timeout=30)  # it would take eight minutes
    assert process.returncode == 128 + number
    assert "Traceback" not in err.decode()
