"""Signatures by certificates of a few minutes, such as Fulcio's, verified by sigstore with a trusted root.

The certificate, its entry in the log of certificates, and its identity are verified; and that the transparency log
recorded the signature while the certificate was valid.  Nothing is downloaded.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sigstore.models import Bundle, TransparencyLogEntry, TrustedRoot
from sigstore.verify import Verifier
from sigstore_models.trustroot.v1 import TrustedRoot as TrustedRootDocument

from imgfetch.errors import StorageError, UnsupportedError, VerificationError
from imgfetch.oci.digest import Digest
from imgfetch.oci.strictjson import Object, loads
from imgfetch.signatures.identity import Identity
from imgfetch.signatures.signature import STATEMENT, Signature, decoded
from imgfetch.text import quoted, sanitize

if TYPE_CHECKING:
    from sigstore._internal.trust import RekorKeyring

_CERTIFICATE = "dev.sigstore.cosign/certificate"
_BUNDLE = "dev.sigstore.cosign/bundle"
_NOTE_SIGNATURE = "\u2014 "  # in a signed note, as a checkpoint is
_MAX_REASON = 200  # characters of an error of the library
_HEX = re.compile("(?:[0-9a-f]{2})+")
_NO_PROOF = {"logIndex": "0", "treeSize": "1", "rootHash": "AA==", "hashes": [], "checkpoint": {"envelope": "none"}}


class Keyless:
    """An identity that must have signed.

    Attributes:
        name: its name in messages.
    """

    def __init__(self, identity: Identity, trusted_root: bytes, path: str) -> None:
        """Read a trusted root.

        Args:
            identity: the identity that certificates must name.
            trusted_root: the authorities and logs, in sigstore's JSON.
            path: its file, for messages.

        Raises:
            StorageError: the trusted root is malformed.
            UnsupportedError: the library lacks what is overridden here.
        """
        _require_members()
        self.name = f"the identity {identity.subject} (issuer {identity.issuer})"
        self._identity = identity
        self._verifier = _verifier(trusted_root, path)

    def verify(self, signature: Signature) -> None:
        """Require that the identity made a signature.

        Raises:
            VerificationError: it did not.
        """
        try:
            if signature.bundle is None:
                self._verify_simple(signature)
            else:
                self._verify_bundle(signature, Bundle.from_json(signature.bundle))
        except VerificationError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever the library meets in such a signature, it is invalid
            reason = sanitize(" ".join(str(error).split()), _MAX_REASON) or type(error).__name__
            raise VerificationError(f"sigstore refuses it: {reason}") from None

    def _verify_bundle(self, signature: Signature, bundle: Bundle) -> None:
        _require_spelling(loads(signature.bundle or b"", "the bundle"), bundle)
        _require_curve(bundle.signing_certificate)
        if self._verifier.verify_dsse(bundle, self._identity) != (STATEMENT, signature.payload):
            raise VerificationError("the bundle is ambiguous: its payload depends on the reader")

    def _verify_simple(self, signature: Signature) -> None:
        bundle = _Promised.from_json(_as_bundle(signature))
        _require_curve(bundle.signing_certificate)
        self._verifier.verify_artifact(signature.message, bundle, self._identity)


class _PromisedEntry(TransparencyLogEntry):
    """An entry in the log that is proved by the log's signed promise alone, as in the older form of signatures."""

    def _verify(self, keyring: RekorKeyring) -> None:
        self._verify_set(keyring)


class _Promised(Bundle):
    """The older form as a bundle."""

    @property
    def log_entry(self) -> TransparencyLogEntry:
        """The entry without its proof of inclusion."""
        return _PromisedEntry(super().log_entry._inner)  # noqa: SLF001  # the library reads no bundle without a proof


