"""The format of `docker load`: an OCI image layout with docker's two files.

The order of the members is fixed, so that an archive depends only on its images and options::

    oci-layout  index.json  manifest.json  repositories
    blobs/  blobs/sha256/
    blobs/sha256/<index>…                                   if several platforms are saved
    blobs/sha256/<manifest>  blobs/sha256/<config>  blobs/sha256/<layer>…   of each image, each digest once

Blobs are identical to those of the registry, so the manifest digest survives in readers that keep it.
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
    """Return an archive's entries; see `formats.Members`.

    Raises:
        VerificationError: a blob has two sizes.
    """
    return (
        image_layout.VERSION,
        image_layout.index(selections, lambda name, _tag: {NAME: name, REF_NAME: name}),
        document_member("manifest.json", [_item(selection) for selection in selections]),
        document_member("repositories", _repositories(selections)),
        *image_layout.blobs(selections, contents),
    )


def _item(selection: Selection) -> dict[str, object]:
    """Return an item of `manifest.json`; docker and podman reject digests in ``RepoTags``."""
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
    # Other layers must not have it: crane's library makes manifests of it that podman rejects.
    return {**item, "LayerSources": sources} if sources else item


def _repositories(selections: Sequence[Selection]) -> dict[str, dict[str, str]]:
    """Return `repositories`, with the top layer's diff_id by repository and tag, as docker 25 and later do."""
    repositories: dict[str, dict[str, str]] = {}
    for selection in selections:
        diff_ids = selection.preferred.config.diff_ids
        for reference in selection.tags:
            if diff_ids:
                repositories.setdefault(reference.name, {})[reference.tag or ""] = diff_ids[-1].encoded
    return repositories
