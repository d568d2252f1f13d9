"""The client for an endpoint, with the limits of a mirror or of the registry itself."""

from __future__ import annotations

from imgfetch.defaults import CONNECT_TIMEOUT
from imgfetch.http.ratelimit import RateLimit
from imgfetch.http.retries import RetryPolicy
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.client import Registry
from imgfetch.registry.endpoints import Endpoint
from imgfetch.registry.server import LIMITS
from imgfetch.tolerance import Tolerance

_MIRROR_CONNECT_TIMEOUT = 5.0
"""Seconds for a connection to a mirror, because another endpoint follows."""


def registry_at(
    endpoint: Endpoint,
    config: RegistryConfig,
    *,
    retries: RetryPolicy,
    timeout: float,
    tolerance: Tolerance,
    rate_limit: RateLimit | None = None,
    pushes: bool = False,
) -> Registry:
    """Return a client for an endpoint; ``timeout`` is in seconds, and the other arguments are those of `Registry`."""
    is_mirror = endpoint.is_mirror
    return Registry(
        endpoint.registry,
        access=config.at(endpoint),
        scheme=endpoint.scheme,
        path=endpoint.path,
        namespace=endpoint.namespace,
        headers=endpoint.headers,
        connect_timeout=_MIRROR_CONNECT_TIMEOUT if is_mirror else CONNECT_TIMEOUT,
        timeout=timeout,
        pause=LIMITS.upstream if is_mirror else timeout,
        rate_limit=rate_limit,
        tolerance=tolerance,
        patience=RetryPolicy(retries=0, max_wait=retries.max_wait) if is_mirror else retries,
        pushes=pushes,
    )
