"""The images in an archive file, as values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from imgfetch.errors import ImgfetchError, InvalidReferenceError, UnsupportedError
from imgfetch.oci.config import Config
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Manifest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class ArchivedLayer:
    """A layer of an image in an archive.

    Attributes:
        diff_id: what the config says that it hashes to when it is decompressed.
        member: the member that holds it.
        digest: the blob's digest, where a manifest has one.
        media_type: what a manifest calls it.
        size: the member's length in bytes; what the manifest says where it is absent.
        compression: how it is compressed, as `compression.detect` names it; empty if that was not looked at.
        is_absent: whether the member is not there.
        is_left_out: whether the archive says that it leaves it out.
    """

    diff_id: Digest
    member: str
    digest: Digest | None
    media_type: str
    size: int
    compression: str
    is_absent: bool
    is_left_out: bool


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    """An image in an archive.

    Attributes:
        names: what it is called there, tags and digests, sorted.
        config: its config.
        config_digest: the config's digest, the image ID.
        layers: its layers, base first.
        manifest: its manifest, where the archive has one.
        indexes: the digests of the indexes in the archive that list it, the nearest first.
        base: what has the layers that are left out.
        listed_for: the platform for which an index lists it, where it does.
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
        """Those by which it can be asked for."""
        own = [self.manifest.descriptor.digest] if self.manifest else []
        return (*own, *self.indexes)


@dataclass(slots=True)
class Archive:
    """What an archive holds, and what is wrong with how it says so.

    Attributes:
        kind: what it is, in words.
        images: its images, in its order.
        choices: what each name selects: for each place where it stands the images there, of which a reader takes the
            one for its platform.
        faults: what is wrong, each in a sentence.
        notes: what is worth knowing and not wrong.
    """

    kind: str = ""
    images: list[ArchivedImage] = field(default_factory=list)
    choices: dict[str, list[list[ArchivedImage]]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def config(self, raw: bytes, media_type: str, what: str) -> Config | None:
        """Read a config, or note what is wrong with it."""
        try:
            return Config.from_json(raw, media_type, what)
        except UnsupportedError as error:
            self.notes.append(str(error))
        except ImgfetchError as error:
            self.faults.append(str(error))
        return None

    def add_choice(self, names: Sequence[str], images: list[ArchivedImage]) -> None:
        """Note the images that names select in one place."""
        for name in names:
            self.choices.setdefault(_without_digest(name), []).append(images)

    def ambiguous_names(self) -> Iterator[str]:
        """Yield a sentence for each name that readers take for different images, for most let the last one win."""
        for name, choices in self.choices.items():
            configs = [{image.config.raw for image in images} for images in choices]
            widest = max(configs, key=len)
            if any(not some <= widest for some in configs) or any(map(_has_two_for_one_platform, choices)):
                yield f"readers differ over the name {name}: it stands for different images"


def _has_two_for_one_platform(images: Sequence[ArchivedImage]) -> bool:
    first: dict[Platform, bytes] = {}
    return any(
        first.setdefault(image.listed_for or image.config.platform, image.config.raw) != image.config.raw
        for image in images
    )


def _without_digest(name: str) -> str:
    """Return a name as readers know it that drop the digest behind a tag; a bare tag as it is."""
    try:
        reference = Reference.parse(name) if "/" in name else None
    except InvalidReferenceError:
        return name
    return f"{reference.name}:{reference.tag}" if reference and reference.tag else name
