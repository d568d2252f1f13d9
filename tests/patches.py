"""Two versions of an image, their archives, and patches that are wrong on purpose."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from imgfetch import save
from imgfetch.oci.digest import Digest
from imgfetch.patch.apply import apply
from imgfetch.patch.container import Block, PatchReader, write_block, write_head
from imgfetch.patch.frames import compress, compression_library
from imgfetch.patch.head import Head
from imgfetch.patch.script import Script, Take
from tests.images import ARM64, OCI_GZIP, OCI_TAR, Built, hello, image, layer, tar
from tests.loopback import Loopback

_NOISE = random.Random(22).randbytes(300_000)


def _files(version: int) -> dict[str, bytes]:
    """Return many small files of which three differ between versions, and a large one with an insertion."""
    chance = random.Random(7)
    files = {f"app/{number:03}.py": chance.randbytes(chance.randrange(6000)) for number in range(100)}
    for number in (10, 50, 90):
        content = files[f"app/{number:03}.py"]
        files[f"app/{number:03}.py"] = content[:99] + b"version %d" % version + content[99:]
    files["app/large.bin"] = _NOISE[:150_000] + b"inserted" * (version - 1) + _NOISE[150_000:]
    return files | {f"app-{version}.0.dist-info/RECORD": _NOISE[:9000]}


BASE = hello("base")
OLD = image(BASE, layer(tar(_files(1))))
NEW = image(BASE, layer(tar(_files(2))), hello("more", OCI_TAR))
NEWEST = image(BASE, layer(tar(_files(3)), OCI_GZIP), hello("more"))
OTHER = image(hello("something else"), platform=ARM64)


def archive(built: Built | Mapping[str, Built], path: Path, **options: Any) -> str:
    """Save an image, or several by repository, and return the first one's reference."""
    several = built if isinstance(built, Mapping) else {"team/app": built}
    with Loopback() as registry:
        references = [registry.add(repository, "1", each) for repository, each in several.items()]
        save(references, path, **{"platform": "linux/amd64", **options})
    return references[0]


def applied(patch: Path | bytes, old: Path, directory: Path, *wanted: str) -> Path:
    """Apply a patch, and return the path of the result."""
    path, target = directory / "given.patch", directory / "result.tar"
    path.write_bytes(patch if isinstance(patch, bytes) else patch.read_bytes())
    with target.open("w+b") as out:
        apply([path], [old], out, wanted)
    return target


def opened(raw: bytes) -> PatchReader:
    return PatchReader(io.BytesIO(raw), "x.patch")


def rewritten(
    raw: bytes,
    *,
    head: Callable[[Head], Head] = lambda head: head,
    blocks: Callable[[list[Block]], Sequence[Block]] = lambda blocks: blocks,
) -> bytes:
    """Return a patch with another head and other blocks, whose sums are right."""
    patch = opened(raw)
    body, out = io.BytesIO(), io.BytesIO()
    made = blocks(list(patch.blocks()))
    lengths = [write_block(block, body) for block in made]
    write_head(head(patch.head._replace(blocks=len(made), length=sum(lengths))), out)
    return out.getvalue() + body.getvalue()


def literal(raw: bytes, content: bytes) -> bytes:
    """Return a patch with the head of another one that makes some content from nothing."""
    block = Block(Script((), (Take(len(content)),)), compress(content, b"", compression_library()))
    digest = Digest.of(content)
    return rewritten(raw, head=lambda head: head._replace(digest=digest, size=len(content)), blocks=lambda _: [block])


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
