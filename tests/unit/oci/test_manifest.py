from __future__ import annotations

import base64
import json
import logging
from typing import Any

import pytest

from imgfetch.errors import UnsupportedError, VerificationError
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Index, Manifest, parse_document
from imgfetch.oci.mediatypes import DOCKER_CONFIG, DOCKER_LIST, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from imgfetch.oci.platforms import Platform
from imgfetch.tolerance import Tolerance
from tests.images import DOCKER_GZIP, OCI_GZIP, Built, attestation, hello, image, index

SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"
HELM = "application/vnd.cncf.helm.config.v1+json"
WASM = "application/vnd.wasm.config.v0+json"
EMPTY = "application/vnd.oci.empty.v1+json"

HASH = "0123456789abcdef" * 4
SHA256 = f"sha256:{HASH}"
SHA512 = f"sha512:{HASH * 2}"

DESCRIPTOR = {"mediaType": OCI_GZIP, "digest": SHA256, "size": 7}

CONFIG_DESCRIPTOR = {"mediaType": OCI_CONFIG, "digest": f"sha256:{'c' * 64}", "size": 9}

BARE_MANIFEST: dict[str, Any] = {"schemaVersion": 2, "config": CONFIG_DESCRIPTOR, "layers": []}
BARE_INDEX: dict[str, Any] = {"schemaVersion": 2, "manifests": []}
BARE_SCHEMA1 = {"schemaVersion": 1, "name": "x", "tag": "1", "fsLayers": [{"blobSum": SHA256}], "history": []}


def parse(
    document: object, content_type: str = "", parent: str = "", *, strict: bool = False, pinned: bool = False
) -> Index | Manifest:
    """Parse a document, which may be bytes, sent as ``content_type`` and pointed at as ``parent``."""
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    descriptor = Descriptor(parent, Digest.of(raw), len(raw))
    tolerance = Tolerance(strict=strict)
    return parse_document(Document(raw, content_type), descriptor, "the manifest of x", tolerance, pinned=pinned)


def parse_all(document: object) -> Index | Manifest:
    """Parse a document of which everything must be readable, the entries of an index too."""
    found = parse(document)
    if isinstance(found, Index) and found.unreadable:
        raise found.unreadable[0].error
    return found


def built_manifest(built: Built) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(built.raw)
    return members


@pytest.mark.parametrize("docker", [False, True], ids=["OCI", "docker"])
def test_an_image_manifest_is_read(*, docker: bool) -> None:
    base, top = hello("base"), hello("top", DOCKER_GZIP)
    built = image(base, top, base, docker=docker)
    manifest = parse(built.raw, built.media_type)
    assert isinstance(manifest, Manifest)
    assert manifest.descriptor == Descriptor(built.media_type, Digest.parse(built.digest), len(built.raw))
    assert manifest.config.media_type == (DOCKER_CONFIG if docker else OCI_CONFIG)
    assert str(manifest.config.digest) == built.config.digest
    assert [(str(layer.digest), layer.size, layer.media_type) for layer in manifest.layers] == [
        (blob.digest, len(blob.content), blob.media_type) for blob in (base, top, base)
    ]


@pytest.mark.parametrize("docker", [False, True], ids=["OCI", "docker"])
def test_an_index_is_read_in_its_order(*, docker: bool) -> None:
    first = image(hello("a"), docker=docker)
    second = image(hello("b"), docker=docker, platform={"os": "linux", "architecture": "arm", "variant": "v6"})
    built = index(first, second, attestation(first), docker=docker)
    found = parse(built.raw, built.media_type)
    assert isinstance(found, Index)
    assert found.descriptor.media_type == (DOCKER_LIST if docker else OCI_INDEX)
    assert [str(entry.digest) for entry in found.manifests[:2]] == [first.digest, second.digest]
    assert [entry.platform for entry in found.manifests] == [
        Platform("linux", "amd64"),
        Platform("linux", "arm", "v6"),
        Platform("unknown", "unknown"),
    ]
    assert [entry.is_attestation for entry in found.manifests] == [False, False, True]


