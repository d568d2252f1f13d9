"""Archives of writers that are in no package, or are too old to run, generated after their sources.

Of docker: ``save.go`` at 1.10.0, 17.03.0, 25.0.2 and 26.1.0; of jib: ``ImageTarball.java`` before and since 2.3; of
kaniko: ``push.go`` at 1.24 and the library that it shares with crane; of regctl: ``image.go`` at 0.11.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import zstandard

from imgfetch.oci import mediatypes
from tests.headers import header
from tests.images import Blob, Built, sha256
from tests.writers import APP, BY_CRANE, BY_JIB, BY_REGCTL, CHART, DOCKER_10, DOCKER_25, LAYOUT, MULTI

REFERENCE = "registry.example/verify/app:v1"
OTHER_REFERENCE = "registry.example/verify/app:v2"
FILE, SYMBOLIC_LINK, DIRECTORY = b"0", b"2", b"5"
END = bytes(1024)
_GO = {"owner": b"0000000", "group": b"0000000", "major device number": b"0000000", "minor device number": b"0000000"}


@dataclass(frozen=True)
class Entry:
    """A member of a tar."""

    name: str
    content: bytes = b""
    kind: bytes = FILE
    link: str = ""


@dataclass(frozen=True)
class Generated:
    """An archive.

    Attributes:
        content: its bytes.
        kind: what imgfetch calls it.
        names: the names of the image.
        built: what it has.
    """

    content: bytes
    kind: str
    names: frozenset[str] = frozenset({REFERENCE})
    built: Built = APP


def _of_go(*entries: Entry, modes: Mapping[bytes, bytes] | None = None) -> bytes:
    """Return a tar as Go writes it; docker before 25 puts the type of the file into its mode."""
    modes = modes or {FILE: b"0000644", DIRECTORY: b"0000755"}
    fields = {"time": b"%011o" % 0, **_GO}
    return _tar(entries, lambda each: {**fields, "mode": modes[each.kind], "size": b"%011o" % len(each.content)})


def _of_java(*entries: Entry) -> bytes:
    """Return a tar as Apache Commons Compress writes it, with a space behind each number."""
    zero = b"000000 \0"
    fields = {"mode": b"100644 ", "time": b"00000000000 ", **dict.fromkeys(_GO, zero)}
    return _tar(entries, lambda each: {**fields, "size": b"%011o " % len(each.content)})


def _tar(entries: tuple[Entry, ...], fields: Callable[[Entry], Mapping[str, bytes]]) -> bytes:
    out = b""
    for each in entries:
        block = header(each.name.encode(), {**fields(each), "type": each.kind, "link": each.link.encode()})
        out += block + each.content + bytes(-len(each.content) % 512)
    return out + END


def layers(built: Built) -> list[Blob]:
    """Return an image's layers in their order, one as often as the image has it."""
    blobs = {blob.digest: blob for blob in built.layers}
    return [blobs[descriptor["digest"]] for descriptor in json.loads(built.raw)["layers"]]


def plain(blob: Blob) -> bytes:
    """Return a layer's tar."""
    if blob.content.startswith(b"\x1f\x8b"):
        return gzip.decompress(blob.content)
    return zstandard.ZstdDecompressor().decompressobj().decompress(blob.content)


def _hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _blob(content: bytes) -> Entry:
    return Entry(f"blobs/sha256/{_hex(content)}", content)


def _v1_ids(built: Built) -> list[str]:
    """Return an ID for each layer, made of those before it."""
    ids = [""]
    for blob in layers(built):
        ids.append(_hex(f"{ids[-1]} {blob.diff_id}".encode()))
    return ids[1:]


def _v1_config(identity: str, parent: str) -> bytes:
    empty: dict[str, Any] = {"Hostname": "", "Env": None, "Cmd": None, "Labels": None}
    first = {"id": identity, "parent": parent} if parent else {"id": identity}
    return _compact({**first, "created": "0001-01-01T00:00:00Z", "container_config": empty, "os": "linux"})


