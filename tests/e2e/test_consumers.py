"""The real readers of an archive take what the command wrote, from a real registry, in every shape."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.engines import ConsumerError, Docker, Loaded, RealRegistry
from tests.shapes import SHAPES, Shape

CONSUMERS = ["docker", "podman", "skopeo_docker_archive", "skopeo_oci_archive", "containerd"]


def repository_of(name: str) -> str:
    return "shapes/" + re.sub(r"[^a-z0-9]+", "-", name)


@pytest.fixture(scope="session")
def archives(registry: RealRegistry, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Return what was written of every shape so far, with what was said about it."""
    del registry
    return {"": (tmp_path_factory.mktemp("archives"), "")}


@pytest.fixture
def archive(name: str, registry: RealRegistry, run: Run, archives: dict[str, tuple[Path, str]]) -> tuple[Path, str]:
    """Return a shape's archive, written once by the command, and the command's messages."""
    if name not in archives:
        reference = registry.push(repository_of(name), "v1", SHAPES[name].built)
        path = archives[""][0] / f"{len(archives)}.tar"
        done = run("save", reference, "-o", str(path), "--platform", "linux/amd64", "--no-cache")
        assert done.returncode == 0, done.stderr.decode()
        archives[name] = path, done.stderr.decode()
    return archives[name]


def refusal(shape: Shape, consumer: object) -> str:
    """Return why a reader is expected to refuse a shape, or nothing."""
    is_old = isinstance(consumer, Docker) and not consumer.knows_zstd
    return "docker before 23 reads no zstd (L06)" if is_old and shape.zstd else ""


@pytest.mark.parametrize("consumer_name", CONSUMERS)
@pytest.mark.parametrize("name", SHAPES)
def test_a_reader_loads_the_image(
    name: str, consumer_name: str, archive: tuple[Path, str], request: pytest.FixtureRequest
) -> None:
    consumer = request.getfixturevalue(consumer_name)
    shape = SHAPES[name]
    reason = refusal(shape, consumer)
    if reason:
        with pytest.raises(ConsumerError):
            consumer.load(archive[0])
        pytest.xfail(f"{consumer_name}: {reason}")
    loaded: Loaded = consumer.load(archive[0])
    assert loaded.image_id == shape.manifest.config.digest
    assert shape.is_rewritten or loaded.digest in ("", shape.manifest.digest)


@pytest.mark.parametrize("name", SHAPES)
def test_what_a_reader_may_stumble_over_is_told(name: str, archive: tuple[Path, str]) -> None:
    said = [line for line in archive[1].splitlines() if "warning" in line]
    expected = SHAPES[name].warnings
    assert len(said) == len(expected), said
    for part in expected:
        assert any(part in line for line in said), said
