"""The real readers of an archive take what the command wrote, from a real registry, in every shape."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.e2e.conftest import Started
from tests.engines import RealRegistry
from tests.forms import expect
from tests.readers import READERS
from tests.shapes import SHAPES, Shape


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


NO_ZSTD = {"docker-20.10": "docker before 23 reads no zstd (L06)", "crane-0.20": "crane reads no zstd in an archive"}


def refusal(shape: Shape, reader: str) -> str:
    """Return why a reader is expected to refuse a shape, or nothing."""
    if shape.zstd:
        return NO_ZSTD.get(reader, "")
    if reader == "crane-0.20" and shape.is_rewritten and shape.manifest.layers[1:]:
        return "crane takes all layers for compressed if the first is, and else none"
    return ""


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", SHAPES)
def test_a_reader_loads_the_image(
    name: str, reader: str, archive: tuple[Path, str], started: Started, request: pytest.FixtureRequest
) -> None:
    engine, shape = started(reader), SHAPES[name]
    expect(request, reader, engine, refusal(shape, reader))
    loaded = engine.load(archive[0])
    assert loaded.image_id == shape.manifest.config.digest
    assert shape.is_rewritten or loaded.digest in ("", shape.manifest.digest)


@pytest.mark.parametrize("name", SHAPES)
def test_what_a_reader_may_stumble_over_is_told(name: str, archive: tuple[Path, str]) -> None:
    said = [line for line in archive[1].splitlines() if "warning" in line]
    expected = SHAPES[name].warnings
    assert len(said) == len(expected), said
    for part in expected:
        assert any(part in line for line in said), said
