"""Go's own library, on which most readers rely, agrees with imgfetch."""

from __future__ import annotations

from pathlib import Path

from tests.oracle import golang


def test_gzip_streams_made_by_chance_are_read_as_by_go(tmp_path: Path) -> None:
    with golang.golang(tmp_path) as ask:
        assert list(golang.compare(3000, 2, ask)) == []
