"""Names in an archive: each stands for one image, whoever reads it."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from imgfetch.archive import read_docker, read_image_layout
from imgfetch.archive.image_layout import NAME, REF_NAME
from imgfetch.archive.verify import verify
from imgfetch.errors import UnsupportedError
from imgfetch.oci import config_demands
from imgfetch.oci.config import Config
from imgfetch.oci.digest import Digest
from imgfetch.oci.mediatypes import OCI_MANIFEST
from tests.images import AMD64, ARM64, OCI_ZSTD, Blob, Built, attestation, hello, image, index, tar

GOOD, EVIL = image(hello("good")), image(hello("evil"))
FOREIGN = image(hello("foreign"), platform=ARM64)
HELM = image(hello("helm"), config_type="application/vnd.cncf.helm.config.v1+json")
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


def test_an_image_without_a_name_that_only_index_json_has_is_a_finding(tmp_path: Path) -> None:
    for listed in (EVIL, index(EVIL)):
        entries = [entry(GOOD, name=FULL), entry(listed)]
        (finding,) = findings(tmp_path, entries, [item(GOOD, FULL)], listed)
        assert finding == f"manifest.json has no image of {listed.digest}, which index.json has"
        assert findings(tmp_path, entries, [item(GOOD, FULL), item(EVIL)], listed) == ()


def test_one_name_for_an_artifact_and_an_image_is_a_finding(tmp_path: Path) -> None:
    for target in (HELM, index(HELM)):
        entries = [entry(GOOD), entry(target, name=FULL)]
        assert DIFFER in findings(tmp_path, entries, [item(GOOD, FULL)], target, HELM)
        assert findings(tmp_path, entries, [item(GOOD)], target, HELM) == ()


@pytest.mark.parametrize("text", ["app", "app:latest", "docker.io/library/app"])
def test_a_name_without_a_tag_is_the_latest(tmp_path: Path, text: str) -> None:
    (finding,) = findings(tmp_path, [entry(GOOD, name=text), entry(EVIL, name="docker.io/library/app:latest")], None)
    assert finding == DIFFER.replace(":1", ":latest")


def test_a_bare_tag_for_two_images_is_a_finding(tmp_path: Path) -> None:
    assert "the name 1 is ambiguous" in findings(tmp_path, [entry(GOOD, ref="1"), entry(EVIL, ref="1")], None)[0]


def test_a_bare_tag_beside_a_name_with_that_tag_is_a_finding(tmp_path: Path) -> None:
    entries = [entry(GOOD, name=FULL, ref="1"), entry(EVIL, ref="1")]
    assert findings(tmp_path, entries, None) == ("the name 1 is ambiguous: it refers to different images",)
    assert findings(tmp_path, [entries[0], entry(EVIL, name="x:1", ref="1")], None) == ()


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


def test_one_name_for_two_entries_is_a_finding_though_they_are_for_two_platforms(tmp_path: Path) -> None:
    entries = [entry(GOOD, platform=AMD64, ref="1"), entry(FOREIGN, platform=ARM64, ref="1")]
    assert "the name 1 is ambiguous" in findings(tmp_path, entries, None)[0]
    assert findings(tmp_path, [entry(GOOD, platform=AMD64, ref="1"), entry(FOREIGN, platform=ARM64)], None) == ()


def test_an_entry_for_another_platform_than_its_image_is_a_finding(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, [entry(GOOD, platform=ARM64, ref="1")], None)
    assert finding == "entry 1 of index.json is for linux/arm64, but its image is for linux/amd64"


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


@pytest.mark.parametrize("ref", ["1", "app:1", FULL, "index.docker.io/library/app:1"])
def test_a_name_and_its_tag_in_one_entry_are_one_name(tmp_path: Path, ref: str) -> None:
    assert findings(tmp_path, [entry(GOOD, name=FULL, ref=ref)], None) == ()


@pytest.mark.parametrize("ref", ["latest", "2", "team/app:1", "library/app", "1 ", "\u00e9:", f"1@{EVIL.digest}"])
def test_another_name_or_tag_in_one_entry_is_a_finding(tmp_path: Path, ref: str) -> None:
    (finding,) = findings(tmp_path, [entry(GOOD, name=FULL, ref=ref)], None)
    assert f"has two names, {FULL} and {ref}; " in finding


def test_a_name_that_is_no_reference_is_a_finding(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, [entry(GOOD, name="APP:1")], None)
    assert finding == "entry 1 of index.json has the name 'APP:1', which is malformed"


def test_blobs_without_an_image_are_a_finding(tmp_path: Path) -> None:
    assert findings(tmp_path, [], None) == ("the archive has blobs or layers, but lists no image",)


def test_a_manifest_that_is_damaged_is_a_finding(tmp_path: Path) -> None:
    findings(tmp_path, [entry(GOOD, name=FULL)], None)
    (finding, *_) = with_members(tmp_path / "y.tar", {path(GOOD): GOOD.raw.replace(b"layers", b"Layers")})
    assert finding.startswith(f"{path(GOOD)} is damaged")


@pytest.mark.parametrize("behind", [b"x", bytes(20)])
def test_a_layer_with_data_behind_it_is_a_finding(tmp_path: Path, behind: bytes) -> None:
    layer = GOOD.layers[0]
    odd = image(Blob(layer.content + behind, layer.media_type, layer.diff_id))
    (finding,) = findings(tmp_path, [entry(odd, name=FULL)], None, odd)
    assert "is refused by some readers: " in finding


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


def test_a_config_of_several_images_is_examined_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = image(hello("odd"), config={"created": ""})
    twin = image(*recompressed(odd).layers, config={"created": ""})
    examined: list[Config] = []
    faults = config_demands.faults
    monkeypatch.setattr(config_demands, "faults", lambda config, raw: examined.append(config) or faults(config, raw))
    assert findings(tmp_path, None, [item(odd, "app:1"), item(twin, "app:2")], odd, twin) == ()
    assert len(examined) == 1
    (note,) = (note for note in verify(tmp_path / "y.tar").notes if "created" in note)
    assert note.startswith("the config of docker.io/library/app:1, docker.io/library/app:2 has a malformed 'created'")


def test_layers_that_only_one_description_has_are_a_finding(tmp_path: Path) -> None:
    one, *_ = findings(tmp_path, [entry(GOOD, name="a:1")], [item(AGAIN, "a:1")], AGAIN)
    assert one.startswith("manifest.json and index.json list different layers for ")
    one, other, *_ = findings(tmp_path, [entry(GOOD, name="a:1")], [item(EVIL, "a:1")])
    assert one.startswith("index.json has no image with the config ")
    assert other == "manifest.json has no image of docker.io/library/a:1, which index.json has"


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


# ---- one content for all readers ----


def with_members(path: Path, members: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return what is wrong with the archive of `findings` after these members were added or replaced."""
    with tarfile.open(path) as archive:
        files = {each.name: archive.extractfile(each).read() for each in archive if each.isfile()}  # type: ignore[union-attr]
    path.write_bytes(tar({**files, **members}))
    return verify(path).findings


