"""Image archives in the forms of known writers, made by chance, before anything in them is odd."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from imgfetch.oci import mediatypes
from tests.oracle.indexes import artifact, root
from tests.oracle.samples import NAME, REF_NAME, Change, Image, Json, described, image, rendered, sha256
from tests.oracle.tars import DIRECTORY, SYMBOLIC_LINK, Entry


@dataclass
class Draft:
    """An archive.

    Attributes:
        documents: JSON by name, which is written last.
        entries: the members in their order; those of documents are empty.
        is_by_gnu_tar: whether all names begin with ``./``.
    """

    documents: dict[str, Json] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    is_by_gnu_tar: bool = False

    def add(self, name: str, content: bytes = b"", kind: bytes = b"0", link: str = "") -> None:
        """Add a member, unless there is one of that name."""
        if all(entry.name != name.encode() for entry in self.entries):
            self.entries.append(Entry(name.encode(), content, kind, link.encode()))

    def add_blob(self, content: bytes) -> str:
        self.add(f"blobs/sha256/{sha256(content)}", content)
        return f"blobs/sha256/{sha256(content)}"

    def written(self) -> list[Entry]:
        """Return the members with the documents written."""
        for entry in self.entries:
            document = self.documents.get(entry.name.decode("latin-1"))
            if document is not None and not entry.content and entry.kind == b"0":
                entry.content = rendered(document)
            if self.is_by_gnu_tar:
                entry.name, entry.style = b"./" + entry.name, "gnu"
        return self.entries


def tag_of(name: str) -> str:
    return name.rpartition(":")[2]


def full(name: str) -> str:
    """Return the form in which writers put a name."""
    rest = name.removeprefix("index.").removeprefix("docker.io/").removeprefix("library/")
    host, slash, _ = rest.partition("/")
    if slash and (set(".:") & set(host)):
        return rest
    return f"docker.io/{rest}" if slash else f"docker.io/library/{rest}"


def _add_layout(draft: Draft, images: Sequence[Image], rng: random.Random, annotations: Sequence[str]) -> None:
    """Add the documents of a layout with these annotations in each entry."""
    draft.documents["oci-layout"] = {"imageLayoutVersion": "1.0.0"}
    entries: list[Json] = []
    for each in images:
        target = root(rng, each, draft.add_blob)
        for name in each.names or [""]:
            values = {NAME: full(name), REF_NAME: tag_of(name), "full": full(name)}
            notes = {(REF_NAME if key == "full" else key): values[key] for key in annotations} if name else {}
            entries.append({**target, **({"annotations": notes} if notes else {})})
    if rng.random() < 0.05:
        entries.append(artifact(rng, draft.add_blob))
    head = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX} if rng.random() < 0.8 else {"schemaVersion": 2}
    draft.documents["index.json"] = {**head, "manifests": entries}


def _add_blobs(draft: Draft, images: Sequence[Image]) -> None:
    for each in images:
        for blob in (each.config, *each.blobs):
            draft.add_blob(blob)


def _item(of: Image, config: str, layers: Sequence[str], names: Sequence[str] | None = None) -> dict[str, Json]:
    return {"Config": config, "RepoTags": list(of.names if names is None else names), "Layers": list(layers)}


def _blob_items(images: Sequence[Image]) -> list[Json]:
    return [
        _item(
            each,
            f"blobs/sha256/{sha256(each.config)}",
            [f"blobs/sha256/{sha256(blob)}" for blob in each.blobs],
            [full(name) for name in each.names],
        )
        for each in images
    ]


def _repositories(images: Sequence[Image]) -> Json:
    found: dict[str, dict[str, str]] = {}
    for each in images:
        for name in each.names:
            found.setdefault(name.rpartition(":")[0], {})[tag_of(name)] = each.layers[-1].diff_id if each.layers else ""
    return found


def imgfetch(rng: random.Random, images: Sequence[Image]) -> Draft:
    draft = Draft()
    for name in ("oci-layout", "index.json", "manifest.json", "repositories"):
        draft.add(name)
    draft.add("blobs/", kind=DIRECTORY)
    draft.add("blobs/sha256/", kind=DIRECTORY)
    _add_layout(draft, images, rng, [NAME, "full"])
    draft.documents["manifest.json"] = _blob_items(images)
    draft.documents["repositories"] = _repositories(images)
    _add_blobs(draft, images)
    return draft


def layout(rng: random.Random, images: Sequence[Image]) -> Draft:
    """Return a layout alone, as many tools write it."""
    draft = Draft()
    if rng.random() < 0.5:
        draft.add("blobs/", kind=DIRECTORY)
        draft.add("blobs/sha256/", kind=DIRECTORY)
    _add_layout(draft, images, rng, rng.choice([[NAME, REF_NAME], [REF_NAME], ["full"], [NAME, "full"]]))
    _add_blobs(draft, images)
    draft.add("index.json")
    draft.add("oci-layout")
    return draft


def gnu_tar(rng: random.Random, images: Sequence[Image]) -> Draft:
    """Return a directory with a layout, packed as ``tar -C layout -cf FILE .`` does."""
    draft = layout(rng, images)
    rng.shuffle(draft.entries)
    draft.entries.sort(key=lambda entry: entry.name.count(b"/") - (entry.kind == DIRECTORY))
    draft.entries.insert(0, Entry(b"", kind=DIRECTORY))
    draft.is_by_gnu_tar = True
    return draft


def docker_25(rng: random.Random, images: Sequence[Image]) -> Draft:
    draft = Draft()
    draft.add("blobs/", kind=DIRECTORY)
    draft.add("blobs/sha256/", kind=DIRECTORY)
    _add_layout(draft, images, rng, [NAME, REF_NAME])
    _add_blobs(draft, images)
    items = _blob_items(images)
    for item, each in zip(items, images, strict=True):
        item["RepoTags"] = each.names or None
        item["LayerSources"] = {
            f"sha256:{layer.diff_id}": described(blob, mediatypes.OCI_LAYER)
            for layer, blob in zip(each.layers, each.blobs, strict=True)
        }
    draft.documents["manifest.json"] = items
    draft.documents["repositories"] = _repositories(images)
    for name in ("index.json", "manifest.json", "oci-layout", "repositories"):
        draft.add(name)
    return draft


def docker_classic(rng: random.Random, images: Sequence[Image]) -> Draft:
    """Return what docker save wrote before 25."""
    draft = Draft()
    items: list[Json] = []
    for each in images:
        paths = []
        for number, layer in enumerate(each.layers):
            v1id = sha256(each.config + bytes([number]))
            parent = {"parent": sha256(each.config + bytes([number - 1]))} if number else {}
            draft.add(f"{v1id}/", kind=DIRECTORY)
            draft.add(f"{v1id}/VERSION", b"1.0")
            draft.add(f"{v1id}/json", rendered({"id": v1id, **parent, "os": "linux"}))
            paths.append(f"{v1id}/layer.tar")
            first = each.layers.index(layer)
            if first < number and rng.random() < 0.8:
                draft.add(paths[-1], kind=SYMBOLIC_LINK, link=f"../{paths[first]}")
            else:
                draft.add(paths[-1], layer.plain)
        draft.add(f"{sha256(each.config)}.json", each.config)
        items.append(_item(each, f"{sha256(each.config)}.json", paths, each.names or None))
    draft.documents["manifest.json"] = items
    draft.documents["repositories"] = _repositories(images)
    draft.add("manifest.json")
    draft.add("repositories")
    return draft


def podman(rng: random.Random, images: Sequence[Image]) -> Draft:
    """Return a docker-archive of podman or skopeo."""
    draft = Draft()
    items: list[Json] = []
    for each in images:
        for number, layer in enumerate(each.layers):
            v1id = sha256(each.config + bytes([number]))
            draft.add(f"{layer.diff_id}.tar", layer.plain)
            draft.add(f"{v1id}/layer.tar", kind=SYMBOLIC_LINK, link=f"../{layer.diff_id}.tar")
            draft.add(f"{v1id}/VERSION", b"1.0")
            draft.add(f"{v1id}/json", rendered({"id": v1id}))
        draft.add(f"{sha256(each.config)}.json", each.config)
        items.append(_item(each, f"{sha256(each.config)}.json", [f"{layer.diff_id}.tar" for layer in each.layers]))
    draft.documents["manifest.json"] = items
    draft.documents["repositories"] = _repositories(images)
    for name in rng.sample(["manifest.json", "repositories"], 2):
        draft.add(name)
    return draft


def crane(_rng: random.Random, images: Sequence[Image]) -> Draft:
    """Return an archive of crane, kaniko or another user of its library."""
    draft = Draft()
    items: list[Json] = []
    for each in images:
        draft.add(f"sha256:{sha256(each.config)}", each.config)
        paths = []
        for layer in each.layers:
            paths.append(f"{sha256(layer.compressed)}.tar.gz")
            draft.add(paths[-1], layer.compressed)
        items.append(_item(each, f"sha256:{sha256(each.config)}", paths))
    draft.documents["manifest.json"] = items
    draft.add("manifest.json")
    return draft


def jib(_rng: random.Random, images: Sequence[Image]) -> Draft:
    """Return an archive of jib, whose keys begin with small letters."""
    draft = Draft()
    first = images[0]
    for layer in first.layers:
        draft.add(f"{sha256(layer.compressed)}.tar.gz", layer.compressed)
    draft.add("config.json", first.config)
    layers = [f"{sha256(layer.compressed)}.tar.gz" for layer in first.layers]
    draft.documents["manifest.json"] = [{"config": "config.json", "repoTags": first.names, "layers": layers}]
    draft.add("manifest.json")
    return draft


FORMS = (imgfetch, imgfetch, layout, gnu_tar, docker_25, docker_classic, podman, crane, jib)


def draft(rng: random.Random, change: Change) -> Draft:
    """Return an archive of one to three images with different names."""
    count = rng.choice([1, 1, 1, 1, 2, 3])
    images: list[Image] = []
    taken: set[str] = set()
    for _ in range(count):
        made = image(rng, change)
        made.names = [name for name in made.names if full(name) not in taken and not taken.add(full(name))]  # type: ignore[func-returns-value]
        images.append(made)
    return rng.choice(FORMS)(rng, images)
