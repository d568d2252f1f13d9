"""Which imgfetch this is, on which libraries."""

from __future__ import annotations

import importlib.metadata
import platform
import ssl
from collections.abc import Iterator

from imgfetch.layers import inflate
from imgfetch.version import VERSION

_LIBRARIES = ("requests", "urllib3", "zstandard", "tqdm", "truststore", "filelock", "platformdirs")


def lines() -> Iterator[str]:
    """Yield a line for each part that a report of a fault should name."""
    yield f"imgfetch {VERSION}"
    yield f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield f"gzip by {inflate.ENGINE}"
    yield ssl.OPENSSL_VERSION
    for name in _LIBRARIES:
        yield f"{name} {importlib.metadata.version(name)}"
