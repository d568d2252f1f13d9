"""Bad input is input: each ends with its own status and words, and leaves the target as it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.images import (
    AMD64,
    ARM64,
    OCI_GZIP,
    OCI_TAR,
    OCI_ZSTD,
    Blob,
    Built,
    gz,
    hello,
    image,
    index,
    layer,
    sha256,
    tar,
    zstd,
)
from tests.integration.conftest import Command
from tests.loopback import Answer, Loopback

LAYERS = Path(__file__).parents[2] / "fixtures/layers"
INCOMPLETE = Blob(
    (LAYERS / "incomplete-huffman.tar.gz").read_bytes(),
    OCI_GZIP,
    "sha256:ba2d6678c61f20a773ea54c7ce0e1e051b1ada3b896d943537bb676d5e3634f3",  # of what a lenient library makes of it
    {},
)
RAW = tar({"data.txt": b"a line of text\n" * 1000})
GOOD = image(layer(RAW), hello("top"))
FIRST, SECOND = GOOD.layers
WRONG = "sha256:" + "0" * 64


@dataclass(frozen=True)
class Broken:
    """A broken input and what is expected of it.

    Attributes:
        serve: puts it into a registry and returns its reference.
        status: the exit status.
        says: what the message must hold.
        arguments: further arguments.
    """

    serve: Callable[[Loopback], str]
    status: int = 0
    says: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    def ends(self, status: int, *says: str, arguments: tuple[str, ...] = ()) -> Broken:
        return replace(self, status=status, says=says, arguments=arguments)


def built(value: Built) -> Broken:
    """Serve an image that is broken in itself."""
    return Broken(lambda registry: registry.add("team/app", "v1", value))


def answering(path: str, answer: Answer, *, pinned: bool = False, value: Built = GOOD) -> Broken:
    """Serve an image, but another answer to one path."""

    def serve(registry: Loopback) -> str:
        reference = registry.add("team/app", "v1", value)
        registry.answers[f"/v2/team/app/{path}"] = answer
        return f"{registry.host}/team/app@{value.digest}" if pinned else reference

    return Broken(serve)


def blob(which: Blob, content: bytes, **headers: str) -> Broken:
    return answering(f"blobs/{which.digest}", Answer(content, headers=headers))


def pinned(content: bytes) -> Broken:
    answer = Answer(content, headers={"Content-Type": GOOD.media_type})
    return answering(f"manifests/{GOOD.digest}", answer, pinned=True)


def document(content: bytes, media_type: str = GOOD.media_type) -> Broken:
    return answering("manifests/v1", Answer(content, headers={"Content-Type": media_type}))


def changed(content: bytes) -> bytes:
    """Return content with one bit changed, in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def manifest(**members: Any) -> Built:
    return image(layer(RAW), manifest=members)


def config(**members: Any) -> Built:
    return image(layer(RAW), config=members)


def rawly(old: bytes, new: bytes) -> Broken:
    """Serve the good manifest with some of its text replaced."""
    assert old in GOOD.raw
    return document(GOOD.raw.replace(old, new, 1))


def with_config_text(old: bytes, new: bytes) -> Built:
    """Return an image whose config has some of its text replaced, with a manifest that knows."""
    good = image(layer(RAW))
    text = Blob(good.config.content.replace(old, new, 1), good.config.media_type)
    assert text.content != good.config.content
    return replace(manifest(config=text.descriptor), blobs=(text, *good.layers))


def artifact(config_type: str, **members: Any) -> Built:
    return image(layer(b"text", "application/vnd.example", raw=b"text"), config_type=config_type, manifest=members)


SCHEMA1 = json.dumps(
    {"schemaVersion": 1, "name": "team/app", "tag": "v1", "architecture": "amd64", "fsLayers": [], "history": []}
).encode()
SCHEMA1_TYPE = "application/vnd.docker.distribution.manifest.v1+prettyjws"


def _false_config_size() -> Built:
    """Return an image that shares the config of another, and gives it another size."""
    good = image(layer(RAW), platform=ARM64)
    lie = manifest(config={**good.config.descriptor, "size": 17})
    return replace(lie, blobs=good.blobs, platform=AMD64)


def _self_listing(registry: Loopback) -> str:
    """Serve an index whose entry, by a lie, is the index itself."""
    inner = index(GOOD)
    outer = index(inner)
    reference = registry.add("team/app", "v1", outer)
    registry.answers[f"/v2/team/app/manifests/{inner.digest}"] = Answer(outer.raw)
    return reference


