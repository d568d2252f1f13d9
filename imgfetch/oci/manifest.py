"""Manifests and indexes, recognized by their content.

Sources: OCI image specification ("Image Index", "Image Manifest"), docker's "Image Manifest V 2, Schema 2".
Documents are hashed and stored exactly as received, and never serialized again.  Only their parts stay in memory.
Every `Index` and `Manifest` is valid, because only `parse_document` makes them.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import NamedTuple

from imgfetch.errors import ImgfetchError, UnsupportedError, VerificationError
from imgfetch.oci import mediatypes, strictjson
from imgfetch.oci.config import Config
from imgfetch.oci.descriptor import Descriptor, Document, platform_of
from imgfetch.oci.digest import Digest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.text import quoted, sanitize
from imgfetch.tolerance import Tolerance

MAX_DOCUMENT = 4 * 1024 * 1024
"""Maximum bytes of a manifest or config (docs/registries.md#limits-for-documents)."""
MAX_LAYERS = 4096
MAX_MANIFESTS = 4096

KEYS = frozenset(
    {"schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations"}
) | {"fsLayers", "signatures", "history"}  # these are schema 1's


class Unreadable(NamedTuple):
    """An entry of an index that is not a valid descriptor.

    Attributes:
        number: its place in the index, from 1.
        error: the reason.
        platform: its platform, if that can be read.
    """

    number: int
    error: VerificationError
    platform: Platform | None


@dataclass(frozen=True)
class Index:
    """A list of manifests: OCI's image index or docker's manifest list.

    Attributes:
        manifests: its valid entries.
        unreadable: its other entries, which matter only to those who need all, or one of just these.
    """

    descriptor: Descriptor
    manifests: tuple[Descriptor, ...]
    unreadable: tuple[Unreadable, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """One image's config and layers, base first; a layer may occur several times."""

    descriptor: Descriptor
    config: Descriptor
    layers: tuple[Descriptor, ...]


class Image(NamedTuple):
    """A manifest with its config and names.

    Attributes:
        references: the requested names, at least one.
        indexes: the indexes that led to the manifest, the outermost first; none if a reference points at it.
        entry: the manifest's entry in the innermost index.
    """

    manifest: Manifest
    config: Config
    references: tuple[Reference, ...]
    indexes: tuple[Descriptor, ...] = ()
    entry: Descriptor | None = None


@strictjson.blaming_the_publisher()
def parse_document(
    document: Document, descriptor: Descriptor, what: str, tolerance: Tolerance, *, pinned: bool = False
) -> Index | Manifest:
    """Read a manifest or index; its content decides its type (docs/registries.md#type-of-a-document).

    Args:
        document: the bytes as received.
        descriptor: a descriptor with verified digest and size, and without a media type if only a tag led here.
        what: the document's name in messages.
        tolerance: receives warnings about tolerable faults.
        pinned: whether the document was requested by digest, so that somebody has chosen exactly this one.

    Raises:
        VerificationError: the document is malformed or ambiguous.
        UnsupportedError: it is well-formed but not an image: schema 1, an artifact.
    """
    members = strictjson.Object(strictjson.loads(document.raw, what), what, KEYS)
    _refuse_ambiguity(members, what)
    shape = _shape(members)
    media_type = _media_type(members, document, descriptor, what, tolerance, pinned=pinned)
    if media_type in mediatypes.SCHEMA1 or shape == "schema 1":
        raise _schema1(what)
    if shape is None:
        raise mediatypes.not_an_image(what, media_type or "an unknown type", members.text("artifactType"))
    version = members.get("schemaVersion")
    if version != 2 or not isinstance(version, int):  # noqa: PLR2004  # Go rejects 2.0
        raise VerificationError(f"'schemaVersion' of {what} is malformed", wanted="2", got=strictjson.shown(version))
    if media_type not in (mediatypes.INDEXES if shape == "index" else mediatypes.MANIFESTS):
        raise VerificationError(
            f"{what} is ambiguous: its type is {sanitize(media_type)}, but its content is an {shape}"
            if media_type in mediatypes.DOCUMENTS
            else f"{what} has the unknown media type {quoted(media_type)}"
        )
    own = Descriptor(media_type, descriptor.digest, descriptor.size)
    if shape == "index":
        return Index(own, *_manifests(members.items_of("manifests"), what))
    config, layers = _config_and_layers(members, what)
    return Manifest(own, config, layers)


def wrong_digest(document: Document, wanted: Digest, got: Digest, what: str) -> ImgfetchError:
    """Return the error for a document with another digest than the requested one.

    The digest of a signed schema 1 manifest is that of a part of it, so it says nothing.
    """
    if document.is_schema1:
        return _schema1(what)
    return VerificationError(
        f"{what} has the wrong digest",
        wanted=str(wanted),
        got=str(got),
        hint="do not use this image: the registry, or a proxy in between, sent different content",
    )


def _schema1(what: str) -> UnsupportedError:
    return UnsupportedError(
        f"{what} uses schema 1, an old format that imgfetch does not support",
        hint="ask the publisher to rebuild the image, or try another tag",
    )


@strictjson.blaming_the_publisher()
def listed(raw: bytes, what: str) -> tuple[Descriptor, ...]:
    """Return the blobs that a manifest of any kind lists; ``what`` is its name in messages.

    Raises:
        VerificationError: the manifest is malformed.
    """
    members = strictjson.Object(strictjson.loads(raw, what), what, KEYS)
    entries = [*members.items_of("layers"), *members.items_of("blobs")]
    if "config" in members:
        entries.insert(0, members["config"])
    return _descriptors(entries, "blob", what, MAX_LAYERS)


def _refuse_ambiguity(members: strictjson.Object, what: str) -> None:
    """Refuse a document that is an index to one reader and a manifest to another (CVE-2021-41190)."""
    shapes = [key for key in ("manifests", "fsLayers") if key in members]
    shapes += [key for key in ("config", "layers") if key in members][:1]
    if len(shapes) > 1:
        raise VerificationError(f"{what} is ambiguous: it has both '{shapes[0]}' and '{shapes[1]}' (CVE-2021-41190)")


def _shape(members: strictjson.Object) -> str | None:
    if "manifests" in members:
        return "index"
    if "config" in members and "layers" in members:
        return "image manifest"
    if "fsLayers" in members:
        return "schema 1"
    return None


def _media_type(
    members: strictjson.Object,
    document: Document,
    descriptor: Descriptor,
    what: str,
    tolerance: Tolerance,
    *,
    pinned: bool,
) -> str:
    """Choose the media type: the document's own, its parent's, or the one that its content implies.

    The ``Content-Type`` may contradict, but it does not decide.  Otherwise the same document from
    another server would become another archive.
    """
    own, promised = mediatypes.essence(members.text("mediaType")), descriptor.media_type
    header = mediatypes.essence(document.content_type)
    if own and promised and own != promised:
        raise VerificationError(
            f"{what} is ambiguous: its type is {sanitize(own)}, but the index lists it as {promised}"
        )
    chosen = own or promised or _guess(members) or header
    known = header in mediatypes.DOCUMENTS and chosen in mediatypes.DOCUMENTS
    if known and header != chosen and (own or (header in mediatypes.INDEXES) != (chosen in mediatypes.INDEXES)):
        conflict = f"{what} is ambiguous: its type is {chosen}, but it was sent as {header}"
        if not pinned:
            raise VerificationError(conflict)
        tolerance.warn(conflict)
    return chosen


def _guess(members: strictjson.Object) -> str:
    """Return the type that the content implies; only OCI documents and old docker pushes may lack one."""
    shape = _shape(members)
    if shape == "image manifest":
        config = members["config"]
        is_docker = isinstance(config, dict) and config.get("mediaType") == mediatypes.DOCKER_CONFIG
        return mediatypes.DOCKER_MANIFEST if is_docker else mediatypes.OCI_MANIFEST
    return mediatypes.OCI_INDEX if shape == "index" else ""


def _config_and_layers(members: strictjson.Object, what: str) -> tuple[Descriptor, tuple[Descriptor, ...]]:
    config = Descriptor.from_json(members["config"], f"'config' of {what}", is_blob=True)
    if config.media_type not in mediatypes.CONFIGS | mediatypes.VAGUE_CONFIGS:
        raise mediatypes.not_an_image(what, config.media_type, members.text("artifactType"))
    layers = _descriptors(members.items_of("layers"), "layer", what, MAX_LAYERS)
    if config.size > MAX_DOCUMENT:
        raise VerificationError(
            f"the config of {what} is too large", wanted=f"at most {MAX_DOCUMENT} bytes", got=str(config.size)
        )
    for number, layer in enumerate(layers, 1):
        if mediatypes.is_encrypted(layer.media_type):
            raise UnsupportedError(
                f"layer {number} of {what} is encrypted ({sanitize(layer.media_type)})",
                hint="imgfetch cannot decrypt layers; use a tool that can, such as skopeo copy --decryption-key",
            )
    _refuse_two_sizes((config, *layers), what)
    return config, tuple(map(_as_written, layers, members.items_of("layers")))


def _as_written(layer: Descriptor, entry: object) -> Descriptor:
    """Return a layer with its type as the manifest has it, because containerd knows no other spelling.

    It is fetched like any other, even if the manifest contains it.
    """
    return replace(layer, media_type=sys.intern(strictjson.Object(entry, "a layer").text("mediaType")), data=None)


def _manifests(entries: list[object], what: str) -> tuple[tuple[Descriptor, ...], tuple[Unreadable, ...]]:
    """Read the entries of an index one by one, so that a bad one does not spoil the others.

    An entry that readers would read differently is an error all the same, because they may choose it.
    """
    _limit(entries, "manifest", what, MAX_MANIFESTS)
    valid, unreadable = list[Descriptor](), list[Unreadable]()
    for number, entry in enumerate(entries, 1):
        label = f"manifest {number} of {what}"
        platform = platform_of(entry, label)
        try:
            valid.append(Descriptor.from_json(entry, label))
        except VerificationError as error:
            unreadable.append(Unreadable(number, error, platform))
    return tuple(valid), tuple(unreadable)


def _descriptors(entries: list[object], kind: str, what: str, limit: int) -> tuple[Descriptor, ...]:
    _limit(entries, kind, what, limit)
    return tuple(
        Descriptor.from_json(entry, f"{kind} {number} of {what}", is_blob=True)
        for number, entry in enumerate(entries, 1)
    )


def _limit(entries: list[object], kind: str, what: str, limit: int) -> None:
    if len(entries) > limit:
        raise VerificationError(f"{what} has too many {kind}s", wanted=f"at most {limit}", got=str(len(entries)))


def _refuse_two_sizes(descriptors: tuple[Descriptor, ...], what: str) -> None:
    sizes: dict[Digest, int] = {}
    for descriptor in descriptors:
        size = sizes.setdefault(descriptor.digest, descriptor.size)
        if size != descriptor.size:
            raise VerificationError(
                f"{what} lists {descriptor.digest} with two sizes",
                wanted=f"{size} bytes",
                got=f"{descriptor.size} bytes",
            )
