"""Good signatures of an image, and forged ones with the reason for which each is refused.

Unit tests give them to the policy; tests end to end push them to a registry, and give them to `save`, to `verify` and
to cosign, which must agree.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cryptography import x509

from tests.authority import (
    IDENTITY,
    ISSUER,
    SIGNED,
    Authority,
    Leaf,
    Log,
    PrivateKey,
    b64,
    new_key,
    record_of_payload,
    sign,
)
from tests.images import Blob, Built, hello, image
from tests.signing import (
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
    statement,
)

SBOM = "https://spdx.dev/Document"


@dataclass(frozen=True)
class World:
    """An image, and those who may sign it.

    Attributes:
        digest: that of the image.
        other: that of another image.
        key: the key that must have signed.
        authority: the trusted one, for signatures by certificates.
    """

    digest: str
    other: str
    key: PrivateKey = field(default_factory=new_key)
    authority: Authority = field(default_factory=Authority)

    @property
    def log(self) -> Log:
        return self.authority.log


@dataclass(frozen=True)
class Case:
    """Signatures of an image.

    Attributes:
        name: says what they are.
        make: returns them; bundles name the subject if there is one.
        is_keyed: they are by a key, not by a certificate.
        reason: part of the message, or empty if they are good.
        accepted_by_cosign: cosign accepts them although imgfetch refuses them, which needs a reason in the design.
    """

    name: str
    make: Callable[[World, Built | None], Signatures]
    is_keyed: bool = True
    reason: str = ""
    accepted_by_cosign: bool = False


def _keyed(name: str, make: Callable[[World], Blob], reason: str = "", **more: bool) -> Case:
    return Case(name, lambda world, subject: manifest(make(world), subject=subject), reason=reason, **more)


def _keyless(name: str, make: Callable[[World], Blob], reason: str = "", **more: bool) -> Case:
    return Case(
        name, lambda world, subject: manifest(make(world), subject=subject), is_keyed=False, reason=reason, **more
    )


def _by_key(world: World, content: bytes) -> Blob:
    return by_key(content, world.key)


def _bundle(world: World, content: bytes, **options: Any) -> Blob:
    return bundled(bundle_by_key(envelope(content, world.key, **options)))


def _by_leaf(world: World, leaf: Leaf | None = None, log: Log | None = None, **changes: Any) -> Blob:
    return by_certificate(payload(world.digest), leaf or world.authority.leaf(), log or world.log, **changes)


def _bundle_by_leaf(world: World, leaf: Leaf | None = None, log: Log | None = None, **changes: Any) -> dict[str, Any]:
    leaf = leaf or world.authority.leaf()
    return bundle_by_certificate(envelope(statement(world.digest), leaf.key), leaf, log or world.log, **changes)


def _changed(bundle: dict[str, Any], *names: str | int, **changes: Any) -> Blob:
    """Return a bundle with members of one of its objects, at a path of names, replaced or added."""
    members: Any = bundle
    for name in names:
        members = members[name]
    members.update(changes)
    return bundled(bundle)


def _keyed_bundle(world: World) -> dict[str, Any]:
    return bundle_by_key(envelope(statement(world.digest), world.key))


def _spaced(text: str) -> str:
    """Return base64 with a space in it, which some readers skip."""
    return f"{text[:4]} {text[4:]}"


def _odd_proof(world: World) -> Blob:
    """Return a bundle whose log entry has base64 in an unusual spelling."""
    bundle = _bundle_by_leaf(world)
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    return _changed(
        bundle, "verificationMaterial", "tlogEntries", 0, canonicalizedBody=_spaced(entry["canonicalizedBody"])
    )


def _odd_checkpoint(world: World) -> Blob:
    bundle = _bundle_by_leaf(world)
    proof = bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]
    note, _, signature = proof["checkpoint"]["envelope"].rpartition(" ")
    proof["checkpoint"]["envelope"] = f"{note} {signature[:8]}-{signature[8:]}"
    return bundled(bundle)


def _odd_entry(world: World, change: Callable[[dict[str, Any]], object]) -> Blob:
    """Return a signature whose log entry is changed after it was signed."""
    leaf, content = world.authority.leaf(), payload(world.digest)
    value = sign(leaf.key, content)
    entry = world.log.annotation(record_of_payload(content, value, leaf.pem))
    change(entry)
    return annotated(content, value, leaf, entry)


def _odd_padding(world: World) -> Blob:
    """Return a signature whose base64 ends with bits that stand for nothing."""
    blob = _by_leaf(world)
    while not (text := blob.extra["annotations"]["dev.cosignproject.cosign/signature"]).endswith("="):
        blob = _by_leaf(world)
    last = len(text.rstrip("=")) - 1
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    odd = letters[letters.index(text[last]) + 1]
    blob.extra["annotations"]["dev.cosignproject.cosign/signature"] = text[:last] + odd + text[last + 1 :]
    return blob


def _swapped_payload(world: World) -> Blob:
    good = by_key(payload(world.other), world.key)
    return Blob(payload(world.digest), good.media_type, extra=good.extra)


def _altered_signature(world: World) -> Blob:
    content = payload(world.digest)
    value = bytearray(sign(world.key, content))
    value[-1] ^= 1
    return Blob(content, by_key(content, world.key).media_type, extra=_named(bytes(value)))


def _named(value: bytes) -> dict[str, Any]:
    return {"annotations": {"dev.cosignproject.cosign/signature": b64(value)}}


def _twice(world: World) -> bytes:
    """Return a payload with two digests, of which readers take one or the other."""
    first, second = (f'"docker-manifest-digest":"{digest}"' for digest in (world.digest, world.other))
    kind = '"type":"cosign container image signature"'
    return f'{{"critical":{{"identity":{{}},"image":{{{first},{second}}},{kind}}}}}'.encode()


def _swapped_statement(world: World) -> Blob:
    bundle = bundle_by_key(envelope(statement(world.other), world.key))
    bundle["dsseEnvelope"]["payload"] = b64(statement(world.digest))
    return bundled(bundle)


def _stripped(world: World) -> Blob:
    leaf, content = world.authority.leaf(), payload(world.digest)
    return annotated(content, sign(leaf.key, content), leaf, None)


def _stripped_bundle(world: World) -> Blob:
    bundle = _bundle_by_leaf(world)
    bundle["verificationMaterial"]["tlogEntries"] = []
    return bundled(bundle)


def _entry_of_another(world: World) -> Blob:
    """Return a signature with the log entry of another signature."""
    leaf, content, other = world.authority.leaf(), payload(world.digest), payload(world.other)
    entry = world.log.annotation(record_of_payload(other, sign(leaf.key, other), leaf.pem))
    return annotated(content, sign(leaf.key, content), leaf, entry)


def _later_time(world: World) -> Blob:
    """Return a signature whose log entry has another time than the log has signed."""
    leaf = world.authority.leaf(start=SIGNED + timedelta(days=1))
    content = payload(world.digest)
    value = sign(leaf.key, content)
    entry = world.log.annotation(record_of_payload(content, value, leaf.pem))
    entry["Payload"]["integratedTime"] += 24 * 3600
    return annotated(content, value, leaf, entry)


def _without_promise(world: World) -> Blob:
    bundle = _bundle_by_leaf(world)
    del bundle["verificationMaterial"]["tlogEntries"][0]["inclusionPromise"]
    return bundled(bundle)


def _wrong_proof(world: World) -> Blob:
    bundle = _bundle_by_leaf(world)
    bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["hashes"] = [b64(bytes(32))]
    return bundled(bundle)


def _other_image(world: World) -> Blob:
    return by_certificate(payload(world.other), world.authority.leaf(), world.log)


def _swapped_by_leaf(world: World) -> Blob:
    good = _other_image(world)
    return Blob(payload(world.digest), good.media_type, extra=good.extra)


def _bundle_of_other_image(world: World) -> Blob:
    leaf = world.authority.leaf()
    return bundled(bundle_by_certificate(envelope(statement(world.other), leaf.key), leaf, world.log))


def _swapped_statement_by_leaf(world: World) -> Blob:
    leaf = world.authority.leaf()
    signed = envelope(statement(world.other), leaf.key)
    signed["payload"] = b64(statement(world.digest))
    return bundled(bundle_by_certificate(signed, leaf, world.log))


def _other_identity(world: World, identity: str = "attacker@project.example", issuer: str = ISSUER) -> Leaf:
    return world.authority.leaf(identity, issuer)


def _expired(world: World) -> Leaf:
    return world.authority.leaf(start=SIGNED - timedelta(hours=1))


def _image(world: World, _: Built | None) -> Signatures:
    """Return an image whose layer has a good signature of its own among its annotations."""
    layer = hello("planted")
    return Signatures(
        image(Blob(layer.content, layer.media_type, layer.diff_id, _named(sign(world.key, layer.content))))
    )


GOOD = (
    _keyed("by the key", lambda world: _by_key(world, payload(world.digest))),
    _keyed("a bundle by the key", lambda world: _bundle(world, statement(world.digest))),
    _keyless("by the identity", _by_leaf),
    _keyless("a bundle by the identity", lambda world: bundled(_bundle_by_leaf(world))),
    Case(
        "by the key, beside one by another",
        lambda world, _: manifest(by_key(payload(world.digest), new_key()), by_key(payload(world.digest), world.key)),
    ),
    _keyed(
        "a bundle with the hint of a key",
        lambda w: _changed(_keyed_bundle(w), "verificationMaterial", "publicKey", hint=""),
    ),
    _keyed("a bundle with white space", lambda w: bundled(json.dumps(_keyed_bundle(w), indent=1).encode())),
    _keyless(
        "a bundle with white space, by the identity",
        lambda w: bundled(json.dumps(_bundle_by_leaf(w), indent=1).encode()),
    ),
    _keyless("with unknown members of the log entry", lambda w: _odd_entry(w, lambda entry: entry.update(x=1))),
)
FORGED = (
    _keyed("for another image", lambda world: _by_key(world, payload(world.other)), "for another image"),
    _keyed("by another key", lambda world: by_key(payload(world.digest), new_key()), "not by key"),
    _keyed("with a swapped payload", _swapped_payload, "not by key"),
    _keyed("with an altered signature", _altered_signature, "not by key"),
    _keyed("with two digests in the payload", lambda world: _by_key(world, _twice(world)), "occurs twice"),
    _keyed(
        "of another kind of payload",
        lambda world: _by_key(world, payload(world.digest, "release notes")),
        "the type 'release notes'",
        accepted_by_cosign=True,
    ),
    _keyed(
        "with a huge payload",
        lambda world: _by_key(world, payload(world.digest) + b" " * 5 * 2**20),
        "larger than",
        accepted_by_cosign=True,
    ),
    Case("of an image instead of a signature", _image, reason="not a cosign signature"),
    _keyed("a bundle for another image", lambda world: _bundle(world, statement(world.other)), "for another image"),
    _keyed(
        "a bundle by another key", lambda w: bundled(bundle_by_key(envelope(statement(w.digest), new_key()))), "not by"
    ),
    _keyed("a bundle with a swapped statement", _swapped_statement, "not by key"),
    _keyed(
        "a bundle with a wrong type",
        lambda world: _bundle(world, statement(world.digest), kind="text/plain"),
        "the type 'text/plain'",
    ),
    _keyed(
        "a bundle with an attestation",
        lambda world: _bundle(world, statement(world.digest, predicate=SBOM)),
        "an attestation",
        accepted_by_cosign=True,
    ),
    _keyed("a bundle with an unknown member", lambda w: _changed(_keyed_bundle(w), x=1), "'x', which is not known"),
    _keyed(
        "a bundle with an unknown member of the envelope",
        lambda w: _changed(_keyed_bundle(w), "dsseEnvelope", x=1),
        "'x', which is not known",
    ),
    _keyed(
        "a bundle of an unknown version",
        lambda w: _changed(_keyed_bundle(w), mediaType="application/vnd.dev.sigstore.bundle.v9+json"),
        "which is not known",
    ),
    _keyed(
        "a bundle that names no signer",
        lambda w: _changed(_keyed_bundle(w), verificationMaterial={}),
        "must name one signer",
    ),
    _keyed(
        "a bundle with a malformed hint",
        lambda w: _changed(_keyed_bundle(w), "verificationMaterial", "publicKey", hint=1),
        "'hint' of the public key is malformed",
    ),
    _keyed(
        "a bundle with the name of a key",
        lambda w: _changed(_keyed_bundle(w), "dsseEnvelope", "signatures", 0, keyid="x"),
        "names the key 'x'",
    ),
    _keyed(
        "a bundle by the key with a certificate of it",
        lambda w: bundled(_bundle_by_leaf(w, w.authority.leaf(key=w.key))),
        "by a certificate, not by a key",
    ),
    _keyless("for another image, by the identity", _other_image, "for another image"),
    _keyless("with a swapped payload, by the identity", _swapped_by_leaf, "ignature is invalid"),
    _keyless("a bundle for another image, by the identity", _bundle_of_other_image, "for another image"),
    _keyless("a bundle with a swapped statement, by the identity", _swapped_statement_by_leaf, "invalid signature"),
    _keyless("by another identity", lambda world: _by_leaf(world, _other_identity(world)), "identity is wrong"),
    _keyless(
        "by another issuer",
        lambda w: _by_leaf(w, _other_identity(w, IDENTITY, "https://evil.example")),
        "issuer is wrong",
    ),
    _keyless("by another authority", lambda world: _by_leaf(world, Authority().leaf()), "certificate chain"),
    _keyless("after the certificate expired", lambda world: _by_leaf(world, _expired(world)), "certificate chain"),
    _keyless("without a log entry", _stripped, "no entry of a transparency log"),
    _keyless("recorded by another log", lambda world: _by_leaf(world, log=Log("https://rekor.example")), "SET: "),
    _keyless("with the log entry of another signature", _entry_of_another, "inconsistent"),
    _keyless("with a changed time in the log", _later_time, "SET: "),
    _keyless(
        "in no log of certificates", lambda w: _by_leaf(w, w.authority.leaf(has_timestamp=False)), "timestamp extension"
    ),
    _keyless(
        "in another log of certificates",
        lambda world: _by_leaf(world, world.authority.leaf(log=Log("https://ct.example"))),
        "SCT verify failed",
    ),
    _keyless(
        "by a certificate for servers",
        lambda world: _by_leaf(world, world.authority.leaf(usage=x509.ExtendedKeyUsageOID.SERVER_AUTH)),
        "invalid leaf",
    ),
    _keyless(
        "by a key without a certificate", lambda world: by_key(payload(world.digest), new_key()), "no certificate"
    ),
    _keyless(
        "a bundle by another identity", lambda w: bundled(_bundle_by_leaf(w, _other_identity(w))), "identity is wrong"
    ),
    _keyless("a bundle without a log entry", _stripped_bundle, "exactly one log entry"),
    _keyless(
        "a bundle after the certificate expired",
        lambda w: bundled(_bundle_by_leaf(w, _expired(w))),
        "certificate chain",
    ),
    _keyless(
        "a bundle of another log", lambda w: bundled(_bundle_by_leaf(w, log=Log("https://x.example"))), "checkpoint"
    ),
    _keyless("a bundle without a promise of the log", _without_promise, "inclusion promise"),
    _keyless("a bundle with a wrong proof of inclusion", _wrong_proof, "root hash"),
    _keyless("a bundle with odd base64", _odd_proof, "unusual spelling"),
    _keyless("a bundle with odd base64 in the checkpoint", _odd_checkpoint, "checkpoint is not valid base64"),
    _keyless("with odd base64", _odd_padding, "not valid base64"),
    _keyless(
        "with an odd number of the log",
        lambda w: _odd_entry(w, lambda entry: entry["Payload"].update(logID=_spaced(entry["Payload"]["logID"]))),
        "number of the log is malformed",
    ),
    _keyless(
        "with an odd promise of the log",
        lambda w: _odd_entry(w, lambda e: e.update(SignedEntryTimestamp=_spaced(e["SignedEntryTimestamp"]))),
        "promise of the log is not valid base64",
    ),
)
