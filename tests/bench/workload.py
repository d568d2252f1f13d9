"""Images for the benchmark, built from bytes with a fixed seed, as files, for they are large.

Three fifths of a layer's files are texts, the rest programs and data that hardly compresses.  Most files are small,
most bytes stand in large ones, as in images of the field.  Compressed they have a little less than half of the size.
"""

from __future__ import annotations

import hashlib
import json
import random
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import zstandard

from imgfetch.archive import ustar
from imgfetch.layers.inflate import GZIP, LIBRARIES
from imgfetch.oci import mediatypes
from tests.engines import RealRegistry
from tests.images import Blob, image

SEED = 20260101
LEVEL = 6  # what docker and buildkit use
_POOL = 4 * 1024 * 1024  # far more than gzip's window, so pieces of it are new to gzip each time
_INSTRUCTION = 8


@dataclass(frozen=True)
class LayerFile:
    """A layer on disk.

    Attributes:
        path: where it is.
        digest: of the file.
        size: of the file, in bytes.
        diff_id: of the tar in it.
        plain_size: of the tar in it, in bytes.
        media_type: of the file.
    """

    path: str
    digest: str
    size: int
    diff_id: str
    plain_size: int
    media_type: str


@dataclass(frozen=True)
class Workload:
    """An image whose layers are on disk.

    Attributes:
        name: different from that of other images.
        layers: base first.
    """

    name: str
    layers: tuple[LayerFile, ...]

    def __str__(self) -> str:
        megabytes, plain = self.size / 1e6, self.plain_size / 1e6
        return f"{len(self.layers)} layers, {megabytes:.0f} MB, {plain:.0f} MB when decompressed"

    @property
    def size(self) -> int:
        """Compressed bytes of all layers."""
        return sum(layer.size for layer in self.layers)

    @property
    def plain_size(self) -> int:
        """Decompressed bytes of all layers."""
        return sum(layer.plain_size for layer in self.layers)

    def push(self, registry: RealRegistry, repository: str, tag: str) -> str:
        """Push it, and return its reference."""
        blobs = [
            Blob(b"", layer.media_type, layer.diff_id, {"digest": layer.digest, "size": layer.size})
            for layer in self.layers
        ]
        for layer in self.layers:
            with Path(layer.path).open("rb") as file:
                registry.push_blob(repository, layer.digest, file)
        return registry.push(repository, tag, image(*blobs), with_layers=False)


def build(directory: Path, size: int, layers: int, kind: str = "gzip", seed: int = SEED) -> Workload:
    """Return an image of ``size`` bytes decompressed in ``layers`` layers, made anew unless it is in ``directory``.

    The kind is ``gzip``; ``sparse``, which is gzip of zeros; or ``zstd-25``, which is zstd with a window of 2^25 bytes.
    """
    directory = directory / f"{kind}-{size}-{layers}-{seed}"
    directory.mkdir(parents=True, exist_ok=True)
    work = ((directory, number, size, kind, seed) for number, size in enumerate(_sizes(size, layers)))
    return Workload(directory.name, tuple(_workers().map(_layer, *zip(*work, strict=True))))


@cache
def _workers() -> ProcessPoolExecutor:
    return ProcessPoolExecutor()


def _sizes(size: int, layers: int) -> Sequence[int]:
    """Share a size out, the largest layer having five times as much as the smallest."""
    rng = random.Random(SEED)
    weights = [rng.uniform(1, 5) for _ in range(layers)]
    return [int(size * weight / sum(weights)) for weight in weights]


def _layer(directory: Path, number: int, size: int, kind: str, seed: int) -> LayerFile:
    noted = directory / f"{number}.json"
    if noted.exists():
        return LayerFile(**json.loads(noted.read_text()))
    path = directory / str(number)
    compressor, media_type = _compressor(kind)
    plain, packed = hashlib.sha256(), hashlib.sha256()
    plain_size = packed_size = 0
    contents = _zeros(size) if kind == "sparse" else _tar(random.Random(f"{seed}/{number}"), number, size)
    with path.open("wb") as file:

        def put(data: bytes) -> None:
            nonlocal packed_size
            file.write(data)
            packed.update(data)
            packed_size += len(data)

        for data in contents:
            plain.update(data)
            plain_size += len(data)
            put(compressor.compress(data))
        put(compressor.flush())
    digests = f"sha256:{packed.hexdigest()}", packed_size, f"sha256:{plain.hexdigest()}", plain_size
    layer = LayerFile(str(path), *digests, media_type)
    noted.write_text(json.dumps(asdict(layer)))
    return layer


def _compressor(kind: str) -> tuple[Any, str]:
    name, _, window = kind.partition("-")
    if name == "zstd":
        parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=int(window))
        return zstandard.ZstdCompressor(compression_params=parameters).compressobj(), mediatypes.OCI_LAYER_ZSTD
    library, level = (LIBRARIES[0], 1) if name == "sparse" else (zlib, LEVEL)  # ten gigabytes of zeros are to be quick
    return library.compressobj(level, zlib.DEFLATED, GZIP), mediatypes.OCI_LAYER_GZIP


def _zeros(size: int) -> Iterator[bytes]:
    """Yield a tar with one file of zeros."""
    yield ustar.header("zeros", size, mtime=1)
    step = bytes(1024 * 1024)
    for _ in range(size // len(step)):
        yield step
    yield step[: size % len(step)] + ustar.padding(size) + ustar.END


def _tar(rng: random.Random, number: int, size: int) -> Iterator[bytes]:
    text, program = _text(), _program()
    done, count = 0, 0
    while done < size:
        count += 1
        length = min(int(rng.lognormvariate(9.5, 2.2)), 48 * 1024 * 1024, size - done + 1)
        kind = rng.random()
        name = f"usr/lib/{number}/{count // 200:05}/{count:07}"
        content = ustar.header(name, length, mtime=1)
        yield content
        left = length
        while left:
            step = min(left, 64 * 1024)
            if kind < 0.6:
                start = rng.randrange(_POOL - step)
                yield text[start : start + step]
            elif kind < 0.9:
                start = rng.randrange(_POOL - step)
                yield program[start : start + step]
            else:
                yield rng.randbytes(step)
            left -= step
        yield ustar.padding(length)
        done += len(content) + ustar.padded(length)
    yield ustar.END


@cache
def _text() -> bytes:
    rng = random.Random(f"{SEED}/text")
    letters = "eeeeeettttaaaaooooiiinnnssshhrrrdlu.cmwfgypbvk"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 11))) for _ in range(8000)]
    weights = [1 / (rank + 2) for rank in range(len(words))]
    return " ".join(rng.choices(words, weights, k=_POOL // 4)).encode()[:_POOL]


@cache
def _program() -> bytes:
    """Return something like machine code: few operations, many operands."""
    rng = random.Random(f"{SEED}/program")
    operations = [rng.randbytes(_INSTRUCTION // 2) for _ in range(600)]
    weights = [1 / (rank + 2) for rank in range(len(operations))]
    chosen = rng.choices(operations, weights, k=_POOL // _INSTRUCTION)
    operands = rng.randbytes(_POOL // _INSTRUCTION * 2)
    return b"".join(
        operation + operands[2 * number : 2 * number + 2] + b"\0\0" for number, operation in enumerate(chosen)
    )
