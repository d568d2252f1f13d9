"""Go's own libraries, on which most readers rely, agree with imgfetch."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest

from imgfetch.errors import UnsupportedError
from imgfetch.registry.go_regexps import parse_rewrite
from tests.oracle import archives, golang
from tests.oracle.program import built


def test_gzip_streams_made_by_chance_are_read_as_by_go() -> None:
    with golang.golang() as ask:
        assert list(golang.compare(3000, 2, ask)) == []


PIECES = (
    "a",
    "b",
    "/",
    ".",
    "^",
    "$",
    "(a)",
    "(.*)",
    "(?P<n>[^/]+)",
    "[ab]",
    "|",
    "*",
    "+",
    "?",
    "*?",
    "{2}",
    r"\w",
    r"\d",
    r"\b",
)
GROUPS = ("$1", "${1}", "$2", "$n", "${n}x", "$1x", "$0", "$$", "$", "a", "/", "${", "-")


def test_names_are_rewritten_as_by_go() -> None:
    chance = random.Random(7)

    def made(pieces: tuple[str, ...], most: int) -> str:
        return "".join(chance.choices(pieces, k=chance.randint(0, most)))

    cases = [(made(PIECES, 6), made(GROUPS, 4), made(("a", "b", "/", "ab", "1", "."), 6)) for _ in range(20_000)]
    program = built([Path(golang.__file__).with_name("rewrite.go")])
    done = subprocess.run([program], input=json.dumps(cases).encode(), capture_output=True, check=True)
    accepted = 0
    for (pattern, replacement, text), expected in zip(cases, json.loads(done.stdout), strict=True):
        try:
            found = parse_rewrite(pattern, replacement).apply(text)
        except UnsupportedError:
            continue
        if expected is not None:
            accepted += 1
            assert found == expected, (pattern, replacement, text)
    assert accepted > len(cases) / 3


@pytest.mark.parametrize("seed", [1, 2])
def test_an_archive_that_verify_approves_is_loaded_by_every_reader_as_verify_says(seed: int, tmp_path: Path) -> None:
    with archives.asking(built(archives.SOURCES)) as ask:
        found = list(archives.compare(seed, range(3_000), ask, tmp_path))
    assert list(archives.kinds(found)) == []
    approved = sum(each.is_approved for each in found)
    assert 0.1 < approved / len(found) < 0.9, "most cases say nothing"
