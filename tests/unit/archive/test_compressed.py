"""The distinction of files and references; compressed archives."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from imgfetch.archive import compressed
from imgfetch.archive.compressed import looks_like_file
from imgfetch.errors import ImgfetchError


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
        with path.open("wb") as out, compressed.compressed(out, compressed.compression(path)) as stream:
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
    with compressed.compressed(out, compression) as stream:  # type: ignore[arg-type]
        stream.write(os.urandom(100_000))
    (tmp_path / "y").write_bytes(out.getvalue()[:50_000])
    with (tmp_path / "y").open("rb") as file, pytest.raises(ImgfetchError):
        compressed.decompressed(file).read()
