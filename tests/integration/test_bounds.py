"""Archives that are far smaller than what it would take to read them end in an error, in bounded memory and steps."""

from __future__ import annotations

import bz2
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.bounded import MEMORY, MIB, STEPS, run
from tests.headers import GNU, entry, header, record
from tests.images import OCI_TAR, Built, hello, image, referrer, sha256

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of a process")

END = bytes(1024)
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYOUT = entry(b"oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
WIDE = b"\x28\xb5\x2f\xfd\0\x88"
"""The header of a zstd frame with a window of 128 MiB."""
NAME = {"org.opencontainers.image.ref.name": "app"}
GOOD = image(hello(media_type=OCI_TAR))

Pieces = Iterable[bytes]


def compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def blob(content: bytes) -> bytes:
    return entry(f"blobs/sha256/{sha256(content)[7:]}".encode(), content)


def listed(content: bytes, media_type: str, **more: object) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": sha256(content), "size": len(content), **more}


def index(children: Iterable[object], **more: object) -> bytes:
    return compact({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(children), **more})


def blobs(*images: Built) -> Iterator[bytes]:
    """Yield the members of an OCI image layout but index.json."""
    yield LAYOUT
    contents = (content for each in images for content in (each.raw, *(part.content for part in each.blobs)))
    yield from map(blob, dict.fromkeys(contents))


def layout(top: bytes, *images: Built, more: Pieces = ()) -> Pieces:
    return chain(blobs(*images), more, [entry(b"index.json", top), END])


def docker(items: bytes, *, config: bytes = b"", before: Pieces = ()) -> Pieces:
    """Return a docker archive with a config and a layer; ``before`` are members at its beginning."""
    members = [entry(b"c.json", config or GOOD.config.content), entry(b"l.tar", GOOD.layers[0].content)]
    return chain(before, members, [entry(b"manifest.json", items), END])


def item(**more: object) -> dict[str, object]:
    return {"Config": "c.json", "Layers": ["l.tar"], **more}


ITEM = compact([item()])


def long_name(kind: bytes, length: int, number: int) -> bytes:
    """Return an entry behind an extended header with a long text."""
    text = b"%05d/" % number + b"\xff" * length
    if kind == b"x":
        return entry(b"long", record(b"path", text), kind) + header(b"x")
    text += b"\0"
    fields = {"magic": GNU, "type": b"2", "link": b"x"}
    first = header(b"long", {"magic": GNU, "type": kind, "size": b"%011o" % len(text)})
    return first + text + bytes(-len(text) % 512) + header(b"x", fields)


def nested(count: int, levels: int) -> Pieces:
    child, kind, more = GOOD.raw, GOOD.media_type, []
    for _ in range(levels):
        child, kind = index([listed(child, kind)] * count), OCI_INDEX
        more.append(blob(child))
    return layout(index([listed(child, kind, annotations=NAME)]), GOOD, more=more)


def many_parents() -> Pieces:
    """Yield 1,000 indexes of 200 children each, to which nothing refers."""
    children = [listed(b"%d" % number, GOOD.media_type) for number in range(199)]
    more = (blob(index([listed(GOOD.raw, GOOD.media_type), *children], annotations={"n": str(n)})) for n in range(1000))
    return layout(index([listed(GOOD.raw, GOOD.media_type, annotations=NAME)]), GOOD, more=more)


def many_parts() -> Pieces:
    """Return signatures of an image, each with the same part many times."""
    parts = [listed(GOOD.config.content, "application/x")] * 4000
    signatures = [referrer(GOOD, layers=parts, annotations={"n": str(number)}).raw for number in range(100)]
    entries = [
        listed(GOOD.raw, GOOD.media_type, annotations=NAME),
        *(listed(each, OCI_MANIFEST) for each in signatures),
    ]
    return layout(index(entries), GOOD, more=map(blob, signatures))


def many_images(count: int, config: object) -> Pieces:
    """Yield images that differ in their configs."""
    images = [image(*GOOD.layers, config={"author": str(number), "config": config}) for number in range(count)]
    entries = [listed(each.raw, each.media_type, annotations={**NAME, "n": str(n)}) for n, each in enumerate(images)]
    return layout(index(entries), *images)


def members(count: int, make: Callable[[int], bytes]) -> Pieces:
    return docker(ITEM, before=map(make, range(count)))


def wide_zstd(blocks: int) -> bytes:
    """Return a frame with a window of 128 MiB, of blocks that repeat one byte."""
    return WIDE + b"\x02\0\x10\0" * (blocks - 1) + b"\x03\0\x10\0"


@dataclass(frozen=True)
class Row:
    """An archive.

    Attributes:
        pieces: its tar.
        says: a part of the finding.
        status: the exit status.
        compress: compresses the file, for the sake of the disk.
        hole: the size of the file, whose rest is a hole, if it is larger.
        steps: the calls that the run may make.
    """

    pieces: Callable[[], Pieces]
    says: str
    status: int = 6
    compress: bool = True
    hole: int = 0
    steps: int = STEPS


ROWS = {
    "zeros in bzip2": Row(
        lambda: [bz2.compress(header(b"x", {"size": b"%011o" % (256 * MIB)}) + bytes(256 * MIB))],
        "a tar archive of other files",
        1,
        compress=False,
    ),
    "three indexes of 4,096 times one child": Row(lambda: nested(4096, 3), "more than 20000 manifests"),
    "four levels of indexes": Row(lambda: nested(300, 4), "more than 3 levels"),
    "an index.json of 8,000 entries": Row(
        lambda: layout(index([listed(GOOD.raw, GOOD.media_type, annotations=NAME)] * 8000), GOOD), "more than 4096"
    ),
    "100 signatures of 4,000 parts": Row(many_parts, "more than 20000 parts"),
    "1,000 indexes of 200 children": Row(many_parents, "more than 20000 manifests"),
    "20 configs of 100,000 labels": Row(
        lambda: many_images(20, {"Labels": {f"{n:x}": "" for n in range(100_000)}}), "more than 500000 values"
    ),
    "a manifest.json of 5,000 items": Row(lambda: docker(compact([item()] * 5000)), "more than 4096"),
    "a manifest.json of 1,300,000 objects": Row(lambda: docker(b"[" + b"{}," * 1_300_000 + b"{}]"), "too many values"),
    "a manifest.json nested 600,000 deep": Row(lambda: docker(b'[{"a":' * 600_000), "too many values"),
    "a manifest.json nested 100,000 deep": Row(lambda: docker(b"[" * 100_000), "nested too deeply"),
    "a number of 4 MB": Row(lambda: docker(b"[" + b"9" * 4_000_000 + b"]"), "malformed"),
    "100,000 names": Row(
        lambda: docker(compact([item(RepoTags=[f"a:{number}" for number in range(100_000)])])), "more than 10000 names"
    ),
    "100,000 malformed names": Row(
        lambda: docker(compact([item(RepoTags=[f"A{number}" for number in range(100_000)])])), "more than 10000 names"
    ),
    "100,000 names in repositories": Row(
        lambda: docker(
            ITEM, before=[entry(b"repositories", compact({"a": {f"t{number}": "" for number in range(100_000)}}))]
        ),
        "more than 10000 names",
    ),
    "40 documents of 4 MB": Row(
        lambda: docker(ITEM, before=(entry(b"%d.json" % n, b'{"a":"%04000000d"}' % n) for n in range(40))),
        "more than 67108864 bytes",
    ),
    "300 names of 1 MiB": Row(lambda: members(300, lambda n: long_name(b"L", MIB, n)), "extended headers are too long"),
    "300 links of 1 MiB": Row(lambda: members(300, lambda n: long_name(b"K", MIB, n)), "extended headers are too long"),
    "300 PAX names of 1 MiB": Row(
        lambda: members(300, lambda n: long_name(b"x", MIB, n)), "extended headers are too long"
    ),
    "1,000 names of 60 kB": Row(lambda: members(1000, lambda n: long_name(b"L", 60_000, n)), "more than 1024 bytes"),
    "20 PAX headers of the shortest records": Row(
        lambda: members(20, lambda n: entry(b"x", b"5 a=\n" * (MIB // 5), b"x") + header(b"m%d" % n)),
        "extended headers are too long",
    ),
    "60,000 members that lead out": Row(
        lambda: members(60_000, lambda n: header(b"../m%d" % n)), "and 981 more findings"
    ),
    "60,000 members of one name": Row(lambda: members(60_000, lambda _: header(b"m")), "more than 1000"),
    "60,000 devices": Row(lambda: members(60_000, lambda n: header(b"d%d" % n, {"type": b"3"})), ""),
    "60,000 members of no image": Row(
        lambda: members(60_000, lambda n: header(b"m%d" % n)), "too many entries", steps=2 * STEPS
    ),
    "a member of 8 TiB": Row(
        lambda: [header(b"x", {"size": b"\x80" + (8 << 40).to_bytes(11, "big")})],
        "more than 107374182400",
        compress=False,
        hole=(8 << 40) + 4096,
    ),
    "zeros of 8 TiB behind the end": Row(
        lambda: docker(ITEM), "other data follows the end", compress=False, hole=8 << 40
    ),
    "nothing but zeros of 8 TiB": Row(list, "begins with zeros", 1, compress=False, hole=8 << 40),
}


@pytest.mark.parametrize("name", ROWS)
def test_an_archive_is_read_in_bounded_memory_and_steps(name: str, tmp_path: Path) -> None:
    row = ROWS[name]
    path = tmp_path / "y.tar"
    with path.open("wb") as file:
        if row.compress:
            with zstandard.ZstdCompressor(level=1).stream_writer(file, closefd=False) as compressor:
                for piece in row.pieces():
                    compressor.write(piece)
        else:
            file.writelines(row.pieces())
        if row.hole:
            file.truncate(row.hole)
    ended = run(tmp_path, "verify", path, most_steps=row.steps)
    assert ended.status == row.status, ended.err or ended.out
    assert "Traceback" not in ended.err
    assert row.says in ended.out + ended.err
    assert len(ended.out.splitlines()) < 100
    assert ended.peak < MEMORY


@pytest.mark.parametrize(("power", "status"), [(25, 6), (26, 1)], ids=["32 MiB", "64 MiB"])
def test_the_windows_of_a_file_and_of_a_layer_in_it_are_160_mib_at_most(
    power: int, status: int, tmp_path: Path
) -> None:
    size = 128 * 1024  # of a zstd block
    large = entry(b"large", bytes(8 * size)) + END
    rootfs = {"type": "layers", "diff_ids": ["sha256:" + "0" * 64, sha256(large)]}
    config = compact({**json.loads(GOOD.config.content), "rootfs": rootfs})
    wide = WIDE[:-1] + bytes([power - 10 << 3]) + wide_zstd(1100)[len(WIDE) :]
    layers = [entry(b"wide.tar", wide), entry(b"large.tar", large)]
    items = entry(b"manifest.json", compact([item(Layers=["wide.tar", "large.tar"])]))
    tar = b"".join([entry(b"c.json", config), *layers, items, END])
    blocks = [tar[start : start + size] for start in range(0, len(tar), size)]
    path = tmp_path / "y.tar.zst"
    with path.open("wb") as file:
        file.write(WIDE)
        for number, block in enumerate(blocks, 1):
            file.write((len(block) << 3 | (number == len(blocks))).to_bytes(3, "little") + block)
    ended = run(tmp_path, "verify", path)
    assert ended.status == status, ended.err or ended.out
    assert ("128 MiB are in use for the whole file" in ended.err) == (status == 1)
    assert ended.peak < MEMORY
