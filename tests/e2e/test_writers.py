"""Archives of every writer that is packaged: verified, listed, and taken as a base."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgfetch import apply_patch, inspect, make_patch, save, save_patch
from imgfetch.archive.verify import Verified, verify
from imgfetch.errors import UnsupportedError
from tests.e2e.conftest import Started
from tests.engines import RealRegistry
from tests.engines import output as program_output
from tests.images import OCI_ZSTD, Built, hello, image
from tests.modern import Tree
from tests.patches import sha256
from tests.writers import APP, BASE, IMAGES, TOP, Lab
from tests.writers.generated import WRITERS as GENERATED
from tests.writers.packaged import WRITERS
from tests.writers.packing import gnu_tar

PACKED = "-of-a-layout"
DIRECTORIES = [
    *(f"skopeo-{version}-oci" for version in ("1.9", "1.22")),
    *(f"podman-{version}-oci-dir" for version in ("4.3", "5.8")),
    *("crane-0.20-oci", "oras-1.3-copy", "umoci-0.6", "umoci-0.6-before-gc", "cosign-3.1"),
]
CASES = [(writer, name) for writer, known in WRITERS.items() for name in known.images]


@pytest.fixture(scope="session")
def lab(modern: Tree, started: Started, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("w"), modern, started)


@pytest.fixture
def reference(registry: RealRegistry, request: pytest.FixtureRequest) -> str:
    return registry.push(f"verify/{request.param}", "v1", IMAGES[request.param])


def written(lab: Lab, writer: str, reference: str) -> Path:
    """Return the archive that a writer makes of a reference, made once."""
    target = lab.directory / f"{writer}-{reference.rpartition('/')[2].partition(':')[0]}.tar"
    if not target.exists():
        WRITERS[writer].write(lab, reference, target)
    return target


def described(built: Built) -> Iterator[tuple[str, list[str]]]:
    """Yield the digest of the config and the diff_ids of each image, without attestations."""
    for child in built.children or (built,):
        config = json.loads(child.config.content)
        if config["os"] != "unknown":
            yield child.config.digest, config["rootfs"]["diff_ids"]


def cases(*images: str) -> list[tuple[str, str]]:
    return [(writer, name) for writer, name in CASES if name in images]


def known_cause(verified: Verified) -> bool:
    """Return whether imgfetch says which program writes such an incomplete archive."""
    return any("wrote this file" in note for note in verified.notes)


def verified(path: Path, writer: str) -> Verified:
    """Verify an archive; containerd 2.1 may end too early, even at the beginning, and report success."""
    if writer == "ctr-2.1" and not path.stat().st_size:
        pytest.skip("ctr wrote nothing")
    found = verify(path)
    if writer == "ctr-2.1" and found.findings and known_cause(found):
        pytest.skip(f"ctr stopped early: {found.findings[0]}")
    return found


@pytest.mark.parametrize(("writer", "reference"), cases("app", "schema2", "zstd", "multi"), indirect=["reference"])
def test_what_a_writer_wrote_is_approved(lab: Lab, writer: str, reference: str) -> None:
    name = reference.rpartition("/")[2].partition(":")[0]
    about, expected = WRITERS[writer], dict(described(IMAGES[name]))
    target = written(lab, writer, reference)
    found = verified(target, writer)
    assert found.findings == ()
    assert found.kind == about.kind
    assert {each for one in found.images for each in one.names} == {
        each.format(reference=reference, image=name) for each in about.names
    }
    assert found.images
    for one in found.images:
        diff_ids = [str(layer.diff_id) for layer in one.layers]
        assert diff_ids in expected.values()
        assert not about.keeps_config or expected[str(one.config_digest)] == diff_ids
    listed = inspect(target)
    assert (listed.kind, len(listed.images)) == (found.kind, len(found.images))


@pytest.mark.parametrize(
    ("writer", "reference"),
    [case for case in cases("app") if not case[0].endswith(PACKED)],
    indirect=["reference"],
)
def test_what_a_writer_wrote_is_a_base(lab: Lab, writer: str, reference: str, registry: RealRegistry) -> None:
    newer = registry.push("verify/newer", "v1", image(BASE, TOP, BASE, hello("more")))
    base, target = written(lab, writer, reference), lab.directory / "update.tar"
    verified(base, writer)
    save(newer, target, base=base, platform="linux/amd64")
    (updated,) = verify(target).images
    assert [layer.is_absent for layer in updated.layers] == [True, True, True, False]


@pytest.fixture(scope="session")
def update(registry: RealRegistry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with an archive of a newer image with decompressed layers, and a patch for it."""
    directory = tmp_path_factory.mktemp("update")
    old, new = (
        registry.push(f"verify/{name}", "v1", built)
        for name, built in (("app", APP), ("newer", image(BASE, TOP, BASE, hello("more"))))
    )
    save(old, directory / "old.tar", platform="linux/amd64")
    save(new, directory / "new.tar", platform="linux/amd64", layers="plain")
    save_patch(new, directory / "old.tar", directory / "new.patch", platform="linux/amd64")
    return directory


