"""Archives whose documents readers decode differently."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace

from tests.hostile.parts import (
    LAYOUT,
    REF_NAME,
    Change,
    Hostile,
    Json,
    Make,
    Pair,
    both,
    both_images,
    dumped,
    entry,
    index,
    item,
    path,
    tar,
)
from tests.images import Blob, Built, hello, image, sha256

LAYOUTS = {
    "garbage": b"garbage",
    "empty": b"",
    "an empty object": b"{}",
    "null": b"null",
    "an array": b"[]",
    "of another version": b'{"imageLayoutVersion":"2.0.0"}',
    "of version 1.0": b'{"imageLayoutVersion":"1.0"}',
    "of version 1.1.0": b'{"imageLayoutVersion":"1.1.0"}',
    "with an empty version": b'{"imageLayoutVersion":""}',
    "with a version that is a number": b'{"imageLayoutVersion":1}',
    "with a space in its version": b'{"imageLayoutVersion":" 1.0.0"}',
    "with garbage behind": LAYOUT + b"garbage",
    "with a second object behind": LAYOUT + b'{"imageLayoutVersion":""}',
    "with a byte order mark": b"\xef\xbb\xbf" + LAYOUT,
    "with a key in another case": b'{"ImageLayoutVersion":"1.0.0"}',
    "with another member": b'{"imageLayoutVersion":"1.0.0","x":1}',
    "missing": None,
}
EMPTY = {
    "an empty array": b"[]",
    "null": b"null",
    "an empty object": b"{}",
    "empty": b"",
    "garbage": b"garbage",
    "a number": b"0",
    "null in an array": b"[null]",
    "an empty item": b"[{}]",
    "an array in an array": b"[[]]",
    "text": b'"text"',
}
INDEXES = {
    **EMPTY,
    "without entries": b'{"schemaVersion":2,"manifests":[]}',
    "with null for entries": b'{"schemaVersion":2,"manifests":null}',
    "with an object for entries": b'{"schemaVersion":2,"manifests":{}}',
    "with null for an entry": b'{"schemaVersion":2,"manifests":[null]}',
    "with an empty entry": b'{"schemaVersion":2,"manifests":[{}]}',
}


def _empties() -> dict[str, Hostile]:
    found = {}
    for text, raw in LAYOUTS.items():
        found[f"oci-layout {text}"] = Hostile(lambda pair, raw=raw: tar(both(pair, layout=raw)))
        found[f"oci-layout {text}, a layout alone"] = Hostile(
            lambda pair, raw=raw: tar(both(pair, layout=raw, manifest=None))
        )
        found[f"oci-layout {text}, and another image in manifest.json"] = Hostile(
            lambda pair, raw=raw: both_images(pair, layout=raw, manifest=[item(pair.planted, pair.name)])
        )
        found[f"oci-layout {text}, and another image in index.json"] = Hostile(
            lambda pair, raw=raw: both_images(pair, layout=raw, index=index(entry(pair.planted, pair.name)))
        )
    for text, raw in EMPTY.items():
        found[f"manifest.json: {text}"] = Hostile(lambda pair, raw=raw: tar(both(pair, manifest=raw)))
        found[f"manifest.json: {text}, alone"] = Hostile(lambda _, raw=raw: tar({"manifest.json": raw}))
    for text, raw in INDEXES.items():
        found[f"index.json: {text}"] = Hostile(lambda pair, raw=raw: tar(both(pair, index=raw)))
        found[f"index.json: {text}, a layout alone"] = Hostile(
            lambda pair, raw=raw: tar(both(pair, index=raw, manifest=None))
        )
        found[f"index.json: {text}, alone"] = Hostile(lambda _, raw=raw: tar({"index.json": raw}))
    return found


def _item(change: Callable[[Pair, dict[str, Json]], Json]) -> Hostile:
    """Return an archive with a changed item of the good image."""

    def make(pair: Pair) -> bytes:
        found = item(pair.good, pair.name)
        listed = index(entry(pair.good, pair.name), entry(pair.planted, f"{pair.repository}:2"))
        return both_images(
            pair, index=listed, manifest=[change(pair, found), item(pair.planted, f"{pair.repository}:2")]
        )

    return Hostile(make)


def _entry(
    change: Callable[[Pair, dict[str, Json]], Json],
    *,
    good: bool = True,
    changed: Change = lambda pair: pair,
) -> Hostile:
    """Return an archive with a changed entry of the good image, or of the planted one, which has the name."""

    def make(pair: Pair) -> bytes:
        own = entry(pair.good, pair.name), entry(pair.planted, f"{pair.repository}:2" if good else pair.name)
        entries = [change(pair, own[0]), own[1]] if good else [own[0], change(pair, own[1])]
        return both_images(pair, index=index(*entries), manifest=None)

    return Hostile(make, changed=changed)


def _config(pair: Pair) -> str:
    return path(pair.good.config.digest)


_ITEMS = {
    "a name without a tag": _item(lambda pair, own: {**own, "RepoTags": [pair.repository]}),
    "a name with a digest": _item(lambda pair, own: {**own, "RepoTags": [pair.pinned]}),
    "a name in upper case": _item(lambda pair, own: {**own, "RepoTags": [pair.name.upper()]}),
    "an empty name": _item(lambda pair, own: {**own, "RepoTags": ["", pair.name]}),
    "null for a name": _item(lambda pair, own: {**own, "RepoTags": [None, pair.name]}),
    "a number for a name": _item(lambda pair, own: {**own, "RepoTags": [1, pair.name]}),
    "a text for names": _item(lambda pair, own: {**own, "RepoTags": pair.name}),
    "null for a layer": _item(lambda _, own: {**own, "Layers": [None, *own["Layers"]]}),
    "a number for a layer": _item(lambda _, own: {**own, "Layers": [1, *own["Layers"]]}),
    "an empty layer": _item(lambda _, own: {**own, "Layers": ["", *own["Layers"]]}),
    "no layers": _item(lambda _, own: {**own, "Layers": []}),
    "the other's layers": _item(lambda pair, own: {**own, "Layers": item(pair.planted)["Layers"]}),
    "a config with a dot": _item(lambda _, own: {**own, "Config": f"./{own['Config']}"}),
    "an absolute config": _item(lambda _, own: {**own, "Config": f"/{own['Config']}"}),
    "a config through a parent": _item(lambda _, own: {**own, "Config": f"a/../{own['Config']}"}),
    "a config outside": _item(lambda _, own: {**own, "Config": f"../{own['Config']}"}),
    "a config with a NUL": _item(lambda _, own: {**own, "Config": f"{own['Config']}\0"}),
    "a config with a slash behind": _item(lambda _, own: {**own, "Config": f"{own['Config']}/"}),
    "a parent": _item(lambda pair, own: {**own, "Parent": pair.planted.config.digest}),
    "a parent that is itself": _item(lambda pair, own: {**own, "Parent": pair.good.config.digest}),
    "a parent that is not a digest": _item(lambda _, own: {**own, "Parent": "x"}),
    "layer sources": _item(
        lambda pair, own: {**own, "LayerSources": {pair.good.layers[0].diff_id: pair.planted.layers[0].descriptor}}
    ),
    "layer sources that are not an object": _item(lambda _, own: {**own, "LayerSources": []}),
    "layer sources with addresses": _item(
        lambda pair, own: {
            **own,
            "LayerSources": {
                pair.good.layers[0].diff_id: {
                    **pair.good.layers[0].descriptor,
                    "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                    "urls": ["https://example.com/x"],
                }
            },
        }
    ),
    "an unknown member": _item(lambda _, own: {**own, "Other": 1}),
}


def _repeat(text: str) -> Make:
    """Return an archive with a document behind `manifest.json`'s array."""

    def make(pair: Pair) -> bytes:
        listed = index(entry(pair.good, pair.name), entry(pair.planted, f"{pair.repository}:2"))
        good, planted = dumped([item(pair.good, pair.name)]), dumped([item(pair.planted, pair.name)])
        return both_images(pair, index=listed, manifest=good + text.encode() + planted)

    return make


