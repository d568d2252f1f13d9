"""The images in an archive file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from imgfetch.errors import ImgfetchError, InvalidReferenceError, UnsupportedError
from imgfetch.oci.config import Config
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Manifest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference


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
        config_digest: the image ID.
        layers: base first.
        indexes: digests of the archive's indexes that list the image, the nearest first.
        base: the image or archive that has the layers left out.
        listed_for: the platform for which an index lists it.
    """

    names: tuple[str, ...]
    config: Config
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


@dataclass(eq=False, repr=False)
class Archive:
    """An archive's contents and faults.

    Attributes:
        kind: a description, such as ``an OCI image layout``.
        images: in the archive's order.
        choices: for each name, the images at every place with that name; a reader selects the one for its platform.
        faults: sentences about errors.
        notes: sentences about harmless peculiarities.
    """

    kind: str = ""
    images: list[ArchivedImage] = field(default_factory=list)
    choices: dict[str, list[list[ArchivedImage]]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def config(self, raw: bytes, media_type: str, what: str) -> Config | None:
        """Read a config, or record its fault."""
        try:
            return Config.from_json(raw, media_type, what)
        except UnsupportedError as error:
            self.notes.append(str(error))
        except ImgfetchError as error:
            self.faults.append(str(error))
        return None

    def add_choice(self, names: Sequence[str], images: list[ArchivedImage]) -> None:
        """Record the images that the names select at one place."""
        for name in names:
            self.choices.setdefault(_without_digest(name), []).append(images)

    def ambiguous_names(self) -> Iterator[str]:
        """Yield a finding for each name with different images; most readers use the last one."""
        for name, choices in self.choices.items():
            configs = [{image.config.raw for image in images} for images in choices]
            widest = max(configs, key=len)
            if any(not some <= widest for some in configs) or any(map(_has_two_for_one_platform, choices)):
                yield f"the name {name} is ambiguous: it refers to different images"


def _has_two_for_one_platform(images: Sequence[ArchivedImage]) -> bool:
    first: dict[Platform, bytes] = {}
    return any(
        first.setdefault(image.listed_for or image.config.platform, image.config.raw) != image.config.raw
        for image in images
    )


def _without_digest(name: str) -> str:
    """Return a name without the digest after its tag, which some readers drop; a bare tag stays as it is."""
    try:
        reference = Reference.parse(name) if "/" in name else None
    except InvalidReferenceError:
        return name
    return f"{reference.name}:{reference.tag}" if reference and reference.tag else name