@pytest.mark.parametrize(
    ("writer", "reference"),
    [case for case in cases("app") if not case[0].endswith(PACKED)],
    indirect=["reference"],
)
def test_what_a_writer_wrote_is_the_base_of_a_patch(
    lab: Lab, writer: str, reference: str, update: Path, tmp_path: Path
) -> None:
    base = written(lab, writer, reference)
    verified(base, writer)
    apply_patch(update / "new.patch", base, tmp_path / "result.tar")
    make_patch(base, update / "new.tar", tmp_path / "own.patch")
    apply_patch(tmp_path / "own.patch", update / "old.tar", tmp_path / "again.tar")
    assert sha256(tmp_path / "result.tar") == sha256(tmp_path / "again.tar") == sha256(update / "new.tar")


@pytest.mark.parametrize(("writer", "reference"), cases("app", "schema2", "zstd", "multi"), indirect=["reference"])
def test_a_patch_makes_what_a_writer_wrote_or_is_refused_with_advice(
    lab: Lab, writer: str, reference: str, update: Path, tmp_path: Path
) -> None:
    new, advice = written(lab, writer, reference), ""
    wanted = verified(new, writer)
    try:
        make_patch(update / "old.tar", new, tmp_path / "x.patch")
    except UnsupportedError as error:
        advice = error.hint or ""
    if (tmp_path / "x.patch").exists():
        made = apply_patch(tmp_path / "x.patch", update / "old.tar", tmp_path / "result.tar")
        assert {image.config_digest for image in made.images} == {image.config_digest for image in wanted.images}
    else:
        assert "save --layers plain" in advice


@pytest.mark.parametrize(("writer", "reference"), cases("chart"), indirect=["reference"])
def test_an_archive_of_a_chart_is_said_to_have_no_image(lab: Lab, writer: str, reference: str) -> None:
    with pytest.raises(UnsupportedError, match="Helm chart"):
        verify(written(lab, writer, reference))


@pytest.mark.parametrize("writer", DIRECTORIES)
@pytest.mark.parametrize("reference", ["app"], indirect=True)
def test_a_layout_that_is_not_packed_is_approved(lab: Lab, writer: str, reference: str) -> None:
    target = written(lab, writer, reference)
    found, packed = verify(target.with_suffix(".directory")), verify(target)
    assert (found.findings, found.images) == ((), packed.images)


@pytest.mark.parametrize("reference", ["app"], indirect=True)
def test_a_directory_of_skopeos_own_is_said_to_be_that_packed_or_not(lab: Lab, reference: str) -> None:
    directory, target = lab.directory / "skopeo.dir", lab.directory / "skopeo-dir.tar"
    command = ("skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", f"docker://{reference}")
    program_output(*lab.modern.program(command[0]), *command[1:], f"dir:{directory}")
    gnu_tar()(lab, directory, target)
    for source in (directory, target):
        with pytest.raises(UnsupportedError, match="directory of skopeo's dir: transport"):
            verify(source)


def test_what_docker_28_leaves_out_is_missed_and_the_cause_is_given(lab: Lab, registry: RealRegistry) -> None:
    docker = lab.started("docker-28.5-containerd-store")
    one = registry.push("verify/one", "v1", image(BASE, TOP))
    same_files = registry.push("verify/same-files", "v1", image(hello("base", OCI_ZSTD), TOP))
    target = lab.directory / "shared.tar"
    docker.forget()
    for reference in (one, same_files):
        docker.run("pull", reference)
    docker.run("save", "-o", target, same_files)
    found = verify(target)
    assert found.findings
    assert "is not in the archive" in found.findings[0]
    assert known_cause(found)


def test_an_image_that_docker_28_lists_for_some_readers_only_is_reported(lab: Lab, registry: RealRegistry) -> None:
    docker = lab.started("docker-28.5")
    named, nameless = (registry.push(f"verify/{name}", "v1", IMAGES[name]) for name in ("app", "zstd"))
    docker.forget()
    for reference in (named, nameless):
        docker.run("pull", reference)
    findings = set()
    for number in range(
        20
    ):  # docker takes the images in a random order, and forgets the one without a name if it is last
        target = lab.directory / f"by-id-{number}.tar"
        docker.run("save", "-o", target, named, docker.image_named(nameless))
        findings |= set(verify(target).findings)
        if findings:
            break
    (finding,) = findings
    assert f"index.json has no image with the config {IMAGES['zstd'].config.digest}" in finding


@pytest.mark.parametrize("name", [name for name, each in GENERATED.items() if each.built is APP])
def test_what_is_generated_after_a_writers_source_is_loaded(lab: Lab, name: str) -> None:
    target = lab.directory / f"generated-{name}.tar"
    target.write_bytes(GENERATED[name].content)
    assert lab.started("docker-28.5-containerd-store").load(target).image_id == APP.config.digest