ODD_MEMBERS = [
    "x",
    "x/manifest.json",
    "MANIFEST.JSON",
    "manifest.json.bak",
    "blobs/VERSION",
    f"blobs/md5/{'0' * 32}",
    f"{'0' * 64}/json",
    f"{'0' * 64}/layer.tar",
]


@pytest.mark.parametrize("name", ODD_MEMBERS)
def test_a_member_that_no_description_accounts_for_is_a_finding(tmp_path: Path, name: str) -> None:
    findings(tmp_path, [entry(GOOD, name=FULL)], [item(GOOD, "app:1")])
    assert with_members(tmp_path / "y.tar", {name: b"{}"}) == (f"{name} belongs to no image in the archive",)


@pytest.mark.parametrize("name", ["blobs", "blobs/sha256"])
def test_a_file_in_the_place_of_a_directory_is_a_finding(tmp_path: Path, name: str) -> None:
    findings(tmp_path, [entry(GOOD, name=FULL)], None)
    assert with_members(tmp_path / "y.tar", {name: b"{}"})[0] == f"{name} belongs to no image in the archive"


def test_a_blob_that_nothing_refers_to_has_a_note(tmp_path: Path) -> None:
    assert findings(tmp_path, [entry(GOOD, name=FULL)], None) == ()
    (note,) = [note for note in verify(tmp_path / "y.tar").notes if note.startswith("no image refers to")]
    assert note.endswith(" more")


