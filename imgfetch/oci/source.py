"""A source of images: the one seam between a registry, or a test's fake, and everything that downloads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.reference import Reference


class Body(Protocol):
    """The bytes of a blob on their way in, such as an HTTP response."""

    @property
    def codings(self) -> tuple[str, ...]:
        """The content codings that the sender names, whether or not they have to be removed."""

    @property
    def name(self) -> str:
        """The place where it comes from, for messages."""

    @property
    def start(self) -> int:
        """The offset of its first byte in the blob; 0 unless a later one was requested."""

    def chunks(self, limit: int) -> Iterator[bytes]:
        """Yield at most ``limit`` bytes."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The body of a blob that is in memory already."""

    content: bytes
    codings: tuple[str, ...] = ()
    name: str = "this machine"
    start: int = 0

    def chunks(self, limit: int) -> Iterator[bytes]:
        """Yield at most ``limit`` bytes."""
        yield self.content[:limit]


class Source(Protocol):
    """A registry, or anything else that has images; :class:`imgfetch.Registry` is one."""

    def manifest(self, reference: Reference, *, label: str = "") -> Document:
        """Return the document that ``reference`` points at.

        Args:
            reference: the image or index, by the name that it has here.
            label: its name in messages; by default that of ``reference``.
        """

    def blob(
        self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0
    ) -> AbstractContextManager[Body]:
        """Open a blob, which is ``what`` in messages, at ``offset`` or at its first byte."""

    def mirrors(self, reference: Reference) -> Sequence[Source]:
        """Return the sources to ask for an image, one after the other; the error of the last one counts."""
        del reference
        return (self,)

    def abort(self) -> None:
        """End every read, from any thread and for good."""
