from __future__ import annotations

import errno
import io
import json
import math
import os
import re
import threading
import time
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TextIO

import pytest

from imgfetch.cli import displays
from imgfetch.cli.bars import Bars
from imgfetch.cli.board import Board
from imgfetch.cli.display import Display, Events
from imgfetch.cli.lines import Lines
from imgfetch.cli.live import Live
from imgfetch.defaults import PROGRESS
from imgfetch.progress import Item, Progress

BASE = Item(f"sha256:{'0123456789abcdef' * 4}", 1_000_000)
TOP = Item(f"sha256:{'fedcba9876543210' * 4}", 3_000_000)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


class Clock:
    """A clock that stands still between two calls of `pass_by`."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float, *displays: Live) -> None:
        """Let time pass, and the displays show what they would."""
        for _ in range(round(seconds)):
            self.now += 1.0
            for display in displays:
                display.tick()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bars(stream: io.StringIO, clock: Clock) -> Bars:
    return Bars(stream, size=lambda: os.terminal_size((80, 24)), clock=clock, has_thread=False)


@pytest.fixture
def plain(stream: io.StringIO, clock: Clock) -> Lines:
    return Lines(stream, clock=clock, has_thread=False)


class Slow(io.StringIO):
    """A stream that lets others run in the middle of everything."""

    def write(self, text: str) -> int:
        time.sleep(0.0005)
        return super().write(text)


class Broken(io.StringIO):
    """A stream that accepts nothing, as a full disk or a terminal that is gone."""

    def write(self, text: str) -> int:
        raise OSError(errno.EIO, text)


def lines(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def events(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(stream)]


ALL: dict[str, Callable[[TextIO], Display]] = {"bar": Bars, "plain": Lines, "json": Events, "none": Display}


def at_once(*calls: Callable[[], object]) -> None:
    """Make these calls in a thread each, all at the same time."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        barrier.wait()
        call()

    with ThreadPoolExecutor(len(calls)) as pool:
        list(pool.map(run, calls))


def test_the_displays_have_names() -> None:
    assert {"auto", *ALL} == set(PROGRESS)
    for name, kind in ALL.items():
        assert type(displays.choose(name, io.StringIO(), {}, quiet=False)) is kind


@pytest.mark.parametrize("name", ALL)
def test_a_stream_that_fails_is_no_reason_to_fail(name: str) -> None:
    display = ALL[name](Broken())
    display.resolving(0, 1, "a:1")
    display.planned([BASE, TOP])
    display.started(BASE)
    display.advanced(BASE, 1)
    if isinstance(display, Live):
        display.tick()
    display.finished(BASE, cached=False)
    display.message("warning", "odd")
    display.close()


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_shown_before_there_is_anything(name: str, stream: io.StringIO) -> None:
    ALL[name](stream).close()
    assert stream.getvalue() == ""


