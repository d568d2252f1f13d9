from __future__ import annotations

import io
import json
import math
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from imgfetch.cli.bars import Bars
from imgfetch.cli.display import DISPLAYS, Display, Events, Lines
from imgfetch.defaults import PROGRESS
from imgfetch.progress import Item, Progress

BASE = Item(f"sha256:{'0123456789abcdef' * 4}", 1_000_000)
TOP = Item(f"sha256:{'fedcba9876543210' * 4}", 3_000_000)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let bars be as wide as they like, whatever the terminal that the tests run in."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def bars(stream: io.StringIO) -> Bars:
    return Bars(stream)


class Slow(io.StringIO):
    """A stream that lets others run in the middle of everything."""

    def write(self, text: str) -> int:
        time.sleep(0.0005)
        return super().write(text)


def lines(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def events(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(stream)]


ALL = {"bar": Bars, **DISPLAYS}


def at_once(*calls: Callable[[], object]) -> None:
    """Make these calls in a thread each, all at the same time."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        barrier.wait()
        call()

    with ThreadPoolExecutor(len(calls)) as pool:
        list(pool.map(run, calls))


def test_the_displays_have_names() -> None:
    assert {"plain": Lines, "json": Events, "none": Display} == DISPLAYS
    assert {"auto", *ALL} == set(PROGRESS)


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_shown_before_there_is_anything(name: str, stream: io.StringIO) -> None:
    ALL[name](stream).close()
    assert stream.getvalue() == ""


def test_progress_itself_does_nothing() -> None:
    progress = Progress()
    progress.planned([BASE])
    progress.started(BASE)
    progress.advanced(BASE, 1)
    progress.finished(BASE, cached=False)
    assert vars(progress) == {}


@pytest.mark.parametrize("name", ["bar", "plain", "none"])
@pytest.mark.parametrize(
    ("kind", "text", "shown"),
    [
        pytest.param("error", "gone", ["imgfetch: error: gone"], id="error"),
        pytest.param("warning", "odd", ["imgfetch: warning: odd"], id="warning"),
        pytest.param("info", "asking", ["imgfetch: asking"], id="info"),
        pytest.param("saved", "saved x", ["imgfetch: saved x"], id="saved"),
        pytest.param(
            "error", "gone\n  hint: look", ["imgfetch: error: gone", "imgfetch:   hint: look"], id="two lines"
        ),
    ],
)
def test_a_message_is_a_line(name: str, kind: str, text: str, shown: list[str], stream: io.StringIO) -> None:
    ALL[name](stream).message(kind, text, {"digest": BASE.name})
    assert lines(stream) == shown
    assert stream.getvalue().endswith("\n")


@pytest.mark.parametrize("name", ALL)
def test_messages_of_two_threads_do_not_mix(name: str) -> None:
    stream = Slow()
    display = ALL[name](stream)

    def speak(text: str) -> None:
        for _ in range(20):
            display.message("info", text)

    at_once(lambda: speak("one"), lambda: speak("other"))
    found = sorted(event["message"] for event in events(stream)) if name == "json" else sorted(lines(stream))
    prefix = "" if name == "json" else "imgfetch: "
    assert found == [f"{prefix}one"] * 20 + [f"{prefix}other"] * 20


def test_without_progress_only_messages_are_shown(stream: io.StringIO) -> None:
    display = Display(stream)
    display.planned([BASE, TOP])
    display.started(BASE)
    display.advanced(BASE, 10)
    display.finished(BASE, cached=False)
    display.message("info", "done")
    display.close()
    assert lines(stream) == ["imgfetch: done"]


@pytest.mark.parametrize(
    ("items", "shown"),
    [
        pytest.param([], "imgfetch: 0 layers, 0 B", id="none"),
        pytest.param([BASE], "imgfetch: 1 layer, 1 MB", id="one"),
        pytest.param([BASE, TOP], "imgfetch: 2 layers, 4 MB", id="two"),
    ],
)
def test_lines_begin_with_what_there_is_to_do(items: list[Item], shown: str, stream: io.StringIO) -> None:
    Lines(stream).planned(items)
    assert lines(stream) == [shown]


def lines_that_tell(stream: io.StringIO, *, when: float) -> Lines:
    """Return lines that have told something ``when``: never, or just now and for a long time."""
    display = Lines(stream)
    display.planned([BASE, TOP])
    display._reported = when
    return display


def test_a_line_tells_how_far_it_is(stream: io.StringIO) -> None:
    display = lines_that_tell(stream, when=-math.inf)
    display.started(BASE)
    display.advanced(BASE, 500_000)
    (line,) = lines(stream)[1:]
    assert re.fullmatch(r"imgfetch: 500 kB of 4 MB \(12%\), 0 of 2 layers, [0-9.]+ [kMGT]?B/s", line)


def test_a_line_is_not_written_for_every_step(stream: io.StringIO) -> None:
    display = lines_that_tell(stream, when=math.inf)
    for _ in range(1000):
        display.advanced(BASE, 1000)
    display.finished(BASE, cached=False)
    assert lines(stream) == ["imgfetch: 2 layers, 4 MB"]


def test_lines_count_a_blob_once(stream: io.StringIO) -> None:
    display = lines_that_tell(stream, when=math.inf)
    display.advanced(BASE, 400_000)
    display.finished(BASE, cached=False)  # the rest was not told
    display.finished(TOP, cached=True)
    display._reported = -math.inf
    display.advanced(TOP, 0)
    assert lines(stream)[-1].startswith("imgfetch: 4 MB of 4 MB (100%), 2 of 2 layers, ")


def test_a_cached_blob_is_no_news(stream: io.StringIO) -> None:
    display = lines_that_tell(stream, when=-math.inf)
    display.finished(BASE, cached=True)
    assert lines(stream) == ["imgfetch: 2 layers, 4 MB"]
    display.finished(TOP, cached=False)
    assert lines(stream)[-1].startswith("imgfetch: 4 MB of 4 MB (100%), 2 of 2 layers, ")


def test_lines_add_up_what_two_threads_tell(stream: io.StringIO) -> None:
    display = lines_that_tell(stream, when=math.inf)

    def bring(item: Item) -> None:
        display.started(item)
        for _ in range(1000):
            display.advanced(item, item.size // 1000)

    at_once(lambda: bring(BASE), lambda: bring(TOP))
    display._reported = -math.inf
    display.advanced(BASE, 0)
    assert lines(stream)[-1].startswith("imgfetch: 4 MB of 4 MB (100%), 0 of 2 layers, ")


def test_nothing_to_do_is_no_division_by_zero(stream: io.StringIO) -> None:
    display = Lines(stream)
    display.planned([Item(BASE.name, 0)])
    display._reported = -math.inf
    display.finished(Item(BASE.name, 0), cached=False)
    assert lines(stream)[-1].startswith("imgfetch: 0 B of 0 B (0%), 1 of 1 layer, ")


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (4_000_000, "imgfetch: 1 MB of 4 MB (25%), "),
        (None, "imgfetch: 1 MB, "),
    ],
)
def test_a_file_that_is_read_has_bytes_and_perhaps_a_part_of_all(
    stream: io.StringIO, size: int | None, said: str
) -> None:
    display = Lines(stream)
    with display.reading("o.tar", size) as advanced:
        advanced(500_000)
        assert lines(stream) == []
        display._reported = -math.inf
        advanced(500_000)
    (line,) = lines(stream)
    assert re.fullmatch(rf"{re.escape(said)}[\d.]+ [kMGT]?B/s", line)


def test_a_file_that_is_read_has_events_with_its_name(stream: io.StringIO) -> None:
    display = Events(stream)
    with display.reading("o.tar", 5) as advanced:
        advanced(5)
    assert [(event["event"], event.get("digest")) for event in events(stream)] == [
        ("planned", None),
        ("started", "o.tar"),
        ("advanced", "o.tar"),
        ("finished", "o.tar"),
    ]


def test_a_file_that_is_read_has_one_bar_with_the_end_of_its_path(stream: io.StringIO, bars: Bars) -> None:
    with bars.reading("/some/where/o.tar", 1_000_000) as advanced:
        advanced(1_000_000)
    assert {bar.split(":")[0].strip() for bar in drawn(stream)} == {"o.tar"}
    assert "100%" in drawn(stream)[-1]


def test_a_file_of_unknown_length_has_no_part_of_all(stream: io.StringIO, bars: Bars) -> None:
    with bars.reading("stdin", None) as advanced:
        advanced(1_000_000)
    assert "%" not in stream.getvalue()
    assert "1.00MB" in drawn(stream)[-1]


def drawn(stream: io.StringIO) -> list[str]:
    """Return everything that was ever drawn, a bar each."""
    return [bar.strip() for bar in re.split(r"[\r\n]|\x1b\[[A-Z]", stream.getvalue()) if bar.strip()]


def test_bars_show_the_whole_and_each_blob(bars: Bars, stream: io.StringIO) -> None:
    bars.planned([BASE, TOP])
    bars.started(BASE)
    bars.started(TOP)
    bars.advanced(BASE, 500_000)
    bars.finished(BASE, cached=False)
    bars.finished(TOP, cached=True)
    bars.close()
    shown = drawn(stream)
    assert any(bar.startswith("total") for bar in shown)
    assert any(bar.startswith("0123456789ab:") for bar in shown)
    assert any(bar.startswith("fedcba987654:") for bar in shown)
    assert "4.00M/4.00M" in shown[-1]
    assert shown[-1].startswith("total")


def test_only_the_bar_of_the_whole_remains(bars: Bars, stream: io.StringIO) -> None:
    bars.planned([BASE])
    bars.started(BASE)
    bars.advanced(BASE, 500_000)
    bars.close()
    last = drawn(stream)[-1]
    assert last.startswith("total")
    assert "500k/1.00M" in last


def test_bars_may_be_closed_twice_and_told_things_afterwards(bars: Bars, stream: io.StringIO) -> None:
    bars.planned([BASE])
    bars.started(BASE)
    bars.close()
    before = stream.getvalue()
    bars.advanced(BASE, 1)
    bars.finished(BASE, cached=False)
    bars.close()
    assert stream.getvalue() == before


def test_a_blob_that_nobody_planned_needs_no_bar_of_the_whole(bars: Bars, stream: io.StringIO) -> None:
    bars.started(BASE)
    bars.advanced(BASE, 1)
    bars.finished(BASE, cached=False)
    assert any(bar.startswith("0123456789ab:") for bar in drawn(stream))


def test_a_message_stands_above_the_bars(bars: Bars, stream: io.StringIO) -> None:
    bars.planned([BASE])
    bars.message("warning", "odd")
    bars.close()
    shown = drawn(stream)
    assert "imgfetch: warning: odd" in shown
    assert shown.index("imgfetch: warning: odd") < len(shown) - 1
    assert shown[-1].startswith("total")


def test_bars_add_up_what_two_threads_tell(bars: Bars, stream: io.StringIO) -> None:
    bars.planned([BASE, TOP])

    def bring(item: Item) -> None:
        bars.started(item)
        for _ in range(1000):
            bars.advanced(item, item.size // 1000)
        bars.finished(item, cached=False)

    at_once(lambda: bring(BASE), lambda: bring(TOP))
    bars.close()
    assert "4.00M/4.00M" in drawn(stream)[-1]


def test_events_are_objects_a_line(stream: io.StringIO) -> None:
    display = Events(stream)
    display.planned([BASE, TOP])
    display.started(BASE)
    display.advanced(BASE, 400_000)
    display.finished(BASE, cached=False)
    display.finished(TOP, cached=True)
    display.message("warning", "odd\nthing \x1b", {"reference": "x"})
    display.message("saved", "saved x")
    display.close()
    assert events(stream) == [
        {
            "event": "planned",
            "blobs": [{"digest": BASE.name, "size": 1_000_000}, {"digest": TOP.name, "size": 3_000_000}],
            "bytes": 4_000_000,
        },
        {"event": "started", "digest": BASE.name, "size": 1_000_000},
        {"event": "advanced", "digest": BASE.name, "size": 1_000_000, "done": 400_000},
        {"event": "finished", "digest": BASE.name, "size": 1_000_000, "cached": False},
        {"event": "finished", "digest": TOP.name, "size": 3_000_000, "cached": True},
        {"event": "warning", "message": "odd\nthing \x1b", "reference": "x"},
        {"event": "saved", "message": "saved x"},
    ]
    assert stream.getvalue().isascii()


def test_an_event_is_not_written_for_every_step(stream: io.StringIO) -> None:
    display = Events(stream)
    display._reported[BASE.name] = math.inf
    for _ in range(1000):
        display.advanced(BASE, 1000)
    assert events(stream) == []
    display._reported[BASE.name] = -math.inf
    display.advanced(BASE, 0)
    assert events(stream) == [{"event": "advanced", "digest": BASE.name, "size": 1_000_000, "done": 1_000_000}]


def test_events_of_two_threads_do_not_mix() -> None:
    stream = Slow()
    display = Events(stream)

    def bring(item: Item) -> None:
        for _ in range(20):
            display.started(item)
            display.advanced(item, 1)
            display.finished(item, cached=False)

    at_once(lambda: bring(BASE), lambda: bring(TOP))
    told = events(stream)
    for item in (BASE, TOP):
        kinds = [event["event"] for event in told if event["digest"] == item.name]
        assert kinds.count("started") == kinds.count("finished") == 20
        assert "advanced" in kinds
