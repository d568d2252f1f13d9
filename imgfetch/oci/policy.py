"""The interface between code that has signatures, and a policy that requires them; `imgfetch.signatures` has one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, Protocol

from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.referrers import SIGNATURE, Referrer

Read = Callable[[Descriptor], bytes]
"""Reads a small blob."""


class Candidate(NamedTuple):
    """A manifest that may have signatures, with its digest."""

    digest: Digest
    raw: bytes


Check = Callable[[str, Collection[Digest], Iterable[Candidate]], None]
"""Requires signatures of an image, and raises `VerificationError` if one is missing or invalid.

It takes the image's name in messages, the digests of its manifest and of the indexes through which it was chosen, and
the manifests that may have signatures.
"""


class SignaturePolicy(Protocol):
    """Requires signatures of images."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the keys and identities that must have signed."""

    def checker(self, read: Read) -> Check:
        """Return a function that requires signatures of images, and examines each manifest once for all of them.

        ``read`` reads the blobs of the manifests.
        """


def by_subject(referrers: Iterable[Referrer]) -> dict[Digest, list[Candidate]]:
    """Return the signatures among referrers by the manifests and indexes that they are about."""
    found: dict[Digest, list[Candidate]] = {}
    for each in referrers:
        if each.kind == SIGNATURE:
            found.setdefault(each.subject, []).append(Candidate(each.descriptor.digest, each.raw))
    return found
