"""Take a container image from a registry to a file, without a container engine.

`save` does all that the command ``imgfetch save`` does; the rest is for programs that want a part of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from imgfetch.version import VERSION

if TYPE_CHECKING:
    from imgfetch.access import Access
    from imgfetch.digest import Digest
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
    from imgfetch.platforms import Platform
    from imgfetch.progress import Item, Progress
    from imgfetch.pull import Saved, SavedImage, save
    from imgfetch.reference import Reference
    from imgfetch.registry import Registry
    from imgfetch.retries import Patience

__all__ = [
    "Access",
    "AuthenticationError",
    "Digest",
    "ImgfetchError",
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
    "__version__",
    "save",
]

__version__ = VERSION

_HOMES: Mapping[str, str] = {
    "Access": "access",
    "AuthenticationError": "errors",
    "Digest": "digest",
    "ImgfetchError": "errors",
    "InvalidPlatformError": "errors",
    "InvalidReferenceError": "errors",
    "Item": "progress",
    "NotFoundError": "errors",
    "Patience": "retries",
    "Platform": "platforms",
    "PlatformNotFoundError": "errors",
    "Progress": "progress",
    "RateLimitedError": "errors",
    "Reference": "reference",
    "Registry": "registry",
    "RegistryError": "errors",
    "Saved": "pull",
    "SavedImage": "pull",
    "StorageError": "errors",
    "TransportError": "errors",
    "UnavailableError": "errors",
    "UnsupportedError": "errors",
    "VerificationError": "errors",
    "save": "pull",
}
"""The module of each public name: imported when the name is used, for some take their time."""


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
