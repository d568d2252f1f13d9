"""No reader has another image under a pinned name after an archive that `verify` approved for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imgfetch.archive.verify import verify
from imgfetch.errors import ImgfetchError
from tests.hostile import APPROVED, HOSTILE, Pair
from tests.hostile.fate import GOOD, NOTHING, OTHER, PLANTED, fate

Started = Callable[[str], Any]
READERS = (
    *("docker-20.10", "docker-28.5-containerd-store", "podman-5.8", "ctr-1.6"),
    *("skopeo-1.22-docker-archive", "skopeo-1.22-oci-archive"),
)
MEASURED = {
    "the planted image's name, the same, in manifest.json": {"docker-20.10": PLANTED, "ctr-1.6": GOOD},
    "entries for platforms, the planted one's is foreign": {"ctr-1.6": PLANTED},
    "an index of both, the good one's is foreign": {"docker-28.5-containerd-store": PLANTED, "podman-5.8": PLANTED},
    "a child that calls itself an attestation, without a platform": {"docker-28.5-containerd-store": PLANTED},
    "docker's oldest layout beside index.json": {"docker-20.10": OTHER, "ctr-1.6": GOOD},
    "a link in place of the blobs": {"docker-20.10": PLANTED, "ctr-1.6": GOOD},
    "a bundle with the mode of a symbolic link": {
        "podman-5.8": PLANTED,
        "skopeo-1.22-docker-archive": PLANTED,
        "docker-20.10": GOOD,
    },
    "a gzip file that is a tar of another": {"ctr-1.6": PLANTED, "docker-20.10": GOOD},
    "a zstd file that is a tar of another": {"docker-20.10": PLANTED, "skopeo-1.22-oci-archive": PLANTED},
}
"""The images that some readers have after archives that others take for the pinned one: the test is not idle.

Each approved archive goes to two readers; ``python -m tests.hostile READER`` gives all archives to one.
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "y.tar"


def made(title: str, archive: Path) -> Pair:
    """Write an archive, and return its images."""
    pair = HOSTILE[title].pair(title)
    archive.write_bytes(HOSTILE[title].make(pair))
    return pair


def is_approved(archive: Path, pair: Pair) -> bool:
    try:
        return not verify(archive, pair.pinned).findings
    except ImgfetchError:
        return False


@pytest.mark.parametrize(
    ("title", "reader"),
    [
        (title, READERS[(number + step) % len(READERS)])
        for number, title in enumerate(sorted(APPROVED))
        for step in (0, 3)
    ],
)
def test_no_reader_has_another_image_after_an_approved_archive(
    title: str, reader: str, started: Started, archive: Path
) -> None:
    pair = made(title, archive)
    assert is_approved(archive, pair)
    assert fate(started(reader), archive, pair) in (GOOD, NOTHING)


@pytest.mark.parametrize(
    ("title", "reader", "expected"),
    [(title, reader, expected) for title, fates in MEASURED.items() for reader, expected in fates.items()],
)
def test_readers_differ_over_an_archive_that_is_not_approved(
    title: str, reader: str, expected: str, started: Started, archive: Path
) -> None:
    pair = made(title, archive)
    assert fate(started(reader), archive, pair) == expected
    assert not is_approved(archive, pair)
