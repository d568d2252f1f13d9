"""A bundle whose time is by a timestamp authority, as with the second version of Rekor."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imgfetch.errors import VerificationError
from imgfetch.oci.digest import Digest
from imgfetch.signatures.identity import Identity, Wanted
from imgfetch.signatures.keyless import Keyless
from imgfetch.signatures.policy import Policy
from tests.authority import IDENTITY, ISSUER, Authority
from tests.signing import bundled, manifest
from tests.timestamps import TimestampAuthority, timed_bundle

DIGEST = f"sha256:{'a' * 64}"
Bundle = dict[str, Any]
Forge = Callable[[Authority, TimestampAuthority, TimestampAuthority, str], Bundle]


def after_the_certificate_expired(
    authority: Authority, own: TimestampAuthority, _: TimestampAuthority, digest: str
) -> Bundle:
    return timed_bundle(authority, own, digest, authority.leaf(start=datetime.now(UTC) - timedelta(hours=1)))


def by_another_timestamp_authority(
    authority: Authority, _: TimestampAuthority, other: TimestampAuthority, digest: str
) -> Bundle:
    return timed_bundle(authority, other, digest)


def without_a_timestamp(authority: Authority, own: TimestampAuthority, _: TimestampAuthority, digest: str) -> Bundle:
    bundle = timed_bundle(authority, own, digest)
    del bundle["verificationMaterial"]["timestampVerificationData"]
    return bundle


def with_the_timestamp_of_another_signature(
    authority: Authority, own: TimestampAuthority, _: TimestampAuthority, digest: str
) -> Bundle:
    bundle, other = (timed_bundle(authority, own, digest) for _ in range(2))
    material = other["verificationMaterial"]["timestampVerificationData"]
    bundle["verificationMaterial"]["timestampVerificationData"] = material
    return bundle


def of_another_signature_in_the_log(
    authority: Authority, own: TimestampAuthority, _: TimestampAuthority, digest: str
) -> Bundle:
    bundle, other = (timed_bundle(authority, own, digest) for _ in range(2))
    bundle["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"]
    return bundle


FORGED: tuple[Forge, ...] = (
    after_the_certificate_expired,
    by_another_timestamp_authority,
    without_a_timestamp,
    with_the_timestamp_of_another_signature,
    of_another_signature_in_the_log,
)


@pytest.fixture
def times(tmp_path: Path) -> tuple[TimestampAuthority, TimestampAuthority]:
    """Return the trusted timestamp authority, and another one."""
    for name in ("own", "other"):
        (tmp_path / name).mkdir()
    return TimestampAuthority(tmp_path / "own"), TimestampAuthority(tmp_path / "other")


def check(bundle: Bundle, authority: Authority, own: TimestampAuthority) -> None:
    root = authority.trusted_root(timestampAuthorities=[own.description])
    signer = Keyless(Identity(Wanted(IDENTITY), Wanted(ISSUER)), root, "trusted_root.json")
    signed = manifest(bundled(json.dumps(bundle).encode()))
    Policy([signer]).checker(signed.read)("x:1", [Digest.parse(DIGEST)], [signed.candidate])


def test_a_signed_timestamp_is_the_time(times: tuple[TimestampAuthority, TimestampAuthority]) -> None:
    authority = Authority()
    check(timed_bundle(authority, times[0], DIGEST), authority, times[0])


@pytest.mark.parametrize("forge", FORGED, ids=lambda forge: forge.__name__)
def test_a_bundle_with_a_forged_time_is_refused(
    forge: Forge, times: tuple[TimestampAuthority, TimestampAuthority]
) -> None:
    authority = Authority()
    with pytest.raises(VerificationError, match="sigstore refuses it"):
        check(forge(authority, *times, DIGEST), authority, times[0])
