"""Indexes of images made by chance: of several platforms, nested, sparse, or with attestations, and artifacts."""

from __future__ import annotations

import random
from collections.abc import Callable

from imgfetch.oci import mediatypes
from tests.oracle.samples import AMD64, ARM64, Image, Json, described, image, rendered, sha256

Add = Callable[[bytes], object]
"""Adds a blob to an archive."""
_UNKNOWN = {"architecture": "unknown", "os": "unknown"}


def root(rng: random.Random, of: Image, add: Add) -> dict[str, Json]:
    """Return the descriptor of an image, or of an index that lists it."""
    own = _manifest(of, add)
    if rng.random() < 0.75 or of.platform != AMD64:
        return own
    match rng.choice("ppast"):
        case "a":
            return _index([{**own, "platform": of.platform}, _attestation(own, add)], add)
        case "s":
            missing = described(rendered(image(rng).document), mediatypes.OCI_MANIFEST)
            return _index([{**own, "platform": of.platform}, {**missing, "platform": ARM64}], add)
        case "t":
            return _index([_index([{**own, "platform": of.platform}], add)], add)
        case _:
            return _index([{**own, "platform": of.platform}, _other(rng, add)], add)


def artifact(rng: random.Random, add: Add) -> dict[str, Json]:
    """Return the descriptor of a Helm chart."""
    config, layer = b'{"name":"chart"}', rng.randbytes(9)
    add(config)
    add(layer)
    content = rendered(
        {
            "schemaVersion": 2,
            "config": described(config, "application/vnd.cncf.helm.config.v1+json"),
            "layers": [described(layer, "application/vnd.cncf.helm.chart.content.v1.tar+gzip")],
        }
    )
    add(content)
    return described(content, mediatypes.OCI_MANIFEST)


def _manifest(of: Image, add: Add) -> dict[str, Json]:
    content = rendered(of.document)
    add(content)
    media_type = of.document.get("mediaType") if isinstance(of.document, dict) else None
    return described(content, media_type if isinstance(media_type, str) else mediatypes.OCI_MANIFEST)


def _index(entries: list[Json], add: Add) -> dict[str, Json]:
    content = rendered({"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": entries})
    add(content)
    return described(content, mediatypes.OCI_INDEX)


def _other(rng: random.Random, add: Add) -> dict[str, Json]:
    """Return the entry of an image for another platform."""
    other = image(rng)
    while other.platform == AMD64:
        other = image(rng)
    for blob in (other.config, *other.blobs):
        add(blob)
    return {**_manifest(other, add), "platform": ARM64}


def _attestation(of: dict[str, Json], add: Add) -> dict[str, Json]:
    """Return the entry of what buildkit puts beside an image."""
    statement = rendered({"subject": of["digest"]})
    config = rendered(
        {**_UNKNOWN, "config": {}, "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(statement)}"]}}
    )
    content = rendered(
        {
            "schemaVersion": 2,
            "mediaType": mediatypes.OCI_MANIFEST,
            "config": described(config, mediatypes.OCI_CONFIG),
            "layers": [described(statement, "application/vnd.in-toto+json")],
        }
    )
    for blob in (statement, config, content):
        add(blob)
    notes = {"vnd.docker.reference.digest": of["digest"], "vnd.docker.reference.type": "attestation-manifest"}
    return {**described(content, mediatypes.OCI_MANIFEST), "annotations": notes, "platform": _UNKNOWN}
