"""Public keys, and signatures by them: ECDSA, Ed25519 and RSA, as cosign makes them."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from imgfetch.errors import StorageError, VerificationError
from imgfetch.signatures.signature import Signature
from imgfetch.text import sanitize

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

_CURVES: dict[type[ec.EllipticCurve], tuple[hashes.HashAlgorithm, ...]] = {
    ec.SECP256R1: (hashes.SHA256(),),
    ec.SECP384R1: (hashes.SHA256(), hashes.SHA384()),
    ec.SECP521R1: (hashes.SHA256(), hashes.SHA512()),
}
"""The curves, each with the hashes that versions of cosign use with it."""
_MIN_RSA = 2048
_PADDINGS = (padding.PKCS1v15(), padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO))


class Key:
    """A public key that must have signed.

    Attributes:
        name: its name in messages.
    """

    def __init__(self, path: str, content: bytes) -> None:
        """Read a key.

        Args:
            path: its file, for messages.
            content: a public key in PEM form.

        Raises:
            StorageError: the key is malformed, too short, or of another kind.
        """
        self.name = f"key {sanitize(path)}"
        self._key = _usable(path, content)

    def verify(self, signature: Signature) -> None:
        """Require that the key made a signature.

        Raises:
            VerificationError: it did not.
        """
        if signature.has_certificate:
            raise VerificationError("it is by a certificate, not by a key")
        if not any(_is_valid(self._key, signature, number) for number in range(2)):
            raise VerificationError(f"it is not by {self.name}")


def _usable(path: str, content: bytes) -> PublicKey:
    """Return the key of a file if it is one that is strong enough."""
    where = f"--key {sanitize(path)}"
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        secret = "a private key, not a public one" if b"PRIVATE KEY" in content else "not a valid PEM public key"
        raise StorageError(f"{where}: {secret}", hint="--key expects a public key such as cosign.pub") from None
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and type(key.curve) in _CURVES:
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _MIN_RSA:
        return key
    kinds = f"ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of at least {_MIN_RSA} bits"
    raise StorageError(f"{where}: a key of a kind that imgfetch does not accept", hint=f"use {kinds}")


def _is_valid(key: PublicKey, signature: Signature, number: int) -> bool:
    """Return whether a signature is valid by the first or second method of a kind of key."""
    value, message = signature.value, signature.message
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(value, message)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(value, message, _PADDINGS[number], hashes.SHA256())
        else:
            algorithms = _CURVES[type(key.curve)]
            key.verify(value, message, ec.ECDSA(algorithms[number % len(algorithms)]))
    except InvalidSignature:
        return False
    return True
