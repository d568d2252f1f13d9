"""Signatures as cosign stores them.

In the older form, a manifest with the tag ``sha256-<hex>.sig`` has a layer for each signature: the layer is the signed
payload, and its annotations are the signature and, if a certificate was used, the certificate and the log entry.  In
the newer form, a referrer of the image has a sigstore bundle: a DSSE envelope with an in-toto statement
(secure-systems-lab/dsse ``protocol.md``, sigstore/protobuf-specs ``sigstore_bundle.proto``).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from imgfetch.errors import VerificationError
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.policy import Candidate, Read
from imgfetch.oci.referrers import is_by_notation
from imgfetch.oci.strictjson import Object, loads, unknown_keys
from imgfetch.text import counted, quoted

MAX_SIGNATURES = 1000
"""Signatures of one image that are examined."""
MAX_SIGNATURE = 4 * 1024 * 1024
"""Bytes of a payload or a bundle."""

SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
_BUNDLE = "application/vnd.dev.sigstore.bundle"
STATEMENT = "application/vnd.in-toto+json"
"""The type of a payload in an envelope."""

_MANIFEST = frozenset({"schemaVersion", "mediaType", "artifactType", "config", "layers", "subject", "annotations"})
_SIGNATURE = "dev.cosignproject.cosign/signature"
_BUNDLES = (*(f"{_BUNDLE}+json;version=0.{minor}" for minor in (1, 2, 3)), f"{_BUNDLE}.v0.3+json")
_SIGNERS = frozenset({"publicKey", "certificate", "x509CertificateChain"})
_TOP = frozenset({"mediaType", "verificationMaterial", "dsseEnvelope"})
_MATERIAL = _SIGNERS | {"tlogEntries", "timestampVerificationData"}
"""The members of a bundle about the signer, of which it has one, and about the time."""


@dataclass(frozen=True)
class Signature:
    """A signature that nothing has verified yet.

    Attributes:
        digest: the digest of the blob that has it.
        payload: the claim: a simple signing payload, or a statement.
        message: the signed bytes.
        value: the signature itself.
        annotations: those of the layer, in the older form.
        bundle: the blob, in the newer form.
        has_certificate: whether the bundle says that the signer has a certificate.
    """

    digest: Digest
    payload: bytes
    message: bytes
    value: bytes
    annotations: Mapping[str, str] = field(default_factory=dict)
    bundle: bytes | None = None
    has_certificate: bool = False


class Found(NamedTuple):
    """The signatures of a candidate, and a sentence for each layer that is none, or for all of it."""

    signatures: list[Signature]
    faults: list[str]


def find(candidate: Candidate, read: Read) -> Found:
    """Return the signatures in a manifest."""
    found = Found([], [])
    try:
        layers = _layers(candidate)
    except VerificationError as error:
        return Found([], [f"{candidate.digest}: {error}"])
    for layer in layers:
        try:
            found.signatures.append(_signature(layer, _content(layer, read)))
        except VerificationError as error:
            found.faults.append(f"{layer.digest}: {error}")
    return found


def decoded(text: str, what: str) -> bytes:
    """Decode base64 as every writer encodes it; ``what`` is its name in messages.

    Raises:
        VerificationError: the text is empty or malformed, or has another spelling.
    """
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if not text:
        raise VerificationError(f"{what} is missing")
    if base64.b64encode(content).decode() != text:
        raise VerificationError(f"{what} is not valid base64")
    return content


def _layers(candidate: Candidate) -> list[Descriptor]:
    """Return the layers of a manifest that are signatures."""
    members = Object(loads(candidate.raw, "the manifest"), "the manifest", _MANIFEST)
    layers = members.items_of("layers")
    if len(layers) > MAX_SIGNATURES:
        raise VerificationError(f"the manifest has {counted(len(layers), 'layer')}, more than {MAX_SIGNATURES}")
    descriptors = [Descriptor.from_json(layer, f"layer {number}") for number, layer in enumerate(layers, 1)]
    signatures = [each for each in descriptors if each.media_type == SIMPLE or each.media_type.startswith(_BUNDLE)]
    if not signatures:
        kind = members.text("artifactType") or (descriptors[0].media_type if descriptors else "no layers")
        if is_by_notation(kind):
            raise VerificationError(
                "it is by notation, whose signatures imgfetch carries, but does not verify; use notation verify"
            )
        raise VerificationError(f"the manifest is not a cosign signature (it has {quoted(kind)})")
    return signatures


def _content(layer: Descriptor, read: Read) -> bytes:
    """Return a layer's content, verified."""
    if layer.size > MAX_SIGNATURE:
        raise VerificationError(f"it is larger than {MAX_SIGNATURE} bytes")
    content = read(layer)
    if (got := Digest.of(content, layer.digest.algorithm)) != layer.digest:
        raise VerificationError("it has another digest", wanted=str(layer.digest), got=str(got))
    return content


def _signature(layer: Descriptor, content: bytes) -> Signature:
    if layer.media_type == SIMPLE:
        value = decoded(layer.annotations.get(_SIGNATURE, ""), f"the annotation {_SIGNATURE}")
        return Signature(layer.digest, content, content, value, layer.annotations)
    return _bundled(layer, content)


def _bundled(layer: Descriptor, content: bytes) -> Signature:
    document = loads(content, "the bundle")
    if "dsseEnvelope" not in Object(document, "the bundle"):
        raise VerificationError("the bundle has no DSSE envelope, so it names no image")
    members = _strict(document, "the bundle", _TOP)
    if (kind := members.text("mediaType")) not in _BUNDLES:
        raise VerificationError(f"the bundle has the type {quoted(kind)}, which is not known")
    has_certificate = _has_certificate(members.get("verificationMaterial"))
    envelope = _strict(members["dsseEnvelope"], "the envelope", frozenset({"payload", "payloadType", "signatures"}))
    signatures = envelope.items_of("signatures")
    if len(signatures) != 1:
        raise VerificationError("the envelope is malformed", wanted="one signature", got=str(len(signatures)))
    if (kind := envelope.text("payloadType")) != STATEMENT:
        raise VerificationError(f"the payload has the type {quoted(kind)}, not {STATEMENT}")
    payload = decoded(envelope.text("payload"), "the payload")
    signature = _strict(signatures[0], "the signature", frozenset({"sig", "keyid"}))
    if name := signature.text("keyid"):
        raise VerificationError(f"the envelope names the key {quoted(name)}, as no signature by cosign does")
    value = decoded(signature.text("sig"), "the signature")
    return Signature(layer.digest, payload, _encoded(kind, payload), value, {}, content, has_certificate)


def _has_certificate(material: object) -> bool:
    """Return whether a bundle names its signer by a certificate, and not by a public key."""
    members = _strict(material, "the verification material", _MATERIAL)
    if len(_SIGNERS & members.keys()) != 1:
        raise VerificationError("the bundle must name one signer")
    if "publicKey" not in members:
        return True
    _strict(members["publicKey"], "the public key", frozenset({"hint"})).text("hint")
    members.items_of("tlogEntries")
    times = members.members_of("timestampVerificationData")
    _strict(times, "the timestamps", frozenset({"rfc3161Timestamps"})).items_of("rfc3161Timestamps")
    return False


def _strict(value: object, what: str, known: frozenset[str]) -> Object:
    """Return an object without unknown members, which no reader of bundles accepts."""
    members = Object(value, what, known)
    for fault in unknown_keys(members, known):
        raise VerificationError(fault)
    return members


def _encoded(kind: str, payload: bytes) -> bytes:
    """Return the bytes that the signature of an envelope covers: its pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