BROKEN: dict[str, Broken] = {
    # Status 3.
    "a tag that is not there": Broken(lambda registry: f"{registry.host}/team/app:v2").ends(
        3, "v2", "unknown to registry"
    ),
    "a registry's words with escapes": answering(
        "manifests/v1", Answer(b'{"errors":[{"code":"X","message":"\\u001b[2Jgone\\u202e\\nfake: done"}]}', 404)
    ).ends(3, r"X: \x1b[2Jgone\u202e\x0afake: done"),
    "a platform that is not there": built(index(image(hello("a")), image(hello("b"), platform=ARM64))).ends(
        3, "no linux/s390x image in", "linux/amd64, linux/arm64", arguments=("--platform", "linux/s390x")
    ),
    "a single image for another platform": built(GOOD).ends(
        3, "no linux/s390x image in", "linux/amd64", arguments=("--platform", "linux/s390x")
    ),
    "a layer that is not there": answering(f"blobs/{SECOND.digest}", Answer(status=404)).ends(
        3, "layer 2/2", SECOND.digest, "the registry has lost this blob"
    ),
    "a config that is not there": answering(f"blobs/{GOOD.config.digest}", Answer(status=404)).ends(
        3, "the config of", "404"
    ),
    # Status 4.
    "a login wanted": answering(
        "manifests/v1", Answer(status=401, headers={"WWW-Authenticate": 'Basic realm="Team"'})
    ).ends(4, 'expects a user name and password (Basic, realm "Team")', "imgfetch login"),
    "access denied": answering("manifests/v1", Answer(b'{"errors":[{"code":"DENIED"}]}', 403)).ends(
        4, "cannot get the manifest of", "DENIED"
    ),
    # Status 5.
    "too many requests": answering("manifests/v1", Answer(status=429, headers={"Retry-After": "7"})).ends(
        5, "429", "7"
    ),
    "an error of the server": answering("manifests/v1", Answer(status=500)).ends(5, "500", "try again later"),
    "a layer that breaks off": blob(SECOND, SECOND.content[:-9], **{"Content-Length": str(len(SECOND.content))}).ends(
        5, "closed the connection partway through"
    ),
    # A body without a length that ends early is a connection that was interrupted.
    "a cut layer without a length": answering(f"blobs/{SECOND.digest}", Answer(SECOND.content[:-1], chunked=True)).ends(
        5, "layer 2/2", f"{len(SECOND.content) - 1} of {len(SECOND.content)} bytes received"
    ),
    # Status 1: it is no image.
    "an HTML page": document(b"<html><head><title>Log in to the Wi-Fi</title></head></html>", "text/html").ends(
        1, "an HTML page, 'Log in to the Wi-Fi'", "captive portal"
    ),
    "schema 1": document(SCHEMA1, SCHEMA1_TYPE).ends(1, "schema 1", "another tag"),
    "schema 1 without its type": document(SCHEMA1, "application/json").ends(1, "schema 1"),
    "a Helm chart": built(artifact("application/vnd.cncf.helm.config.v1+json")).ends(1, "a Helm chart"),
    "an artifact": built(
        artifact("application/vnd.oci.empty.v1+json", artifactType="application/vnd.example.thing")
    ).ends(1, "is not a container image", "application/vnd.example.thing"),
    "a WebAssembly module": built(artifact("application/vnd.wasm.config.v0+json")).ends(1, "a WebAssembly module"),
    "an encrypted layer": built(image(layer(RAW), layer(RAW, f"{OCI_GZIP}+encrypted", raw=b""))).ends(
        1, "layer 2", "encrypted"
    ),
    "an unknown compression": built(
        image(layer(b"\x04\x22\x4d\x18 lz4 or so" * 99, "application/vnd.example.lz4", raw=RAW))
    ).ends(1, "layer 1/1", "04 22 4d 18", "application/vnd.example.lz4"),
    # Status 6: documents.
    "a changed manifest": pinned(changed(GOOD.raw)).ends(6, f"expected {GOOD.digest}, got sha256:"),
    "a cut manifest": pinned(GOOD.raw[:-20]).ends(6, f"expected {GOOD.digest}, got sha256:"),
    "a longer manifest": pinned(GOOD.raw + b"\n").ends(6, f"expected {GOOD.digest}, got sha256:"),
    "another manifest": pinned(manifest().raw).ends(6, f"expected {GOOD.digest}, got {manifest().digest}"),
    "a cut manifest by tag": document(GOOD.raw[:-20]).ends(6, "is not valid JSON"),
    "an empty manifest": document(b"").ends(6, "is empty: "),
    "a manifest that is null": document(b"null").ends(6, "expected an object, got null"),
    "a manifest that is no UTF-8": document(GOOD.raw.replace(b"layers", b"l\xffyers")).ends(6, "is not valid JSON"),
    "a manifest beyond all bounds": document(b" " * (4 * 1024**2 + 1)).ends(6, "exceeds 4194304 bytes"),
    "a manifest nested too deeply": document(b'{"annotations":' * 100_000).ends(6, "nested too deeply"),
    "an index entry with another size": built(index(GOOD, entries=[{**GOOD.entry, "size": 17}])).ends(
        6, f"expected 17 bytes, got {len(GOOD.raw)} bytes", arguments=("--strict",)
    ),
    "an ambiguous document": document(json.dumps({**json.loads(GOOD.raw), "manifests": []}).encode()).ends(
        6, "ambiguous", "'manifests'"
    ),
    "a key twice": rawly(b'"layers"', b'"layers": [], "layers"').ends(6, "'layers'", "twice"),
    "a key in another case": rawly(b'"layers"', b'"Layers": [], "layers"').ends(6, "ambiguous", "'Layers'"),
    "two types": document(GOOD.raw, "application/vnd.docker.distribution.manifest.v2+json").ends(
        6, "ambiguous", "manifest.v2+json"
    ),
    "a digest that is no digest": rawly(FIRST.digest.encode(), b"sha256:../../etc").ends(
        6, "layer 1", "not a valid digest", "sha256:../../etc"
    ),
    "a digest in capitals": rawly(FIRST.digest[7:].encode(), FIRST.digest[7:].upper().encode()).ends(
        6, "not a valid digest"
    ),
    "a size below zero": rawly(b'"size": ', b'"size": -').ends(
        6, "'size'", "expected an integer of zero or more, got -"
    ),
    "a size that is a fraction": rawly(b'"size": ', b'"size": 0.').ends(6, "'size'", "expected an integer"),
    "layers that are no list": built(manifest(layers={})).ends(6, "'layers'", "expected an array, got an object"),
    "a layer that is no object": built(manifest(layers=[7])).ends(6, "layer 1", "expected an object, got 7"),
    "an index within itself": Broken(_self_listing).ends(6, "has the wrong digest"),
    # Status 6: configs.
    "a changed config": blob(GOOD.config, changed(GOOD.config.content)).ends(
        6, f"expected {GOOD.config.digest}, got sha256:"
    ),
    "a cut config": blob(GOOD.config, GOOD.config.content[:-1]).ends(6, f"expected {len(GOOD.config.content)} bytes"),
    "a longer config": blob(GOOD.config, GOOD.config.content + b" ").ends(
        6, f"expected {len(GOOD.config.content)} bytes"
    ),
    "a config that is no JSON": built(with_config_text(b"{", b"[")).ends(6, "the config", "is not valid JSON"),
    "a config without rootfs": built(with_config_text(b'"rootfs"', b'"roots"')).ends(6, "expected rootfs.diff_ids"),
    "a config with two readings": built(with_config_text(b'"rootfs"', b'"RootFS":{},"rootfs"')).ends(
        6, "ambiguous", "'RootFS'"
    ),
    "a diff_id too few": built(config(rootfs={"type": "layers", "diff_ids": []})).ends(
        6, "expected 1 diff_ids", "got 0"
    ),
    "a diff_id that is no digest": built(config(rootfs={"type": "layers", "diff_ids": ["sha256:12"]})).ends(
        6, "diff_id 1", "not a valid digest", "sha256:12"
    ),
    # Status 6: layers.
    "a changed layer": blob(SECOND, changed(SECOND.content)).ends(
        6, "layer 2/2", f"expected {SECOND.digest}, got sha256:"
    ),
    "a cut layer": blob(SECOND, SECOND.content[:-1]).ends(
        6, "layer 2/2", f"expected {len(SECOND.content)} bytes, got {len(SECOND.content) - 1} bytes"
    ),
    "a longer layer": blob(SECOND, SECOND.content + b"x").ends(
        6, "layer 2/2", f"expected {len(SECOND.content)} bytes, got {len(SECOND.content) + 1} bytes"
    ),
    "a longer layer without a length": answering(
        f"blobs/{SECOND.digest}", Answer(SECOND.content + bytes(10**6), chunked=True)
    ).ends(6, "layer 2/2", f"expected {len(SECOND.content)} bytes, got more"),
    "a layer with a coding that it does not have": blob(
        SECOND, changed(SECOND.content), **{"Content-Encoding": "br"}
    ).ends(6, "content coding", "br"),
    "a size that lies under a digest that is known": Broken(
        lambda registry: (
            f"{registry.add('team/good', 'v1', image(layer(RAW)))} "
            + registry.add("team/app", "v1", image(layer(RAW, size=512)))
        )
    ).ends(6, "is listed with two sizes", "got 512 bytes"),
    "a config whose size lies in one of two manifests": built(
        index(image(layer(RAW), platform=ARM64), _false_config_size())
    ).ends(6, "expected 17 bytes"),
    "a platform with escapes": built(
        image(layer(RAW), config={"variant": "v1\x1b[2J\nimgfetch: saved everything"})
    ).ends(3, "no linux/amd64 image in", r"available: linux/amd64/v1\x1b[2j\x0aimgfetch: saved"),
    "a size that lies": built(image(layer(RAW, size=5))).ends(6, "layer 1/1", "expected 5 bytes"),
    "a digest that lies": answering(f"blobs/{WRONG}", Answer(gz(RAW)), value=image(layer(RAW, digest=WRONG))).ends(
        6, "layer 1/1", f"expected {WRONG}, got {sha256(gz(RAW))}"
    ),
    "a wrong diff_id": built(config(rootfs={"type": "layers", "diff_ids": [WRONG]})).ends(
        6, "layer 1/1", f"expected diff_id {WRONG}, got {sha256(RAW)}"
    ),
    "gzip cut short under a true digest": built(image(layer(gz(RAW)[:-4], raw=RAW))).ends(
        6, "layer 1/1 of", "gzip data ends early"
    ),
    "zstd cut short under a true digest": built(image(layer(zstd(RAW)[:-4], OCI_ZSTD, raw=RAW))).ends(
        6, "zstd data ends early"
    ),
    "a gzip layer with an incomplete Huffman code": built(image(INCOMPLETE)).ends(
        6, "layer 1/1", "is broken: its gzip data is damaged"
    ),
    "damaged gzip under a true digest": built(image(layer(changed(gz(RAW)), raw=RAW))).ends(6, "gzip data is damaged"),
    "a blob with two diff_ids": built(image(layer(RAW, OCI_TAR), replace(layer(RAW, OCI_TAR), diff_id=WRONG))).ends(
        6, "layer 2/2", "a different diff_id"
    ),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("before", [None, b"what stood there before"], ids=["absent", "present"])
def test_a_broken_input_has_its_status_and_leaves_the_target_alone(
    name: str, before: bytes | None, command: Command, loopback: Loopback, tmp_path: Path
) -> None:
    broken = BROKEN[name]
    target = tmp_path / "out" / "y.tar"
    target.parent.mkdir()
    if before is not None:
        target.write_bytes(before)

    platform = () if "--platform" in broken.arguments else ("--platform", "linux/amd64")
    done = command("save", *broken.serve(loopback).split(), "-o", target, *platform, *broken.arguments)

    assert done.status == broken.status, done.err
    for part in broken.says:
        assert part in done.err
    assert "error: " in done.err
    assert "\x1b" not in done.err
    assert [path.read_bytes() for path in target.parent.iterdir()] == ([] if before is None else [before])
    assert not any((tmp_path / "cache").rglob("*.part"))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_input_gives_a_pipe_no_end_of_an_archive(
    name: str, command: Command, loopback: Loopback, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = BROKEN[name]
    target = tmp_path / "pipe"
    with target.open("wb") as pipe:
        monkeypatch.setattr("sys.stdout", _Stdout(pipe))
        platform = () if "--platform" in broken.arguments else ("--platform", "linux/amd64")
        done = command("save", *broken.serve(loopback).split(), *platform, *broken.arguments)
    assert done.status == broken.status
    assert not target.read_bytes().endswith(bytes(1024))


class _Stdout:
    """A stdout that is no terminal."""

    def __init__(self, buffer: Any) -> None:
        self.buffer = buffer

    def isatty(self) -> bool:
        return False


MALFORMED: Mapping[str, str] = {
    "quay.io/UPPER/case": "must be lower-case",
    "https://quay.io/x/y": "a reference is not a URL",
    "x:y:z": "is not a valid tag",
    "x@sha256:12": "not a valid digest",
    "a" * 64: "image ID",
    "": "the reference is empty",
    "x/" + "y" * 300: "more than 255",
    "user:secret@quay.io/x/y": "cannot contain a user name or password",
}


@pytest.mark.parametrize(("reference", "says"), MALFORMED.items())
def test_a_malformed_reference_is_a_usage_error_and_asks_no_network(
    reference: str, says: str, command: Command, loopback: Loopback, tmp_path: Path
) -> None:
    good = loopback.add("team/app", "v1", GOOD)
    done = command("save", good, reference, "-o", tmp_path / "y.tar")
    assert done.status == 2
    assert says in done.err
    assert "secret" not in done.err
    assert loopback.requests == []
    assert not (tmp_path / "y.tar").exists()
