"""Take a container image from a registry to a file, without a container engine.

`save` does all that the command ``imgfetch save`` does; the rest is for programs that want a part of it.
"""

from __future__ import annotations

import logging

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
from imgfetch.version import VERSION

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

logging.getLogger(__name__).addHandler(logging.NullHandler())
