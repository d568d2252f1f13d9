"""After loading, an image is found by the names and digests in the table of docs/archives.md, and by no others."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Save, Started
from tests.engines import ConsumerError, RealRegistry
from tests.forms import PLATFORM
from tests.images import ARM64, hello, image, index
from tests.readers import READERS, Loader

DOCUMENT = Path(__file__).parents[2] / "docs" / "archives.md"
COLUMNS = {
    "docker-28.5-containerd-store": 0,
    "podman-4.3": 1,
    "podman-5.8": 1,
    "ctr-1.6": 2,
    "ctr-2.1": 2,
    "ctr-2.1-local": 2,
}
ASKED = ("app:1", "app@MANIFEST", "app@INDEX")


def table() -> dict[str, list[str]]:
    """Return the cells of the table by what was saved."""
    rows = re.findall(r"^\| (`app.*?) \| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE)
    return {saved: cells.split(" | ") for saved, cells in rows}


def finds(engine: Loader, name: str) -> bool:
    try:
        engine.image_named(name)
    except (ConsumerError, KeyError):
        return False
    return True


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("names")


@pytest.fixture
def saved(row: str, registry: RealRegistry, save: Save, kept: Path) -> tuple[Path, Callable[[str], str]]:
    """Return the archive of a row, saved once for all readers, and a function that completes a name of the table."""
    repository = "names/" + re.sub(r"\W+", "-", row.strip("`").lower())
    amd64 = image(hello(repository))
    many = index(amd64, image(hello(f"{repository} arm64"), platform=ARM64))
    app = f"{registry.host}/{repository}"

    def full(name: str) -> str:
        return name.replace("app", app).replace("MANIFEST", amd64.digest).replace("INDEX", many.digest)

    archive = kept / f"{repository.partition('/')[2]}.tar"
    if not archive.exists():
        registry.push(repository, "1", many)
        save(str(archive), *(full(each) for each in row.replace("`", "").replace(",", "").split()), *PLATFORM)
    return archive, full


@pytest.mark.parametrize("reader", COLUMNS)
@pytest.mark.parametrize("row", table())
def test_a_reader_finds_an_image_by_these_names(
    row: str, reader: str, saved: tuple[Path, Callable[[str], str]], started: Started
) -> None:
    engine, (archive, full) = started(reader), saved
    if not READERS[reader].knows(engine):
        pytest.skip(f"{reader} is {engine.version} here, which the table does not know")
    engine.read(archive)
    found = [name for name in ASKED if finds(engine, full(name))]
    assert found == table()[row][COLUMNS[reader]].replace("`", "").split(", ")


def test_the_table_of_names_is_there() -> None:
    assert len(table()) == 9
