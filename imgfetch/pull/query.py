"""What can be asked without fetching a layer: the digest of a reference, the tags of a repository."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace

from imgfetch.defaults import READ_TIMEOUT
from imgfetch.http.retries import Patience
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Source
from imgfetch.pull.resolve import Resolver
from imgfetch.registry import mirrored
from imgfetch.registry.access import Access
from imgfetch.store.blobs import open_store
from imgfetch.tolerance import Oddities


def pin(
    references: Iterable[str | Reference],
    *,
    platform: str | Platform | None = None,
    access: Access | None = None,
    patience: Patience | None = None,
    timeout: float = READ_TIMEOUT,
    strict: bool = False,
    open_registry: Callable[[str], Source] | None = None,
) -> tuple[Reference, ...]:
    """Return references with the digests that they have now, at the cost of one request each.

    Args:
        references: images, or indexes of several platforms.
        platform: the machine whose manifest is to be named; by default what the name itself points at, which is the
            same for every machine.
        access: logins, certificates, proxies and mirrors; by default none.
        patience: how often and how long to try again what may succeed later.
        timeout: seconds between two bytes at most.
        strict: raise an error for oddities that are otherwise logged as warnings.
        open_registry: opens the registry of a name; by default a :class:`Registry`.

    Raises:
        ImgfetchError: as for `save`.
    """
    parsed = [Reference.parse(each) if isinstance(each, str) else each for each in references]
    wanted = Platform.parse(platform) if isinstance(platform, str) else platform
    oddities, patience = Oddities(strict=strict), (patience or Patience()).renewed()
    with ExitStack() as stack:
        registry = mirrored.open_source(
            stack,
            access or Access(),
            oddities=oddities,
            patience=patience,
            timeout=timeout,
            open_registry=open_registry,
        )
        resolver = Resolver(registry, open_store(stack, None), oddities, patience)
        return tuple(_pinned(resolver, reference.with_default_tag(), wanted) for reference in parsed)


def tags(
    repository: str | Reference,
    *,
    access: Access | None = None,
    patience: Patience | None = None,
    timeout: float = READ_TIMEOUT,
    strict: bool = False,
) -> tuple[str, ...]:
    """Return all tags of a repository, in the registry's order; mirrors are not asked, for they may have only some.

    Args:
        repository: such as ``quay.io/x/y``.
        access: logins, certificates and proxies; by default none.
        patience: how often and how long to try again what may succeed later.
        timeout: seconds between two bytes at most.
        strict: raise an error for oddities that are otherwise logged as warnings.

    Raises:
        NotFoundError: there is no such repository.
        ImgfetchError: as for `save`.
    """
    reference = Reference.parse(repository) if isinstance(repository, str) else repository
    oddities, patience = Oddities(strict=strict), (patience or Patience()).renewed()
    with ExitStack() as stack:
        registry = mirrored.open_source(
            stack, access or Access(), oddities=oddities, patience=patience, timeout=timeout
        )
        return tuple(dict.fromkeys(registry.tags(reference)))


def natural(text: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Return a key by which 1.9 comes before 1.10; of two that differ only in zeros, the text decides."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts), text


def _pinned(resolver: Resolver, reference: Reference, platform: Platform | None) -> Reference:
    found = resolver.document(reference)
    if platform is None:
        return replace(reference, digest=found.descriptor.digest)
    image = resolver.chosen(found, reference, platform)
    return replace(reference, digest=image.manifest.descriptor.digest)