@pytest.mark.parametrize(
    ("parent", "own", "content_type", "body", "media_type"),
    [
        pytest.param(DOCKER_MANIFEST, None, OCI_MANIFEST, BARE_MANIFEST, DOCKER_MANIFEST, id="1 parent"),
        pytest.param(OCI_MANIFEST, OCI_MANIFEST, "", BARE_MANIFEST, OCI_MANIFEST, id="1 parent and own"),
        pytest.param("", DOCKER_MANIFEST, DOCKER_MANIFEST, BARE_MANIFEST, DOCKER_MANIFEST, id="2 own"),
        pytest.param("", OCI_MANIFEST.upper(), "", BARE_MANIFEST, OCI_MANIFEST, id="2 own, in capitals"),
        pytest.param("", None, DOCKER_MANIFEST, BARE_MANIFEST, OCI_MANIFEST, id="header does not decide"),
        pytest.param("", "", DOCKER_MANIFEST, BARE_MANIFEST, OCI_MANIFEST, id="header does not decide, own is empty"),
        pytest.param("", None, DOCKER_LIST, BARE_INDEX, OCI_INDEX, id="header of an index does not decide"),
        pytest.param("", None, "", BARE_MANIFEST, OCI_MANIFEST, id="4 shape of a manifest"),
        pytest.param("", None, "", BARE_INDEX, OCI_INDEX, id="4 shape of an index"),
        pytest.param("", None, "application/json", BARE_MANIFEST, OCI_MANIFEST, id="4 shape, header unknown"),
        pytest.param("", DOCKER_MANIFEST, "application/json", BARE_MANIFEST, DOCKER_MANIFEST, id="JSON"),
        pytest.param("", DOCKER_MANIFEST, "text/plain", BARE_MANIFEST, DOCKER_MANIFEST, id="plain text"),
        pytest.param("", DOCKER_MANIFEST, "text/html; charset=utf-8", BARE_MANIFEST, DOCKER_MANIFEST, id="HTML"),
        pytest.param("", DOCKER_LIST, "application/octet-stream", BARE_INDEX, DOCKER_LIST, id="octet stream"),
        pytest.param("", DOCKER_MANIFEST, "", BARE_MANIFEST, DOCKER_MANIFEST, id="none"),
    ],
)
def test_the_media_type_has_four_sources(
    parent: str, own: str | None, content_type: str, body: dict[str, Any], media_type: str
) -> None:
    document = body if own is None else {**body, "mediaType": own}
    assert parse(document, content_type, parent, strict=True).descriptor.media_type == media_type


def test_two_known_types_that_differ_are_refused_for_a_tag() -> None:
    document = {**BARE_MANIFEST, "mediaType": OCI_MANIFEST}
    with pytest.raises(VerificationError) as caught:
        parse(document, DOCKER_MANIFEST)
    assert str(caught.value) == (
        "the manifest of x is ambiguous: its type is application/vnd.oci.image.manifest.v1+json, "
        "but it was sent as application/vnd.docker.distribution.manifest.v2+json"
    )


def test_two_known_types_that_differ_are_a_warning_under_a_digest(caplog: pytest.LogCaptureFixture) -> None:
    document = {**BARE_MANIFEST, "mediaType": OCI_MANIFEST}
    manifest = parse(document, DOCKER_MANIFEST, OCI_MANIFEST, pinned=True)
    assert manifest.descriptor.media_type == OCI_MANIFEST
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    with pytest.raises(VerificationError, match="is ambiguous"):
        parse(document, DOCKER_MANIFEST, OCI_MANIFEST, pinned=True, strict=True)


def test_a_parent_that_calls_a_document_something_else_is_refused() -> None:
    # containerd refuses it
    with pytest.raises(VerificationError, match=r"is ambiguous: its type is .* but the index lists it as "):
        parse({**BARE_MANIFEST, "mediaType": OCI_MANIFEST}, "", DOCKER_MANIFEST, pinned=True)


