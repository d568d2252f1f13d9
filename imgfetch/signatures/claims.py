"""The claims that are signed: which image a signature is for.

A simple signing payload names one digest, and a statement has subjects.  Both are read strictly: a document that two
readers understand differently could be signed for one image and used for another.
"""

from __future__ import annotations

from imgfetch.errors import VerificationError
from imgfetch.oci.digest import Digest
from imgfetch.oci.strictjson import Object, loads
from imgfetch.signatures.signature import Signature
from imgfetch.text import quoted

_TYPE = "cosign container image signature"
_STATEMENTS = frozenset({"https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"})
_PREDICATE = "https://sigstore.dev/cosign/sign/v1"
_ALGORITHMS = ("sha256", "sha512")


def claimed(signature: Signature) -> tuple[Digest, ...]:
    """Return the digests of the images that a verified signature is for.

    Raises:
        VerificationError: its payload is malformed or makes another claim.
    """
    return tuple(_statement(signature.payload) if signature.bundle is not None else _simple(signature.payload))


def _simple(payload: bytes) -> list[Digest]:
    """Return the digest in a simple signing payload (containers-signature(5))."""
    document = Object(loads(payload, "the payload"), "the payload", frozenset({"critical", "optional"}))
    critical = Object(document.get("critical"), "'critical'", frozenset({"identity", "image", "type"}))
    if (kind := critical.text("type")) != _TYPE:
        raise VerificationError(f"the payload has the type {quoted(kind)}, not {_TYPE!r}")
    image = Object(critical.get("image"), "'image'", frozenset({"docker-manifest-digest"}))
    return [Digest.parse(image.get("docker-manifest-digest"))]


def _statement(payload: bytes) -> list[Digest]:
    """Return the digests of the subjects of a statement that is a signature, and not, for example, an SBOM."""
    known = frozenset({"_type", "subject", "predicateType", "predicate"})
    document = Object(loads(payload, "the statement"), "the statement", known)
    if (kind := document.text("_type")) not in _STATEMENTS:
        raise VerificationError(f"the statement has the type {quoted(kind)}, which is not known")
    if (predicate := document.text("predicateType")) != _PREDICATE:
        raise VerificationError(f"it is an attestation ({quoted(predicate)}), not a signature")
    named = []
    for subject in document.items_of("subject"):
        digest = Object(Object(subject, "a subject", frozenset({"name", "digest"})).get("digest"), "a digest")
        named += [Digest.parse(f"{name}:{digest.text(name)}") for name in _ALGORITHMS if name in digest]
    return named
