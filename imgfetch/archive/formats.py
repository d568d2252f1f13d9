"""The members of an archive in each format, in their order, which is fixed: it depends on images and options alone.

``docker``, the format of `docker load`, is an OCI image layout with docker's two files::

    oci-layout  index.json  manifest.json  repositories
    blobs/  blobs/sha256/                   and blobs/sha512/, if it has blobs
    blobs/<algorithm>/<encoded>             each blob once, in the order of `Selection.blobs`:
        of each selection   its indexes, if several platforms are saved
                            manifest, config and layers, base first, of each image
                            statements, such as attestations, then the blobs of them all
                            the indexes from a requested or signed digest down to its image
                            signatures and the like, each with its blobs

Layers that ``--base`` leaves out are missing.  Blobs are identical to those of the registry, so the manifest digest
survives in readers that keep it, except if layers are decompressed: then manifests change, and the last two rows are
missing.  ``oci`` has the same without docker's two files; skopeo and others call it ``oci-archive``.

``docker-classic`` is that of `docker save` before 25, for docker before 1.10, MikroTik RouterOS, udocker, and scripts
that look for ``*/layer.tar``::

    <v1id>/  <v1id>/VERSION  <v1id>/json  <v1id>/layer.tar      of each layer, base first
    <config>.json                                               of each image
    manifest.json  repositories

There is no ``blobs/``, because docker before 1.10 reads every top-level directory as an image.  Layers are
uncompressed and always regular files, even if repeated.  A v1id depends on the layers below, so images share common
base layers.

Source: OCI image specification, "Image Layout".
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, Protocol

from imgfetch.archive.image_layout import ABSENT, BASE, COSIGN, COSIGN_KINDS, KIND, NAME, REF_NAME, TAG, compact, path
from imgfetch.archive.selection import Selection, blobs_of
from imgfetch.archive.tarlayout import Content, Documents, Member
from imgfetch.oci import mediatypes
from imgfetch.oci.config import Config
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference
from imgfetch.oci.referrers import Referrer

Annotations = Callable[[Reference], Mapping[str, str]]
"""A function that returns the annotations for a name, which has either a tag or a digest."""

_LAYOUT = Member("oci-layout", 30, b'{"imageLayoutVersion":"1.0.0"}')
"""The first entry, by which readers recognize the layout."""
_V1_VERSION = b"1.0"
_V1_CREATED = "1970-01-01T00:00:00Z"
_NOT_V1 = frozenset({"rootfs", "history"})
"""Members of the config that the top layer's v1 JSON lacks."""


class Members(Protocol):
    """A function that returns an archive's entries in order."""

    def __call__(
        self, selections: Sequence[Selection], contents: Mapping[Digest, Content], documents: Documents, /
    ) -> tuple[Member, ...]:
        """Return them.

        Args:
            selections: the archive's images.
            contents: content that the store does not have under its digest.
            documents: the images' manifests and configs; receives new ones.

        Raises:
            VerificationError: a blob has two sizes.
        """


class Format(NamedTuple):
    """A format of an archive.

    Attributes:
        is_uncompressed: whether layers are always decompressed.
        is_by_chain: whether readers may identify a layer by the layers below it, not by its blob.
        has_one_platform: whether indexes are impossible.
    """

    members: Members
    is_uncompressed: bool = False
    is_by_chain: bool = True
    has_one_platform: bool = False


def _docker_members(
    selections: Sequence[Selection], contents: Mapping[Digest, Content], _: Documents
) -> tuple[Member, ...]:
    diff_ids = [selection.preferred.config.diff_ids for selection in selections]
    return (
        _LAYOUT,
        _index(selections, lambda name: {NAME: str(name), REF_NAME: str(name)}),
        _document("manifest.json", [_docker_item(selection) for selection in selections]),
        _repositories(selections, [layers[-1].encoded if layers else "" for layers in diff_ids]),
        *_blobs(selections, contents),
    )


