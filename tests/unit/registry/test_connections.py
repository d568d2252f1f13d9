"""A place has several connections for a blob only while everything about them is right."""

from __future__ import annotations

import pytest

from imgfetch.registry.connections import Connections
from tests.stories import Log


def test_connections_are_counted_for_all_blobs_together() -> None:
    lines = Connections("a")
    assert [lines.take(2), lines.take(2), lines.take(2)] == [True, True, False]
    lines.give()
    assert [lines.take(2), lines.take(2)] == [True, False]


def test_a_blob_does_not_begin_without_a_free_connection() -> None:
    lines = Connections("a")
    assert lines.take(1)
    assert not lines.begin(1)
    assert lines.begin(2)


def test_there_is_one_trial_at_a_time_until_several_connections_are_faster() -> None:
    lines = Connections("a")
    assert lines.begin(8)
    assert not lines.begin(8)
    lines.end()
    assert lines.begin(8)
    lines.judge(1.0, 1.3)
    assert lines.begin(8)


@pytest.mark.parametrize(
    ("before", "now", "is_single"), [(100.0, 130.0, False), (100.0, 129.0, True), (0.0, 0.0, False)]
)
def test_several_connections_must_be_faster_by_a_third(before: float, now: float, *, is_single: bool) -> None:
    lines = Connections("a")
    lines.judge(before, now)
    assert (lines.is_single, lines.is_faster) == (is_single, not is_single)


def test_one_connection_is_for_the_rest_of_the_run_and_said_once(log: Log) -> None:
    lines = Connections("registry.example")
    for reason in ("status 429", "status 503"):
        lines.limit_to_one(reason)
    assert (lines.begin(8), lines.take(8)) == (False, False)
    assert log.text == "INFO registry.example: one connection for each blob from now on: status 429"


def test_silence_is_forgiven_once() -> None:
    lines = Connections("a")
    assert [lines.was_silent(), lines.was_silent()] == [False, True]
    assert lines.is_single


def test_a_place_helps_with_one_blob_at_a_time() -> None:
    lines = Connections("a")
    assert [lines.lend(), lines.lend()] == [True, False]
    lines.take_back()
    assert lines.lend()


def test_a_place_that_keeps_to_one_connection_does_not_help() -> None:
    lines = Connections("a")
    lines.limit_to_one("status 429")
    assert not lines.lend()


def test_a_place_sends_pieces_until_each_connection_is_given_back() -> None:
    lines = Connections("a")
    assert not lines.is_any_open
    lines.take(1)
    assert lines.is_any_open
    lines.give()
    assert not lines.is_any_open
