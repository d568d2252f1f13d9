"""From references to an archive."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from imgfetch.archive import compressed
from imgfetch.archive.compressed import looks_like_file
from imgfetch.archive.formats import FORMATS
from imgfetch.archive.output import opened, regular
from imgfetch.archive.ustar import MAX_OCTAL
from imgfetch.defaults import CACHE_SIZE, FORMAT, JOBS, LAYERS, MAX_LAYER, MTIME, READ_TIMEOUT
from imgfetch.errors import InvalidReferenceError
from imgfetch.files import require_free_space
from imgfetch.http.retries import Patience
from imgfetch.oci.digest import Digest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Source
from imgfetch.progress import Progress
from imgfetch.pull import write
from imgfetch.pull.downloads import Downloads, largest_first
from imgfetch.pull.plan import Laid, Plan
from imgfetch.pull.planning import Wanted, planned
from imgfetch.pull.resolve import Resolver
from imgfetch.registry import mirrored
from imgfetch.registry.access import Access
from imgfetch.store import eviction
from imgfetch.store.blobs import open_store
from imgfetch.store.workspace import beside
from imgfetch.tolerance import Oddities

if TYPE_CHECKING:
    from imgfetch.pull.forecast import Forecast
    from imgfetch.pull.unchanged import Earlier

_T = TypeVar("_T", Reference, Platform)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image in an archive.

    Attributes:
        references: what it is called there.
        digest: its manifest's digest in the registry.
        image_id: its config's digest; what `docker load` prints.
        platform: the machine that it is for.
        index: the digest of the index in which it stands in the registry, where several platforms are saved.
    """

    references: tuple[Reference, ...]
    digest: Digest
    image_id: Digest
    platform: Platform
    index: Digest | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """An archive.

    Attributes:
        images: what it holds.
        size: its length in bytes.
        is_unchanged: whether it was there already, and was left alone.
    """

    images: tuple[SavedImage, ...]
    size: int
    is_unchanged: bool = False