def test_progress_itself_does_nothing() -> None:
    progress = Progress()
    progress.planned([BASE])
    progress.started(BASE)
    progress.advanced(BASE, 1)
    progress.resolving(0, 1, "a:1")
    progress.resumed(BASE, 1)
    progress.interrupted(BASE, "cut")
    progress.failed(BASE)
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


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "coloured"),
    [
        pytest.param(Terminal(), {"TERM": "xterm"}, True, id="terminal"),
        pytest.param(Terminal(), {"TERM": "dumb"}, False, id="dumb"),
        pytest.param(Terminal(), {}, False, id="no TERM"),
        pytest.param(Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False, id="NO_COLOR"),
        pytest.param(Terminal(), {"TERM": "xterm", "NO_COLOR": ""}, True, id="empty NO_COLOR"),
        pytest.param(io.StringIO(), {"TERM": "xterm"}, False, id="file"),
        pytest.param(io.StringIO(), {"CLICOLOR_FORCE": "1"}, True, id="CLICOLOR_FORCE"),
        pytest.param(io.StringIO(), {"CLICOLOR_FORCE": "0"}, False, id="CLICOLOR_FORCE=0"),
        pytest.param(io.StringIO(), {"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, False, id="both"),
    ],
)
def test_errors_and_warnings_are_coloured_where_a_terminal_can_show_it(
    stream: io.StringIO, environment: dict[str, str], *, coloured: bool
) -> None:
    for kind, colour in (("error", 31), ("warning", 33), ("info", 0)):
        display = displays.choose("auto", stream, environment, quiet=False)
        display.message(kind, "text")
        assert (f"\x1b[1;{colour}m{kind}:\x1b[0m text" in stream.getvalue()) is (coloured and colour > 0)


@pytest.mark.parametrize(
    ("stream", "environment", "kind"),
    [
        pytest.param(Terminal(), {"TERM": "xterm"}, Bars, id="terminal"),
        pytest.param(Terminal(), {"TERM": "dumb"}, Lines, id="dumb"),
        pytest.param(Terminal(), {"TERM": ""}, Lines, id="empty TERM"),
        pytest.param(Terminal(), {}, Lines, id="no TERM"),
        pytest.param(io.StringIO(), {"TERM": "xterm"}, Lines, id="file"),
        pytest.param(None, {"TERM": "xterm"}, Lines, id="closed"),
    ],
)
def test_rows_are_drawn_only_where_the_cursor_can_be_moved(
    stream: io.StringIO | None, environment: dict[str, str], kind: type[Display]
) -> None:
    assert type(displays.choose("auto", stream, environment, quiet=False)) is kind
    assert type(displays.choose("auto", stream, environment, quiet=True)) is Display


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
        pytest.param([], "", id="none"),
        pytest.param([BASE], "imgfetch: 1 layer, 1 MB", id="one"),
        pytest.param([BASE, TOP], "imgfetch: 2 layers, 4 MB", id="two"),
    ],
)
def test_lines_begin_with_what_there_is_to_do(items: list[Item], shown: str, plain: Lines, stream: io.StringIO) -> None:
    plain.planned(items)
    plain.close()
    assert lines(stream) == ([shown] if shown else [])


def test_a_line_tells_how_far_it_is(plain: Lines, clock: Clock, stream: io.StringIO) -> None:
    plain.planned([BASE, TOP])
    plain.started(BASE)
    clock.pass_by(4, plain)
    plain.advanced(BASE, 500_000)
    clock.pass_by(1, plain)
    assert lines(stream)[1:] == ["imgfetch: 500 kB of 4 MB (12%), 0 of 2 layers, 166.7 kB/s, 0:21 left"]


def test_a_line_is_not_written_for_every_step(plain: Lines, clock: Clock, stream: io.StringIO) -> None:
    plain.planned([BASE, TOP])
    for _ in range(1000):
        plain.advanced(BASE, 1000)
        clock.now += 0.004
        plain.tick()
    plain.finished(BASE, cached=False)
    assert lines(stream) == ["imgfetch: 2 layers, 4 MB"]


def test_lines_count_a_blob_once(plain: Lines, clock: Clock, stream: io.StringIO) -> None:
    plain.planned([BASE, TOP])
    plain.started(BASE)
    plain.advanced(BASE, 400_000)
    plain.finished(BASE, cached=False)  # the rest was not told
    plain.started(TOP)
    plain.finished(TOP, cached=True)
    clock.pass_by(5, plain)
    assert lines(stream)[-1] == "imgfetch: 4 MB of 4 MB (100%), 2 of 2 layers, complete"


def test_bytes_that_are_here_are_no_speed(plain: Lines, clock: Clock, stream: io.StringIO) -> None:
    plain.planned([BASE, TOP])
    plain.started(BASE)
    plain.finished(BASE, cached=True)
    plain.started(TOP)
    plain.resumed(TOP, 1_500_000)
    clock.pass_by(4, plain)
    plain.advanced(TOP, 300_000)
    clock.pass_by(1, plain)
    assert lines(stream)[-1] == "imgfetch: 2.8 MB of 4 MB (70%), 1 of 2 layers, 100.0 kB/s, 0:12 left"


