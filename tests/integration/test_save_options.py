"""Bundles, platforms, forms, names, bases, forecasts: what an archive holds, and that it holds it to the byte."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard

import imgfetch
from imgfetch.archive.compressed import decompressed
from imgfetch.archive.verify import verify
from imgfetch.oci.mediatypes import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tests.images import (
    ARM64,
    DOCKER_GZIP,
    OCI_GZIP,
    OCI_TAR,
    OCI_ZSTD,
    Blob,
    Built,
    attestation,
    gz,
    hello,
    image,
    index,
    layer,
    tar,
)
from tests.integration.conftest import Command, Done
from tests.loopback import Answer, Loopback

BASE, MIDDLE, TOP = hello("base"), hello("middle"), hello("top")
ONE, TWO = image(BASE, MIDDLE), image(BASE, TOP, config={"author": "two"})
AMD64_IMAGE, ARM64_IMAGE = image(BASE, TOP), image(hello("arm64"), platform=ARM64)
MANY = index(AMD64_IMAGE, ARM64_IMAGE, attestation(AMD64_IMAGE))
PLATFORM = ("--platform", "linux/amd64")


@dataclass(frozen=True)
class Desk:
    """A registry, the command, and a directory for archives, which are called by their file names."""

    registry: Loopback
    command: Command
    path: Path

    def add(self, name: str, built: Built, tag: str = "1") -> str:
        return self.registry.add(name, tag, built)

    def fail(self, status: int, *arguments: str | Path) -> str:
        """Let a save to ``y.tar`` fail, and return what it says."""
        done = self.command("save", *arguments, "-o", self.path / "y.tar")
        assert done.status == status, done.err
        assert "Traceback" not in done.err
        assert not (self.path / "y.tar").exists()
        return done.err

    def save(self, target: str | Path, *arguments: str | Path) -> Done:
        done = self.command("save", *arguments, "-o", self.path / target)
        assert done.status == 0, done.err
        return done

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def members(self, name: str | Path) -> dict[str, bytes | None]:
        """Return an archive's files, and its directories as nothing, in their order."""
        with (self.path / name).open("rb") as file:
            content = decompressed(file).read()
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            files = {member.name: archive.extractfile(member) for member in archive}
            return {member: content.read() if content else None for member, content in files.items()}

    def document(self, name: str, member: str) -> Any:
        content = self.members(name)[member]
        assert content is not None
        return json.loads(content)

    def check(self, name: str | Path) -> None:
        """Let our own verification look at an archive too."""
        assert verify(self.path / name).findings == ()


@pytest.fixture
def desk(loopback: Loopback, command: Command, tmp_path: Path) -> Desk:
    return Desk(loopback, command, tmp_path)


def blob(blob: Blob | Built) -> str:
    return f"blobs/sha256/{blob.digest.removeprefix('sha256:')}"


def plain_blob(layer: Blob) -> str:
    return f"blobs/sha256/{layer.diff_id.removeprefix('sha256:')}"


# ---- bundles ----


def test_several_images_are_in_one_archive_and_what_they_share_once(desk: Desk) -> None:
    one, two = desk.add("a", ONE), desk.add("b", TWO)
    desk.save("y.tar", one, two, *PLATFORM)
    names = [name for name in desk.members("y.tar") if name.startswith("blobs/sha256/")]
    assert names == [blob(each) for each in (ONE, ONE.config, BASE, MIDDLE, TWO, TWO.config, TOP)]
    assert [item["RepoTags"] for item in desk.document("y.tar", "manifest.json")] == [[one], [two]]
    assert len([path for path in desk.registry.paths if BASE.digest in path]) == 1
    desk.check("y.tar")


@pytest.mark.parametrize("jobs", ["1", "4"])
def test_the_bytes_do_not_depend_on_what_comes_first(desk: Desk, jobs: str) -> None:
    one, two = desk.add("a", ONE), desk.add("b", TWO)
    desk.save("x.tar", one, two, *PLATFORM, "--no-cache", "-j", jobs)
    desk.save("y.tar", one, two, *PLATFORM)
    assert desk.read("x.tar") == desk.read("y.tar")


def test_the_same_reference_twice_is_one_image_and_two_tags_share_everything(desk: Desk) -> None:
    one, other = desk.add("a", ONE), desk.add("a", ONE, "2")
    desk.save("y.tar", one, other, one, *PLATFORM)
    (item,) = desk.document("y.tar", "manifest.json")
    assert item["RepoTags"] == [one, other]


def test_a_list_names_images_with_comments_and_blank_lines(desk: Desk) -> None:
    one, two = desk.add("a", ONE), desk.add("b", TWO)
    (desk.path / "images.txt").write_text(f"\ufeff# two images\r\n\r\n{one}  # the first\n{two}")
    desk.save("y.tar", "-i", desk.path / "images.txt", *PLATFORM)
    assert [item["RepoTags"] for item in desk.document("y.tar", "manifest.json")] == [[one], [two]]


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        ("quay.io/x/y:1\nNO SUCH\n", 2, "images.txt:2: "),
        ("# nothing\n", 2, "images.txt lists no image"),
        (None, 7, "No such file"),
    ],
    ids=["malformed", "empty", "missing"],
)
def test_a_list_that_is_wrong_is_told(desk: Desk, content: str | None, status: int, said: str) -> None:
    if content is not None:
        (desk.path / "images.txt").write_text(content)
    assert said in desk.fail(status, "-i", desk.path / "images.txt")


def test_one_failing_reference_fails_the_whole_with_its_name(desk: Desk) -> None:
    one = desk.add("a", ONE)
    missing = f"{desk.registry.host}/missing:1"
    assert missing in desk.fail(3, one, missing, *PLATFORM)


# ---- platforms ----


def test_all_platforms_keep_the_index_and_everything_it_lists(desk: Desk) -> None:
    reference = desk.add("a", MANY)
    desk.save("y.tar", reference, "--all-platforms")
    (entry,) = desk.document("y.tar", "index.json")["manifests"]
    assert (entry["digest"], entry["mediaType"]) == (MANY.digest, MANY.media_type)
    found = desk.members("y.tar")
    assert found[blob(MANY)] == MANY.raw
    for child in MANY.children:
        assert found[blob(child)] == child.raw
        assert all(found[blob(each)] == each.content for each in child.blobs)
    (item,) = desk.document("y.tar", "manifest.json")
    assert item["Config"] == blob(AMD64_IMAGE.config)
    desk.check("y.tar")