@pytest.mark.parametrize("missing", ["oci-layout", "index.json"])
def test_half_a_layout_is_a_finding(tmp_path: Path, missing: str) -> None:
    findings(tmp_path, [entry(GOOD, name=FULL)], [item(GOOD, "app:1")])
    with tarfile.open(tmp_path / "y.tar") as archive:
        files = {each.name: archive.extractfile(each).read() for each in archive if each.name != missing}  # type: ignore[union-attr]
    (tmp_path / "y.tar").write_bytes(tar(files))
    assert any(f"but no {missing}" in finding for finding in verify(tmp_path / "y.tar").findings)


LAYOUT_VERSIONS = [
    "{}",
    '{"imageLayoutVersion":"2.0.0"}',
    '{"imageLayoutVersion":1}',
    '{"imageLayoutVersion":"1.0.0 "}',
]


@pytest.mark.parametrize("document", LAYOUT_VERSIONS)
def test_another_version_of_the_layout_is_a_finding(tmp_path: Path, document: str) -> None:
    findings(tmp_path, [entry(GOOD, name=FULL)], None)
    (finding,) = with_members(tmp_path / "y.tar", {"oci-layout": document.encode()})
    assert finding.startswith("oci-layout has the version ")


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("oci-layout", {"imageLayoutVersion": "1.0.0", "x": 1}),
        ("index.json", {"schemaVersion": 2, "manifests": [entry(GOOD, name=FULL)], "config": {}}),
        ("index.json", {"schemaVersion": 2, "manifests": [{**entry(GOOD, name=FULL), "data": "e30="}]}),
        ("manifest.json", [{**item(GOOD, "app:1"), "x": 1}]),
    ],
)
def test_a_key_that_no_writer_writes_is_a_finding(tmp_path: Path, name: str, document: object) -> None:
    findings(tmp_path, [entry(GOOD, name=FULL)], [item(GOOD, "app:1")])
    (finding,) = with_members(tmp_path / "y.tar", {name: json.dumps(document).encode()})
    assert finding.endswith(", which is not known")


@pytest.mark.parametrize("odd", [{"schemaVersion": 1}, {"schemaVersion": 2, "mediaType": OCI_ZSTD}])
def test_an_index_of_another_kind_is_a_finding(tmp_path: Path, odd: Mapping[str, Any]) -> None:
    findings(tmp_path, [entry(GOOD, name=FULL)], None)
    raw = json.dumps({**odd, "manifests": [entry(GOOD, name=FULL)]}).encode()
    (finding,) = with_members(tmp_path / "y.tar", {"index.json": raw})
    assert finding == "index.json has another version or media type than an image index"


@pytest.mark.parametrize("media_type", ["", "text/plain", "APPLICATION/vnd.oci.image.manifest.v1+json", None])
def test_an_entry_of_another_media_type_is_a_finding(tmp_path: Path, media_type: str | None) -> None:
    one = {**entry(GOOD, name=FULL), "mediaType": media_type}
    assert findings(tmp_path, [one], None)[0].startswith("entry 1 of index.json has the media type ")


def test_two_manifests_with_one_config_under_one_name_are_a_finding(tmp_path: Path) -> None:
    assert findings(tmp_path, [entry(GOOD, name=FULL), entry(AGAIN, name=FULL)], None, AGAIN) == (DIFFER,)


def test_a_short_name_beside_one_of_localhost_is_a_finding(tmp_path: Path) -> None:
    differ = "the name localhost/app:1 is ambiguous: it refers to different images"
    assert findings(tmp_path, None, [item(GOOD, "app:1"), item(EVIL, "localhost/app:1")]) == (differ,)
    for names in (("app:1", "docker.io/app:1"), ("docker.io/app:1", "app:1")):
        assert findings(tmp_path, None, [item(EVIL, "localhost/app:1"), item(GOOD, *names)]) == (differ,)
    assert findings(tmp_path, None, [item(GOOD, "docker.io/app:1"), item(EVIL, "localhost/app:1")]) == ()


