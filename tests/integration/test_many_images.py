"""Lists of many images: names that are resolved together, and all that fails at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.images import hello, image
from tests.integration.conftest import Command
from tests.loopback import Answer, Loopback, Request

IMAGES = 30
LATENCY = 0.3  # seconds of each answer to a request for a name


class Slow:
    """Answers after `LATENCY`, and counts the requests that it has at a time."""

    def __init__(self, stderr: Callable[[], str]) -> None:
        self.running = self.most = self.answered = 0
        self.said: list[str] = []  # on stderr, before each answer
        self._stderr = stderr
        self._lock = threading.Lock()

    @contextmanager
    def request(self) -> Iterator[None]:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(LATENCY)
        with self._lock:
            self.running -= 1
            self.answered += 1
            self.said.append(self._stderr())
        yield

    def slowed(self, answer: Answer) -> Callable[[Request], Answer]:
        def respond(_: Request) -> Answer:
            with self.request():
                return answer

        return respond


@pytest.fixture
def references(loopback: Loopback) -> list[str]:
    return [loopback.add(f"team/app-{number}", "1", image(hello(str(number)))) for number in range(IMAGES)]


def test_names_are_requested_eight_at_a_time_and_shown_before_the_second_answer(
    loopback: Loopback,
    references: list[str],
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[str] = []
    slow = Slow(lambda: "".join(shown))
    for path, answer in list(loopback.answers.items()):
        if path.endswith("/manifests/1"):
            assert isinstance(answer, Answer)
            loopback.answers[path] = slow.slowed(answer)
    monkeypatch.setattr("imgfetch.cli.display.Display._print", lambda _, text: shown.append(f"{text}\n"))
    arguments = ("--platform", "linux/amd64", "--progress", "json", "-o", tmp_path / "y.tar")
    assert command("save", *references, *arguments).status == 0
    assert slow.answered == IMAGES
    assert slow.most == 8
    first = f'{{"event": "resolving", "done": 0, "total": {IMAGES}, "image": "{references[0]}"}}\n'
    assert slow.said[0] == first
    assert shown[IMAGES].startswith(f'{{"event": "resolving", "done": {IMAGES}, ')


def test_with_one_job_names_are_requested_one_after_the_other(
    loopback: Loopback, references: list[str], command: Command, tmp_path: Path
) -> None:
    slow = Slow(str)
    for path, answer in list(loopback.answers.items()):
        if path.endswith("/manifests/1"):
            assert isinstance(answer, Answer)
            loopback.answers[path] = slow.slowed(answer)
    arguments = ("--platform", "linux/amd64", "-j1", "-o", tmp_path / "y.tar")
    assert command("save", *references[:4], *arguments).status == 0
    assert slow.most == 1


def test_of_several_platforms_those_that_an_image_lacks_are_left_out_and_told_once(
    references: list[str], command: Command, tmp_path: Path
) -> None:
    arguments = ("--platform", "linux/amd64,linux/arm64", "-o", tmp_path / "y.tar")
    done = command("save", *references[:3], *arguments)
    assert done.status == 0, done.err
    assert done.err.count("3 of 3 images are not available for linux/arm64, and were saved without it: ") == 1
    assert command("save", references[0], *arguments).status == 3