def test_with_all_platforms_the_one_that_is_named_is_preferred(desk: Desk) -> None:
    reference = desk.add("a", MANY)
    desk.save("y.tar", reference, "--all-platforms", "--platform", "linux/arm64")
    (item,) = desk.document("y.tar", "manifest.json")
    assert item["Config"] == blob(ARM64_IMAGE.config)


@pytest.mark.parametrize("option", ["--keep-index", "--all-platforms"])
def test_two_names_of_an_index_are_not_for_different_platforms(desk: Desk, option: str) -> None:
    reference, images = desk.add("a", MANY), desk.path / "images.txt"
    lines = [f"{reference} --platform linux/{machine} --name x:{machine}\n" for machine in ("amd64", "arm64")]
    images.write_text("".join(lines))
    desk.save("x.tar", "-i", images)
    items = desk.document("x.tar", "manifest.json")
    assert [item["Config"] for item in items] == [blob(AMD64_IMAGE.config), blob(ARM64_IMAGE.config)]
    said = "x:amd64 and docker.io/library/x:arm64 would be the same index with different platforms"
    assert said in desk.fail(2, "-i", images, option)
    images.write_text(lines[1] + lines[1].replace("x:", "z:"))
    desk.save("y.tar", "-i", images, option)


def test_a_line_with_several_platforms_is_a_usage_error_where_an_archive_has_one(desk: Desk) -> None:
    (desk.path / "images.txt").write_text(f"{desk.add('a', MANY)} --platform linux/amd64,linux/arm64\n")
    said = desk.fail(2, "-i", desk.path / "images.txt", "--format", "docker-classic")
    assert "--format docker-classic supports only one platform and cannot be combined with several platforms" in said


def test_the_index_is_kept_with_the_chosen_images_alone(desk: Desk) -> None:
    reference = f"{desk.add('a', MANY)}@{MANY.digest}"
    desk.save("y.tar", reference, "--keep-index", *PLATFORM)
    (entry,) = desk.document("y.tar", "index.json")["manifests"]
    assert (entry["digest"], entry["size"]) == (MANY.digest, len(MANY.raw))
    found = desk.members("y.tar")
    blobs = (MANY, AMD64_IMAGE, *AMD64_IMAGE.blobs)
    assert {name for name in found if name.startswith("blobs/sha256/")} == {blob(each) for each in blobs}
    assert found[blob(MANY)] == MANY.raw
    assert verify(desk.path / "y.tar", reference).findings == ()
    (note,) = verify(desk.path / "y.tar").notes
    assert note == f"2 of the 3 manifests listed by {MANY.digest} are not in the archive"


def test_the_index_is_kept_with_several_images_and_with_those_within_another_index(desk: Desk) -> None:
    nested = index(index(AMD64_IMAGE), index(ARM64_IMAGE))
    for name, built in (("a", MANY), ("b", nested)):
        desk.save("y.tar", desk.add(name, built), "--keep-index", "--platform", "linux/amd64,linux/arm64")
        (entry,) = desk.document("y.tar", "index.json")["manifests"]
        assert entry["digest"] == built.digest
        desk.check("y.tar")
    assert {blob(child) for child in nested.children} < set(desk.members("y.tar"))


@pytest.mark.parametrize("plain", [("--layers", "plain"), ("--format", "docker-classic")])
def test_decompressed_layers_cannot_keep_the_index(desk: Desk, plain: tuple[str, str]) -> None:
    assert f"cannot be combined with {' '.join(plain)}" in desk.fail(2, desk.add("a", MANY), "--keep-index", *plain)
    with pytest.raises(ValueError, match="cannot have decompressed layers"):
        imgfetch.save("a.example/x", desk.path / "y.tar", keep_index=True, layers="plain")


def test_an_image_without_an_index_keeps_none(desk: Desk) -> None:
    reference = desk.add("a", ONE)
    desk.save("y.tar", reference, *PLATFORM)
    desk.save("x.tar", reference, "--keep-index", *PLATFORM)
    assert desk.read("x.tar") == desk.read("y.tar")


def test_an_index_within_an_index_is_kept_too(desk: Desk) -> None:
    nested = index(index(AMD64_IMAGE), index(ARM64_IMAGE))
    desk.save("y.tar", desk.add("a", nested), "--all-platforms")
    found = desk.members("y.tar")
    assert {blob(nested), *(blob(child) for child in nested.children)} < set(found)
    desk.check("y.tar")


@pytest.mark.parametrize("built", [index(index(AMD64_IMAGE), index(ARM64_IMAGE)), MANY], ids=["nested", "flat"])
def test_an_index_within_an_index_is_told_if_all_of_it_is_saved(desk: Desk, built: Built) -> None:
    reference, is_nested = desk.add("a", built), built is not MANY
    done = desk.save("y.tar", reference, "--all-platforms")
    assert done.err.count(f"warning: {reference} has an index within an index") == is_nested
    assert "within an index" not in desk.save("x.tar", reference, *PLATFORM).err


@pytest.mark.parametrize(
    "platforms",
    [("--all-platforms",), ("--platform", "linux/amd64,linux/arm64"), ("--platform", "linux/amd64", "--keep-index")],
    ids=["all", "two", "kept"],
)
def test_an_index_in_the_archive_cannot_have_a_wrong_size(desk: Desk, platforms: tuple[str, ...]) -> None:
    wrong = index(AMD64_IMAGE, ARM64_IMAGE, entries=[{**AMD64_IMAGE.entry, "size": 7}, ARM64_IMAGE.entry])
    told = f"does not match the index: expected 7 bytes, got {len(AMD64_IMAGE.raw)} bytes"
    assert told in desk.fail(6, desk.add("a", wrong), *platforms)


MIPS = {"platform": {"os": "linux", "architecture": "mips"}}
CONTRADICTIONS = pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"mediaType": DOCKER_MANIFEST}, f"its type is {OCI_MANIFEST}, but the index lists it as {DOCKER_MANIFEST}"),
        ({"mediaType": OCI_INDEX}, f"its type is {OCI_MANIFEST}, but the index lists it as {OCI_INDEX}"),
        ({"size": 5}, "expected 5 bytes, got "),
    ],
    ids=["docker", "index", "size"],
)


