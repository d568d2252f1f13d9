"""A blob that comes over several connections to one place, or to several (docs/registries.md#several-connections).

The first response brings the blob's first bytes.  If the rest would take long, `Fetchers` bring `Pieces` further on,
which wait on the disk until the receiver needs them.  The receiver takes the bytes in order, so a partial download is
the same as that of one connection.

Whatever is odd about a piece, no piece is requested from that place in this run any more.  Other places bring the rest,
or the first response does; if it has been closed, an `AloneError` has the rest requested over one connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Self

from imgfetch.errors import StorageError
from imgfetch.pull.crew import Crew
from imgfetch.pull.fetchers import Fetchers
from imgfetch.pull.helpers import Helpers
from imgfetch.pull.pieces import Piece, Pieces
from imgfetch.pull.place import Mixture, Place
from imgfetch.registry.stream import Stream
from imgfetch.store.partial import PartialBlob

_AHEAD = 0.75  # times the time for a piece: the time in which the first piece must arrive


class Team:
    """The body of a blob."""

    def __init__(
        self,
        stream: Stream,
        place: Place,
        part: PartialBlob,
        crew: Crew,
        mixture: Mixture,
        *,
        others: Sequence[Place] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.codings, self.name, self.start = stream.codings, stream.name, stream.start
        self._mixture = mixture
        self._stream = stream
        self._place = place
        self._server = place.server
        self._lines = place.lines
        self._helpers = Helpers(place, others, part, mixture)
        self._is_left, stream.is_left = stream.is_left, self._may_leave
        self._part = part
        self._size = part.descriptor.size
        self._crew = crew
        self._clock = clock
        self._fetchers: Fetchers | None = None
        self._rate = 0.0  # bytes a second of the first response
        self._before = 0.0  # bytes a second of the place before there are several connections
        self._has_begun = self._is_several = False
        self._began, self._received = clock(), place.server.received

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._helpers.end()
        if self._fetchers:
            self._fetchers.end()
        if self._has_begun:
            self._lines.end()

    @property
    def _is_whole(self) -> bool:
        """True if all bytes are of the first response's place."""
        return self.start == 0 and self._mixture.senders <= {self._lines}

    def judge(self, *, is_right: bool) -> None:
        """Take the result of the verification of all bytes."""
        if is_right:
            self._server.sent(is_whole=self._is_whole)
        if is_right or self._is_whole:
            self._helpers.judge(is_right=is_right)

    def _may_leave(self, position: int) -> bool:
        """Return whether the place is to be left; not for a mirror that helps."""
        return not (self._mixture.senders - {self._lines}) and self._is_left(position)

    def chunks(self, limit: int) -> Iterator[bytes]:
        """Yield at most ``limit`` bytes."""
        position, measured, waited = self.start, 0, 0.0
        body = self._stream.chunks(limit)
        while self._fetchers is None or self._fetchers.is_first:
            self._stream.pause()  # not measured: our own limit does not make a connection slow
            began = self._clock()
            chunk = next(body, b"")
            if not chunk:
                return
            if position > self.start:  # the first bytes were here
                waited += self._clock() - began
                measured += len(chunk)
            else:
                self._measure()
            chunk = self._fetchers.pass_on(chunk) if self._fetchers else chunk
            position += len(chunk)
            yield chunk
            if self._fetchers:
                self._judge(self._fetchers)
                self._call(self._fetchers, position)
            elif waited >= self._lines.limits.alone:
                self._consider(position, measured / waited)
        self._stream.close()
        yield from self._rest(self._fetchers, position)

    def _rest(self, fetchers: Fetchers, position: int) -> Iterator[bytes]:
        """Yield the bytes behind those of the first response."""
        fetchers.replace_first(self._rate)
        while chunk := fetchers.take():
            self._mixture.is_mixed = True
            position += len(chunk)
            yield chunk
            self._judge(fetchers)
            self._call(fetchers, position)
            self._stream.check(position)

    def _consider(self, position: int, rate: float) -> None:
        """Have the rest come in pieces if it would take long."""
        limits, rest = self._lines.limits, self._size - position
        is_worth = self._size >= limits.large and rest >= limits.worth * rate
        self._has_begun = is_worth and self._lines.begin(self._crew.free)
        self._rate = rate
        if not (self._has_begun or self._wants_help(rest)):
            return
        connections = max(self._crew.connections, 1) if self._has_begun else 1  # another blob may have given up since
        connections += len(self._helpers)
        room = 2 * connections * limits.most
        ahead = min(int(_AHEAD * limits.seconds * rate), room // 4, rest // 2)
        first = Piece(position, position + max(ahead, 1), self._clock())
        try:
            window = self._part.window(room)
        except StorageError as error:
            self._crew.give_up(error)
            return
        pieces = Pieces(self._size, first, limits, connections)
        self._fetchers = Fetchers(
            pieces, window, self._place, self._crew, self._mixture, is_several=self._has_begun, clock=self._clock
        )
        self._fetchers.grow(rate)
        self._call(self._fetchers, position)

    def _wants_help(self, rest: int) -> bool:
        """Return whether other mirrors would help: this one is not fast, and one of the others is idle."""
        limits = self._lines.limits
        is_long = self._size >= limits.shared and limits.tail * self._rate < rest
        return is_long and self._rate < limits.enough and self._crew.connections > 1 and bool(self._helpers.free)

    def _call(self, fetchers: Fetchers, position: int) -> None:
        """Let mirrors that have become idle help."""
        if fetchers.is_open and self._wants_help(self._size - position):
            self._helpers.call(partial(fetchers.help, rate=self._rate))

    def _judge(self, fetchers: Fetchers) -> None:
        """Decide once whether several connections are faster, and request no more pieces if they are not."""
        if not self._has_begun:
            return
        if self._lines.is_single and not self._helpers:
            fetchers.close()
        if self._lines.is_faster or not self._lines.is_proven:
            return
        if not self._is_several:
            self._is_several, self._before = True, self._measure()
        elif self._clock() - self._began >= self._lines.limits.judged:
            self._lines.judge(self._before, self._measure())

    def _measure(self) -> float:
        """Return the bytes a second that the place has sent since the last call, for all blobs together."""
        began, received = self._began, self._received
        self._began, self._received = self._clock(), self._server.received
        return (self._received - received) / max(self._began - began, 0.001)