def test_a_download_that_restarts_is_no_negative_speed(plain: Lines, clock: Clock, stream: io.StringIO) -> None:
    plain.planned([BASE, TOP])
    plain.started(TOP)
    plain.advanced(TOP, 2_000_000)
    clock.pass_by(4, plain)
    plain.advanced(TOP, -2_000_000)
    plain.advanced(TOP, 600_000)
    clock.pass_by(1, plain)
    assert lines(stream)[-1] == "imgfetch: 600 kB of 4 MB (15%), 0 of 2 layers, 200.0 kB/s, 0:17 left"


def test_a_log_has_a_line_now_and_then_while_nothing_arrives(plain: Lines, clock: Clock, stream: io.StringIO) -> None:
    plain.planned([BASE, TOP])
    plain.started(BASE)
    clock.pass_by(200, plain)
    stalled = [line.partition("stalled ")[2] for line in lines(stream)[1:]]
    assert stalled == ["10 s", "30 s", "70 s", "130 s", "190 s"]


def test_a_file_is_not_stalled_while_its_bytes_are_compressed(plain: Lines, clock: Clock, stream: io.StringIO) -> None:
    with plain.reading("new.patch", None) as advanced:
        advanced(4_000_000)
        clock.pass_by(15, plain)
    assert lines(stream)[-1] == "imgfetch: 4 MB, waiting 15 s"


def test_a_log_has_a_line_now_and_then_while_names_are_resolved(
    plain: Lines, clock: Clock, stream: io.StringIO
) -> None:
    plain.resolving(0, 2, "a:1")
    clock.pass_by(6, plain)
    plain.resolving(1, 2, "a:1")
    clock.pass_by(6, plain)
    plain.resolving(2, 2, "b:1")
    plain.planned([])
    assert lines(stream) == ["imgfetch: resolving 1/2 a:1"]


def test_only_the_first_interruption_of_a_layer_is_told(plain: Lines, stream: io.StringIO) -> None:
    for item in (BASE, BASE, TOP, BASE):
        plain.interrupted(item, f"{item.short} was cut")
    assert lines(stream) == ["imgfetch: 0123456789ab was cut", "imgfetch: fedcba987654 was cut"]


def test_lines_add_up_what_two_threads_tell(plain: Lines, clock: Clock, stream: io.StringIO) -> None:
    plain.planned([BASE, TOP])

    def bring(item: Item) -> None:
        plain.started(item)
        for _ in range(1000):
            plain.advanced(item, item.size // 1000)

    at_once(lambda: bring(BASE), lambda: bring(TOP))
    clock.pass_by(5, plain)
    assert lines(stream)[-1].startswith("imgfetch: 4 MB of 4 MB (100%), 0 of 2 layers, ")


def test_nothing_to_do_is_no_division_by_zero(plain: Lines, clock: Clock, stream: io.StringIO) -> None:
    plain.planned([Item(BASE.name, 0)])
    clock.pass_by(10, plain)
    assert lines(stream)[-1] == "imgfetch: 0 B of 0 B (0%), 0 of 1 layer, stalled 10 s"


@pytest.mark.parametrize(
    ("size", "said"),
    [(4_000_000, "imgfetch: 1 MB of 4 MB (25%), 166.7 kB/s, 0:18 left"), (None, "imgfetch: 1 MB, 166.7 kB/s")],
)
def test_a_file_that_is_read_has_bytes_and_perhaps_a_part_of_all(
    plain: Lines, clock: Clock, stream: io.StringIO, size: int | None, said: str
) -> None:
    with plain.reading("o.tar", size) as advanced:
        advanced(500_000)
        clock.pass_by(4, plain)
        assert lines(stream) == []
        advanced(500_000)
        clock.pass_by(1, plain)
    assert lines(stream) == [said]


def test_without_a_thread_lines_are_written_as_bytes_arrive(plain: Lines, clock: Clock, stream: io.StringIO) -> None:
    plain.planned([BASE])
    plain.started(BASE)
    clock.now = 6.0
    plain.advanced(BASE, 500_000)
    assert len(lines(stream)) == 2


@pytest.mark.parametrize("name", ["bar", "plain"])
def test_a_thread_shows_progress_and_ends_with_it(name: str, stream: io.StringIO) -> None:
    display = ALL[name](stream)
    assert isinstance(display, Live)
    drawn = threading.Event()
    display._draw = drawn.set  # type: ignore[method-assign]
    display.interval = 0.01
    display.planned([BASE])
    drawn.clear()
    assert drawn.wait(10)
    display.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "imgfetch-display"]


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
        bars.tick()
    assert {bar.split(" ")[0] for bar in drawn(stream)} == {"o.tar"}
    assert "1.0/1.0 MB" in drawn(stream)[-1]


