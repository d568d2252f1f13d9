"""Manifests about an image or index: signatures, attestations, SBOMs and other artifacts.

A referrer has a ``subject``, and registries list it by that: with the referrers API, or as an entry of an index under
the tag ``<algorithm>-<encoded>`` of the subject.  Cosign before 3 writes manifests without a subject instead, under
that tag and ``.sig``, ``.att`` or ``.sbom``; these look like images, except for the types of their layers.

Sources: OCI distribution specification, "Listing Referrers" and "Referrers Tag Schema"; cosign's ``SIGNATURE_SPEC.md``.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Self

from imgfetch.errors import VerificationError
from imgfetch.oci import mediatypes, strictjson
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import KEYS, listed
from imgfetch.text import sanitize

SIGNATURE, ATTESTATION, SBOM, ARTIFACT = "signature", "attestation", "SBOM", "artifact"
SUFFIXES = {".sig": SIGNATURE, ".att": ATTESTATION, ".sbom": SBOM}
"""The ends of cosign's tags, each with the kind of content there."""

_EMPTY = "application/vnd.oci.empty.v1+json"
_PREDICATE = "dev.sigstore.bundle.predicateType"
_SIGNED = "https://sigstore.dev/cosign/sign/"
_NOTATION = "cncf.notary"
_KINDS = (
    *((part, SBOM) for part in ("spdx", "cyclonedx", "syft", "sbom")),
    *((part, ATTESTATION) for part in ("in-toto", "dsse.envelope")),
    *((part, SIGNATURE) for part in ("dev.cosign", "dev.sigstore", _NOTATION)),
)
"""Kinds by a part of their type, the first that fits."""
_TAG = re.compile(r"(sha256|sha512)-([0-9a-f]{64,128})(\.sig|\.att|\.sbom|)")
_MAX_ENCODED = 64  # characters of a digest in the tag of a list of referrers


class Referrer(NamedTuple):
    """A signature, an attestation or another artifact about an image or index.

    Attributes:
        subject: the digest of the image, index or other referrer that it is about, as it or its place says.
        kind: ``signature``, ``attestation``, ``SBOM`` or ``artifact``.
        artifact_type: its type, perhaps empty.
        descriptor: that of its manifest.
        raw: its manifest's bytes, which have this digest.
        blobs: its config and layers; each is a member of an archive by its digest.
        tag: the tag under which cosign looks for it; empty for a manifest with a subject.
        is_attached: whether the archive that it is in has the subject.
    """

    subject: Digest
    kind: str
    artifact_type: str
    descriptor: Descriptor
    raw: bytes
    blobs: tuple[Descriptor, ...]
    tag: str = ""
    is_attached: bool = True

    @property
    def title(self) -> str:
        """The kind and the type, such as ``a signature (application/x)``."""
        return _title(self.kind, self.artifact_type)

    @property
    def is_by_notation(self) -> bool:
        """True for a signature that is not cosign's, so that no key or identity verifies it."""
        return is_by_notation(self.artifact_type)


class Attached(NamedTuple):
    """A manifest that may be about another one.

    Attributes:
        media_type: that of the manifest.
        subject: the digest of the manifest or index that it is about, if it has one.
        artifact_type: its own type, that of its config, or else that of its first layer.
        kind: ``signature``, ``attestation``, ``SBOM`` or ``artifact``.
        blobs: its config and layers.
        is_image: whether it is an image or an index, which may have a subject too.
    """

    media_type: str
    subject: Digest | None
    artifact_type: str
    kind: str
    blobs: tuple[Descriptor, ...]
    is_image: bool

    @classmethod
    def from_json(cls, raw: bytes, what: str) -> Self:
        """Read a manifest; ``what`` is its name in messages.

        Raises:
            VerificationError: it is malformed.
        """
        members = strictjson.Object(strictjson.loads(raw, what), what, KEYS)
        subject = members.get("subject")
        blobs = listed(raw, what)
        config_type = blobs[0].media_type if "config" in members else ""
        types = [blob.media_type for blob in (blobs[1:] if "config" in members else blobs)]
        named = [members.text("artifactType"), "" if mediatypes.is_of_images(config_type) else config_type, *types]
        artifact_type = next((each for each in named if each not in ("", _EMPTY)), "")
        may_be_config = "config" in members and config_type in mediatypes.CONFIGS | mediatypes.VAGUE_CONFIGS
        return cls(
            mediatypes.essence(members.text("mediaType")) or mediatypes.OCI_MANIFEST,
            Descriptor.from_json(subject, f"'subject' of {what}").digest if subject is not None else None,
            artifact_type,
            _kind(artifact_type, members.texts("annotations")),
            blobs,
            "manifests" in members or (may_be_config and not mediatypes.artifact(types)),
        )


def _title(kind: str, artifact_type: str) -> str:
    """Return a kind and a type for messages, such as ``a signature (application/x)``."""
    article = "an" if kind[0] in "aS" else "a"
    return f"{article} {kind} ({sanitize(artifact_type)})" if artifact_type else f"{article} {kind}"


def is_by_notation(artifact_type: str) -> bool:
    """Return whether a type is that of notation's signatures."""
    return _NOTATION in artifact_type


def may_be_signed_content(artifact_type: str) -> bool:
    """Return whether an entry of a list may be a signature or attestation; some registries list the config's type."""
    is_vague = artifact_type in ("", _EMPTY) or mediatypes.is_of_images(artifact_type)
    return is_vague or _kind(artifact_type, {}) in (SIGNATURE, ATTESTATION)


def cosign_tags(digest: Digest) -> tuple[str, ...]:
    """Return the tags under which cosign keeps what is about a manifest or index; none if they would be too long."""
    tag = f"{digest.algorithm}-{digest.encoded}"
    return tuple(tag + suffix for suffix in SUFFIXES) if len(digest.encoded) <= _MAX_ENCODED else ()


def list_tag(digest: Digest) -> str:
    """Return the tag of the list of referrers at registries without the API."""
    return f"{digest.algorithm}-{digest.encoded[:_MAX_ENCODED]}"


def is_of_referrers(tag: str) -> bool:
    """Return whether a tag is one of cosign's or that of a list of referrers, which most images lack."""
    return _TAG.fullmatch(tag) is not None


def tagged(tag: str) -> tuple[Digest, str] | None:
    """Return the digest that one of cosign's tags is about, and the kind of content there."""
    found = _TAG.fullmatch(tag)
    if not found or not found[3]:
        return None
    try:
        return Digest.parse(f"{found[1]}:{found[2]}"), SUFFIXES[found[3]]
    except VerificationError:
        return None


def _kind(artifact_type: str, annotations: dict[str, str]) -> str:
    predicate = annotations.get(_PREDICATE, "")
    if "dev.sigstore" in artifact_type and predicate and not predicate.startswith(_SIGNED):
        return ATTESTATION
    return next((kind for part, kind in _KINDS if part in artifact_type), ARTIFACT)