def _docker_10(built: Built, *, links_layers: bool) -> bytes:
    """Return what docker 1.10 to 24 save: a directory for each layer, and for one that occurs twice, later, a link."""
    entries, seen, paths = [], dict[str, str](), list[str]()
    ids = _v1_ids(built)
    for number, (identity, blob) in enumerate(zip(ids, layers(built), strict=True)):
        parent = ids[number - 1] if number else ""
        path = f"{identity}/layer.tar"
        entries += [Entry(f"{identity}/", kind=DIRECTORY), Entry(f"{identity}/VERSION", b"1.0")]
        entries.append(Entry(f"{identity}/json", _v1_config(identity, parent)))
        if links_layers and blob.digest in seen:
            entries.append(Entry(path, kind=SYMBOLIC_LINK, link=f"../{seen[blob.digest]}"))
        else:
            entries.append(Entry(path, plain(blob)))
        seen.setdefault(blob.digest, path)
        paths.append(path)
    config = Entry(f"{_hex(built.config.content)}.json", built.config.content)
    item = {"Config": config.name, "RepoTags": [REFERENCE], "Layers": paths}
    name, _, tag = REFERENCE.rpartition(":")
    documents = {"manifest.json": [item], "repositories": {name: {tag: ids[-1]}}}
    entries += [config, *(Entry(name, _compact(document) + b"\n") for name, document in documents.items())]
    modes = {FILE: b"0100644", SYMBOLIC_LINK: b"0120777", DIRECTORY: b"0040755"}
    return _of_go(*sorted(entries, key=lambda each: each.name), modes=modes)


