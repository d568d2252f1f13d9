"""The interface between a source of images, such as a registry, and the code that downloads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

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
    """A registry or another source of images; :class:`imgfetch.Registry` is one."""

    def manifest(self, reference: Reference, *, label: str = "") -> Document:
        """Return the document of ``reference``; ``label`` replaces its name in messages."""

    def resolve(self, reference: Reference, *, label: str = "") -> Digest | Document:
        """Return what ``reference`` points at: its digest, as the source states it, or the document itself."""
        return self.manifest(reference, label=label)

    def blob(
        self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0
    ) -> AbstractContextManager[Body]:
        """Open a blob, named ``what`` in messages, at ``offset`` or at its first byte."""

    def abort(self) -> None:
        """End every read permanently; any thread may call this."""
