"""The format of `docker save` before 25: a directory for each layer, with the layer's tar and its v1 JSON.

For docker before 1.10, MikroTik RouterOS, udocker, and scripts that look for ``*/layer.tar``::

    <v1id>/  <v1id>/VERSION  <v1id>/json  <v1id>/layer.tar      of each layer, base first
    <config>.json                                               of each image
    manifest.json  repositories

There is no ``blobs/``, because docker before 1.10 reads every top-level directory as an image.  Layers are
uncompressed and always regular files, even if repeated.  A v1id depends on the layers below, so images share common
base layers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence

from imgfetch.archive.image_layout import compact, document_member
from imgfetch.archive.selection import Selection
from imgfetch.archive.tarlayout import Content, Member
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Image

_VERSION = b"1.0"
_CREATED = "1970-01-01T00:00:00Z"
_NOT_V1 = frozenset({"rootfs", "history"})
"""Members of the config that the top layer's v1 JSON lacks."""


def members(selections: Sequence[Selection], contents: Mapping[Digest, Content]) -> tuple[Member, ...]:
    """Return an archive's entries for the preferred image of each selection; see `formats.Members`.

    The layers must be uncompressed.
    """
    directories: dict[str, None] = {}
    configs: dict[str, Member] = {}
    entries: list[Member] = []
    items: list[dict[str, object]] = []
    repositories: dict[str, dict[str, str]] = {}
    for selection in selections:
        image = selection.preferred
        ids = []
        for (v1id, v1), layer in zip(_chain(image), image.manifest.layers, strict=True):
            ids.append(v1id)
            if v1id not in directories:
                directories[v1id] = None
                entries += [
                    Member(f"{v1id}/", 0),
                    Member(f"{v1id}/VERSION", len(_VERSION), _VERSION),
                    document_member(f"{v1id}/json", v1),
                    Member(f"{v1id}/layer.tar", layer.size, contents.get(layer.digest, layer.digest)),
                ]
        config = image.manifest.config
        name = f"{config.digest.encoded}.json"
        configs[name] = Member(name, config.size, config.digest)
        items.append(
            {
                "Config": name,
                "RepoTags": list(selection.tagged_names),
                "Layers": [f"{v1id}/layer.tar" for v1id in ids],
            }
        )
        for reference in selection.tags:
            if ids:
                repositories.setdefault(reference.name, {})[reference.tag or ""] = ids[-1]
    return (
        *entries,
        *configs.values(),
        document_member("manifest.json", items),
        document_member("repositories", repositories),
    )


def _chain(image: Image) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield each layer's v1id and v1 JSON, base first.

    A v1id is the SHA-256 of the JSON with the layer's diff_id in place of the v1id.
    """
    parent = ""
    diff_ids = image.config.diff_ids
    for number, diff_id in enumerate(diff_ids, 1):
        if number < len(diff_ids):
            v1: dict[str, object] = {"created": _CREATED}
        else:
            config = json.loads(image.config.raw)
            v1 = {key: value for key, value in config.items() if key not in _NOT_V1}
        if parent:
            v1["parent"] = parent
        v1id = hashlib.sha256(compact({**v1, "layer_id": str(diff_id)})).hexdigest()
        yield v1id, {"id": v1id, **v1}
        parent = v1id
