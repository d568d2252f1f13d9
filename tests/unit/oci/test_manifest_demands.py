"""The readers that refuse a manifest or index because of members that others ignore are named, as measured."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imgfetch.oci import manifest_demands
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.manifest import parse_document
from imgfetch.tolerance import Tolerance
from tests.images import AMD64, hello, image, index

CONTAINERD = "which containerd and docker 28 (containerd store) refuse; load it with docker's classic store, or podman"
NEW = "which containerd 2.1 and docker 28 (containerd store) refuse; load it with docker's classic store, or podman"
IMAGE = image(hello())
INDEX = index(IMAGE)

ODD_DESCRIPTORS: list[tuple[dict[str, Any], str]] = [
    ({"annotations": {"a": 1}}, "annotations"),
    ({"urls": [1]}, "urls"),
    ({"platform": {**AMD64, "os.features": "x"}}, "platform.os.features"),
]
ODD_BLOBS: list[tuple[dict[str, Any], str]] = [
    *ODD_DESCRIPTORS,
    ({"annotations": []}, "annotations"),
    ({"annotations": "x"}, "annotations"),
    ({"platform": "x"}, "platform"),
    ({"artifactType": 1}, "artifactType"),
]
FINE: list[dict[str, Any]] = [
    {"annotations": {"a": None}},
    {"annotations": None},
    {"subject": {}},
    {"subject": None},
    {"artifactType": "application/x"},
    {"unknown": 1},
]


def warnings(built: dict[str, Any]) -> list[str]:
    raw = json.dumps(built).encode()
    descriptor = Descriptor.of(raw, built["mediaType"])
    assert parse_document(Document(raw), descriptor, "it", Tolerance(strict=True)).descriptor == descriptor
    return list(manifest_demands.warnings(raw, "it"))


def document(built: bytes, **members: Any) -> dict[str, Any]:
    return {**json.loads(built), **members}


def entries(built: bytes, key: str, members: dict[str, Any]) -> dict[str, Any]:
    found = json.loads(built)
    found[key][0].update(members)
    return found


@pytest.mark.parametrize(
    ("members", "place", "clause"),
    [
        ({"annotations": {"a": 1}}, "annotations", CONTAINERD),
        ({"annotations": []}, "annotations", CONTAINERD),
        ({"annotations": "x"}, "annotations", CONTAINERD),
        ({"subject": "x"}, "subject", CONTAINERD),
        ({"subject": {"digest": 1}}, "subject.digest", CONTAINERD),
        ({"artifactType": 1}, "artifactType", NEW),
    ],
    ids=repr,
)
def test_the_readers_that_refuse_an_odd_manifest_are_named(members: dict[str, Any], place: str, clause: str) -> None:
    (warning,) = warnings(document(IMAGE.raw, **members))
    assert warning.startswith(f"it has a malformed '{place}' (")
    assert warning.endswith(clause)


@pytest.mark.parametrize(
    ("members", "place", "clause"),
    [
        ({"annotations": {"a": 1}}, "annotations", CONTAINERD),
        ({"subject": "x"}, "subject", NEW),
        ({"subject": {"digest": 1}}, "subject.digest", NEW),
        ({"artifactType": 5}, "artifactType", NEW),
    ],
    ids=repr,
)
def test_the_readers_that_refuse_an_odd_index_are_named(members: dict[str, Any], place: str, clause: str) -> None:
    (warning,) = warnings(document(INDEX.raw, **members))
    assert warning.startswith(f"it has a malformed '{place}' (")
    assert warning.endswith(clause)


@pytest.mark.parametrize(("members", "place"), ODD_BLOBS, ids=repr)
def test_an_odd_descriptor_of_a_layer_or_config_is_usable_but_containerd_refuses_it(
    members: dict[str, Any], place: str
) -> None:
    (warning,) = warnings(entries(IMAGE.raw, "layers", members))
    assert f"'layers[0].{place}'" in warning
    assert warning.endswith(CONTAINERD)
    found = json.loads(IMAGE.raw)
    (warning,) = warnings({**found, "config": {**found["config"], **members}})
    assert f"'config.{place}'" in warning
    assert warning.endswith(CONTAINERD)


@pytest.mark.parametrize(("members", "place"), ODD_DESCRIPTORS, ids=repr)
def test_containerd_refuses_an_odd_entry_of_an_index(members: dict[str, Any], place: str) -> None:
    (warning,) = warnings(entries(INDEX.raw, "manifests", members))
    assert f"'manifests[0].{place}'" in warning
    assert warning.endswith(CONTAINERD)


@pytest.mark.parametrize("members", FINE, ids=repr)
def test_what_every_reader_accepts_is_not_warned_of(members: dict[str, Any]) -> None:
    assert warnings(document(IMAGE.raw, **members)) == []
    assert warnings(document(INDEX.raw, **members)) == []
    assert warnings(entries(IMAGE.raw, "layers", {"urls": [None], **members})) == []
