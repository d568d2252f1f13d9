"""Archives with docker's oldest layout, which docker's classic store reads if `manifest.json` is missing."""

from __future__ import annotations

import gzip
import json
from typing import Any

from tests.hostile.parts import Hostile, Make, Pair, both, dumped, tar

_ID, _TOP = "ab" * 32, "cd" * 32


def _image(folder: str, mark: str, layer: bytes) -> dict[str, bytes]:
    described = {"id": mark, "created": "1970-01-01T00:00:00Z", "os": "linux", "architecture": "amd64"}
    return {f"{folder}/VERSION": b"1.0", f"{folder}/json": dumped(described), f"{folder}/layer.tar": layer}


def _planted(pair: Pair) -> dict[str, bytes]:
    """Return the oldest layout of the planted image; every directory is an image, so `blobs` is one too."""
    layer = gzip.decompress(pair.planted.layers[0].content)
    names = {"repositories": dumped({pair.repository: {"1": _ID}})}
    return names | _image(_ID, _ID, layer) | _image("blobs", _TOP, layer)


def _with(**changed: Any) -> Make:
    return lambda pair: tar({**both(pair, **changed), **_planted(pair)})


def _repositories(of: Any) -> Hostile:
    return Hostile(lambda pair: tar(both(pair, repositories=of(pair))))


def _top(pair: Pair) -> str:
    return str(json.loads(pair.good.config.content)["rootfs"]["diff_ids"][-1]).removeprefix("sha256:")


OLDEST: dict[str, Hostile] = {
    "docker's oldest layout beside index.json": Hostile(_with(manifest=None)),
    "docker's oldest layout beside an empty manifest.json": Hostile(_with(manifest=[])),
    "docker's oldest layout beside null": Hostile(_with(manifest=b"null")),
    "docker's oldest layout beside both": Hostile(_with()),
    "docker's oldest layout without names": Hostile(
        lambda pair: tar({**both(pair, manifest=None), **_image(_ID, _ID, b""), **_image("blobs", _TOP, b"")})
    ),
    "docker's oldest layout alone": Hostile(lambda pair: tar(_planted(pair))),
    "repositories of another image": _repositories(lambda pair: {pair.repository: {"1": _ID}}),
    "repositories of another name": _repositories(lambda pair: {"docker.io/a/b": {"1": _top(pair)}}),
    "repositories of another tag": _repositories(lambda pair: {pair.repository: {"1": _top(pair), "2": _top(pair)}}),
    "repositories with another spelling": _repositories(lambda pair: {f"index.{pair.repository}": {"1": _top(pair)}}),
    "repositories that are an array": _repositories(lambda _: []),
    "repositories with a text": _repositories(lambda pair: {pair.repository: _top(pair)}),
}
