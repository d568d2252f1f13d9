"""From references to an archive."""

from __future__ import annotations

import errno
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from imgfetch import eviction, registries, room
from imgfetch.access import Access
from imgfetch.archive import CAN_PUT, Layout
from imgfetch.blobs import BlobStore
from imgfetch.defaults import CACHE_SIZE, FORMAT, JOBS, MAX_LAYER, MTIME, READ_TIMEOUT
from imgfetch.digest import Digest
from imgfetch.downloads import Abortable, Downloads, Layer, distinct, largest_first, layers_of
from imgfetch.errors import InvalidReferenceError, StorageError
from imgfetch.files import storing
from imgfetch.formats import FORMATS, Format
from imgfetch.image import Image
from imgfetch.oddities import Oddities
from imgfetch.output import opened, regular
from imgfetch.platforms import Platform
from imgfetch.progress import Item, Progress
from imgfetch.reference import Reference
from imgfetch.resolve import Resolver
from imgfetch.retries import Patience
from imgfetch.ustar import MAX_OCTAL
from imgfetch.workspace import STORE, beside

_NOT_WRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image in an archive.

    Attributes:
        references: what it is called there.
        digest: its manifest's digest in the registry.
        image_id: its config's digest; what `docker load` prints.
        platform: the machine that it is for.
    """

    references: tuple[Reference, ...]
    digest: Digest
    image_id: Digest
    platform: Platform


@dataclass(frozen=True, slots=True)
class Saved:
    """An archive.

    Attributes:
        images: what it holds.
        size: its length in bytes.
    """

    images: tuple[SavedImage, ...]
    size: int


def save(
    references: str | Reference | Iterable[str | Reference],
    output: str | os.PathLike[str] | BinaryIO,
    *,
    platform: str | Platform | None = None,
    archive_format: str = FORMAT,
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
    open_registry: Callable[[str], Abortable] | None = None,
) -> Saved:
    """Pull images, verify every byte of them, and write one archive.

    On failure there is nothing new under the name of ``output``, and what stood there before is as it was; a
    stream has been given verified bytes only, and no end of the archive.

    Args:
        references: what to pull, as for ``docker pull``; a single one or several.
        output: a path, or a binary stream, which needs no more than ``write``.
        platform: the machine that the images are for, such as ``linux/arm64``.  By default linux on this machine's
            architecture, and then an image that has no choice of platforms is taken whatever it is for.
        archive_format: ``docker``, the one that ``docker load`` and all others read.
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
        ValueError: a number is out of its range.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be 1 or more, not {jobs}")
    if not 0 <= source_date_epoch <= MAX_OCTAL:
        raise ValueError(f"source_date_epoch must be from 0 to {MAX_OCTAL}, not {source_date_epoch}")
    parsed = [_parsed(reference) for reference in _several(references)]
    wanted = Platform.parse(platform) if isinstance(platform, str) else platform
    form = FORMATS[archive_format]
    oddities = Oddities(strict=strict)
    progress = progress or Progress()
    access, patience = access or Access(), (patience or Patience()).renewed()
    path = regular(output)
    with ExitStack() as stack:
        workspace = stack.enter_context(beside(path)) if path else None
        store = _store(stack, cache_dir, workspace)
        registry = registries.opened(
            stack, access, oddities=oddities, patience=patience, timeout=timeout, open_registry=open_registry
        )
        plan = _plan(
            parsed,
            wanted,
            form=form,
            mtime=source_date_epoch,
            registry=registry,
            resolver=Resolver(registry, store, oddities, patience),
        )
        store.reserve(layer.descriptor.digest for layer in plan.layers)
        missing = store.bytes_missing(layer.descriptor for layer in plan.layers)
        size = plan.layout.size
        room.check([(store.root, missing, "layers"), *([(path.parent, size, "the archive")] if path else [])])
        out = stack.enter_context(opened(output, workspace))
        progress.planned(plan.items)
        if path is not None:
            plan.layout.scaffold(out)
        with Downloads(
            plan.layers if path is None else largest_first(plan.layers),
            store,
            jobs=jobs,
            progress=progress,
            oddities=oddities,
            patience=patience,
            max_layer_size=max_layer_size,
            copy=_copier(plan.layout, path, out) if path is not None and CAN_PUT else None,
        ) as downloads:
            if path is None:
                _stream(plan.layout, store, downloads, out)
            else:
                _fill(plan, store, downloads, out)
    if cache_dir is not None and store.root == Path(cache_dir):
        eviction.trim(store.root, cache_size)
    return Saved(tuple(_saved(image) for image in plan.images), size)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What an archive will hold, and what has to be brought for it."""

    images: tuple[Image, ...]
    layers: tuple[Layer, ...]
    layout: Layout

    @property
    def items(self) -> list[Item]:
        return [Item(str(layer.descriptor.digest), layer.descriptor.size) for layer in self.layers]


def _stream(layout: Layout, store: BlobStore, downloads: Downloads, out: BinaryIO) -> None:
    """Write the archive in order, each blob when it is in the store."""

    def open_blob(digest: Digest) -> BinaryIO:
        downloads.wait(digest)
        return store.open(digest)

    layout.stream(open_blob, out)


def _fill(plan: _Plan, store: BlobStore, downloads: Downloads, out: BinaryIO) -> None:
    """Write into a file what `_copier` does not."""
    here = plan.layout.blobs - {layer.descriptor.digest for layer in plan.layers}
    for digest in chain(here, downloads.arrivals()):
        if not downloads.has_copied(digest):
            with store.open(digest) as blob:
                plan.layout.place(digest, blob, out)


def _copier(layout: Layout, path: Path, out: BinaryIO) -> Callable[[Digest, int, bytes], None]:
    """Return what writes a layer into the file for ``path`` while it comes, which has no name that anybody reads."""

    def copy(digest: Digest, position: int, data: bytes) -> None:
        with storing(path, "write"):
            layout.put(digest, position, data, out)

    return copy


def _plan(
    references: Sequence[Reference],
    platform: Platform | None,
    *,
    form: Format,
    mtime: int,
    registry: Abortable,
    resolver: Resolver,
) -> _Plan:
    """Find the images, and lay out the archive."""
    images: list[Image] = []
    layers: list[Layer] = []
    for reference in references:
        image = resolver.resolve(reference, platform)
        images.append(image)
        layers += layers_of(image, registry)
    merged = _merged(images)
    return _Plan(merged, distinct(layers), Layout(form.members(merged), mtime=mtime))


def _several(references: str | Reference | Iterable[str | Reference]) -> list[str | Reference]:
    return [references] if isinstance(references, (str, Reference)) else list(references)


def _parsed(reference: str | Reference) -> Reference:
    parsed = Reference.parse(reference) if isinstance(reference, str) else reference
    return parsed.with_default_tag()


def _merged(images: Sequence[Image]) -> tuple[Image, ...]:
    """Make one of images that are the same but for their names.

    Raises:
        InvalidReferenceError: two different images would have the same name.
    """
    merged: dict[Digest, Image] = {}
    names: dict[str, Digest] = {}
    for image in images:
        digest = image.manifest.descriptor.digest
        first = merged.get(digest)
        merged[digest] = replace(first, references=first.references + image.references) if first else image
        for name in image.tagged_names:
            if names.setdefault(name, digest) != digest:
                raise InvalidReferenceError(f"two different images would be called {name}")
    return tuple(merged.values())


def _saved(image: Image) -> SavedImage:
    manifest = image.manifest
    return SavedImage(image.references, manifest.descriptor.digest, manifest.config.digest, image.config.platform)


def _store(stack: ExitStack, cache_dir: str | os.PathLike[str] | None, workspace: Path | None) -> BlobStore:
    """Return the cache where it can be used, or else a store of this run's own, beside the output if that is a file."""
    if cache_dir is not None:
        store = BlobStore(Path(cache_dir))
        stack.callback(store.close)
        try:
            store.prepare()
        except StorageError as error:
            if not (isinstance(error.__cause__, OSError) and error.__cause__.errno in _NOT_WRITABLE):
                raise
            _logger.warning("%s; going on without a cache", error)
        else:
            return store
    directory = workspace / STORE if workspace else None
    if directory is None:
        with storing(Path(tempfile.gettempdir()), "write to"):
            temporary = tempfile.TemporaryDirectory(prefix="imgfetch-", ignore_cleanup_errors=True)
        directory = Path(stack.enter_context(temporary))
    store = BlobStore(directory)
    stack.callback(store.close)
    store.prepare()
    return store
