"""Brings one blob into the store, from whichever place serves it, and goes on where it broke off.

Every attempt asks the registry anew, for the URL that it last redirected to may have expired and the token may have
ended (F49), and asks for what is missing only.  Whether a server sends that, or all from the first byte, the `Part`
takes it.  A place that is not the last gets one attempt, the last as many as the table 2.0 gives it (P84, P85).

A server may refuse to resume in any way, although it would send the whole blob: with an error status, a redirect to
storage that fails, or a connection that breaks.  Therefore no answer to a request with ``Range`` is final: `_Start` has
one without it follow.

The number of attempts is bounded whatever servers do.  The last place gets ``retries + 1`` of them, and one more from
byte 0.  They are counted from 1 again only after an attempt that reached `PROGRESS` bytes beyond all before it, which
happens at most once a mebibyte; bytes that had come before are no progress.  A mismatch sets that mark back to 0, and
each kind of mismatch ends the run the second time, or is followed by requests from byte 0 only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from imgfetch.errors import ImgfetchError, ResumeError, StorageError
from imgfetch.http.retries import Attempts, Patience
from imgfetch.layers.diffid import Contents
from imgfetch.oci.image import Descriptor
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Body, Source
from imgfetch.store.blobs import BlobStore
from imgfetch.store.partial import Part

PROGRESS = 1024 * 1024
"""Bytes beyond all before it that an attempt has to bring to count for nothing when it fails (2.0)."""

_logger = logging.getLogger(__name__)


class Place(Protocol):
    """Somewhere to take a blob from."""

    def blob(
        self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0
    ) -> AbstractContextManager[Body]:
        """Open it, as for `Source`."""

    def failed(self, error: ImgfetchError) -> bool:
        """Return whether the next place is to be asked, rather than this one again.

        Raises:
            ImgfetchError: ``error``, with what went wrong before, where nobody else is to be asked for it.
        """


@runtime_checkable
class Several(Protocol):
    """What can be had from one place or, if that fails, from another."""

    def places(self, reference: Reference) -> Iterator[Place]:
        """Yield whom to ask, the last of them being the one whose word counts."""


@dataclass(frozen=True, slots=True)
class Only:
    """The only place, or the last."""

    registry: Source

    def blob(
        self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0
    ) -> AbstractContextManager[Body]:
        """Open a blob."""
        return self.registry.blob(reference, descriptor, what, offset=offset)

    def failed(self, error: ImgfetchError) -> bool:
        """Ask again."""
        del error
        return False


def fetch(
    registry: Source, store: BlobStore, reference: Reference, descriptor: Descriptor, what: str, *, patience: Patience
) -> None:
    """Bring a blob that is no layer into the store, unless it is there.

    Raises:
        ImgfetchError: what the registry and the store raise.
    """
    if store.has(descriptor):
        return
    with store.claim(descriptor.digest):
        if not store.has(descriptor):
            with store.part(descriptor, what) as part:
                part.rehash()
                receive(registry, store, reference, part, what, patience=patience)


def receive(
    registry: Source, store: BlobStore, reference: Reference, part: Part, what: str, *, patience: Patience
) -> Contents | None:
    """Bring what is missing of a blob that is claimed, and return what a layer turned out to hold.

    Args:
        registry: where to look.
        store: whose ``part`` it is.
        reference: the image that it is for.
        part: what is here of it, hashed.
        what: its name in messages.
        patience: how often to try.

    Raises:
        ImgfetchError: what the registry and the store raise.
    """
    if part.is_full:  # an earlier run got all of it, and no further
        with suppress(ResumeError):
            return store.keep(part, part.finish())
    attempts = patience.attempts()
    places = registry.places(reference) if isinstance(registry, Several) else iter([Only(registry)])
    for place in places:
        start, is_over = _Start(part, what), False
        while not is_over:
            offset, is_open = start.next(), False
            try:
                with place.blob(reference, part.descriptor, what, offset=offset) as answer:
                    is_open, start.offset = True, min(offset, answer.start)
                    return store.keep(part, part.take(answer))
            except ImgfetchError as error:
                if is_open and isinstance(error, StorageError):
                    raise  # our disk's, and not that of a file about the place, such as a certificate
                is_over = start.failed(error, place, attempts)
    raise AssertionError("the last place raises")


class _Start:
    """The byte at which the next request to a place starts: the first missing one, or 0 if that has been refused.

    Attributes:
        offset: that of the last request, or 0 where the server ignored it.
    """

    def __init__(self, part: Part, what: str) -> None:
        """Begin with the first missing byte."""
        self._part = part
        self._what = what
        self.offset = self._furthest = 0
        self._is_zero = self._is_zero_once = False
        self._was_zero = False

    def next(self) -> int:
        """Return the offset for the next request."""
        self._part.rehash()  # the bytes that the last request from byte 0 did not get to
        self._furthest = self._part.furthest
        self.offset = 0 if self._is_zero or self._is_zero_once else self._part.size
        self._is_zero_once = False
        return self.offset

    def failed(self, error: ImgfetchError, place: Place, attempts: Attempts) -> bool:
        """Return whether the place had all its attempts, when it is time for the next one.

        Raises:
            ImgfetchError: ``error``, where the place is the last and no further attempt makes sense.
        """
        gained = self._part.furthest - self._furthest
        # Little is as good as nothing, unless a request from byte 0 brought no more.
        is_refused = self.offset > 0 and (gained <= 0 or (gained < PROGRESS and not self._was_zero))
        self._was_zero = self._was_zero or self.offset == 0
        is_mirror = place.failed(error)
        left = 0
        if not is_mirror:
            left = attempts.failed(error, progressed=gained >= PROGRESS, has_other=is_refused)
        if is_refused and left <= 1:
            _logger.warning(
                "%s: could not resume the download at byte %d; downloading the whole blob",
                self._what,
                self.offset,
            )
            self._is_zero, self._is_zero_once = left == 0, left == 1
        return is_mirror and not is_refused