def _oci_members(
    selections: Sequence[Selection], contents: Mapping[Digest, Content], _: Documents
) -> tuple[Member, ...]:
    """Return the entries of an OCI image layout alone.

    Its ``ref.name`` is the bare tag, as ORAS, umoci and buildkit expect, or the full name if several images have that
    tag, because skopeo would find only the first.  An image requested by digest has none, because a digest is not a
    valid name there.
    """
    images = Counter(reference.tag for selection in selections for reference in selection.tags)

    def annotations(name: Reference) -> Mapping[str, str]:
        if not name.tag:
            return {NAME: str(name)}
        return {NAME: str(name), REF_NAME: name.tag if images[name.tag] == 1 else str(name)}

    return (_LAYOUT, _index(selections, annotations), *_blobs(selections, contents))


def _classic_members(
    selections: Sequence[Selection], contents: Mapping[Digest, Content], documents: Documents
) -> tuple[Member, ...]:
    """Return the entries for the preferred image of each selection, whose layers must be uncompressed."""
    layers: dict[str, tuple[Member, ...]] = {}
    configs: dict[str, Member] = {}
    items: list[dict[str, object]] = []
    tops: list[str] = []
    for selection in selections:
        image, ids = selection.preferred, [""]
        raw_config = documents.read(image.manifest.config.digest)
        for (v1id, v1), layer in zip(_v1_chain(image.config, raw_config), image.manifest.layers, strict=True):
            ids.append(v1id)
            if v1id not in layers:
                layers[v1id] = _v1_layer(v1id, v1, layer, contents, documents)
        config = image.manifest.config
        name = f"{config.digest.encoded}.json"
        configs[name] = Member(name, config.size, config.digest)
        items.append(_item(selection, name, [f"{v1id}/layer.tar" for v1id in ids[1:]]))
        tops.append(ids[-1])
    return (
        *chain.from_iterable(layers.values()),
        *configs.values(),
        _document("manifest.json", items),
        _repositories(selections, tops),
    )


FORMATS: Mapping[str, Format] = {
    "docker": Format(_docker_members),
    "docker-classic": Format(_classic_members, is_uncompressed=True, has_one_platform=True),
    "oci": Format(_oci_members, is_by_chain=False),
}


def _index(selections: Sequence[Selection], annotations: Annotations) -> Member:
    """Return `index.json` with an entry for each name.

    Entries have no platform, because containerd drops those for other platforms.  A lone image has one entry: with
    two, podman would lose the digest, and skopeo refuse the ``oci-archive``.  If there are several entries anyway, the
    names with the requested digests are there too, by which containerd and Kubernetes look for images.
    """
    present = blobs_of(selections)
    referrers = {each.descriptor.digest: each for selection in selections for each in selection.referrers}
    is_alone = sum(len(selection.names) for selection in selections) == 1 and not referrers
    signed = _signed(selections)
    entries: list[dict[str, object]] = []
    for selection in selections:
        absent = dict.fromkeys(str(blob.digest) for blob in selection.blobs() if blob.digest not in present)
        left_out = {ABSENT: " ".join(absent), BASE: " ".join(selection.bases)} if absent else {}
        names = dict.fromkeys([*selection.names, *(() if is_alone else selection.pins)])
        root = selection.root.entry()
        kind = {KIND: f"{COSIGN}{'imageIndex' if selection.indexes else 'image'}"} if selection.root == signed else {}
        entries += [{**root, "annotations": {**annotations(name), **left_out, **kind}} for name in names]
    entries += (_referrer(each, signed) for each in referrers.values())
    document = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": entries}
    return _document("index.json", document)


def _signed(selections: Iterable[Selection]) -> Descriptor | None:
    """Return the first image or index that something refers to; cosign verifies only one."""
    about = {referrer.subject for each in selections for referrer in each.referrers}
    return next((each.root for each in selections if each.root.digest in about), None)


