"""Every reader takes every form of archive, but for the known exceptions."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from imgfetch.archive.verify import verify
from tests.conftest import Run
from tests.e2e.conftest import Save, Started
from tests.engines import RealRegistry
from tests.forms import FORMS, PLATFORM, expect, refusal
from tests.images import ARM64, DSSE, OCI_ZSTD, Built, attestation, cosign_tag, cosigned, hello, image, index, referrer
from tests.readers import READERS, Containerd, Docker
from tests.tools import tool

BASE, TOP = hello("forms-base"), hello("forms-top")
AMD64_IMAGE = image(BASE, TOP, config={"author": "forms"})
ARM64_IMAGE = image(hello("forms-arm64"), platform=ARM64)
MANY = index(AMD64_IMAGE, ARM64_IMAGE, attestation(AMD64_IMAGE))


@pytest.fixture(scope="session")
def formed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Built]]:
    """Return where each form's archive is written once, and the image of each that is there."""
    return tmp_path_factory.mktemp("forms"), {}


@pytest.fixture
def archive(name: str, registry: RealRegistry, run: Run, formed: tuple[Path, dict[str, Built]]) -> tuple[Path, Built]:
    """Return an archive in a form, and the index of its image, which no other form has."""
    (directory, images), form = formed, FORMS[name]
    target = directory / f"{name.replace(' ', '-')}{form.suffix}"
    if name not in images:
        amd64 = image(hello(f"{name} base"), hello(f"{name} top"), config={"author": name})
        many = index(amd64, image(hello(f"{name} arm64"), platform=ARM64), attestation(amd64))
        reference = registry.push("forms/" + name.replace(" ", "-"), "v1", many)
        if form.is_signed:
            _sign(registry, "forms/" + name.replace(" ", "-"), many)
        if form.is_pinned:
            reference = f"{reference}@{many.digest}"
        done = run("save", reference, *form.options, "-o", str(target))
        assert done.returncode == 0, done.stderr.decode()
        assert verify(target).findings == ()
        images[name] = many
    return target, images[name]


def _sign(registry: RealRegistry, repository: str, many: Built) -> None:
    """Give an index and its first image content under cosign's tags, and referrers."""
    for subject in (many, many.children[0]):
        bundle = referrer(subject)
        for suffix, built in ((".sig", cosigned(subject)), (".att", cosigned(subject, DSSE)), ("", index(bundle))):
            registry.push(repository, cosign_tag(subject, suffix), built)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", FORMS)
def test_a_reader_takes_a_form(
    name: str, reader: str, archive: tuple[Path, Built], started: Started, request: pytest.FixtureRequest
) -> None:
    engine, (path, many) = started(reader), archive
    expect(request, reader, engine, refusal(name, reader))
    loaded = engine.load(path)
    assert loaded.image_id == many.children[0].config.digest
    if FORMS[name].keeps_digest and not (FORMS[name].is_signed and reader.startswith("podman")):
        assert loaded.digest in ("", many.children[0].digest, many.digest)


@pytest.mark.parametrize("archive_format", ["docker", "oci"])
@pytest.mark.parametrize("reader", ["skopeo-1.9-oci-archive", "skopeo-1.22-oci-archive"])
def test_skopeo_takes_a_signed_image_by_its_name(
    reader: str, archive_format: str, registry: RealRegistry, save: Save, started: Started
) -> None:
    skopeo, built = started(reader), image(hello(f"signed {reader}"))
    repository = f"forms/signed-{reader}"
    reference = registry.push(repository, "v1", built)
    registry.push(repository, cosign_tag(built), cosigned(built))
    archive = save("y.tar", reference, "--signatures", "--format", archive_format, *PLATFORM)
    name = reference if archive_format == "docker" else "v1"
    assert skopeo.config_named(archive, name) == built.config.digest


@pytest.mark.parametrize("reader", ["docker-28.5-containerd-store", "docker-28.5", "docker-20.10"])
def test_docker_keeps_no_image_of_a_signature(
    reader: str, registry: RealRegistry, save: Save, started: Started
) -> None:
    docker, built = started(reader), image(hello(f"one of {reader}"))
    repository = f"forms/kept-{reader}"
    reference = registry.push(repository, "v1", built)
    registry.push(repository, cosign_tag(built), cosigned(built))
    before = set(docker.run("images", "-aq", "--no-trunc").split())
    docker.load(save("y.tar", reference, "--signatures", *PLATFORM))
    assert len(set(docker.run("images", "-aq", "--no-trunc").split()) - before) == 1