@pytest.mark.parametrize(
    ("document", "content_type", "parent"),
    [
        pytest.param({**BARE_MANIFEST, "mediaType": OCI_INDEX}, "", "", id="manifest calls itself an index"),
        pytest.param({**BARE_INDEX, "mediaType": OCI_MANIFEST}, "", "", id="index calls itself a manifest"),
        pytest.param(BARE_INDEX, DOCKER_MANIFEST, "", id="index sent as a manifest"),
        pytest.param(BARE_MANIFEST, "", DOCKER_LIST, id="manifest pointed at as an index"),
    ],
)
def test_a_type_that_its_content_belies_is_refused(document: object, content_type: str, parent: str) -> None:
    # CVE-2021-41190
    with pytest.raises(VerificationError, match=r"^the manifest of x is ambiguous: its type is "):
        parse(document, content_type, parent)


def test_an_unknown_type_is_refused_and_named() -> None:
    with pytest.raises(
        VerificationError, match=r"^the manifest of x has the unknown media type 'application/x-"
    ) as caught:
        parse({**BARE_MANIFEST, "mediaType": "application/x-\x1b[2J"})
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"config": DESCRIPTOR}, id="config"),
        pytest.param({"layers": []}, id="layers"),
        pytest.param({"fsLayers": []}, id="fsLayers"),
        pytest.param({"config": None}, id="config that is null"),
        pytest.param({"config": DESCRIPTOR, "layers": []}, id="a whole manifest"),
    ],
)
@pytest.mark.parametrize("parent", ["", OCI_INDEX, OCI_MANIFEST], ids=["by tag", "as an index", "as a manifest"])
def test_a_document_of_two_kinds_is_refused(members: dict[str, Any], parent: str) -> None:
    # CVE-2021-41190
    with pytest.raises(VerificationError, match=r"is ambiguous: it has both 'manifests' .*\(CVE-2021-41190\)$"):
        parse({**BARE_INDEX, **members}, "", parent)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"schemaVersion":2,"manifests":[],"manifests":[]}', id="document"),
        pytest.param(b'{"schemaVersion":2,"manifests":[{"size":1,"size":2}]}', id="descriptor"),
        pytest.param(b'{"schemaVersion":2,"manifests":[],"annotations":{"a":"1","a":"2"}}', id="annotations"),
    ],
)
def test_a_document_with_a_key_twice_is_refused(raw: bytes) -> None:
    with pytest.raises(VerificationError, match="which occurs twice"):
        parse(raw)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({**BARE_MANIFEST, "Layers": []}, id="layers"),
        pytest.param({**BARE_MANIFEST, "Manifests": []}, id="manifests"),
        pytest.param({**BARE_INDEX, "Config": {}}, id="config"),
        pytest.param({**BARE_INDEX, "FSLayers": []}, id="fsLayers"),
        pytest.param({**BARE_MANIFEST, "MediaType": OCI_INDEX}, id="mediaType"),
        pytest.param({**BARE_MANIFEST, "schemaversion": 1}, id="schemaVersion"),
        pytest.param({**BARE_MANIFEST, "manifest\u017f": []}, id="long s, which Go takes for s"),
        pytest.param({**BARE_MANIFEST, "config": {**CONFIG_DESCRIPTOR, "Digest": SHA256}}, id="config's digest"),
        pytest.param({**BARE_MANIFEST, "layers": [{**DESCRIPTOR, "SIZE": 8}]}, id="layer's size"),
        pytest.param({**BARE_MANIFEST, "layers": [{**DESCRIPTOR, "URLs": []}]}, id="layer's urls"),
        pytest.param({**BARE_INDEX, "manifests": [{**DESCRIPTOR, "Platform": {}}]}, id="entry's platform"),
        pytest.param(
            {**BARE_INDEX, "manifests": [{**DESCRIPTOR, "platform": {"OS": "linux"}}]}, id="platform's system"
        ),
    ],
)
def test_a_key_that_differs_from_a_known_one_by_case_is_refused(document: object) -> None:
    with pytest.raises(VerificationError, match="is ambiguous: readers disagree about the key "):
        parse(document)


