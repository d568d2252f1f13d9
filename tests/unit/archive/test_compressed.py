"""The distinction of files and references; compressed archives."""

from __future__ import annotations

import hashlib
import io
import os
import random
from pathlib import Path

import pytest
import zstandard

from imgfetch.archive import compressed
from imgfetch.archive.compressed import looks_like_file
from imgfetch.errors import ImgfetchError
from imgfetch.layers.windows import MAX_WINDOW

MIB = 1024**2


@pytest.mark.parametrize("text", ["./x", "../x", "/x", "x.tar", "x.tar.gz", "x.tgz", "x.tar.zst", "quay.io/x/y.tar"])
def test_what_looks_like_a_file_is_one(text: str) -> None:
    assert looks_like_file(text)


@pytest.mark.parametrize("text", ["x", "quay.io/x/y", "x:tar", "quay.io/x/y:1.tar.xz", "tar"])
def test_what_looks_like_a_reference_is_one(text: str) -> None:
    assert not looks_like_file(text)


def test_what_is_there_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").touch()
    (tmp_path / "directory").mkdir()
    (tmp_path / "layout").mkdir()
    (tmp_path / "layout" / "oci-layout").touch()
    os.mkfifo(tmp_path / "pipe")
    assert all(map(looks_like_file, ("x", "layout", "pipe", "directory/")))
    assert not looks_like_file("directory")


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tgz", "tar.zst", "TAR.GZ"])
def test_what_is_compressed_comes_out_again_and_the_same_each_time(tmp_path: Path, suffix: str) -> None:
    content = bytes(range(256)) * 5000
    paths = [tmp_path / f"one.{suffix}", tmp_path / f"two.{suffix}"]
    for path in paths:
        with path.open("wb") as out, compressed.compressed(out, compressed.compression(path), len(content)) as stream:
            for start in range(0, len(content), 10_000):
                stream.write(content[start : start + 10_000])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert (paths[0].stat().st_size < len(content)) == (suffix != "tar")
    with paths[0].open("rb") as file:
        assert compressed.compression_of(file) == compressed.compression(paths[0])
        assert compressed.decompressed(file).read() == content


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_cut_in_what_is_compressed_is_told(tmp_path: Path, compression: str) -> None:
    out = io.BytesIO()
    with compressed.compressed(out, compression, 100_000) as stream:  # type: ignore[arg-type]
        stream.write(random.Random(1).randbytes(100_000))
    (tmp_path / "y").write_bytes(out.getvalue()[:50_000])
    with (tmp_path / "y").open("rb") as file, pytest.raises(ImgfetchError):
        compressed.decompressed(file).read()


# ---- windows of zstd ----

PIECE = random.Random(0).randbytes(MIB)


def repeated(distance: int, window: int | None = None, *, noise: bool = False) -> bytes:
    """Return a compressed piece, zeros or noise, and the piece again, which begins at a distance."""
    out, options = io.BytesIO(), {} if window is None else {"window": window}
    with compressed.compressed(out, "zstd", distance + MIB, **options) as stream:  # type: ignore[arg-type]
        stream.write(PIECE)
        for number in range(1, distance // MIB):
            stream.write(random.Random(number).randbytes(MIB) if noise else bytes(MIB))
        stream.write(PIECE)
    return out.getvalue()


def test_zstd_refers_to_content_up_to_128_mib_back() -> None:
    near, far = repeated(120 * MIB, noise=True), repeated(136 * MIB, noise=True)
    assert len(near) < 120.1 * MIB
    assert len(far) > 137 * MIB
    assert zstandard.get_frame_parameters(far).window_size == 128 * MIB == MAX_WINDOW


def test_a_larger_window_refers_further_back() -> None:
    assert len(repeated(136 * MIB, 256 * MIB)) < 1.5 * MIB


@pytest.mark.parametrize("window", [2**21, 2**21 - 1, 2**20 + 1])
def test_a_window_becomes_a_power_of_two(window: int) -> None:
    assert zstandard.get_frame_parameters(repeated(8 * MIB, window)).window_size == 2**21


def test_a_window_is_no_larger_than_the_content() -> None:
    assert zstandard.get_frame_parameters(repeated(8 * MIB)).window_size == 9 * MIB


def test_any_number_of_threads_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    results = set()
    for count in (1, 2, 5):
        monkeypatch.setattr("os.cpu_count", lambda count=count: count)
        results.add(repeated(30 * MIB, noise=True))
    assert len(results) == 1


def test_zstd_has_a_few_threads_on_a_large_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    make = zstandard.ZstdCompressionParameters.from_level

    def noted(*arguments: int, threads: int, **options: int) -> zstandard.ZstdCompressionParameters:
        started.append(threads)
        return make(*arguments, threads=threads, **options)

    monkeypatch.setattr("os.cpu_count", lambda: 256)
    monkeypatch.setattr("zstandard.ZstdCompressionParameters", type("Noted", (), {"from_level": staticmethod(noted)}))
    repeated(8 * MIB)
    assert started == [8]


@pytest.mark.skipif(zstandard.ZSTD_VERSION != (1, 5, 7), reason="other versions of zstd may write other bytes")
def test_zstd_has_written_these_bytes_since_it_has_a_long_window() -> None:
    assert hashlib.sha256(repeated(30 * MIB, noise=True)).hexdigest() == (
        "0b9e4a69ea58a435277a6c847359353a03cb726fe7ee4130411e75f6064cebda"
    )


@pytest.mark.parametrize(
    ("distance", "window", "refusing"),
    [
        (140, 128, None),
        (100, 512, None),
        (
            140,
            512,
            "a window of 141 MiB, so skopeo (oci-archive:), imgfetch verify and zstd -d refuse it; zstd -d --lo",
        ),
        (300, 256, "256 MiB, so skopeo (oci-archive:), imgfetch verify and zstd -d refuse it; zstd -d --long=28 "),
        (511, 1024, "512 MiB, so skopeo (oci-archive:), imgfetch verify and zstd -d refuse it; zstd -d --long=29 "),
        (
            512,
            1024,
            "513 MiB, so docker, podman, ctr, skopeo, imgfetch verify and zstd -d refuse it; zstd -d --long=30 ",
        ),
    ],
)
def test_the_readers_that_refuse_a_window_are_named(
    distance: int, window: int, refusing: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    repeated(distance * MIB, window * MIB)
    assert [refusing in record.getMessage() for record in caplog.records if refusing] == [True] * bool(refusing)
    assert bool(caplog.records) == bool(refusing)
