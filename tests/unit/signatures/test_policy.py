"""Signatures are accepted or refused with a reason, and a policy requires all of its signers."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from imgfetch.errors import VerificationError
from imgfetch.oci.digest import Digest
from imgfetch.signatures import policy, signature
from imgfetch.signatures.identity import Identity, Wanted
from imgfetch.signatures.keyless import Keyless
from imgfetch.signatures.keys import Key
from imgfetch.signatures.policy import Policy, Signer
from imgfetch.signatures.signature import Signature
from tests.authority import IDENTITY, ISSUER, new_key, record_of_payload
from tests.forgeries import FORGED, GOOD, Case, World
from tests.signing import (
    BUNDLE,
    Signatures,
    annotated,
    bundle_by_certificate,
    bundle_by_key,
    bundled,
    by_certificate,
    by_key,
    envelope,
    manifest,
    payload,
    public_pem,
    statement,
)

KEYED = b'{"mediaType": "%s", "verificationMaterial": {"publicKey": {}}' % BUNDLE.encode()
DIGEST, OTHER = (f"sha256:{digit * 64}" for digit in "ab")


@pytest.fixture(scope="module")
def world() -> World:
    return World(DIGEST, OTHER)


def key(world: World) -> Key:
    return Key("cosign.pub", public_pem(world.key))


def identity(world: World) -> Keyless:
    return Keyless(Identity(Wanted(IDENTITY), Wanted(ISSUER)), world.authority.trusted_root(), "trusted_root.json")


def check(signers: Sequence[Signer], *several: Signatures, digests: Sequence[str] = (DIGEST,)) -> None:
    def read(descriptor: signature.Descriptor) -> bytes:
        return next(each for each in several if str(descriptor.digest) in each.digests).read(descriptor)

    candidates = [each.candidate for each in several]
    Policy(signers).checker(read)("x:1", list(map(Digest.parse, digests)), candidates)


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_a_good_signature_is_accepted(case: Case, world: World) -> None:
    signer = key(world) if case.is_keyed else identity(world)
    check([signer], case.make(world, None))


@pytest.mark.parametrize("case", FORGED, ids=lambda case: case.name)
def test_a_forged_signature_is_refused_with_its_reason(case: Case, world: World) -> None:
    signatures = case.make(world, None)
    with pytest.raises(VerificationError, match=case.reason) as caught:
        check([key(world) if case.is_keyed else identity(world)], signatures)
    message = str(caught.value)
    assert message.startswith("x:1 has no valid signature by ")
    assert signatures.built.layers[0].digest in message or signatures.built.digest in message


def test_an_image_without_a_signature_is_refused(world: World) -> None:
    with pytest.raises(VerificationError, match=r"^x:1 is not signed, but a signature by key cosign.pub is required$"):
        check([key(world)])


def test_a_policy_without_signers_is_refused() -> None:
    with pytest.raises(ValueError, match="accept everything"):
        Policy([])


def test_all_signers_must_have_signed(world: World) -> None:
    another = new_key()
    signers = [key(world), Key("another.pub", public_pem(another)), identity(world)]
    by_one, by_other = by_key(payload(DIGEST), world.key), by_key(payload(DIGEST), another)
    keyless = by_certificate(payload(DIGEST), world.authority.leaf(), world.log)
    check(signers, manifest(by_one, by_other), manifest(keyless))
    for missing, given in (("cosign.pub", by_other), ("another.pub", by_one)):
        with pytest.raises(VerificationError, match=f"no valid signature by key {missing}"):
            check(signers, manifest(given), manifest(keyless))
    with pytest.raises(VerificationError, match=f"no valid signature by the identity '{IDENTITY}'"):
        check(signers, manifest(by_one, by_other))


def test_a_signature_of_the_index_or_of_the_image_is_enough(world: World) -> None:
    for digest in (DIGEST, OTHER):
        check([key(world)], manifest(by_key(payload(digest), world.key)), digests=[DIGEST, OTHER])


def test_all_reasons_are_given_up_to_a_number(world: World) -> None:
    several = manifest(*(by_key(payload(DIGEST), new_key()) for _ in range(12)))
    with pytest.raises(VerificationError, match=r"^x:1 has no valid signature by key cosign.pub$") as caught:
        check([key(world)], several)
    assert len(caught.value.details) == 11
    assert caught.value.details[-1] == "and 2 more signatures"


def test_the_number_of_signatures_has_a_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (signature, policy):
        monkeypatch.setattr(module, "MAX_SIGNATURES", 2)
    one, two = (manifest(*(by_key(payload(DIGEST), world.key) for _ in range(count))) for count in (1, 2))
    check([key(world)], two)
    with pytest.raises(VerificationError, match=r"^x:1: too many signatures: expected at most 2, got more$"):
        check([key(world)], one, two)
    with pytest.raises(VerificationError, match="3 layers, more than 2"):
        check([key(world)], manifest(*(by_key(payload(DIGEST), world.key) for _ in range(3))))


def test_a_blob_with_another_digest_is_no_signature(world: World) -> None:
    good = manifest(by_key(payload(DIGEST), world.key))
    with pytest.raises(VerificationError, match="it has another digest"):
        Policy([key(world)]).checker(lambda _: payload(OTHER))("x:1", [Digest.parse(DIGEST)], [good.candidate])


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "expected an object"),
        (b'{"mediaType": "x", "messageSignature": {}}', "no DSSE envelope"),
        (KEYED + b', "dsseEnvelope": null}', "expected an object"),
        (KEYED + b', "dsseEnvelope": {"signatures": []}}', "expected one signature, got 0"),
        (KEYED + b', "dsseEnvelope": {"signatures": [{}, {}]}}', "expected one signature, got 2"),
        (b'{"dsseEnvelope": {}, "dsseEnvelope": {}}', "occurs twice"),
        (b'{"dsseEnvelope": {}, "DsseEnvelope": {}}', "only in case"),
        (b'{"dsseEnvelope": {}, "messageSignature": {}}', "'messageSignature', which is not known"),
    ],
)
def test_a_malformed_bundle_is_refused(broken: bytes, reason: str, world: World) -> None:
    with pytest.raises(VerificationError, match=reason):
        check([key(world)], manifest(bundled(broken)))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b"{", "not valid JSON"),
        (b"null", "expected an object"),
        (b"{}", "'critical' is malformed"),
        (b'{"critical": {"type": "cosign container image signature"}}', "'image' is malformed"),
        (payload("latest"), "not a valid digest"),
        (payload(DIGEST).replace(b'"image"', b'"Image"'), "only in case"),
        (b"\xff" + payload(DIGEST), "not valid JSON"),
    ],
)
def test_a_malformed_payload_is_refused_though_it_is_signed(broken: bytes, reason: str, world: World) -> None:
    with pytest.raises(VerificationError, match=reason):
        check([key(world)], manifest(by_key(broken, world.key)))


@pytest.mark.parametrize(
    ("value", "reason"), [("", "is missing"), ("%", "not valid base64"), ("QUJD\nREVG", "not valid base64")]
)
def test_a_signature_must_be_base64(value: str, reason: str, world: World) -> None:
    blob = by_key(payload(DIGEST), world.key)
    blob.extra["annotations"]["dev.cosignproject.cosign/signature"] = value
    with pytest.raises(VerificationError, match=reason):
        check([key(world)], manifest(blob))


def test_a_key_in_another_case_is_refused(world: World) -> None:
    content = payload(OTHER).replace(b'{"critical"', b'{"Critical": {}, "critical"')
    with pytest.raises(VerificationError, match="'Critical', which differs from 'critical' only in case"):
        check([key(world)], manifest(by_key(content, world.key)), digests=[OTHER])


def test_a_statement_of_an_unknown_version_is_refused(world: World) -> None:
    content = statement(DIGEST).replace(b"Statement/v1", b"Statement/v2")
    with pytest.raises(VerificationError, match="Statement/v2', which is not known"):
        check([key(world)], manifest(bundled(bundle_by_key(envelope(content, world.key)))))


def test_a_certificate_with_an_rsa_key_is_refused(world: World) -> None:
    private = rsa.generate_private_key(65537, 2048)
    leaf = world.authority.leaf(key=private)
    content = payload(DIGEST)
    value = private.sign(content, padding.PKCS1v15(), hashes.SHA256())
    entry = world.log.annotation(record_of_payload(content, value, leaf.pem))
    with pytest.raises(VerificationError, match="its certificate has no ECDSA key"):
        check([identity(world)], manifest(annotated(content, value, leaf, entry)))


def test_a_payload_that_the_library_reads_otherwise_is_refused(world: World) -> None:
    leaf = world.authority.leaf()
    content = bundle_by_certificate(envelope(statement(OTHER), leaf.key), leaf, world.log)
    signed = Signature(Digest.parse(OTHER), statement(DIGEST), b"", b"", bundle=json.dumps(content).encode())
    with pytest.raises(VerificationError, match="its payload depends on the reader"):
        identity(world).verify(signed)
