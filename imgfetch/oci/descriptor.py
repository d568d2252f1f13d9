"""What points at content: its type, digest and size.

Source: OCI image specification, "Content Descriptors".
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from imgfetch.errors import VerificationError
from imgfetch.oci import mediatypes, strictjson
from imgfetch.oci.digest import Digest
from imgfetch.oci.platforms import Platform

_KEYS = frozenset({"mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"})
_PLATFORM_KEYS = frozenset({"os", "architecture", "variant", "os.version", "os.features", "features"})
_ATTESTATION = ("vnd.docker.reference.type", "attestation-manifest")


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or index as received.

    Attributes:
        raw: the bytes, exactly as they came.
        content_type: the answer's ``Content-Type``, or empty.
        url: where it came from, fit to be shown.
    """

    raw: bytes
    content_type: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A pointer to content.

    Attributes:
        media_type: what the content is, lower-case, perhaps empty.
        digest: what the content hashes to.
        size: the content's length in bytes.
        platform: the machine it is for, where it says so.
        annotations: the free texts.
        urls: where else the content may be had (P79).
        artifact_type: what an artifact says it is.
        data: the content itself, or what claims to be it (P69).
    """

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    urls: tuple[str, ...] = ()
    artifact_type: str = ""
    data: bytes | None = None

    @classmethod
    def from_json(cls, value: object, what: str) -> Self:
        """Read a parsed descriptor; ``what`` is its name in messages.

        Raises:
            VerificationError: a member is missing or malformed (P68).
        """
        members = strictjson.Object(value, what, _KEYS)
        try:
            digest = Digest.parse(members.get("digest"))
        except VerificationError as error:
            raise VerificationError(f"the digest of {what} is {error}") from None
        return cls(
            media_type=mediatypes.essence(members.text("mediaType")),
            digest=digest,
            size=members.count("size"),
            platform=_platform(members, what),
            annotations=members.texts("annotations"),
            urls=tuple(url for url in members.items_of("urls") if isinstance(url, str)),
            artifact_type=members.text("artifactType"),
            data=_embedded(members, what),
        )

    @classmethod
    def of(cls, content: bytes, media_type: str, algorithm: str = "sha256") -> Self:
        """Return the descriptor of ``content``."""
        return cls(media_type, Digest.of(content, algorithm), len(content))

    @property
    def is_embedded(self) -> bool:
        """Whether it carries its content with it, and that is what it points at."""
        data = self.data
        return data is not None and len(data) == self.size and Digest.of(data, self.digest.algorithm) == self.digest

    @property
    def is_attestation(self) -> bool:
        """Whether it points at a statement about an image rather than at an image (P66)."""
        name, value = _ATTESTATION
        unknown = self.platform is not None and not self.platform.is_known
        return unknown or self.annotations.get(name) == value


def _platform(members: strictjson.Object, what: str) -> Platform | None:
    """Return a descriptor's platform; one without a name for its system or machine says nothing."""
    if members.get("platform") is None:
        return None
    platform = Platform.from_json(strictjson.Object(members["platform"], f"'platform' of {what}", _PLATFORM_KEYS))
    return platform if platform.os and platform.architecture else None


def _embedded(members: strictjson.Object, what: str) -> bytes | None:
    data = members.text("data")
    if not data:
        return None
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as error:  # binascii.Error is one
        raise VerificationError(f"'data' of {what} is no base64: {error}") from None
