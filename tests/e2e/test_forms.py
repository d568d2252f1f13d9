"""Every form of archive in every reader, bundles, and archives that leave out what the reader has."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from imgfetch.archive.verify import verify
from tests import engines
from tests.conftest import Run
from tests.engines import ConsumerError, Containerd, Docker, RealRegistry
from tests.images import ARM64, OCI_ZSTD, attestation, hello, image, index, layer, tar
from tests.tools import tool

CONSUMERS = ["docker", "podman", "skopeo_docker_archive", "skopeo_oci_archive", "containerd"]
PLATFORM = ("--platform", "linux/amd64")
MIB = 1024 * 1024


@dataclass(frozen=True)
class Form:
    """A form of archive.

    Attributes:
        options: what makes it.
        suffix: how the file's name ends.
        refused_by: why a reader is expected to refuse it, by its name.
        some_refuse: readers of which some versions refuse it, and why.
        keeps_digest: whether the manifest in it is the registry's.
        is_pinned: whether it is asked for by the digest of its index, which then stands beside it.
    """

    options: tuple[str, ...]
    suffix: str = ".tar"
    refused_by: tuple[tuple[str, str], ...] = ()
    some_refuse: tuple[tuple[str, str], ...] = ()
    keeps_digest: bool = True
    is_pinned: bool = False


NO_LAYOUT = ("skopeo_oci_archive", "it has no OCI layout")
NO_COMPRESSION = ("containerd", "ctr reads no compressed archives")
NO_DOCKER = (("skopeo_docker_archive", "it has no manifest.json"), ("docker", "docker before 25 reads no OCI layout"))
FORMS = {
    "docker": Form(PLATFORM),
    "pinned": Form(PLATFORM, is_pinned=True),
    "plain": Form((*PLATFORM, "--layers", "plain"), keeps_digest=False),
    "classic": Form((*PLATFORM, "--format", "docker-classic"), refused_by=(NO_LAYOUT,), keeps_digest=False),
    "oci": Form((*PLATFORM, "--format", "oci"), refused_by=NO_DOCKER),
    "oci plain": Form((*PLATFORM, "--format", "oci", "--layers", "plain"), refused_by=NO_DOCKER, keeps_digest=False),
    "all platforms": Form((*PLATFORM, "--all-platforms")),
    "two platforms": Form(("--platform", "linux/amd64,linux/arm64"), keeps_digest=False),
    "gzip": Form(
        PLATFORM,
        ".tar.gz",
        refused_by=(NO_COMPRESSION,),
        some_refuse=(("skopeo_docker_archive", "skopeo 1.9 reads no gzip, of its own archives either"),),
    ),
    "zstd": Form(
        PLATFORM,
        ".tar.zst",
        refused_by=(NO_COMPRESSION, ("docker", "docker before 23 reads no zstd")),
    ),
}
BASE, TOP = hello("forms-base"), hello("forms-top")
AMD64_IMAGE = image(BASE, TOP, config={"author": "forms"})
ARM64_IMAGE = image(hello("forms-arm64"), platform=ARM64)
MANY = index(AMD64_IMAGE, ARM64_IMAGE, attestation(AMD64_IMAGE))

Save = Callable[..., Path]


@pytest.fixture
def save(run: Run, tmp_path: Path) -> Save:
    """Return a function that saves references, and returns the archive."""

    def save(name: str, *arguments: str | Path) -> Path:
        target = tmp_path / name
        done = run("save", *map(str, arguments), "-o", str(target))
        assert done.returncode == 0, done.stderr.decode()
        return target

    return save


def refusal(form: Form, consumer_name: str, consumer: object) -> str:
    reason = dict(form.refused_by).get(consumer_name, "")
    if isinstance(consumer, Docker) and reason:
        version = int(consumer.version.partition(".")[0])
        return reason if version < int(re.findall(r"\d+", reason)[0]) else ""
    return reason


@pytest.mark.parametrize("consumer_name", CONSUMERS)
@pytest.mark.parametrize("name", FORMS)
def test_a_reader_takes_a_form(
    name: str, consumer_name: str, registry: RealRegistry, save: Save, request: pytest.FixtureRequest
) -> None:
    consumer = request.getfixturevalue(consumer_name)
    form = FORMS[name]
    reference = registry.push("forms/" + name.replace(" ", "-"), "v1", MANY)
    archive = save(f"y{form.suffix}", f"{reference}@{MANY.digest}" if form.is_pinned else reference, *form.options)
    assert verify(archive).findings == ()
    reason = refusal(form, consumer_name, consumer)
    if reason:
        with pytest.raises(ConsumerError):
            consumer.load(archive)
        pytest.xfail(f"{consumer_name}: {reason}")
    try:
        loaded = consumer.load(archive)
    except ConsumerError:
        if consumer_name not in dict(form.some_refuse):
            raise
        pytest.xfail(f"{consumer_name}: {dict(form.some_refuse)[consumer_name]}")
    assert loaded.image_id == AMD64_IMAGE.config.digest
    if form.keeps_digest:
        assert loaded.digest in ("", AMD64_IMAGE.digest, MANY.digest)


def test_containerd_takes_all_platforms(registry: RealRegistry, save: Save, containerd: Containerd) -> None:
    reference = registry.push("forms/everything", "v1", MANY)
    archive = save("y.tar", reference, "--all-platforms")
    containerd.run("images", "import", "--all-platforms", archive)
    assert containerd.images()[reference] == MANY.digest
    held = containerd.run("content", "ls", "-q").split()
    assert {MANY.digest, *(child.digest for child in MANY.children), *(blob.digest for blob in MANY.blobs)} <= set(held)


@pytest.fixture
def readers(docker: Docker, containerd: Containerd) -> tuple[Docker, Containerd]:
    return docker, containerd


@pytest.mark.parametrize("count", [1, 2, 12])
def test_a_bundle_is_as_large_as_was_said_and_readers_list_all_of_it(
    count: int, registry: RealRegistry, run: Run, save: Save, readers: tuple[Docker, Containerd]
) -> None:
    docker, containerd = readers
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
    docker.load(archive)
    assert {reference.removeprefix("docker.io/") for reference in references} <= docker.tags()
    containerd.run("images", "import", archive)
    assert {reference: each.digest for reference, each in zip(references, images, strict=True)}.items() <= (
        containerd.images().items()
    )


LARGE = layer(tar({"base.bin": os.urandom(3 * MIB), "shared.txt": b"from the base"}))
NEW = layer(tar({"new.bin": os.urandom(MIB // 2), "shared.txt": b"from the top"}))
OLD_APP, NEW_APP = image(LARGE, hello("old")), image(LARGE, NEW)


@pytest.fixture
def delta(registry: RealRegistry, save: Save) -> Callable[[str], tuple[Path, Path]]:
    """Return a function that writes a base and an archive on top of it."""

    def delta(form: str) -> tuple[Path, Path]:
        old, new = registry.push("delta/app", "old", OLD_APP), registry.push("delta/app", "new", NEW_APP)
        base = save(f"base-{form}.tar", old, *PLATFORM, "--format", form)
        update = save(f"update-{form}.tar", new, *PLATFORM, "--base", base, "--format", form)
        assert update.stat().st_size < len(NEW.content) + MIB
        verified = verify(update)
        assert verified.findings == ()
        assert LARGE.digest in verified.notes[0]
        return base, update

    return delta


def test_docker_loads_an_update_on_top_of_its_base(delta: Callable[[str], tuple[Path, Path]], tmp_path: Path) -> None:
    base, update = delta("docker")
    with engines.docker(tmp_path) as docker:
        with pytest.raises(ConsumerError, match="no such file or directory") as refused:
            docker.load(update)
        assert LARGE.digest.removeprefix("sha256:")[:12] in str(refused.value)  # as the README says
        docker.load(base)
        assert docker.load(update).image_id == NEW_APP.config.digest
        files = docker.exported(NEW_APP.config.digest)
    with tarfile.open(fileobj=io.BytesIO(files)) as container:
        found = {
            name: content.read()
            for name in ("base.bin", "new.bin", "shared.txt")
            if (content := container.extractfile(name))
        }
    for name, source in (("base.bin", LARGE), ("new.bin", NEW), ("shared.txt", NEW)):
        assert found[name] == content_of(source.content, name)


@pytest.mark.parametrize("form", ["docker", "oci"])
def test_containerd_loads_an_update_on_top_of_its_base(
    form: str, delta: Callable[[str], tuple[Path, Path]], tmp_path: Path
) -> None:
    base, update = delta(form)
    with engines.containerd(tmp_path) as containerd:
        with pytest.raises(ConsumerError, match="not found"):
            containerd.load(update)
        containerd.run("images", "rm", *containerd.images())
        containerd.load(base)
        assert containerd.load(update).image_id == NEW_APP.config.digest


def test_podman_loads_an_update_on_top_of_its_base(
    delta: Callable[[str], tuple[Path, Path]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    base, update = delta("docker")
    podman = engines.Podman(tmp_path_factory.mktemp("podman"))  # it takes no long paths
    with pytest.raises(ConsumerError):
        podman.load(update)
    podman.load(base)
    assert podman.load(update).image_id == NEW_APP.config.digest


def content_of(layer_content: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(layer_content)) as archive:
        content = archive.extractfile(name)
        assert content is not None
        return content.read()


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
    command = f"set -o pipefail; {save} | {reader.format(docker=' '.join(docker.command))}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"Loaded image: {reference}" in done.stdout.decode()
    assert engines.output(*docker.command, "image", "inspect", "--format", "{{.Id}}", reference).strip() == (
        built.config.digest
    )


def test_a_pipe_that_fails_on_the_way_loads_nothing(registry: RealRegistry, docker: Docker, tmp_path: Path) -> None:
    wrong = image(BASE, replace(hello("pipe wrong"), diff_id=f"sha256:{'0' * 64}"))
    reference = registry.push("forms/pipe-wrong", "v1", wrong)
    save = f"{sys.executable} -m imgfetch save {reference} -o - --platform linux/amd64 --cache-dir {tmp_path}/cache"
    command = f"set -o pipefail; {save} | {' '.join(docker.command)} load"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=False, timeout=120)
    assert done.returncode != 0
    assert b"does not match the config" in done.stderr
    assert reference not in docker.tags()


def test_old_docker_takes_zstd_as_plain_layers(registry: RealRegistry, save: Save, docker: Docker) -> None:
    built = image(hello("zstd-base", OCI_ZSTD), hello("zstd-top", OCI_ZSTD))
    archive = save("y.tar", registry.push("forms/zstd-layers", "v1", built), *PLATFORM, "--layers", "plain")
    assert docker.load(archive).image_id == built.config.digest