def contradicted(other: dict[str, Any]) -> Built:
    """Return an index that lists one of two images once more, but differently."""
    entries = [AMD64_IMAGE.entry, {**AMD64_IMAGE.entry, **MIPS, **other}, ARM64_IMAGE.entry]
    return index(AMD64_IMAGE, ARM64_IMAGE, entries=entries)


@CONTRADICTIONS
@pytest.mark.parametrize(
    "options", [("--all-platforms",), ("--platform", "linux/amd64", "--keep-index")], ids=["all", "kept"]
)
def test_all_entries_of_an_image_agree_in_an_index_that_is_kept(
    desk: Desk, options: tuple[str, ...], other: dict[str, Any], told: str
) -> None:
    assert told in desk.fail(6, desk.add("a", contradicted(other)), *options)


@CONTRADICTIONS
def test_an_index_of_some_platforms_has_no_entry_for_another(desk: Desk, other: dict[str, Any], told: str) -> None:
    done = desk.save("y.tar", desk.add("a", contradicted(other)), "--platform", "linux/amd64,linux/arm64")
    assert told not in done.err
    (entry,) = desk.document("y.tar", "index.json")["manifests"]
    listed = desk.document("y.tar", f"blobs/sha256/{entry['digest'][7:]}")["manifests"]
    assert listed == [AMD64_IMAGE.entry, ARM64_IMAGE.entry]
    desk.check("y.tar")


def test_an_image_for_two_platforms_keeps_both_entries(desk: Desk) -> None:
    entries = [AMD64_IMAGE.entry, {**AMD64_IMAGE.entry, **MIPS}, ARM64_IMAGE.entry]
    reference = desk.add("a", index(AMD64_IMAGE, ARM64_IMAGE, entries=entries))
    desk.save("y.tar", reference, "--platform", "linux/amd64,linux/mips,linux/arm64")
    (entry,) = desk.document("y.tar", "index.json")["manifests"]
    assert desk.document("y.tar", f"blobs/sha256/{entry['digest'][7:]}")["manifests"] == entries
    desk.check("y.tar")


def test_all_platforms_need_all_entries_of_the_index(desk: Desk) -> None:
    unknown = {**ARM64_IMAGE.entry, "digest": f"blake3:{'0' * 64}"}
    reference = desk.add("a", index(AMD64_IMAGE, entries=[AMD64_IMAGE.entry, unknown]))
    assert "the digest of manifest 2 of the manifest of " in desk.fail(6, reference, "--all-platforms")


def test_some_platforms_leave_unreadable_entries_out(desk: Desk) -> None:
    entries: list[Any] = [AMD64_IMAGE.entry, None, {"digest": ["x"]}, ARM64_IMAGE.entry]
    reference = desk.add("a", index(AMD64_IMAGE, ARM64_IMAGE, entries=entries))
    done = desk.save("y.tar", reference, "--platform", "linux/amd64,linux/arm64")
    assert "cannot be read (and 1 more)" in done.err
    (entry,) = desk.document("y.tar", "index.json")["manifests"]
    kept = desk.document("y.tar", f"blobs/sha256/{entry['digest'][7:]}")["manifests"]
    assert kept == [AMD64_IMAGE.entry, ARM64_IMAGE.entry]
    desk.check("y.tar")


def test_some_platforms_come_with_an_index_of_them_alone(desk: Desk) -> None:
    reference = desk.add("a", MANY)
    desk.save("y.tar", reference, "--platform", "linux/arm64,linux/amd64")
    (entry,) = desk.document("y.tar", "index.json")["manifests"]
    listed = desk.document("y.tar", f"blobs/sha256/{entry['digest'][7:]}")["manifests"]
    assert listed == [child.entry for child in MANY.children[:2]]
    assert blob(MANY.children[2]) not in desk.members("y.tar")
    desk.check("y.tar")
    desk.save("x.tar", reference, "--platform", "linux/amd64,linux/arm64")
    assert desk.read("x.tar") == desk.read("y.tar")


@pytest.mark.parametrize("options", [PLATFORM, ("--platform", "linux/amd64,linux/arm64")], ids=["one", "two"])
@pytest.mark.parametrize("form", ["docker", "oci"])
def test_an_image_that_was_asked_for_by_its_indexs_digest_can_be_proved_to_be_it(
    desk: Desk, form: str, options: tuple[str, ...]
) -> None:
    outer = index(MANY, image(MIDDLE, platform={"architecture": "s390x", "os": "linux"}))
    tagged = desk.add("a", outer)
    pinned = f"{tagged}@{outer.digest}"
    desk.save("y.tar", pinned, *options, "--format", form)
    found = desk.members("y.tar")
    assert list(found)[-2:] == [blob(outer), blob(MANY)]
    assert found[blob(outer)] == outer.raw
    for digest in (outer.digest, MANY.digest):
        assert verify(desk.path / "y.tar", [f"{tagged}@{digest}"]).findings == ()
    found_one = verify(desk.path / "y.tar", [f"{tagged}@{AMD64_IMAGE.digest}"]).findings
    assert bool(found_one) == (options is not PLATFORM)  # the name is then an index of two images
    done = desk.command("verify", desk.path / "y.tar", f"{tagged}@{ONE.digest}")
    assert done.status == 6
    assert re.search(rf"is not in the archive, which has .*{AMD64_IMAGE.digest}.* under that name", done.err)
    desk.registry.requests.clear()
    done = desk.save("y.tar", pinned, *options, "--format", form, "--if-changed", "--no-cache")
    assert "left untouched" in done.err
    assert len(desk.registry.paths) == 1


def test_an_image_that_was_asked_for_by_tag_has_no_index_beside_it(desk: Desk) -> None:
    tagged = desk.add("a", MANY)
    desk.save("y.tar", tagged, *PLATFORM)
    assert blob(MANY) not in desk.members("y.tar")
    (finding,) = verify(desk.path / "y.tar", [f"{tagged}@{MANY.digest}"]).findings
    assert "imgfetch digest --platform" in finding


def test_plain_layers_leave_no_proof(desk: Desk) -> None:
    tagged = desk.add("a", MANY)
    desk.save("y.tar", f"{tagged}@{MANY.digest}", *PLATFORM, "--layers", "plain")
    assert blob(MANY) not in desk.members("y.tar")
    desk.check("y.tar")


