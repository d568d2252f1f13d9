"""Readers refuse exactly the odd layers that imgfetch refuses, decompresses or warns of."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Save, Started
from tests.e2e.test_odd_configs import archive_of, create
from tests.engines import ConsumerError, RealRegistry
from tests.images import Blob, sha256
from tests.odd_configs import CLASSIC, CTR_1, CTR_2, PODMAN, STORE
from tests.odd_layers import ODD_IMAGES, OddImage

# The fate of some links, whiteouts and names depends on the storage driver; those were measured with overlay2.
READERS = sorted(CLASSIC | STORE | PODMAN | CTR_1 | CTR_2)
SLOW = {"125 layers", "126 layers"}  # test_odd_configs has them
UNREAD = {
    *("gzip and garbage", "bzip2 and garbage", "xz and garbage", "zstd and garbage", "gzip cut short"),
    *("gzip and a magic", "zstd and most of a magic"),
}
"""Layers that docker 28's classic store loads if it happens to stop reading at the end of the tar."""
DECOMPRESSED = [name for name, odd in ODD_IMAGES.items() if odd.fate == "decompressed"]
ASKED = [
    *(name for name in ODD_IMAGES if not name.startswith("tar ") and name not in SLOW),
    *(f"tar cut short in {place}" for place in ("an entry", "padding", "a header", "an extended header")),
    *("tar without an end", "tar with half a block of zeros", "tar with a block of zeros between entries"),
    *("tar and a block of garbage", "tar with garbage for a header", "tar with a wrong checksum"),
    *("tar with a size in base 256", "tar with a PAX record of a wrong length", "tar with two global PAX headers"),
    *("tar with a PAX owner beyond 64 bits", "tar with a PAX size of many zeros", "tar with malformed capabilities"),
    *("tar with an entry of type 7", "tar with an entry of type S", "tar with a sparse file in PAX"),
    *("tar with one name twice", "tar with one directory twice", "tar with a name twice, once absolute"),
    *("tar with a name that leads out", "tar with a name of 256 bytes"),
    *("tar with a file below a file", "tar with a hard link to nothing", "tar with a hard link to an absolute name"),
    *("tar with a symbolic link without a target", "tar with its own top"),
]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ASKED)
def test_a_reader_refuses_an_odd_layer_or_does_not_as_measured(
    name: str, reader: str, started: Started, tmp_path: Path
) -> None:
    if name in UNREAD and reader == "docker-28.5":
        pytest.skip("it loads this layer at times")
    odd, archive = ODD_IMAGES[name], tmp_path / "y.tar"
    called = f"docker.io/odd/layer:{sha256(name.encode())[-16:]}"
    archive.write_bytes(archive_of(odd.built.config.content, layers(odd), called))
    refused = refusal(started(reader), archive, called)
    assert bool(refused) == (reader in odd.refuse), refused


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("odd")


@pytest.fixture
def saved(request: pytest.FixtureRequest, registry: RealRegistry, save: Save, kept: Path) -> tuple[Path, str]:
    """Return the archive of an image with an odd layer, saved once for all readers, and the image's name."""
    name = request.param
    called = f"docker.io/odd/saved:{sha256(f'saved {name}'.encode())[-16:]}"  # containers have the name of the tag
    archive = kept / f"{called[-16:]}.tar"
    if not archive.exists():
        reference = registry.push("odd/layers", called[-16:], ODD_IMAGES[name].built)
        save(str(archive), reference, "--name", called, "--platform", "linux/amd64")
    return archive, called


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("saved", DECOMPRESSED, indirect=True)
def test_every_reader_loads_the_archive_with_a_decompressed_layer(
    reader: str, started: Started, saved: tuple[Path, str]
) -> None:
    assert refusal(started(reader), *saved) == ""


def layers(odd: OddImage) -> list[Blob]:
    """Return an image's layers as its manifest lists them."""
    stored = {blob.digest: blob for blob in odd.built.layers}
    listed = json.loads(odd.built.raw)["layers"]
    return [replace(stored[entry["digest"]], media_type=entry["mediaType"]) for entry in listed]


def refusal(engine: Any, archive: Path, name: str) -> str:
    """Return why a reader does not load an archive or make a container of its image, or nothing if it does both."""
    try:
        (engine.read if hasattr(engine, "read") else engine.load)(archive)
        create(engine, name)
    except ConsumerError as error:
        return str(error)
    return ""
