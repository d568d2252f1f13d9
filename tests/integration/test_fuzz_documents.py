"""Manifests, indexes and configs that are nearly right: each ends in a true archive or in one of our own errors."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile

import pytest

from imgfetch import save
from imgfetch.errors import ImgfetchError
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci.descriptor import Document
from tests import images
from tests.fakes import FakeRegistry
from tests.mutations import CHANGES

CASES = 1500
NAME = "registry.example/team/app:1"


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


def saved(registry: FakeRegistry) -> bytes | None:
    """Save what is there, and return the archive, or nothing where that is refused."""
    out = io.BytesIO()
    try:
        save(
            NAME,
            out,
            platform="linux/amd64",
            jobs=1,
            patience=RetryPolicy(retries=0),
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
        registry = FakeRegistry()
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
