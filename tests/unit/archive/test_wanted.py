"""The images that an archive must contain: found by name, by digest, by both; and what is said if they are not."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from imgfetch.archive.image_layout import NAME, REF_NAME
from imgfetch.archive.verify import Verified, verify
from imgfetch.archive.wanted import Wanted
from imgfetch.errors import InvalidReferenceError
from imgfetch.oci.digest import Digest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from tests.images import ARM64, OCI_TAR, Built, hello, image, index, tar

APP, WEB, ARM = image(hello("app")), image(hello("web")), image(hello("arm"), platform=ARM64)
MANY = index(APP, ARM)
ZEROS = f"sha256:{'0' * 64}"


def path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def layout(directory: Path, *entries: tuple[Built, Mapping[str, str]]) -> Path:
    """Write an OCI image layout of these documents, each with annotations in `index.json`."""
    described: list[dict[str, Any]] = []
    members = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": b""}
    for built, names in entries:
        described.append({key: built.entry[key] for key in ("mediaType", "digest", "size")})
        if names:
            described[-1]["annotations"] = names
        for each in (built, *built.children):
            members |= {path(each.digest): each.raw, **{path(blob.digest): blob.content for blob in each.blobs}}
    members["index.json"] = json.dumps({"schemaVersion": 2, "manifests": described}).encode()
    (directory / "y.tar").write_bytes(tar(members))
    return directory / "y.tar"


def named(name: str) -> dict[str, str]:
    return {NAME: name}


def image_ids(verified: Verified) -> list[list[str]]:
    return [[str(image.config_digest) for image in answer.images] for answer in verified.answers]


@pytest.mark.parametrize(
    "wanted",
    [
        "app",
        "app:latest",
        "docker.io/library/app",
        "index.docker.io/library/app:latest",
        f"app@{APP.digest}",
        f"app:latest@{APP.digest}",
        APP.digest,
        APP.config.digest,
        Reference.parse("app"),
        Digest.parse(APP.digest),
        Wanted.parse("app"),
    ],
    ids=str,
)
def test_an_image_is_found_by_any_spelling_of_its_name_and_by_its_digests(tmp_path: Path, wanted: Any) -> None:
    target = layout(tmp_path, (APP, named("docker.io/library/app:latest")), (WEB, named("quay.io/x/web:1")))
    verified = verify(target, wanted)
    assert verified.findings == ()
    assert image_ids(verified) == [[APP.config.digest]]
    assert verify(target, [wanted, "quay.io/x/web:1"]).findings == ()


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("app:2", "docker.io/library/app:2 is not in the archive, which contains docker.io/library/app:1, quay.io/"),
        ("quay.io/x/wab:1", "quay.io/x/wab:1 is not in the archive, which contains quay.io/x/web:1, docker.io/"),
        (f"app:2@{APP.digest}", f"app:2@{APP.digest} is in the archive only as docker.io/library/app:1; to accept"),
        (f"app@{WEB.digest}", "is in the archive only as quay.io/x/web:1; to accept any name, verify the digest"),
        (f"app:1@{ZEROS}", f"is not in the archive, which has {APP.digest} under that name; the digest of a multi"),
        (f"other@{ZEROS}", "is not in the archive, which contains docker.io/library/app:1, quay.io/x/web:1"),
        (ZEROS, f"no image with the digest {ZEROS} is in the archive, which contains docker.io/library/app:1, "),
        (f"app:1@{APP.config.digest}", "is not in the archive"),
    ],
)
def test_an_image_that_is_missing_is_a_finding_with_what_there_is(tmp_path: Path, wanted: str, said: str) -> None:
    target = layout(tmp_path, (APP, named("docker.io/library/app:1")), (WEB, named("quay.io/x/web:1")))
    verified = verify(target, wanted)
    (finding,) = verified.findings
    assert said in finding
    assert verified.answers[0].finding == finding


def test_decompressed_layers_are_named_as_the_reason_of_another_digest(tmp_path: Path) -> None:
    plain = image(hello("app", OCI_TAR))
    target = layout(tmp_path, (plain, named("docker.io/library/app:1")))
    (finding,) = verify(target, f"app:1@{APP.digest}").findings
    assert f"has {plain.digest} under that name; its layers are decompressed, as by save --layers plain" in finding


def test_the_first_digits_of_a_digest_are_not_the_name_of_an_image(tmp_path: Path) -> None:
    target = layout(tmp_path, (APP, named("docker.io/library/app:1")), (WEB, named("quay.io/x/web:1")))
    for digest in (APP.digest, WEB.config.digest):
        (finding,) = verify(target, digest[7:19]).findings
        assert finding.endswith(f" is not in the archive; if it is the beginning of a digest, write {digest}")
    assert ", which contains " in verify(target, "0123456789ab").findings[0]


def test_many_names_are_shortened_and_those_that_look_alike_come_first(tmp_path: Path) -> None:
    names = [f"quay.io/x/n{number}:1" for number in range(9)]
    target = layout(tmp_path, *((APP, named(name)) for name in names))
    (finding,) = verify(target, "quay.io/x/n7:2").findings
    assert finding.startswith("quay.io/x/n7:2 is not in the archive, which contains quay.io/x/n7:1, quay.io/x/n")
    assert finding.endswith(" and 4 more")


def test_an_image_that_was_pinned_is_listed_once_by_its_tag_or_else_by_its_digest(tmp_path: Path) -> None:
    target = layout(
        tmp_path,
        *((APP, named(f"quay.io/x/app{end}")) for end in (":1", f"@{APP.digest}", f":1@{APP.digest}")),
        (WEB, named(f"quay.io/x/web@{WEB.digest}")),
    )
    (finding,) = verify(target, "quay.io/x/app").findings
    listed = f"quay.io/x/app:1, quay.io/x/web@{WEB.digest}"
    assert finding == f"quay.io/x/app:latest is not in the archive, which contains {listed}"
    (finding,) = verify(target, "quay.io/x/web").findings
    assert f"which contains quay.io/x/web@{WEB.digest}, quay.io/x/app:1" in finding


@pytest.mark.parametrize("annotations", [{}, {REF_NAME: "1"}], ids=["nothing", "a tag"])
def test_an_image_without_a_full_name_is_found_by_its_digest_alone(tmp_path: Path, annotations: dict[str, str]) -> None:
    target = layout(tmp_path, (APP, annotations))
    (finding,) = verify(target, f"app:1@{APP.digest}").findings
    assert finding == (
        f"docker.io/library/app:1@{APP.digest} is in the archive only without a name; "
        f"to accept any name, verify the digest alone: {APP.digest}"
    )
    assert verify(target, APP.digest).findings == ()
    (finding,) = verify(target, "app:1").findings
    assert finding == "docker.io/library/app:1 is not in the archive, which contains only images without names"


def test_a_name_for_several_platforms_is_found_with_all_its_images(tmp_path: Path) -> None:
    target = layout(tmp_path, (MANY, named("docker.io/library/app:1")))
    for wanted in ("app:1", f"app:1@{MANY.digest}", MANY.digest):
        verified = verify(target, wanted, platform=["linux/arm64", Platform.parse("linux/amd64")])
        assert verified.findings == ()
        assert image_ids(verified) == [[APP.config.digest, ARM.config.digest]]


def test_a_platform_that_is_missing_is_a_finding(tmp_path: Path) -> None:
    target = layout(tmp_path, (MANY, named("docker.io/library/app:1")))
    (finding,) = verify(target, "app:1", platform="linux/s390x").findings
    name = "docker.io/library/app:1"
    assert finding == f"{name} is in the archive only for linux/amd64, linux/arm64, not for linux/s390x"


@pytest.mark.parametrize("wanted", [f"app:1@{APP.digest}", APP.digest, APP.config.digest])
def test_an_image_among_others_under_its_name_is_not_what_all_readers_load(tmp_path: Path, wanted: str) -> None:
    target = layout(tmp_path, (MANY, named("docker.io/library/app:1")))
    (finding,) = verify(target, wanted).findings
    assert finding.startswith(f"docker.io/library/app:1 is an index with other content than {APP.digest}, ")


def test_another_name_that_stands_for_more_does_not_matter(tmp_path: Path) -> None:
    target = layout(tmp_path, (APP, named("docker.io/library/app:1")), (MANY, named("quay.io/x/many:1")))
    assert verify(target, f"app:1@{APP.digest}").findings == ()
    assert len(verify(target, f"quay.io/x/many:1@{APP.digest}").findings) == 1


@pytest.mark.parametrize("wanted", [f"sha256:{'a' * 63}", f"sha256:{'A' * 64}", f"sha512:{'a' * 64}", "sha256:"])
def test_a_mistyped_digest_is_not_the_name_of_an_image(wanted: str) -> None:
    with pytest.raises(InvalidReferenceError, match=f"^not a valid digest.* {wanted}"):
        Wanted.parse(wanted)


def test_a_digest_without_its_algorithm_is_explained() -> None:
    with pytest.raises(InvalidReferenceError, match=r"^a digest begins with its algorithm$") as caught:
        Wanted.parse("a" * 64)
    assert caught.value.hint == f"write sha256:{'a' * 64}"


@pytest.mark.parametrize("wanted", ["", "a b", "sha256:" + "0" * 63 + "g/x", "sha256:" + "A" * 64 + ":x"])
def test_a_malformed_name_is_an_error_before_anything_is_read(tmp_path: Path, wanted: str) -> None:
    with pytest.raises(InvalidReferenceError):
        verify(tmp_path / "missing", wanted)


def test_a_bare_tag_that_stands_for_more_counts_as_the_name(tmp_path: Path) -> None:
    target = layout(tmp_path, (MANY, {REF_NAME: "1"}))
    with tarfile.open(target) as packed:
        members = {each.name: packed.extractfile(each).read() for each in packed if each.isfile()}  # type: ignore[union-attr]
    layers = [path(blob.digest) for blob in APP.layers]
    item = {"Config": path(APP.config.digest), "RepoTags": ["docker.io/library/app:1"], "Layers": layers}
    target.write_bytes(tar(members | {"manifest.json": json.dumps([item]).encode()}))
    findings = verify(target, f"app:1@{APP.digest}").findings
    (finding,) = (each for each in findings if each.startswith("1 is an index with other content than"))
    assert finding.endswith("; verify the digest of the index")


def test_other_tags_are_listed_for_as_many_findings_as_are_printed(tmp_path: Path) -> None:
    target = layout(tmp_path, (APP, named("docker.io/library/app:1")))
    findings = verify(target, [f"app:{number}" for number in range(2, 27)]).findings
    assert [", which contains docker.io/library/app:1" in finding for finding in findings] == [True] * 20 + [False] * 5


def test_the_names_in_the_archive_are_listed_once_for_several_missing_images(tmp_path: Path) -> None:
    names = [f"quay.io/x/app{number}:1" for number in range(4)]
    target = layout(tmp_path, *((APP, named(name)) for name in names))
    first, second, third = verify(target, ["quay.io/x/app5:1", "quay.io/x/app1:2", "quay.io/x/app6:1"]).findings
    assert all(name in first for name in names)
    assert second == "quay.io/x/app1:2 is not in the archive, which contains quay.io/x/app1:1"
    assert third == "quay.io/x/app6:1 is not in the archive"


def test_an_image_that_is_wanted_twice_is_answered_once(tmp_path: Path) -> None:
    target = layout(tmp_path, (APP, named("docker.io/library/app:1")))
    assert len(verify(target, ["app:1", "docker.io/app:1", "docker.io/library/app:1"]).answers) == 1


def test_many_names_and_many_images_take_no_product_of_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = layout(tmp_path, *((APP, named(f"quay.io/x/n{number}:1")) for number in range(300)))
    steps = 0
    real = Reference.parse

    def parse(text: str) -> Reference:
        nonlocal steps
        steps += 1
        return real(text)

    wanted = [Wanted.parse(f"quay.io/x/n{number}:1") for number in range(300)]
    monkeypatch.setattr(Reference, "parse", parse)
    assert verify(target, wanted).findings == ()
    assert steps < 300 * 20
