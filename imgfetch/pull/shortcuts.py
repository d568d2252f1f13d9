"""The methods of `Client` as functions, each with a client of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from imgfetch.archive.output import Output
from imgfetch.defaults import READ_TIMEOUT
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci.names import Platforms, References
from imgfetch.oci.reference import Reference
from imgfetch.progress import Progress
from imgfetch.pull.client import Client, DryRunOptions, SaveOptions
from imgfetch.pull.forecast import Forecast
from imgfetch.pull.plan import SaveRequest
from imgfetch.pull.results import Saved
from imgfetch.pull.save import Saving
from imgfetch.pull.save_each import SavedEach
from imgfetch.pull.session import OpenRegistry
from imgfetch.registry.access import RegistryConfig
from imgfetch.upload.results import Pushed
from imgfetch.upload.session import Pusher, PushOptions

if TYPE_CHECKING:
    from imgfetch.archive.streams import Source
    from imgfetch.pull.inspection import Inspected
    from imgfetch.pull.patch import Reading, SavedPatch


class Settings(TypedDict, total=False):
    """The settings of the client: ``access`` is its ``config``, ``patience`` its ``retries``, the others its own."""

    access: RegistryConfig | None
    patience: RetryPolicy | None
    timeout: float
    strict: bool
    open_registry: OpenRegistry | None


class _SaveOptions(SaveOptions, Settings, total=False):
    pass


class _PushOptions(PushOptions, Settings, total=False):
    pass


class _DryRunOptions(DryRunOptions, Settings, total=False):
    pass


def save(references: References, output: Output, **options: Unpack[_SaveOptions]) -> Saved:
    """Save images; see `Client.save` for the options, and `Settings`."""
    client, rest = _client(**options)
    return client.save(references, output, **rest)


def save_each(
    references: References,
    directory: str | os.PathLike[str],
    *,
    saved: Callable[[Path, Saved], object] = lambda *_: None,
    **options: Unpack[_SaveOptions],
) -> SavedEach:
    """Save each image to an archive of its own; see `Client.save_each`, and `Settings`."""
    client, rest = _client(**options)
    return client.save_each(references, directory, saved=saved, **rest)


def save_patch(
    references: References,
    old: str | os.PathLike[str],
    output: Output,
    *,
    reading: Reading | None = None,
    **options: Unpack[_SaveOptions],
) -> SavedPatch:
    """Save a patch; see `Client.save_patch`, and `Settings`."""
    client, rest = _client(**options)
    return client.save_patch(references, old, output, reading=reading, **rest)


def dry_run(references: References, **options: Unpack[_DryRunOptions]) -> Forecast:
    """Return the cost of a save; see `Client.dry_run` for the options, and `Settings`."""
    client, rest = _client(**options)
    return client.dry_run(references, **rest)


def pin(
    references: References,
    *,
    platform: Platforms | None = None,
    progress: Progress | None = None,
    **settings: Unpack[Settings],
) -> tuple[Reference, ...]:
    """Return references with their digests; see `Client.pin`, and `Settings`."""
    client, rest = _client(**settings)
    return client.pin(references, platform=platform, progress=progress, **rest)


def tags(repository: str | Reference, **settings: Unpack[Settings]) -> tuple[str, ...]:
    """Return the tags of a repository; see `Client.tags`, and `Settings`."""
    client, rest = _client(**settings)
    return client.tags(repository, **rest)


def inspect(
    target: Reference | Source, *, platform: Platforms | None = None, **settings: Unpack[Settings]
) -> Inspected:
    """Return the description of an image; see `Client.inspect`, and `Settings`."""
    client, rest = _client(**settings)
    return client.inspect(target, platform=platform, **rest)


def push(archive: str | os.PathLike[str], destination: str, **options: Unpack[_PushOptions]) -> Pushed:
    """Push an archive; see `Client.push` for the options, and `Settings`."""
    client, rest = _client(**options)
    return client.push(archive, destination, **rest)


def _client(
    *,
    access: RegistryConfig | None = None,
    patience: RetryPolicy | None = None,
    timeout: float = READ_TIMEOUT,
    strict: bool = False,
    open_registry: OpenRegistry | None = None,
    **rest: Any,  # noqa: ANN401  # passed on, and checked by the method
) -> tuple[Client, dict[str, Any]]:
    """Return a client, and the options that are not settings."""
    return Client(access, retries=patience, timeout=timeout, strict=strict, open_registry=open_registry), rest


# Let `help` show the options, as it does not look into ``**options: Unpack[...]``.
_METHODS = (SaveRequest.parse, Saving.of, Client.dry_run, Pusher.push, _client)
_KNOWN = {name: parameter for each in _METHODS for name, parameter in signature(each).parameters.items()}
_ALL: dict[Any, type] = {
    save: _SaveOptions,
    save_each: _SaveOptions,
    save_patch: _SaveOptions,
    dry_run: _DryRunOptions,
    pin: Settings,
    tags: Settings,
    inspect: Settings,
    push: _PushOptions,
}
for _function, _options in _ALL.items():
    *_own, _ = signature(_function).parameters.values()
    _shown = [*_own, *(_KNOWN[name] for name in _options.__annotations__)]
    _function.__signature__ = signature(_function).replace(parameters=_shown)