def test_an_index_that_lies_proves_nothing(desk: Desk) -> None:
    tagged = desk.add("a", MANY)
    desk.save("y.tar", f"{tagged}@{MANY.digest}", *PLATFORM)
    found = {name: content for name, content in desk.members("y.tar").items() if content is not None}
    found[f"blobs/sha256/{'0' * 64}"] = found[blob(MANY)]
    (desk.path / "x.tar").write_bytes(tar(found))
    findings = verify(desk.path / "x.tar", [f"{tagged}@sha256:{'0' * 64}"]).findings
    assert any("is not in the archive" in finding for finding in findings)
    assert any("is damaged" in finding for finding in findings)


def test_one_image_by_several_names_has_the_indexes_of_all(desk: Desk) -> None:
    other = index(AMD64_IMAGE)
    one, two = desk.add("a", MANY), desk.add("b", other, "2")
    names = (f"{one}@{MANY.digest}", f"{two}@{other.digest}", f"{one}@{AMD64_IMAGE.digest}")
    desk.save("y.tar", *names, *PLATFORM)
    assert verify(desk.path / "y.tar", names).findings == ()


def test_a_platform_of_several_that_is_not_there_is_told(desk: Desk) -> None:
    reference = desk.add("a", MANY)
    assert "linux/s390x" in desk.fail(3, reference, "--platform", "linux/amd64,linux/s390x")


def test_an_artifact_beside_the_images_is_carried_with_all_platforms(desk: Desk) -> None:
    chart = image(hello("chart"), platform=None, config_type="application/vnd.cncf.helm.config.v1+json")
    reference = desk.add("a", index(AMD64_IMAGE, chart))
    desk.save("y.tar", reference, *PLATFORM, "--all-platforms")
    assert {blob(chart), blob(chart.config), blob(chart.layers[0])} <= set(desk.members("y.tar"))
    assert verify(desk.path / "y.tar").findings == ()


@pytest.mark.parametrize(
    "given",
    [("linux/amd64", "linux/arm64"), ("linux/arm64,linux/amd64", "linux/arm64"), ("linux/amd64", "linux/amd64,arm64")],
    ids=" and ".join,
)
def test_a_repeated_platform_adds_to_the_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, given: tuple[str, str]
) -> None:
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/s390x")  # counts only where no platform is given
    first, second = (platforms.replace(",arm64", ",linux/arm64") for platforms in given)
    reference = desk.add("a", MANY)
    desk.save("y.tar", reference, "--platform", first, "--platform", second)
    desk.save("x.tar", reference, "--platform", "linux/amd64,linux/arm64")
    assert desk.read("y.tar") == desk.read("x.tar")
    assert {blob(AMD64_IMAGE), blob(ARM64_IMAGE)} <= set(desk.members("y.tar"))


def test_the_same_platform_twice_is_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = desk.add("a", MANY)
    for twice in (("linux/arm64", "--platform", "linux/arm64"), ("linux/arm64,linux/arm64/v8",)):
        desk.save("y.tar", reference, "--format", "docker-classic", "--platform", *twice)
    imgfetch.save(
        reference, desk.path / "x.tar", archive_format="docker-classic", platform=["linux/arm64", "linux/arm64"]
    )
    assert desk.read("x.tar") == desk.read("y.tar")
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64,linux/arm64")
    desk.save("z.tar", reference, "--format", "docker-classic")
    assert desk.read("z.tar") == desk.read("y.tar")


def test_a_repeated_base_leaves_out_the_layers_of_each(desk: Desk) -> None:
    two = [desk.add("a", image(BASE)), desk.add("b", image(BASE, MIDDLE))]
    built = desk.add("c", image(BASE, MIDDLE, TOP))
    desk.save("y.tar", built, *PLATFORM, "--base", two[1], "--base", two[0])
    assert not {blob(BASE), blob(MIDDLE)} & set(desk.members("y.tar"))


@pytest.mark.parametrize(
    ("option", "first", "second"),
    [
        ("-o", "a.tar", "b.tar"),
        ("--output", "a.tar", "-"),
        ("--name", "a:1", "a:2"),
        ("--format", "docker", "oci"),
        ("--layers", "plain", "original"),
        ("--authfile", "a.json", "b.json"),
        ("--certs-dir", "a", "b"),
        ("--cache-dir", "a", "b"),
        ("-u", "me", "you"),
    ],
)
def test_a_repeated_option_that_takes_one_value_is_a_usage_error(
    desk: Desk, option: str, first: str, second: str
) -> None:
    done = desk.command("save", "a.example/x", option, first, option, second)
    assert done.status == 2
    assert option in done.err.splitlines()[0]
    assert f"given twice with different values: '{first}' and '{second}'" in done.err.replace("docker.io/library/", "")


def test_the_same_value_twice_and_a_number_that_is_overridden_are_no_errors(desk: Desk) -> None:
    reference = desk.add("a", ONE)
    target = desk.path / "y.tar"
    twice = ("--format", "oci", "-j", "1", "--format", "oci", "-j", "2", "--cache-size", "1GB", "--cache-size", "2GB")
    desk.save(target, reference, "-o", target, *PLATFORM, *twice)


def test_all_platforms_that_are_all_of_them_keep_the_index(desk: Desk) -> None:
    both = index(AMD64_IMAGE, ARM64_IMAGE)
    desk.save("y.tar", desk.add("a", both), "--platform", "linux/amd64,linux/arm64")
    assert desk.members("y.tar")[blob(both)] == both.raw


@pytest.mark.parametrize(
    ("built", "expected"),
    [
        (index(index(index(index(index(AMD64_IMAGE))))), (6, "nests indexes more than")),
        (index(attestation(AMD64_IMAGE)), (3, "lists no images")),
        (index(), (3, "lists no images")),
    ],
    ids=["deep", "no image", "empty"],
)
def test_an_index_without_an_end_or_an_image_is_told(desk: Desk, built: Built, expected: tuple[int, str]) -> None:
    status, said = expected
    assert said in desk.fail(status, desk.add("a", built), "--all-platforms")


