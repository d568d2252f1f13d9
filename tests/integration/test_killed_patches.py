"""Making and applying patches, killed before operations on files from the first to the last."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from imgfetch.patch.make import make
from tests.images import Built, image, layer, tar
from tests.killed import killed
from tests.patches import archive, sha256

NOISE = random.Random(6).randbytes(4_000_000)


def built(version: int) -> Built:
    """Return an image whose archive is written in several pieces."""
    return image(layer(tar({"noise": NOISE, "new": b"%d" % version})))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("killed")
    for version, file in ((1, "old.tar"), (2, "new.tar"), (3, "newest.tar")):
        archive(built(version), place / file, layers="plain")
    (place / "several").mkdir()
    archive(built(1), place / "several" / "b.tar")
    archive(built(3), place / "several" / "a.tar")
    for old, new, file in (("old.tar", "new.tar", "a.patch"), ("new.tar", "newest.tar", "b.patch")):
        with (place / file).open("wb") as out:
            make(place / old, place / new, out)
    return place


RUNS: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "apply": (30, ("apply", "{}/a.patch", "--from", "{}/old.tar", "-o", "{}/y.out")),
    "a chain": (15, ("apply", "{}/a.patch", "{}/b.patch", "--from", "{}/old.tar", "-o", "{}/y.out")),
    "a base in a directory": (15, ("apply", "{}/a.patch", "--from", "{}/several", "-o", "{}/y.out")),
    "patch": (15, ("patch", "{}/old.tar", "{}/newest.tar", "-o", "{}/y.out")),
    "a raw patch": (15, ("patch", "{}/old.tar", "{}/new.tar", "--raw", "-o", "{}/y.out")),
}
"""The number of kills, and the command."""
MOMENTS = {"apply": 4, "a base in a directory": 3}
"""The different sizes of the unfinished file, with -1 for none."""


@pytest.mark.parametrize("run", RUNS)
def test_a_kill_leaves_the_output_as_it_was(
    run: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kills, words), before = RUNS[run], None if run == "apply" else b"an earlier file"
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    output = place / "y.out"
    output.unlink(missing_ok=True)
    if before is not None:
        output.write_bytes(before)
    was = sha256(output) if before else None
    whole, *states = killed(kills, output, *[word.format(place) for word in words])
    assert whole.status == 0
    assert {state.status for state in states} <= {-9, 0}
    assert [state.status for state in states].count(-9) >= kills - 2
    assert {state.output for state in states} <= {was, whole.output}
    assert was in {state.output for state in states}
    assert len({state.unfinished for state in states}) >= MOMENTS.get(run, 2)
    assert list(tmp_path.iterdir()) == []