def _require_members() -> None:
    """Refuse a version of the library that would refuse good signatures, because it has other private methods."""
    for name in ("_verify", "_verify_set"):
        if not hasattr(TransparencyLogEntry, name):
            raise UnsupportedError(
                f"sigstore {version('sigstore')} has no TransparencyLogEntry.{name}",
                hint="install a version that imgfetch knows, with: pip install 'sigstore>=4.3,<5'",
            )


def _verifier(content: bytes, path: str) -> Verifier:
    try:
        loads(content, "the trusted root")
        return Verifier(trusted_root=TrustedRoot(TrustedRootDocument.from_json(content)))
    except Exception as error:  # noqa: BLE001  # the library has many errors for a malformed file
        reason = sanitize(" ".join(str(error).split()), _MAX_REASON)
        raise StorageError(
            f"--trusted-root {sanitize(path)}: not a valid trusted root: {reason}",
            hint="--trusted-root expects a trusted_root.json, as cosign trusted-root create writes it",
        ) from None


def _require_curve(certificate: x509.Certificate) -> None:
    if not isinstance(certificate.public_key(), ec.EllipticCurvePublicKey):
        raise VerificationError("its certificate has no ECDSA key")


def _require_spelling(document: object, bundle: Bundle) -> None:
    """Require base64 as every writer encodes it, because the library skips other characters."""
    if not set(_texts(document)) <= set(_texts(json.loads(bundle.to_json()))):
        raise VerificationError("the bundle is malformed: it has base64 or a number in an unusual spelling")
    proof = bundle.log_entry._inner.inclusion_proof  # noqa: SLF001  # the library shows no other
    note = proof.checkpoint.envelope if proof and proof.checkpoint else ""
    for line in note.rpartition("\n\n")[2].splitlines():
        if not line.startswith(_NOTE_SIGNATURE):
            raise VerificationError("a signature of the checkpoint is malformed")
        decoded(line.rpartition(" ")[2], "a signature of the checkpoint")


def _texts(value: object) -> Iterator[str]:
    """Yield all strings in parsed JSON but keys."""
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(each)


def _as_bundle(signature: Signature) -> str:
    """Return a signature in the older form as a bundle, with a proof in it that `_PromisedEntry` does not use."""
    pem = signature.annotations.get(_CERTIFICATE, "")
    if not pem:
        raise VerificationError("it has no certificate")
    certificate = x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
    digest = Digest.of(signature.message)
    return json.dumps(
        {
            "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.1",
            "verificationMaterial": {
                "x509CertificateChain": {"certificates": [{"rawBytes": _base64(certificate)}]},
                "tlogEntries": [_log_entry(signature.annotations.get(_BUNDLE, ""))],
            },
            "messageSignature": {
                "messageDigest": {"algorithm": "SHA2_256", "digest": _base64(bytes.fromhex(digest.encoded))},
                "signature": _base64(signature.value),
            },
        }
    )


def _log_entry(annotation: str) -> dict[str, object]:
    """Return the entry in the log that an annotation has."""
    if not annotation:
        raise VerificationError("it has no entry of a transparency log")
    what = "the log entry"
    members = Object(loads(annotation.encode(), what), what, frozenset({"SignedEntryTimestamp", "Payload"}))
    known = frozenset({"body", "integratedTime", "logIndex", "logID"})
    payload = Object(members.get("Payload"), what, known)
    number = payload.text("logID")
    if not _HEX.fullmatch(number):
        raise VerificationError(f"the number of the log is malformed: {quoted(number)}")
    promise = decoded(members.text("SignedEntryTimestamp"), "the promise of the log")
    return {
        "logIndex": str(payload.count("logIndex")),
        "logId": {"keyId": _base64(bytes.fromhex(number))},
        "kindVersion": {"kind": "hashedrekord", "version": "0.0.1"},
        "integratedTime": str(payload.count("integratedTime")),
        "inclusionPromise": {"signedEntryTimestamp": _base64(promise)},
        "inclusionProof": _NO_PROOF,
        "canonicalizedBody": _base64(decoded(payload.text("body"), "the body of the log entry")),
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
