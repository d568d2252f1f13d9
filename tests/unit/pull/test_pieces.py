"""A blob is divided so that each byte has one connection, and no connection waits while another one lags."""

from __future__ import annotations

import random

import pytest

from imgfetch.pull.pieces import Piece, Pieces
from imgfetch.registry.connections import PieceLimits

LIMITS = PieceLimits(least=10, most=100, seconds=2.0, silent=2.0)
SIZE = 1000
ROOM = 10_000


def begin(end: int = 100, *, began: float = 0.99, connections: int = 1) -> Pieces:
    """Return a blob whose first response has 10 of the bytes up to ``end`` after one second."""
    pieces = Pieces(SIZE, Piece(0, end, began), LIMITS, connections)
    pieces.arrived(pieces.first, 10, 1.0)
    pieces.taken(10)
    return pieces


def claimed(pieces: Pieces, length: int = 100, now: float = 1.0, room: int = ROOM) -> Piece:
    piece = pieces.claim(length, room, now)
    assert piece is not None
    return piece


def bounds(*pieces: Piece) -> list[tuple[int, int]]:
    return [(piece.start, piece.end) for piece in pieces]


def test_pieces_follow_each_other_behind_the_first_one() -> None:
    pieces = begin()
    assert bounds(claimed(pieces), claimed(pieces, 50), claimed(pieces)) == [(100, 200), (200, 250), (250, 350)]


def test_the_last_piece_ends_with_the_blob() -> None:
    pieces = begin(end=950)
    assert bounds(claimed(pieces)) == [(950, 1000)]


def test_no_piece_begins_where_the_disk_has_no_room_for_it() -> None:
    pieces = begin()
    pieces.arrived(pieces.first, 75, 1.0)
    assert bounds(claimed(pieces, room=140)) == [(100, 150)]
    assert pieces.claim(100, 140, 1.0) is None


def test_a_small_piece_begins_only_at_the_end_of_the_blob() -> None:
    pieces = begin()
    pieces.arrived(pieces.first, 75, 1.0)
    assert pieces.claim(100, 99, 1.0) is None
    pieces = begin(end=995)
    assert bounds(claimed(pieces)) == [(995, 1000)]


def test_the_slowest_piece_is_halved_when_nothing_else_is_left() -> None:
    pieces = begin(end=800)
    slow, fast = claimed(pieces), claimed(pieces)
    pieces.arrived(pieces.first, 780, 1.5)
    pieces.arrived(slow, 20, 2.0)
    pieces.arrived(fast, 80, 2.0)
    half = claimed(pieces, now=2.0)
    assert bounds(slow, half, fast) == [(800, 860), (860, 900), (900, 1000)]


def test_the_first_response_is_halved_too() -> None:
    pieces = begin(end=1000, began=0.0)
    assert bounds(claimed(pieces), pieces.first) == [(505, 1000), (0, 505)]


def test_most_of_a_slow_first_piece_is_taken_over_once_another_one_has_arrived() -> None:
    pieces = begin(end=100, began=0.0)
    one = claimed(pieces)
    assert bounds(one, claimed(pieces), pieces.first) == [(100, 200), (20, 100), (0, 20)]
    assert bounds(claimed(pieces)) == [(200, 300)]


def test_pieces_are_smaller_near_the_end_of_the_blob_but_not_too_small() -> None:
    pieces = begin(end=600, connections=10)
    assert [piece.end - piece.start for piece in (claimed(pieces), claimed(pieces), claimed(pieces))] == [40, 36, 32]
    pieces = begin(end=900, connections=10)
    assert bounds(claimed(pieces)) == [(900, 925)]


def test_a_blob_of_small_pieces_comes_to_its_end() -> None:
    pieces = begin(connections=1000)
    for each in (pieces.first, claimed(pieces, 20)):
        pieces.arrived(each, each.missing, 1.0)
    pieces.taken(pieces.ready())
    pieces.taken(pieces.ready())
    assert (pieces.waiting, pieces.head) == (None, 110)
    assert claimed(pieces, 20)