def _embedded(pair: Pair, own: dict[str, Json]) -> Json:
    return {**own, "data": base64.b64encode(pair.planted.raw).decode()}


def _with_manifest_as_config(pair: Pair) -> Pair:
    raw = dumped({**json.loads(pair.planted.raw), "config": pair.good.entry})
    return replace(pair, planted=Built(raw, pair.planted.media_type, pair.planted.blobs))


_ENTRIES = {
    "an entry with other data": _entry(_embedded),
    "an entry with addresses": _entry(lambda _, own: {**own, "urls": ["https://example.com/x"]}),
    "an entry with an artifact type": _entry(lambda _, own: {**own, "artifactType": "application/x-other"}),
    "an entry that says it is an index": _entry(
        lambda _, own: {**own, "mediaType": "application/vnd.oci.image.index.v1+json"}
    ),
    "an entry that says it is a config": _entry(
        lambda _, own: {**own, "mediaType": "application/vnd.oci.image.config.v1+json"}
    ),
    "an entry without a type": _entry(lambda _, own: {**own, "mediaType": ""}),
    "an entry with its type in upper case": _entry(lambda _, own: {**own, "mediaType": own["mediaType"].upper()}),
    "an entry with a parameter in its type": _entry(lambda _, own: {**own, "mediaType": own["mediaType"] + ";a=b"}),
    "an entry with a wrong size": _entry(lambda _, own: {**own, "size": own["size"] + 1}),
    "an entry with a size of zero": _entry(lambda _, own: {**own, "size": 0}),
    "an entry with a size in floating point": _entry(lambda _, own: {**own, "size": float(own["size"])}),
    "an entry with a digest in upper case": _entry(lambda _, own: {**own, "digest": own["digest"].upper()}),
    "an entry with an annotation that is not a text": _entry(
        lambda _, own: {**own, "annotations": {**own["annotations"], "x": 1}}
    ),
    "an entry with null for a name": _entry(
        lambda _, own: {**own, "annotations": {**own["annotations"], REF_NAME: None}}
    ),
    "a planted entry that is an index by its type": _entry(
        lambda _, own: {**own, "mediaType": "application/vnd.oci.image.index.v1+json"}, good=False
    ),
    "a planted entry of docker's type": _entry(
        lambda _, own: {**own, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}, good=False
    ),
    "a planted entry of an unknown type": _entry(
        lambda _, own: {**own, "mediaType": "application/x-other"}, good=False
    ),
    "a planted entry of schema 1": _entry(
        lambda _, own: {**own, "mediaType": "application/vnd.docker.distribution.manifest.v1+json"}, good=False
    ),
    "a planted entry without a type": _entry(lambda _, own: {**own, "mediaType": ""}, good=False),
    "a planted entry that calls itself an attestation": _entry(
        lambda _, own: {
            **own,
            "annotations": {**own["annotations"], "vnd.docker.reference.type": "attestation-manifest"},
        },
        good=False,
    ),
    "a planted entry that calls itself a signature": _entry(
        lambda _, own: {**own, "artifactType": "application/vnd.dev.cosign.artifact.sig.v1+json"}, good=False
    ),
    "a config that is a manifest": _entry(lambda _, own: own, good=False, changed=_with_manifest_as_config),
}