def test_a_name_that_only_one_description_has_is_a_finding(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, [entry(GOOD, name=FULL)], [item(GOOD, "app:1", "app:2")])
    assert finding == "manifest.json has the name docker.io/library/app:2, which index.json does not have"
    (finding,) = findings(tmp_path, [entry(GOOD, name=FULL), entry(GOOD, name="app:2")], [item(GOOD, "app:1")])
    assert finding == "index.json has the name docker.io/library/app:2, which manifest.json does not have"
    assert findings(tmp_path, [entry(GOOD, name=FULL)], [item(GOOD)]) == ()  # ctr writes it so


def test_one_side_without_images_is_a_finding(tmp_path: Path) -> None:
    found = findings(tmp_path, [entry(GOOD, name=FULL)], [])
    assert "manifest.json has no images, but index.json has" in found
    finding, *_ = findings(tmp_path, [], [item(GOOD, "app:1")])
    assert finding.startswith("index.json has no image with the config ")


@pytest.mark.parametrize("name", ["app", "docker.io/library/app"])
def test_a_repo_tag_without_a_tag_is_a_finding(tmp_path: Path, name: str) -> None:
    (finding,) = findings(tmp_path, None, [item(GOOD, name)])
    assert finding.endswith("has the name docker.io/library/app without a tag, which docker load rejects")


@pytest.mark.parametrize("key", ["Layers", "RepoTags"])
@pytest.mark.parametrize("value", [[None], [5], "x", {"a": "b"}])
def test_lists_of_strings_are_nothing_else(tmp_path: Path, key: str, value: object) -> None:
    assert (
        f"{key!r} of item 1 of manifest.json is malformed" in findings(tmp_path, None, [{**item(GOOD), key: value}])[0]
    )


def test_repositories_that_differ_from_manifest_json_are_a_finding(tmp_path: Path) -> None:
    top = GOOD.layers[0].diff_id.removeprefix("sha256:")
    for document, said in (
        ({"app": {"1": top}}, ""),
        ({}, ""),
        ({"app": {"2": top}}, "has the name docker.io/library/app:2"),
        ({"app": {"1": "0" * 64}}, "have different images"),
        ({"app": {"1": ["0"]}}, "have different images"),
        ({"APP": {"1": top}}, "has an invalid name"),
        ({"app": []}, "is malformed"),
        ([], "is malformed"),
    ):
        findings(tmp_path, None, [item(GOOD, "app:1")])
        found = with_members(tmp_path / "y.tar", {"repositories": json.dumps(document).encode()})
        assert len(found) == bool(said)
        assert said in "".join(found)


def test_a_source_of_a_layer_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    source = {"mediaType": OCI_ZSTD, "digest": GOOD.layers[0].digest, "size": 1}
    for layer, is_good in ((GOOD.layers[0].diff_id, True), (EVIL.layers[0].diff_id, False)):
        one = {**item(GOOD, "app:1"), "LayerSources": {layer: source}, "Parent": EVIL.config.digest}
        assert bool(findings(tmp_path, None, [one])) != is_good


@pytest.mark.parametrize("odd", [{"size": 1.5}, {"digest": 5}, {"mediaType": {}}, []])
def test_a_source_of_a_layer_that_is_no_descriptor_is_a_finding(tmp_path: Path, odd: Any) -> None:
    source = {"mediaType": OCI_ZSTD, "digest": GOOD.layers[0].digest, "size": 1, **odd} if odd else odd
    sources = {GOOD.layers[0].diff_id: source}
    assert "a source of a layer" in findings(tmp_path, None, [{**item(GOOD, "app:1"), "LayerSources": sources}])[0]


@pytest.mark.parametrize("suffix", ["; x=y", "+gzip", " "])
def test_another_spelling_of_a_configs_media_type_is_a_finding(tmp_path: Path, suffix: str) -> None:
    raw = GOOD.raw.replace(b"image.config.v1+json", b"image.config.v1+json" + suffix.encode())
    odd = replace(GOOD, raw=raw)
    assert findings(tmp_path, [entry(odd, name="x:1")], None, odd) != ()


