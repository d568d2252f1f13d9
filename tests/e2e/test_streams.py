"""A stream that fails on the way into an engine leaves the engine's tag where it was."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Started
from tests.images import OCI_TAR, hello, image, layer, tar
from tests.loopback import Answer, Loopback
from tests.readers import LOADERS, Loader
from tests.waiting import until

NAME = "streams.example/team/app:v1"
OPTIONS = ("--name", NAME, "--platform", "linux/amd64")
GOOD = image(hello("streams-good"))
BROKEN = image(hello("streams-first"), layer(tar({"data": bytes(range(256)) * 4096}), OCI_TAR), hello("streams-third"))
FIRST, SECOND, THIRD = (layer.digest for layer in BROKEN.layers)


@pytest.fixture(params=LOADERS)
def engine(request: pytest.FixtureRequest, started: Started) -> Loader:
    """Return a reader without any image."""
    found: Loader = started(request.param)
    found.forget()
    return found


@pytest.fixture
def hold() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


class Pipeline:
    """``imgfetch save REF | ENGINE load``."""

    def __init__(self, engine: Loader, reference: str) -> None:
        save = [sys.executable, "-m", "imgfetch", "save", reference, *OPTIONS]
        save += ["--no-cache", "-j1", "--retries", "0", "-q"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("IMGFETCH_")}
        self.save = subprocess.Popen(save, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
        load = [str(part) for part in engine.load_command]
        self._load = subprocess.Popen(
            load, stdin=self.save.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert self.save.stdout is not None
        self.save.stdout.close()

    def statuses(self) -> tuple[int, int]:
        return self.save.wait(120), self._load.wait(120)


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of a good image."""
    archive = tmp_path_factory.mktemp("streams") / "good.tar"
    with Loopback() as registry:
        save = [sys.executable, "-m", "imgfetch", "save", registry.add("team/good", "v1", GOOD), *OPTIONS]
        subprocess.run([*save, "--no-cache", "-q", "-o", archive], check=True, timeout=120)
    return archive


@pytest.fixture
def before(engine: Loader, good: Path) -> str:
    """Load the good image, and return what its name stands for."""
    engine.read(good)
    return engine.image_named(NAME)


@pytest.mark.parametrize(
    "fault",
    [
        (FIRST, Answer(b"", 404), 3),
        (SECOND, Answer(b"", 404), 3),
        (THIRD, Answer(b"", 404), 3),
        (THIRD, Answer(BROKEN.layers[2].content[:-1] + b"?"), 6),
    ],
    ids=["first", "second", "third", "damaged"],
)
def test_a_stream_that_fails_is_refused_and_the_tag_stays(
    engine: Loader, before: str, fault: tuple[str, Answer, int], loopback: Loopback
) -> None:
    digest, answer, status = fault
    reference = loopback.add("team/app", "v1", BROKEN)
    loopback.answers[f"/v2/team/app/blobs/{digest}"] = answer
    saved, taken = Pipeline(engine, reference).statuses()
    assert saved == status
    assert taken
    assert engine.image_named(NAME) == before


@pytest.mark.parametrize("digest", [SECOND, THIRD], ids=["second", "third"])
def test_a_save_that_is_killed_is_refused_and_the_tag_stays(
    engine: Loader, before: str, digest: str, loopback: Loopback, hold: threading.Event
) -> None:
    reference = loopback.add("team/app", "v1", BROKEN)
    path = f"/v2/team/app/blobs/{digest}"
    answer = loopback.answers[path]
    assert isinstance(answer, Answer)
    loopback.answers[path] = Answer(answer.body, headers=answer.headers, hold=hold)
    pipeline = Pipeline(engine, reference)
    until(lambda: path in loopback.paths)
    time.sleep(0.5)  # let what is here already be written
    pipeline.save.kill()
    saved, taken = pipeline.statuses()
    assert saved < 0 < taken
    assert engine.image_named(NAME) == before


def test_the_image_that_failed_loads_when_nothing_fails(engine: Loader, before: str, loopback: Loopback) -> None:
    assert Pipeline(engine, loopback.add("team/app", "v1", BROKEN)).statuses() == (0, 0)
    assert engine.image_named(NAME) != before
