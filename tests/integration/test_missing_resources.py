"""A machine without threads, or with little memory, few descriptors or small files: a save works, or fails cleanly."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from imgfetch.archive.verify import verify
from tests import limits
from tests.conftest import Run
from tests.images import OCI_ZSTD, hello, image
from tests.loopback import Answer, Loopback

LAYERS = [*(hello(f"layer {number}") for number in range(4)), hello("compressed otherwise", OCI_ZSTD)]
IMAGE = image(*LAYERS)
OLD = b"an older file"
Limited = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def reference(loopback: Loopback) -> str:
    loopback.answers["/v2/a/tags/list"] = Answer(b'{"name": "a", "tags": ["1"]}')
    return loopback.add("a", "1", IMAGE)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return the working directory of a run, with a file that it may replace."""
    place = tmp_path / "place"
    place.mkdir()
    (place / "y.tar").write_bytes(OLD)
    return place


@pytest.fixture
def under(run: Run, place: Path) -> Limited:
    """Return a function that runs the command in that directory, behind a beginning that sets limits."""

    def under(start: list[str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
        variables = {"HOME": str(place), "IMGFETCH_RETRIES": "0", "IMGFETCH_CACHE_DIR": str(place / "cache")}
        return run(*arguments, env=variables, start=start, cwd=place)

    return under


# ---- no threads ----


@pytest.mark.parametrize(
    "arguments",
    [
        "digest {reference}",
        "tags {repository}",
        "inspect {reference}",
        "save {reference} -o y.tar",
        "save {reference} -o y.tar --layers plain --progress bar",
        "save {reference} -o y.tar.gz",
        "save {reference} -o y.tar.zst",
        "save {reference} --progress json",
    ],
)
def test_every_command_works_without_a_thread(
    reference: str, place: Path, under: Limited, tmp_path: Path, arguments: str
) -> None:
    start = limits.threads(1, place)
    names = {"reference": reference, "repository": reference.removesuffix(":1")}
    done = under(start, *arguments.format(**names).split())
    assert done.returncode == 0, done.stderr
    assert b"thread" not in done.stderr.replace(b"no thread is free for zstd", b"")
    (tmp_path / "out.tar").write_bytes(done.stdout)
    archives = [path for path in (*place.glob("y.tar*"), tmp_path / "out.tar") if path.read_bytes() != OLD]
    if arguments.startswith("save"):
        assert [verify(path).findings for path in archives if path.stat().st_size] == [()]
        assert not list(place.glob(".*"))


def test_verify_works_without_a_thread(reference: str, place: Path, under: Limited) -> None:
    assert under([], "save", reference, "-o", "z.tar").returncode == 0
    done = under(limits.threads(1, place), "verify", "z.tar", reference)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("most", [2, 4])
def test_few_threads_are_enough_and_change_no_byte(reference: str, place: Path, under: Limited, most: int) -> None:
    assert under([], "save", reference, "-o", "expected.tar", "--platform", "linux/amd64").returncode == 0
    done = under(
        limits.threads(most, place), "save", reference, "-o", "y.tar", "--platform", "linux/amd64", "--no-cache"
    )
    assert done.returncode == 0, done.stderr
    assert (place / "y.tar").read_bytes() == (place / "expected.tar").read_bytes()


def test_a_failure_without_a_thread_leaves_the_output_untouched(
    loopback: Loopback, reference: str, place: Path, under: Limited
) -> None:
    loopback.answers[f"/v2/a/blobs/{LAYERS[2].digest}"] = Answer(b"damaged".ljust(len(LAYERS[2].content)))
    done = under(limits.threads(1, place), "save", reference, "-o", "y.tar")
    assert (done.returncode, b"layer 3/5" in done.stderr) == (6, True), done.stderr
    assert (place / "y.tar").read_bytes() == OLD
    assert not list(place.glob(".*"))


def test_an_archive_that_was_compressed_without_a_thread_is_up_to_date(
    reference: str, place: Path, under: Limited
) -> None:
    start, save = limits.threads(1, place), ("save", reference, "-o", "y.tar.zst", "--no-cache")
    done = under(start, *save)
    assert done.stderr.count(b"no thread is free for zstd, so the compressed file differs") == 1
    serial = (place / "y.tar.zst").read_bytes()
    assert b"left untouched" in under([], *save, "--if-changed").stderr
    assert under([], *save).returncode == 0
    parallel = (place / "y.tar.zst").read_bytes()
    assert zstandard.ZstdDecompressor().decompressobj().decompress(serial) == (
        zstandard.ZstdDecompressor().decompressobj().decompress(parallel)
    )
