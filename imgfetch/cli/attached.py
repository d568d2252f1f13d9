"""Signatures and other referrers in a file, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from imgfetch.oci.digest import Digest
from imgfetch.oci.referrers import SIGNATURE, Referrer
from imgfetch.text import format_kinds


def grouped(referrers: Sequence[Referrer], names: Mapping[Digest, str]) -> Iterator[str]:
    """Yield a text for each subject, such as ``2 signatures, 1 SBOM of docker.io/library/app:1``."""
    kinds: dict[Digest, list[str]] = {}
    for each in referrers:
        kinds.setdefault(each.subject, []).append(_kind(each))
    own = {each.descriptor.digest: each.kind for each in referrers}
    for subject, counted in kinds.items():
        name = names.get(subject) or (f"the {own[subject]} {subject}" if subject in own else str(subject))
        yield f"{format_kinds(counted)} of {name}"


def found(referrers: Sequence[Referrer]) -> str:
    """Return the numbers of referrers by kind, such as ``2 signatures, 1 attestation``."""
    return format_kinds(map(_kind, referrers))


def unverified(referrers: Sequence[Referrer], *, has_policy: bool) -> str:
    """Return a sentence about signatures that were not verified, or an empty text if there are none."""
    signatures = [each for each in referrers if each.kind == SIGNATURE]
    if signatures and not has_policy:
        return "no signature was verified; to require one, use --key or --certificate-identity"
    return "signatures by notation were not verified" if any(each.is_by_notation for each in signatures) else ""


def _kind(referrer: Referrer) -> str:
    return f"{referrer.kind} (by notation)" if referrer.is_by_notation else referrer.kind


def as_json(referrers: Sequence[Referrer]) -> list[dict[str, object]]:
    """Return the objects that docs/json.md describes."""
    return [
        {
            "kind": each.kind.lower(),
            "artifact_type": each.artifact_type or None,
            "digest": str(each.descriptor.digest),
            "subject": str(each.subject),
            "tag": each.tag or None,
            "attached": each.is_attached,
        }
        for each in referrers
    ]
