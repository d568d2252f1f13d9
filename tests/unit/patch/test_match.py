"""The parts of a new layer that an old one has."""

from __future__ import annotations

import random

from imgfetch.oci.digest import Digest
from imgfetch.patch.entries import Window
from imgfetch.patch.index import Index
from imgfetch.patch.layerfile import LayerFile, temporary
from imgfetch.patch.match import New, matched
from tests.images import tar

KIB = 1024


def test_content_that_was_moved_is_found_although_parts_of_it_are_repeated() -> None:
    noise = random.Random(6)
    parts = [noise.randbytes(512 * KIB) for _ in range(8)]
    content = b"".join(part + part[: 16 * KIB] * 32 for part in parts)
    old, new = tar({"large": content}), tar({"large": content[: 512 * KIB] + b"inserted" * 512 + content[512 * KIB :]})
    with temporary() as one, temporary() as other:
        one.write(old)
        other.write(new)
        one.flush()
        other.flush()
        window = Window(LayerFile(Digest.of(new), len(new), other))
        steps = list(matched(window, Index([LayerFile(Digest.of(old), len(old), one)])))
    assert sum(step.length for step in steps if isinstance(step, New)) < 512 * KIB
