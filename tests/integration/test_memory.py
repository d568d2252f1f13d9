"""Memory does not grow with the image."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import pytest
import zstandard

from imgfetch.archive import ustar
from tests.bounded import MEMORY, MIB, run
from tests.engines import RealRegistry
from tests.images import OCI_GZIP, OCI_TAR, OCI_ZSTD, Blob, image, sha256
from tests.loopback import Loopback

LIMIT = 100 * MIB


def big(seed: int, size: int) -> bytes:
    """Return a tar with one file that hardly compresses."""
    noise = random.Random(seed).randbytes(16 * MIB)  # farther apart than a window of these compressors is wide
    content = (noise * (size // len(noise) + 1))[:size]
    return ustar.header("data", size, mtime=1) + content + ustar.padding(size) + ustar.END


@pytest.fixture(scope="module")
def reference(registry: RealRegistry) -> str:
    """Push an image of 1 GiB, in three compressions."""
    layers = []
    for number in range(4):
        raw = big(number, 256 * MIB - 4096)
        if number == 0:
            content, media_type = raw, OCI_TAR
        elif number == 1:
            content, media_type = zstandard.ZstdCompressor(level=1).compress(raw), OCI_ZSTD
        else:
            content, media_type = stored(raw), OCI_GZIP
        layers.append(Blob(content, media_type, sha256(raw)))
    return registry.push("big/image", "v1", image(*layers))


def stored(raw: bytes) -> bytes:
    """Return gzip that is quick to make: of stored blocks."""
    compressor = zlib.compressobj(0, zlib.DEFLATED, 31)
    return compressor.compress(raw) + compressor.flush()


def save(reference: str, target: Path, *options: str) -> int:
    """Return the memory in bytes that a save takes at most."""
    ended = run(target.parent, "save", reference, "-o", target, "--platform", "linux/amd64", *options)
    assert ended.status == 0, ended.err
    return ended.peak


@pytest.mark.parametrize("cache", [True, False], ids=["cache", "no-cache"])
def test_an_image_of_one_gibibyte_takes_less_than_100_mebibytes(
    cache: bool,  # noqa: FBT001  # pytest passes it by name
    reference: str,
    tmp_path: Path,
) -> None:
    target = tmp_path / "y.tar"
    options = ["--cache-dir", str(tmp_path / "cache")] if cache else ["--no-cache"]
    runs = 2 if cache else 1  # the second one takes everything from the store
    for _ in range(runs):
        assert save(reference, target, *options) < LIMIT
    assert target.stat().st_size > 1000 * MIB


def test_the_windows_of_sixty_layers_do_not_add_up(loopback: Loopback, tmp_path: Path) -> None:
    layers = []
    for number in range(60):
        raw = bytes(10 * MIB + 512 * number)
        parameters = zstandard.ZstdCompressionParameters(window_log=23, compression_level=1)  # 8 MiB, as ``zstd -19``
        compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        layers.append(Blob(compressor.compress(raw) + compressor.flush(), OCI_ZSTD, sha256(raw)))
    loopback.add("team/app", "v1", image(*layers))
    assert save(f"{loopback.host}/team/app:v1", tmp_path / "y.tar", "--no-cache", "-j", "1") < LIMIT


def test_the_widest_windows_do_not_add_up(loopback: Loopback, tmp_path: Path) -> None:
    # frames with a window of 128 MiB, of blocks that repeat one byte
    size, layers = 128 * 1024, []
    for count in range(1025, 1028):
        blocks = (b"\x02\0\x10\0" * (count - 1)) + b"\x03\0\x10\0"
        layers.append(Blob(b"\x28\xb5\x2f\xfd\0\x88" + blocks, OCI_ZSTD, sha256(bytes(count * size))))
    loopback.add("team/app", "v1", image(*layers))
    assert save(f"{loopback.host}/team/app:v1", tmp_path / "y.tar", "--no-cache", "-j", "3") < MEMORY
