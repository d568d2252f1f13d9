"""Descriptions of images in a registry or an archive file; no layer is fetched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from imgfetch.archive.contents import ArchivedImage, ArchivedLayer
from imgfetch.archive.image_layout import path
from imgfetch.archive.recognise import read_undamaged
from imgfetch.archive.streams import Source
from imgfetch.errors import PlatformNotFoundError
from imgfetch.oci.config import RunConfig
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Index
from imgfetch.oci.mediatypes import LAYER_COMPRESSION
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.oci.referrers import Referrer
from imgfetch.pull.resolve import Resolver


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedLayer:
    """A layer, and the step that made it.

    Attributes:
        digest: the blob's digest, if a manifest lists it.
        diff_id: the digest of its decompressed tar stream, from the config.
        media_type: empty if there is no manifest.
        compression: ``gzip``, ``zstd``, ``plain``, …; empty if it is not known.
        size: the blob's or member's length in bytes.
        created_by: the command that made it, if the history has one.
        state: ``present``, ``left out`` if the archive names it as left out, or ``missing``.
    """

    digest: Digest | None
    diff_id: Digest
    media_type: str
    compression: str
    size: int
    created_by: str
    state: str = "present"


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedImage:
    """An image.

    Attributes:
        names: its names.
        digest: its manifest's digest, if there is a manifest.
        index: the digest of the index that lists it, if there is one; of several the outermost.
        media_type: its manifest's media type.
        image_id: its config's digest.
        platform: its platform.
        details: its settings and its history.
        layers: its layers, base first.
        base: the image that has the layers which an archive leaves out.
    """

    names: tuple[str, ...]
    digest: Digest | None
    index: Digest | None
    media_type: str
    image_id: Digest
    platform: Platform
    details: RunConfig
    layers: tuple[InspectedLayer, ...]
    base: str = ""

    @property
    def size(self) -> int:
        """Bytes of all layers, each once."""
        return sum({layer.digest or layer.diff_id: layer.size for layer in self.layers}.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """A reference or file, and its images.

    Attributes:
        source: the reference or file.
        kind: a description of its kind.
        root: the document that the reference points at; ``None`` for a file.
        manifests: the entries of an index, in its order.
        images: the image for the platform, or those in the file.
        file_size: the file's length in bytes; ``None`` for a reference.
        notes: remarks that are not problems.
        others: other content of a file than images and referrers, such as ``an attestation`` in an index.
        referrers: signatures and the like in a file.
        raw: the bytes of the manifest or index that the reference points at, or those of the file's only image.
    """

    source: str
    kind: str
    root: Descriptor | None = None
    manifests: tuple[Descriptor, ...] = ()
    images: tuple[InspectedImage, ...]
    file_size: int | None = None
    notes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    referrers: tuple[Referrer, ...] = ()
    raw: bytes | None


def inspect_reference(reference: Reference, platform: Platform | None, resolver: Resolver) -> Inspected:
    """Return the description of an image in a registry, and of the index that lists it."""
    found = resolver.document(reference)
    image = resolver.chosen(found, reference, platform)
    manifest = image.manifest
    as_archived = ArchivedImage(
        tuple(map(str, image.references)),
        image.config,
        resolver.store.read(manifest.config.digest),
        manifest.config.digest,
        tuple(
            ArchivedLayer(diff_id, "", layer.size, "", False, False, layer.digest, layer.media_type)  # noqa: FBT003
            for layer, diff_id in zip(manifest.layers, image.config.diff_ids, strict=True)
        ),
        manifest,
        tuple(index.digest for index in reversed(image.indexes)),
    )
    return Inspected(
        source=str(reference),
        kind="an image index" if isinstance(found, Index) else "an image",
        root=found.descriptor,
        manifests=found.manifests if isinstance(found, Index) else (),
        images=(_inspected(as_archived),),
        raw=resolver.store.read((manifest if platform else found).descriptor.digest),
    )


def inspect_file(source: Source, platform: Platform | None) -> Inspected:
    """Return the description of the images in an archive, or of those for one platform."""
    members, archive = read_undamaged(source)
    images = _for_platform(archive.images, platform, members.name)
    only = images[0].manifest if len(images) == 1 else None
    return Inspected(
        source=members.name,
        kind=archive.kind,
        images=tuple(map(_inspected, images)),
        file_size=members.size,
        notes=tuple(archive.notes),
        others=archive.others,
        referrers=archive.referrers,
        raw=members.document(path(only.descriptor.digest)) if only else None,
    )


def _for_platform(images: Iterable[ArchivedImage], platform: Platform | None, name: str) -> list[ArchivedImage]:
    every = list(images)
    if platform is None:
        return every
    fitting = [image for image in every if image.config.platform.fit(platform) is not None]
    if not fitting:
        available = tuple(dict.fromkeys(str(image.config.platform) for image in every))
        raise PlatformNotFoundError(
            f"{name} has no image for {platform}",
            wanted=str(platform),
            available=available,
            suggestion=platform.suggestion(available),
        )
    return fitting


def _inspected(image: ArchivedImage) -> InspectedImage:
    details = RunConfig.read(image.raw_config)
    return InspectedImage(
        names=image.names,
        digest=image.manifest.descriptor.digest if image.manifest else None,
        index=image.indexes[-1] if image.indexes else None,
        media_type=image.manifest.descriptor.media_type if image.manifest else "",
        image_id=image.config_digest,
        platform=image.config.platform,
        details=details,
        layers=tuple(
            InspectedLayer(
                digest=layer.digest,
                diff_id=layer.diff_id,
                media_type=layer.media_type,
                compression=layer.compression or LAYER_COMPRESSION.get(layer.media_type) or "",
                size=layer.size,
                created_by=step,
                state="present" if not layer.is_absent else "left out" if layer.is_left_out else "missing",
            )
            for layer, step in zip(image.layers, details.made_by(len(image.layers)), strict=True)
        ),
        base=image.base,
    )
