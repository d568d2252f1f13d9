"""Builds images from bytes, bit for bit the same each time.

A `Built` is a document, image manifest or index, with everything that it points at.  Layers are `Blob` objects
whose stored bytes, media type and decompressed bytes are each what a test says, true or not.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import struct
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import zstandard

from imgfetch.archive import ustar
from imgfetch.oci import mediatypes

DOCKER_GZIP = mediatypes.DOCKER_LAYER_GZIP
OCI_TAR = mediatypes.OCI_LAYER
OCI_GZIP = mediatypes.OCI_LAYER_GZIP
OCI_ZSTD = mediatypes.OCI_LAYER_ZSTD

SKIPPABLE = struct.pack("<II", 0x184D2A50, 11) + b"no content!"


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def tar(files: Mapping[str, bytes]) -> bytes:
    """Return a tar with these files; a name that ends with a slash is a directory."""
    out = bytearray()
    for name, content in files.items():
        is_directory = name.endswith("/")
        typeflag, mode = (ustar.DIRECTORY, 0o755) if is_directory else (ustar.FILE, 0o755)
        out += ustar.header(name, len(content), mtime=1, mode=mode, typeflag=typeflag)
        out += content + ustar.padding(len(content))
    return bytes(out) + ustar.END


def part_of_a_header(stream: bytes) -> bytes:
    """Return the part of a header with which a tar stream ends, or nothing if it ends elsewhere."""
    position = 0
    while position + ustar.BLOCK < len(stream):
        header = tarfile.TarInfo.frombuf(stream[position : position + ustar.BLOCK], "ascii", "strict")
        position += ustar.BLOCK + ustar.padded(header.size)
    rest = stream[position:]
    return rest if len(rest) < ustar.BLOCK else b""


def gz(content: bytes) -> bytes:
    return gzip.compress(content, 6, mtime=0)


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress(content)


def multi_member_gzip(content: bytes, step: int = 512) -> bytes:
    """Return one member for each ``step`` bytes and an empty one at the end, as eStargz has."""
    return b"".join(gz(content[start : start + step]) for start in range(0, len(content), step)) + gz(b"")


@dataclass(frozen=True)
class Blob:
    """Content as it is stored.

    Attributes:
        content: the stored bytes.
        media_type: what the descriptor calls it.
        diff_id: what the config says of it, if it is a layer.
        extra: further members of the descriptor, which may overwrite the true ones.
    """

    content: bytes
    media_type: str
    diff_id: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        return sha256(self.content)

    @property
    def descriptor(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content), **self.extra}


def layer(content: bytes, media_type: str = OCI_GZIP, *, raw: bytes | None = None, **extra: Any) -> Blob:
    """Return a layer; ``raw`` is its decompressed form, by default ``content`` is compressed from it here."""
    if raw is None:
        raw = content
        if media_type.endswith("gzip"):
            content = gz(raw)
        elif media_type.endswith("zstd"):
            content = zstd(raw)
    return Blob(content, media_type, sha256(raw), extra)


def hello(text: str = "hello", media_type: str = OCI_GZIP) -> Blob:
    """Return a small layer with one file."""
    return layer(tar({f"{text}.txt": f"{text}\n".encode() * 100}), media_type)


@dataclass(frozen=True)
class Built:
    """A document and what it points at.

    Attributes:
        raw: the document's bytes.
        media_type: what it is.
        blobs: config and layers, those of children included.
        children: documents that stand in the registry besides.
        platform: what an index says it is for.
    """

    raw: bytes
    media_type: str
    blobs: tuple[Blob, ...] = ()
    children: tuple[Built, ...] = ()
    platform: Mapping[str, Any] | None = None

    @cached_property
    def digest(self) -> str:
        return sha256(self.raw)

    @property
    def config(self) -> Blob:
        """An image manifest's config."""
        return self.blobs[0]

    @property
    def layers(self) -> tuple[Blob, ...]:
        """An image manifest's layers, each once."""
        return self.blobs[1:]

    @property
    def entry(self) -> dict[str, Any]:
        """Its entry in an index."""
        descriptor = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.raw)}
        return {**descriptor, "platform": dict(self.platform)} if self.platform else descriptor


