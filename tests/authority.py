"""An authority of the tests' own for signatures without keys: certificates, a log of them, and a transparency log.

It is what Fulcio, its log of certificates, and Rekor are, without any network: a certificate names an identity and the
issuer that checked it, and has a signed timestamp of the log of certificates; an entry in the transparency log has a
signed promise, a proof of inclusion and a signed checkpoint.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

IDENTITY = "builder@project.example"
ISSUER = "https://accounts.example"
SIGNED = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
"""The time at which signatures are made."""

_YEARS = timedelta(days=20 * 365)
_MINUTES = timedelta(minutes=10)
_SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_FULCIO_ISSUER = "1.3.6.1.4.1.57264.1.1"
_FULCIO_ISSUER_V2 = "1.3.6.1.4.1.57264.1.8"

PrivateKey = ec.EllipticCurvePrivateKey


def new_key(curve: type[ec.EllipticCurve] = ec.SECP256R1) -> PrivateKey:
    return ec.generate_private_key(curve())


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def spki(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def sign(key: PrivateKey, content: bytes, algorithm: hashes.HashAlgorithm | None = None) -> bytes:
    return key.sign(content, ec.ECDSA(algorithm or hashes.SHA256()))


@dataclass(frozen=True)
class Leaf:
    """A certificate with its key."""

    key: PrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


@dataclass(frozen=True)
class Log:
    """A log: of certificates, or a transparency log."""

    url: str
    key: PrivateKey = field(default_factory=new_key)

    @property
    def id(self) -> bytes:
        return hashlib.sha256(spki(self.key)).digest()

    @property
    def description(self) -> dict[str, Any]:
        """Its part of a trusted root."""
        return {
            "baseUrl": self.url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": b64(spki(self.key)),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": {"start": "2020-01-01T00:00:00Z"},
            },
            "logId": {"keyId": b64(self.id)},
        }

    def promise(self, body: bytes, time: datetime, index: int) -> bytes:
        """Return the signed promise to include an entry."""
        entry = {"body": b64(body), "integratedTime": int(time.timestamp()), "logID": self.id.hex(), "logIndex": index}
        return sign(self.key, canonical(entry))

    def proof(self, body: bytes, tree: str = " - 1193050959916656506") -> dict[str, Any]:
        """Return a proof of inclusion in a log of two entries, of which this is the second, with a checkpoint."""
        other = hashlib.sha256(b"\0another entry").digest()
        root = hashlib.sha256(b"\1" + other + hashlib.sha256(b"\0" + body).digest()).digest()
        origin = self.url.removeprefix("https://")
        note = f"{origin}{tree}\n2\n{b64(root)}\n"  # the number of a tree is in those of Rekor 1
        signature = b64(self.id[:4] + sign(self.key, note.encode()))
        return {
            "logIndex": "1",
            "treeSize": "2",
            "rootHash": b64(root),
            "hashes": [b64(other)],
            "checkpoint": {"envelope": f"{note}\n\u2014 {origin} {signature}\n"},
        }

    def entry(self, body: bytes, kind: str, time: datetime = SIGNED) -> dict[str, Any]:
        """Return an entry as bundles have it."""
        return {
            "logIndex": "1",
            "logId": {"keyId": b64(self.id)},
            "kindVersion": {"kind": kind, "version": "0.0.1"},
            "integratedTime": str(int(time.timestamp())),
            "inclusionPromise": {"signedEntryTimestamp": b64(self.promise(body, time, 1))},
            "inclusionProof": self.proof(body),
            "canonicalizedBody": b64(body),
        }

    def annotation(self, body: bytes, time: datetime = SIGNED) -> dict[str, Any]:
        """Return an entry as annotations have it."""
        payload = {"body": b64(body), "integratedTime": int(time.timestamp()), "logIndex": 1, "logID": self.id.hex()}
        return {"SignedEntryTimestamp": b64(self.promise(body, time, 1)), "Payload": payload}


def record_of_payload(payload: bytes, signature: bytes, pem: str) -> bytes:
    """Return the body of a log entry for a signature of a payload."""
    return canonical(
        {
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()}},
                "signature": {"content": b64(signature), "publicKey": {"content": b64(pem.encode())}},
            },
        }
    )


def record_of_envelope(envelope: Mapping[str, Any], pem: str) -> bytes:
    """Return the body of a log entry for an envelope."""
    payload = base64.b64decode(envelope["payload"])
    signatures = [{"signature": each["sig"], "verifier": b64(pem.encode())} for each in envelope["signatures"]]
    return canonical(
        {
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(canonical(envelope)).hexdigest()},
                "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
                "signatures": signatures,
            },
        }
    )


class Authority:
    """A certificate authority with an intermediate one and two logs."""

    def __init__(self) -> None:
        self._root_key, self._key = new_key(), new_key()
        self.root = certificate_authority("root.example", self._root_key, "root.example", self._root_key, 1)
        self.intermediate = certificate_authority("intermediate.example", self._key, "root.example", self._root_key, 0)
        self.certificate_log = Log("https://ct.example")
        self.log = Log("https://rekor.example")

    def trusted_root(self, **changes: object) -> bytes:
        """Return the trusted root in JSON, with some members replaced."""
        chain = [{"rawBytes": b64(each.public_bytes(Encoding.DER))} for each in (self.intermediate, self.root)]
        authority = {
            "subject": {"organization": "example", "commonName": "intermediate.example"},
            "uri": "https://fulcio.example",
            "certChain": {"certificates": chain},
            "validFor": {"start": "2020-01-01T00:00:00Z"},
        }
        document = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self.log.description],
            "certificateAuthorities": [authority],
            "ctlogs": [self.certificate_log.description],
            "timestampAuthorities": [],
        }
        return json.dumps(document | changes, indent=1).encode()

    def leaf(
        self,
        identity: str = IDENTITY,
        issuer: str = ISSUER,
        *,
        key: PrivateKey | None = None,
        start: datetime = SIGNED - timedelta(seconds=5),
        log: Log | None = None,
        has_timestamp: bool = True,
        usage: x509.ObjectIdentifier = x509.ExtendedKeyUsageOID.CODE_SIGNING,
    ) -> Leaf:
        """Return a certificate of ten minutes, with a timestamp of the log of certificates."""
        key = key or new_key()
        name = x509.UniformResourceIdentifier(identity) if "://" in identity else x509.RFC822Name(identity)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.intermediate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + _MINUTES)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
            .add_extension(_unknown(_FULCIO_ISSUER, issuer.encode()), critical=False)
            .add_extension(_unknown(_FULCIO_ISSUER_V2, asn1.encode_der(issuer)), critical=False)
        )
        if has_timestamp:
            body = builder.sign(self._key, hashes.SHA256()).tbs_certificate_bytes
            timestamps = self._timestamps(log or self.certificate_log, body, start)
            builder = builder.add_extension(x509.UnrecognizedExtension(_SCT_LIST, timestamps), critical=False)
        return Leaf(key, builder.sign(self._key, hashes.SHA256()))

    def _timestamps(self, log: Log, body: bytes, time: datetime) -> bytes:
        """Return the list with a signed timestamp of a certificate (RFC 6962, 3.2 and 3.3)."""
        milliseconds = int(time.timestamp()) * 1000
        entry = hashlib.sha256(spki(self._key)).digest() + len(body).to_bytes(3, "big") + body
        signature = sign(log.key, struct.pack("!BBQH", 0, 0, milliseconds, 1) + entry + b"\0\0")
        timestamp = struct.pack("!B32sQHBBH", 0, log.id, milliseconds, 0, 4, 3, len(signature)) + signature
        content = struct.pack("!HH", len(timestamp) + 2, len(timestamp)) + timestamp
        return asn1.encode_der(content)


def certificate_authority(
    name: str,
    key: PrivateKey,
    issuer: str,
    issuer_key: PrivateKey,
    length: int,
    *,
    usage: x509.ObjectIdentifier = x509.ExtendedKeyUsageOID.CODE_SIGNING,
) -> x509.Certificate:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    issuer_public = issuer_key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name_of(name))
        .issuer_name(name_of(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def name_of(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _usage(**given: bool) -> x509.KeyUsage:
    names = "digital_signature content_commitment key_encipherment data_encipherment key_agreement"
    names += " key_cert_sign crl_sign encipher_only decipher_only"
    return x509.KeyUsage(**{name: given.get(name, False) for name in names.split()})


def _unknown(oid: str, value: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
