"""The contents of an archive as a value, before its first layer is fetched."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self, TypedDict, get_args

from imgfetch.archive import uncompressed
from imgfetch.archive.compressed import looks_like_file
from imgfetch.archive.formats import FORMATS, Format
from imgfetch.archive.selection import Selection, merged
from imgfetch.archive.tarlayout import Content, Documents, TarLayout
from imgfetch.archive.ustar import MAX_OCTAL
from imgfetch.defaults import FORMAT, LAYERS, MTIME, ZSTD_WINDOWS, ArchiveFormat, LayerForm
from imgfetch.errors import ImgfetchError
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci import mediatypes, names
from imgfetch.oci.digest import Digest
from imgfetch.oci.names import ImageRequest, Platforms, References, one_or_many
from imgfetch.oci.platforms import Platform
from imgfetch.oci.policy import SignaturePolicy
from imgfetch.oci.reference import Reference
from imgfetch.progress import Item
from imgfetch.pull.layer import Layer
from imgfetch.store.blobs import BlobStore

Base = str | os.PathLike[str] | Reference


class ArchiveOptions(TypedDict, total=False):
    """The optional arguments of `SaveRequest.parse`, for functions that pass them on."""

    platform: Platforms | None
    all_platforms: bool
    keep_index: bool
    signatures: bool
    referrers: bool
    policy: SignaturePolicy | None
    archive_format: ArchiveFormat
    layers: LayerForm
    name: str | Reference | None
    base: Base | Iterable[Base]
    source_date_epoch: int
    zstd_window: int | None
    keep_going: bool


@dataclass(frozen=True)
class SaveRequest:
    """An archive that is to be saved.

    `Client.save` documents its options.  No platform stands for this machine's, and ``mtime`` is in seconds since 1970.
    """

    images: tuple[ImageRequest, ...]
    platforms: tuple[Platform, ...] = ()
    all_platforms: bool = False
    archive_format: ArchiveFormat = FORMAT
    layers: LayerForm = LAYERS[0]
    name: Reference | None = None
    bases: tuple[Reference | Path, ...] = ()
    mtime: int = MTIME
    keep_index: bool = False
    keep_going: bool = False
    signatures: bool = False
    referrers: bool = False
    policy: SignaturePolicy | None = None
    zstd_window: int | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range, and options that contradict each other."""
        for label, value, known in (
            ("archive_format", self.archive_format, get_args(ArchiveFormat)),
            ("layers", self.layers, get_args(LayerForm)),
        ):
            if value not in known:
                raise ValueError(f"{label} must be one of {', '.join(known)}, not {value!r}")
        _require("source_date_epoch", self.mtime, 0, MAX_OCTAL)
        _require("zstd_window", self.zstd_window, *ZSTD_WINDOWS)
        most = max(len(self.platforms), *(len(image.platforms) for image in self.images))
        if self.format.has_one_platform and (self.all_platforms or most > 1):
            raise ValueError(f"an archive in the format {self.archive_format} holds only one platform")
        if self.keep_index and self.is_plain:
            raise ValueError("an archive that keeps the index cannot have decompressed layers")
        if self.has_referrers and self.is_plain:
            raise ValueError("an archive with signatures cannot have decompressed layers")
        if self.bases and self.is_plain:
            raise ValueError("an archive with a base cannot have decompressed layers")
        for name in (self.name, *(image.name for image in self.images)):
            if name:
                names.name(name)

    @classmethod
    def parse(
        cls,
        references: References,
        *,
        platform: Platforms | None = None,
        all_platforms: bool = False,
        keep_index: bool = False,
        archive_format: ArchiveFormat = FORMAT,
        layers: LayerForm = LAYERS[0],
        name: str | Reference | None = None,
        base: Base | Iterable[Base] = (),
        source_date_epoch: int = MTIME,
        keep_going: bool = False,
        signatures: bool = False,
        referrers: bool = False,
        policy: SignaturePolicy | None = None,
        zstd_window: int | None = None,
    ) -> Self:
        """Parse the arguments of `Client.save`, which documents the errors."""
        bases: tuple[Base, ...] = one_or_many(base)
        return cls(
            names.images(references),
            names.platforms(platform),
            all_platforms,
            archive_format,
            layers,
            names.reference(name).with_default_tag() if name is not None else None,
            tuple(map(_base, bases)),
            source_date_epoch,
            keep_index,
            keep_going,
            signatures,
            referrers,
            policy,
            zstd_window,
        )

    @property
    def format(self) -> Format:
        """The properties of the archive's format."""
        return FORMATS[self.archive_format]

    @property
    def has_referrers(self) -> bool:
        """True if the archive holds signatures too, or all referrers."""
        return self.signatures or self.referrers

    @property
    def is_plain(self) -> bool:
        """True if all layers are to be decompressed."""
        return self.format.is_uncompressed or self.layers != LAYERS[0]