def test_unknown_members_are_passed_over() -> None:
    document = {**BARE_MANIFEST, "x-new": 1, "annotations": {"A": "1", "a": "2"}, "subject": DESCRIPTOR}
    assert isinstance(parse(document), Manifest)


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        pytest.param(BARE_SCHEMA1, "", id="by its shape"),
        pytest.param(BARE_SCHEMA1, SCHEMA1, id="by its header"),
        pytest.param({**BARE_SCHEMA1, "mediaType": SCHEMA1_SIGNED}, "application/json", id="by its own word"),
        pytest.param(BARE_SCHEMA1, OCI_MANIFEST, id="sent as something else"),
        pytest.param({"schemaVersion": 1, "name": "x"}, SCHEMA1_SIGNED, id="without layers"),
    ],
)
def test_schema_1_is_refused_by_name(document: object, content_type: str) -> None:
    with pytest.raises(
        UnsupportedError, match=r"uses schema 1, an old format that imgfetch does not support$"
    ) as caught:
        parse(document, content_type)
    assert caught.value.hint == "ask the publisher to rebuild the image, or try another tag"


@pytest.mark.parametrize(
    ("config_type", "artifact_type", "named"),
    [
        pytest.param(HELM, None, f"a Helm chart ({HELM})", id="Helm chart"),
        pytest.param(WASM, None, f"a WebAssembly module ({WASM})", id="WebAssembly"),
        pytest.param(EMPTY, "application/vnd.x+json", "an artifact (application/vnd.x+json)", id="artifact"),
        pytest.param(EMPTY, None, f"an artifact ({EMPTY})", id="artifact without a type"),
        pytest.param(EMPTY, "application/vnd.dev.cosign.artifact.sig.v1+json", "a signature (", id="signature"),
        pytest.param("application/vnd.in-toto+json", None, "an attestation (", id="attestation"),
        pytest.param("application/vnd.cncf.model.config.v1+json", None, "a model (", id="model"),
        pytest.param("application/x\x1b[2j", None, r"an artifact (application/x\x1b[2j)", id="unprintable"),
    ],
)
def test_what_is_no_image_is_refused_by_name(config_type: str, artifact_type: str | None, named: str) -> None:
    built = image(hello(), config_type=config_type, manifest={"artifactType": artifact_type})
    with pytest.raises(UnsupportedError) as caught:
        parse(built.raw, OCI_MANIFEST)
    assert f"the manifest of x is not a container image but {named}" in str(caught.value)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        pytest.param({}, "an unknown type", id="empty object"),
        pytest.param({"errors": []}, "an unknown type", id="an error"),
        pytest.param(
            {"mediaType": "application/vnd.oci.artifact.manifest.v1+json", "artifactType": "a/b", "blobs": []},
            "a/b",
            id="OCI's artifact manifest",
        ),
        pytest.param({"schemaVersion": 2, "config": DESCRIPTOR}, "an unknown type", id="no layers"),
    ],
)
def test_a_document_of_another_shape_is_refused(document: object, named: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        parse(document)
    assert str(caught.value) == f"the manifest of x is not a container image but an artifact ({named})"


@pytest.mark.parametrize(
    "raw", [b"", b"<html>", b"[]", b"null", b'"x"', b"{" * 100_000], ids=["", "HTML", "array", "null", "text", "deep"]
)
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(VerificationError, match=r"^the manifest of x is "):
        parse(raw)


@pytest.mark.parametrize("version", [None, 1, 3, "2", [2], 2.5], ids=repr)
def test_another_schema_version_is_refused(version: object) -> None:
    with pytest.raises(
        VerificationError, match=r"^'schemaVersion' of the manifest of x is malformed: expected 2, got "
    ):
        parse({**BARE_MANIFEST, "schemaVersion": version})


@pytest.mark.parametrize(
    "config_type",
    [DOCKER_CONFIG, OCI_CONFIG, "application/octet-stream", "application/json", "text/html", ""],
)
def test_old_pushes_call_a_config_anything(config_type: str) -> None:
    manifest = parse(image(hello(), config_type=config_type).raw)
    assert isinstance(manifest, Manifest)
    assert manifest.config.media_type == config_type


@pytest.mark.parametrize(
    "media_type",
    ["application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "application/vnd.oci.image.layer.v1.tar+encrypted"],
)
def test_an_encrypted_layer_is_refused(media_type: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        parse({**BARE_MANIFEST, "layers": [DESCRIPTOR, {**DESCRIPTOR, "mediaType": media_type}]})
    assert str(caught.value) == f"layer 2 of the manifest of x is encrypted ({media_type})"
    assert "--decryption-key" in str(caught.value.hint)


@pytest.mark.parametrize(
    "digest",
    [
        pytest.param(None, id="null"),
        pytest.param("", id="empty"),
        pytest.param(7, id="number"),
        pytest.param(HASH, id="no algorithm"),
        pytest.param(SHA256.upper(), id="capitals"),
        pytest.param(SHA256[:-1], id="short"),
        pytest.param(f"sha256:{HASH}{HASH}", id="long"),
        pytest.param("sha256:../../../../etc/passwd", id="path, CVE-2024-3727"),
        pytest.param(f"sha1:{HASH[:40]}", id="unregistered algorithm"),
        pytest.param(f"{SHA256}\n", id="line break"),
    ],
)
@pytest.mark.parametrize("where", ["config", "layers", "manifests"])
def test_a_descriptor_with_a_malformed_digest_is_refused(where: str, digest: object) -> None:
    with pytest.raises(
        VerificationError, match=r"of the manifest of x is not a valid digest|in the manifest of x is not a"
    ):
        parse_all(with_descriptor(where, {"digest": digest}))


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(None, id="null"),
        pytest.param(-1, id="negative"),
        pytest.param(7.0, id="float"),
        pytest.param(True, id="boolean"),
        pytest.param("7", id="string"),
        pytest.param(2**63, id="more than an int64 holds"),
        pytest.param(10**30, id="more than a tar header holds"),
    ],
)
@pytest.mark.parametrize("where", ["config", "layers", "manifests"])
def test_a_descriptor_with_a_malformed_size_is_refused(where: str, size: object) -> None:
    with pytest.raises(VerificationError, match=r"malformed: expected an integer|is too large: expected 4194304 bytes"):
        parse_all(with_descriptor(where, {"size": size}))


def with_descriptor(where: str, members: dict[str, object]) -> dict[str, object]:
    """Return a document in which one descriptor has these members."""
    if where == "config":
        return {**BARE_MANIFEST, "config": {**CONFIG_DESCRIPTOR, **members}}
    document = BARE_MANIFEST if where == "layers" else BARE_INDEX
    return {**document, where: [{**DESCRIPTOR, **members}]}


@pytest.mark.parametrize("where", ["layers", "manifests"])
@pytest.mark.parametrize("value", [{}, "x", 7, [7], [None], [[]]], ids=repr)
def test_a_list_of_something_else_is_refused(where: str, value: object) -> None:
    document = BARE_MANIFEST if where == "layers" else BARE_INDEX
    with pytest.raises(VerificationError, match="is malformed: expected an "):
        parse_all({**document, where: value})


def test_a_layer_may_be_of_any_size_that_go_reads() -> None:
    manifest = parse({**BARE_MANIFEST, "layers": [{**DESCRIPTOR, "size": 2**63 - 1}]})
    assert isinstance(manifest, Manifest)
    assert manifest.layers[0].size == 2**63 - 1


def test_a_digest_may_be_a_sha512() -> None:
    manifest = parse({**BARE_MANIFEST, "layers": [{**DESCRIPTOR, "digest": SHA512}]})
    assert isinstance(manifest, Manifest)
    assert str(manifest.layers[0].digest) == SHA512


@pytest.mark.parametrize(
    ("where", "what"), [("layers", "has too many layers"), ("manifests", "has too many manifests")]
)
def test_more_than_4096_descriptors_are_refused(where: str, what: str) -> None:
    document = BARE_MANIFEST if where == "layers" else BARE_INDEX
    found = parse({**document, where: [DESCRIPTOR] * 4096})
    assert len(found.layers if isinstance(found, Manifest) else found.manifests) == 4096
    with pytest.raises(VerificationError, match=f"^the manifest of x {what}.*: expected at most 4096, got 4097$"):
        parse({**document, where: [DESCRIPTOR] * 4097})


def test_a_config_of_more_than_4_mib_is_refused() -> None:
    assert isinstance(parse(with_descriptor("config", {"size": 4 * 1024 * 1024})), Manifest)
    with pytest.raises(VerificationError, match="config of the manifest of x is too large: expected at most 4194304"):
        parse(with_descriptor("config", {"size": 4 * 1024 * 1024 + 1}))


def test_a_digest_with_two_sizes_is_refused() -> None:
    with pytest.raises(VerificationError, match=f"lists {SHA256} with two sizes: expected 7 bytes, got 8 bytes"):
        parse({**BARE_MANIFEST, "layers": [DESCRIPTOR, DESCRIPTOR, {**DESCRIPTOR, "size": 8}]})


def descriptor(**members: object) -> Descriptor:
    return Descriptor.from_json({**DESCRIPTOR, **members}, "the thing")


def test_a_descriptor_has_what_was_said_and_nothing_more() -> None:
    assert descriptor() == Descriptor(OCI_GZIP, Digest("sha256", HASH), 7)


def test_every_member_of_a_descriptor_is_read() -> None:
    found = descriptor(
        mediaType=f"{OCI_GZIP.upper()}; x=y",
        annotations={"a": "b", "c": 1},
        urls=["https://mirror.example/x", 7],
        artifactType="application/x",
        platform={"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.2227", "os.features": ["win32k"]},
        data=base64.b64encode(b"content").decode(),
    )
    assert found == Descriptor(
        OCI_GZIP,
        Digest("sha256", HASH),
        7,
        Platform("windows", "amd64", "", "10.0.20348.2227"),
        {"a": "b"},
        ("https://mirror.example/x",),
        "application/x",
        b"content",
    )


@pytest.mark.parametrize(
    "platform", [None, {}, {"os": "linux"}, {"architecture": "amd64"}, {"os": "", "architecture": ""}], ids=repr
)
def test_a_platform_without_a_system_or_architecture_says_nothing(platform: object) -> None:
    assert descriptor(platform=platform).platform is None


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param({"platform": {"os": "unknown", "architecture": "unknown"}}, True, id="unknown platform"),
        pytest.param({"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}, True, id="annotation"),
        pytest.param({"platform": {"os": "linux", "architecture": "amd64"}}, False, id="image"),
        pytest.param({"annotations": {"vnd.docker.reference.type": "x"}}, False, id="another annotation"),
        pytest.param({}, False, id="nothing said"),
    ],
)
def test_an_attestation_is_told_from_an_image(members: dict[str, object], *, expected: bool) -> None:
    assert descriptor(**members).is_attestation is expected


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"mediaType": 7}, id="media type"),
        pytest.param({"annotations": []}, id="annotations"),
        pytest.param({"urls": "https://x"}, id="urls"),
        pytest.param({"platform": "linux/amd64"}, id="platform"),
        pytest.param({"platform": {"os": 7, "architecture": "amd64"}}, id="platform's system"),
        pytest.param({"data": ["x"]}, id="data"),
    ],
)
def test_a_malformed_member_of_a_descriptor_is_refused(members: dict[str, object]) -> None:
    with pytest.raises(VerificationError, match=r"the thing is malformed: expected an? "):
        descriptor(**members)


def test_base64_may_contain_newlines_as_in_go() -> None:
    assert descriptor(data="Y\r\nQ==\n").data == b"a"


@pytest.mark.parametrize("data", ["a", "ab!=", "YQ", "\u00e9", "YQ== "], ids=repr)
def test_data_that_is_no_base64_is_refused(data: str) -> None:
    with pytest.raises(VerificationError, match=r"^'data' of the thing is not valid base64"):
        descriptor(data=data)


@pytest.mark.parametrize("data", [None, ""], ids=["null", "empty"])
def test_no_data_is_none(data: str | None) -> None:
    assert descriptor(data=data).data is None


def test_a_descriptor_of_content_points_at_it() -> None:
    assert Descriptor.of(b"", OCI_CONFIG) == Descriptor(
        OCI_CONFIG, Digest.parse("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), 0
    )
