"""Descriptors, the type, digest and size of some content; and documents as received.

Source: OCI image specification, "Content Descriptors".
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from imgfetch.errors import VerificationError
from imgfetch.oci import mediatypes, strictjson
from imgfetch.oci.digest import Digest
from imgfetch.oci.platforms import Platform

KEYS = frozenset({"mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"})
_PLATFORM_KEYS = frozenset({"os", "architecture", "variant", "os.version", "os.features", "features"})
_NONE: Mapping[str, str] = {}
_UNUSED_IN_BLOBS = ("annotations", "artifactType", "platform")
_ATTESTATION = ("vnd.docker.reference.type", "attestation-manifest")


class Document(NamedTuple):
    """A manifest or index as received.

    Attributes:
        content_type: the response's ``Content-Type``, or empty.
        url: its address, safe to show.
    """

    raw: bytes
    content_type: str = ""
    url: str = ""

    @property
    def is_schema1(self) -> bool:
        """True if the registry says that it is docker's old schema 1, whose digest may be that of a part of it."""
        return mediatypes.essence(self.content_type) in mediatypes.SCHEMA1


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A pointer to content.

    Attributes:
        media_type: lower-case, perhaps empty.
        size: in bytes.
        urls: other places with the content (docs/registries.md#foreign-layers).
        data: content embedded in the descriptor, not yet verified (docs/registries.md#limits-for-documents).
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
    def from_json(cls, value: object, what: str, *, is_blob: bool = False) -> Self:
        """Read a parsed descriptor; ``what`` is its name in messages.

        The members that only containerd reads in a blob's descriptor are ignored (`manifest_demands`).

        Raises:
            VerificationError: a member is missing or malformed.
        """
        members = strictjson.Object(value, what, KEYS)
        for key in _UNUSED_IN_BLOBS if is_blob else ():
            members.pop(key, None)
        try:
            digest = Digest.parse(members.get("digest"))
        except VerificationError as error:
            raise VerificationError(f"the digest of {what} is {error}") from None
        return cls(
            media_type=sys.intern(mediatypes.essence(members.text("mediaType"))),
            digest=digest,
            size=members.count("size"),
            platform=_platform(members, what),
            annotations=members.texts("annotations") or _NONE,
            urls=tuple(url for url in members.items_of("urls") if isinstance(url, str)),
            artifact_type=members.text("artifactType"),
            data=_embedded(members, what),
        )

    @classmethod
    def of(cls, content: bytes, media_type: str, algorithm: str = "sha256") -> Self:
        """Describe ``content``."""
        return cls(media_type, Digest.of(content, algorithm), len(content))

    def bare(self) -> Descriptor:
        """Return the type, digest and size alone."""
        return Descriptor(self.media_type, self.digest, self.size)

    def entry(self) -> dict[str, object]:
        """Return the members that every descriptor has, for a JSON document."""
        return {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}

    @property
    def is_embedded(self) -> bool:
        """True if the descriptor has embedded content that matches its size and digest."""
        data = self.data
        return data is not None and len(data) == self.size and Digest.of(data, self.digest.algorithm) == self.digest

    @property
    def is_attestation(self) -> bool:
        """True if it describes a statement about an image (docs/registries.md#choosing-from-an-index)."""
        name, value = _ATTESTATION
        return not self.may_be_run or self.annotations.get(name) == value

    @property
    def may_be_run(self) -> bool:
        """False if no machine has its platform, by which every reader chooses; annotations do not keep one from it."""
        return self.platform is None or self.platform.is_known


def _platform(members: strictjson.Object, what: str) -> Platform | None:
    """Return a descriptor's platform, or nothing if the operating system or architecture is missing."""
    if members.get("platform") is None:
        return None
    platform = Platform.from_json(strictjson.Object(members["platform"], f"'platform' of {what}", _PLATFORM_KEYS))
    return platform if platform.os and platform.architecture else None


def platform_of(value: object, what: str) -> Platform | None:
    """Return the platform of a parsed descriptor that may be malformed otherwise, if it has a valid one.

    Raises:
        VerificationError: readers disagree about the keys of the descriptor or its platform.
    """
    if not isinstance(value, dict):
        return None
    members = strictjson.Object(value, what, KEYS)
    if not isinstance(members.get("platform"), dict):
        return None
    strictjson.Object(members["platform"], f"'platform' of {what}", _PLATFORM_KEYS)
    try:
        return _platform(members, what)
    except VerificationError:
        return None


def _embedded(members: strictjson.Object, what: str) -> bytes | None:
    data = members.text("data")
    if not data:
        return None
    try:
        return base64.b64decode(re.sub(r"[\r\n]", "", data), validate=True)  # as Go does
    except ValueError as error:  # binascii.Error is one
        raise VerificationError(f"'data' of {what} is not valid base64: {error}") from None
