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
LATENCY = 0.1  # seconds of each answer to a request for a name, in which there may be one too many


class Slow:
    """Answers when it has had as many requests at a time as expected, but for the first; counts the most there were."""

    def __init__(self, expected: int, stderr: Callable[[], str] = str) -> None:
        self.running = self.most = self.answered = 0
        self.said: list[str] = []  # on stderr, before each answer
        self._expected = expected
        self._stderr = stderr
        self._changed = threading.Condition()

    @contextmanager
    def request(self) -> Iterator[None]:
        with self._changed:
            self.running += 1
            self.most = max(self.most, self.running)
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self.answered or self.most >= self._expected, 30)
        time.sleep(LATENCY)
        with self._changed:
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


@pytest.mark.parametrize("output", [("-o", "y.tar"), ("--output-dir", "out")], ids=" ".join)
def test_names_are_requested_eight_at_a_time_and_shown_before_the_second_answer(
    *,
    output: tuple[str, str],
    loopback: Loopback,
    references: list[str],
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[str] = []
    slow = Slow(8, lambda: "".join(shown))
    for path, answer in list(loopback.answers.items()):
        if path.endswith("/manifests/1"):
            assert isinstance(answer, Answer)
            loopback.answers[path] = slow.slowed(answer)
    monkeypatch.setattr("imgfetch.cli.display.Display._print", lambda _, text: shown.append(f"{text}\n"))
    arguments = ("--platform", "linux/amd64", "--progress", "json", output[0], tmp_path / output[1])
    assert command("save", *references, *arguments).status == 0
    assert slow.answered == IMAGES
    assert slow.most == 8
    first = f'{{"event": "resolving", "done": 0, "total": {IMAGES}, "image": "{references[0]}"}}\n'
    assert slow.said[0] == first
    assert shown[IMAGES].startswith(f'{{"event": "resolving", "done": {IMAGES}, ')


@pytest.mark.parametrize("arguments", [("digest",), ("save", "--dry-run")], ids=" ".join)
def test_commands_without_a_download_show_the_names_too(
    arguments: tuple[str, ...], references: list[str], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[int, int, str]] = []
    monkeypatch.setattr("imgfetch.cli.lines.Lines.resolving", lambda _, *state: shown.append(state))
    done = command(*arguments, *references[:3], "--platform", "linux/amd64")
    assert (done.status, done.err) == (0, "")
    assert shown[0] == (0, 3, references[0])
    assert [(done, total) for done, total, _ in shown] == [(0, 3), (1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("output", [("-o", "y.tar"), ("--output-dir", "out")], ids=" ".join)
def test_with_one_job_names_are_requested_one_after_the_other(
    output: tuple[str, str], loopback: Loopback, references: list[str], command: Command, tmp_path: Path
) -> None:
    slow = Slow(1)
    for path, answer in list(loopback.answers.items()):
        if path.endswith("/manifests/1"):
            assert isinstance(answer, Answer)
            loopback.answers[path] = slow.slowed(answer)
    arguments = ("--platform", "linux/amd64", "-j1", output[0], tmp_path / output[1])
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
