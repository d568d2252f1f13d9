"""Bundles, platforms, forms, names, bases, forecasts: what an archive holds, and that it holds it to the byte."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard

import imgfetch
from imgfetch.archive.compressed import opened
from imgfetch.archive.verify import verify
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


def members(path: Path) -> dict[str, bytes | None]:
    """Return an archive's files, and its directories as nothing, in their order."""
    with opened(path) as file, tarfile.open(fileobj=io.BytesIO(file.read())) as archive:
        return {member.name: content.read() if (content := archive.extractfile(member)) else None for member in archive}


def document(path: Path, name: str) -> Any:
    content = members(path)[name]
    assert content is not None
    return json.loads(content)


def blob(blob: Blob | Built) -> str:
    return f"blobs/sha256/{blob.digest.removeprefix('sha256:')}"


def plain_blob(layer: Blob) -> str:
    return f"blobs/sha256/{layer.diff_id.removeprefix('sha256:')}"


def saved(command: Command, target: Path, *arguments: str | Path) -> Done:
    done = command("save", *arguments, "-o", target)
    assert done.status == 0, done.err
    return done


def check(path: Path) -> None:
    """Let our own verification look at an archive too."""
    assert verify(path).findings == ()


# ---- bundles ----


def test_several_images_are_in_one_archive_and_what_they_share_once(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    one, two = loopback.add("a", "1", ONE), loopback.add("b", "1", TWO)
    saved(command, tmp_path / "y.tar", one, two, *PLATFORM)
    names = [name for name in members(tmp_path / "y.tar") if name.startswith("blobs/sha256/")]
    assert names == [blob(each) for each in (ONE, ONE.config, BASE, MIDDLE, TWO, TWO.config, TOP)]
    assert [item["RepoTags"] for item in document(tmp_path / "y.tar", "manifest.json")] == [[one], [two]]
    assert len([path for path in loopback.paths if BASE.digest in path]) == 1
    check(tmp_path / "y.tar")


@pytest.mark.parametrize("jobs", ["1", "4"])
def test_the_bytes_do_not_depend_on_what_comes_first(
    loopback: Loopback, command: Command, tmp_path: Path, jobs: str
) -> None:
    one, two = loopback.add("a", "1", ONE), loopback.add("b", "1", TWO)
    saved(command, tmp_path / "x.tar", one, two, *PLATFORM, "--no-cache", "-j", jobs)
    saved(command, tmp_path / "y.tar", one, two, *PLATFORM)
    assert (tmp_path / "x.tar").read_bytes() == (tmp_path / "y.tar").read_bytes()


def test_the_same_reference_twice_is_one_image_and_two_tags_share_everything(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    one, other = loopback.add("a", "1", ONE), loopback.add("a", "2", ONE)
    saved(command, tmp_path / "y.tar", one, other, one, *PLATFORM)
    (item,) = document(tmp_path / "y.tar", "manifest.json")
    assert item["RepoTags"] == [one, other]


def test_a_list_names_images_with_comments_and_blank_lines(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    one, two = loopback.add("a", "1", ONE), loopback.add("b", "1", TWO)
    (tmp_path / "images.txt").write_text(f"\ufeff# two images\r\n\r\n{one}  # the first\n{two}")
    saved(command, tmp_path / "y.tar", "-i", tmp_path / "images.txt", *PLATFORM)
    assert [item["RepoTags"] for item in document(tmp_path / "y.tar", "manifest.json")] == [[one], [two]]


def test_a_list_may_come_on_stdin(
    loopback: Loopback, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = loopback.add("a", "1", ONE)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{one}\n"))
    saved(command, tmp_path / "y.tar", "-i", "-", *PLATFORM)
    check(tmp_path / "y.tar")


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        ("quay.io/x/y:1\nNO SUCH\n", 2, "line 2 of"),
        ("# nothing\n", 2, "no image given"),
        (None, 7, "No such file"),
    ],
    ids=["malformed", "empty", "missing"],
)
def test_a_list_that_is_wrong_is_told(
    command: Command, tmp_path: Path, content: str | None, status: int, said: str
) -> None:
    if content is not None:
        (tmp_path / "images.txt").write_text(content)
    done = command("save", "-i", tmp_path / "images.txt", "-o", tmp_path / "y.tar")
    assert done.status == status
    assert said in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "y.tar").exists()


def test_one_failing_reference_fails_the_whole_with_its_name(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    one = loopback.add("a", "1", ONE)
    done = command("save", one, f"{loopback.host}/missing:1", "-o", tmp_path / "y.tar", *PLATFORM)
    assert done.status == 3
    assert f"{loopback.host}/missing:1" in done.err
    assert not (tmp_path / "y.tar").exists()


# ---- platforms ----


def test_all_platforms_keep_the_index_and_everything_it_lists(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    reference = loopback.add("a", "1", MANY)
    saved(command, tmp_path / "y.tar", reference, "--all-platforms")
    (entry,) = document(tmp_path / "y.tar", "index.json")["manifests"]
    assert (entry["digest"], entry["mediaType"]) == (MANY.digest, MANY.media_type)
    found = members(tmp_path / "y.tar")
    assert found[blob(MANY)] == MANY.raw
    for child in MANY.children:
        assert found[blob(child)] == child.raw
        assert all(found[blob(each)] == each.content for each in child.blobs)
    (item,) = document(tmp_path / "y.tar", "manifest.json")
    assert item["Config"] == blob(AMD64_IMAGE.config)
    check(tmp_path / "y.tar")


def test_with_all_platforms_the_one_that_is_named_is_preferred(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    reference = loopback.add("a", "1", MANY)
    saved(command, tmp_path / "y.tar", reference, "--all-platforms", "--platform", "linux/arm64")
    (item,) = document(tmp_path / "y.tar", "manifest.json")
    assert item["Config"] == blob(ARM64_IMAGE.config)


def test_an_index_within_an_index_is_kept_too(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    nested = index(index(AMD64_IMAGE), index(ARM64_IMAGE))
    saved(command, tmp_path / "y.tar", loopback.add("a", "1", nested), "--all-platforms")
    found = members(tmp_path / "y.tar")
    assert {blob(nested), *(blob(child) for child in nested.children)} < set(found)
    check(tmp_path / "y.tar")


def test_some_platforms_come_with_an_index_of_them_alone(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    reference = loopback.add("a", "1", MANY)
    saved(command, tmp_path / "y.tar", reference, "--platform", "linux/arm64,linux/amd64")
    (entry,) = document(tmp_path / "y.tar", "index.json")["manifests"]
    listed = document(tmp_path / "y.tar", f"blobs/sha256/{entry['digest'][7:]}")["manifests"]
    assert listed == [child.entry for child in MANY.children[:2]]
    assert blob(MANY.children[2]) not in members(tmp_path / "y.tar")
    check(tmp_path / "y.tar")
    saved(command, tmp_path / "x.tar", reference, "--platform", "linux/amd64,linux/arm64")
    assert (tmp_path / "x.tar").read_bytes() == (tmp_path / "y.tar").read_bytes()


@pytest.mark.parametrize("options", [PLATFORM, ("--platform", "linux/amd64,linux/arm64")], ids=["one", "two"])
@pytest.mark.parametrize("form", ["docker", "oci"])
def test_an_image_that_was_asked_for_by_its_indexs_digest_can_be_proved_to_be_it(
    loopback: Loopback, command: Command, tmp_path: Path, form: str, options: tuple[str, ...]
) -> None:
    outer = index(MANY, image(MIDDLE, platform={"architecture": "s390x", "os": "linux"}))
    tagged = loopback.add("a", "1", outer)
    pinned = f"{tagged}@{outer.digest}"
    saved(command, tmp_path / "y.tar", pinned, *options, "--format", form)
    found = members(tmp_path / "y.tar")
    assert list(found)[-2:] == [blob(outer), blob(MANY)]
    assert found[blob(outer)] == outer.raw
    for digest in (outer.digest, MANY.digest, AMD64_IMAGE.digest):
        assert verify(tmp_path / "y.tar", [f"{tagged}@{digest}"]).findings == ()
    done = command("verify", tmp_path / "y.tar", f"{tagged}@{ONE.digest}")
    assert done.status == 6
    assert "no image has that digest" in done.out
    loopback.requests.clear()
    done = saved(command, tmp_path / "y.tar", pinned, *options, "--format", form, "--if-changed", "--no-cache")
    assert "left untouched" in done.err
    assert len(loopback.paths) == 1


def test_an_image_that_was_asked_for_by_tag_has_no_index_beside_it(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    tagged = loopback.add("a", "1", MANY)
    saved(command, tmp_path / "y.tar", tagged, *PLATFORM)
    assert blob(MANY) not in members(tmp_path / "y.tar")
    (finding,) = verify(tmp_path / "y.tar", [f"{tagged}@{MANY.digest}"]).findings
    assert "imgfetch digest --platform" in finding


def test_plain_layers_leave_no_proof(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    tagged = loopback.add("a", "1", MANY)
    saved(command, tmp_path / "y.tar", f"{tagged}@{MANY.digest}", *PLATFORM, "--layers", "plain")
    assert blob(MANY) not in members(tmp_path / "y.tar")
    check(tmp_path / "y.tar")


def test_an_index_that_lies_proves_nothing(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    tagged = loopback.add("a", "1", MANY)
    saved(command, tmp_path / "y.tar", f"{tagged}@{MANY.digest}", *PLATFORM)
    found = {name: content for name, content in members(tmp_path / "y.tar").items() if content is not None}
    found[f"blobs/sha256/{'0' * 64}"] = found[blob(MANY)]
    (tmp_path / "x.tar").write_bytes(tar(found))
    findings = verify(tmp_path / "x.tar", [f"{tagged}@sha256:{'0' * 64}"]).findings
    assert any("is not in the archive" in finding for finding in findings)
    assert any("is damaged" in finding for finding in findings)


def test_one_image_by_several_names_has_the_indexes_of_all(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    other = index(AMD64_IMAGE)
    one, two = loopback.add("a", "1", MANY), loopback.add("b", "2", other)
    names = (f"{one}@{MANY.digest}", f"{two}@{other.digest}", f"{one}@{AMD64_IMAGE.digest}")
    saved(command, tmp_path / "y.tar", *names, *PLATFORM)
    assert verify(tmp_path / "y.tar", names).findings == ()


def test_a_platform_of_several_that_is_not_there_is_told(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    reference = loopback.add("a", "1", MANY)
    done = command("save", reference, "-o", tmp_path / "y.tar", "--platform", "linux/amd64,linux/s390x")
    assert done.status == 3
    assert "linux/s390x" in done.err


def test_an_artifact_beside_the_images_is_carried_with_all_platforms(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    chart = image(hello("chart"), platform=None, config_type="application/vnd.cncf.helm.config.v1+json")
    reference = loopback.add("a", "1", index(AMD64_IMAGE, chart))
    saved(command, tmp_path / "y.tar", reference, *PLATFORM, "--all-platforms")
    assert {blob(chart), blob(chart.config), blob(chart.layers[0])} <= set(members(tmp_path / "y.tar"))
    assert verify(tmp_path / "y.tar").findings == ()


@pytest.mark.parametrize(
    "given",
    [("linux/amd64", "linux/arm64"), ("linux/arm64,linux/amd64", "linux/arm64"), ("linux/amd64", "linux/amd64,arm64")],
    ids=" and ".join,
)
def test_a_repeated_platform_adds_to_the_first(
    loopback: Loopback, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: tuple[str, str]
) -> None:
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/s390x")  # counts only where no platform is given
    first, second = (platforms.replace(",arm64", ",linux/arm64") for platforms in given)
    reference = loopback.add("a", "1", MANY)
    saved(command, tmp_path / "y.tar", reference, "--platform", first, "--platform", second)
    saved(command, tmp_path / "x.tar", reference, "--platform", "linux/amd64,linux/arm64")
    assert (tmp_path / "y.tar").read_bytes() == (tmp_path / "x.tar").read_bytes()
    assert {blob(AMD64_IMAGE), blob(ARM64_IMAGE)} <= set(members(tmp_path / "y.tar"))


def test_the_same_platform_twice_is_one(
    loopback: Loopback, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = loopback.add("a", "1", MANY)
    for twice in (("linux/arm64", "--platform", "linux/arm64"), ("linux/arm64,linux/arm64/v8",)):
        saved(command, tmp_path / "y.tar", reference, "--format", "docker-classic", "--platform", *twice)
    imgfetch.save(
        reference, tmp_path / "x.tar", archive_format="docker-classic", platform=["linux/arm64", "linux/arm64"]
    )
    assert (tmp_path / "x.tar").read_bytes() == (tmp_path / "y.tar").read_bytes()
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64,linux/arm64")
    saved(command, tmp_path / "z.tar", reference, "--format", "docker-classic")
    assert (tmp_path / "z.tar").read_bytes() == (tmp_path / "y.tar").read_bytes()


def test_a_repeated_base_leaves_out_the_layers_of_each(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    two = [loopback.add("a", "1", image(BASE)), loopback.add("b", "1", image(BASE, MIDDLE))]
    built = loopback.add("c", "1", image(BASE, MIDDLE, TOP))
    saved(command, tmp_path / "y.tar", built, *PLATFORM, "--base", two[1], "--base", two[0])
    assert not {blob(BASE), blob(MIDDLE)} & set(members(tmp_path / "y.tar"))


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
    command: Command, option: str, first: str, second: str
) -> None:
    done = command("save", "a.example/x", option, first, option, second)
    assert done.status == 2
    assert option in done.err.splitlines()[0]
    assert f"given twice with different values: '{first}' and '{second}'" in done.err.replace("docker.io/library/", "")


def test_the_same_value_twice_and_a_number_that_is_overridden_are_no_errors(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    reference = loopback.add("a", "1", ONE)
    target = tmp_path / "y.tar"
    twice = ("--format", "oci", "-j", "1", "--format", "oci", "-j", "2", "--cache-size", "1GB", "--cache-size", "2GB")
    saved(command, target, reference, "-o", target, *PLATFORM, *twice)


def test_all_platforms_that_are_all_of_them_keep_the_index(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    both = index(AMD64_IMAGE, ARM64_IMAGE)
    saved(command, tmp_path / "y.tar", loopback.add("a", "1", both), "--platform", "linux/amd64,linux/arm64")
    assert members(tmp_path / "y.tar")[blob(both)] == both.raw


@pytest.mark.parametrize(
    ("built", "expected"),
    [
        (index(index(index(index(index(AMD64_IMAGE))))), (6, "indexes within indexes")),
        (index(attestation(AMD64_IMAGE)), (3, "lists no image")),
        (index(), (3, "lists no image")),
    ],
    ids=["deep", "no image", "empty"],
)
def test_an_index_without_an_end_or_an_image_is_told(
    loopback: Loopback, command: Command, tmp_path: Path, built: Built, expected: tuple[int, str]
) -> None:
    done = command("save", loopback.add("a", "1", built), "--all-platforms", "-o", tmp_path / "y.tar")
    assert done.status == expected[0]
    assert expected[1] in done.err
    assert not (tmp_path / "y.tar").exists()


def test_all_platforms_of_an_image_without_an_index_are_one(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    reference = loopback.add("a", "1", ONE)
    saved(command, tmp_path / "x.tar", reference, "--all-platforms")
    saved(command, tmp_path / "y.tar", reference, *PLATFORM)
    assert (tmp_path / "x.tar").read_bytes() == (tmp_path / "y.tar").read_bytes()


@pytest.mark.parametrize("blob_index", [0, 1], ids=["its config", "its statement"])
def test_what_belongs_to_an_attestation_is_verified_too(
    loopback: Loopback, command: Command, tmp_path: Path, blob_index: int
) -> None:
    reference = loopback.add("a", "1", MANY)
    wrong = MANY.children[2].blobs[blob_index]
    loopback.answers[f"/v2/a/blobs/{wrong.digest}"] = Answer(wrong.content[:-1] + b"!")
    done = command("save", reference, "-o", tmp_path / "y.tar", "--all-platforms")
    assert done.status == 6
    assert not (tmp_path / "y.tar").exists()


# ---- forms ----


@pytest.mark.parametrize("media_type", [OCI_GZIP, OCI_ZSTD, OCI_TAR, DOCKER_GZIP])
@pytest.mark.parametrize("cache", [(), ("--no-cache",)], ids=["cache", "no cache"])
def test_plain_layers_are_what_the_config_promises(
    loopback: Loopback, command: Command, tmp_path: Path, media_type: str, cache: tuple[str, ...]
) -> None:
    layers = [hello("one", media_type), hello("two", media_type), hello("one", media_type)]
    built = image(*layers, docker=media_type == DOCKER_GZIP, manifest={"annotations": {"kept": "\u00e9"}})
    reference = loopback.add("a", "1", built)
    done = saved(command, tmp_path / "y.tar", reference, "--layers", "plain", *PLATFORM, *cache)
    (entry,) = document(tmp_path / "y.tar", "index.json")["manifests"]
    manifest = document(tmp_path / "y.tar", f"blobs/sha256/{entry['digest'][7:]}")
    found = members(tmp_path / "y.tar")
    for descriptor, stored in zip(manifest["layers"], layers, strict=True):
        content = found[plain_blob(stored)]
        assert content is not None
        assert "sha256:" + hashlib.sha256(content).hexdigest() == stored.diff_id == descriptor["digest"]
        assert descriptor["size"] == len(content)
        assert descriptor["mediaType"].endswith((".tar", ".v1.tar"))
    assert manifest["config"] == built.config.descriptor
    assert manifest["annotations"] == {"kept": "\u00e9"}
    assert ("therefore another digest" in done.err) == (media_type != OCI_TAR)
    assert "zstd" not in done.err
    check(tmp_path / "y.tar")
    again = saved(command, tmp_path / "x.tar", reference, "--layers", "plain", *PLATFORM)  # sizes are known by now
    assert (tmp_path / "x.tar").read_bytes() == (tmp_path / "y.tar").read_bytes()
    assert again.out == ""


def test_plain_layers_of_several_platforms_change_the_index(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    reference = loopback.add("a", "1", index(index(AMD64_IMAGE), ARM64_IMAGE, attestation(AMD64_IMAGE)))
    saved(command, tmp_path / "y.tar", reference, "--layers", "plain", "--all-platforms")
    check(tmp_path / "y.tar")
    found = verify(tmp_path / "y.tar")
    assert [str(one.config.platform) for one in found.images] == ["linux/amd64", "linux/arm64"]
    assert {plain_blob(BASE), plain_blob(TOP)} < set(members(tmp_path / "y.tar"))


def test_a_stream_takes_plain_layers_too(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    from imgfetch import save  # noqa: PLC0415

    reference = loopback.add("a", "1", ONE)
    saved(command, tmp_path / "y.tar", reference, "--layers", "plain", *PLATFORM)
    out = io.BytesIO()
    save(reference, out, layers="plain", platform="linux/amd64")
    assert out.getvalue() == (tmp_path / "y.tar").read_bytes()


ODD = image(layer(gz(tar({"a": b"b"})) + bytes(512), OCI_GZIP, raw=tar({"a": b"b"})), BASE)


def test_a_layer_that_readers_refuse_stands_plain(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    # L11
    reference = loopback.add("a", "1", ODD)
    done = saved(command, tmp_path / "y.tar", reference, *PLATFORM)
    found = members(tmp_path / "y.tar")
    assert {plain_blob(ODD.layers[0]), blob(BASE)} < set(found)
    assert blob(ODD.layers[0]) not in found
    assert "zeros separate or follow" in done.err
    assert "therefore another digest" in done.err
    check(tmp_path / "y.tar")


def test_a_stream_that_has_begun_cannot_turn_to_plain_layers_but_the_next_one_can(
    loopback: Loopback, tmp_path: Path
) -> None:
    from imgfetch import UnsupportedError, save  # noqa: PLC0415

    reference = loopback.add("a", "1", ODD)
    with pytest.raises(UnsupportedError, match="must be decompressed") as caught:
        save(reference, io.BytesIO(), platform="linux/amd64", cache_dir=tmp_path / "cache")
    assert "-o" in (caught.value.hint or "")
    out = io.BytesIO()
    save(reference, out, platform="linux/amd64", cache_dir=tmp_path / "cache")
    save(reference, tmp_path / "y.tar", platform="linux/amd64")
    assert out.getvalue() == (tmp_path / "y.tar").read_bytes()


def test_oci_is_the_layout_alone_with_a_bare_tag(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    reference = loopback.add("a", "1", ONE)
    saved(command, tmp_path / "y.tar", reference, "--format", "oci", *PLATFORM)
    found = list(members(tmp_path / "y.tar"))
    assert found[:4] == ["oci-layout", "index.json", "blobs", "blobs/sha256"]
    assert found[4:] == [blob(each) for each in (ONE, ONE.config, BASE, MIDDLE)]
    (entry,) = document(tmp_path / "y.tar", "index.json")["manifests"]
    assert entry["annotations"] == {
        "io.containerd.image.name": reference,
        "org.opencontainers.image.ref.name": "1",
    }
    check(tmp_path / "y.tar")


def test_oci_has_no_ref_name_for_a_digest(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    loopback.add("a", "1", ONE)
    reference = f"{loopback.host}/a@{ONE.digest}"
    saved(command, tmp_path / "y.tar", reference, "--format", "oci", *PLATFORM)
    (entry,) = document(tmp_path / "y.tar", "index.json")["manifests"]
    assert entry["annotations"] == {"io.containerd.image.name": reference}


def test_classic_has_a_directory_for_each_layer(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    built = image(BASE, TOP, BASE)
    reference = loopback.add("a", "1", built)
    saved(command, tmp_path / "y.tar", reference, "--format", "docker-classic", *PLATFORM)
    found = members(tmp_path / "y.tar")
    (item,) = document(tmp_path / "y.tar", "manifest.json")
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
    v1 = [document(tmp_path / "y.tar", f"{v1id}/json") for v1id in ids]
    assert v1[0] == {"id": ids[0], "created": "1970-01-01T00:00:00Z"}
    assert [one.get("parent") for one in v1] == [None, ids[0], ids[1]]
    assert v1[2]["config"]["Cmd"] == ["/hello"]
    assert "rootfs" not in v1[2]
    name, _, tag = reference.rpartition(":")
    assert document(tmp_path / "y.tar", "repositories") == {name: {tag: ids[-1]}}
    check(tmp_path / "y.tar")


def test_classic_images_share_what_they_share(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    one, two = loopback.add("a", "1", ONE), loopback.add("b", "1", TWO)
    saved(command, tmp_path / "y.tar", one, two, "--format", "docker-classic", *PLATFORM)
    layers = [item["Layers"] for item in document(tmp_path / "y.tar", "manifest.json")]
    assert layers[0][0] == layers[1][0]
    assert len([name for name in members(tmp_path / "y.tar") if name.endswith("layer.tar")]) == 3
    check(tmp_path / "y.tar")


@pytest.mark.parametrize("suffix", [".tar.gz", ".tgz", ".tar.zst"])
def test_an_archive_is_compressed_as_its_name_says_and_always_the_same(
    loopback: Loopback, command: Command, tmp_path: Path, suffix: str
) -> None:
    reference = loopback.add("a", "1", ONE)
    saved(command, tmp_path / "y.tar", reference, *PLATFORM)
    done = saved(command, tmp_path / f"y{suffix}", reference, *PLATFORM)
    assert "as a whole gains little" in done.err
    assert "gains" not in saved(command, tmp_path / f"x{suffix}", reference, *PLATFORM, "--layers", "plain").err
    assert "gains" not in saved(command, tmp_path / f"w{suffix}", reference, *PLATFORM, "-q").err
    saved(command, tmp_path / f"z{suffix}", reference, *PLATFORM, "--no-cache")
    stored = (tmp_path / f"y{suffix}").read_bytes()
    if suffix == ".tar.zst":
        plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(stored)).read()
    else:
        plain = gzip.decompress(stored)
        assert stored[4:8] == bytes(4)  # no time
    assert plain == (tmp_path / "y.tar").read_bytes()
    assert (tmp_path / f"z{suffix}").read_bytes() == stored
    check(tmp_path / f"y{suffix}")


# ---- names ----


def test_an_image_gets_another_name(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    loopback.add("a", "1", ONE)
    done = saved(command, tmp_path / "y.tar", f"{loopback.host}/a@{ONE.digest}", "--name", "team/app:2", *PLATFORM)
    (item,) = document(tmp_path / "y.tar", "manifest.json")
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
        ("x:1", "--json"),
        ("x:1", "--if-changed"),
        ("x:1", "--realm-override", "a.example=https://b.example", "--realm-override", "a.example=https://c.example"),
    ],
    ids=" ".join,
)
def test_what_does_not_go_together_is_a_usage_error_of_save(command: Command, arguments: tuple[str, ...]) -> None:
    done = command("save", *arguments, *([] if "--if-changed" in arguments else ["-o", "y.tar"]))
    assert done.status == 2
    said, hint = done.err.splitlines()
    assert hint == "Try 'imgfetch save --help'"
    assert all(option in said for option in arguments if option.startswith("--"))


def test_a_login_is_not_for_a_base_elsewhere(command: Command) -> None:
    arguments = ("a.example/x", "--base", "b.example/y", "-u", "me", "--password-stdin")
    done = command("save", "-o", "y.tar", *arguments)
    assert done.status == 2
    assert "--username is for one registry, not for several: a.example, b.example" in done.err


# ---- what is there already ----


@pytest.mark.parametrize("cache", [(), ("--no-cache",)], ids=["cache", "no cache"])
@pytest.mark.parametrize(
    "options",
    [(), ("--layers", "plain"), ("--format", "oci"), ("--all-platforms",)],
    ids=lambda options: " ".join(options) or "docker",
)
def test_an_archive_that_is_right_is_left_alone_at_the_cost_of_one_request(
    loopback: Loopback, command: Command, tmp_path: Path, cache: tuple[str, ...], options: tuple[str, ...]
) -> None:
    reference = loopback.add("a", "1", MANY)
    target = tmp_path / "y.tar"
    arguments = (reference, "--if-changed", *(options if "--all-platforms" in options else (*options, *PLATFORM)))
    saved(command, target, *arguments, *cache)
    os.utime(target, (1, 1))
    before = target.stat()
    loopback.requests.clear()
    done = saved(command, target, *arguments, *cache)
    asked = ["/v2/a/manifests/1"]
    if cache and "plain" in options:  # the file does not have the registry's manifest
        asked.append(f"/v2/a/manifests/{AMD64_IMAGE.digest}")
    assert loopback.paths == asked
    assert (target.stat().st_mtime, target.stat().st_ino) == (1, before.st_ino)
    assert "left untouched" in done.err


@pytest.mark.parametrize("suffix", [".tar.gz", ".tar.zst"])
def test_so_is_a_compressed_one(loopback: Loopback, command: Command, tmp_path: Path, suffix: str) -> None:
    reference = loopback.add("a", "1", ONE)
    target = tmp_path / f"y{suffix}"
    saved(command, target, reference, "--if-changed", *PLATFORM)
    os.utime(target, (1, 1))
    saved(command, target, reference, "--if-changed", *PLATFORM)
    assert target.stat().st_mtime == 1


@pytest.mark.parametrize("change", ["tag", "byte", "truncated", "garbage behind", "other format", "no archive"])
def test_an_archive_that_is_not_right_is_written_anew(
    loopback: Loopback, command: Command, tmp_path: Path, change: str
) -> None:
    reference = loopback.add("a", "1", ONE)
    target = tmp_path / "y.tar"
    saved(command, target, reference, *PLATFORM)
    right = target.read_bytes()
    if change == "tag":
        loopback.add("a", "1", TWO)
    elif change == "byte":
        at = right.index(MIDDLE.content) + 20
        target.write_bytes(right[:at] + bytes([right[at] ^ 1]) + right[at + 1 :])
    elif change == "truncated":
        target.write_bytes(right[:-600])
    elif change == "garbage behind":
        target.write_bytes(right + b"x")
    elif change == "other format":
        saved(command, target, reference, "--format", "oci", *PLATFORM)
    else:
        target.write_bytes(b"something else")
    done = saved(command, target, reference, "--if-changed", *PLATFORM)
    assert "saved" in done.err
    assert (target.read_bytes() == right) == (change != "tag")
    check(target)


# ---- bases ----


@pytest.mark.parametrize("base_is_file", [True, False], ids=["file", "reference"])
def test_what_the_base_has_is_left_out_and_not_fetched(
    loopback: Loopback, command: Command, tmp_path: Path, *, base_is_file: bool
) -> None:
    one, two = loopback.add("a", "1", ONE), loopback.add("b", "1", TWO)
    saved(command, tmp_path / "base.tar", one, *PLATFORM, "--no-cache")
    loopback.requests.clear()
    base = tmp_path / "base.tar" if base_is_file else one
    saved(command, tmp_path / "y.tar", two, "--base", base, *PLATFORM, "--no-cache")
    found = members(tmp_path / "y.tar")
    assert blob(BASE) not in found
    assert blob(TOP) in found
    assert not [path for path in loopback.paths if BASE.digest in path]
    (item,) = document(tmp_path / "y.tar", "manifest.json")
    assert item["Layers"] == [blob(BASE), blob(TOP)]
    (entry,) = document(tmp_path / "y.tar", "index.json")["manifests"]
    assert entry["annotations"]["io.github.imgfetch.absent"] == BASE.digest
    result = verify(tmp_path / "y.tar")
    assert result.findings == ()
    assert any("leaves out 1 of 2 layers" in note and one in note for note in result.notes)


def test_a_layer_counts_as_held_only_on_top_of_the_same_layers(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    other = image(TOP, BASE)  # has both blobs, in another order
    base, two = loopback.add("a", "1", other), loopback.add("b", "1", TWO)
    saved(command, tmp_path / "y.tar", two, "--base", base, *PLATFORM)
    assert {blob(BASE), blob(TOP)} < set(members(tmp_path / "y.tar"))
    saved(command, tmp_path / "x.tar", two, "--base", base, *PLATFORM, "--format", "oci")
    assert not {blob(BASE), blob(TOP)} & set(members(tmp_path / "x.tar"))  # containerd goes by the blob


@pytest.mark.parametrize("base", [image(hello("arm64"), platform=ARM64), image(TOP)], ids=["platform", "layers"])
def test_a_base_that_is_of_no_use_gives_a_whole_archive_and_a_warning(
    loopback: Loopback, command: Command, tmp_path: Path, base: Built
) -> None:
    reference, held = loopback.add("a", "1", ONE), loopback.add("b", "1", base)
    saved(command, tmp_path / "whole.tar", reference, *PLATFORM)
    architecture = (base.platform or {})["architecture"]
    saved(command, tmp_path / "base.tar", held, "--platform", f"linux/{architecture}")
    done = saved(command, tmp_path / "y.tar", reference, "--base", tmp_path / "base.tar", *PLATFORM)
    assert "has no layers in common with" in done.err
    assert held in done.err
    assert (tmp_path / "y.tar").read_bytes() == (tmp_path / "whole.tar").read_bytes()


def test_layers_that_are_the_same_in_other_blobs_are_left_out_with_a_warning(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    raw = gzip.decompress(BASE.content)
    reference, held = loopback.add("a", "1", TWO), loopback.add("b", "1", image(layer(raw, OCI_TAR)))
    done = saved(command, tmp_path / "y.tar", reference, "--base", held, *PLATFORM)
    assert blob(BASE) not in members(tmp_path / "y.tar")
    assert "containerd does not" in done.err
    done = saved(command, tmp_path / "x.tar", reference, "--base", held, *PLATFORM, "--format", "oci")
    assert blob(BASE) in members(tmp_path / "x.tar")
    assert "has no layers in common" in done.err


def test_a_layer_that_is_needed_higher_up_is_not_left_out(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    base, wanted = loopback.add("a", "1", image(BASE)), loopback.add("b", "1", image(BASE, TOP, BASE))
    saved(command, tmp_path / "y.tar", wanted, "--base", base, *PLATFORM)
    assert blob(BASE) in members(tmp_path / "y.tar")


def test_an_image_that_the_base_has_not_needs_its_layers_all_the_same(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    base = loopback.add("a", "1", image(BASE))
    one, other = loopback.add("b", "1", TWO), loopback.add("c", "1", image(TOP, BASE))
    saved(command, tmp_path / "y.tar", one, other, "--base", base, *PLATFORM)
    assert blob(BASE) in members(tmp_path / "y.tar")
    check(tmp_path / "y.tar")


@pytest.mark.parametrize("content", [None, b"", b"no archive" * 100], ids=["missing", "empty", "no archive"])
def test_a_base_that_is_no_archive_is_told(
    loopback: Loopback, command: Command, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "base.tar").write_bytes(content)
    reference = loopback.add("a", "1", ONE)
    done = command("save", reference, "--base", tmp_path / "base.tar", "-o", tmp_path / "y.tar", *PLATFORM)
    assert done.status == (7 if content is None else 1)
    assert "base.tar" in done.err
    assert "Traceback" not in done.err


# ---- forecasts ----


def test_a_dry_run_says_to_the_byte_what_a_run_does(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    one, two = loopback.add("a", "1", ONE), loopback.add("b", "1", TWO)
    saved(command, tmp_path / "one.tar", one, *PLATFORM)
    loopback.requests.clear()
    done = command("save", two, "--dry-run", "--json", *PLATFORM)
    assert done.status == 0, done.err
    assert not [path for path in loopback.paths if TOP.digest in path]
    told = json.loads(done.out)
    states = {one["digest"]: one["state"] for one in told["blobs"]}
    assert states == {BASE.digest: "cached", TOP.digest: "fetched"}
    assert (told["bytes"], told["requests"]) == (len(TOP.content), 1)
    assert (told["cached"], told["left_out"]) == (len(BASE.content), 0)
    loopback.requests.clear()
    saved(command, tmp_path / "two.tar", two, *PLATFORM)
    assert len([path for path in loopback.paths if "/blobs/" in path]) == told["requests"]
    assert (tmp_path / "two.tar").stat().st_size == told["archive_size"]


def test_a_dry_run_is_readable_and_writes_nothing(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    reference = loopback.add("a", "1", TWO)
    done = command("save", reference, "--dry-run", "--base", loopback.add("b", "1", image(BASE)), *PLATFORM)
    assert reference in done.out
    assert f"left out   {BASE.digest}" in done.out
    assert f"fetched    {TOP.digest}" in done.out
    assert "in 1 request, 0 B cached, " in done.out
    assert "left out; size of the archive: " in done.out
    assert not (tmp_path / "y.tar").exists()


def test_a_dry_run_says_what_docker_hub_says_of_its_limit(loopback: Loopback, command: Command) -> None:
    reference = loopback.add("a", "1", ONE)
    answer = loopback.answers["/v2/a/manifests/1"]
    assert isinstance(answer, Answer)
    headers = {**answer.headers, "RateLimit-Remaining": "76;w=21600"}
    loopback.answers["/v2/a/manifests/1"] = Answer(answer.body, headers=headers)
    done = command("save", reference, "--dry-run", *PLATFORM)
    assert "reports 76 pulls left" in done.out
    assert json.loads(command("save", reference, "--dry-run", "--json", *PLATFORM).out)["pulls_left"] == {
        loopback.host: 76
    }


def test_the_size_of_an_archive_with_plain_layers_is_known_when_they_are_here(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    reference = loopback.add("a", "1", ONE)
    arguments = ("save", reference, "--dry-run", "--json", "--layers", "plain", *PLATFORM)
    assert json.loads(command(*arguments).out)["archive_size"] is None
    saved(command, tmp_path / "y.tar", reference, "--layers", "plain", *PLATFORM)
    assert json.loads(command(*arguments).out)["archive_size"] == (tmp_path / "y.tar").stat().st_size
