"""Twenty pairs of versions of an image, on which patches are measured; chosen before anything was measured.

An image is a list of layers, and a layer a list of packages that are unpacked one after the other.  A package is
``KIND:NAME=VERSION``: a wheel of PyPI for Python 3.12 (``pypi``), a package of npm (``npm``), or one of Debian.
Those of Debian name the suite, ``bookworm``, its ``security`` updates or ``forky``, and no version if the suite moves.
``made:NAME`` is a file of random content with a fixed seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Layer = Sequence[str]


class Pair(NamedTuple):
    """Two versions of an image.

    Attributes:
        name: what changes.
        kind: the group of the pair: ``app``, ``tree``, ``distribution`` or ``large``.
        old: the layers, base first.
        new: those of the newer version.
        is_rebuilt: whether all files of the newer version have another time, as after a build without a cache.
    """

    name: str
    kind: str
    old: Sequence[Layer]
    new: Sequence[Layer]
    is_rebuilt: bool = False


_BASE = tuple(
    f"bookworm:{name}"
    for name in (
        "base-files=12.4+deb12u15",
        "bash=5.2.15-2+b13",
        "coreutils=9.1-1",
        "dash=0.5.12-2",
        "libc6=2.36-9+deb12u14",
        "perl-base=5.36.0-7+deb12u3",
    )
)
_APP = (
    "pypi:certifi=2025.1.31",
    "pypi:django=5.2.1",
    "pypi:idna=3.9",
    "pypi:matplotlib=3.10.1",
    "pypi:numpy=2.2.5",
    "pypi:pandas=2.2.3",
    "pypi:pillow=11.1.0",
    "pypi:requests=2.32.3",
    "pypi:scikit-learn=1.6.1",
    "pypi:scipy=1.15.2",
    "pypi:sqlalchemy=2.0.40",
    "pypi:urllib3=2.3.0",
)
_TWO_SMALL = {"certifi": "2025.4.26", "idna": "3.10"}
_SEVEN = {
    **_TWO_SMALL,
    "django": "5.2.2",
    "pillow": "11.2.1",
    "requests": "2.32.4",
    "sqlalchemy": "2.0.41",
    "urllib3": "2.4.0",
}
_DISTRIBUTION = (
    *("apt", "base-files", "bash", "ca-certificates", "coreutils", "dash", "dpkg", "findutils", "git", "grep", "gzip"),
    *("libc-bin", "libc6", "openssl", "perl-base", "sed", "tar", "tzdata", "util-linux"),
)
_OLD_LIBRARIES, _NEW_LIBRARIES = ("libcurl4", "libssl3"), ("libcurl4t64", "libssl3t64")


def _newer(layer: Layer, versions: dict[str, str]) -> Layer:
    """Return a layer with other versions of some packages."""
    parts = (package.replace(":", "=").split("=") for package in layer)
    return tuple(f"{kind}:{name}={versions.get(name, version)}" for kind, name, version in parts)


def _of(suite: str, *packages: str) -> Layer:
    return tuple(f"{suite}:{package}" for package in packages)


def _app(name: str, versions: dict[str, str], *, is_rebuilt: bool = False) -> Pair:
    """Return an image with one big layer of packages on a small base."""
    return Pair(name, "app", (_BASE, _APP), (_BASE, _newer(_APP, versions)), is_rebuilt)


def _one_layer(name: str, kind: str, old: Layer, new: Layer) -> Pair:
    return Pair(name, kind, (_BASE, old), (_BASE, new))


PAIRS = (
    _app("two small packages", _TWO_SMALL),
    _app("seven packages", _SEVEN),
    _app("numpy, a patch release", {"numpy": "2.2.6"}),
    _app("scipy, a patch release", {"scipy": "1.15.3"}),
    _app("pandas, a minor release", {"pandas": "2.3.0"}),
    _app("two small packages, rebuilt", _TWO_SMALL, is_rebuilt=True),
    Pair(
        "own code in a layer of its own",
        "app",
        (_BASE, _APP, ("pypi:flask=3.1.0",)),
        (_BASE, _APP, ("pypi:flask=3.1.1",)),
    ),
    _one_layer("jupyterlab", "app", ("pypi:jupyterlab=4.4.1",), ("pypi:jupyterlab=4.4.2",)),
    _one_layer("ansible", "tree", ("pypi:ansible=11.5.0",), ("pypi:ansible=11.6.0",)),
    _one_layer("botocore", "tree", ("pypi:botocore=1.38.10",), ("pypi:botocore=1.38.40",)),
    _one_layer("typescript", "app", ("npm:typescript=5.8.2",), ("npm:typescript=5.8.3",)),
    _one_layer("next", "tree", ("npm:next=15.3.1",), ("npm:next=15.3.2",)),
    _one_layer(
        "date-fns",
        "tree",
        ("npm:date-fns=4.0.0", "npm:lodash=4.17.21", "npm:rxjs=7.8.1"),
        ("npm:date-fns=4.1.0", "npm:lodash=4.17.21", "npm:rxjs=7.8.2"),
    ),
    _one_layer("icons", "tree", ("npm:@mui/icons-material=7.0.1",), ("npm:@mui/icons-material=7.0.2",)),
    _one_layer(
        "eslint and webpack",
        "tree",
        ("npm:eslint=9.25.0", "npm:webpack=5.99.6"),
        ("npm:eslint=9.25.1", "npm:webpack=5.99.7"),
    ),
    Pair("debian 12 to 14", "distribution", (_of("bookworm", *_DISTRIBUTION),), (_of("forky", *_DISTRIBUTION),)),
    Pair(
        "curl and openssl, debian 12 to 14",
        "distribution",
        (_BASE, _of("bookworm", "curl", "openssl", *_OLD_LIBRARIES)),
        (_BASE, _of("forky", "curl", "openssl", *_NEW_LIBRARIES)),
    ),
    Pair(
        "python, a security update",
        "distribution",
        (_BASE, _of("bookworm", "libpython3.11-stdlib=3.11.2-6+deb12u8", "python3.11-minimal=3.11.2-6+deb12u8")),
        (_BASE, _of("security", "libpython3.11-stdlib=3.11.2-6+deb12u9", "python3.11-minimal=3.11.2-6+deb12u9")),
    ),
    Pair(
        "postgresql, a security update",
        "distribution",
        (_BASE, _of("bookworm", "postgresql-15=15.18-0+deb12u1", "libssl3=3.0.20-1~deb12u2")),
        (_BASE, _of("security", "postgresql-15=15.20-0+deb12u1", "libssl3=3.0.22-1~deb12u2")),
    ),
    _one_layer("a little of 4 GB", "large", ("made:large", *_APP), ("made:large-changed", *_newer(_APP, _TWO_SMALL))),
)
"""All pairs.  ``large`` has 3.7 GB; in ``large-changed``, 1 MB in the middle is another and 4 KiB are inserted."""
