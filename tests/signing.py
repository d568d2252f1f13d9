"""Signatures of images, good or forged, in both forms of cosign."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.policy import Candidate
from tests.authority import Leaf, Log, PrivateKey, b64, record_of_envelope, record_of_payload, sign
from tests.images import Blob, Built, cosign_tag, tar

SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_PREDICATE = "https://sigstore.dev/cosign/sign/v1"
_NAME = "dev.cosignproject.cosign/signature"


def public_pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def payload(digest: str, kind: str = "cosign container image signature") -> bytes:
    """Return a simple signing payload."""
    image = {"docker-manifest-digest": digest}
    return json.dumps({"critical": {"identity": {"docker-reference": "x"}, "image": image, "type": kind}}).encode()


def statement(*digests: str, predicate: str = _PREDICATE) -> bytes:
    """Return an in-toto statement."""
    subjects = [{"name": "x", "digest": dict([digest.split(":")])} for digest in digests]
    document = {"_type": "https://in-toto.io/Statement/v1", "subject": subjects, "predicateType": predicate}
    return json.dumps({**document, "predicate": {}}).encode()


def envelope(content: bytes, key: PrivateKey, kind: str = "application/vnd.in-toto+json") -> dict[str, Any]:
    """Return a signed DSSE envelope."""
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(content), content)
    return {"payload": b64(content), "payloadType": kind, "signatures": [{"sig": b64(sign(key, message))}]}


@dataclass(frozen=True)
class Signatures:
    """A manifest with signatures, and its blobs."""

    built: Built

    @property
    def candidate(self) -> Candidate:
        return Candidate(Digest.parse(self.built.digest), self.built.raw)

    @property
    def digests(self) -> set[str]:
        return {blob.digest for blob in self.built.blobs}

    def read(self, descriptor: Descriptor) -> bytes:
        return next(blob.content for blob in self.built.blobs if blob.digest == str(descriptor.digest))


def by_key(content: bytes, key: PrivateKey, **annotations: str) -> Blob:
    """Return a signature in the older form."""
    return Blob(content, SIMPLE, extra={"annotations": {_NAME: b64(sign(key, content)), **annotations}})


def by_certificate(content: bytes, leaf: Leaf, log: Log, **changes: Any) -> Blob:
    """Return a signature by a certificate in the older form; ``changes`` are those of the log entry."""
    value = sign(leaf.key, content)
    entry = log.annotation(record_of_payload(content, value, leaf.pem), **changes)
    return annotated(content, value, leaf, entry)


def annotated(content: bytes, value: bytes, leaf: Leaf, entry: Mapping[str, Any] | None) -> Blob:
    """Return a signature in the older form with its certificate and log entry."""
    annotations = {_NAME: b64(value), "dev.sigstore.cosign/certificate": leaf.pem}
    if entry is not None:
        annotations["dev.sigstore.cosign/bundle"] = json.dumps(entry)
    return Blob(content, SIMPLE, extra={"annotations": annotations})


def bundle_by_key(signed: Mapping[str, Any]) -> dict[str, Any]:
    """Return a bundle with an envelope that was signed by a key."""
    return {"mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": "x"}}, "dsseEnvelope": dict(signed)}


def bundle_by_certificate(signed: Mapping[str, Any], leaf: Leaf, log: Log, **changes: Any) -> dict[str, Any]:
    """Return a bundle with an envelope that was signed by the key of a certificate."""
    entry = log.entry(record_of_envelope(signed, leaf.pem), "dsse", **changes)
    material = {"certificate": {"rawBytes": b64(leaf.der)}, "tlogEntries": [entry]}
    return {"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": dict(signed)}


def bundled(bundle: Mapping[str, Any] | bytes) -> Blob:
    return Blob(bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode(), BUNDLE)


def manifest(*layers: Blob, subject: Built | None = None) -> Signatures:
    """Return a manifest with signatures: for bundles a referrer of an image, else what the tag for signatures has."""
    is_bundle = layers[0].media_type == BUNDLE
    config = Blob(
        b"{}", "application/vnd.oci.empty.v1+json" if is_bundle else "application/vnd.oci.image.config.v1+json"
    )
    document = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        **({"artifactType": BUNDLE} if is_bundle else {}),
        "config": config.descriptor,
        "layers": [layer.descriptor for layer in layers],
        **({"subject": _bare(subject)} if subject and is_bundle else {}),
    }
    return Signatures(Built(json.dumps(document).encode(), _MANIFEST, (config, *layers)))


def archived(image: Built, *several: Signatures, name: str = "docker.io/library/x:1") -> bytes:
    """Return a tar with an OCI image layout that has an image or index and signatures of it."""
    entries = [{**_bare(image), "annotations": {"io.containerd.image.name": name}}]
    for each in several:
        tag = {} if b'"subject"' in each.built.raw else {"annotations": {"io.github.imgfetch.tag": cosign_tag(image)}}
        entries.append({**_bare(each.built), **tag})
    members = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    members["index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    for built in (image, *image.children, *(each.built for each in several)):
        contents = {built.digest: built.raw} | {blob.digest: blob.content for blob in built.blobs}
        members |= {f"blobs/{digest.replace(':', '/')}": content for digest, content in contents.items()}
    return tar(members)


def _bare(built: Built) -> dict[str, Any]:
    return {key: value for key, value in built.entry.items() if key != "platform"}
