"""Names in an archive: each stands for one image, whoever reads it."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from imgfetch.archive.image_layout import NAME, REF_NAME
from imgfetch.archive.verify import verify
from imgfetch.errors import UnsupportedError
from tests.images import AMD64, ARM64, OCI_ZSTD, Blob, Built, attestation, hello, image, index, tar

GOOD, EVIL = image(hello("good")), image(hello("evil"))
FOREIGN = image(hello("foreign"), platform=ARM64)
FULL = "docker.io/library/app:1"
DIFFER = f"the name {FULL} is ambiguous: it refers to different images"


def path(what: Blob | Built) -> str:
    return f"blobs/sha256/{what.digest.removeprefix('sha256:')}"


def entry(built: Built, *, platform: Mapping[str, str] | None = None, **annotations: str) -> dict[str, Any]:
    names = {"name": NAME, "ref": REF_NAME}
    described = {**built.entry, "annotations": {names[key]: value for key, value in annotations.items()}}
    return {**described, "platform": platform} if platform else {k: v for k, v in described.items() if k != "platform"}


def item(built: Built, *names: str) -> dict[str, Any]:
    return {"Config": path(built.config), "RepoTags": list(names), "Layers": [path(layer) for layer in built.layers]}


def findings(
    directory: Path, entries: list[dict[str, Any]] | None, items: list[dict[str, Any]] | None, *more: Built
) -> tuple[str, ...]:
    """Return what is wrong with an archive of all images, and what `index.json` and `manifest.json` say of them."""
    members: dict[str, bytes] = {}
    if entries is not None:
        members["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
        members["index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    if items is not None:
        members["manifest.json"] = json.dumps(items).encode()
    for built in (GOOD, EVIL, FOREIGN, *more):
        members |= {path(built): built.raw, **{path(blob): blob.content for blob in built.blobs}}
        members |= {path(child): child.raw for child in built.children}
    target = directory / "y.tar"
    target.write_bytes(tar(members))
    return verify(target).findings


WIDE = image(Blob(b"\x28\xb5\x2f\xfd\x00" + bytes([(28 - 10) << 3]) + b"\x01\x00\x00", OCI_ZSTD, f"sha256:{'0' * 64}"))
"""Its layer wants a window of 256 MiB."""


def test_a_layer_that_only_imgfetch_cannot_read_is_no_finding_but_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        UnsupportedError, match=r"^cannot verify layer 1/1 of .*app:1: .* a window of more than 128 MiB"
    ):
        findings(tmp_path, [entry(WIDE, name=FULL)], None, WIDE)


def test_a_layer_that_imgfetch_cannot_read_is_told_among_the_findings(tmp_path: Path) -> None:
    found = findings(tmp_path, [entry(WIDE, name=FULL), entry(GOOD, name=FULL)], None, WIDE)
    assert found[0] == DIFFER
    assert "a window of more than 128 MiB" in found[1]


def test_a_layer_of_an_unknown_compression_is_a_finding(tmp_path: Path) -> None:
    odd = image(Blob(b"?" * 600, OCI_ZSTD, f"sha256:{'0' * 64}"))
    (finding,) = findings(tmp_path, [entry(odd, name=FULL)], None, odd)
    assert "cannot be loaded" in finding


SPELLINGS = [FULL, "app:1", "docker.io/app:1", "library/app:1", "index.docker.io/library/app:1"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_name_for_two_images_in_manifest_json_is_a_finding(tmp_path: Path, spelling: str) -> None:
    for items in ([item(GOOD, FULL), item(EVIL, spelling)], [item(EVIL, spelling), item(GOOD, "x:1", FULL)]):
        assert findings(tmp_path, None, items) == (DIFFER,)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_name_for_two_images_in_index_json_is_a_finding(tmp_path: Path, spelling: str) -> None:
    assert findings(tmp_path, [entry(GOOD, name=FULL), entry(EVIL, name=spelling)], None) == (DIFFER,)
    assert findings(tmp_path, [entry(GOOD, ref=spelling), entry(EVIL, name=FULL)], None) == (DIFFER,)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_name_for_two_images_across_the_descriptions_is_a_finding(tmp_path: Path, spelling: str) -> None:
    entries = [entry(GOOD, name=FULL), entry(EVIL, name="x:1")]
    assert findings(tmp_path, entries, [item(GOOD, "x:1"), item(EVIL, spelling)])[0] == DIFFER


@pytest.mark.parametrize("text", ["app", "app:latest", "docker.io/library/app"])
def test_a_name_without_a_tag_is_the_latest(tmp_path: Path, text: str) -> None:
    (finding,) = findings(tmp_path, [entry(GOOD, name=text), entry(EVIL, name="docker.io/library/app:latest")], None)
    assert finding == DIFFER.replace(":1", ":latest")


def test_a_bare_tag_for_two_images_is_a_finding(tmp_path: Path) -> None:
    assert "the name 1 is ambiguous" in findings(tmp_path, [entry(GOOD, ref="1"), entry(EVIL, ref="1")], None)[0]


def test_a_digest_behind_a_tag_makes_no_other_name(tmp_path: Path) -> None:
    entries = [entry(GOOD, name=FULL), entry(EVIL, name=f"{FULL}@{EVIL.digest}")]
    assert findings(tmp_path, entries, None) == (DIFFER,)


def test_a_name_with_another_digest_than_its_images_is_a_finding(tmp_path: Path) -> None:
    name, many = f"docker.io/library/app@{GOOD.digest}", index(GOOD, FOREIGN)
    (finding,) = findings(tmp_path, [entry(EVIL, name=name), entry(GOOD, name=name)], None)[:1]
    assert finding == f"the name {name} refers to an image with another digest, {EVIL.digest}"
    by_index = [entry(GOOD, name=f"app@{GOOD.digest}"), entry(GOOD, name=f"app@{many.digest}")]
    assert findings(tmp_path, by_index, None, many) == ()
    assert f"app@{many.digest} refers to" in findings(tmp_path, [entry(EVIL, name=f"app@{many.digest}")], None, many)[0]


@pytest.mark.parametrize("absent", ["config", "layer", "neither"])
@pytest.mark.parametrize("first", ["blobs/", "oci-layout"])
def test_what_docker_leaves_out_of_its_archives_has_a_note(tmp_path: Path, absent: str, first: str) -> None:
    layout = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    blobs = {"blobs/": b"", path(GOOD): GOOD.raw}
    blobs |= {path(blob): blob.content for blob in GOOD.blobs if blob != {"config": GOOD.config}.get(absent)}
    if absent == "layer":
        del blobs[path(GOOD.layers[0])]
    members = {**layout, **blobs} if first == "oci-layout" else {**blobs, **layout}
    members["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry(GOOD, name=FULL)]}).encode()
    members["manifest.json"] = json.dumps([item(GOOD, FULL)]).encode()
    (tmp_path / "y.tar").write_bytes(tar(members))
    found = verify(tmp_path / "y.tar")
    assert bool(found.findings) == (absent != "neither")
    told = any("docker 28 with its containerd image store" in note for note in found.notes)
    assert told == (absent != "neither" and first == "blobs/")


@pytest.mark.parametrize("first", ["blobs/", "oci-layout"])
def test_an_archive_that_begins_with_blobs_and_ends_early_has_a_note(tmp_path: Path, first: str) -> None:
    content = tar({first: b"", path(GOOD): GOOD.raw, path(GOOD.layers[0]): GOOD.layers[0].content})
    (tmp_path / "y.tar").write_bytes(content[:-1500])
    found = verify(tmp_path / "y.tar")
    assert found.findings
    assert any("export again with --local" in note for note in found.notes) == (first == "blobs/")


def test_entries_with_several_names_for_an_image_are_one_image(tmp_path: Path) -> None:
    entries = [entry(GOOD, name=FULL), entry(GOOD, name=f"app@{GOOD.digest}"), entry(EVIL, name="evil:1")]
    assert findings(tmp_path, entries, [item(GOOD, FULL), item(EVIL, "evil:1")]) == ()
    images = verify(tmp_path / "y.tar").images
    names = [(FULL, f"docker.io/library/app@{GOOD.digest}"), ("docker.io/library/evil:1",)]
    assert [image.names for image in images] == names


def test_one_name_for_two_platforms_without_an_index_is_a_finding(tmp_path: Path) -> None:
    assert findings(tmp_path, None, [item(GOOD, FULL), item(FOREIGN, FULL)]) == (DIFFER,)
    assert findings(tmp_path, [entry(GOOD, name=FULL), entry(FOREIGN, name=FULL)], None) == (DIFFER,)


def test_two_images_for_one_platform_in_an_index_with_a_name_are_a_finding(tmp_path: Path) -> None:
    both = index(GOOD, EVIL)
    assert findings(tmp_path, [entry(both, name=FULL)], None, both) == (DIFFER,)
    assert findings(tmp_path, [entry(both)], None, both) == ()


def test_one_name_may_stand_for_images_of_several_platforms(tmp_path: Path) -> None:
    every = index(GOOD, FOREIGN, attestation(GOOD))
    for items in (None, [item(GOOD, "app:1")], [item(FOREIGN, "app:1")]):
        assert findings(tmp_path, [entry(every, name=FULL, ref=FULL)], items, every, every.children[-1]) == ()
    entries = [entry(GOOD, platform=AMD64, ref="1"), entry(FOREIGN, platform=ARM64, ref="1")]
    assert findings(tmp_path, entries, None) == ()
    entries[1] = entry(EVIL, platform=AMD64, ref="1")
    assert "the name 1 is ambiguous" in findings(tmp_path, entries, None)[0]


def test_an_image_for_a_platform_is_one_though_it_calls_itself_an_attestation(tmp_path: Path) -> None:
    marked = {**EVIL.entry, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    every = index(EVIL, GOOD, entries=[marked, GOOD.entry])
    assert findings(tmp_path, [entry(every, name=FULL)], None, every) == (DIFFER,)


def test_variants_are_platforms_of_their_own_though_configs_do_not_tell(tmp_path: Path) -> None:
    entries = [GOOD.entry, {**EVIL.entry, "platform": {**AMD64, "variant": "v3"}}]
    every = index(GOOD, EVIL, entries=entries)
    assert findings(tmp_path, [entry(every, name=FULL)], None, every) == ()


def test_one_name_may_stand_twice_for_the_same_image(tmp_path: Path) -> None:
    assert findings(tmp_path, [entry(GOOD, name=FULL), entry(GOOD, name="app:1")], None) == ()
    assert findings(tmp_path, None, [item(GOOD, FULL), item(GOOD, "app:1", FULL)]) == ()
    assert findings(tmp_path, [entry(GOOD, name=FULL)], [item(GOOD, "app:1")]) == ()


def test_two_full_names_in_one_entry_are_a_finding(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, [entry(GOOD, name="docker.io/library/harmless:1", ref="app:1")], None)
    assert finding.startswith("entry 1 of index.json has two names, docker.io/library/harmless:1 and ")


@pytest.mark.parametrize("ref", ["1", "latest", "app:1", FULL, "team/app:1", "\u00e9:"])
def test_a_name_and_a_part_of_it_in_one_entry_are_one_name(tmp_path: Path, ref: str) -> None:
    name = "ghcr.io/team/app:1" if ref.startswith("team") else FULL
    assert findings(tmp_path, [entry(GOOD, name=name, ref=ref)], None) == ()


# ---- images that differ in their layers only ----


def recompressed(built: Built) -> Built:
    """Return an image with the same config, and other blobs for its layers."""
    layers = [
        Blob(gzip.compress(gzip.decompress(layer.content), 1, mtime=9), layer.media_type, layer.diff_id)
        for layer in built.layers
    ]
    return image(*layers)


AGAIN = recompressed(GOOD)


def test_two_images_with_one_config_and_different_layers_are_two_images(tmp_path: Path) -> None:
    assert AGAIN.config == GOOD.config
    assert AGAIN.digest != GOOD.digest
    entries = [entry(GOOD, name="a:1"), entry(AGAIN, name="b:1")]
    assert findings(tmp_path, entries, [item(GOOD, "a:1"), item(AGAIN, "b:1")], AGAIN) == ()
    assert findings(tmp_path, entries, [item(AGAIN, "b:1"), item(GOOD, "a:1")], AGAIN) == ()
    assert findings(tmp_path, None, [item(GOOD, "a:1"), item(AGAIN, "b:1")], AGAIN) == ()
    found = verify(tmp_path / "y.tar").images
    assert [one.names for one in found] == [("docker.io/library/a:1",), ("docker.io/library/b:1",)]


def test_layers_that_only_one_description_has_are_a_finding(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, [entry(GOOD, name="a:1")], [item(AGAIN, "b:1")], AGAIN)
    assert finding.startswith("manifest.json and index.json list different layers for ")
    (finding,) = findings(tmp_path, [entry(GOOD, name="a:1")], [item(EVIL, "b:1")])
    assert finding.startswith("index.json has no image with the config ")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("form", ["blobs/{0}/{1}", "{1}.json", "{0}:{1}"])
def test_a_config_is_hashed_by_the_algorithm_of_its_name(tmp_path: Path, algorithm: str, form: str) -> None:
    raw = GOOD.config.content
    digest = hashlib.new(algorithm, raw).hexdigest()
    one = {**item(GOOD, FULL), "Config": form.format(algorithm, digest)}
    members = {one["Config"]: raw, path(GOOD.layers[0]): GOOD.layers[0].content}
    (tmp_path / "y.tar").write_bytes(tar({**members, "manifest.json": json.dumps([one]).encode()}))
    verified = verify(tmp_path / "y.tar")
    assert verified.findings == ()
    assert str(verified.images[0].config_digest) == f"{algorithm}:{digest}"
    members[one["Config"]] = raw.replace(b"amd64", b"arm64")
    (tmp_path / "y.tar").write_bytes(tar({**members, "manifest.json": json.dumps([one]).encode()}))
    assert "is damaged" in verify(tmp_path / "y.tar").findings[0]


# ---- keys ----


@pytest.mark.parametrize(
    ("spelled", "key"),
    [
        ("config", "Config"),
        ("layerS", "Layers"),
        ("LAYERS", "Layers"),
        ("repotag\u017f", "RepoTags"),
        ("parent", "Parent"),
    ],
)
def test_two_spellings_of_a_key_of_manifest_json_are_a_finding(tmp_path: Path, spelled: str, key: str) -> None:
    both = {**item(GOOD, FULL), "Parent": ""}
    for one in ({**both, spelled: both[key]}, {spelled: both[key], **both}):
        (finding,) = findings(tmp_path, None, [one])
        assert finding.startswith("item 1 of manifest.json is ambiguous: readers disagree about the key ")
        assert spelled in finding


def test_a_key_of_manifest_json_in_another_case_is_read_as_go_reads_it(tmp_path: Path) -> None:
    for spelled in (str.lower, str.upper, str.swapcase):
        one = {spelled(key): value for key, value in item(GOOD, FULL).items()}
        assert findings(tmp_path, None, [one]) == ()
        assert [image.names for image in verify(tmp_path / "y.tar").images] == [(FULL,)]


@pytest.mark.parametrize("spelled", ["Manifests", "MANIFESTS", "manife\u017ft\u017f"])
def test_two_spellings_of_a_key_of_index_json_are_a_finding(tmp_path: Path, spelled: str) -> None:
    document = {"schemaVersion": 2, "manifests": [entry(GOOD, name=FULL)], spelled: [entry(EVIL, name=FULL)]}
    members = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(document).encode()}
    target = tmp_path / "y.tar"
    target.write_bytes(tar(members))
    (finding,) = verify(target).findings
    assert finding.startswith("index.json is ambiguous: readers disagree about the key ")


@pytest.mark.parametrize("spelled", ["Digest", "MediaType", "\u017fize", "Annotations", "Platform"])
def test_two_spellings_of_a_key_of_an_entry_are_a_finding(tmp_path: Path, spelled: str) -> None:
    one = {**entry(GOOD, name=FULL), spelled: EVIL.digest}
    (finding,) = findings(tmp_path, [one], None)
    assert finding.startswith("entry 1 of index.json is ambiguous: readers disagree about the key ")


def test_two_spellings_of_a_key_of_oci_layout_are_a_finding(tmp_path: Path) -> None:
    document = b'{"imageLayoutVersion":"1.0.0","ImageLayoutVersion":"2.0.0"}'
    (tmp_path / "y.tar").write_bytes(tar({"oci-layout": document, "index.json": b'{"manifests":[]}'}))
    (finding,) = verify(tmp_path / "y.tar").findings
    assert finding.startswith("oci-layout is ambiguous: readers disagree about the key 'ImageLayoutVersion'")