def _referrer(referrer: Referrer, signed: Descriptor | None) -> dict[str, object]:
    """Return the entry of a referrer; it has no name, or readers would give it to an image."""
    entry = referrer.descriptor.entry()
    if not referrer.tag:
        return {**entry, "artifactType": referrer.artifact_type} if referrer.artifact_type else entry
    kind = COSIGN_KINDS.get(referrer.tag.rpartition(".")[2]) if signed and signed.digest == referrer.subject else None
    return {**entry, "annotations": {TAG: referrer.tag, **({KIND: kind} if kind else {})}}


def _blobs(selections: Sequence[Selection], contents: Mapping[Digest, Content]) -> Iterator[Member]:
    """Yield the directories for blobs, and each blob once."""
    found = blobs_of(selections)
    yield Member("blobs/", 0)
    for algorithm in sorted({"sha256", *(digest.algorithm for digest in found)}):
        yield Member(f"blobs/{algorithm}/", 0)
    for digest, descriptor in found.items():
        yield Member(path(digest), descriptor.size, contents.get(digest, digest))


def _docker_item(selection: Selection) -> dict[str, object]:
    manifest, diff_ids = selection.preferred.manifest, selection.preferred.config.diff_ids
    item = _item(selection, path(manifest.config.digest), [path(layer.digest) for layer in manifest.layers])
    sources = {
        str(diff_id): {
            "mediaType": layer.media_type,
            "size": layer.size,
            "digest": str(layer.digest),
            **({"urls": list(layer.urls)} if layer.urls else {}),
        }
        for layer, diff_id in zip(manifest.layers, diff_ids, strict=True)
        if mediatypes.is_foreign(layer.media_type)
    }
    # Other layers must not have it: crane's library makes manifests of it that podman rejects.
    return {**item, "LayerSources": sources} if sources else item


def _item(selection: Selection, config: str, layers: Sequence[str]) -> dict[str, object]:
    """Return an item of `manifest.json`; docker and podman reject digests in ``RepoTags``."""
    return {"Config": config, "RepoTags": list(map(str, selection.tags)), "Layers": layers}


def _repositories(selections: Iterable[Selection], tops: Iterable[str]) -> Member:
    """Return `repositories`: the top layer by repository and tag, its v1id or, as in docker 25, its diff_id."""
    repositories: dict[str, dict[str, str]] = {}
    for selection, top in zip(selections, tops, strict=True):
        for reference in selection.tags if top else ():
            repositories.setdefault(reference.name, {})[reference.tag or ""] = top
    return _document("repositories", repositories)


def _v1_layer(
    v1id: str, v1: Mapping[str, object], layer: Descriptor, contents: Mapping[Digest, Content], documents: Documents
) -> tuple[Member, ...]:
    raw = compact(v1)
    described = Descriptor.of(raw, mediatypes.DOCKER_CONFIG)
    documents.put(described, raw)  # the top layer's has most of the config
    return (
        Member(f"{v1id}/", 0),
        Member(f"{v1id}/VERSION", len(_V1_VERSION), _V1_VERSION),
        Member(f"{v1id}/json", described.size, described.digest),
        Member(f"{v1id}/layer.tar", layer.size, contents.get(layer.digest, layer.digest)),
    )


def _v1_chain(config: Config, raw: bytes) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield each layer's v1id and v1 JSON, base first.

    A v1id is the SHA-256 of the JSON with the layer's diff_id in place of the v1id.
    """
    parent = ""
    diff_ids = config.diff_ids
    for number, diff_id in enumerate(diff_ids, 1):
        if number < len(diff_ids):
            v1: dict[str, object] = {"created": _V1_CREATED}
        else:
            v1 = {key: value for key, value in json.loads(raw).items() if key not in _NOT_V1}
        if parent:
            v1["parent"] = parent
        v1id = hashlib.sha256(compact({**v1, "layer_id": str(diff_id)})).hexdigest()
        yield v1id, {"id": v1id, **v1}
        parent = v1id


def _document(name: str, document: object) -> Member:
    """Return a member with compact JSON in ASCII, its keys in the given order."""
    content = compact(document)
    return Member(name, len(content), content)
