"""The format that `docker load` reads: an OCI image layout with docker's two files beside it.

Member by member, base to the byte, so that an archive is a function of its images and options alone::

    oci-layout  index.json  manifest.json  repositories
    blobs/  blobs/sha256/
    blobs/sha256/<manifest>  blobs/sha256/<config>  blobs/sha256/<layer>…   of each image, each digest once

The blobs stand in it as the registry has them, so the registry's manifest digest survives wherever the reader
keeps it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from imgfetch import mediatypes
from imgfetch.archive import Member
from imgfetch.digest import Digest
from imgfetch.errors import VerificationError
from imgfetch.image import Descriptor, Image


def members(images: Sequence[Image]) -> tuple[Member, ...]:
    """Return the entries of an archive of ``images``, in their order.

    Raises:
        VerificationError: a blob is given two sizes.
    """
    blobs: dict[Digest, Descriptor] = {}
    for image in images:
        for descriptor in (image.manifest.descriptor, image.manifest.config, *image.manifest.layers):
            first = blobs.setdefault(descriptor.digest, descriptor)
            if first.size != descriptor.size:
                raise VerificationError(
                    f"{descriptor.digest} is given two sizes",
                    wanted=f"{first.size} bytes",
                    got=f"{descriptor.size} bytes",
                )
    algorithms = sorted({"sha256", *(digest.algorithm for digest in blobs)})
    documents = {
        "oci-layout": {"imageLayoutVersion": "1.0.0"},
        "index.json": _index(images),
        "manifest.json": [_item(image) for image in images],
        "repositories": _repositories(images),
    }
    encoded = ((name, _compact(document)) for name, document in documents.items())
    return (
        *(Member(name, len(content), content) for name, content in encoded),
        Member("blobs/", 0),
        *(Member(f"blobs/{algorithm}/", 0) for algorithm in algorithms),
        *(Member(_path(blob.digest), blob.size, blob.digest) for blob in blobs.values()),
    )


def _index(images: Sequence[Image]) -> dict[str, object]:
    """Return `index.json`: an entry for each name; no platform, for with one containerd drops foreign images."""
    return {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_INDEX,
        "manifests": [_entry(image.manifest.descriptor, name) for image in images for name in _index_names(image)],
    }


def _entry(descriptor: Descriptor, name: str) -> dict[str, object]:
    return {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
        "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name},
    }


def _index_names(image: Image) -> Iterator[str]:
    """Yield full names, with the digest of the entry itself where there is no tag."""
    yield from image.tagged_names
    for repository in image.untagged:
        yield f"{repository}@{image.manifest.descriptor.digest}"


def _item(image: Image) -> dict[str, object]:
    """Return an item of `manifest.json`; a digest in ``RepoTags`` would be fatal to docker and podman."""
    item: dict[str, object] = {
        "Config": _path(image.manifest.config.digest),
        "RepoTags": list(image.tagged_names),
        "Layers": [_path(layer.digest) for layer in image.manifest.layers],
    }
    sources = {
        str(diff_id): {
            "mediaType": layer.media_type,
            "size": layer.size,
            "digest": str(layer.digest),
            **({"urls": list(layer.urls)} if layer.urls else {}),
        }
        for layer, diff_id in zip(image.manifest.layers, image.config.diff_ids, strict=True)
        if mediatypes.is_foreign(layer.media_type)
    }
    # Elsewhere it does harm: crane's library makes manifests of it that podman refuses.
    return {**item, "LayerSources": sources} if sources else item


def _repositories(images: Sequence[Image]) -> dict[str, dict[str, str]]:
    """Return `repositories`: the top layer's diff_id by repository and tag, as docker 25 and later write it."""
    repositories: dict[str, dict[str, str]] = {}
    for image in images:
        for reference in image.tags:
            if image.config.diff_ids:
                repositories.setdefault(reference.name, {})[reference.tag or ""] = image.config.diff_ids[-1].encoded
    return repositories


def _path(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.encoded}"


def _compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode("ascii")
