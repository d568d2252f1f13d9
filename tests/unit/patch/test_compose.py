"""The blocks of a patch, within the bounds of a reader."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from imgfetch.oci.digest import Digest
from imgfetch.patch import script
from imgfetch.patch.compose import Composer
from imgfetch.patch.frames import MAX_PREFIX
from imgfetch.patch.layerfile import LayerFile, temporary
from imgfetch.patch.script import Span, most_work

MIB = 1024**2


@contextmanager
def layer(size: int) -> Iterator[LayerFile]:
    """Return an old layer of zeros, which take no space."""
    with temporary() as file:
        os.truncate(file.fileno(), size)
        yield LayerFile(Digest.of(b""), size, file)


def test_a_patch_never_makes_more_work_than_a_reader_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "_LITTLE", 1_000_000)
    monkeypatch.setattr(script, "_RATIO", 1)
    with layer(1000) as small:
        composer = Composer([small])
        blocks = []
        for _ in range(40):
            blocks += [*composer.new(b"new", Span(0, 0, 1000)), *composer.finish()]
    assert sum(block.script.work for block in blocks) <= most_work(3 * 40 + 1000)
    assert [bool(block.script.prefix) for block in blocks] == [True] * 37 + [False] * 3


@pytest.mark.parametrize(
    "near",
    [
        [Span(0, 0, 63 * MIB), Span(0, 100 * MIB, 800 * MIB)],
        [*(Span(0, number * 2048, 1600) for number in range(40_000)), Span(0, 200 * MIB, 32 * MIB)],
        [Span(0, 0, 63 * MIB), Span(0, 100 * MIB, 33 * MIB), None],
    ],
    ids=["a large part", "gaps between small parts", "a place for surroundings"],
)
def test_a_prefix_is_never_larger_than_a_reader_allows(near: Sequence[Span | None]) -> None:
    with layer(1024 * MIB) as large:
        composer = Composer([large])
        blocks = [*composer.same(Span(0, 900 * MIB, 5000))]
        for each in near:
            blocks += composer.new(b"new", each)
        blocks += composer.finish()
    assert all(sum(span.length for span in block.script.prefix) <= MAX_PREFIX for block in blocks)
    assert any(block.script.prefix for block in blocks)


@pytest.mark.parametrize("near", [Span(0, 0, 7), None], ids=["a tiny old file", "surroundings of less than a kilobyte"])
def test_a_prefix_is_never_shorter_than_zstd_allows(near: Span | None) -> None:
    with layer(1000) as small:
        composer = Composer([small])
        blocks = [*composer.same(Span(0, 0, 1000)), *composer.new(b"new", near), *composer.finish()]
    assert [block.script.prefix for block in blocks] == [()]
