from __future__ import annotations

import re

import pytest

from tests.recordings import DIRECTORY, STORIES, Recorder, items, recorded

_SPEED = re.compile(r"(?:^|\s)([\d.]+) ([kMG]?B)/s")
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}


@pytest.mark.parametrize("name", STORIES)
def test_the_terminal_shows_what_is_recorded(name: str) -> None:
    assert recorded(name).text() == (DIRECTORY / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", STORIES)
def test_in_each_frame_the_speed_is_that_of_the_last_three_seconds(name: str) -> None:
    checked = 0
    for now, rows, speed in recorded(name).frames:
        total = [row for row in rows if not row.startswith(("imgfetch:", "resolving"))][:1]
        for number, unit in _SPEED.findall("".join(total)):
            checked += 1
            assert float(number) * _UNITS[unit] == pytest.approx(speed, rel=0.2), (now, rows)
    assert checked or name == "25-columns"


@pytest.mark.parametrize("name", STORIES)
def test_no_row_is_wider_than_the_terminal_and_none_is_blank_between_others(name: str) -> None:
    for _, rows, _ in recorded(name).frames[:-1]:
        assert all(0 < len(row) <= STORIES[name][1] for row in rows), rows


@pytest.mark.parametrize("name", STORIES)
def test_every_number_is_whole_however_narrow_the_terminal_is(name: str) -> None:
    for _, rows, _ in recorded(name).frames[:-1]:
        for row in rows:
            if not row.startswith(("imgfetch:", "resolving")):
                assert re.search(r"\d/\d+\.\d [kMG]?B\b", row), row


@pytest.mark.parametrize("name", STORIES)
def test_nothing_but_messages_stays_on_the_screen(name: str) -> None:
    _, rows, _ = recorded(name).frames[-1]
    assert all(not row or row.startswith("imgfetch:") for row in rows)


@pytest.mark.parametrize("wraps", [False, True], ids=["cuts", "wraps"])
@pytest.mark.parametrize(("columns", "lines"), [(40, 40), (25, 40), (79, 40), (120, 40), (80, 4), (30, 3)])
@pytest.mark.parametrize("event", ["a frame", "a message", "the end"])
def test_a_terminal_of_another_size_shows_right_rows_again_within_a_frame(
    *, columns: int, lines: int, wraps: bool, event: str
) -> None:
    recorder = Recorder(80)
    blobs = items(*(size * 1_000_000 for size in (30, 20, 10, 7, 5)))
    recorder.plan(blobs)
    recorder.display.message("info", "begins")
    recorder.download(blobs, 4_000_000, until=2_000_000)
    recorder.wait(1)
    recorder.resize(columns, lines, wraps=wraps)
    if event == "a message":
        recorder.display.message("info", "now")
    if event == "the end":
        recorder.display.close()
    else:
        recorder.display.tick()
    last = "imgfetch: now" if event == "a message" else "imgfetch: begins"
    wanted = [] if event == "the end" else recorder.expected
    shown = recorder.rows
    recorder.display.close()
    assert "\n".join(shown).rstrip("\n").split("\n")[-len(wanted) - 1 :] == [last, *wanted]
