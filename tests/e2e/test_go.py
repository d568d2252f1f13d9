"""Go's own libraries, on which most readers rely, agree with imgfetch."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.oracle import archives, golang
from tests.oracle.program import built


def test_gzip_streams_made_by_chance_are_read_as_by_go() -> None:
    with golang.golang() as ask:
        assert list(golang.compare(3000, 2, ask)) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_an_archive_that_verify_approves_is_loaded_by_every_reader_as_verify_says(seed: int, tmp_path: Path) -> None:
    with archives.asking(built(archives.SOURCES)) as ask:
        found = list(archives.compare(seed, range(10_000), ask, tmp_path))
    assert list(archives.kinds(found)) == []
    approved = sum(each.is_approved for each in found)
    assert 0.1 < approved / len(found) < 0.9, "most cases say nothing"
