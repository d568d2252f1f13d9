"""The interface between code that has signatures, and a policy that requires them; `imgfetch.signatures` has one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, Protocol

from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest

Read = Callable[[Descriptor], bytes]
"""Reads a small blob."""


class Candidate(NamedTuple):
    """A manifest that may have signatures, with its digest."""

    digest: Digest
    raw: bytes


class SignaturePolicy(Protocol):
    """Requires signatures of images."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the keys and identities that must have signed."""

    def check(self, image: str, digests: Collection[Digest], candidates: Iterable[Candidate], read: Read) -> None:
        """Require that each of them has signed an image.

        Args:
            image: its name in messages.
            digests: those of its manifest and of the indexes through which it was chosen.
            candidates: manifests that may have signatures.
            read: reads the blobs of these.

        Raises:
            VerificationError: a signature is missing or invalid.
        """
