"""The threads that bring the pieces of a blob, and the receiver's way to them.

A thread writes only while it has the lock and its piece is wanted, so none writes after the end.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from functools import partial

from imgfetch import threads
from imgfetch.errors import StorageError
from imgfetch.pull.crew import Crew
from imgfetch.pull.pieces import Piece, Pieces
from imgfetch.pull.place import Mixture, Place
from imgfetch.registry.blobs import PieceError
from imgfetch.registry.stream import AloneError
from imgfetch.store.window import Window

_READ = 256 * 1024
PAUSE = 1.0
"""Seconds after the end of a connection in which the server notices it, and counts one connection less."""
_LOOK = 0.05  # seconds until a thread without a piece looks for one
_WAIT = 0.25  # seconds until the receiver looks whether its bytes still come
_GRACE = 0.5  # seconds for the threads to end


class Fetchers:
    """Threads that bring pieces, from the place of the first response and from its helpers."""

    def __init__(
        self,
        pieces: Pieces,
        window: Window,
        own: Place,
        crew: Crew,
        mixture: Mixture,
        *,
        is_several: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the pieces, of which only the first one has a connection; `grow` starts threads for others.

        ``own`` is the place of the first response; it has several connections if that ``is_several``.  The ``mixture``
        receives the places that send pieces.
        """
        self._mixture = mixture
        self._pieces = pieces
        self._window = window
        self._own = own
        self._lines = own.lines
        self._crew = crew
        self._is_several = is_several
        self._step = pieces.first.missing
        self._clock = clock
        self._is_over = False
        self._threads: list[threading.Thread] = []
        self._working: list[Place] = []
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._wanted = threading.Condition(self._lock)

    def grow(self, rate: float, pause: float = 0.0) -> None:
        """Start as many threads as the first response's place has free connections, but one until a piece is right.

        The ``rate`` of a connection decides about the length of pieces.  The threads begin after a pause.
        """
        with self._lock:
            while self._may_grow() and self._lines.take(self._most):
                self._working.append(self._own)
                thread = threads.start(partial(self._work, self._own, rate, pause), "imgfetch-piece")
                if thread is None:
                    self._stopped(self._own)
                    break
                self._threads.append(thread)
            if self._is_several and not self._threads:
                self._cut(self._pieces.first)

    @property
    def _most(self) -> int:
        """The connections for pieces of all blobs to the first response's place, at most."""
        return self._crew.free + (not self.is_first) if self._is_several else sys.maxsize

    def _may_grow(self) -> bool:
        if self._pieces.is_closed:
            return False
        if self._own in self._working:
            return self._is_several and self._lines.is_proven
        return self._is_several or not self.is_first

    def help(self, place: Place, rate: float) -> None:
        """Bring pieces from another place, in this thread, while they are wanted."""
        with self._lock:
            if self._is_over or not place.lines.take(max(self._crew.free, 1)):
                return
            self._working.append(place)
        self._work(place, rate, 0.0)

    def replace_first(self, rate: float) -> None:
        """Let another connection take the place of the first response, which is closed."""
        self.grow(rate, PAUSE if self._is_several else 0.0)

    def _work(self, place: Place, rate: float, pause: float) -> None:
        try:
            while piece := self._claim(place, rate, pause):
                pause = 0.0 if self._bring(piece, place) else PAUSE
                self.grow(rate)
                rate = (piece.position - piece.start) / max(self._clock() - piece.began, 0.001)
        finally:
            with self._lock:
                self._stopped(place)

    def _stopped(self, place: Place) -> None:
        self._working.remove(place)
        place.lines.give()

    def _claim(self, place: Place, rate: float, pause: float) -> Piece | None:
        """Return the next piece for a thread after a pause, or ``None`` at the end."""
        limits = place.lines.limits
        length = min(max(int(rate * limits.seconds), limits.least), limits.most)
        room = min(2 * self._pieces.connections * length, self._window.size)
        length = length if place.lines.is_proven else limits.least
        with self._lock:
            self._wanted.wait_for(lambda: self._pieces.is_closed, pause)
            while self._is_wanted(place):
                piece = self._pieces.claim(length, room, self._clock(), rate)
                if piece and piece.is_silent and piece.place and piece.place.lines.was_silent():
                    self._return(piece, piece.place)
                elif piece:
                    piece.place = place
                    return piece
                else:
                    self._wanted.wait(_LOOK)
        return None

    def _is_wanted(self, place: Place) -> bool:
        """Return whether a place may bring another piece."""
        if self._pieces.is_closed or place.lines.is_single:
            return False
        return place is self._own or place.server.is_idle

    def _bring(self, piece: Piece, place: Place) -> bool:
        """Fetch a piece, or what other threads leave of it; return whether its connection can be used again."""
        end = piece.end
        try:
            with piece.interrupt, place.request(piece.start, end - piece.start) as body:
                for chunk in body.chunks(end - piece.start + 1):
                    if not self._put(piece, place, chunk, end):
                        return False
            self._check_complete(piece, place)
        except Exception as error:  # noqa: BLE001  # whatever it is, one connection is enough
            self._fail(piece, place, error)
            return False
        return True

    def _put(self, piece: Piece, place: Place, chunk: bytes, end: int) -> bool:
        """Store some bytes of a piece that was requested up to ``end``; return whether more of them are wanted."""
        with self._lock:
            if self._is_over:
                return False
            is_whole = piece.end == end
            if is_whole and len(chunk) > piece.missing:
                raise PieceError("a piece is longer than was requested")
            chunk = chunk[: max(piece.missing, 0)]
            self._mixture.senders.add(place.lines)
            self._window.write(piece.position, chunk)
            self._pieces.arrived(piece, len(chunk), self._clock())
            self._mixture.arrivals.early(len(chunk))
            self._arrived.notify_all()
            return is_whole or piece.missing > 0

    def _check_complete(self, piece: Piece, place: Place) -> None:
        with self._lock:
            if piece.missing > 0:
                raise PieceError("a piece is shorter than was requested")
            place.lines.is_proven = True

    def _fail(self, piece: Piece, place: Place, error: Exception) -> None:
        """Request no more pieces from a place, unless the failed one is no longer wanted."""
        with self._lock:
            if self._is_over or piece.interrupt.is_set:
                return
            if isinstance(error, StorageError):
                self._crew.give_up(error)
                self._cut(piece)
            else:
                place.lines.limit_to_one(error)
                self._return(piece, place)

    def _return(self, piece: Piece, failed: Place) -> None:
        """Leave the rest of a piece to other places, or end the pieces if there are none."""
        if any(place is not failed and self._is_wanted(place) for place in self._working):
            piece.is_returned = True
            self._wanted.notify_all()
        else:
            self._cut(piece)

    def _cut(self, piece: Piece) -> None:
        self._pieces.cut(piece)
        self._mixture.arrivals.keep(self._pieces.early)
        self._arrived.notify_all()
        self._wanted.notify_all()

    def close(self) -> None:
        """Begin no more pieces."""
        with self._lock:
            self._pieces.close()
            self._wanted.notify_all()

    def pass_on(self, chunk: bytes) -> bytes:
        """Return the bytes of the first response that are before the other pieces."""
        with self._lock:
            first = self._pieces.first
            if len(chunk) >= first.missing and not self._pieces.is_closed:
                self._end_first(first)
            chunk = chunk[: first.missing]
            self._pieces.arrived(first, len(chunk), self._clock())
            self._pieces.taken(len(chunk))
            return chunk

    def _end_first(self, first: Piece) -> None:
        """Decide about the rest before the first response is closed."""
        if self._is_several and not self._lines.is_proven:
            self._lines.limit_to_one("the first piece of a blob does not arrive in time")
            self._cut(first)
        elif not self._is_several or self._lines.is_single:
            self._pieces.extend(self._step)

    @property
    def is_open(self) -> bool:
        """True as long as pieces begin."""
        return not self._pieces.is_closed

    @property
    def is_first(self) -> bool:
        """True as long as the first response brings the next bytes."""
        return self._pieces.waiting is self._pieces.first

    def take(self) -> bytes:
        """Return the next bytes, or none at the end of the blob.

        Raises:
            AloneError: the rest does not come in pieces.
        """
        with self._lock:
            began = self._clock()
            while not (count := self._pieces.ready()):
                if self._pieces.head == self._pieces.size:
                    return b""
                self._check_coming(began)
                self._arrived.wait(_WAIT)
            position = self._pieces.head
        chunk = self._window.read(position, min(count, _READ))
        with self._lock:
            self._pieces.taken(len(chunk))
            self._mixture.arrivals.add_next(len(chunk))
        return chunk

    def _check_coming(self, began: float) -> None:
        """Raise an `AloneError` if no thread brings the next bytes."""
        piece = self._pieces.waiting
        if self._clock() - max(began, piece.last if piece else 0.0) > self._lines.limits.lost:
            lines = piece.place.lines if piece and piece.place else self._lines
            lines.limit_to_one("pieces of blobs do not arrive")
            self._pieces.end()
            piece = None
        if not self._working or (piece is None and self._pieces.is_closed):
            raise AloneError("the rest does not come in pieces")

    def end(self) -> None:
        """End all requests and threads."""
        with self._lock:
            self._is_over = True
            self._pieces.end()
            self._mixture.arrivals.keep()
            self._wanted.notify_all()
        until = time.monotonic() + _GRACE
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        with self._lock:
            self._window.close()