AMD64 = {"architecture": "amd64", "os": "linux"}
ARM64 = {"architecture": "arm64", "os": "linux", "variant": "v8"}


def image(
    *layers: Blob,
    docker: bool = False,
    platform: Mapping[str, Any] | None = AMD64,
    indent: int | None = None,
    config: Mapping[str, Any] | None = None,
    config_type: str | None = None,
    manifest: Mapping[str, Any] | None = None,
    manifest_indent: int | None = 3,
) -> Built:
    """Return an image manifest with its config and layers.

    Args:
        layers: base first; one may stand in several places.
        docker: schema 2 instead of OCI.
        platform: what the config says, and an index that the image is put in; ``None`` leaves it out of the index.
        indent: of a pretty-printed config.
        config: members of the config that replace the true ones.
        config_type: the config's media type.
        manifest: members of the manifest that replace the true ones; ``None`` as a value leaves one out.
        manifest_indent: as docker writes it, or ``None``.
    """
    machine = {key: value for key, value in (platform or AMD64).items() if key != "os.features"}
    body = {
        **machine,
        "config": {"Cmd": ["/hello"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [blob.diff_id for blob in layers]},
        "history": [{"created_by": f"layer {number}"} for number in range(1, len(layers) + 1)],
        **(config or {}),
    }
    default_type = mediatypes.DOCKER_CONFIG if docker else mediatypes.OCI_CONFIG
    config_blob = Blob(_json(body, indent), default_type if config_type is None else config_type)
    media_type = mediatypes.DOCKER_MANIFEST if docker else mediatypes.OCI_MANIFEST
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config_blob.descriptor,
        "layers": [blob.descriptor for blob in layers],
        **(manifest or {}),
    }
    document = {key: value for key, value in document.items() if value is not None}
    distinct = tuple({blob.digest: blob for blob in layers}.values())
    return Built(_json(document, manifest_indent), media_type, (config_blob, *distinct), platform=platform)


def attestation(subject: Built) -> Built:
    """Return what buildkit puts beside an image."""
    text = json.dumps({"_type": "https://in-toto.io/Statement/v0.1", "subject": subject.digest}).encode()
    statement = layer(text, "application/vnd.in-toto+json", raw=text)
    return image(statement, platform={"architecture": "unknown", "os": "unknown"})


EMPTY = Blob(b"{}", "application/vnd.oci.empty.v1+json")
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE = "application/vnd.dsse.envelope.v1+json"


def referrer(about: Built, artifact_type: str = BUNDLE, content: bytes = b'{"a": "bundle"}', **manifest: Any) -> Built:
    """Return an artifact about an image or index; further arguments are members of its manifest."""
    subject = {key: value for key, value in about.entry.items() if key != "platform"}
    blob = Blob(content, artifact_type)
    document = {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": EMPTY.descriptor,
        "layers": [blob.descriptor],
        "subject": subject,
        **manifest,
    }
    return Built(_json(document, None), mediatypes.OCI_MANIFEST, (EMPTY, blob))


def cosigned(subject: Built, media_type: str = SIMPLE_SIGNING) -> Built:
    """Return what cosign 2 keeps under a tag of the subject: an image whose layer is a statement."""
    text = json.dumps({"critical": {"image": {"docker-manifest-digest": subject.digest}}}).encode()
    return image(layer(text, media_type, raw=text), config={"created": "0001-01-01T00:00:00Z"}, manifest_indent=None)


def cosign_tag(subject: Built, suffix: str = ".sig") -> str:
    """Return a tag under which cosign 2 looks for what is about a manifest or index."""
    return subject.digest.replace(":", "-") + suffix


def index(
    *children: Built, docker: bool = False, entries: Sequence[Mapping[str, Any]] | None = None, **extra: Any
) -> Built:
    """Return an index of ``children``; ``entries`` replaces what it says of them."""
    media_type = mediatypes.DOCKER_LIST if docker else mediatypes.OCI_INDEX
    manifests = [child.entry for child in children] if entries is None else list(entries)
    raw = _json({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests, **extra}, None)
    return Built(raw, media_type, tuple(blob for child in children for blob in child.blobs), children)


def _json(value: object, indent: int | None) -> bytes:
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(value, indent=indent, separators=separators).encode()
