"""Recordings of the terminal, as text: scripted bytes and a scripted clock, on the screen of a terminal emulator.

``python -m tests.recordings`` writes them to ``fixtures/terminal/``; read the change before you commit it.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyte

from imgfetch.cli.bars import Bars
from imgfetch.progress import Item

DIRECTORY = Path(__file__).parents[1] / "fixtures" / "terminal"
STEP = 0.1
FRAME = 2.0
"""Seconds between two frames."""


class _Stream(io.StringIO):
    """A terminal, which also moves down to the first column at a new line."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.screen = pyte.Screen(columns, 40)
        self._parser = pyte.Stream(self.screen)

    def write(self, text: str) -> int:
        self._parser.feed(text.replace("\n", "\r\n"))
        return len(text)

    def isatty(self) -> bool:
        return True

    def resize(self, columns: int, lines: int, *, wraps: bool) -> None:
        """Get another size; terminals wrap long rows, and keep the cursor at its character, or cut them."""
        pieces = [
            [row[at : at + columns] for at in range(0, len(row) or 1, columns)][: None if wraps else 1]
            for row in self.rows()
        ]
        row, column = self.screen.cursor.y, self.screen.cursor.x
        self.screen.resize(lines, columns)
        self.screen.reset()
        self._parser.feed("\r\n".join([piece for each in pieces for piece in each][:lines]))
        self.screen.cursor.y = len([piece for each in pieces[:row] for piece in each]) + column // columns * wraps
        self.screen.cursor.x = column % columns if wraps else min(column, columns - 1)

    def rows(self) -> list[str]:
        return "\n".join(row.rstrip() for row in self.screen.display).rstrip("\n").split("\n")


