"""Bundles have the size that was forecast, and readers list all of their images."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from imgfetch.archive.verify import verify
from tests.conftest import Run
from tests.e2e.conftest import Save, Started
from tests.engines import RealRegistry
from tests.forms import BUNDLES, PLATFORM, expect, refusal
from tests.images import Built, hello, image
from tests.readers import LOADERS

BASE = hello("bundles-base")


@pytest.mark.parametrize("count", [1, 2, 12])
def test_a_bundle_is_as_large_as_was_forecast(count: int, registry: RealRegistry, run: Run, save: Save) -> None:
    images = [image(BASE, hello(f"bundle-{count}-{number}")) for number in range(count)]
    references = [registry.push(f"bundle/{count}/{number}", "v1", each) for number, each in enumerate(images)]
    done = run("save", *references, *PLATFORM, "--dry-run", "--json")
    forecast = json.loads(done.stdout)
    archive = save("bundle.tar", *references, *PLATFORM)
    assert archive.stat().st_size == forecast["archive_size"]
    blobs = {blob.digest: len(blob.content) for each in images for blob in each.blobs}
    blobs |= {each.digest: len(each.raw) for each in images}
    with tarfile.open(archive) as members:
        files = {member.name: member.size for member in members if member.isfile()}
    inside = {name: size for name, size in files.items() if name.startswith("blobs/")}
    assert inside == {f"blobs/sha256/{digest.removeprefix('sha256:')}": size for digest, size in blobs.items()}
    with tarfile.open(archive) as members:
        headers = 512 * len(members.getmembers())
    padded = sum(-(-size // 512) * 512 for size in files.values())
    assert archive.stat().st_size == headers + padded + 1024


@pytest.mark.parametrize("reader", ["skopeo-1.9-oci-archive", "skopeo-1.22-oci-archive"])
def test_skopeo_finds_images_with_the_same_tag_by_their_names(
    reader: str, registry: RealRegistry, save: Save, started: Started
) -> None:
    images = [image(hello(f"{reader} {number}")) for number in range(2)]
    names = [registry.push(f"same-tag/{number}", "latest", built) for number, built in enumerate(images)]
    archive = save("bundle.tar", *names, *PLATFORM, "--format", "oci")
    for name, built in zip(names, images, strict=True):
        assert started(reader).raw(f"{archive}:{name}") == built.raw


@pytest.fixture(scope="session")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Built]]]:
    """Return where each form of bundle is written once, and its images by name."""
    return tmp_path_factory.mktemp("bundles"), {}


@pytest.fixture
def bundle(
    form: str, registry: RealRegistry, run: Run, bundled: tuple[Path, dict[str, dict[str, Built]]]
) -> tuple[Path, dict[str, Built]]:
    directory, images = bundled
    target = directory / f"{form.replace(' ', '-')}.tar"
    if form not in images:
        shared = hello(f"{form} base")
        built = [image(shared, hello(f"{form} {number}")) for number in range(3)]
        references = [
            registry.push(f"bundle/{form.replace(' ', '-')}-{n}", f"v{n}", each) for n, each in enumerate(built)
        ]
        done = run("save", *references, *BUNDLES[form].options, "-o", str(target))
        assert done.returncode == 0, done.stderr.decode()
        assert verify(target).findings == ()
        images[form] = dict(zip(references, built, strict=True))
    return target, images[form]


@pytest.mark.parametrize("reader", LOADERS)
@pytest.mark.parametrize("form", BUNDLES)
def test_a_reader_has_every_image_of_a_bundle_under_its_name(
    form: str, reader: str, bundle: tuple[Path, dict[str, Built]], started: Started, request: pytest.FixtureRequest
) -> None:
    engine, (archive, images) = started(reader), bundle
    expect(request, reader, engine, refusal(form, reader))
    engine.read(archive)
    for name, built in images.items():
        assert engine.image_named(name) in (built.config.digest, built.digest)