def test_all_platforms_of_an_image_without_an_index_are_one(desk: Desk) -> None:
    reference = desk.add("a", ONE)
    desk.save("x.tar", reference, "--all-platforms")
    desk.save("y.tar", reference, *PLATFORM)
    assert desk.read("x.tar") == desk.read("y.tar")


@pytest.mark.parametrize("blob_index", [0, 1], ids=["its config", "its statement"])
def test_what_belongs_to_an_attestation_is_verified_too(desk: Desk, blob_index: int) -> None:
    reference = desk.add("a", MANY)
    wrong = MANY.children[2].blobs[blob_index]
    desk.registry.answers[f"/v2/a/blobs/{wrong.digest}"] = Answer(wrong.content[:-1] + b"!")
    desk.fail(6, reference, "--all-platforms")


# ---- forms ----


@pytest.mark.parametrize("media_type", [OCI_GZIP, OCI_ZSTD, OCI_TAR, DOCKER_GZIP])
@pytest.mark.parametrize("cache", [(), ("--no-cache",)], ids=["cache", "no cache"])
def test_plain_layers_are_what_the_config_promises(desk: Desk, media_type: str, cache: tuple[str, ...]) -> None:
    layers = [hello("one", media_type), hello("two", media_type), hello("one", media_type)]
    built = image(*layers, docker=media_type == DOCKER_GZIP, manifest={"annotations": {"kept": "\u00e9"}})
    reference = desk.add("a", built)
    done = desk.save("y.tar", reference, "--layers", "plain", *PLATFORM, *cache)
    (entry,) = desk.document("y.tar", "index.json")["manifests"]
    manifest = desk.document("y.tar", f"blobs/sha256/{entry['digest'][7:]}")
    found = desk.members("y.tar")
    for descriptor, stored in zip(manifest["layers"], layers, strict=True):
        content = found[plain_blob(stored)]
        assert content is not None
        assert "sha256:" + hashlib.sha256(content).hexdigest() == stored.diff_id == descriptor["digest"]
        assert descriptor["size"] == len(content)
        assert descriptor["mediaType"].endswith((".tar", ".v1.tar"))
    assert manifest["config"] == built.config.descriptor
    assert manifest["annotations"] == {"kept": "\u00e9"}
    assert ("so its digest is not the registry's" in done.err) == (media_type != OCI_TAR)
    assert "zstd" not in done.err
    desk.check("y.tar")
    again = desk.save("x.tar", reference, "--layers", "plain", *PLATFORM)  # sizes are known by now
    assert desk.read("x.tar") == desk.read("y.tar")
    assert again.out == ""


def test_plain_layers_of_several_platforms_change_the_index(desk: Desk) -> None:
    reference = desk.add("a", index(index(AMD64_IMAGE), ARM64_IMAGE, attestation(AMD64_IMAGE)))
    desk.save("y.tar", reference, "--layers", "plain", "--all-platforms")
    desk.check("y.tar")
    found = verify(desk.path / "y.tar")
    assert [str(one.config.platform) for one in found.images] == ["linux/amd64", "linux/arm64"]
    assert {plain_blob(BASE), plain_blob(TOP)} < set(desk.members("y.tar"))


def test_a_stream_takes_plain_layers_too(desk: Desk) -> None:
    from imgfetch import save  # noqa: PLC0415

    reference = desk.add("a", ONE)
    desk.save("y.tar", reference, "--layers", "plain", *PLATFORM)
    out = io.BytesIO()
    save(reference, out, layers="plain", platform="linux/amd64")
    assert out.getvalue() == desk.read("y.tar")


ODD = image(layer(gz(tar({"a": b"b"})) + bytes(512), OCI_GZIP, raw=tar({"a": b"b"})), BASE)


def test_a_layer_that_readers_refuse_stands_plain(desk: Desk) -> None:
    # L11
    reference = desk.add("a", ODD)
    done = desk.save("y.tar", reference, *PLATFORM)
    found = desk.members("y.tar")
    assert {plain_blob(ODD.layers[0]), blob(BASE)} < set(found)
    assert blob(ODD.layers[0]) not in found
    assert "zeros separate or follow" in done.err
    assert "so its digest is not the registry's" in done.err
    desk.check("y.tar")


def test_a_stream_that_has_begun_cannot_turn_to_plain_layers_but_the_next_one_can(desk: Desk) -> None:
    from imgfetch import UnsupportedError, save  # noqa: PLC0415

    reference = desk.add("a", ODD)
    with pytest.raises(UnsupportedError, match="must be decompressed") as caught:
        save(reference, io.BytesIO(), platform="linux/amd64", cache_dir=desk.path / "cache")
    assert "-o" in (caught.value.hint or "")
    out = io.BytesIO()
    save(reference, out, platform="linux/amd64", cache_dir=desk.path / "cache")
    save(reference, desk.path / "y.tar", platform="linux/amd64")
    assert out.getvalue() == desk.read("y.tar")


