"""docker's ``daemon.json``: ``registry-mirrors``, for Docker Hub alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from imgfetch.errors import UnsupportedError
from imgfetch.inputs import read_settings
from imgfetch.oci import strictjson
from imgfetch.registry.endpoints import parse_mirror
from imgfetch.registry.settings import tolerated

_KEYS = frozenset({"registry-mirrors"})


def registry_mirrors(path: Path) -> Iterator[str]:
    """Yield the URLs of Docker Hub's mirrors."""
    with tolerated(str(path)):
        members = strictjson.Object(strictjson.loads(read_settings(path).strip() or b"{}", "it"), "it", _KEYS)
        for number, url in enumerate(map(str, members.items_of("registry-mirrors")), 1):
            with tolerated(f"mirror {number} in {path}"):
                if "=" in url:
                    raise UnsupportedError("expected a URL without '='")
                place = parse_mirror(url)[1]
                yield f"{url.rstrip('/')}/v2" if place.repository else url  # docker appends /v2/ to a path
