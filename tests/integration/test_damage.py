"""Archives of all writers: each is approved as it is, and each kind of damage to it is found and named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgfetch import inspect
from imgfetch.archive.verify import verify
from imgfetch.errors import ImgfetchError, UnsupportedError
from tests.archiveparts import Archive
from tests.changes import flipped, layer
from tests.damages import DAMAGES
from tests.images import Built, tar
from tests.integration.conftest import Command, Save
from tests.loopback import Loopback
from tests.writers import APP
from tests.writers.samples import Sample, samples

SAMPLES = list(samples())
OF_IMAGES = [sample for sample in SAMPLES if sample.has_images]
OTHERS = [sample for sample in SAMPLES if not sample.has_images]
OF_THE_APP = [sample for sample in SAMPLES if sample.built is APP]
FORMS = {
    "default": (),
    "plain": ("--layers", "plain"),
    "classic": ("--format", "docker-classic"),
    "oci": ("--format", "oci"),
}
MIN_KINDS = 20


def each(found: list[Sample]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("sample", found, ids=lambda sample: sample.name)


def described(built: Built) -> Iterator[tuple[str, list[str]]]:
    """Yield the digest of the config and the diff_ids of each image, without attestations."""
    for child in built.children or (built,):
        config = json.loads(child.config.content)
        if config["os"] != "unknown":
            yield child.config.digest, config["rootfs"]["diff_ids"]


@each(OF_IMAGES)
def test_an_archive_is_approved_and_its_writer_is_known(sample: Sample, tmp_path: Path) -> None:
    target = tmp_path / "y.tar"
    target.write_bytes(sample.file)
    verified, expected = verify(target), dict(described(sample.built))
    assert (verified.findings, verified.kind) == ((), sample.kind)
    assert verified.images
    for image in verified.images:
        diff_ids = [str(layer.diff_id) for layer in image.layers]
        assert diff_ids in expected.values()
        assert not sample.keeps_config or expected[str(image.config_digest)] == diff_ids
    assert inspect(target).kind == sample.kind


@each(OF_IMAGES)
def test_a_name_with_another_digest_is_not_in_it(sample: Sample, tmp_path: Path) -> None:
    target = tmp_path / "y.tar"
    target.write_bytes(sample.file)
    (finding,) = verify(target, [f"registry.example/verify/app@sha256:{'0' * 64}"]).findings
    assert "is not in the archive" in finding


@each(OTHERS)
def test_an_archive_without_an_image_is_said_to_have_none(sample: Sample, tmp_path: Path) -> None:
    target = tmp_path / "y.tar"
    target.write_bytes(sample.file)
    with pytest.raises(UnsupportedError, match="Helm chart"):
        verify(target)


@each(OTHERS)
def test_damage_to_an_archive_without_an_image_is_found(sample: Sample, tmp_path: Path) -> None:
    archive, target = Archive.of(sample.raw), tmp_path / "y.tar"
    name = archive.layers[0]
    target.write_bytes(layer(0, flipped)(archive) or b"")
    (finding,) = verify(target).findings
    assert finding.startswith(f"{name} is damaged: it hashes to")


def test_a_packed_directory_of_skopeos_own_is_no_image_archive(command: Command, tmp_path: Path) -> None:
    version = b"Directory Transport Version: 1.1\n"
    blobs = {blob.digest.removeprefix("sha256:"): blob.content for blob in APP.blobs}
    (tmp_path / "y.tar").write_bytes(tar({**blobs, "manifest.json": APP.raw, "version": version}))
    done = command("verify", tmp_path / "y.tar")
    assert (done.status, "skopeo copy dir:" in done.err) == (1, True)


def first_finding(target: Path) -> str:
    """Return what is found first; what is said to be no image archive at all is marked as that."""
    try:
        return next(iter(verify(target).findings), "nothing is found")
    except UnsupportedError as error:
        return f"no image archive: {error}"
    except ImgfetchError as error:
        return str(error)


def unnamed_damages(raw: bytes, directory: Path) -> Iterator[tuple[str, str]]:
    """Yield what is found instead of each damage that is not named."""
    archive, count = Archive.of(raw), 0
    for name, damage in DAMAGES.items():
        damaged = damage.change(archive)
        if damaged is None:
            continue
        assert damaged != raw, name
        count += 1
        target = directory / f"{count}.tar"  # a new file, because ext4 waits for the disk when one is cut to nothing
        target.write_bytes(damaged)
        found = first_finding(target)
        if not re.search(damage.pattern(archive), found) or found.startswith("no image archive"):
            yield name, found
    assert count >= MIN_KINDS


@each(OF_THE_APP)
def test_each_kind_of_damage_is_found_and_named(sample: Sample, tmp_path: Path) -> None:
    assert list(unnamed_damages(sample.raw, tmp_path)) == []


@pytest.mark.parametrize("form", FORMS)
def test_each_kind_of_damage_to_our_own_archive_is_found_and_named(
    form: str, loopback: Loopback, save: Save, tmp_path: Path
) -> None:
    target = tmp_path / "y.tar"
    save(loopback.add("verify/app", "v1", APP), *FORMS[form], to=target)
    assert list(unnamed_damages(target.read_bytes(), tmp_path)) == []


@each([sample for sample in OF_THE_APP if sample.name == "docker-20.10-app"])
def test_damage_has_its_own_exit_status(sample: Sample, command: Command, tmp_path: Path) -> None:
    target = tmp_path / "y.tar"
    for name in ("a bit of a layer", "cut in a layer", "more behind its end"):
        target.write_bytes(DAMAGES[name].change(Archive.of(sample.raw)) or b"")
        assert command("verify", target).status == 6, name
