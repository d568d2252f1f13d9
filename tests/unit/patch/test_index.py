"""The old entry with which a new one is compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO

import pytest

from imgfetch.oci.digest import Digest
from imgfetch.patch.entries import Window, entries
from imgfetch.patch.index import Index
from imgfetch.patch.layerfile import LayerFile, temporary
from tests.images import tar

_OLD = {
    "lib/libc.so.6": b"C",
    "usr/site/app-1.0.dist-info/RECORD": b"record",
    "usr/static/12.0a1b2c3d4e.js": b"one",
    "usr/static/34.5f6a7b8c9d.js": b"other",
    "usr/bin/moved": b"the content" * 1000,
}


@pytest.mark.parametrize(
    ("new", "content", "old"),
    [
        ("lib/libc.so.6", b"another", "lib/libc.so.6"),
        ("usr/games/renamed", b"the content" * 1000, "usr/bin/moved"),
        ("usr/site/app-1.1.dist-info/RECORD", b"records", "usr/site/app-1.0.dist-info/RECORD"),
        ("usr/lib/libc.so.6", b"another", "lib/libc.so.6"),
        ("usr/static/56.000000000a.js", b"new", None),
        ("usr/new", b"", None),
    ],
    ids=["path", "content", "numbers", "moved directory", "several similar paths", "nothing similar"],
)
def test_an_entry_is_found_by_its_path_its_content_or_a_path_that_only_one_other_has(
    new: str, content: bytes, old: str | None
) -> None:
    with temporary() as one, temporary() as other:
        index = Index([_layer(_OLD, one)])
        window = Window(_layer({new: content}, other))
        found = index.find(next(entries(window)), window)
        got = found and index.windows[0].read(found[1].content, found[1].size)
    assert got == (old and _OLD[old])


def _layer(files: Mapping[str, bytes], file: BinaryIO) -> LayerFile:
    content = tar(files)
    file.write(content)
    file.flush()
    return LayerFile(Digest.of(content), len(content), file)
