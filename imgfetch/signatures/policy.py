"""The keys and identities that must have signed each image.

All of them must have, each by a signature of its own form and place.  A signature counts if it is for the digest of the
image's manifest, or for that of an index through which the image was chosen: cosign verifies the digest of a reference,
which is the index of a multi-platform image, and the index names its images by their digests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple, Protocol

from imgfetch.errors import VerificationError
from imgfetch.oci.digest import Digest
from imgfetch.oci.policy import Candidate, Check, Read
from imgfetch.signatures.claims import claimed
from imgfetch.signatures.signature import MAX_SIGNATURES, Signature, find
from imgfetch.text import counted, format_some

_MAX_SHOWN = 10
_MAX_NAMED = 3  # digests in a statement


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

    def checker(self, read: Read) -> Check:
        """Return a function that requires signatures; see `SignaturePolicy.checker`."""
        return _Checker(self.signers, read)


_Verdict = tuple[Digest, ...] | str
"""The digests for which a signer made a signature, or the reason why it did not."""


class _Judged(NamedTuple):
    """The digest of each signature in a manifest with a verdict for each signer, and sentences about the others."""

    signatures: list[tuple[Digest, tuple[_Verdict, ...]]]
    faults: list[str]


class _Checker:
    """Examines each manifest once, because many images may have the same signatures, and a stranger chose both."""

    def __init__(self, signers: Sequence[Signer], read: Read) -> None:
        self._signers = signers
        self._read = read
        self._judged: dict[Digest, _Judged] = {}

    def __call__(self, image: str, digests: Collection[Digest], candidates: Iterable[Candidate]) -> None:
        found, count = list[_Judged](), 0
        for candidate in candidates:
            if candidate.digest not in self._judged:
                self._judged[candidate.digest] = self._judge(candidate)
            found.append(self._judged[candidate.digest])
            count += len(found[-1].signatures) + len(found[-1].faults)
            if count > MAX_SIGNATURES:
                most = f"at most {MAX_SIGNATURES}"
                raise VerificationError("too many signatures", wanted=most, got="more").within(image)
        for number, signer in enumerate(self._signers):
            _require(signer, image, _faults(found, number, digests))

    def _judge(self, candidate: Candidate) -> _Judged:
        found = find(candidate, self._read)
        verdicts = [
            (each.digest, tuple(_verdict(signer, each) for signer in self._signers)) for each in found.signatures
        ]
        return _Judged(verdicts, found.faults)


def _verdict(signer: Signer, signature: Signature) -> _Verdict:
    try:
        signer.verify(signature)
        return claimed(signature)
    except VerificationError as error:
        return str(error)


def _faults(found: Sequence[_Judged], number: int, digests: Collection[Digest]) -> list[str] | None:
    """Return the reason why each signature is none by the signer with a number, or ``None`` if one is valid."""
    faults = []
    for digest, verdicts in (signature for judged in found for signature in judged.signatures):
        verdict = verdicts[number]
        if not isinstance(verdict, str) and set(verdict) & set(digests):
            return None
        faults.append(f"{digest}: {verdict if isinstance(verdict, str) else _of_another(verdict, digests)}")
    return [*faults, *chain.from_iterable(judged.faults for judged in found)]


def _of_another(named: Sequence[Digest], digests: Collection[Digest]) -> VerificationError:
    shown = format_some(list(map(str, named)), _MAX_NAMED) or "no image"
    return VerificationError("it is for another image", wanted=" or ".join(map(str, digests)), got=shown)


def _require(signer: Signer, image: str, faults: Sequence[str] | None) -> None:
    """Require that a signer has made a valid signature, instead of which there may be the faults of others."""
    if faults is None:
        return
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