def test_oci_is_the_layout_alone_with_a_bare_tag(desk: Desk) -> None:
    reference = desk.add("a", ONE)
    desk.save("y.tar", reference, "--format", "oci", *PLATFORM)
    found = list(desk.members("y.tar"))
    assert found[:4] == ["oci-layout", "index.json", "blobs", "blobs/sha256"]
    assert found[4:] == [blob(each) for each in (ONE, ONE.config, BASE, MIDDLE)]
    (entry,) = desk.document("y.tar", "index.json")["manifests"]
    assert entry["annotations"] == {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": "1"}
    desk.check("y.tar")


def test_oci_has_no_ref_name_for_a_digest(desk: Desk) -> None:
    desk.add("a", ONE)
    reference = f"{desk.registry.host}/a@{ONE.digest}"
    desk.save("y.tar", reference, "--format", "oci", *PLATFORM)
    (entry,) = desk.document("y.tar", "index.json")["manifests"]
    assert entry["annotations"] == {"io.containerd.image.name": reference}


def test_classic_has_a_directory_for_each_layer(desk: Desk) -> None:
    built = image(BASE, TOP, BASE)
    reference = desk.add("a", built)
    desk.save("y.tar", reference, "--format", "docker-classic", *PLATFORM)
    found = desk.members("y.tar")
    (item,) = desk.document("y.tar", "manifest.json")
    ids = [name.partition("/")[0] for name in item["Layers"]]
    assert len(set(ids)) == 3
    expected = [name for v1id in ids for name in (v1id, f"{v1id}/VERSION", f"{v1id}/json", f"{v1id}/layer.tar")]
    config = built.config.digest.removeprefix("sha256:") + ".json"
    assert list(found) == [*expected, config, "manifest.json", "repositories"]
    assert found[config] == built.config.content
    for v1id, stored in zip(ids, (BASE, TOP, BASE), strict=True):
        content = found[f"{v1id}/layer.tar"]
        assert content is not None
        assert "sha256:" + hashlib.sha256(content).hexdigest() == stored.diff_id
        assert found[f"{v1id}/VERSION"] == b"1.0"
    v1 = [desk.document("y.tar", f"{v1id}/json") for v1id in ids]
    assert v1[0] == {"id": ids[0], "created": "1970-01-01T00:00:00Z"}
    assert [one.get("parent") for one in v1] == [None, ids[0], ids[1]]
    assert v1[2]["config"]["Cmd"] == ["/hello"]
    assert "rootfs" not in v1[2]
    name, _, tag = reference.rpartition(":")
    assert desk.document("y.tar", "repositories") == {name: {tag: ids[-1]}}
    desk.check("y.tar")


def test_classic_images_share_what_they_share(desk: Desk) -> None:
    one, two = desk.add("a", ONE), desk.add("b", TWO)
    desk.save("y.tar", one, two, "--format", "docker-classic", *PLATFORM)
    layers = [item["Layers"] for item in desk.document("y.tar", "manifest.json")]
    assert layers[0][0] == layers[1][0]
    assert len([name for name in desk.members("y.tar") if name.endswith("layer.tar")]) == 3
    desk.check("y.tar")


@pytest.mark.parametrize("suffix", [".tar.gz", ".tgz", ".tar.zst"])
def test_an_archive_is_compressed_as_its_name_says_and_always_the_same(desk: Desk, suffix: str) -> None:
    reference = desk.add("a", ONE)
    desk.save("y.tar", reference, *PLATFORM)
    done = desk.save(f"y{suffix}", reference, *PLATFORM)
    assert "as a whole saves little" in done.err
    assert "gains" not in desk.save(f"x{suffix}", reference, *PLATFORM, "--layers", "plain").err
    assert "gains" not in desk.save(f"w{suffix}", reference, *PLATFORM, "-q").err
    desk.save(f"z{suffix}", reference, *PLATFORM, "--no-cache")
    stored = desk.read(f"y{suffix}")
    if suffix == ".tar.zst":
        plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(stored)).read()
    else:
        plain = gzip.decompress(stored)
        assert stored[4:8] == bytes(4)  # no time
    assert plain == desk.read("y.tar")
    assert desk.read(f"z{suffix}") == stored
    desk.check(f"y{suffix}")


@pytest.mark.parametrize(("size", "window"), [("1M", 2**20), ("1.5MiB", 2**21), ("2G", None)])
def test_the_window_of_zstd_is_a_power_of_two_and_no_larger_than_the_archive(
    desk: Desk, size: str, window: int | None
) -> None:
    large = layer(tar({"large": bytes(3 * 2**20)}), OCI_TAR)
    desk.save("y.tar.zst", desk.add("a", image(large)), *PLATFORM, "--zstd-window", size)
    stored = desk.read("y.tar.zst")
    frame = zstandard.get_frame_parameters(stored)
    assert frame.content_size == len(zstandard.ZstdDecompressor().stream_reader(io.BytesIO(stored)).read())
    assert frame.window_size == (window or frame.content_size)
    desk.check("y.tar.zst")


# ---- names ----


def test_an_image_gets_another_name(desk: Desk) -> None:
    desk.add("a", ONE)
    done = desk.save("y.tar", f"{desk.registry.host}/a@{ONE.digest}", "--name", "team/app:2", *PLATFORM)
    (item,) = desk.document("y.tar", "manifest.json")
    assert item["RepoTags"] == ["docker.io/team/app:2"]
    assert "docker.io/team/app:2" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("x:1", "--base", "y:1", "--format", "docker-classic"),
        ("x:1", "y:1", "--name", "z:1"),
        ("x:1", "--name", f"z@{ONE.digest}"),
        ("x:1", "--name", "NO"),
        ("x:1", "--format", "docker-classic", "--all-platforms"),
        ("x:1", "--format", "docker-classic", "--platform", "linux/amd64,linux/arm64"),
        ("x:1", "--base", "y:1", "--layers", "plain"),
        ("x:1", "--if-changed"),
        ("x:1", "--zstd-window", "256M"),
        ("x:1", "--zstd-window", "99k"),
        ("x:1", "--zstd-window", "2.2G"),
        ("x:1", "--realm-override", "a.example=https://b.example", "--realm-override", "a.example=https://c.example"),
    ],
    ids=" ".join,
)
def test_what_does_not_go_together_is_a_usage_error_of_save(desk: Desk, arguments: tuple[str, ...]) -> None:
    done = desk.command("save", *arguments, *([] if "--if-changed" in arguments else ["-o", "y.tar"]))
    assert done.status == 2
    said, hint = done.err.splitlines()
    assert hint == "Try 'imgfetch save --help'"
    assert all(option in said for option in arguments if option.startswith("--"))


def test_a_login_is_not_for_a_base_elsewhere(desk: Desk) -> None:
    arguments = ("a.example/x", "--base", "b.example/y", "-u", "me", "--password-stdin")
    done = desk.command("save", "-o", "y.tar", *arguments)
    assert done.status == 2
    assert (
        "--username applies to one registry, but the images come from several: a.example, b.example; log in to"
        in done.err
    )


# ---- what is there already ----


