"""The other mirrors that bring pieces of a blob, next to the one that sent the first response.

Each helps with one blob at a time, until that is verified, so a mirror whose bytes turn out wrong costs one more
download of one blob.  It helps while it has nothing else to do.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial

from imgfetch import threads
from imgfetch.http.interrupt import Interrupt
from imgfetch.pull.place import ContradictionError, Mixture, Place
from imgfetch.store.partial import PartialBlob

_logger = logging.getLogger(__name__)

Work = Callable[[Place], None]
"""Lets a place bring pieces, as long as there are some for it."""


class Helpers:
    """The mirrors that may help a place with one blob."""

    def __init__(self, own: Place, places: Sequence[Place], part: PartialBlob, mixture: Mixture) -> None:
        self._own = own
        self._contradicting: list[Place] = []
        self._interrupts = {place: Interrupt() for place in places}
        self._part = part
        self._mixture = mixture
        self._lent = {place for place in places if place.lines in mixture.lent}
        self._active: set[Place] = set()
        self._is_over = False
        self._own_proof = threading.Lock()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._interrupts)

    @property
    def free(self) -> list[Place]:
        """The mirrors that could join now."""
        if not self._own.is_usable:
            return []
        return [
            place
            for place in self._interrupts
            if place.may_help and not (place in self._active if place in self._lent else place.lines.is_lent)
        ]

    def call(self, work: Work) -> None:
        """Let each mirror that is free join."""
        for place in self.free:
            if place not in self._lent and not place.lines.lend():
                continue
            with self._lock:
                self._lent.add(place)
                self._active.add(place)
            if threads.start(partial(self._join, place, work), "imgfetch-helper") is None:
                self._left(place)

    def _join(self, place: Place, work: Work) -> None:
        interrupt, who = self._interrupts[place], self._own
        try:
            with interrupt:
                with self._own_proof:
                    who.prove()
                who = place
                who.prove()
                who.compare(self._part)
            if not interrupt.is_set:
                work(place)
        except ContradictionError as error:
            _logger.info("%s", error)
            place.server.is_doubtful = True
            self._contradicting.append(place)
        except Exception as error:  # noqa: BLE001  # whatever it is, nobody needs this mirror
            if not interrupt.is_set:
                who.lines.limit_to_one(error)
        finally:
            self._left(place)

    def _left(self, place: Place) -> None:
        with self._lock:
            self._active.discard(place)
            if self._is_over:
                self._mixture.take_back(place.lines)

    def judge(self, *, is_right: bool) -> None:
        """Decide about the mirrors that contradicted the first one, whose bytes have been verified now."""
        for place in self._contradicting:
            place.server.is_doubtful = is_right
            if is_right:
                place.lines.limit_to_one("it sent wrong bytes of a blob")

    def end(self) -> None:
        """End the help with this blob, except for pieces, which `Fetchers` end."""
        with self._lock:
            self._is_over = True
            for place in self._lent - self._active:
                self._mixture.take_back(place.lines)
        for interrupt in self._interrupts.values():
            interrupt.set()
