"""A place that may send pieces of a blob, and what it must have done before.

A mirror that joins a download sends two things first (docs/registries.md#pieces-from-several-mirrors): a whole blob,
which is verified, unless one of its blobs was right in this run; and some bytes of the large blob that are here, so
that both can be compared.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Self

from imgfetch.errors import VerificationError
from imgfetch.oci.source import Body
from imgfetch.pull.arrivals import Arrivals
from imgfetch.registry.connections import Connections
from imgfetch.registry.server import Server
from imgfetch.store.partial import PartialBlob

Request = Callable[[int, int], AbstractContextManager[Body]]
"""Opens a piece, given its first byte and its length."""


class ContradictionError(VerificationError):
    """Two places send different bytes."""


class Mixture:
    """The places that sent pieces of one blob, over all its responses.

    Its ``with`` statement lasts until the blob has been verified; then mirrors may help with others.

    Attributes:
        arrivals: the bytes that are here, also those of pieces that wait for others before them.
        is_mixed: some of the bytes came in pieces.
        senders: the connections over which pieces came.
        lent: those of mirrors that help with no other blob meanwhile.
    """

    def __init__(self, arrivals: Arrivals | None = None) -> None:
        self.arrivals = arrivals or Arrivals()
        self.is_mixed = False
        self.senders: set[Connections] = set()
        self.lent: set[Connections] = set()
        self._is_verified = False
        self._lock = threading.Lock()

    def take_back(self, lines: Connections) -> None:
        """Let a mirror help with other blobs, as soon as its pieces of this one are verified."""
        with self._lock:
            if lines in self.senders and not self._is_verified:
                self.lent.add(lines)
            else:
                lines.take_back()

    def limit_to_one(self, reason: object) -> None:
        """Request no more pieces from any of the places, because bytes of one of them are wrong."""
        for lines in self.senders:
            lines.limit_to_one(reason)
        self.is_mixed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._is_verified = True
            for lines in self.lent:
                lines.take_back()


class Place:
    """A place for one blob.

    Attributes:
        server: the mirror or registry.
        lines: its connections for pieces.
        request: opens a piece.
    """

    def __init__(self, server: Server, request: Request, send_small: Callable[[], None] | None = None) -> None:
        """``send_small`` lets it send a small blob, whole, and raises an error if that is wrong."""
        self.server = server
        self.lines = server.connections
        self.request = request
        self._send_small = send_small

    @property
    def may_help(self) -> bool:
        """Return whether it has nothing else to do, and nothing is known against it."""
        is_idle = self.server.is_idle and not self.lines.is_any_open
        return is_idle and self.is_usable and not self.lines.is_single

    @property
    def is_usable(self) -> bool:
        """Return whether a blob from it was right, or it can send one."""
        server = self.server
        is_known = server.is_verified or (self._send_small is not None and not self.lines.is_single)
        return is_known and not (server.is_ill or server.is_doubtful)

    def prove(self) -> None:
        """Let it send a whole blob, unless one from it was right.

        Raises:
            ImgfetchError: it fails, or the blob is wrong.
        """
        if not self.server.is_verified and self._send_small:
            self._send_small()
            self.server.is_verified = True

    def compare(self, part: PartialBlob) -> None:
        """Let it send bytes that are here, unless it sent such bytes before.

        Raises:
            ContradictionError: its bytes differ.
            ImgfetchError: it fails.
        """
        if self.lines.agrees:
            return
        count = min(self.lines.limits.least, part.size)
        start = part.size - count
        with self.request(start, count) as body:
            sent = b"".join(body.chunks(count + 1))
        if sent != part.read(start, count):
            raise ContradictionError(f"{self.server.name} sends other bytes than those that are here")
        self.lines.agrees = self.lines.is_proven = True
