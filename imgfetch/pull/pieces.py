"""The division of a blob into pieces, of which each comes over a connection of its own.

The pieces follow each other without a gap, from the first byte that the receiver has not taken.  The first piece is
that of the response with which the download began.  A connection that is free takes, in this order:

1. the rest of a piece that its place failed to send;
2. most of the first piece, so that the receiver need not wait for one connection;
3. the next bytes behind the last piece, as far as there is room for them on the disk, and fewer near the blob's end;
4. the rest of a piece that has not received a byte for a while;
5. the second half of the piece that would take the longest.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from imgfetch.http.interrupt import Interrupt
from imgfetch.pull.place import Place
from imgfetch.registry.connections import PieceLimits

_PART = 0.25
"""The smallest part of a piece, or of the time for it, for which a connection is worth a request."""
_FASTER = 16
"""The rest of a piece is requested again over a connection that is so many times as fast."""
_LONG = 2
"""Times the time for a piece: what the rest must take for that."""


@dataclass(eq=False)
class Piece:
    """A part of a blob.

    Attributes:
        position: the first byte that has not arrived; at first the piece's first byte.
        end: the byte behind its last one.
        last: the time of the last byte, or of the request.
        is_silent: it was taken from a connection that brought nothing, or almost nothing.
        place: the place that sends it; before that, the one that did not send it.
        is_returned: its place failed to send the rest.
        interrupt: ends its request.
    """

    position: int
    end: int
    last: float
    is_silent: bool = False
    place: Place | None = None
    is_returned: bool = False
    interrupt: Interrupt = field(default_factory=Interrupt)

    def __post_init__(self) -> None:
        self.start = self.position
        self.began = self.last

    @property
    def missing(self) -> int:
        """The number of bytes that have not arrived."""
        return self.end - self.position

    def seconds_left(self, now: float) -> float:
        """Return the time for the rest, by the piece's own rate."""
        return self.missing * (now - self.began) / max(self.position - self.start, 1)


class Pieces:
    """The pieces of one blob; for one thread at a time.

    Attributes:
        size: the blob's size.
        head: the first byte that the receiver has not taken.
        first: the piece of the first response.
        connections: the number of connections that may bring pieces.
        is_closed: no more pieces begin.
    """

    def __init__(self, size: int, first: Piece, limits: PieceLimits, connections: int = 1) -> None:
        self.size = size
        self.head = first.position
        self.first = first
        self.is_closed = False
        self._limits = limits
        self.connections = connections
        self._all = [first]

    def claim(self, length: int, room: int, now: float, rate: float = 0.0) -> Piece | None:
        """Return a piece of about ``length`` bytes for a free connection, if there is one.

        ``room`` is the number of bytes from `head` on that have room, and ``rate`` is the connection's.
        """
        if self.is_closed:
            return None
        if piece := self._returned(now) or self._behind_first(now):
            return piece
        frontier = self._all[-1].end if self._all else self.head
        rest = self.size - frontier
        share = max(rest // self.connections, length // 4, self._limits.least)
        count = min(share, length, rest, self.head + room - frontier)
        if count > 0 and (count >= self._limits.least or frontier + count == self.size):
            piece = Piece(frontier, frontier + count, now)
            self._all.append(piece)
            return piece
        return self._silent(now) or self._late(now, rate) or self._half(now)

    def _returned(self, now: float) -> Piece | None:
        """Return the rest of a piece that has no connection."""
        for piece in self._all:
            if piece.is_returned and piece.missing:
                return self._split(piece, piece.position, now)
        return None

    def _behind_first(self, now: float) -> Piece | None:
        """Return the first piece but for its next bytes, once another piece has arrived."""
        first, soon = self.first, _PART * self._limits.seconds
        if len(self._all) < 2 or self.waiting is not first or first.seconds_left(now) <= 2 * soon:  # noqa: PLR2004
            return None
        kept = max(int(first.missing * soon / first.seconds_left(now)), self._limits.least)
        return self._split(first, first.position + kept, now) if first.missing >= 2 * kept else None

    def _silent(self, now: float) -> Piece | None:
        """Return the rest of a piece whose connection brings nothing, and end that connection."""
        for piece in self._all:
            if piece is not self.first and piece.missing and now - piece.last >= self._limits.silent:
                return self._split(piece, piece.position, now)
        return None

    def _late(self, now: float, rate: float) -> Piece | None:
        """Return the rest of a piece that would take long, if a connection with this rate is much faster."""
        for piece in self._all:
            seconds = now - piece.began
            is_slow = seconds >= self._limits.seconds and (piece.position - piece.start) * _FASTER < rate * seconds
            if piece is not self.first and is_slow and piece.seconds_left(now) > _LONG * self._limits.seconds:
                return self._split(piece, piece.position, now)
        return None

    def _half(self, now: float) -> Piece | None:
        """Return the second half of the piece that takes the longest, if that is long enough."""
        others = [piece for piece in self._all if piece.position > piece.start]
        slowest = max(others, key=lambda piece: piece.seconds_left(now), default=None)
        if slowest is None or slowest.missing < 2 * self._limits.least:
            return None
        if slowest.seconds_left(now) < _PART * self._limits.seconds:
            return None
        return self._split(slowest, slowest.end - slowest.missing // 2, now)

    def _split(self, piece: Piece, middle: int, now: float) -> Piece:
        is_silent = middle == piece.position and not piece.is_returned
        rest = Piece(middle, piece.end, now, is_silent=is_silent, place=piece.place)
        piece.end = middle
        self._all.insert(self._all.index(piece) + 1, rest)
        if is_silent:
            piece.interrupt.set()
        self._forget()
        return rest

    def arrived(self, piece: Piece, count: int, now: float) -> None:
        """Note some bytes of a piece."""
        piece.position += count
        piece.last = now

    def ready(self) -> int:
        """Return the number of bytes from `head` on that have arrived."""
        return self._all[0].position - self.head if self._all else 0

    @property
    def early(self) -> int:
        """The number of bytes that have arrived in pieces and that the receiver has not taken."""
        others = (piece for piece in self._all if piece is not self.first)
        return sum(max(min(piece.position, piece.end) - max(piece.start, self.head), 0) for piece in others)

    def taken(self, count: int) -> None:
        """Note that the receiver has taken some bytes."""
        self.head += count
        self._forget()

    def _forget(self) -> None:
        """Forget the pieces that the receiver has taken, and those that became empty."""
        self._all = [piece for piece in self._all if piece.end > max(self.head, piece.start)]

    def extend(self, count: int) -> None:
        """Have the first response bring more bytes, if no piece follows it."""
        if self._all == [self.first]:
            self.first.end = min(self.first.end + count, self.size)

    def close(self) -> None:
        """Begin no more pieces; if there are none but the first, it is all of the rest."""
        self.is_closed = True
        if self._all == [self.first]:
            self.first.end = self.size

    def cut(self, piece: Piece) -> None:
        """Close, and drop the missing bytes of a piece with all behind them.

        While the first response lasts, it brings the rest, and all other pieces are dropped.
        """
        self.is_closed = True
        is_first = self.waiting is self.first
        end = self.first.end if is_first else piece.position
        for each in self._all:
            if each.end > end:
                each.interrupt.set()
                each.end = max(each.start, min(each.end, end))
        self._forget()
        if is_first:
            self.first.end = self.size

    def end(self) -> None:
        """End all requests."""
        self.is_closed = True
        for piece in self._all:
            piece.interrupt.set()

    @property
    def waiting(self) -> Piece | None:
        """The piece for whose bytes the receiver waits, or ``None`` if there is none."""
        return self._all[0] if self._all else None