def test_a_piece_that_is_nearly_complete_is_not_halved() -> None:
    pieces = begin(end=1000, began=0.0)
    pieces.arrived(pieces.first, 971, 2.0)  # 19 bytes are missing, of which a half is less than the least piece
    assert pieces.claim(100, ROOM, 2.0) is None


def test_a_fast_piece_is_not_halved() -> None:
    pieces = begin(end=1000, began=0.0)
    pieces.arrived(pieces.first, 890, 1.0)  # 900 bytes in a second, so the rest takes a ninth of one
    assert pieces.claim(100, ROOM, 1.0) is None


def test_the_rest_of_a_silent_piece_is_taken_from_its_connection() -> None:
    pieces = begin(end=900)
    piece = claimed(pieces)
    pieces.arrived(piece, 85, 2.0)
    pieces.arrived(pieces.first, 875, 3.9)
    assert pieces.claim(100, ROOM, 3.9) is None
    rest = claimed(pieces, now=4.0)
    assert bounds(piece, rest) == [(900, 985), (985, 1000)]
    assert (piece.interrupt.is_set, rest.is_silent, piece.is_silent) == (True, True, False)


def slow(pieces: Pieces, piece: Piece, began: float) -> float:
    """Let a piece bring 6 bytes in four seconds, and return the time."""
    for second in range(1, 5):
        pieces.arrived(piece, 1 + (second < 3), began + second)
    return began + 4


def test_the_rest_of_a_slow_piece_is_taken_by_a_much_faster_connection() -> None:
    pieces = begin(end=900)
    piece = claimed(pieces)
    pieces.arrived(pieces.first, 889, 1.0)
    now = slow(pieces, piece, 1.0)
    rest = pieces.claim(100, ROOM, now, rate=100.0)
    assert rest is not None
    assert bounds(piece, rest) == [(900, 906), (906, 1000)]
    assert (piece.interrupt.is_set, rest.is_silent) == (True, True)


@pytest.mark.parametrize(("count", "rate"), [(6, 24.0), (80, 1000.0)], ids=["no faster connection", "nearly complete"])
def test_a_piece_is_left_to_its_connection_where_that_takes_about_as_long(count: int, rate: float) -> None:
    pieces = begin(end=900)
    piece = claimed(pieces)
    pieces.arrived(pieces.first, 889, 1.0)
    pieces.arrived(piece, count, 5.0)
    pieces.claim(100, ROOM, 5.0, rate)
    assert not piece.interrupt.is_set


def test_a_silent_piece_that_brought_nothing_is_replaced_by_another_one() -> None:
    pieces = begin(end=900)
    claimed(pieces)
    pieces.arrived(pieces.first, 875, 3.0)
    rest = claimed(pieces, now=3.0)
    pieces.arrived(rest, 100, 3.0)
    pieces.arrived(pieces.first, 15, 3.0)
    pieces.taken(890)
    assert pieces.ready() == 100


def test_the_first_response_is_never_silent_because_its_reader_has_a_limit_of_its_own() -> None:
    pieces = begin(end=1000, began=0.0)
    pieces.arrived(pieces.first, 971, 1.0)
    assert pieces.claim(100, ROOM, 1000.0) is None


def test_the_receiver_takes_bytes_in_order_also_while_their_piece_arrives() -> None:
    pieces = begin(end=100)
    one, two = claimed(pieces), claimed(pieces)
    pieces.arrived(two, 100, 2.0)
    pieces.arrived(pieces.first, 90, 2.0)
    pieces.taken(90)
    assert (pieces.head, pieces.ready()) == (100, 0)
    pieces.arrived(one, 40, 2.0)
    assert pieces.ready() == 40
    pieces.taken(40)
    pieces.arrived(one, 60, 3.0)
    pieces.taken(60)
    assert (pieces.head, pieces.ready(), pieces.waiting) == (200, 100, two)


