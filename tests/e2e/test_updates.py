"""Archives that leave out a base's layers load where the base has been loaded, and nowhere else."""

from __future__ import annotations

import contextlib
import io
import random
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from imgfetch.archive.verify import verify
from tests.conftest import Run
from tests.e2e.conftest import Started
from tests.engines import ConsumerError, RealRegistry
from tests.forms import UPDATES, expect, refusal
from tests.images import Blob, Built, hello, image, layer, tar
from tests.readers import LOADERS, READERS, Docker

MIB = 1024 * 1024
FILES = ("base.bin", "new.bin", "shared.txt")


@dataclass(frozen=True)
class Update:
    """An update and its base.

    Attributes:
        base: the base's archive.
        archive: the update's archive.
        large: the layer that is in the base alone.
        new: the layer that is in the update alone.
        images: the update's images by name.
    """

    base: Path
    archive: Path
    large: Blob
    new: Blob
    images: dict[str, Built]


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Update]]:
    """Return where updates are written once, and those that are there."""
    return tmp_path_factory.mktemp("updates"), {}


def _references(registry: RealRegistry, path: str, tag: str, images: list[Built]) -> list[str]:
    return [registry.push(f"{path}/{number}", tag, built) for number, built in enumerate(images)]


@pytest.fixture
def update(
    form: str, registry: RealRegistry, run: Run, written: tuple[Path, dict[str, Update]], request: pytest.FixtureRequest
) -> Update:
    """Return an update in a form, with layers that no other form or test has."""
    directory, updates = written
    path = "-".join(["updates", *form.split(), str(len(request.function.__name__))])
    if path not in updates:
        large = layer(tar({"base.bin": random.Random(1).randbytes(3 * MIB), "shared.txt": b"from the base"}))
        new = layer(tar({"new.bin": random.Random(2).randbytes(MIB // 2), "shared.txt": b"from the top"}))
        numbers = range(2 if "bundle" in form else 1)
        images = [image(large, new, config={"author": f"{path} {number}"}) for number in numbers]
        base, archive = directory / f"{path}-base.tar", directory / f"{path}.tar"
        old = _references(registry, path, "old", [image(large, hello(f"{path} {number}")) for number in numbers])
        _save(run, old, base, *UPDATES[form].options)
        references = _references(registry, path, "new", images)
        _save(run, references, archive, *UPDATES[form].options, "--base", str(base))
        assert archive.stat().st_size < len(new.content) + MIB
        verified = verify(archive)
        assert verified.findings == ()
        assert large.digest in verified.notes[0]
        updates[path] = Update(base, archive, large, new, dict(zip(references, images, strict=True)))
    return updates[path]


def _save(run: Run, references: list[str], target: Path, *options: str) -> None:
    done = run("save", *references, "-o", str(target), *options)
    assert done.returncode == 0, done.stderr.decode()


SUCCEEDS = {"docker-28.5-containerd-store": "it reports success"}
"""Readers that report success for an update without its base, and the reason."""


@pytest.mark.parametrize("reader", LOADERS)
@pytest.mark.parametrize("form", ["update", "oci update"])
def test_a_reader_without_the_base_refuses_an_update(
    form: str, reader: str, update: Update, started: Started, request: pytest.FixtureRequest
) -> None:
    engine = started(reader)
    engine.forget()
    if reader in SUCCEEDS and READERS[reader].knows(engine):
        request.applymarker(pytest.mark.xfail(reason=f"{reader}: {SUCCEEDS[reader]}", strict=True))
    with pytest.raises(ConsumerError) as refused:
        engine.read(update.archive)
    engine.forget()
    if reader == "docker-20.10" and form == "update":  # as docs/archives.md says
        assert "no such file or directory" in str(refused.value)
        assert update.large.digest.removeprefix("sha256:")[:12] in str(refused.value)
    if reader.startswith("ctr"):
        assert "not found" in str(refused.value)


MOVE_THE_NAME = ("docker-28.5-containerd-store", "ctr-1.6", "ctr-2.1-local")
"""Readers whose name then refers to the update, until the base and the update have been loaded."""


@pytest.mark.parametrize("reader", LOADERS)
def test_an_update_without_its_base_leaves_the_name_alone_except_in_these_readers(
    reader: str, registry: RealRegistry, run: Run, started: Started, tmp_path: Path
) -> None:
    engine = started(reader)
    if not READERS[reader].knows(engine):
        pytest.skip(f"{reader} is {engine.version} here, whose names are not known")
    engine.forget()
    shared, path = hello(f"moved {reader} base"), f"moved/{reader}"
    built = image(shared, hello(f"moved {reader}"))
    name = registry.push(path, "1", image(hello(f"moved {reader} before")))
    _save(run, [name], tmp_path / "before.tar")
    base = registry.push(path, "base", image(shared))
    _save(run, [base], tmp_path / "base.tar")
    registry.push(path, "1", built)
    _save(run, [name], tmp_path / "update.tar", "--base", base)
    engine.read(tmp_path / "before.tar")
    before = engine.image_named(name)
    with contextlib.suppress(ConsumerError):
        engine.read(tmp_path / "update.tar")
    assert (engine.image_named(name) != before) == (reader in MOVE_THE_NAME)
    engine.read(tmp_path / "base.tar")
    engine.read(tmp_path / "update.tar")
    assert engine.image_named(name) in (built.config.digest, built.digest)
    if isinstance(engine, Docker):
        assert engine.exported(name)
    engine.forget()


@pytest.mark.parametrize("reader", LOADERS)
def test_all_but_podman_know_the_layers_of_a_base_that_was_decompressed(
    reader: str, registry: RealRegistry, run: Run, started: Started, tmp_path: Path
) -> None:
    engine, shared, path = started(reader), hello(f"plain {reader} base"), f"plain/{reader}"
    built = image(shared, hello(f"plain {reader}"))
    _save(run, [registry.push(path, "base", image(shared))], tmp_path / "base.tar", "--layers", "plain")
    name = registry.push(path, "1", built)
    _save(run, [name], tmp_path / "update.tar", "--base", str(tmp_path / "base.tar"))
    engine.read(tmp_path / "base.tar")
    if reader.startswith("podman"):
        with pytest.raises(ConsumerError):
            engine.read(tmp_path / "update.tar")
        return
    engine.read(tmp_path / "update.tar")
    assert engine.image_named(name) in (built.config.digest, built.digest)


@pytest.mark.parametrize("reader", LOADERS)
@pytest.mark.parametrize("form", UPDATES)
def test_a_reader_with_the_base_loads_an_update(
    form: str, reader: str, update: Update, started: Started, request: pytest.FixtureRequest
) -> None:
    engine = started(reader)
    expect(request, reader, engine, refusal(form, reader))
    engine.read(update.base)
    engine.read(update.archive)
    for name, built in update.images.items():
        assert engine.image_named(name) in (built.config.digest, built.digest)
    if isinstance(engine, Docker):
        assert files_of(engine.exported(next(iter(update.images)))) == {
            "base.bin": files_of(update.large.content)["base.bin"],
            **files_of(update.new.content),
        }
    engine.forget()


def files_of(content: bytes) -> dict[str, bytes]:
    """Return those of the files above that are in a tar."""
    with tarfile.open(fileobj=io.BytesIO(content)) as opened:
        members = [member for member in opened if member.name in FILES]
        return {member.name: file.read() for member in members if (file := opened.extractfile(member))}