@dataclass
class Recorder:
    """Runs a script against `Bars`.

    Attributes:
        frames: the time, the rows, and the bytes a second of the last three seconds, or since the plan.
    """

    columns: int
    now: float = 0.0
    frames: list[tuple[float, list[str], float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stream = _Stream(self.columns)
        self.display = Bars(self._stream, size=self._size, clock=lambda: self.now, has_thread=False)
        self._received: list[tuple[float, int]] = []
        self._next = self._began = 0.0

    def _size(self) -> os.terminal_size:
        return os.terminal_size((self._stream.screen.columns, self._stream.screen.lines))

    def resize(self, columns: int, lines: int = 40, *, wraps: bool) -> None:
        """Change the size of the terminal."""
        self._stream.resize(columns, lines, wraps=wraps)

    @property
    def rows(self) -> list[str]:
        """The rows of the screen."""
        return self._stream.rows()

    @property
    def expected(self) -> list[str]:
        """The rows of progress that it should show now."""
        columns, lines = self._size()
        return [row.rstrip() for row in self.display._board.rows(columns - 1)][: lines - 1]

    def plan(self, blobs: Sequence[Item]) -> None:
        self._began = self.now
        self.display.planned(blobs)

    def receive(self, item: Item, count: int) -> None:
        self._received.append((self.now, count))
        self.display.advanced(item, count)

    def wait(self, seconds: float = STEP) -> None:
        """Let time pass, and keep a frame every `FRAME` seconds."""
        for _ in range(round(seconds / STEP)):
            self.now = round(self.now + STEP, 3)
            if self.now >= self._next:
                self._next = self.now + FRAME
                self.keep()

    def keep(self) -> None:
        self.display.tick()
        recent = sum(count for when, count in self._received if when > self.now - 3.0)
        self.frames.append((self.now, self._stream.rows(), recent / max(min(3.0, self.now - self._began), STEP)))

    def download(self, items: Sequence[Item], rate: int, jobs: int = 4, *, until: int | None = None) -> None:
        """Download blobs at a rate for all of them, in bytes a second; at most ``until`` bytes of each."""
        waiting, active, left = list(items), list[Item](), dict[Item, int]()
        while waiting or active:
            while waiting and len(active) < jobs:
                item = waiting.pop(0)
                self.display.started(item)
                active.append(item)
                left[item] = min(item.size, until or item.size)
            for item in list(active):
                count = min(left[item], round(rate * STEP / len(active)))
                self.receive(item, count)
                left[item] -= count
                if not left[item]:
                    active.remove(item)
                    if not until:
                        self.display.finished(item, cached=False)
            self.wait()

    def text(self) -> str:
        return "".join(f"== {now:.1f} s\n" + "".join(f"{row}\n" for row in rows) for now, rows, _ in self.frames)


def items(*sizes: int) -> list[Item]:
    """Return blobs of these sizes."""
    digests = [hashlib.sha256(f"{number}".encode()).hexdigest() for number in range(len(sizes))]
    return [Item(f"sha256:{digest}", size) for digest, size in zip(digests, sizes, strict=True)]


MB = 1_000_000


def one_layer(recorder: Recorder) -> None:
    blobs = items(48 * MB)
    recorder.display.resolving(0, 1, "quay.io/team/app:1.4")
    recorder.wait(1)
    recorder.plan(blobs)
    recorder.download(blobs, 6 * MB)


def thirteen_layers(recorder: Recorder) -> None:
    blobs = items(*(size * MB for size in (30, 1, 12, 7, 3, 9, 2, 15, 4, 6, 1, 2, 8)))
    recorder.plan(blobs)
    recorder.download(blobs, 10 * MB)


def thirty_images(recorder: Recorder) -> None:
    for number in range(31):
        recorder.display.resolving(number, 30, f"registry.example/team/service-{number}:1.{number}")
        recorder.wait(0.3)
    blobs = [
        Item(f"sha256:{hashlib.sha256(bytes([number])).hexdigest()}", 4 * MB, f"service-{number}:1.{number}")
        for number in range(30)
    ]
    recorder.plan(blobs)
    recorder.download(blobs, 12 * MB)


def warm_cache(recorder: Recorder) -> None:
    here, *rest = blobs = items(*(size * MB for size in (136, 12, 6)))
    recorder.plan(blobs)
    recorder.display.started(here)
    recorder.display.finished(here, cached=True)
    recorder.display.started(rest[0])
    recorder.display.resumed(rest[0], 8 * MB)
    recorder.wait(1)
    recorder.receive(rest[0], 4 * MB)
    recorder.display.finished(rest[0], cached=False)
    recorder.download(rest[1:], MB)


def interruption(recorder: Recorder) -> None:
    blobs = items(20 * MB, 16 * MB)
    recorder.plan(blobs)
    recorder.download(blobs, 4 * MB, until=10 * MB)
    for _ in range(3):
        recorder.display.interrupted(blobs[0], f"layer {blobs[0].short} was interrupted at 10 MB; resuming")
    recorder.display.advanced(blobs[0], -10 * MB)
    recorder.wait(2)
    for _ in range(40):
        recorder.receive(blobs[0], MB // 2)
        recorder.receive(blobs[1], MB // 10)
        recorder.wait()
    recorder.display.finished(blobs[0], cached=False)
    recorder.wait(1)


def stall(recorder: Recorder) -> None:
    blobs = items(20 * MB, 16 * MB)
    recorder.plan(blobs)
    recorder.download(blobs, 4 * MB, until=10 * MB)
    recorder.wait(12)


STORIES: dict[str, tuple[Callable[[Recorder], None], int]] = {
    "one-layer": (one_layer, 80),
    "thirteen-layers": (thirteen_layers, 100),
    "thirty-images": (thirty_images, 100),
    "warm-cache": (warm_cache, 80),
    "interruption": (interruption, 80),
    "stall": (stall, 80),
    "40-columns": (thirteen_layers, 40),
    "25-columns": (thirteen_layers, 25),
}


def recorded(name: str) -> Recorder:
    """Return a story that was told to the end."""
    story, columns = STORIES[name]
    recorder = Recorder(columns)
    try:
        story(recorder)
        recorder.keep()
    finally:
        recorder.display.close()
        recorder.frames.append((recorder.now, recorder._stream.rows(), 0.0))
    return recorder


def main() -> None:
    DIRECTORY.mkdir(exist_ok=True)
    for name in STORIES:
        (DIRECTORY / f"{name}.txt").write_text(recorded(name).text())


if __name__ == "__main__":
    main()
