"""Small images made by chance, and JSON that no parser would write."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from imgfetch.oci import mediatypes

Json = Any
NAME, REF_NAME = "io.containerd.image.name", "org.opencontainers.image.ref.name"
AMD64 = {"architecture": "amd64", "os": "linux"}
ARM64 = {"architecture": "arm64", "os": "linux", "variant": "v8"}


class Pairs(list[tuple[str, Json]]):
    """A JSON object in which a key may occur several times."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def rendered(value: Json) -> bytes:
    """Return compact JSON."""
    return _text(value).encode("utf-8", "surrogatepass")


def _text(value: Json) -> str:
    if isinstance(value, Pairs | dict):
        pairs = value.items() if isinstance(value, dict) else value
        return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{_text(inner)}" for key, inner in pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return value if isinstance(value, Raw) else json.dumps(value)


class Raw(str):
    """A piece of JSON as it is written."""

    __slots__ = ()


class Layer(NamedTuple):
    """A layer in both forms, and its diff_id without the algorithm."""

    plain: bytes
    compressed: bytes
    diff_id: str


def _layer(number: int) -> Layer:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(f"file{number}")
        info.size = number
        tar.addfile(info, io.BytesIO(bytes(number)))
    plain = out.getvalue()[:2048]
    return Layer(plain, gzip.compress(plain, mtime=0), sha256(plain))


LAYERS = [_layer(number) for number in range(1, 9)]


@dataclass
class Image:
    """An image, whose manifest is written when it is asked for.

    Attributes:
        config: the config's bytes.
        layers: base first.
        is_compressed: whether its layers are.
        names: spelt in any way.
        platform: of the config.
        document: the manifest.
    """

    config: bytes
    layers: Sequence[Layer]
    is_compressed: bool
    names: list[str]
    platform: dict[str, str]
    document: Json

    @property
    def blobs(self) -> list[bytes]:
        return [layer.compressed if self.is_compressed else layer.plain for layer in self.layers]


Change = Callable[[Json], Json]
"""Makes a document odd, or not."""
NAMES = (
    *("app:v1", "library/app:v1", "docker.io/library/app:v1", "index.docker.io/library/app:v1", "docker.io/app:v1"),
    *("registry.example/team/app:v1", "localhost:5000/app:v1", "team/other:latest", "quay.io/a/b:1.0_x-y"),
)


def image(rng: random.Random, change: Change = lambda document: document) -> Image:
    """Return an image with a config of its own."""
    layers = rng.choices(LAYERS, k=rng.choice([0, 1, 1, 2, 2, 3]))
    platform = rng.choice([AMD64, AMD64, AMD64, ARM64])
    is_compressed, is_docker = rng.random() < 0.5, rng.random() < 0.3
    config = rendered(
        change(
            {
                **platform,
                "config": {"Cmd": [f"/{rng.randrange(10**6)}"], "Env": ["PATH=/bin"]},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.diff_id}" for layer in layers]},
                "history": [{"created_by": "x"} for _ in layers],
            }
        )
    )
    names = rng.sample(NAMES, rng.choice([0, 1, 1, 1, 1, 2]))
    made = Image(config, layers, is_compressed, names, platform, None)
    made.document = change(_manifest(made, is_docker=is_docker))
    return made


def _manifest(of: Image, *, is_docker: bool) -> Json:
    if is_docker:
        own, config = mediatypes.DOCKER_MANIFEST, mediatypes.DOCKER_CONFIG
        kind = "application/vnd.docker.image.rootfs.diff.tar" + (".gzip" if of.is_compressed else "")
    else:
        own, config = mediatypes.OCI_MANIFEST, mediatypes.OCI_CONFIG
        kind = "application/vnd.oci.image.layer.v1.tar" + ("+gzip" if of.is_compressed else "")
    return {
        "schemaVersion": 2,
        "mediaType": own,
        "config": described(of.config, config),
        "layers": [described(blob, kind) for blob in of.blobs],
    }


def described(content: bytes, media_type: str) -> dict[str, Json]:
    return {"mediaType": media_type, "digest": f"sha256:{sha256(content)}", "size": len(content)}
