"""The store and the registries, with their mirrors, of one call of a `Client`."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from imgfetch.http.ratelimit import RateLimit
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci.source import Source
from imgfetch.pull.resolve import Resolver
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.endpoints import Endpoint
from imgfetch.registry.mirrored import Mirrored
from imgfetch.registry.opening import registry_at
from imgfetch.registry.server import LIMITS
from imgfetch.store.blobs import BlobStore
from imgfetch.store.folder import Folder
from imgfetch.store.workspace import temporary
from imgfetch.tolerance import Tolerance

OpenRegistry = Callable[[str], Source]


class Session(NamedTuple):
    """A resolver with the registries and the store that it uses."""

    resolver: Resolver
    registry: Mirrored

    @property
    def store(self) -> BlobStore:
        """The store."""
        return self.resolver.store


@dataclass(frozen=True, eq=False, repr=False)
class Sessions:
    """Opens sessions, with the settings of a `Client`, which documents them."""

    config: RegistryConfig
    retries: RetryPolicy
    timeout: float
    is_strict: bool
    open_registry: OpenRegistry | None

    def open(
        self,
        stack: ExitStack,
        cache_dir: str | os.PathLike[str] | None = None,
        spare: Callable[[], Folder] | None = None,
        *,
        is_serial: bool = False,
        rate_limit: RateLimit | None = None,
    ) -> Session:
        """Open a store and the registries for one call; the stack closes them.

        ``spare`` returns the directory that is used without a cache, by default a temporary one.  ``is_serial`` asks
        one mirror or registry after the other; ``rate_limit`` is for all of them together.
        """
        store = BlobStore(
            None if cache_dir is None else Path(cache_dir), spare or (lambda: stack.enter_context(temporary()))
        )
        stack.callback(store.close)
        store.prepare()
        tolerance, retries = Tolerance(strict=self.is_strict), self.retries.fresh()
        registry = self.registries(stack, tolerance, retries, is_serial=is_serial, rate_limit=rate_limit)
        return Session(Resolver(registry, store, tolerance, retries), registry)

    def registries(
        self,
        stack: ExitStack,
        tolerance: Tolerance | None = None,
        retries: RetryPolicy | None = None,
        *,
        is_serial: bool = False,
        rate_limit: RateLimit | None = None,
    ) -> Mirrored:
        """Return a source of all registries and their mirrors, each of which is opened at its first request."""
        tolerance, retries = tolerance or Tolerance(strict=self.is_strict), retries or self.retries.fresh()

        def open_endpoint(endpoint: Endpoint) -> Source:
            if self.open_registry is not None:
                return self.open_registry(endpoint.registry)
            registry = registry_at(
                endpoint,
                self.config,
                retries=retries,
                timeout=self.timeout,
                tolerance=tolerance,
                rate_limit=rate_limit,
            )
            return stack.enter_context(registry)

        return Mirrored(self.config.mirrors, open_endpoint, is_serial=is_serial, limits=LIMITS, rate_limit=rate_limit)