_INDEXES = {
    "index.json with a subject": Hostile(
        lambda pair: tar(both(pair, index=index(entry(pair.good, pair.name), subject=pair.planted.entry)))
    ),
    "index.json with an artifact type": Hostile(
        lambda pair: tar(both(pair, index=index(entry(pair.good, pair.name), artifactType="application/x-other")))
    ),
    "index.json with layers": Hostile(
        lambda pair: both_images(
            pair,
            index=index(
                entry(pair.good, pair.name),
                config=pair.planted.config.descriptor,
                layers=[each.descriptor for each in pair.planted.layers],
            ),
        )
    ),
    "index.json of docker's type": Hostile(
        lambda pair: tar(
            both(
                pair,
                index={
                    **index(entry(pair.good, pair.name)),
                    "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
                },
            )
        )
    ),
    "index.json of a manifest's type": Hostile(
        lambda pair: tar(
            both(
                pair,
                index={
                    **index(entry(pair.good, pair.name)),
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                },
            )
        )
    ),
    "index.json of another schema": Hostile(
        lambda pair: tar(both(pair, index={**index(entry(pair.good, pair.name)), "schemaVersion": 1}))
    ),
    "index.json without a schema": Hostile(
        lambda pair: tar(both(pair, index={"manifests": [entry(pair.good, pair.name)]}))
    ),
}


def _layered(*layers: Blob) -> Hostile:
    """Return an archive whose pinned image has odd layers."""
    return Hostile(
        lambda pair: tar(both(pair)),
        changed=lambda pair: replace(pair, good=image(*pair.good.layers, *layers)),
    )


def _docker_only(content: bytes, diff_id: str) -> Make:
    """Return docker's form of archive with a layer of some content, and a diff_id that may be false."""

    def make(pair: Pair) -> bytes:
        config = {**json.loads(pair.good.config.content), "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
        name = f"{sha256(dumped(config)).removeprefix('sha256:')}.json"
        documents = [{"Config": name, "RepoTags": [pair.name], "Layers": ["layer.tar"]}]
        return tar({"manifest.json": dumped(documents), name: dumped(config), "layer.tar": content})

    return make


_TRUE = hello("true")
_LAYERS = {
    "docker's layer that is an empty object": Hostile(_docker_only(b"{}", _TRUE.diff_id)),
    "docker's layer that is empty": Hostile(_docker_only(b"", _TRUE.diff_id)),
    "docker's layer that is a document": Hostile(_docker_only(b'{"a":1}', _TRUE.diff_id)),
    "docker's layer that is a document, with its diff_id": Hostile(_docker_only(b'{"a":1}', sha256(b'{"a":1}'))),
    "docker's layer that is zeros": Hostile(_docker_only(bytes(1024), _TRUE.diff_id)),
    "docker's layer that is text": Hostile(_docker_only(b"text", _TRUE.diff_id)),
    "docker's layer that is another": Hostile(_docker_only(hello("false").content, _TRUE.diff_id)),
    "a layer that is a document": _layered(Blob(b"{}", "application/vnd.oci.image.layer.v1.tar", _TRUE.diff_id)),
    "a layer that is an empty file": _layered(Blob(b"", "application/vnd.oci.image.layer.v1.tar", _TRUE.diff_id)),
    "a layer with another diff_id": _layered(Blob(_TRUE.content, _TRUE.media_type, sha256(b"other"))),
}
DOCUMENTS: dict[str, Hostile] = {
    **_empties(),
    **{f"an item with {text}": hostile for text, hostile in _ITEMS.items()},
    "a second array behind manifest.json's": Hostile(_repeat("")),
    "a second array behind manifest.json's and a line feed": Hostile(_repeat("\n")),
    "a second array behind manifest.json's and a comma": Hostile(_repeat(",")),
    "a second array behind manifest.json's and a NUL": Hostile(_repeat("\0")),
    **_ENTRIES,
    **_INDEXES,
    **_LAYERS,
}
