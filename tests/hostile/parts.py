"""Parts of archives with a pinned image and a planted one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests import headers
from tests.images import Built, hello, image, sha256

END = bytes(1024)
NAME, REF_NAME = "io.containerd.image.name", "org.opencontainers.image.ref.name"
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'

Json = Any
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Pair:
    """An image that somebody wants, and another one that an archive may make them load.

    Attributes:
        name: with a tag; both images may have it in an archive.
        root: what is asked for by its digest, if it is not the good image but an index of it.
    """

    good: Built
    planted: Built
    name: str
    root: Built | None = None

    @property
    def pinned(self) -> str:
        return f"{self.name}@{(self.root or self.good).digest}"

    @property
    def repository(self) -> str:
        return self.name.rpartition(":")[0]


def pair(title: str) -> Pair:
    """Return two images of their own for an archive."""
    mark = sha256(title.encode())[-16:]
    return Pair(image(hello(f"good{mark}")), image(hello(f"planted{mark}")), f"docker.io/hostile/x{mark}:1")


Make = Callable[[Pair], bytes]
Change = Callable[[Pair], Pair]


@dataclass(frozen=True)
class Hostile:
    """An archive over which readers may differ.

    Attributes:
        make: returns its bytes.
        changed: makes other images of the usual ones.
    """

    make: Make
    changed: Change = lambda pair: pair

    def pair(self, title: str) -> Pair:
        """Return the images of the archive with a title."""
        return self.changed(pair(title))


def dumped(value: Json) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def path(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def blobs(*images: Built) -> dict[str, bytes]:
    """Return everything that documents of an archive point at."""
    found = {path(built.digest): built.raw for built in images}
    for built in images:
        found |= blobs(*built.children)
        found |= {path(blob.digest): blob.content for blob in built.blobs}
    return found


def entry(built: Built, name: str = "", ref: str | None = None, **extra: Json) -> dict[str, Json]:
    """Return an entry of `index.json`; ``ref`` is its other name, by default the same."""
    ref = name if ref is None else ref
    annotations = {key: text for key, text in ((NAME, name), (REF_NAME, ref)) if text}
    return {
        "mediaType": built.media_type,
        "digest": built.digest,
        "size": len(built.raw),
        **({"annotations": annotations} if annotations else {}),
        **extra,
    }


def index(*entries: Json, **extra: Json) -> dict[str, Json]:
    kind = "application/vnd.oci.image.index.v1+json"
    return {"schemaVersion": 2, "mediaType": kind, "manifests": list(entries), **extra}


def item(built: Built, *names: str, **extra: Json) -> dict[str, Json]:
    """Return an item of `manifest.json`."""
    listed = [entry["digest"] for entry in json.loads(built.raw)["layers"]]
    return {"Config": path(built.config.digest), "RepoTags": list(names), "Layers": list(map(path, listed)), **extra}


def both(pair: Pair, **changed: Json) -> dict[str, bytes]:
    """Return the members of imgfetch's own form of archive, with the good image.

    Args:
        pair: the images.
        changed: ``layout``, ``index``, ``manifest`` and ``repositories`` replace documents; ``None`` leaves one out.
            ``images`` are those whose blobs are in the archive.
    """
    documents = {
        "layout": LAYOUT,
        "index": index(entry(pair.good, pair.name)),
        "manifest": [item(pair.good, pair.name)],
        "repositories": None,
        "images": [pair.good],
        **changed,
    }
    files = {"layout": "oci-layout", "index": "index.json", "manifest": "manifest.json", "repositories": "repositories"}
    found = {name: dumped(documents[key]) for key, name in files.items() if documents[key] is not None}
    return found | blobs(*documents["images"])


def packed(files: Files) -> bytes:
    """Return tar entries without the end of an archive."""
    return b"".join(headers.entry(name.encode(), content) for name, content in files.items())


def tar(files: Files, *behind: bytes) -> bytes:
    """Return an archive of files and of raw entries behind them."""
    return packed(files) + b"".join(behind) + END


def file(name: bytes, content: bytes = b"", **fields: bytes) -> bytes:
    """Return an entry with any header."""
    size = {} if "size" in fields else {"size": b"%011o" % len(content)}
    return headers.header(name, {**size, **fields}) + content + bytes(-len(content) % 512)


def symlink(name: bytes, target: bytes) -> bytes:
    return file(name, type=b"2", link=target)


def hard_link(name: bytes, target: bytes, content: bytes = b"") -> bytes:
    return file(name, content, type=b"1", link=target)


def planted_documents(pair: Pair) -> dict[str, bytes]:
    """Return the documents of an archive with the planted image."""
    own = replace(pair, good=pair.planted)
    return {name: content for name, content in both(own).items() if not name.startswith("blobs")}


def under_good_names(pair: Pair) -> dict[str, bytes]:
    """Return the planted config and layer under the paths of the good ones."""
    return {
        path(good.digest): planted.content for good, planted in zip(pair.good.blobs, pair.planted.blobs, strict=True)
    }


def both_images(pair: Pair, **changed: Json) -> bytes:
    """Return an archive with the blobs of both images, and documents as for `both`."""
    return tar(both(pair, images=[pair.good, pair.planted], **changed))


def planted_archive(pair: Pair) -> bytes:
    return tar({**planted_documents(pair), **blobs(pair.planted)})


def behind(make: Make) -> Hostile:
    """Return an archive with some entries behind a good one's."""
    return Hostile(lambda pair: tar(both(pair), make(pair)))


def before(make: Make) -> Hostile:
    return Hostile(lambda pair: make(pair) + tar(both(pair)))


def evil(pair: Pair) -> bytes:
    """Return the planted documents and blobs in a directory, and the blobs also under the good ones' names."""
    found = {**planted_documents(pair), **blobs(pair.planted), **under_good_names(pair)}
    return packed({f"evil/{name}": content for name, content in found.items()})
