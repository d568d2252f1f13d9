"""The methods of `Client` as functions, each with a client of its own.

The client's settings are keywords: ``access`` is its ``config``, and ``patience`` is its ``retries``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from imgfetch.archive.output import Output
from imgfetch.defaults import READ_TIMEOUT
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci.names import Platforms, References
from imgfetch.oci.reference import Reference
from imgfetch.pull.client import Client, DryRunOptions, OpenRegistry, SaveOptions
from imgfetch.pull.forecast import Forecast
from imgfetch.pull.inspection import Inspected
from imgfetch.pull.save import Saved
from imgfetch.registry.access import RegistryConfig


def save(
    references: References,
    output: Output,
    *,
    access: RegistryConfig | None = None,
    patience: RetryPolicy | None = None,
    timeout: float = READ_TIMEOUT,
    strict: bool = False,
    open_registry: OpenRegistry | None = None,
    **options: Unpack[SaveOptions],
) -> Saved:
    """Save images; see `Client.save`."""
    client = Client(access, retries=patience, timeout=timeout, strict=strict, open_registry=open_registry)
    return client.save(references, output, **options)


def dry_run(
    references: References,
    *,
    access: RegistryConfig | None = None,
    patience: RetryPolicy | None = None,
    timeout: float = READ_TIMEOUT,
    strict: bool = False,
    open_registry: OpenRegistry | None = None,
    **options: Unpack[DryRunOptions],
) -> Forecast:
    """Return the cost of a save; see `Client.dry_run`."""
    client = Client(access, retries=patience, timeout=timeout, strict=strict, open_registry=open_registry)
    return client.dry_run(references, **options)


def pin(
    references: References,
    *,
    platform: Platforms | None = None,
    access: RegistryConfig | None = None,
    patience: RetryPolicy | None = None,
    timeout: float = READ_TIMEOUT,
    strict: bool = False,
    open_registry: OpenRegistry | None = None,
) -> tuple[Reference, ...]:
    """Return references with their digests; see `Client.pin`."""
    client = Client(access, retries=patience, timeout=timeout, strict=strict, open_registry=open_registry)
    return client.pin(references, platform=platform)


def tags(
    repository: str | Reference,
    *,
    access: RegistryConfig | None = None,
    patience: RetryPolicy | None = None,
    timeout: float = READ_TIMEOUT,
    strict: bool = False,
    open_registry: OpenRegistry | None = None,
) -> tuple[str, ...]:
    """Return the tags of a repository; see `Client.tags`."""
    client = Client(access, retries=patience, timeout=timeout, strict=strict, open_registry=open_registry)
    return client.tags(repository)


def inspect(
    target: str | Reference | Path,
    *,
    platform: Platforms | None = None,
    access: RegistryConfig | None = None,
    patience: RetryPolicy | None = None,
    timeout: float = READ_TIMEOUT,
    strict: bool = False,
    open_registry: OpenRegistry | None = None,
) -> Inspected:
    """Return the description of an image; see `Client.inspect`."""
    client = Client(access, retries=patience, timeout=timeout, strict=strict, open_registry=open_registry)
    return client.inspect(target, platform=platform)
