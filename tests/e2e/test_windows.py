"""Readers of `.tar.zst` need memory for a window, and refuse a large one; docs/archives.md#windows has the table."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import zstandard

from imgfetch.archive.verify import verify
from tests.conftest import Run
from tests.e2e.conftest import Started
from tests.engines import ConsumerError, RealRegistry
from tests.forms import PLATFORM, refusal
from tests.images import OCI_TAR, image, layer, tar
from tests.modern import Tree
from tests.readers import READERS
from tests.tools import tool

MIB = 1024**2
PIECE = random.Random(0).randbytes(MIB)
ZSTD_READERS = [name for name in READERS if not refusal("zstd", name)]
OF_EACH_LIBRARY = ("docker-28.5", "podman-5.8", "skopeo-1.22-docker-archive", "skopeo-1.22-oci-archive")
"""Readers for larger windows: the others decompress with the same library in Go as some of these."""
SIZES = {"default": 126, "more": 250, "most": 530}
"""The archives by MiB between a piece and its repetition; windows of 128 and 256 MiB, and of the whole archive."""

Archives = Mapping[str, tuple[Path, str]]


@pytest.fixture(scope="session")
def archives(registry: RealRegistry, tmp_path_factory: pytest.TempPathFactory) -> Archives:
    """Return archives whose second layer refers to the first, and the digests of the configs."""
    made = {}
    for name, distance in SIZES.items():
        first = layer(tar({"piece": PIECE, "zeros": bytes(distance * MIB)}), OCI_TAR)
        built = image(first, layer(tar({"piece": PIECE, "more": bytes(16 * MIB)}), OCI_TAR))
        path = tmp_path_factory.mktemp("w") / f"{name}.tar.zst"
        window = {"default": (), "more": ("--zstd-window", "256M"), "most": ("--zstd-window", "1G")}[name]
        reference = registry.push(f"windows/{name}", "v1", built)
        command = [sys.executable, "-m", "imgfetch", "save", reference, *PLATFORM, *window, "-o", path, "--no-cache"]
        done = subprocess.run(command, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr.decode()
        assert (b"refuse it" in done.stderr) == (name != "default")
        assert path.stat().st_size < 1.5 * MIB  # so the repetition refers to the piece
        made[name] = path, built.config.digest
    return made


@pytest.mark.parametrize("reader", ZSTD_READERS)
def test_a_reader_accepts_the_default_window(reader: str, archives: Archives, started: Started) -> None:
    engine, (path, image_id) = started(reader), archives["default"]
    assert zstandard.get_frame_parameters(path.read_bytes()[:18]).window_size == 128 * MIB
    assert engine.load(path).image_id == image_id
    engine.forget()


@pytest.mark.parametrize("reader", OF_EACH_LIBRARY)
def test_a_reader_but_one_accepts_twice_the_default_window(reader: str, archives: Archives, started: Started) -> None:
    engine, (path, image_id) = started(reader), archives["more"]
    if reader == "skopeo-1.22-oci-archive":
        with pytest.raises(ConsumerError, match="--long=28"):
            engine.load(path)
    else:
        assert engine.load(path).image_id == image_id
    engine.forget()


@pytest.mark.parametrize("reader", OF_EACH_LIBRARY)
def test_a_reader_refuses_a_window_over_512_mib(reader: str, archives: Archives, started: Started) -> None:
    with pytest.raises(ConsumerError, match=r"exceeds configured limit|too much memory"):
        started(reader).load(archives["most"][0])


@pytest.mark.parametrize("name", ["more", "most"])
def test_imgfetch_reads_a_large_window_that_zstd_decompresses(name: str, archives: Archives, run: Run) -> None:
    path, image_id = archives[name]
    done = run("verify", str(path))
    assert done.returncode == 1
    assert b"decompress it with zstd -d --long=31, and read the result" in done.stderr
    with subprocess.Popen([tool("zstd"), "-d", "--long=31", "-c", path], stdout=subprocess.PIPE) as zstd:
        verified = verify(zstd.stdout)
    assert [str(found.config_digest) for found in verified.images] == [image_id]


@pytest.mark.parametrize("is_modern", [False, True], ids=["debian 12", "debian 14"])
@pytest.mark.parametrize("command", [("zstd", "-t"), ("tar", "--zstd", "-tf")], ids=["zstd", "tar"])
def test_zstd_and_tar_accept_the_default_window_only(
    command: tuple[str, ...], archives: Archives, modern: Tree, *, is_modern: bool
) -> None:
    program = modern.program(command[0]) if is_modern else [tool(command[0])]
    for name, (path, _) in archives.items():
        done = subprocess.run([*program, *command[1:], path], capture_output=True, check=False, timeout=120)
        assert (done.returncode == 0) == (name == "default"), done.stderr