def test_a_file_of_unknown_length_has_no_part_of_all(stream: io.StringIO, bars: Bars) -> None:
    with bars.reading("stdin", None) as advanced:
        advanced(1_000_000)
        bars.tick()
    assert "/1" not in stream.getvalue()
    assert "1.0 MB" in drawn(stream)[-1]


def drawn(stream: io.StringIO) -> list[str]:
    """Return everything that was ever drawn, a bar each."""
    return [bar.strip() for bar in re.split(r"[\r\n]|\x1b\[[A-Z]", stream.getvalue()) if bar.strip()]


def test_bars_show_the_whole_and_each_blob(bars: Bars, stream: io.StringIO) -> None:
    bars.planned([BASE, TOP])
    bars.started(BASE)
    bars.started(TOP)
    bars.advanced(BASE, 500_000)
    bars.tick()
    bars.finished(BASE, cached=False)
    bars.finished(TOP, cached=True)
    bars.tick()
    shown = drawn(stream)
    assert [bar.split(" ")[0] for bar in shown] == ["total", "total", "0123456789ab", "fedcba987654", "total"]
    assert "4.0/4.0 MB complete" in shown[-1]
    bars.close()
    assert drawn(stream) == shown


def test_a_save_of_one_blob_has_one_row(bars: Bars, stream: io.StringIO) -> None:
    bars.planned([BASE])
    bars.started(BASE)
    bars.advanced(BASE, 500_000)
    bars.tick()
    bars.close()
    assert {bar.split(" ")[0] for bar in drawn(stream)} == {"0123456789ab"}


def test_a_blob_has_the_name_of_its_image(bars: Bars, stream: io.StringIO) -> None:
    items = [Item(BASE.name, BASE.size, "app:1.4"), Item(TOP.name, TOP.size, "db:2")]
    bars.planned(items)
    for item in items:
        bars.started(item)
    bars.tick()
    assert [bar[:20].strip() for bar in drawn(stream)[-2:]] == ["app:1.4 0123456789ab", "db:2 fedcba987654"]


@pytest.mark.parametrize("columns", [*range(1, 60), 80, 200])
@pytest.mark.parametrize("name", ["o.tar", "\u56fe\u50cf" * 20 + ".tar", "e\u0301" * 70 + ".tar"])
def test_no_row_is_wider_than_the_terminal(columns: int, name: str, clock: Clock) -> None:
    board = Board(clock)
    board.planned([BASE, TOP])
    for item in (BASE, TOP):
        board.started(item)
        board.advanced(item, 400_000)
    rows = board.rows(columns)
    board.reading(name, 4_000_000)
    rows += board.rows(columns)
    shown = [unicodedata.normalize("NFC", row) for row in rows]
    assert max(len(row) + sum(character in "\u56fe\u50cf" for character in row) for row in shown) <= columns
    assert all(rows)


@pytest.mark.parametrize(("height", "rows"), [(1, 1), (2, 1), (5, 4), (12, 11), (50, 16)])
def test_there_are_fewer_rows_than_the_terminal_has_lines(height: int, rows: int, stream: io.StringIO) -> None:
    bars = Bars(stream, size=lambda: os.terminal_size((80, height)), has_thread=False)
    items = [Item(f"sha256:{number:064}", 1000) for number in range(1, 65)]
    bars.planned(items)
    for item in items:
        bars.started(item)
    bars.tick()
    assert len(bars._rows) == rows
    bars.close()


