"""The results of a push, and of its dry run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference

State = Literal["new", "unchanged", "replaced"]


class PushedImage(NamedTuple):
    """An image, index or signature at its new place.

    Attributes:
        names: its names in the archive.
        reference: its name in the registry: with a tag, or with its digest.
        digest: its digest.
        state: ``new``, ``unchanged`` if the registry had it under this name, or ``replaced`` if it had another one.
    """

    names: tuple[str, ...]
    reference: Reference
    digest: Digest
    state: State


class PushedBlob(NamedTuple):
    """A blob and its fate.

    Attributes:
        digest: its digest.
        size: its length in bytes.
        state: ``sent``, ``mounted`` from another repository, or ``present``.
        repository: the repository that has it now.
    """

    digest: Digest
    size: int
    state: str
    repository: str


@dataclass(frozen=True, slots=True)
class Pushed:
    """The result of a push.

    Attributes:
        images: the images, indexes and signatures, in the archive's order.
        blobs: the blobs of those that were not unchanged, by repository; after a dry run those that would be sent.
        is_dry_run: whether nothing was sent.
    """

    images: tuple[PushedImage, ...]
    blobs: tuple[PushedBlob, ...] = ()
    is_dry_run: bool = False

    def bytes_of(self, state: str) -> int:
        """Return the bytes of the blobs in a state."""
        return sum(blob.size for blob in self.blobs if blob.state == state)