def _docker_25(built: Built, *, names_platform: bool) -> bytes:
    """Return what docker 25 and 26 save; the former names the platform in two places."""
    ids, stored = _v1_ids(built), layers(built)
    descriptors = [Blob(plain(blob), mediatypes.OCI_LAYER).descriptor for blob in stored]
    platform = {"platform": {"architecture": "amd64", "os": "linux"}} if names_platform else {}
    config = {"mediaType": mediatypes.OCI_CONFIG, "digest": built.config.digest, "size": len(built.config.content)}
    media_type = mediatypes.OCI_MANIFEST
    head = {"schemaVersion": 2, "mediaType": media_type, "config": {**config, **platform}}
    manifest = _compact({**head, "layers": descriptors})
    names = {"io.containerd.image.name": REFERENCE, "org.opencontainers.image.ref.name": "v1"}
    entry = {"mediaType": media_type, "digest": sha256(manifest), "size": len(manifest), "annotations": names}
    blobs = {_hex(plain(blob)): plain(blob) for blob in stored}
    contents = [_v1_config(identity, parent) for identity, parent in zip(ids, ["", *ids], strict=False)]
    contents += [manifest, built.config.content, *blobs.values()]
    members = sorted((_blob(content) for content in contents), key=lambda each: each.name)
    item = {
        "Config": f"blobs/sha256/{_hex(built.config.content)}",
        "RepoTags": [REFERENCE],
        "Layers": ["blobs/" + str(each["digest"]).replace(":", "/") for each in descriptors],
        "LayerSources": {each["digest"]: each for each in descriptors},
    }
    index = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": [{**entry, **platform}]}
    name, _, tag = REFERENCE.rpartition(":")
    return _of_go(
        Entry("blobs/", kind=DIRECTORY),
        Entry("blobs/sha256/", kind=DIRECTORY),
        *members,
        Entry("index.json", _compact(index)),
        Entry("manifest.json", _compact([item]) + b"\n"),
        Entry("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'),
        Entry("repositories", _compact({name: {tag: str(descriptors[-1]["digest"])[7:]}}) + b"\n"),
    )


def _jib(built: Built, keys: tuple[str, str, str]) -> bytes:
    stored = {f"{_hex(blob.content)}.tar.gz": blob.content for blob in layers(built)}
    paths = [f"{_hex(blob.content)}.tar.gz" for blob in layers(built)]
    item = dict(zip(keys, ("config.json", [REFERENCE], paths), strict=True))
    return _of_java(
        *(Entry(name, content) for name, content in stored.items()),
        Entry("config.json", built.config.content),
        Entry("manifest.json", _compact([item])),
    )


def _jib_layout(built: Built) -> bytes:
    """Return what jib writes of an image in the OCI format: a layout without directories."""
    entry = {"mediaType": built.media_type, "digest": built.digest, "size": len(built.raw)}
    entry["annotations"] = {"org.opencontainers.image.ref.name": REFERENCE}
    return _of_java(
        *{blob.digest: _blob(blob.content) for blob in layers(built)}.values(),
        _blob(built.config.content),
        _blob(built.raw),
        Entry("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'),
        Entry("index.json", _compact({"schemaVersion": 2, "manifests": [entry]})),
    )


def _kaniko(built: Built, *names: str) -> bytes:
    """Return what ``--tar-path`` writes, with all destinations as names."""
    paths = [f"{_hex(blob.content)}.tar.gz" for blob in layers(built)]
    stored = dict(zip(paths, (blob.content for blob in layers(built)), strict=True))
    item = {"Config": built.config.digest, "RepoTags": list(names), "Layers": paths}
    return _of_go(
        Entry(built.config.digest, built.config.content),
        *(Entry(name, content) for name, content in stored.items()),
        Entry("manifest.json", _compact([item])),
    )


def _regctl(built: Built) -> bytes:
    """Return what ``regctl image export`` writes: the documents first, the one for docker only of a single image."""
    names = {"io.containerd.image.name": REFERENCE, "org.opencontainers.image.ref.name": "v1"}
    entry = {"mediaType": built.media_type, "digest": built.digest, "size": len(built.raw), "annotations": names}
    entries = [
        Entry("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
        Entry("index.json", _compact({"schemaVersion": 2, "manifests": [entry]})),
    ]
    if not built.children:
        described = json.loads(built.raw)
        item = {
            "Config": f"blobs/{built.config.digest.replace(':', '/')}",
            "RepoTags": [REFERENCE],
            "Layers": ["blobs/" + each["digest"].replace(":", "/") for each in described["layers"]],
            "LayerSources": {each["digest"]: each for each in described["layers"]},
        }
        entries.append(Entry("manifest.json", _compact([item])))
    entries += [Entry("blobs/", kind=DIRECTORY), Entry("blobs/sha256/", kind=DIRECTORY)]
    return _of_go(*entries, *dict.fromkeys(_below(built)))


def _below(built: Built) -> Iterator[Entry]:
    """Yield a document and everything below it."""
    yield _blob(built.raw)
    for child in built.children:
        yield from _below(child)
    if not built.children:
        yield from (_blob(blob.content) for blob in built.blobs)


_SINCE_2_3, _BEFORE_2_3 = ("Config", "RepoTags", "Layers"), ("config", "repoTags", "layers")

WRITERS: Mapping[str, Generated] = {
    "docker-1.10": Generated(_docker_10(APP, links_layers=False), DOCKER_10),
    "docker-17.03": Generated(_docker_10(APP, links_layers=True), DOCKER_10),
    "docker-25.0.2": Generated(_docker_25(APP, names_platform=True), DOCKER_25),
    "docker-26.1": Generated(_docker_25(APP, names_platform=False), DOCKER_25),
    "jib-2.2": Generated(_jib(APP, _BEFORE_2_3), BY_JIB),
    "jib-3.5": Generated(_jib(APP, _SINCE_2_3), BY_JIB),
    "jib-3.5-oci": Generated(_jib_layout(APP), LAYOUT),
    "kaniko-1.24": Generated(_kaniko(APP, REFERENCE), BY_CRANE),
    "kaniko-1.24-two-destinations": Generated(
        _kaniko(APP, REFERENCE, OTHER_REFERENCE), BY_CRANE, frozenset({REFERENCE, OTHER_REFERENCE})
    ),
    "regctl-0.11": Generated(_regctl(APP), BY_REGCTL),
    "regctl-0.11-compressed": Generated(gzip.compress(_regctl(APP), mtime=0), BY_REGCTL),
    "regctl-0.11-index": Generated(_regctl(MULTI), LAYOUT, built=MULTI),
    "regctl-0.11-chart": Generated(_regctl(CHART), BY_REGCTL, built=CHART),
}
