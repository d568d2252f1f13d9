"""Manifests, indexes and configs that are nearly right: each ends in a true archive or in one of our own errors."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import random
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from imgfetch import save
from imgfetch.errors import ImgfetchError, NotFoundError
from imgfetch.image import Descriptor, Document
from imgfetch.parts import Embedded
from imgfetch.reference import Reference
from imgfetch.retries import Patience
from tests import images

CASES = 1500
NAME = "registry.example/team/app:1"

Json = Any
Change = Callable[[random.Random, Json], Json]


class Dictionary:
    """A registry that is two dictionaries."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.contents: dict[str, bytes] = {}

    def manifest(self, reference: Reference) -> Document:
        try:
            return self.documents[reference.target]
        except KeyError:
            raise NotFoundError("not here", url="", status=404) from None

    @contextmanager
    def blob(self, _reference: Reference, descriptor: Descriptor, _what: str, *, offset: int = 0) -> Iterator[Embedded]:
        try:
            content = self.contents[str(descriptor.digest)]
        except KeyError:
            raise NotFoundError("not here", url="", status=404) from None
        yield Embedded(content[offset:], start=offset)

    def abort(self) -> None:
        """Nothing is ever waited for."""

    def add(self, built: images.Built, tag: str = "") -> None:
        document = Document(built.raw, built.media_type)
        self.documents |= {built.digest: document, **({tag: document} if tag else {})}
        self.contents |= {blob.digest: blob.content for blob in built.blobs}
        for child in built.children:
            self.add(child)


# ---- changes of structure ----

ODD = [
    None,
    True,
    0,
    -1,
    1,
    2**63,
    10**400,
    1.5,
    "",
    "x",
    "sha256:",
    "sha256:" + "0" * 64,
    "\ud800",
    "a\x00b",
    [],
    {},
    [[]],
]


def places(value: Json) -> Iterator[tuple[Json, Any]]:
    """Yield every container in a document with each of its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from places(inner)


def structurally(chance: random.Random, raw: bytes) -> bytes:
    """Change a document in one to three places, as a mistaken or hostile program would."""
    document = json.loads(raw)
    for _ in range(chance.randint(1, 3)):
        container, key = chance.choice(list(places(document)) or [({"x": 0}, "x")])
        value = container[key]
        match chance.randrange(8):
            case 0:
                del container[key]
            case 1:
                container[key] = chance.choice(ODD)
            case 2:
                container[key] = [value, value]
            case 3:
                container[key] = {"x": value}
            case 4 if isinstance(container, dict):
                container[key.swapcase()] = chance.choice([value, *ODD])
            case 5 if isinstance(value, str):
                container[key] = value.upper() if chance.random() < 0.5 else value[: len(value) // 2]
            case 6 if isinstance(value, int):
                container[key] = value + chance.choice([-1, 1, 512, -(2**70)])
            case _:
                other, name = chance.choice(list(places(document)))
                container[key], other[name] = copy.deepcopy(other[name]), copy.deepcopy(value)
    return json.dumps(document).encode()


def bytewise(chance: random.Random, raw: bytes) -> bytes:
    """Change some bytes of a document, as a bad disk would."""
    changed = bytearray(raw)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(4):
            case 0:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del changed[at : at + chance.randint(1, 40)]
            case 2:
                changed[at:at] = chance.randbytes(chance.randint(1, 8))
            case _:
                changed[at:at] = changed[at : at + chance.randint(1, 60)]
    return bytes(changed)


CHANGES = {"structure": structurally, "bytes": bytewise}


def check(archive: bytes) -> None:
    """Hash every blob of an archive, and find all that its manifest names."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = tar.getnames()
        assert len(names) == len(set(names))
        for member in tar:
            if member.isfile() and member.name.startswith("blobs/sha256/"):
                assert hashlib.sha256(tar.extractfile(member).read()).hexdigest() == member.name[13:]  # type: ignore[union-attr]
        (item,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        assert {item["Config"], *item["Layers"]} <= set(names)


def saved(registry: Dictionary) -> bytes | None:
    """Save what is there, and return the archive, or nothing where that is refused."""
    out = io.BytesIO()
    try:
        save(
            NAME,
            out,
            platform="linux/amd64",
            jobs=1,
            patience=Patience(retries=0),
            open_registry=lambda _: registry,
        )
    except ImgfetchError as error:
        assert str(error)  # noqa: PT017  # either may happen
        return None
    return out.getvalue()


BUILT = images.image(images.hello("one"), images.hello("two"))
INDEX = images.index(BUILT, images.image(images.hello("three"), platform=images.ARM64))


@pytest.mark.parametrize("what", ["manifest", "index", "config"])
@pytest.mark.parametrize("how", CHANGES)
def test_a_document_that_was_changed_is_saved_truly_or_refused(what: str, how: str) -> None:
    change = CHANGES[how]
    chance = random.Random(f"{what} {how}")
    ended = {True: 0, False: 0}
    for _ in range(CASES // 3):
        registry = Dictionary()
        if what == "config":  # with a manifest that promises the changed one
            content = change(chance, BUILT.config.content)
            blob = images.Blob(content, BUILT.config.media_type)
            built = images.image(*BUILT.layers, manifest={"config": blob.descriptor})
            registry.add(built, "1")
            registry.contents[blob.digest] = content
        else:
            good = BUILT if what == "manifest" else INDEX
            registry.add(good, "1")
            registry.documents["1"] = Document(change(chance, good.raw), good.media_type)
        archive = saved(registry)
        ended[archive is not None] += 1
        if archive is not None:
            check(archive)
    assert ended[False] > 0