class ArchiveLayout(NamedTuple):
    """The position of every member of an archive.

    Attributes:
        selections: the archive's images, with the manifests that they have in it.
        plain: the layers that are decompressed in it, by the digests that they have in the registry.
        tar: the members.
    """

    selections: tuple[Selection, ...]
    plain: frozenset[Digest]
    tar: TarLayout


class Plan(NamedTuple):
    """An archive's images, and the blobs that it needs.

    Attributes:
        request: the archive.
        selections: its images, as the registry has them.
        layers: the blobs to be fetched, each once.
        failures: the errors of images that are left out.
    """

    request: SaveRequest
    selections: tuple[Selection, ...]
    layers: tuple[Layer, ...]
    failures: tuple[ImgfetchError, ...] = ()

    @property
    def items(self) -> list[Item]:
        """The blobs to be fetched."""
        return [layer.item for layer in self.layers]

    def layout(self, known: Mapping[Digest, LayerInfo], documents: Documents) -> ArchiveLayout | None:
        """Return the layout, or ``None`` while it depends on layers about which there are no findings in ``known``.

        ``documents`` has the manifests, indexes and configs, and receives those that are not the registry's.

        Without findings, a layer with a normal media type is expected to stay as it is.  If that proves wrong, `Writer`
        writes a file again, and ends a stream with an error.
        """
        plain: dict[Digest, LayerInfo] = {}
        for layer in self.layers:
            if layer.diff_id is None:
                continue
            found = known.get(layer.descriptor.digest)
            if found and (self.request.is_plain or found.is_refused(layer.media_types)):
                plain[layer.descriptor.digest] = found
            elif self.request.is_plain or not all(map(mediatypes.is_layer, layer.media_types)):
                return None
        selections, contents = self.selections, dict[Digest, Content]()
        if plain:
            rewritten = [uncompressed.rewritten(selection, plain, documents) for selection in self.selections]
            selections = merged(selection for selection, _ in rewritten)
            contents = {digest: content for _, made in rewritten for digest, content in made.items()}
        tar = TarLayout(self.request.format.members(selections, contents, documents), mtime=self.request.mtime)
        return ArchiveLayout(selections, frozenset(plain), tar)


def remembered(plan: Plan, store: BlobStore) -> dict[Digest, LayerInfo]:
    """Return the findings of earlier runs about a plan's layers, by their digests."""
    return {
        layer.descriptor.digest: found
        for layer in plan.layers
        if layer.diff_id and (found := store.remembered(layer.descriptor.digest, layer.diff_id.algorithm))
    }


def sized(plan: Plan, sizes: Mapping[Digest, int | None]) -> dict[Digest, LayerInfo]:
    """Return the properties of layers whose decompressed size is known by their diff_id, by their digests."""
    return {
        layer.descriptor.digest: LayerInfo(layer.diff_id, "", size)
        for layer in plan.layers
        if layer.diff_id and (size := sizes.get(layer.diff_id)) is not None
    }


def _require(label: str, number: int | None, smallest: int, largest: int) -> None:
    """Refuse a number out of range."""
    if number is not None and not smallest <= number <= largest:
        raise ValueError(f"{label} must be from {smallest} to {largest}, not {number}")


def _base(base: Base) -> Reference | Path:
    """Return the path or the reference of a base."""
    if isinstance(base, Reference) or (isinstance(base, str) and not looks_like_file(base)):
        return names.reference(base).with_default_tag()
    return Path(base)
