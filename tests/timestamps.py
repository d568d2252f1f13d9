"""A timestamp authority of the tests' own, by openssl, and bundles whose time is by it, as with Rekor 2."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.authority import Authority, Leaf, b64, canonical, certificate_authority, name_of, new_key
from tests.signing import BUNDLE, envelope, statement
from tests.tools import tool

_SETTINGS = """
[tsa]
default_tsa = own
[own]
serial = {directory}/serial
default_policy = 1.2.3.4.1
digests = sha256
signer_digest = sha256
ess_cert_id_alg = sha256
"""


class TimestampAuthority:
    """Signs times; its files are in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        root_key, key = new_key(), new_key()
        name, purpose = "time-root.example", x509.ExtendedKeyUsageOID.TIME_STAMPING
        self._root = certificate_authority(name, root_key, name, root_key, 0, usage=purpose)
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(name_of("time.example")).issuer_name(self._root.subject)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        self._certificate = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True).sign(
            root_key, hashes.SHA256()
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (directory / "key.pem").write_bytes(private)
        (directory / "certificate.pem").write_bytes(self._certificate.public_bytes(Encoding.PEM))
        (directory / "serial").write_text("01\n")
        (directory / "settings").write_text(_SETTINGS.format(directory=directory))

    @property
    def description(self) -> dict[str, Any]:
        """Its part of a trusted root."""
        chain = [{"rawBytes": b64(each.public_bytes(Encoding.DER))} for each in (self._certificate, self._root)]
        return {
            "subject": {"organization": "example", "commonName": "time.example"},
            "uri": "https://time.example",
            "certChain": {"certificates": chain},
            "validFor": {"start": "2020-01-01T00:00:00Z"},
        }

    def response(self, content: bytes) -> bytes:
        """Return the signed time at which it saw content, which is now."""
        query, reply = self._directory / "query", self._directory / "reply"
        self._openssl("-query", "-digest", hashlib.sha256(content).hexdigest(), "-sha256", "-cert", "-out", query)
        signer = ("-inkey", self._directory / "key.pem", "-signer", self._directory / "certificate.pem")
        self._openssl("-reply", "-config", self._directory / "settings", "-queryfile", query, *signer, "-out", reply)
        return reply.read_bytes()

    def _openssl(self, *words: str | Path) -> None:
        subprocess.run([tool("openssl"), "ts", *map(str, words)], check=True, capture_output=True, timeout=60)


def timed_bundle(
    authority: Authority, times: TimestampAuthority, digest: str, leaf: Leaf | None = None
) -> dict[str, Any]:
    """Return a bundle with an entry of the second version of Rekor, which has no time of its own."""
    leaf = leaf or authority.leaf(start=datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1))
    signed = envelope(statement(digest), leaf.key)
    body = _record(signed, leaf)
    entry = {
        "logIndex": "1",
        "logId": {"keyId": b64(authority.log.id)},
        "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
        "inclusionProof": authority.log.proof(body, tree=""),
        "canonicalizedBody": b64(body),
    }
    response = times.response(_decoded(signed["signatures"][0]["sig"]))
    material = {
        "certificate": {"rawBytes": b64(leaf.der)},
        "tlogEntries": [entry],
        "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": b64(response)}]},
    }
    return {"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": signed}


def _record(signed: Mapping[str, Any], leaf: Leaf) -> bytes:
    """Return the body of a log entry for an envelope."""
    kind, payload = signed["payloadType"].encode(), _decoded(signed["payload"])
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    verifier = {"keyDetails": "PKIX_ECDSA_P256_SHA_256", "x509Certificate": {"rawBytes": b64(leaf.der)}}
    data = {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(message).digest())}
    signature = {"content": signed["signatures"][0]["sig"], "verifier": verifier}
    spec = {"hashedRekordV002": {"data": data, "signature": signature}}
    return canonical({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": spec})


def _decoded(text: str) -> bytes:
    return base64.b64decode(text)
