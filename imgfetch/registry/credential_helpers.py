"""``credential-helpers`` of podman's ``registries.conf``: the helpers that podman asks about every registry.

``containers-auth.json`` in their list stands for the credential files.  A list without it turns the files off in
podman, but not here, because docker reads some of them.  A list in a later file replaces an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from imgfetch.auth.credentials import GlobalHelpers
from imgfetch.errors import ImgfetchError
from imgfetch.oci import strictjson
from imgfetch.registry.settings import read_toml, tolerated

_KEY = "credential-helpers"
_FILES = "containers-auth.json"


def read_helpers(paths: Iterable[Path]) -> GlobalHelpers:
    """Read the files; one that cannot be read has no list, and `registries_conf` warns of it."""
    found = GlobalHelpers()
    for path in paths:
        content = None
        with suppress(OSError, ValueError, RecursionError, ImgfetchError):
            content = strictjson.Object(read_toml(path), "it", frozenset({_KEY}), in_any_case=True)
        if content and _KEY in content:
            with tolerated(f"{_KEY} in {path}"):
                found = _ordered(content.texts_of(_KEY), path)
    return found


def _ordered(names: list[str], path: Path) -> GlobalHelpers:
    place = names.index(_FILES) if _FILES in names else len(names)
    after = [name for name in names[place:] if name != _FILES]
    return GlobalHelpers(tuple(names[:place]), tuple(after), str(path))
