"""The format that `docker load` reads: an OCI image layout with docker's two files beside it.

Member by member, base to the byte, so that an archive is a function of its images and options alone::

    oci-layout  index.json  manifest.json  repositories
    blobs/  blobs/sha256/
    blobs/sha256/<index>…                                   where several platforms are saved
    blobs/sha256/<manifest>  blobs/sha256/<config>  blobs/sha256/<layer>…   of each image, each digest once

The blobs stand in it as the registry has them, so the registry's manifest digest survives wherever the reader
keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from imgfetch.archive import image_layout
from imgfetch.archive.image_layout import NAME, REF_NAME, document_member, path
from imgfetch.archive.selection import Selection
from imgfetch.archive.tarlayout import Content, Member
from imgfetch.oci import mediatypes
from imgfetch.oci.digest import Digest


def members(selections: Sequence[Selection], contents: Mapping[Digest, Content]) -> tuple[Member, ...]:
    """Return the entries of an archive, in their order.

    Args:
        selections: what it holds.
        contents: what does not stand in the store under its digest.

    Raises:
        VerificationError: a blob is given two sizes.
    """
    return (
        image_layout.VERSION,
        image_layout.index(selections, lambda name, _tag: {NAME: name, REF_NAME: name}),
        document_member("manifest.json", [_item(selection) for selection in selections]),
        document_member("repositories", _repositories(selections)),
        *image_layout.blobs(selections, contents),
    )


def _item(selection: Selection) -> dict[str, object]:
    """Return an item of `manifest.json`; a digest in ``RepoTags`` would be fatal to docker and podman."""
    image = selection.preferred
    item: dict[str, object] = {
        "Config": path(image.manifest.config.digest),
        "RepoTags": list(selection.tagged_names),
        "Layers": [path(layer.digest) for layer in image.manifest.layers],
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


def _repositories(selections: Sequence[Selection]) -> dict[str, dict[str, str]]:
    """Return `repositories`: the top layer's diff_id by repository and tag, as docker 25 and later write it."""
    repositories: dict[str, dict[str, str]] = {}
    for selection in selections:
        diff_ids = selection.preferred.config.diff_ids
        for reference in selection.tags:
            if diff_ids:
                repositories.setdefault(reference.name, {})[reference.tag or ""] = diff_ids[-1].encoded
    return repositories