@pytest.mark.parametrize(
    "spelling", [OCI_MANIFEST.upper(), f"{OCI_MANIFEST}; x=y", f" {OCI_MANIFEST}"], ids=["case", "parameter", "space"]
)
def test_another_spelling_of_a_manifests_media_type_is_a_finding(tmp_path: Path, spelling: str) -> None:
    of_itself = replace(GOOD, raw=GOOD.raw.replace(OCI_MANIFEST.encode(), spelling.encode()))
    of_child = index(GOOD, entries=[{**GOOD.entry, "mediaType": spelling}])
    for odd in (of_itself, of_child):
        (finding,) = findings(tmp_path, [entry(odd, name="x:1")], None, odd)
        assert "which some readers do not know" in finding


@pytest.mark.parametrize("built", [GOOD, image(hello("docker"), docker=True)], ids=["OCI", "docker"])
@pytest.mark.parametrize("key", ["layers", "config"])
def test_a_manifest_of_neither_an_image_nor_an_artifact_is_a_finding(tmp_path: Path, key: str, built: Built) -> None:
    odd = replace(built, raw=built.raw.replace(f'"{key}"'.encode(), b'"other"'))
    found = findings(tmp_path, [entry(odd, name="x:1")], None, odd)
    assert found[0].startswith(f"the manifest {odd.digest} is not a valid image: ")


def test_an_index_with_another_image_is_not_the_image(tmp_path: Path) -> None:
    both = index(GOOD, FOREIGN)
    assert findings(tmp_path, [entry(both, name=FULL)], None, both) == ()
    target = tmp_path / "y.tar"
    assert verify(target, f"{FULL}@{both.digest}").findings == ()
    for name in (f"{FULL}@{GOOD.digest}", f"docker.io/library/app@{GOOD.digest}"):
        (finding,) = verify(target, name).findings
        assert finding.startswith(f"{FULL} is an index with other content than {GOOD.digest}, ")
        assert finding.endswith(f"which imgfetch digest {FULL} prints")


ATTESTED = {"vnd.docker.reference.type": "attestation-manifest"}
UNKNOWN = {"architecture": "unknown", "os": "unknown"}


@pytest.mark.parametrize(
    ("child", "extra"),
    [(EVIL, {"annotations": ATTESTED, "platform": None}), (HELM, {}), (HELM, {"platform": None})],
)
def test_an_index_with_content_that_only_readers_take_for_an_image_is_not_the_image(
    tmp_path: Path, child: Built, extra: Mapping[str, Any]
) -> None:
    listed = {key: value for key, value in {**child.entry, **extra}.items() if value}
    both = index(GOOD, child, entries=[listed, GOOD.entry])
    assert findings(tmp_path, [entry(both, name=FULL)], None, both, HELM) == ()
    (finding,) = verify(tmp_path / "y.tar", f"{FULL}@{GOOD.digest}").findings
    assert finding.startswith(f"{FULL} is an index with other content than {GOOD.digest}, ")
    assert verify(tmp_path / "y.tar", f"{FULL}@{both.digest}").findings == ()


def test_an_index_with_content_that_a_reader_may_have_already_is_not_the_image(tmp_path: Path) -> None:
    absent = image(hello("absent"))
    both = index(GOOD, entries=[absent.entry, GOOD.entry])
    assert findings(tmp_path, [entry(both, name=FULL)], None, both) == ()
    assert len(verify(tmp_path / "y.tar", f"{FULL}@{GOOD.digest}").findings) == 1
    assert verify(tmp_path / "y.tar", f"{FULL}@{both.digest}").findings == ()


def test_an_index_with_an_attestation_for_no_machine_is_the_image(tmp_path: Path) -> None:
    for children in ((GOOD, attestation(GOOD)), (GOOD,)):
        both = index(*children, entries=[{**attestation(GOOD).entry, "platform": UNKNOWN}, GOOD.entry])
        findings(tmp_path, [entry(both, name=FULL)], None, both, *children)
        assert verify(tmp_path / "y.tar", f"{FULL}@{GOOD.digest}").findings == ()


