"""The images in an archive file, as its descriptions list them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from imgfetch.errors import ImgfetchError, InvalidReferenceError, VerificationError
from imgfetch.oci import strictjson
from imgfetch.oci.config import Config
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Manifest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.oci.referrers import Referrer

MAX_ALL_LAYERS = 100_000
"""Maximum layers of all images, each counted as often as a description leads to it."""
_MAX_CONFIG_VALUES = 500_000
"""Maximum values in all configs, which take some 100 bytes each."""


class ArchivedLayer(NamedTuple):
    """A layer of an image in an archive.

    Attributes:
        diff_id: the decompressed layer's digest according to the config.
        member: the name of its tar member.
        size: the member's length in bytes, or the size in the manifest if the layer is absent.
        compression: a result of `compression.detect`; empty if unknown.
        is_left_out: whether the archive declares that it leaves the layer out.
        digest: the blob's digest if there is a manifest.
        media_type: the type in the manifest.
    """

    diff_id: Digest
    member: str
    size: int
    compression: str
    is_absent: bool
    is_left_out: bool
    digest: Digest | None = None
    media_type: str = ""


class ArchivedImage(NamedTuple):
    """An image in an archive.

    Attributes:
        names: its names in the archive, with tags and digests, sorted.
        raw_config: the config's bytes.
        config_digest: the image ID.
        layers: base first.
        indexes: digests of the archive's indexes that list the image, the nearest first.
        base: the image or archive that has the layers left out.
        listed_for: the platform for which an index lists it.
    """

    names: tuple[str, ...]
    config: Config
    raw_config: bytes
    config_digest: Digest
    layers: tuple[ArchivedLayer, ...]
    manifest: Manifest | None = None
    indexes: tuple[Digest, ...] = ()
    base: str = ""
    listed_for: Platform | None = None

    @property
    def digests(self) -> tuple[Digest, ...]:
        """The digests by which the image can be requested."""
        own = [self.manifest.descriptor.digest] if self.manifest else []
        return (*own, *self.indexes)

    @property
    def size(self) -> int:
        """Bytes of all layers as stored, each once."""
        return sum({layer.member: layer.size for layer in self.layers}.values())

    @property
    def is_plain(self) -> bool:
        """True if all its layers are there, decompressed."""
        return all(layer.compression == "plain" for layer in self.layers)

    @property
    def content(self) -> object:
        """The config and the layers' names; two images with the same config may be compressed differently."""
        return self.raw_config, tuple(layer.member for layer in self.layers)


class Choice(NamedTuple):
    """The images that a name refers to at one place; a reader selects the one for its platform.

    Attributes:
        name: the full name, or a bare tag; empty for a place without a name.
        spelling: the name as the description has it.
        target: the digest of an image, an index or other content.
        selectable: the digests of everything that a reader may select, be it absent or no image to imgfetch; each with
            the digests of the indexes that list it.
    """

    name: str
    spelling: str
    target: Digest
    images: tuple[ArchivedImage, ...]
    selectable: tuple[tuple[Digest, ...], ...] = ()

    def is_only(self, digest: Digest | None) -> bool:
        """Return whether every reader gets what has this digest, or what the index with this digest lists."""
        return all(digest in digests for digests in self.selectable)


@dataclass(frozen=True)
class Description:
    """The contents of one description: docker's `manifest.json`, or an OCI image layout.

    Attributes:
        images: in the description's order.
        choices: the names and their images.
        members: the names of the members that it refers to.
        others: other content than images and referrers, such as ``a model``.
        referrers: signatures and the like.
        faults: sentences about errors.
        notes: sentences about harmless peculiarities.
    """

    images: tuple[ArchivedImage, ...] = ()
    choices: tuple[Choice, ...] = ()
    members: frozenset[str] = frozenset()
    others: tuple[str, ...] = ()
    referrers: tuple[Referrer, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Archive:
    """An archive's contents and faults.

    Attributes:
        kind: a description, such as ``an OCI image layout``.
        images: in the archive's order.
        choices: the names and their images.
        others: other content than images and referrers, such as ``a model``.
        referrers: signatures and the like.
        faults: sentences about errors.
        notes: sentences about harmless peculiarities.
    """

    kind: str = ""
    images: tuple[ArchivedImage, ...] = ()
    choices: tuple[Choice, ...] = ()
    others: tuple[str, ...] = ()
    referrers: tuple[Referrer, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """True if all layers of the images are there, decompressed."""
        return all(image.is_plain for image in self.images)


class Configs:
    """The configs of an archive, each read once."""

    def __init__(self) -> None:
        self._read: dict[tuple[bytes, str], Config | ImgfetchError] = {}
        self._values = 0

    def config(self, raw: bytes, media_type: str, what: str) -> Config:
        """Return a config.

        Raises:
            VerificationError: it is malformed.
            UnsupportedError: it belongs to something other than an image.
        """
        key = (raw, media_type)
        if key not in self._read:
            self._values += strictjson.count_values(raw)
            if self._values > _MAX_CONFIG_VALUES:
                raise VerificationError(f"the configs have more than {_MAX_CONFIG_VALUES} values")
            try:
                self._read[key] = Config.from_json(raw, media_type, what)
            except ImgfetchError as error:
                self._read[key] = error
        found = self._read[key]
        if isinstance(found, ImgfetchError):
            raise found
        return found


def ambiguous_names(*descriptions: Description) -> Iterator[str]:
    """Yield a finding for each name that may refer to different images, depending on the reader."""
    configs: dict[str, list[set[bytes]]] = {}
    ambiguous: dict[str, None] = {}
    for description in descriptions:
        targets: dict[str, Digest] = {}
        for choice in filter(lambda choice: choice.name, description.choices):
            for name in {without_digest(choice.name), *_as_podman_reads(choice.spelling)}:
                configs.setdefault(name, []).append({image.raw_config for image in choice.images})
                if targets.setdefault(name, choice.target) != choice.target or _has_two_for_one_platform(choice.images):
                    ambiguous[name] = None
    for name, several in configs.items():
        widest = max(several, key=len)
        if not all(some <= widest and (some or not widest) for some in several):  # none: an artifact, to imgfetch
            ambiguous[name] = None
    for name in ambiguous:
        yield f"the name {name} is ambiguous: it refers to different images"


def _as_podman_reads(spelling: str) -> Iterator[str]:
    """Yield the other name that a short name has in podman."""
    first, slash, _ = spelling.partition("/")
    if ":" in spelling and not (slash and ("." in first or ":" in first or first == "localhost")):
        yield f"localhost/{spelling}"


def _has_two_for_one_platform(images: Sequence[ArchivedImage]) -> bool:
    first: dict[Platform, bytes] = {}
    return any(
        first.setdefault(image.listed_for or image.config.platform, image.raw_config) != image.raw_config
        for image in images
    )


def without_digest(name: str) -> str:
    """Return a name without the digest after its tag, which some readers drop; a bare tag stays as it is."""
    try:
        reference = Reference.parse(name) if "/" in name else None
    except InvalidReferenceError:
        return name
    return f"{reference.name}:{reference.tag}" if reference and reference.tag else name
