"""The head of a patch: its base, its result, and the registry's documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple, Self

from imgfetch.errors import VerificationError
from imgfetch.oci import strictjson
from imgfetch.oci.digest import Digest
from imgfetch.text import format_some, sanitize

MAX_HEAD = 16 * 1024 * 1024
"""Maximum bytes of a head, and of the frame with it."""
MAX_BASE = 4096
"""Maximum old layers."""
_LENGTH = 4
_MAX_SHOWN = 5
_KEYS = frozenset({"base", "result", "images", "documents", "blocks", "bytes"})
_BASE_KEYS = frozenset({"diff_id", "size", "layer"})
_RESULT_KEYS = frozenset({"digest", "size"})
_IMAGE_KEYS = frozenset({"names", "id", "platform"})


class OldLayer(NamedTuple):
    """A layer that the patch needs; ``label`` says where it was, for messages."""

    diff_id: Digest
    size: int
    label: str


class NewImage(NamedTuple):
    """An image of the result."""

    names: tuple[str, ...]
    image_id: Digest
    platform: str


class Head(NamedTuple):
    """The head of a patch.

    Attributes:
        base: the old layers, by number.
        digest: the SHA-256 of the whole result.
        size: the bytes of the result.
        images: the images in it.
        documents: manifests and indexes, as they are in the registry.
        blocks: the number of blocks.
        length: the bytes of all blocks.
    """

    base: tuple[OldLayer, ...]
    digest: Digest
    size: int
    images: tuple[NewImage, ...]
    documents: tuple[bytes, ...]
    blocks: int
    length: int

    def to_bytes(self) -> bytes:
        """Return the length of the JSON, the JSON, and the documents."""
        document = {
            "base": [{"diff_id": str(each.diff_id), "size": each.size, "layer": each.label} for each in self.base],
            "result": {"digest": str(self.digest), "size": self.size},
            "images": [
                {"names": list(each.names), "id": str(each.image_id), "platform": each.platform} for each in self.images
            ],
            "documents": list(map(len, self.documents)),
            "blocks": self.blocks,
            "bytes": self.length,
        }
        text = json.dumps(document, separators=(",", ":")).encode("ascii")
        return b"".join((len(text).to_bytes(_LENGTH, "little"), text, *self.documents))

    @classmethod
    def from_bytes(cls, raw: bytes, what: str) -> Self:
        """Read the result of `to_bytes`; ``what`` is its name in messages.

        Raises:
            VerificationError: it is malformed, or has something unknown.
        """
        end = _LENGTH + int.from_bytes(raw[:_LENGTH], "little")
        if end > len(raw):
            raise VerificationError(f"{what} ends early")
        members = _object(strictjson.loads(raw[_LENGTH:end], what), what, _KEYS)
        base = tuple(_old_layer(each, what) for each in members.items_of("base"))
        if len(base) > MAX_BASE:
            raise VerificationError(f"{what} has {len(base)} old layers, more than {MAX_BASE}")
        result = _object(members.get("result"), what, _RESULT_KEYS)
        digest = Digest.parse(result.get("digest"))
        if digest.algorithm != "sha256":
            raise VerificationError(f"{what} has a digest of the result that is not a SHA-256")
        return cls(
            base,
            digest,
            result.count("size"),
            tuple(_new_image(each, what) for each in members.items_of("images")),
            _documents(raw[end:], members, what),
            members.count("blocks"),
            members.count("bytes"),
        )


def _object(value: object, what: str, known: frozenset[str]) -> strictjson.Object:
    members = strictjson.Object(value, what, known)
    if members.keys() != known or None in members.values():
        different = sorted(members.keys() ^ known | {key for key in known if members.get(key) is None})
        raise VerificationError(
            f"{what} lacks keys, or has others than version 1 of the format: "
            f"{sanitize(format_some(different, _MAX_SHOWN))}"
        )
    return members


def _old_layer(value: object, what: str) -> OldLayer:
    members = _object(value, what, _BASE_KEYS)
    return OldLayer(Digest.parse(members.get("diff_id")), members.count("size"), members.text("layer"))


def _new_image(value: object, what: str) -> NewImage:
    members = _object(value, what, _IMAGE_KEYS)
    return NewImage(tuple(members.texts_of("names")), Digest.parse(members.get("id")), members.text("platform"))


def _documents(raw: bytes, members: Mapping[str, object], what: str) -> tuple[bytes, ...]:
    """Return the documents behind the JSON, by their lengths."""
    lengths, found, at = members["documents"], list[bytes](), 0
    for length in lengths if isinstance(lengths, list) else [-1]:
        if not isinstance(length, int) or isinstance(length, bool) or length < 0:
            raise VerificationError(f"{what} is malformed", wanted="lengths of documents", got=strictjson.shown(length))
        found.append(raw[at : at + length])
        at += length
    if at != len(raw):
        raise VerificationError(f"{what} is malformed", wanted=f"{at} bytes of documents", got=f"{len(raw)} bytes")
    return tuple(found)
