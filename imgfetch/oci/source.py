"""The interface between a source of images, such as a registry, and the code that downloads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, runtime_checkable

from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference


class Body(Protocol):
    """An open blob, such as an HTTP response."""

    @property
    def codings(self) -> tuple[str, ...]:
        """The content codings that the sender lists; perhaps not applied."""

    @property
    def name(self) -> str:
        """The source's name in messages."""

    @property
    def start(self) -> int:
        """The offset of the first byte in the blob; 0 unless a later one was requested."""

    def chunks(self, limit: int) -> Iterator[bytes]:
        """Yield at most ``limit`` bytes."""


@runtime_checkable
class Paced(Protocol):
    """A `Body` with a limited rate."""

    def pause(self) -> None:
        """Wait until the limit allows more bytes, so that `Body.chunks` does not have to."""


class Embedded(NamedTuple):
    """The body of a blob in memory."""

    content: bytes
    codings: tuple[str, ...] = ()
    name: str = "this machine"
    start: int = 0

    def chunks(self, limit: int) -> Iterator[bytes]:
        """Yield at most ``limit`` bytes."""
        yield self.content[:limit]


class Source(Protocol):
    """A registry or another source of images; :class:`imgfetch.Registry` is one.

    Attributes:
        has_pieces: `blob` has the argument ``length``; a source may lack this attribute.
    """

    has_pieces: bool = False

    def manifest(self, reference: Reference, *, label: str = "") -> Document:
        """Return the document of ``reference``; ``label`` replaces its name in messages."""

    def resolve(self, reference: Reference, *, label: str = "") -> Digest | Document:
        """Return what ``reference`` points at: its digest, as the source states it, or the document itself."""
        return self.manifest(reference, label=label)

    def blob(
        self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Body]:
        """Open a blob, named ``what`` in messages, at ``offset`` or at its first byte.

        If the source ``has_pieces``, ``length`` requests so many bytes from ``offset``, and nothing else is accepted.
        """

    def piece(self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int, length: int) -> bytes:
        """Return so many bytes of a blob, or fewer; nothing verifies them.  The source must have pieces."""
        with self.blob(reference, descriptor, what, offset=offset, length=length) as body:
            return b"".join(body.chunks(length))

    def abort(self) -> None:
        """End every read permanently; any thread may call this."""
