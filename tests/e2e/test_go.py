"""Go's own libraries, on which most readers rely, agree with imgfetch."""

from __future__ import annotations

from tests.oracle import golang


def test_gzip_streams_made_by_chance_are_read_as_by_go() -> None:
    with golang.golang() as ask:
        assert list(golang.compare(3000, 2, ask)) == []
