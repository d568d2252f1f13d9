"""What an image is, in a registry or in an archive file, without fetching a layer."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from imgfetch.archive.compressed import looks_like_file
from imgfetch.archive.contents import ArchivedImage
from imgfetch.archive.recognise import read_undamaged
from imgfetch.defaults import READ_TIMEOUT
from imgfetch.errors import PlatformNotFoundError
from imgfetch.files import storing
from imgfetch.http.retries import Patience
from imgfetch.oci.config import RunConfig
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Image, Index
from imgfetch.oci.mediatypes import LAYER_COMPRESSION
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.pull.resolve import Resolver
from imgfetch.registry import mirrored
from imgfetch.registry.access import Access
from imgfetch.store.blobs import open_store
from imgfetch.tolerance import Oddities


@dataclass(frozen=True, slots=True)
class InspectedLayer:
    """A layer, and the step that made it.

    Attributes:
        digest: the blob's digest, where a manifest says it.
        diff_id: the digest of its decompressed tar stream, as the config has it.
        media_type: what the manifest calls it, if there is one.
        compression: ``gzip``, ``zstd``, ``plain``, …; empty if it is not known.
        size: the blob's or member's length in bytes.
        created_by: the command that made it, if the history tells.
        state: ``present``, ``left out`` where an archive says that it leaves it out, or ``missing``.
    """

    digest: Digest | None
    diff_id: Digest
    media_type: str
    compression: str
    size: int
    created_by: str
    state: str = "present"


@dataclass(frozen=True, slots=True)
class InspectedImage:
    """An image.

    Attributes:
        names: what it is called.
        digest: its manifest's digest, where there is a manifest.
        index: the digest of the index that it stands in, if it does; of several the outermost.
        media_type: its manifest's.
        image_id: its config's digest.
        platform: the machine that it is for.
        details: how it is run, and how it was made.
        layers: its layers, base first.
        base: what has the layers that an archive leaves out.
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


@dataclass(frozen=True, slots=True)
class Inspected:
    """What was found.

    Attributes:
        source: the reference or file.
        kind: what it is, in words.
        root: what the reference points at; ``None`` for a file.
        manifests: what an index lists, in its order.
        images: the image for the platform, or those in the file.
        file_size: the file's length in bytes; ``None`` for a reference.
        notes: what is worth knowing and not wrong.
        raw: the bytes of the manifest or index that the reference points at, or those of the file's only image.
    """

    source: str
    kind: str
    root: Descriptor | None
    manifests: tuple[Descriptor, ...]
    images: tuple[InspectedImage, ...]
    file_size: int | None
    notes: tuple[str, ...]
    raw: bytes | None


def inspect(
    target: str | Reference | Path,
    *,
    platform: str | Platform | None = None,
    access: Access | None = None,
    patience: Patience | None = None,
    timeout: float = READ_TIMEOUT,
    strict: bool = False,
) -> Inspected:
    """Return what an image is.

    Args:
        target: a reference; or a file, which a text is that names one or ends as archives do.
        platform: the machine whose image is wanted; by default linux on this machine's architecture, and all images of
            a file.
        access: logins, certificates, proxies and mirrors; by default none.
        patience: how often and how long to try again what may succeed later.
        timeout: seconds between two bytes at most.
        strict: raise an error for oddities that are otherwise logged as warnings.

    Raises:
        VerificationError: a document is not what it should be, or the file is damaged.
        ImgfetchError: as for `save`; for a file that it cannot be read or is no archive of images.
    """
    wanted = Platform.parse(platform) if isinstance(platform, str) else platform
    if isinstance(target, Path) or (isinstance(target, str) and looks_like_file(target)):
        return _file(Path(target), wanted)
    reference = Reference.parse(target) if isinstance(target, str) else target
    oddities, patience = Oddities(strict=strict), (patience or Patience()).renewed()
    with ExitStack() as stack:
        registry = mirrored.open_source(
            stack, access or Access(), oddities=oddities, patience=patience, timeout=timeout
        )
        resolver = Resolver(registry, open_store(stack, None), oddities, patience)
        return _reference(resolver, reference.with_default_tag(), wanted)


def _reference(resolver: Resolver, reference: Reference, platform: Platform | None) -> Inspected:
    found = resolver.document(reference)
    image = resolver.chosen(found, reference, platform)
    return Inspected(
        str(reference),
        "an image index" if isinstance(found, Index) else "an image",
        found.descriptor,
        found.manifests if isinstance(found, Index) else (),
        (_image(image),),
        None,
        (),
        image.manifest.raw if platform else found.raw,
    )


def _image(image: Image) -> InspectedImage:
    manifest, config = image.manifest, image.config
    details = RunConfig.of(config, f"the config of {image.references[0]}")
    return InspectedImage(
        tuple(map(str, image.references)),
        manifest.descriptor.digest,
        image.indexes[0].digest if image.indexes else None,
        manifest.descriptor.media_type,
        manifest.config.digest,
        config.platform,
        details,
        tuple(
            InspectedLayer(
                layer.digest,
                diff_id,
                layer.media_type,
                LAYER_COMPRESSION.get(layer.media_type) or "",
                layer.size,
                step,
            )
            for layer, diff_id, step in zip(
                manifest.layers, config.diff_ids, details.made_by(len(config.diff_ids)), strict=True
            )
        ),
    )


def _file(path: Path, platform: Platform | None) -> Inspected:
    with storing(path, "read"):
        size = path.stat().st_size
    members, archive = read_undamaged(path)
    images = _for_platform(archive.images, platform, members.name)
    only = images[0].manifest if len(images) == 1 else None
    return Inspected(
        members.name,
        archive.kind,
        None,
        (),
        tuple(_archived(image, members.name) for image in images),
        size,
        tuple(archive.notes),
        only.raw if only else None,
    )


def _for_platform(images: Iterable[ArchivedImage], platform: Platform | None, name: str) -> list[ArchivedImage]:
    every = list(images)
    if platform is None:
        return every
    fitting = [image for image in every if image.config.platform.fit(platform) is not None]
    if not fitting:
        raise PlatformNotFoundError(
            f"{name} has no image for {platform}",
            wanted=str(platform),
            available=tuple(dict.fromkeys(str(image.config.platform) for image in every)),
        )
    return fitting


def _archived(image: ArchivedImage, name: str) -> InspectedImage:
    details = RunConfig.of(image.config, f"the config {image.config_digest} in {name}")
    return InspectedImage(
        image.names,
        image.manifest.descriptor.digest if image.manifest else None,
        image.indexes[-1] if image.indexes else None,
        image.manifest.descriptor.media_type if image.manifest else "",
        image.config_digest,
        image.config.platform,
        details,
        tuple(
            InspectedLayer(
                layer.digest,
                layer.diff_id,
                layer.media_type,
                layer.compression or LAYER_COMPRESSION.get(layer.media_type) or "",
                layer.size,
                step,
                "present" if not layer.is_absent else "left out" if layer.is_left_out else "missing",
            )
            for layer, step in zip(image.layers, details.made_by(len(image.layers)), strict=True)
        ),
        image.base,
    )
