"""The operations on registries, with the settings that they share."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Unpack

from imgfetch.archive.compressed import looks_like_file
from imgfetch.archive.output import Output, opened, regular
from imgfetch.defaults import CACHE_SIZE, CONNECT_TIMEOUT, JOBS, MAX_LAYER, READ_TIMEOUT, RETRIES
from imgfetch.files import storage_errors
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci import names
from imgfetch.oci.names import ImageRequest, Platforms, References
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Source
from imgfetch.progress import Progress
from imgfetch.pull import together
from imgfetch.pull.downloads import Downloads
from imgfetch.pull.inspection import Inspected, inspect_file, inspect_reference
from imgfetch.pull.make_plan import make_plan
from imgfetch.pull.plan import ArchiveOptions, SaveRequest
from imgfetch.pull.quota import Quota
from imgfetch.pull.resolve import Resolver
from imgfetch.pull.results import Forecast, Saved, finish, forecast
from imgfetch.pull.tally import Tally
from imgfetch.pull.write import ExistingArchive, Writer
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.client import Registry
from imgfetch.registry.endpoints import Endpoint
from imgfetch.registry.mirrored import Mirrored
from imgfetch.registry.server import LIMITS
from imgfetch.store import eviction
from imgfetch.store.blobs import BlobStore
from imgfetch.store.folder import Folder
from imgfetch.store.workspace import beside, temporary
from imgfetch.tolerance import Tolerance

OpenRegistry = Callable[[str], Source]

_MIRROR_CONNECT_TIMEOUT = 5.0
"""Seconds for a connection to a mirror, because another endpoint follows."""


class DryRunOptions(ArchiveOptions, total=False):
    """The optional arguments of `Client.dry_run`, for functions that pass them on."""

    cache_dir: str | os.PathLike[str] | None


class SaveOptions(DryRunOptions, total=False):
    """The optional arguments of `Client.save`, for functions that pass them on."""

    if_changed: bool
    jobs: int
    cache_size: int
    max_layer_size: int
    progress: Progress | None


class Client:
    """Access to registries.  Its methods may be called from several threads, and keep nothing between calls.

    Args:
        config: credentials, certificates, proxies and mirrors; by default none.  `RegistryConfig.from_environment`
            returns the configuration of docker or podman on this machine.
        retries: the number of attempts after the first one, or a policy that has the longest wait too.
        timeout: the longest time without data, in seconds.
        strict: raise an error for oddities that are otherwise logged as warnings.
        open_registry: opens the registry of a name such as ``quay.io``; by default a :class:`Registry`.

    Raises:
        InvalidReferenceError: a reference is malformed, or two images would have one name.
        InvalidPlatformError: a platform is malformed.
        NotFoundError: there is no such image or repository, or a blob is missing.
        PlatformNotFoundError: the image does not exist for the platform.
        AuthenticationError: access was denied.
        TransportError: a registry does not respond.
        RegistryError: a registry responds with another error.
        VerificationError: content differs from its digest or size, or a file is damaged.
        UnsupportedError: the reference names no image, or one that cannot be read.
        StorageError: the disk is full or not writable, or a file cannot be read.
        ValueError: the list of references is empty, there are several platforms for one image, a value is out of its
            range, or options contradict each other.
    """

    def __init__(
        self,
        config: RegistryConfig | None = None,
        *,
        retries: RetryPolicy | int | None = None,
        timeout: float = READ_TIMEOUT,
        strict: bool = False,
        open_registry: OpenRegistry | None = None,
    ) -> None:
        self._config = config or RegistryConfig()
        if retries is None or isinstance(retries, int):
            retries = RetryPolicy(retries=RETRIES if retries is None else retries, timeout=timeout)
        self._retries = retries
        self._timeout = timeout
        self._strict = strict
        self._open_registry = open_registry

    def save(
        self,
        references: References,
        output: Output,
        *,
        if_changed: bool = False,
        jobs: int = JOBS,
        cache_dir: str | os.PathLike[str] | None = None,
        cache_size: int = CACHE_SIZE,
        max_layer_size: int = MAX_LAYER,
        progress: Progress | None = None,
        **archive: Unpack[ArchiveOptions],
    ) -> Saved:
        """Download images, verify every byte of them, and write one archive.

        If anything fails, an existing file is left untouched and no other appears.  A stream has been given verified
        bytes only, and is empty, or ends within a member or its header.

        Args:
            references: one or many images, named as for ``docker pull``.
            output: a path, or a binary stream, which needs no method but ``write``.  A path that ends in ``.tar.gz``,
                ``.tgz`` or ``.tar.zst`` is compressed.
            if_changed: leave a file untouched that is byte-for-byte the archive.
            jobs: the number of layers that are downloaded at a time.
            cache_dir: a directory that keeps verified blobs for the next run.  Without it only a failed save keeps
                them, beside ``output``.
            cache_size: the size of the cache in bytes; the least recently used blobs are evicted.
            max_layer_size: the size of a decompressed layer in bytes, at most.
            progress: is called as the save advances.
            **archive: options of the archive:

                - ``platform``: one or many platforms, such as ``linux/arm64``.  By default linux on this machine's
                  architecture; an image that exists for one other platform only is then saved with a warning.
                - ``all_platforms``: keep everything that an index lists; ``platform`` is then the one for readers that
                  know only one.
                - ``keep_index``: keep an index as it is, with the images for ``platform`` only, so that its digest
                  identifies them; ``ctr images import --all-platforms``, kind and k3s reject such an archive.
                - ``archive_format``: ``docker``, which ``docker load`` and all others read, ``docker-classic`` or
                  ``oci``.
                - ``layers``: ``original``, as the registry has them, or ``plain``, decompressed.
                - ``name``: the image's name in the archive, if not its reference.
                - ``base``: one or many archives, by path, or references.  Their layers are left out, because the target
                  host has them.
                - ``source_date_epoch``: the time of every entry, in seconds since 1970.
                - ``keep_going``: leave out images that cannot be found or are broken, unless all are;
                  :attr:`Saved.failures` has their errors.
        """
        if jobs < 1:
            raise ValueError(f"jobs must be 1 or more, not {jobs}")
        request = SaveRequest.parse(references, **archive)
        progress = tally = Tally(progress or Progress())
        with ExitStack() as stack:
            path = regular(output)
            stream = None if path else stack.enter_context(opened(output, None))
            workspace = stack.enter_context(beside(path)) if path else None
            spare = (lambda: workspace.folder) if workspace else None
            resolver, registry = self._open(stack, cache_dir, spare, is_serial=jobs == 1)
            store = resolver.store
            existing = ExistingArchive.at(path, store) if path and if_changed else None
            resolver.expects_documents = existing is not None
            plan = make_plan(request, resolver, progress, is_serial=jobs == 1)
            if existing and existing.has(plan, store):
                return Saved.of(plan, existing.path.stat().st_size, is_unchanged=True)
            writer = Writer(plan, store, path)
            layout = writer.prepare()
            out = stream or stack.enter_context(opened(output, workspace and workspace.folders))
            progress.planned(plan.items)
            with Downloads(
                writer.layers,
                resolver.source,
                store,
                jobs=jobs,
                progress=progress,
                tolerance=resolver.tolerance,
                retries=resolver.retries,
                max_layer_size=max_layer_size,
                copy=writer.copier(layout, out),
            ) as downloads:
                final = writer.transfer(layout, downloads, out, jobs=jobs)
            size = _size(out) if path else final.tar.size
        if store.uses_cache:
            eviction.trim(store.root, cache_size)
        saved = finish(plan, final, downloads.contents, size, registry.received)
        return replace(saved, downloaded=tally.downloaded, cached=tally.cached)

    def dry_run(
        self,
        references: References,
        *,
        cache_dir: str | os.PathLike[str] | None = None,
        **archive: Unpack[ArchiveOptions],
    ) -> Forecast:
        """Return the cost of a `save`, whose arguments it has; no layer is fetched, no archive written."""
        request = SaveRequest.parse(references, **archive)
        with ExitStack() as stack:
            resolver, registry = self._open(stack, cache_dir)
            plan = make_plan(request, resolver)
            return forecast(plan, resolver.store, registry.pulls_left)

    def pin(self, references: References, *, platform: Platforms | None = None) -> tuple[Reference, ...]:
        """Return references with the digests that they have now.

        Each costs one request, and no pull at Docker Hub.  A digest is the registry's statement; whatever is fetched by
        it later is verified.  With ``platform`` or ``strict``, the documents are fetched and verified.

        Args:
            references: one or many images, or indexes of several platforms; their own platforms are for `save`.
            platform: return the digest of the image for this platform.  By default it is that of the index, which is
                the same on every machine.
        """
        images, wanted = names.images(references), names.platform(platform)
        with ExitStack() as stack:
            resolver, _ = self._open(stack)
            quota = Quota(resolver.source, (image.reference for image in images))

            def pin(image: ImageRequest) -> Reference:
                quota.began(image.reference)
                found = _pinned(image.reference, wanted, resolver)
                quota.check()
                return found

            return tuple(reference for _, reference in together.each(images, pin, stop=resolver.stop))

    def tags(self, repository: str | Reference) -> tuple[str, ...]:
        """Return all tags of a repository, such as ``quay.io/x/y``, in the registry's order.

        Mirrors are skipped, as they may have only some.
        """
        reference = names.reference(repository)
        with ExitStack() as stack:
            registry = self._registry(stack, Tolerance(strict=self._strict), self._retries.fresh())
            return tuple(dict.fromkeys(registry.tags(reference)))

    def inspect(self, target: str | Reference | Path, *, platform: Platforms | None = None) -> Inspected:
        """Return the description of an image, or of the images in a file.

        Args:
            target: a reference; or a file: a path, or a text that names a file or ends like an archive's name.
            platform: the image's platform; by default linux on this machine's architecture, and for a file all images.
        """
        wanted = names.platform(platform)
        if isinstance(target, Path) or (isinstance(target, str) and looks_like_file(target)):
            return inspect_file(Path(target), wanted)
        reference = names.reference(target).with_default_tag()
        with ExitStack() as stack:
            resolver, _ = self._open(stack)
            return inspect_reference(reference, wanted, resolver)

    def _open(
        self,
        stack: ExitStack,
        cache_dir: str | os.PathLike[str] | None = None,
        spare: Callable[[], Folder] | None = None,
        *,
        is_serial: bool = False,
    ) -> tuple[Resolver, Mirrored]:
        """Open a store and the registries for one call; the stack closes them.

        ``spare`` returns the directory that is used without a cache, by default a temporary one.  ``is_serial`` asks
        one mirror or registry after the other.
        """
        store = BlobStore(
            None if cache_dir is None else Path(cache_dir), spare or (lambda: stack.enter_context(temporary()))
        )
        stack.callback(store.close)
        store.prepare()
        tolerance, retries = Tolerance(strict=self._strict), self._retries.fresh()
        registry = self._registry(stack, tolerance, retries, is_serial=is_serial)
        return Resolver(registry, store, tolerance, retries), registry

    def _registry(
        self, stack: ExitStack, tolerance: Tolerance, retries: RetryPolicy, *, is_serial: bool = False
    ) -> Mirrored:
        """Return a source of all registries and their mirrors, each of which is opened at its first request."""

        def open_endpoint(endpoint: Endpoint) -> Source:
            if self._open_registry is not None:
                return self._open_registry(endpoint.registry)
            registry = Registry(
                endpoint.registry,
                access=self._config.at(endpoint),
                scheme=endpoint.scheme,
                path=endpoint.path,
                namespace=endpoint.namespace,
                headers=endpoint.headers,
                connect_timeout=_MIRROR_CONNECT_TIMEOUT if endpoint.is_mirror else CONNECT_TIMEOUT,
                timeout=self._timeout,
                pause=LIMITS.upstream if endpoint.is_mirror else self._timeout,
                tolerance=tolerance,
                patience=RetryPolicy(retries=0, max_wait=retries.max_wait) if endpoint.is_mirror else retries,
            )
            return stack.enter_context(registry)

        return Mirrored(self._config.mirrors, open_endpoint, is_serial=is_serial, limits=LIMITS)


def _size(file: BinaryIO) -> int:
    with storage_errors("the output", "write"):
        file.flush()
        return os.fstat(file.fileno()).st_size


def _pinned(reference: Reference, platform: Platform | None, resolver: Resolver) -> Reference:
    if platform is None:
        return replace(reference, digest=resolver.digest(reference))
    image = resolver.chosen(resolver.document(reference), reference, platform)
    return replace(reference, digest=image.manifest.descriptor.digest)
