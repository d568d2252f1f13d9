"""The keys and identities that must have signed each image.

All of them must have, each by a signature of its own form and place.  A signature counts if it is for the digest of the
image's manifest, or for that of an index through which the image was chosen: cosign verifies the digest of a reference,
which is the index of a multi-platform image, and the index names its images by their digests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol

from imgfetch.errors import VerificationError
from imgfetch.oci.digest import Digest
from imgfetch.oci.policy import Candidate, Read
from imgfetch.signatures.claims import require_claim
from imgfetch.signatures.signature import Found, Signature, find
from imgfetch.text import counted

_MAX_SHOWN = 10


class Signer(Protocol):
    """A key or an identity.

    Attributes:
        name: its name in messages.
    """

    name: str

    def verify(self, signature: Signature) -> None:
        """Require that it made a signature.

        Raises:
            VerificationError: it did not.
        """


class Policy:
    """Requires a signature by each of some signers."""

    def __init__(self, signers: Sequence[Signer]) -> None:
        """Keep the signers, of which there must be one."""
        if not signers:
            raise ValueError("a policy without signers would accept everything")
        self.signers = tuple(signers)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the signers."""
        return tuple(signer.name for signer in self.signers)

    def check(self, image: str, digests: Collection[Digest], candidates: Iterable[Candidate], read: Read) -> None:
        """Require that each signer has signed an image; `SignaturePolicy.check` has the arguments."""
        try:
            found = find(candidates, read)
        except VerificationError as error:
            raise error.within(image) from None
        for signer in self.signers:
            _require(signer, image, digests, found)


def _require(signer: Signer, image: str, digests: Collection[Digest], found: Found) -> None:
    """Require a valid signature by a signer."""
    faults = []
    for signature in found.signatures:
        try:
            signer.verify(signature)
            require_claim(signature, digests)
        except VerificationError as error:
            faults.append(f"{signature.digest}: {error}")
        else:
            return
    faults += found.faults
    hint = f"do not use this image unless its publisher explains why it has no signature by {signer.name}"
    if not faults:
        raise VerificationError(f"{image} is not signed, but a signature by {signer.name} is required", hint=hint)
    reason = f": signature {faults[0]}" if len(faults) == 1 else ""
    raise VerificationError(
        f"{image} has no valid signature by {signer.name}{reason}",
        details=tuple(_shortened(faults)) if len(faults) > 1 else (),
        hint=hint,
    )


def _shortened(faults: Sequence[str]) -> Iterator[str]:
    yield from (f"signature {fault}" for fault in faults[:_MAX_SHOWN])
    if len(faults) > _MAX_SHOWN:
        yield f"and {counted(len(faults) - _MAX_SHOWN, 'more signature')}"