NESTED_REFUSED = dict.fromkeys(
    ("ctr-1.6", "ctr-2.1-local", "skopeo-1.9-oci-archive", "skopeo-1.22-oci-archive"),
    "it chooses within the first matching index only, or within none",
)


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_takes_an_index_within_an_index(
    reader: str, registry: RealRegistry, save: Save, started: Started, request: pytest.FixtureRequest
) -> None:
    engine, amd64 = started(reader), image(hello(f"nested {reader}"))
    many = index(index(image(hello("nested arm64"), platform=ARM64)), index(amd64))
    expect(request, reader, engine, NESTED_REFUSED.get(reader, ""))
    archive = save("y.tar", registry.push(f"forms/nested-{reader}", "v1", many), "--all-platforms", *PLATFORM)
    loaded = engine.load(archive)
    if reader.startswith(("ctr", "docker-28.5-containerd")):
        assert loaded.digest == many.digest
    else:
        assert loaded.image_id == amd64.config.digest
        assert loaded.digest != many.digest


def test_dockers_classic_store_loads_nothing_for_another_platform_than_the_preferred_one(
    registry: RealRegistry, save: Save, started: Started
) -> None:
    docker, reference = started("docker-28.5"), registry.push("forms/preferred", "v1", MANY)
    archive = save("y.tar", reference, "--all-platforms", *PLATFORM)
    docker.run("load", "--platform", "linux/arm64", "-i", archive)
    assert reference not in docker.tags()
    docker.run("load", "--platform", "linux/amd64", "-i", archive)
    assert reference in docker.tags()


def test_containerd_takes_all_platforms(registry: RealRegistry, save: Save, containerd: Containerd) -> None:
    reference = registry.push("forms/everything", "v1", MANY)
    archive = save("y.tar", reference, "--all-platforms")
    containerd.run("images", "import", "--all-platforms", archive)
    assert containerd.images()[reference] == MANY.digest
    held = containerd.run("content", "ls", "-q").split()
    assert {MANY.digest, *(child.digest for child in MANY.children), *(blob.digest for blob in MANY.blobs)} <= set(held)


@pytest.mark.parametrize(
    "reader",
    ["{docker} load", "zstd -q | zstd -dq | {docker} load", "cat > y.tar; {docker} load < y.tar"],
    ids=["load", "zstd", "file"],
)
def test_an_archive_goes_through_a_pipe(reader: str, registry: RealRegistry, docker: Docker, tmp_path: Path) -> None:
    tool("zstd")
    built = image(BASE, hello(f"pipe {reader[:5].strip('{}')}"))
    reference = registry.push("forms/pipe", "v1", built)
    save = f"{sys.executable} -m imgfetch save {reference} -o - --platform linux/amd64 --cache-dir {tmp_path}/cache"
    command = f"set -o pipefail; {save} | {reader.format(docker=' '.join(map(str, docker.command)))}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"Loaded image: {reference}" in done.stdout.decode()
    assert docker.image_named(reference) == built.config.digest


def test_a_pipe_that_fails_on_the_way_loads_nothing(registry: RealRegistry, docker: Docker, tmp_path: Path) -> None:
    wrong = image(BASE, replace(hello("pipe wrong"), diff_id=f"sha256:{'0' * 64}"))
    reference = registry.push("forms/pipe-wrong", "v1", wrong)
    save = f"{sys.executable} -m imgfetch save {reference} -o - --platform linux/amd64 --cache-dir {tmp_path}/cache"
    command = f"set -o pipefail; {save} | {' '.join(map(str, docker.command))} load"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=False, timeout=120)
    assert done.returncode != 0
    assert b"does not match the config" in done.stderr
    assert reference not in docker.tags()


def test_old_docker_takes_zstd_as_plain_layers(registry: RealRegistry, save: Save, docker: Docker) -> None:
    built = image(hello("zstd-base", OCI_ZSTD), hello("zstd-top", OCI_ZSTD))
    archive = save("y.tar", registry.push("forms/zstd-layers", "v1", built), *PLATFORM, "--layers", "plain")
    assert docker.load(archive).image_id == built.config.digest
