"""Download container images from a registry into a file that `docker load` accepts.

`save`, `dry_run`, `pin`, `tags`, `inspect` and `verify` are the commands of the same names as functions.
"""

# The first import of all; even `__future__` would be imported from the working directory.
from imgfetch.cli import search_path as _search_path  # noqa: F401

# isort: split
import importlib
import warnings
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
        SeveralImagesError,
        StorageError,
        TransportError,
        UnavailableError,
        UnsupportedError,
        VerificationError,
    )
    from imgfetch.http.retries import RetryPolicy
    from imgfetch.oci.digest import Digest
    from imgfetch.oci.names import ImageRequest
    from imgfetch.oci.platforms import Platform
    from imgfetch.oci.reference import Reference
    from imgfetch.progress import Item, Progress
    from imgfetch.pull.client import Client
    from imgfetch.pull.inspection import Inspected, InspectedImage, InspectedLayer
    from imgfetch.pull.results import Forecast, ForecastImage, Saved, SavedImage
    from imgfetch.pull.shortcuts import dry_run, inspect, pin, save, tags
    from imgfetch.registry.access import RegistryConfig
    from imgfetch.registry.client import Registry

    Access = RegistryConfig
    Patience = RetryPolicy

__all__ = [
    "Access",
    "AuthenticationError",
    "Client",
    "Digest",
    "Forecast",
    "ForecastImage",
    "ImageRequest",
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
    "RegistryConfig",
    "RegistryError",
    "RetryPolicy",
    "Saved",
    "SavedImage",
    "SeveralImagesError",
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
    name: module
    for module, names in {
        "archive.verify": "Verified verify",
        "errors": " ".join(name for name in __all__ if name.endswith("Error")),
        "http.retries": "RetryPolicy",
        "oci.digest": "Digest",
        "oci.names": "ImageRequest",
        "oci.platforms": "Platform",
        "oci.reference": "Reference",
        "progress": "Item Progress",
        "pull.client": "Client",
        "pull.inspection": "Inspected InspectedImage InspectedLayer",
        "pull.results": "Forecast ForecastImage Saved SavedImage",
        "pull.shortcuts": "dry_run inspect pin save tags",
        "registry.access": "RegistryConfig",
        "registry.client": "Registry",
    }.items()
    for name in names.split()
}
"""The module of each public name, imported when the name is used, so that `import imgfetch` is fast."""

_RENAMED: Mapping[str, str] = {"Access": "RegistryConfig", "Patience": "RetryPolicy"}
"""The new names of old public names, which still work."""


if not TYPE_CHECKING:  # with this function, a type checker would accept any misspelt name

    def __getattr__(name: str) -> object:
        if name in _RENAMED:
            message = f"{__name__}.{name} is now {__name__}.{_RENAMED[name]}"
            warnings.warn(message, DeprecationWarning, stacklevel=2)
            return __getattr__(_RENAMED[name])
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import logging  # noqa: PLC0415  # slow to import too

        logging.getLogger(__name__).addHandler(logging.NullHandler())  # a library leaves output to its user
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