def test_a_cut_leaves_all_to_the_first_response_while_that_lasts() -> None:
    pieces = begin()
    one, two = claimed(pieces), claimed(pieces)
    pieces.arrived(one, 100, 2.0)
    pieces.cut(two)
    assert (pieces.first.end, pieces.waiting) == (SIZE, pieces.first)
    assert (one.missing <= 0, two.missing) == (True, 0)
    assert (one.interrupt.is_set, two.interrupt.is_set) == (True, True)
    assert pieces.claim(100, ROOM, 2.0) is None


def test_after_the_first_response_a_cut_keeps_the_pieces_before() -> None:
    pieces = begin()
    one, two, three = claimed(pieces), claimed(pieces), claimed(pieces)
    pieces.arrived(pieces.first, 90, 2.0)
    pieces.taken(90)
    pieces.arrived(two, 30, 2.0)
    pieces.arrived(three, 100, 2.0)
    pieces.cut(two)
    assert (one.missing, two.missing, three.missing <= 0) == (100, 0, True)
    assert [piece.interrupt.is_set for piece in (one, two, three)] == [False, True, True]
    pieces.arrived(one, 100, 3.0)
    pieces.taken(100)
    assert pieces.ready() == 30
    pieces.taken(30)
    assert (pieces.head, pieces.waiting) == (230, None)


def test_pieces_that_have_begun_are_completed_after_the_last_one_was_claimed() -> None:
    pieces = begin()
    claimed(pieces)
    pieces.close()
    assert pieces.claim(100, ROOM, 1.0) is None
    assert pieces.first.end == 100


def test_without_other_pieces_the_first_response_brings_all() -> None:
    pieces = begin()
    pieces.close()
    assert pieces.first.end == SIZE


@pytest.mark.parametrize("seed", range(30))
def test_every_byte_comes_once_and_in_order_whatever_happens(seed: int) -> None:
    chance, now = random.Random(seed), 0.0
    pieces = Pieces(SIZE, Piece(0, chance.randrange(1, SIZE), now), LIMITS)
    running, received = [pieces.first], 0
    while pieces.head < SIZE:
        now += chance.random()
        piece = chance.choice(running)
        pieces.arrived(piece, min(chance.randrange(1, 60), piece.missing), now)
        running = [each for each in running if each.missing > 0]
        if len(running) < 5 and (new := pieces.claim(chance.randrange(10, 100), 400, now)):
            running.append(new)
            assert new.start >= pieces.head
        count = pieces.ready()
        assert count >= 0
        received += count
        pieces.taken(count)
        waiting = pieces.waiting
        assert waiting is None or waiting.start <= pieces.head <= waiting.end
        running = [each for each in running if each.missing > 0]
        if not running:
            break
    assert received == pieces.head


def test_the_rest_of_a_piece_that_was_given_back_comes_first() -> None:
    pieces = begin(end=100, began=0.0)  # whose first piece would be next
    piece = claimed(pieces)
    pieces.arrived(piece, 30, 1.0)
    piece.is_returned = True
    rest = claimed(pieces)
    assert bounds(piece, rest) == [(100, 130), (130, 200)]
    assert (rest.is_silent, piece.interrupt.is_set) == (False, False)
    assert bounds(claimed(pieces)) == [(20, 100)]


def test_the_first_response_goes_on_as_long_as_no_piece_follows_it() -> None:
    pieces = begin(end=100)
    pieces.extend(50)
    assert pieces.first.end == 150
    assert bounds(claimed(pieces)) == [(150, 250)]
    pieces.extend(50)
    assert pieces.first.end == 150


def test_the_first_response_goes_on_to_the_end_of_the_blob_at_most() -> None:
    pieces = begin(end=990)
    pieces.extend(50)
    assert pieces.first.end == SIZE
