"""Take a container image from a registry to a file, without a container engine.

`save`, `dry_run`, `pin`, `tags`, `inspect` and `verify` do what the commands do; the rest is for programs that want a
part of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from imgfetch.version import VERSION

if TYPE_CHECKING:
    from imgfetch.archive.verify import Verified, verify
    from imgfetch.errors import (
        AuthenticationError,
        ImgfetchError,
        InvalidPlatformError,
        InvalidReferenceError,
        NotFoundError,
        PlatformNotFoundError,
        RateLimitedError,
        RegistryError,
        StorageError,
        TransportError,
        UnavailableError,
        UnsupportedError,
        VerificationError,
    )
    from imgfetch.http.retries import Patience
    from imgfetch.oci.digest import Digest
    from imgfetch.oci.platforms import Platform
    from imgfetch.oci.reference import Reference
    from imgfetch.progress import Item, Progress
    from imgfetch.pull.client import Client
    from imgfetch.pull.forecast import Forecast
    from imgfetch.pull.inspection import Inspected, InspectedImage, InspectedLayer
    from imgfetch.pull.save import Saved, SavedImage
    from imgfetch.pull.shortcuts import dry_run, inspect, pin, save, tags
    from imgfetch.registry.access import Access
    from imgfetch.registry.client import Registry

__all__ = [
    "Access",
    "AuthenticationError",
    "Client",
    "Digest",
    "Forecast",
    "ImgfetchError",
    "Inspected",
    "InspectedImage",
    "InspectedLayer",
    "InvalidPlatformError",
    "InvalidReferenceError",
    "Item",
    "NotFoundError",
    "Patience",
    "Platform",
    "PlatformNotFoundError",
    "Progress",
    "RateLimitedError",
    "Reference",
    "Registry",
    "RegistryError",
    "Saved",
    "SavedImage",
    "StorageError",
    "TransportError",
    "UnavailableError",
    "UnsupportedError",
    "VerificationError",
    "Verified",
    "__version__",
    "dry_run",
    "inspect",
    "pin",
    "save",
    "tags",
    "verify",
]

__version__ = VERSION

_HOMES: Mapping[str, str] = {
    "Access": "registry.access",
    "AuthenticationError": "errors",
    "Client": "pull.client",
    "Digest": "oci.digest",
    "Forecast": "pull.forecast",
    "ImgfetchError": "errors",
    "Inspected": "pull.inspection",
    "InspectedImage": "pull.inspection",
    "InspectedLayer": "pull.inspection",
    "InvalidPlatformError": "errors",
    "InvalidReferenceError": "errors",
    "Item": "progress",
    "NotFoundError": "errors",
    "Patience": "http.retries",
    "Platform": "oci.platforms",
    "PlatformNotFoundError": "errors",
    "Progress": "progress",
    "RateLimitedError": "errors",
    "Reference": "oci.reference",
    "Registry": "registry.client",
    "RegistryError": "errors",
    "Saved": "pull.save",
    "SavedImage": "pull.save",
    "StorageError": "errors",
    "TransportError": "errors",
    "UnavailableError": "errors",
    "UnsupportedError": "errors",
    "VerificationError": "errors",
    "Verified": "archive.verify",
    "dry_run": "pull.shortcuts",
    "inspect": "pull.shortcuts",
    "pin": "pull.shortcuts",
    "save": "pull.shortcuts",
    "tags": "pull.shortcuts",
    "verify": "archive.verify",
}
"""The module of each public name: imported when the name is used, for some take their time."""


if not TYPE_CHECKING:  # a type checker that sees this function finds no fault with a misspelt name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import logging  # noqa: PLC0415  # takes its time too

        logging.getLogger(__name__).addHandler(logging.NullHandler())  # a library leaves it to its user what is shown
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