@pytest.mark.parametrize("cache", [(), ("--no-cache",)], ids=["cache", "no cache"])
@pytest.mark.parametrize(
    "options",
    [(), ("--layers", "plain"), ("--format", "oci"), ("--all-platforms",)],
    ids=lambda options: " ".join(options) or "docker",
)
def test_an_archive_that_is_right_is_left_alone_at_the_cost_of_a_request_that_is_no_pull(
    desk: Desk, cache: tuple[str, ...], options: tuple[str, ...]
) -> None:
    reference = desk.add("a", MANY)
    target = desk.path / "y.tar"
    arguments = (reference, "--if-changed", *(options if "--all-platforms" in options else (*options, *PLATFORM)))
    desk.save(target, *arguments, *cache)
    os.utime(target, (1, 1))
    before = target.stat()
    desk.registry.requests.clear()
    done = desk.save(target, *arguments, *cache)
    asked = [("HEAD", "/v2/a/manifests/1")]
    if cache and "--all-platforms" not in options:  # the file does not have the index
        asked.append(("GET", "/v2/a/manifests/1"))
    if cache and "plain" in options:  # nor the registry's manifest
        asked.append(("GET", f"/v2/a/manifests/{AMD64_IMAGE.digest}"))
    assert desk.registry.asked == asked
    assert (target.stat().st_mtime, target.stat().st_ino) == (1, before.st_ino)
    assert "left untouched" in done.err


@pytest.mark.parametrize("cache", [(), ("--no-cache",)], ids=["cache", "no cache"])
def test_so_is_one_of_an_image_without_an_index_even_without_the_cache(desk: Desk, cache: tuple[str, ...]) -> None:
    reference = desk.add("a", ONE)
    arguments = (reference, "--if-changed", *PLATFORM, *cache)
    desk.save(desk.path / "y.tar", *arguments)
    desk.registry.requests.clear()
    assert "left untouched" in desk.save(desk.path / "y.tar", *arguments).err
    assert desk.registry.asked == [("HEAD", "/v2/a/manifests/1")]


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.zst"])
def test_so_is_a_compressed_one(desk: Desk, suffix: str) -> None:
    reference = desk.add("a", ONE)
    target = desk.path / f"y{suffix}"
    desk.save(target, reference, "--if-changed", *PLATFORM)
    os.utime(target, (1, 1))
    desk.save(target, reference, "--if-changed", *PLATFORM)
    assert target.stat().st_mtime == 1


@pytest.mark.parametrize("change", ["tag", "byte", "truncated", "garbage behind", "other format", "no archive"])
def test_an_archive_that_is_not_right_is_written_anew(desk: Desk, change: str) -> None:
    reference = desk.add("a", ONE)
    target = desk.path / "y.tar"
    desk.save(target, reference, *PLATFORM)
    right = target.read_bytes()
    if change == "tag":
        desk.add("a", TWO)
    elif change == "byte":
        at = right.index(MIDDLE.content) + 20
        target.write_bytes(right[:at] + bytes([right[at] ^ 1]) + right[at + 1 :])
    elif change == "truncated":
        target.write_bytes(right[:-600])
    elif change == "garbage behind":
        target.write_bytes(right + b"x")
    elif change == "other format":
        desk.save(target, reference, "--format", "oci", *PLATFORM)
    else:
        target.write_bytes(b"something else")
    done = desk.save(target, reference, "--if-changed", *PLATFORM)
    assert "saved" in done.err
    assert (target.read_bytes() == right) == (change != "tag")
    desk.check(target)


# ---- bases ----


@pytest.mark.parametrize("base_is_file", [True, False], ids=["file", "reference"])
def test_what_the_base_has_is_left_out_and_not_fetched(desk: Desk, *, base_is_file: bool) -> None:
    one, two = desk.add("a", ONE), desk.add("b", TWO)
    desk.save("base.tar", one, *PLATFORM, "--no-cache")
    desk.registry.requests.clear()
    base = desk.path / "base.tar" if base_is_file else one
    desk.save("y.tar", two, "--base", base, *PLATFORM, "--no-cache")
    found = desk.members("y.tar")
    assert blob(BASE) not in found
    assert blob(TOP) in found
    assert not [path for path in desk.registry.paths if BASE.digest in path]
    (item,) = desk.document("y.tar", "manifest.json")
    assert item["Layers"] == [blob(BASE), blob(TOP)]
    (entry,) = desk.document("y.tar", "index.json")["manifests"]
    assert entry["annotations"]["io.github.imgfetch.absent"] == BASE.digest
    result = verify(desk.path / "y.tar")
    assert result.findings == ()
    assert any("leaves out 1 of 2 layers" in note and one in note for note in result.notes)


def test_a_layer_counts_as_held_only_on_top_of_the_same_layers(desk: Desk) -> None:
    other = image(TOP, BASE)  # has both blobs, in another order
    base, two = desk.add("a", other), desk.add("b", TWO)
    desk.save("y.tar", two, "--base", base, *PLATFORM)
    assert {blob(BASE), blob(TOP)} < set(desk.members("y.tar"))
    desk.save("x.tar", two, "--base", base, *PLATFORM, "--format", "oci")
    assert not {blob(BASE), blob(TOP)} & set(desk.members("x.tar"))  # containerd goes by the blob


@pytest.mark.parametrize("base", [image(hello("arm64"), platform=ARM64), image(TOP)], ids=["platform", "layers"])
def test_a_base_that_is_of_no_use_gives_a_whole_archive_and_a_warning(desk: Desk, base: Built) -> None:
    reference, held = desk.add("a", ONE), desk.add("b", base)
    desk.save("whole.tar", reference, *PLATFORM)
    architecture = (base.platform or {})["architecture"]
    desk.save("base.tar", held, "--platform", f"linux/{architecture}")
    done = desk.save("y.tar", reference, "--base", desk.path / "base.tar", *PLATFORM)
    assert "has no layers in common with" in done.err
    assert held in done.err
    assert " first, or " not in done.err
    assert desk.read("y.tar") == desk.read("whole.tar")


def test_layers_that_are_the_same_in_other_blobs_are_left_out_with_a_warning(desk: Desk) -> None:
    raw = gzip.decompress(BASE.content)
    reference, held = desk.add("a", TWO), desk.add("b", image(layer(raw, OCI_TAR)))
    done = desk.save("y.tar", reference, "--base", held, *PLATFORM)
    assert blob(BASE) not in desk.members("y.tar")
    assert "only under other digests: docker and ctr can load the archive, podman cannot" in done.err
    assert f"; load {held} first, or the image may not run" in done.err.splitlines()[-1]
    done = desk.save("x.tar", reference, "--base", held, *PLATFORM, "--format", "oci")
    assert blob(BASE) in desk.members("x.tar")
    assert "has no layers in common" in done.err


