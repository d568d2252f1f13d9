"""Registries and their mirrors, each opened with what is its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from imgfetch.defaults import CONNECT_TIMEOUT
from imgfetch.http.retries import Patience
from imgfetch.oci.source import Source
from imgfetch.registry.access import Access
from imgfetch.registry.client import Registry
from imgfetch.registry.mirror_rules import Place
from imgfetch.registry.mirrored import Mirrored
from imgfetch.tolerance import Oddities

_MIRROR_CONNECT_TIMEOUT = 5.0
"""Seconds for a connection to a mirror, for there is somebody else to ask (P08)."""


def opened(
    stack: ExitStack,
    access: Access,
    *,
    oddities: Oddities,
    patience: Patience,
    timeout: float,
    open_registry: Callable[[str], Source] | None = None,
) -> Mirrored:
    """Return what asks each registry, and its mirrors before it; each is opened when it is asked first.

    Args:
        stack: closes what was opened.
        access: logins, certificates, proxies and mirrors.
        oddities: told of what is tolerated.
        patience: how often and how long to try.
        timeout: seconds between two bytes at most.
        open_registry: opens the registry of a name; by default a `Registry`.
    """

    def open_place(place: Place) -> Source:
        if open_registry is not None:
            return open_registry(place.registry)
        own = access
        if place.insecure:
            own = replace(own, trust=replace(own.trust, insecure=own.trust.insecure | {place.registry}))
        if place.is_mirror:
            own = replace(own, credentials=own.credentials.without_explicit(), plain_http=False)
        registry = Registry(
            place.registry,
            access=own,
            scheme=place.scheme,
            connect_timeout=_MIRROR_CONNECT_TIMEOUT if place.is_mirror else CONNECT_TIMEOUT,
            timeout=timeout,
            oddities=oddities,
            patience=Patience(retries=0) if place.is_mirror else patience,  # there is somebody else to ask (P84)
        )
        return stack.enter_context(registry)

    return Mirrored(access.mirrors, open_place)
