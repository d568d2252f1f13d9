"""Brings one blob into the store, from whichever place serves it, and goes on where it broke off.

Every attempt asks the registry anew, for the URL that it last redirected to may have expired and the token may have
ended (F49), and asks for what is missing only.  Whether a server sends that, or all from the first byte, the `Part`
takes it.  A place that is not the last gets one attempt, the last as many as the table 2.0 gives it (P84, P85).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from imgfetch.blobs import BlobStore
from imgfetch.errors import ImgfetchError, ResumeError, StorageError
from imgfetch.image import Descriptor, Document
from imgfetch.layers import Contents
from imgfetch.parts import Part, Source
from imgfetch.reference import Reference
from imgfetch.retries import Patience

PROGRESS = 1024 * 1024
"""Bytes that an attempt has to bring to count for nothing when it fails (2.0)."""


class Reads(Protocol):
    """The two reads of a registry; :class:`imgfetch.Registry` has them."""

    def manifest(self, reference: Reference) -> Document:
        """Return the document that ``reference`` points at."""

    def blob(
        self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0
    ) -> AbstractContextManager[Source]:
        """Open a blob, which is ``what`` in messages, at ``offset`` or at its first byte."""


class Place(Protocol):
    """Somewhere to take a blob from."""

    def blob(
        self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0
    ) -> AbstractContextManager[Source]:
        """Open it, as for `Reads`."""

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

    registry: Reads

    def blob(
        self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0
    ) -> AbstractContextManager[Source]:
        """Open a blob."""
        return self.registry.blob(reference, descriptor, what, offset=offset)

    def failed(self, error: ImgfetchError) -> bool:
        """Ask again."""
        del error
        return False


def fetch(
    registry: Reads, store: BlobStore, reference: Reference, descriptor: Descriptor, what: str, *, patience: Patience
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
    registry: Reads, store: BlobStore, reference: Reference, part: Part, what: str, *, patience: Patience
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
        is_over = False
        while not is_over:
            before, is_open = part.received, False
            try:
                with place.blob(reference, part.descriptor, what, offset=part.size) as answer:
                    is_open = True
                    return store.keep(part, part.take(answer))
            except ImgfetchError as error:
                if is_open and isinstance(error, StorageError):
                    raise  # our disk's, and not that of a file about the place, such as a certificate
                is_over = place.failed(error)
                if not is_over:
                    attempts.failed(error, progressed=part.received - before >= PROGRESS)
    raise AssertionError("the last place raises")
