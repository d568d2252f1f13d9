"""Makes the generated fixtures, bit for bit the same each time.

`fixtures/hello/` is an OCI image layout with an index for linux/amd64 and linux/arm64.  Each image has one program
without a library, assembled here by hand, that prints a line; so the demo's image really runs.
"""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

from imgfetch.oci import mediatypes
from tests.images import AMD64, ARM64, Blob, Built, image, index, layer, tar

FIXTURES = Path(__file__).parents[1] / "fixtures"
HELLO = FIXTURES / "hello"
TEXT = b"Hello from an image that imgfetch saved.\n"

_BASE = 0x400000
_HEADERS = 64 + 56
_MACHINES = {"amd64": 62, "arm64": 183}


def program(architecture: str) -> bytes:
    """Return a static ELF program that writes `TEXT` and exits."""
    code = _amd64() if architecture == "amd64" else _arm64()
    body = code + TEXT
    size = _HEADERS + len(body)
    identity = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8)
    header = identity + struct.pack(
        "<HHIQQQIHHHHHH", 2, _MACHINES[architecture], 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + body


def _amd64() -> bytes:
    after_lea = bytes.fromhex("ba") + struct.pack("<I", len(TEXT)) + bytes.fromhex("0f05 b83c000000 31ff 0f05")
    before = bytes.fromhex("b801000000 bf01000000")  # mov eax, 1 (write); mov edi, 1 (stdout)
    return before + bytes.fromhex("488d35") + struct.pack("<i", len(after_lea)) + after_lea


def _arm64() -> bytes:
    length = 8 * 4
    adr = 0x10000001 | ((length - 4) & 3) << 29 | ((length - 4) >> 2) << 5  # adr x1, text
    words = [
        0xD2800020,  # mov x0, 1 (stdout)
        adr,
        0xD2800002 | len(TEXT) << 5,  # mov x2, length
        0xD2800808,  # mov x8, 64 (write)
        0xD4000001,  # svc 0
        0xD2800000,  # mov x0, 0
        0xD2800BA8,  # mov x8, 93 (exit)
        0xD4000001,  # svc 0
    ]
    return struct.pack("<8I", *words)


def stored_gzip(content: bytes) -> bytes:
    """Return gzip of one stored block, which every version of zlib reads and none of them had a hand in."""
    block = b"\x01" + struct.pack("<HH", len(content), len(content) ^ 0xFFFF) + content
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + block + struct.pack("<II", zlib.crc32(content), len(content))


def hello_image() -> Built:
    """Return the index of the demo's images."""
    return index(*(_hello(platform) for platform in (AMD64, ARM64)))


def _hello(platform: dict[str, str]) -> Built:
    raw = tar({"hello": program(platform["architecture"])})
    note = tar({"etc/": b"", "etc/motd": TEXT})
    layers = [layer(stored_gzip(content), raw=content) for content in (raw, note)]
    return image(*layers, platform=platform, config={"config": {"Cmd": ["/hello"]}}, manifest_indent=None)


def read_layout(directory: Path) -> Built:
    """Return the index that an OCI image layout holds, read from its blobs."""
    top = json.loads((directory / "index.json").read_bytes())["manifests"][0]
    return _read(directory, top)


def _read(directory: Path, descriptor: dict[str, object]) -> Built:

    def content(entry: dict[str, object]) -> bytes:
        return (directory / "blobs" / str(entry["digest"]).replace(":", "/")).read_bytes()

    raw = content(descriptor)
    document = json.loads(raw)
    children = tuple(_read(directory, entry) for entry in document.get("manifests", ()))
    own = [document["config"], *document["layers"]] if "config" in document else []
    blobs = tuple(Blob(content(entry), entry["mediaType"]) for entry in own)
    below = tuple(blob for child in children for blob in child.blobs)
    return Built(raw, str(descriptor["mediaType"]), blobs + below, children)


def write_layout(built: Built, directory: Path, tag: str) -> None:
    """Write an OCI image layout with one tagged entry."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    for content in (built.raw, *(child.raw for child in built.children), *(blob.content for blob in built.blobs)):
        name = Built(content, "").digest.removeprefix("sha256:")
        (blobs / name).write_bytes(content)
    entry = {**built.entry, "annotations": {"org.opencontainers.image.ref.name": tag}}
    document = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": [entry]}
    (directory / "index.json").write_text(json.dumps(document, indent=2) + "\n")
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}\n')


if __name__ == "__main__":
    write_layout(hello_image(), HELLO, "latest")
    print(f"wrote {HELLO.relative_to(FIXTURES.parent)}")
