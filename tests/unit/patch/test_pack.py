"""Compression of blocks, of two at a time."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from imgfetch import threads
from imgfetch.errors import VerificationError
from imgfetch.oci.digest import Digest
from imgfetch.patch.compose import Draft
from imgfetch.patch.frames import compression_library, decompress
from imgfetch.patch.layerfile import LayerFile, temporary
from imgfetch.patch.pack import packed
from imgfetch.patch.script import Script, Span, Take

OLD = random.Random(5).randbytes(100_000)
CONTENTS = [OLD[:50_000] + b"1", b"", OLD + b"3", b"4" * 1000, OLD[70_000:]]


def drafts() -> Iterator[Draft]:
    for content in CONTENTS:
        prefix = (Span(0, 0, len(OLD)),) if content else ()
        yield Draft(Script(prefix, (Take(len(content)),) if content else (Span(0, 0, 9),)), content)


@pytest.fixture
def layers() -> Iterator[list[LayerFile]]:
    with temporary() as file:
        file.write(OLD)
        file.flush()
        yield [LayerFile(Digest.of(OLD), len(OLD), file)]


@pytest.mark.parametrize("has_threads", [True, False])
def test_blocks_come_in_order_with_and_without_threads(
    layers: list[LayerFile], monkeypatch: pytest.MonkeyPatch, *, has_threads: bool
) -> None:
    if not has_threads:
        monkeypatch.setattr(threads, "start", lambda *_: None)
    blocks = list(packed(drafts(), layers, compression_library()))
    got = [
        decompress(block.frame, OLD, len(content)) for block, content in zip(blocks, CONTENTS, strict=True) if content
    ]
    assert got == [content for content in CONTENTS if content]
    assert [bool(block.frame) for block in blocks] == [bool(content) for content in CONTENTS]
    assert len(blocks[0].frame) < 100


def test_an_old_layer_that_becomes_shorter_is_an_error_and_no_thread_is_left(layers: list[LayerFile]) -> None:
    os.truncate(layers[0].file.fileno(), 1000)
    with pytest.raises(VerificationError, match="became shorter"):
        list(packed(drafts(), layers, compression_library()))