def test_bars_may_be_closed_twice_and_told_things_afterwards(bars: Bars, stream: io.StringIO) -> None:
    bars.planned([BASE])
    bars.started(BASE)
    bars.close()
    before = stream.getvalue()
    bars.advanced(BASE, 1)
    bars.finished(BASE, cached=False)
    bars.tick()
    bars.close()
    assert stream.getvalue() == before


def test_a_blob_that_nobody_planned_is_no_error(bars: Bars, stream: io.StringIO) -> None:
    bars.started(BASE)
    bars.advanced(BASE, 1)
    bars.finished(BASE, cached=False)
    bars.tick()
    assert drawn(stream) == []


def test_a_message_stands_above_the_bars(bars: Bars, stream: io.StringIO) -> None:
    bars.planned([BASE, TOP])
    bars.message("warning", "odd")
    shown = drawn(stream)
    assert "imgfetch: warning: odd" in shown
    assert shown[-1].startswith("total")


def test_bars_add_up_what_two_threads_tell(bars: Bars, stream: io.StringIO) -> None:
    bars.planned([BASE, TOP])

    def bring(item: Item) -> None:
        bars.started(item)
        for _ in range(1000):
            bars.advanced(item, item.size // 1000)
        bars.finished(item, cached=False)

    at_once(lambda: bring(BASE), lambda: bring(TOP))
    bars.tick()
    assert "4.0/4.0 MB complete" in drawn(stream)[-1]


def test_bars_expect_a_layer_that_is_given_up_no_longer(bars: Bars, stream: io.StringIO) -> None:
    bars.planned([BASE, TOP])
    for item, count in ((BASE, 400_000), (TOP, 2_000_000)):
        bars.started(item)
        bars.advanced(item, count)
    bars.failed(BASE)
    bars.tick()
    assert "2.0/3.0 MB" in drawn(stream)[-1]
    bars.finished(TOP, cached=False)
    bars.tick()
    assert "3.0/3.0 MB complete" in drawn(stream)[-1]


def test_bars_count_a_layer_that_is_tried_elsewhere_once(bars: Bars, stream: io.StringIO) -> None:
    bars.planned([BASE, TOP])
    bars.started(BASE)
    bars.advanced(BASE, 400_000)
    bars.started(BASE)
    bars.resumed(BASE, 400_000)
    bars.tick()
    assert "0.4/4.0 MB" in drawn(stream)[-2]


def test_events_are_objects_a_line(stream: io.StringIO) -> None:
    display = Events(stream)
    display.resolving(1, 1, "a:1")
    display.planned([BASE, TOP])
    display.started(BASE)
    display.resumed(BASE, 300_000)
    display.advanced(BASE, 100_000)
    display.interrupted(BASE, "cut")
    display.finished(BASE, cached=False)
    display.finished(TOP, cached=True)
    display.failed(TOP)
    display.message("warning", "odd\nthing \x1b", {"reference": "x"})
    display.message("saved", "saved x")
    display.close()
    assert events(stream) == [
        {"event": "resolving", "done": 1, "total": 1, "image": "a:1"},
        {
            "event": "planned",
            "blobs": [{"digest": BASE.name, "size": 1_000_000}, {"digest": TOP.name, "size": 3_000_000}],
            "bytes": 4_000_000,
        },
        {"event": "started", "digest": BASE.name, "size": 1_000_000},
        {"event": "resumed", "digest": BASE.name, "size": 1_000_000, "done": 300_000},
        {"event": "advanced", "digest": BASE.name, "size": 1_000_000, "done": 400_000},
        {"event": "interrupted", "digest": BASE.name, "size": 1_000_000, "message": "cut"},
        {"event": "finished", "digest": BASE.name, "size": 1_000_000, "cached": False},
        {"event": "finished", "digest": TOP.name, "size": 3_000_000, "cached": True},
        {"event": "failed", "digest": TOP.name, "size": 3_000_000},
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