def test_a_layer_that_is_needed_higher_up_is_not_left_out(desk: Desk) -> None:
    base, wanted = desk.add("a", image(BASE)), desk.add("b", image(BASE, TOP, BASE))
    desk.save("y.tar", wanted, "--base", base, *PLATFORM)
    assert blob(BASE) in desk.members("y.tar")


def test_an_image_that_the_base_has_not_needs_its_layers_all_the_same(desk: Desk) -> None:
    base = desk.add("a", image(BASE))
    one, other = desk.add("b", TWO), desk.add("c", image(TOP, BASE))
    desk.save("y.tar", one, other, "--base", base, *PLATFORM)
    assert blob(BASE) in desk.members("y.tar")
    desk.check("y.tar")


@pytest.mark.parametrize("content", [None, b"", b"no archive" * 100], ids=["missing", "empty", "no archive"])
def test_a_base_that_is_no_archive_is_told(desk: Desk, content: bytes | None) -> None:
    if content is not None:
        (desk.path / "base.tar").write_bytes(content)
    reference = desk.add("a", ONE)
    status = 7 if content is None else 1
    assert "base.tar" in desk.fail(status, reference, "--base", desk.path / "base.tar", *PLATFORM)


# ---- forecasts ----


def test_a_dry_run_says_to_the_byte_what_a_run_does(desk: Desk) -> None:
    one, two = desk.add("a", ONE), desk.add("b", TWO)
    desk.save("one.tar", one, *PLATFORM)
    desk.registry.requests.clear()
    done = desk.command("save", two, "--dry-run", "--json", *PLATFORM)
    assert done.status == 0, done.err
    assert not [path for path in desk.registry.paths if TOP.digest in path]
    told = json.loads(done.out)
    states = {one["digest"]: one["state"] for one in told["blobs"]}
    assert states == {BASE.digest: "cached", TOP.digest: "fetched"}
    assert (told["bytes"], told["requests"]) == (len(TOP.content), 1)
    assert (told["cached"], told["left_out"]) == (len(BASE.content), 0)
    desk.registry.requests.clear()
    desk.save("two.tar", two, *PLATFORM)
    assert len([path for path in desk.registry.paths if "/blobs/" in path]) == told["requests"]
    assert (desk.path / "two.tar").stat().st_size == told["archive_size"]


@pytest.mark.parametrize("cut", [0, 20], ids=["a layer", "part of a layer"])
def test_a_dry_run_without_a_cache_counts_what_a_failed_save_left_beside_the_output(desk: Desk, cut: int) -> None:
    reference = desk.add("a", TWO)
    place = f"/v2/a/blobs/{TOP.digest}"
    whole = desk.registry.answers[place]
    desk.registry.answers[place] = Answer(TOP.content[:cut], headers={"Content-Length": str(len(TOP.content))})
    desk.fail(5, reference, "--no-cache", "-j1", *PLATFORM)
    desk.registry.answers[place] = whole

    def forecast(*options: str | Path) -> dict[str, tuple[str, int]]:
        done = desk.command("save", reference, "--dry-run", "--json", *PLATFORM, *options)
        return {each["digest"]: (each["state"], each["missing"]) for each in json.loads(done.out)["blobs"]}

    rest = ("continued", len(TOP.content) - cut) if cut else ("fetched", len(TOP.content))
    new = {layer.digest: ("fetched", len(layer.content)) for layer in (BASE, TOP)}
    for _ in range(2):  # it leaves them there
        assert forecast("--no-cache", "-o", desk.path / "y.tar") == {BASE.digest: ("cached", 0), TOP.digest: rest}
    assert forecast("--no-cache", "-o", desk.path / "other.tar") == new
    assert forecast("--no-cache") == new  # for stdout
    assert forecast("-o", desk.path / "y.tar") == new  # a save with a cache does not use them
    desk.save("y.tar", reference, "--no-cache", *PLATFORM)
    assert forecast("--no-cache", "-o", desk.path / "y.tar") == new


def test_a_dry_run_is_readable_and_writes_nothing(desk: Desk) -> None:
    reference = desk.add("a", TWO)
    done = desk.command("save", reference, "--dry-run", "--base", desk.add("b", image(BASE)), *PLATFORM)
    assert reference in done.out
    assert f"left out  {BASE.digest}" in done.out
    assert f"download  {TOP.digest}" in done.out
    assert "in 1 request, 0 B cached, " in done.out
    assert "left out; size of the archive: " in done.out
    assert not (desk.path / "y.tar").exists()


def test_a_dry_run_says_what_docker_hub_says_of_its_limit(desk: Desk) -> None:
    reference = desk.add("a", ONE)
    answer = desk.registry.answers["/v2/a/manifests/1"]
    assert isinstance(answer, Answer)
    headers = {**answer.headers, "RateLimit-Remaining": "76;w=21600"}
    desk.registry.answers["/v2/a/manifests/1"] = Answer(answer.body, headers=headers)
    done = desk.command("save", reference, "--dry-run", *PLATFORM)
    assert "reports 76 pulls left" in done.out
    assert json.loads(desk.command("save", reference, "--dry-run", "--json", *PLATFORM).out)["pulls_left"] == {
        desk.registry.host: 76
    }


def test_the_size_of_an_archive_with_plain_layers_is_known_when_they_are_here(desk: Desk) -> None:
    reference = desk.add("a", ONE)
    arguments = ("save", reference, "--dry-run", "--json", "--layers", "plain", *PLATFORM)
    assert json.loads(desk.command(*arguments).out)["archive_size"] is None
    desk.save("y.tar", reference, "--layers", "plain", *PLATFORM)
    assert json.loads(desk.command(*arguments).out)["archive_size"] == (desk.path / "y.tar").stat().st_size


def test_a_dry_run_lists_the_layers_of_each_image_and_those_that_it_shares(desk: Desk) -> None:
    one, two = desk.add("a", ONE), desk.add("b", TWO)
    lines = desk.command("save", one, two, "--dry-run", *PLATFORM).out.splitlines()
    heads = [number for number, line in enumerate(lines) if not line.startswith("  ")]
    assert [lines[number].partition(" ")[0] for number in heads[:2]] == [one, two]
    shared = {layer.digest for layer in ONE.layers} & {layer.digest for layer in TWO.layers}
    assert shared
    assert [line.split()[1] for line in lines if line.startswith("  shared")] == sorted(shared)
    assert not [line for line in lines if line.startswith("  fetched")]