def test_a_config_or_manifest_that_is_no_document_is_called_so(tmp_path: Path) -> None:
    layer = path(GOOD.layers[0])
    one = {**item(GOOD, FULL), "Config": layer}
    assert f"item 1 of manifest.json has the config {layer!r}, which is not a JSON document" in findings(
        tmp_path, None, [one]
    )
    listed = {**entry(GOOD, ref="1"), "digest": GOOD.layers[0].digest}
    assert f"the manifest {GOOD.layers[0].digest} is not a JSON document" in findings(tmp_path, [listed], None)


def test_two_sizes_of_one_manifest_are_a_finding(tmp_path: Path) -> None:
    other = {**entry(GOOD, name="app:2"), "size": len(GOOD.raw) + 1}
    (finding,) = findings(tmp_path, [entry(GOOD, name=FULL), other], None)
    sizes = f"{len(GOOD.raw)} and {len(GOOD.raw) + 1} bytes"
    assert finding == f"the manifest {GOOD.digest} is listed with two sizes, {sizes}"


def test_an_index_without_any_of_its_manifests_is_a_finding_though_it_lists_one_twice(tmp_path: Path) -> None:
    absent = index(image(hello("absent")), entries=[image(hello("absent")).entry] * 2)
    (finding,) = findings(
        tmp_path, [entry(GOOD, name=FULL), entry(absent, name="app:2")], None, replace(absent, children=(), blobs=())
    )
    assert finding == f"no part of the image {absent.digest} is in the archive"


def test_there_is_an_end_to_the_indexes_above_an_image(tmp_path: Path) -> None:
    several = [index(GOOD, annotations={"number": str(number)}) for number in range(70)]
    assert findings(tmp_path, [entry(GOOD, ref="1"), entry(GOOD, ref="2")], None, *several) == ()
    (found,) = (found for found in verify(tmp_path / "y.tar").images if found.names)
    assert len(found.indexes) == 64


def test_there_is_an_end_to_the_manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_image_layout, "_MAX_VISITS", 3)
    entries = [entry(GOOD, name=f"app:{number}") for number in range(4)]
    assert "index.json leads to more than 3 manifests" in findings(tmp_path, entries, None)
    assert findings(tmp_path, entries[:3], None) == ()


@pytest.mark.parametrize("reader", [read_image_layout, read_docker])
def test_there_is_an_end_to_the_layers_of_all_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: ModuleType
) -> None:
    monkeypatch.setattr(reader, "MAX_ALL_LAYERS", 1)
    is_docker = reader is read_docker
    entries, items = [entry(GOOD, name="a:1"), entry(EVIL, name="b:1")], [item(GOOD, "a:1"), item(EVIL, "b:1")]
    found = findings(tmp_path, *((None, items) if is_docker else (entries, None)))
    assert f"{'manifest' if is_docker else 'index'}.json lists more than 1 layers" in found


def test_there_is_an_end_to_the_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgfetch.archive.verify._MAX_SENTENCES", 3)
    found = findings(tmp_path, None, [item(GOOD, *(f"A:{number}" for number in range(9)))])
    assert len(found) == 4
    assert found[-1] == "there are more, which are not listed"


def test_a_config_of_many_items_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[bytes] = []
    real = Digest.of

    def of(content: bytes, algorithm: str = "sha256") -> Digest:
        hashed.append(content)
        return real(content, algorithm)

    monkeypatch.setattr(Digest, "of", of)
    findings(tmp_path, None, [item(GOOD, "a:1"), item(GOOD, "a:2"), item(GOOD, "a:3")])
    assert hashed.count(GOOD.config.content) <= 2  # as a member, and as a config


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
    finding = findings(tmp_path, [one], None)[-1]
    assert finding.startswith("entry 1 of index.json is ambiguous: readers disagree about the key ")


def test_two_spellings_of_a_key_of_oci_layout_are_a_finding(tmp_path: Path) -> None:
    document = b'{"imageLayoutVersion":"1.0.0","ImageLayoutVersion":"2.0.0"}'
    (tmp_path / "y.tar").write_bytes(tar({"oci-layout": document, "index.json": b'{"manifests":[]}'}))
    (finding,) = verify(tmp_path / "y.tar").findings
    assert finding.startswith("oci-layout is ambiguous: readers disagree about the key 'ImageLayoutVersion'")
