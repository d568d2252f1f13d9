"""Keys of all kinds that cosign has, and files that are none."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from imgfetch.errors import StorageError, VerificationError
from imgfetch.oci.digest import Digest
from imgfetch.signatures.keys import Key
from imgfetch.signatures.signature import Signature

MESSAGE = b"a payload"
RSA = rsa.generate_private_key(65537, 2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()
P256, P384, P521 = (ec.generate_private_key(curve()) for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1))
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
SIGNED = {
    "P-256": (P256, P256.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))),
    "P-384": (P384, P384.sign(MESSAGE, ec.ECDSA(hashes.SHA384()))),
    "P-384 with SHA-256": (P384, P384.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))),
    "P-521": (P521, P521.sign(MESSAGE, ec.ECDSA(hashes.SHA512()))),
    "Ed25519": (ED25519, ED25519.sign(MESSAGE)),
    "RSA": (RSA, RSA.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())),
    "RSA-PSS": (RSA, RSA.sign(MESSAGE, PSS, hashes.SHA256())),
}
each_kind = pytest.mark.parametrize("name", SIGNED)
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | dsa.DSAPrivateKey


def pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def signature(value: bytes, message: bytes = MESSAGE) -> Signature:
    return Signature(Digest.of(message), message, message, value)


@each_kind
def test_a_signature_by_a_key_of_each_kind_is_valid(name: str) -> None:
    key, value = SIGNED[name]
    Key("x.pub", pem(key)).verify(signature(value))


@each_kind
def test_a_signature_of_another_message_is_invalid(name: str) -> None:
    key, value = SIGNED[name]
    with pytest.raises(VerificationError, match=r"^it is not by key x.pub$"):
        Key("x.pub", pem(key)).verify(signature(value, b"another payload"))


@each_kind
@pytest.mark.parametrize("value", [b"", b"\0", b"\x30\x06\x02\x01\0\x02\x01\0", bytes(64), bytes(256)])
def test_a_malformed_signature_is_invalid(name: str, value: bytes) -> None:
    with pytest.raises(VerificationError, match="not by key"):
        Key("x.pub", pem(SIGNED[name][0])).verify(signature(value))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a valid PEM public key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not a valid PEM public key"),
        (P256.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "a private key, not a public one"),
        (b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n", "a private key, not a public one"),
        (pem(rsa.generate_private_key(65537, 1024)), "of a kind that imgfetch does not accept"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "of a kind that imgfetch does not accept"),
        (pem(dsa.generate_private_key(2048)), "of a kind that imgfetch does not accept"),
    ],
    ids=["empty", "malformed", "private", "private by cosign", "short", "another curve", "DSA"],
)
def test_a_file_without_a_usable_key_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(StorageError, match=rf"^--key x\.pub: .*{reason}"):
        Key("x.pub", content)