def save(
    references: str | Reference | Iterable[str | Reference],
    output: str | os.PathLike[str] | BinaryIO,
    *,
    platform: str | Platform | Iterable[str | Platform] | None = None,
    all_platforms: bool = False,
    archive_format: str = FORMAT,
    layers: str = LAYERS[0],
    name: str | Reference | None = None,
    base: Iterable[str | os.PathLike[str] | Reference] = (),
    if_changed: bool = False,
    jobs: int = JOBS,
    cache_dir: str | os.PathLike[str] | None = None,
    cache_size: int = CACHE_SIZE,
    max_layer_size: int = MAX_LAYER,
    source_date_epoch: int = MTIME,
    strict: bool = False,
    progress: Progress | None = None,
    access: Access | None = None,
    patience: Patience | None = None,
    timeout: float = READ_TIMEOUT,
    open_registry: Callable[[str], Source] | None = None,
) -> Saved:
    """Pull images, verify every byte of them, and write one archive.

    On failure there is nothing new under the name of ``output``, and what stood there before is as it was; a
    stream has been given verified bytes only, and ends inside an entry or its header, or is empty.

    Args:
        references: what to pull, as for ``docker pull``; a single one or several.
        output: a path, or a binary stream, which needs no more than ``write``.  A path that ends in ``.tar.gz``,
            ``.tgz`` or ``.tar.zst`` is compressed.
        platform: the machine that the images are for, such as ``linux/arm64``, or several.  By default linux on this
            machine's architecture, and then an image that has no choice of platforms is taken whatever it is for.
        all_platforms: take all that an index lists; ``platform`` is then the one for readers that know only one.
        archive_format: ``docker``, which ``docker load`` and all others read, ``docker-classic`` or ``oci``.
        layers: ``original``, as the registry has them, or ``plain``, decompressed.
        name: what the image is to be called in the archive, if not by its reference.
        base: paths of archives, and references, whose layers are left out, for the archive's readers have them.
        if_changed: leave a file alone that is, to the byte, what would be written.
        jobs: how many layers are fetched at a time.
        cache_dir: where verified blobs are kept for the next run; by default they are not, but for those of a save
            that fails, which stand beside ``output``.
        cache_size: bytes that the cache may grow to; what was used least recently goes.
        max_layer_size: bytes of a decompressed layer at most.
        source_date_epoch: the time of every entry in the archive, in seconds since 1970.
        strict: raise an error for oddities that are otherwise logged as warnings.
        progress: is told how far it is.
        access: logins, certificates, proxies and mirrors; by default none.  `Access.from_environment`
            returns what docker or podman on this machine would use.
        patience: how often and how long to try again what may succeed later.
        timeout: seconds between two bytes at most.
        open_registry: opens the registry of a name such as ``quay.io``; by default a :class:`Registry`.

    Returns:
        what the archive holds.

    Raises:
        InvalidReferenceError: a reference is malformed, or two images would have one name.
        InvalidPlatformError: the platform is malformed.
        NotFoundError: there is no such image, or one of its blobs is missing.
        PlatformNotFoundError: the image is not there for the platform.
        AuthenticationError: access was refused.
        TransportError: a registry does not answer.
        RegistryError: a registry answers with another error.
        VerificationError: bytes are not what was promised.
        UnsupportedError: it is no image, or one that cannot be read.
        StorageError: the disk is full, or not writable.
        ValueError: a number is out of its range, or options contradict each other.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be 1 or more, not {jobs}")
    wanted = _wanted(
        references,
        platform=platform,
        all_platforms=all_platforms,
        archive_format=archive_format,
        layers=layers,
        name=name,
        base=base,
        source_date_epoch=source_date_epoch,
    )
    oddities = Oddities(strict=strict)
    progress = progress or Progress()
    access, patience = access or Access(), (patience or Patience()).renewed()
    path = regular(output)
    compression = compressed.compression(path)
    with ExitStack() as stack:
        workspace = stack.enter_context(beside(path)) if path else None
        store = open_store(stack, cache_dir, workspace)
        earlier = _earlier(path) if path and if_changed else None
        for descriptor, raw in (earlier.documents() if earlier else {}).items():
            store.put(descriptor, raw)
        registry = mirrored.open_source(
            stack, access, oddities=oddities, patience=patience, timeout=timeout, open_registry=open_registry
        )
        plan = planned(wanted, registry, Resolver(registry, store, oddities, patience))
        if earlier and (same := earlier.laid_out(plan)) and earlier.is_same(same):
            return Saved(tuple(_saved(plan)), earlier.path.stat().st_size, is_unchanged=True)
        laid = plan.laid_out(plan.noted)
        missing = store.bytes_missing(layer.descriptor for layer in plan.layers)
        size = laid.layout.size if laid and not compression else 0
        require_free_space([(store.root, missing, "layers"), *([(path.parent, size, "the archive")] if path else [])])
        out = stack.enter_context(opened(output, workspace))
        progress.planned(plan.items)
        file = path if not compression else None  # one whose members may be written in any order
        if file and laid:
            laid.layout.scaffold(out)
        with Downloads(
            largest_first(plan.layers) if file else plan.layers,
            store,
            jobs=jobs,
            progress=progress,
            oddities=oddities,
            patience=patience,
            max_layer_size=max_layer_size,
            copy=write.copier(laid, file, out) if file and laid else None,
        ) as downloads:
            if file:
                laid = write.fill(plan, laid, downloads, out, path=file, jobs=jobs)
            else:
                with compressed.compressed(out, compression) as stream:
                    laid = write.stream(plan, laid, downloads, stream, waits=bool(compression))
        _warn(plan, laid, downloads)
    if cache_dir is not None and store.root == Path(cache_dir):
        eviction.trim(store.root, cache_size)
    return Saved(tuple(_saved(plan)), path.stat().st_size if path else laid.layout.size)


def dry_run(
    references: str | Reference | Iterable[str | Reference],
    *,
    platform: str | Platform | Iterable[str | Platform] | None = None,
    all_platforms: bool = False,
    archive_format: str = FORMAT,
    layers: str = LAYERS[0],
    name: str | Reference | None = None,
    base: Iterable[str | os.PathLike[str] | Reference] = (),
    cache_dir: str | os.PathLike[str] | None = None,
    strict: bool = False,
    access: Access | None = None,
    patience: Patience | None = None,
    timeout: float = READ_TIMEOUT,
    open_registry: Callable[[str], Source] | None = None,
) -> Forecast:
    """Return what `save` would cost, of whose arguments these are; no layer is fetched, no archive is written.

    Raises:
        ImgfetchError: as for `save`.
        ValueError: options contradict each other.
    """
    wanted = _wanted(
        references,
        platform=platform,
        all_platforms=all_platforms,
        archive_format=archive_format,
        layers=layers,
        name=name,
        base=base,
        source_date_epoch=MTIME,
    )
    oddities, patience = Oddities(strict=strict), (patience or Patience()).renewed()
    with ExitStack() as stack:
        store = open_store(stack, cache_dir)
        registry = mirrored.open_source(
            stack,
            access or Access(),
            oddities=oddities,
            patience=patience,
            timeout=timeout,
            open_registry=open_registry,
        )
        plan = planned(wanted, registry, Resolver(registry, store, oddities, patience))
        from imgfetch.pull.forecast import forecast  # noqa: PLC0415  # a save does not wait for it

        return forecast(plan, registry.pulls_left)


def _wanted(
    references: str | Reference | Iterable[str | Reference],
    *,
    platform: str | Platform | Iterable[str | Platform] | None,
    all_platforms: bool,
    archive_format: str,
    layers: str,
    name: str | Reference | None,
    base: Iterable[str | os.PathLike[str] | Reference],
    source_date_epoch: int,
) -> Wanted:
    """Read and compare arguments.

    Raises:
        ValueError: they make no sense.
        ImgfetchError: a name or platform is malformed.
    """
    if not 0 <= source_date_epoch <= MAX_OCTAL:
        raise ValueError(f"source_date_epoch must be from 0 to {MAX_OCTAL}, not {source_date_epoch}")
    if layers not in LAYERS:
        raise ValueError(f"layers must be one of {', '.join(LAYERS)}, not {layers}")
    form = FORMATS[archive_format]
    wanted = Wanted(
        tuple(_parsed(reference) for reference in _several(references)),
        form,
        tuple(dict.fromkeys(Platform.parse(each) if isinstance(each, str) else each for each in _several(platform))),
        has_all=all_platforms,
        is_plain=form.is_uncompressed or layers != LAYERS[0],
        name=_parsed(name) if name is not None else None,
        bases=tuple(_base(each) for each in base),
        mtime=source_date_epoch,
    )
    if form.has_one_platform and (all_platforms or len(wanted.platforms) > 1):
        raise ValueError(f"an archive in the format {archive_format} holds one platform")
    if wanted.bases and wanted.is_plain:
        raise ValueError("an archive that leaves layers out has the others as the registry has them")
    if wanted.name and wanted.name.digest:
        raise InvalidReferenceError(f"{wanted.name} has a digest, which is no name in an archive")
    return wanted


def _earlier(path: Path) -> Earlier | None:
    from imgfetch.pull.unchanged import Earlier  # noqa: PLC0415  # most saves need none

    return Earlier.at(path)


def _several(one_or_more: str | _T | Iterable[str | _T] | None) -> list[str | _T]:
    """Return a single thing, or several, as a list."""
    if one_or_more is None:
        return []
    if isinstance(one_or_more, (str, Reference, Platform)):
        return [one_or_more]
    return list(one_or_more)


def _base(base: str | os.PathLike[str] | Reference) -> Reference | Path:
    """Tell a file from a reference."""
    if isinstance(base, str) and not looks_like_file(base):
        return _parsed(base)
    return base.with_default_tag() if isinstance(base, Reference) else Path(base)


def _parsed(reference: str | Reference) -> Reference:
    parsed = Reference.parse(reference) if isinstance(reference, str) else reference
    return parsed.with_default_tag()


def _saved(plan: Plan) -> Iterator[SavedImage]:
    for selection in plan.selections:
        index = selection.root.digest if selection.indexes else None
        for image in selection.images:
            manifest = image.manifest
            yield SavedImage(
                selection.references,
                manifest.descriptor.digest,
                manifest.config.digest,
                image.config.platform,
                index,
            )


def _warn(plan: Plan, laid: Laid, downloads: Downloads) -> None:
    """Say what somebody may stumble over on the far side: layers in zstd (L06), and digests that are lost."""
    for selection in plan.selections:
        digests = {layer.digest for image in selection.images for layer in image.manifest.layers} - laid.plain
        found = (downloads.contents.get(digest) for digest in digests)
        if any(contents and contents.compression == "zstd" for contents in found):
            _logger.warning(
                "%s has layers in zstd, which docker before 23 and containerd before 1.5 cannot load; "
                "--layers plain makes an archive that they can",
                selection.references[0],
            )
    here = {selection.root.digest for selection in laid.selections}
    for selection in plan.selections:
        if selection.root.digest not in here:
            _logger.warning(
                "%s stands with decompressed layers in the archive, and so under another digest than the registry's %s",
                selection.references[0],
                selection.root.digest,
            )
