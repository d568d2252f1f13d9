"""Readers refuse exactly the odd configs that `imgfetch.oci.readers` says they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imgfetch.oci import mediatypes
from tests import odd_configs
from tests.engines import ConsumerError, output
from tests.images import Blob, hello, sha256, tar
from tests.odd_configs import ODD_CONFIGS
from tests.readers import Containerd, Docker, Podman

Started = Callable[[str], Any]

ASKED = [
    'created ""',
    "created 0",
    'created "2024-01-01"',
    'created "2024-02-30T00:00:00Z"',
    'created "2024-01-01T00:00:00+25:00"',
    'created "2024-01-01T00:00:00+23:60"',
    r'created "2024-01-01T00:00:00\u002B00:00"',
    'created "2024-01-01T1:00:00.123456789012-07:30"',
    "created null",
    'history/0/created ""',
    "history {}",
    "history 1",
    'history [{"created_by": "a"}, null]',
    "history [null]",
    "author 1",
    "id 1",
    "docker_version 1",
    'container_config {"Env": {}}',
    'os "darwin"',
    'os "Linux"',
    "os.features [1]",
    'architecture "amd64/v2"',
    'architecture "amd64(v1)"',
    'architecture "amd 64"',
    'variant "v8 (64)"',
    'os.version "20.04 (focal)"',
    'rootfs/type ""',
    "config/Env {}",
    "config/Labels []",
    'config/Labels {"a": 1}',
    'config/Labels {"a": "1", "a": "2"}',
    'config/Labels {"a": 1, "a": "2"}',
    'config/Env 1, "Env": ["A=c"]',
    'config/ExposedPorts ["80/tcp"]',
    'config/Entrypoint "/bin/sh"',
    'config/Entrypoint ["/a", 1]',
    "config/OnBuild [1]",
    'config/Shell "sh"',
    'config/Healthcheck {"Interval": 1e9}',
    'config/Healthcheck {"StartInterval": "1s"}',
    'config/StopTimeout "10"',
    "config/Hostname 1",
]


@pytest.fixture(params=ASKED)
def odd(request: pytest.FixtureRequest) -> odd_configs.Odd:
    return ODD_CONFIGS[request.param]


@pytest.mark.parametrize("reader", sorted(odd_configs.READERS))
def test_a_reader_refuses_an_odd_config_or_does_not_as_measured(
    odd: odd_configs.Odd, reader: str, started: Started, tmp_path: Path
) -> None:
    engine = started(reader)
    name = f"docker.io/odd/config:{sha256(str(odd).encode())[-16:]}"
    archive = tmp_path / "y.tar"
    archive.write_bytes(archive_of(odd.config(hello()), [hello()], name))
    found, why = fate(engine, archive, name)
    assert found == expected(odd.fate, reader), why


@pytest.mark.parametrize("reader", sorted(odd_configs.PODMAN))
def test_podman_takes_no_lock_that_others_need(reader: str, started: Started, tmp_path: Path) -> None:
    podman, archive, name = started(reader), tmp_path / "y.tar", "docker.io/odd/locks:1"
    archive.write_bytes(archive_of(ODD_CONFIGS["created null"].config(hello()), [hello()], name))
    before = set(podman.locks.iterdir()) if podman.locks.exists() else set()
    assert fate(podman, archive, name) == ("runs", "")
    assert len(set(podman.locks.iterdir()) - before) == 1


@pytest.mark.parametrize("count", [125, 126])
@pytest.mark.parametrize("reader", sorted(odd_configs.CLASSIC))
def test_dockers_classic_store_stops_at_125_layers(reader: str, count: int, started: Started, tmp_path: Path) -> None:
    layers = [hello(str(number)) for number in range(count)]
    name = f"docker.io/odd/layers:{count}"
    archive = tmp_path / "y.tar"
    archive.write_bytes(archive_of(ODD_CONFIGS["created null"].config(*layers), layers, name))
    found, why = fate(started(reader), archive, name)
    assert found == ("refused" if count > 125 else "runs"), why


def expected(fate: odd_configs.Fate, reader: str) -> str:
    return "refused" if reader in fate.refuse else "cannot run" if reader in fate.cannot_run else "runs"


def fate(engine: Any, archive: Path, name: str) -> tuple[str, str]:
    """Load an image, make a container of it where the reader can, and return how that ended and why."""
    try:
        (engine.read if hasattr(engine, "read") else engine.load)(archive)
    except ConsumerError as error:
        return "refused", str(error)
    try:
        create(engine, name)
    except ConsumerError as error:
        return "cannot run", str(error)
    return "runs", ""


def create(engine: Any, name: str) -> None:
    """Make a container, which is never started."""
    if isinstance(engine, Docker):
        engine.run("create", name)
    elif isinstance(engine, Podman):
        output(*engine.command, "create", "--network", "none", name)
    elif isinstance(engine, Containerd):
        engine.run("containers", "create", name, name.rpartition(":")[2])


def archive_of(config: bytes, layers: list[Blob], name: str) -> bytes:
    """Return an archive in docker's format and of an OCI layout, as imgfetch writes it."""
    config_blob = Blob(config, mediatypes.OCI_CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": mediatypes.OCI_MANIFEST, "config": config_blob.descriptor}
    raw = json.dumps({**manifest, "layers": [layer.descriptor for layer in layers]}).encode()
    entry = {
        **Blob(raw, mediatypes.OCI_MANIFEST).descriptor,
        "platform": {"os": "linux", "architecture": "amd64"},
        "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]},
    }
    item = {"Config": path(config), "RepoTags": [name], "Layers": [path(layer.content) for layer in layers]}
    return tar(
        {
            **{path(content): content for content in (config, raw, *(layer.content for layer in layers))},
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            "index.json": json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(),
            "manifest.json": json.dumps([item]).encode(),
        }
    )


def path(content: bytes) -> str:
    return f"blobs/sha256/{sha256(content).removeprefix('sha256:')}"
