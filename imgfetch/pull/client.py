"""The operations on registries, with the settings that they share."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from imgfetch.archive.compressed import looks_like_file
from imgfetch.archive.output import Output
from imgfetch.defaults import LAYERS, READ_TIMEOUT, RETRIES
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci import names
from imgfetch.oci.names import ImageRequest, Platforms, References
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.progress import Progress
from imgfetch.pull import together
from imgfetch.pull.forecast import Forecast, forecast
from imgfetch.pull.make_plan import make_plan
from imgfetch.pull.plan import ArchiveOptions, SaveRequest
from imgfetch.pull.quota import Quota
from imgfetch.pull.resolve import Resolver
from imgfetch.pull.results import Saved
from imgfetch.pull.save import Saving, save
from imgfetch.pull.save_each import SavedEach, save_each
from imgfetch.pull.session import OpenRegistry, Sessions
from imgfetch.registry.access import RegistryConfig
from imgfetch.store.workspace import kept

if TYPE_CHECKING:
    from imgfetch.archive.streams import Source
    from imgfetch.pull.inspection import Inspected
    from imgfetch.pull.patch import Reading, SavedPatch
    from imgfetch.upload.results import Pushed
    from imgfetch.upload.session import PushOptions


class _CommonOptions(ArchiveOptions, total=False):
    cache_dir: str | os.PathLike[str] | None
    progress: Progress | None


class DryRunOptions(_CommonOptions, total=False):
    """The optional arguments of `Client.dry_run`, for functions that pass them on."""

    output: str | os.PathLike[str] | None
    patch_from: str | os.PathLike[str] | None


class SaveOptions(_CommonOptions, total=False):
    """The optional arguments of `Client.save`, for functions that pass them on."""

    if_changed: bool
    jobs: int
    limit_rate: int | None
    connections: int
    cache_size: int
    max_layer_size: int


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
        if retries is None or isinstance(retries, int):
            retries = RetryPolicy(retries=RETRIES if retries is None else retries, timeout=timeout)
        self._sessions = Sessions(config or RegistryConfig(), retries, timeout, strict, open_registry)

    def save(
        self,
        references: References,
        output: Output,
        **options: Unpack[SaveOptions],
    ) -> Saved:
        """Download images, verify every byte of them, and write one archive.

        If anything fails, an existing file is left untouched and no other appears.  A stream has been given verified
        bytes only, and is empty, or ends within a member or its header.

        Args:
            references: one or many images, named as for ``docker pull``.
            output: a path, or a binary stream, which needs no method but ``write``.  A path that ends in ``.tar.gz``,
                ``.tgz`` or ``.tar.zst`` is compressed.
            **options: these:

                - ``if_changed``: leave a file untouched that is byte-for-byte the archive.
                - ``jobs``: the number of layers that are downloaded at a time, by default 4; small ones may be eight,
                  and with 1 there is one request at a time.
                - ``limit_rate``: the bytes a second of all connections together, at least 1000; by default there is no
                  limit.
                - ``connections``: the connections to one registry or mirror, at most, by default 8: a large layer comes
                  over several while that is faster.  With 1, or one job, there is one for each layer.
                - ``cache_dir``: a directory that keeps verified blobs for the next run.  Without it only a failed save
                  keeps them, beside ``output``.
                - ``cache_size``: the size of the cache in bytes; the least recently used blobs are evicted.
                - ``max_layer_size``: the size of a decompressed layer in bytes, at most.
                - ``progress``: is called as the save advances.
                - ``platform``: one or many platforms, such as ``linux/arm64``.  By default linux on this machine's
                  architecture; an image that exists for one other platform only is then saved with a warning.
                - ``all_platforms``: keep everything that an index lists; ``platform`` is then the one for readers that
                  know only one.
                - ``keep_index``: keep an index as it is, with the images for ``platform`` only, so that its digest
                  identifies them; ``ctr images import --all-platforms``, kind and k3s reject such an archive.
                - ``signatures``: also save cosign's and notation's signatures and attestations, if there are any.
                - ``referrers``: also save everything that refers to the image or its index, signatures included.
                - ``policy``: the keys and identities that must have signed each image, by signatures at the registry;
                  see `imgfetch.load_policy`.
                - ``archive_format``: ``docker``, which ``docker load`` and all others read, ``docker-classic`` or
                  ``oci``.
                - ``layers``: ``original``, as the registry has them, or ``plain``, decompressed.
                - ``name``: the image's name in the archive, if not its reference.
                - ``base``: one or many archives, by path, or references.  Their layers are left out, because the target
                  host has them.
                - ``source_date_epoch``: the time of every entry, in seconds since 1970.
                - ``zstd_window``: the bytes, from 1 MiB to 2 GiB, to which content of a ``.tar.zst`` may refer back,
                  rounded up to a power of two; by default 128 MiB, because some readers refuse more.
                - ``keep_going``: leave out images that cannot be found or are broken, unless all are;
                  :attr:`Saved.failures` has their errors.
        """
        return save(self._saving(references, options), output)

    def save_each(
        self,
        references: References,
        directory: str | os.PathLike[str],
        *,
        saved: Callable[[Path, Saved], object] = lambda *_: None,
        **options: Unpack[SaveOptions],
    ) -> SavedEach:
        """Write an archive for each image into a directory, with a file ``SHA256SUMS``.

        All images are resolved before the first layer is downloaded, and a layer of several images is downloaded once.
        If anything fails, the archives that are complete stay, ``SHA256SUMS`` is missing, and no other file changes.

        Args:
            references: images; the name of an archive is that of the image, such as ``quay.io_team_app_1.tar``.
            directory: the directory, which is created.
            saved: is called with each archive's path when it is complete, from any thread, but one call at a time.
            **options: those of `save`.  With ``keep_going``, a layer that fails too affects only the images that have
                it; :attr:`SavedEach.failures` has the errors.
        """
        return save_each(self._saving(references, options), Path(directory), saved)

    def save_patch(
        self,
        references: References,
        old: str | os.PathLike[str],
        output: Output,
        *,
        reading: Reading | None = None,
        **options: Unpack[SaveOptions],
    ) -> SavedPatch:
        """Write a patch that makes the archive of a save with ``layers="plain"`` where the layers of an old one are.

        Layers that the old archive has are not downloaded.  `imgfetch.apply_patch` applies the patch.

        Args:
            references: one or many images.
            old: the path of the archive that the target host has, of any tool; it is verified first.
            output: the patch: a path, or a binary stream, which gets it when it is complete.
            reading: returns a context manager that yields a function, which is called with numbers of bytes; once with
                the name of the old archive while that is verified, and once with the size of the new one.
            **options: those of `save`, but not ``if_changed`` and ``zstd_window``, nor those that need the registry's
                layers, as ``base``.
        """
        from imgfetch.pull.patch import save_patch  # noqa: PLC0415  # other commands make no patch

        if options.get("if_changed"):
            raise ValueError("a patch cannot be compared with the archive that it would make")
        if options.get("zstd_window") is not None:
            raise ValueError("zstd_window is for archives, not for patches")
        options["layers"] = LAYERS[1]
        return save_patch(self._saving(references, options), Path(old), output, reading)

    def dry_run(
        self,
        references: References,
        *,
        output: str | os.PathLike[str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
        patch_from: str | os.PathLike[str] | None = None,
        **archive: Unpack[ArchiveOptions],
    ) -> Forecast:
        """Return the cost of a `save`, whose arguments it has; no layer is fetched, no archive written.

        Without a cache, the partial downloads that a failed save has left beside ``output`` count.  With the archive
        ``patch_from``, it is the cost of a `save_patch`; the layers of that archive are not verified.
        """
        old = None
        if patch_from:
            from imgfetch.patch.foreseen import OldLayers  # noqa: PLC0415

            archive["layers"], old = LAYERS[1], OldLayers.of(Path(patch_from))
        request = SaveRequest.parse(references, **archive)
        with ExitStack() as stack:
            left = stack.enter_context(kept(Path(output))) if output and not cache_dir else None
            session = self._sessions.open(stack, cache_dir, (lambda: left) if left else None)
            plan = make_plan(request, session.resolver, progress)
            return forecast(plan, session.store, session.registry.pulls_left, old)

    def pin(
        self, references: References, *, platform: Platforms | None = None, progress: Progress | None = None
    ) -> tuple[Reference, ...]:
        """Return references with the digests that they have now.

        Each costs one request, and no pull at Docker Hub.  A digest is the registry's statement; whatever is fetched by
        it later is verified.  With ``platform`` or ``strict``, the documents are fetched and verified.

        Args:
            references: one or many images, or indexes of several platforms.
            platform: return the digest of the image for this platform, or for the one that the request for the image
                has.  By default it is that of the index, which is the same on every machine.
            progress: is called as the digests arrive.
        """
        images, wanted = names.images(references), names.platform(platform)
        with ExitStack() as stack:
            resolver = self._sessions.open(stack).resolver
            quota = Quota(resolver.source, (image.reference for image in images))

            def pin(image: ImageRequest) -> Reference:
                quota.began(image.reference)
                found = _pinned(image, wanted, resolver)
                quota.check()
                return found

            pinned = together.each(images, pin, stop=resolver.stop, progress=progress)
            return tuple(reference for _, reference in pinned)

    def tags(self, repository: str | Reference) -> tuple[str, ...]:
        """Return all tags of a repository, such as ``quay.io/x/y``, in the registry's order.

        Mirrors are skipped, as they may have only some.
        """
        reference = names.reference(repository)
        with ExitStack() as stack, together.named(reference):
            return tuple(dict.fromkeys(self._sessions.registries(stack).tags(reference)))

    def inspect(self, target: Reference | Source, *, platform: Platforms | None = None) -> Inspected:
        """Return the description of an image, or of the images in a file.

        Args:
            target: a reference; or a file: a path, an open file that is read once, or a text that names a file or ends
                like an archive's name.
            platform: the image's platform; by default linux on this machine's architecture, and for a file all images.
        """
        from imgfetch.pull.inspection import inspect_file, inspect_reference  # noqa: PLC0415

        wanted = names.platform(platform)
        if not isinstance(target, Reference) and (not isinstance(target, str) or looks_like_file(target)):
            return inspect_file(target, wanted)
        reference = names.reference(target).with_default_tag()
        with ExitStack() as stack, together.named(reference):
            return inspect_reference(reference, wanted, self._sessions.open(stack).resolver)

    def push(self, archive: str | os.PathLike[str], destination: str, **options: Unpack[PushOptions]) -> Pushed:
        """Push all images of an archive to one registry, after every byte of it was verified.

        Digests stay as they are.  What the registry has already is not sent, and tags come last.

        Args:
            archive: a path: an archive of any tool, compressed or not, a pipe, or an OCI image layout.
            destination: ``REGISTRY[/PREFIX]``; ``docker.io/library/alpine:3.20`` becomes
                ``REGISTRY/PREFIX/library/alpine:3.20``.
            **options: these:

                - ``rewrite``: one or many replacements ``OLD=NEW`` of the beginning of a name, such as
                  ``quay.io/x=team/x``, before the prefix is added.
                - ``force``: replace tags that exist with other content, and send whatever is missing of images that the
                  registry seems to have.  Without it, `TagExistsError` is raised before anything is sent.
                - ``allow_digest_change``: push archives that have lost the digests of their origin: those with
                  decompressed layers, and those without manifests, which get new ones.
                - ``dry_run``: only ask the registry for what it lacks.
                - ``jobs``: the number of blobs over 1 MiB that are sent at a time; with 1, there is one request at a
                  time.
                - ``cache_dir``: the directory that keeps the addresses of unfinished uploads for the next run.
                - ``progress``: is called as the push advances.
                - ``reading``: returns a context manager that yields a function, which is called with numbers of bytes
                  while the archive is verified.
        """
        from imgfetch.upload.session import Pusher  # noqa: PLC0415  # other commands send nothing

        sessions = self._sessions
        pusher = Pusher(sessions.config, sessions.retries, timeout=sessions.timeout, is_strict=sessions.is_strict)
        return pusher.push(archive, destination, **options)

    def _saving(self, references: References, options: SaveOptions) -> Saving:
        return Saving.of(references, self._sessions, **options)


def _pinned(image: ImageRequest, platform: Platform | None, resolver: Resolver) -> Reference:
    reference, several = image.reference, image.platforms or (platform,)
    if platform is None or len(several) > 1:  # the index, as only it has several
        return replace(reference, digest=resolver.digest(reference))
    found = resolver.chosen(resolver.document(reference), reference, several[0])
    return replace(reference, digest=found.manifest.descriptor.digest)
