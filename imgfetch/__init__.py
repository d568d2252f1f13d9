"""Download container images from a registry into a file that `docker load` accepts.

`save`, `pin`, `tags`, `inspect`, `verify` and `push` are commands as functions; `dry_run` and `save_each` are forms of
`save`.  `make_patch` and `apply_patch` are the commands ``patch`` and ``apply``; `save_patch` is ``save --patch-from``.
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
        TagExistsError,
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
    from imgfetch.oci.referrers import Referrer
    from imgfetch.patch.operations import apply_patch, make_patch
    from imgfetch.progress import Item, Progress
    from imgfetch.pull.client import Client
    from imgfetch.pull.forecast import Forecast, ForecastImage
    from imgfetch.pull.inspection import Inspected, InspectedImage, InspectedLayer
    from imgfetch.pull.patch import SavedPatch
    from imgfetch.pull.results import Saved, SavedImage
    from imgfetch.pull.save_each import SavedEach
    from imgfetch.pull.shortcuts import dry_run, inspect, pin, push, save, save_each, save_patch, tags
    from imgfetch.registry.access import RegistryConfig
    from imgfetch.registry.client import Registry
    from imgfetch.signatures.load import CertificateIdentity, load_policy
    from imgfetch.signatures.policy import Policy
    from imgfetch.upload.results import Pushed, PushedBlob, PushedImage

    Access = RegistryConfig
    Patience = RetryPolicy

__all__ = [
    "Access",
    "AuthenticationError",
    "CertificateIdentity",
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
    "Policy",
    "Progress",
    "Pushed",
    "PushedBlob",
    "PushedImage",
    "RateLimitedError",
    "Reference",
    "Referrer",
    "Registry",
    "RegistryConfig",
    "RegistryError",
    "RetryPolicy",
    "Saved",
    "SavedEach",
    "SavedImage",
    "SavedPatch",
    "SeveralImagesError",
    "StorageError",
    "TagExistsError",
    "TransportError",
    "UnavailableError",
    "UnsupportedError",
    "VerificationError",
    "Verified",
    "__version__",
    "apply_patch",
    "dry_run",
    "inspect",
    "load_policy",
    "make_patch",
    "pin",
    "push",
    "save",
    "save_each",
    "save_patch",
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
        "oci.referrers": "Referrer",
        "patch.operations": "apply_patch make_patch",
        "progress": "Item Progress",
        "pull.client": "Client",
        "pull.inspection": "Inspected InspectedImage InspectedLayer",
        "pull.patch": "SavedPatch",
        "pull.forecast": "Forecast ForecastImage",
        "pull.results": "Saved SavedImage",
        "pull.save_each": "SavedEach",
        "pull.shortcuts": "dry_run inspect pin push save save_each save_patch tags",
        "upload.results": "Pushed PushedBlob PushedImage",
        "registry.access": "RegistryConfig",
        "registry.client": "Registry",
        "signatures.load": "CertificateIdentity load_policy",
        "signatures.policy": "Policy",
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
