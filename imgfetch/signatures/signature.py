"""Signatures as cosign stores them.

In the older form, a manifest with the tag ``sha256-<hex>.sig`` has a layer for each signature: the layer is the signed
payload, and its annotations are the signature and, if a certificate was used, the certificate and the log entry.  In
the newer form, a referrer of the image has a sigstore bundle: a DSSE envelope with an in-toto statement
(secure-systems-lab/dsse ``protocol.md``, sigstore/protobuf-specs ``sigstore_bundle.proto``).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from imgfetch.errors import VerificationError
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.policy import Candidate, Read
from imgfetch.oci.strictjson import Object, loads
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
    """

    digest: Digest
    payload: bytes
    message: bytes
    value: bytes
    annotations: Mapping[str, str] = field(default_factory=dict)
    bundle: bytes | None = None


class Found(NamedTuple):
    """The signatures of some candidates, and a sentence for each candidate or layer that is none."""

    signatures: list[Signature]
    faults: list[str]


def find(candidates: Iterable[Candidate], read: Read) -> Found:
    """Return the signatures in some manifests.

    Raises:
        VerificationError: there are too many.
    """
    found = Found([], [])
    for candidate in candidates:
        try:
            layers = _layers(candidate)
        except VerificationError as error:
            found.faults.append(f"{candidate.digest}: {error}")
            continue
        if len(found.signatures) + len(found.faults) + len(layers) > MAX_SIGNATURES:
            raise VerificationError("too many signatures", wanted=f"at most {MAX_SIGNATURES}", got="more")
        for layer in layers:
            try:
                found.signatures.append(_signature(layer, _content(layer, read)))
            except VerificationError as error:
                found.faults.append(f"{layer.digest}: {error}")
    return found


def decoded(text: str, what: str) -> bytes:
    """Decode base64; ``what`` is its name in messages.

    Raises:
        VerificationError: the text is empty or malformed.
    """
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise VerificationError(f"{what} is not valid base64") from None
    if not content:
        raise VerificationError(f"{what} is missing")
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
    members = Object(loads(content, "the bundle"), "the bundle", frozenset({"mediaType", "dsseEnvelope"}))
    if "dsseEnvelope" not in members:
        raise VerificationError("the bundle has no DSSE envelope, so it names no image")
    envelope = Object(members["dsseEnvelope"], "the envelope", frozenset({"payload", "payloadType", "signatures"}))
    signatures = envelope.items_of("signatures")
    if len(signatures) != 1:
        raise VerificationError("the envelope is malformed", wanted="one signature", got=str(len(signatures)))
    if (kind := envelope.text("payloadType")) != STATEMENT:
        raise VerificationError(f"the payload has the type {quoted(kind)}, not {STATEMENT}")
    payload = decoded(envelope.text("payload"), "the payload")
    text = Object(signatures[0], "the signature", frozenset({"sig"})).text("sig")
    return Signature(layer.digest, payload, _encoded(kind, payload), decoded(text, "the signature"), bundle=content)


def _encoded(kind: str, payload: bytes) -> bytes:
    """Return the bytes that the signature of an envelope covers: its pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
