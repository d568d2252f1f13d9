"""Readers load the archive that a patch makes, and a patch accepts the archive of docker save as its base."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from imgfetch import apply_patch, make_patch
from tests.e2e.conftest import Started
from tests.forms import expect
from tests.patches import NEW, OLD, archive, sha256
from tests.readers import LOADERS


@dataclass(frozen=True)
class Patched:
    """An archive that a patch made.

    Attributes:
        directory: has the archives and the patch.
        old: the old image's name.
    """

    directory: Path
    old: str

    @property
    def result(self) -> Path:
        return self.directory / "result.tar"


@pytest.fixture(scope="session")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Patched:
    directory = tmp_path_factory.mktemp("patched")
    old = archive(OLD, directory / "old.tar")
    archive(NEW, directory / "new.tar")
    make_patch(directory / "old.tar", directory / "new.tar", directory / "new.patch")
    apply_patch(directory / "new.patch", directory / "old.tar", directory / "result.tar")
    return Patched(directory, old)


@pytest.mark.parametrize("reader", LOADERS)
def test_a_reader_loads_the_result_of_a_patch(
    reader: str, patched: Patched, started: Started, request: pytest.FixtureRequest
) -> None:
    engine = started(reader)
    expect(request, reader, engine, "")
    assert engine.load(patched.result).image_id == NEW.config.digest


@pytest.mark.parametrize("reader", [name for name in LOADERS if name.startswith("docker")])
def test_the_base_may_be_written_by_docker_save(
    reader: str, patched: Patched, started: Started, tmp_path: Path
) -> None:
    engine, base = started(reader), patched.directory / f"{reader}.tar"
    engine.forget()
    engine.load(patched.directory / "old.tar")
    engine.run("save", "-o", base, patched.old)
    apply_patch(patched.directory / "new.patch", base, tmp_path / "again.tar")
    assert sha256(tmp_path / "again.tar") == sha256(patched.result)
