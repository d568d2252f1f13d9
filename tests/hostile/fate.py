"""The image that a reader has under a name, when it was given an archive."""

from __future__ import annotations

import contextlib
import io
import tarfile
from pathlib import Path
from typing import Any

from tests.engines import ConsumerError, output
from tests.hostile.parts import Pair
from tests.readers import Containerd, Docker

GOOD, PLANTED, OTHER, NOTHING = "good", "planted", "other", "nothing"


def fate(engine: Any, archive: Path, pair: Pair) -> str:
    """Return which image a reader has under the pinned name, be it one that it refuses to finish."""
    if hasattr(engine, "config_named"):
        return _of_digest(engine.config_named(archive, pair.name), pair)
    with contextlib.suppress(ConsumerError):  # a reader may fail after it has set the name
        engine.read(archive)
    try:
        digest = engine.image_named(pair.name)
    except (ConsumerError, KeyError):
        return NOTHING
    found = _of_digest(digest, pair)
    return _of_files(_files(engine, pair.name, archive.parent)) if found == OTHER else found


def _of_digest(digest: str, pair: Pair) -> str:
    if not digest:
        return NOTHING
    if digest in (pair.good.digest, pair.good.config.digest):
        return GOOD
    return PLANTED if digest in (pair.planted.digest, pair.planted.config.digest) else OTHER


def _of_files(names: list[str]) -> str:
    """Return which image has such files; each has one whose name begins like it."""
    return next((fate for fate in (GOOD, PLANTED) for name in names if name.startswith(fate)), OTHER)


def _files(engine: Any, name: str, directory: Path) -> list[str]:
    """Return the files of the image that a reader takes from an index."""
    try:
        if isinstance(engine, Docker):
            return tarfile.open(fileobj=io.BytesIO(engine.exported(name))).getnames()
        if isinstance(engine, Containerd):
            return _mounted(engine, name, directory / "mounted")
    except ConsumerError:
        pass
    return []


def _mounted(engine: Containerd, name: str, place: Path) -> list[str]:
    place.mkdir(exist_ok=True)
    engine.run("images", "mount", name, place)
    try:
        return [path.name for path in place.iterdir()]
    finally:
        output("umount", place)
