"""Memory does not grow with the image, its documents or the list of tags."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from imgfetch.archive import ustar
from tests.bounded import MEMORY, MIB, run
from tests.engines import RealRegistry
from tests.images import OCI_GZIP, OCI_TAR, OCI_ZSTD, Blob, Built, attestation, hello, image, index, layer, sha256, tar
from tests.loopback import Answer, Loopback, Request
from tests.patches import archive

LIMIT = 100 * MIB


def big(seed: int, size: int) -> bytes:
    """Return a tar with one file that hardly compresses."""
    noise = random.Random(seed).randbytes(16 * MIB)  # farther apart than a window of these compressors is wide
    content = (noise * (size // len(noise) + 1))[:size]
    return ustar.header("data", size, mtime=1) + content + ustar.padding(size) + ustar.END


@pytest.fixture(scope="module")
def reference(registry: RealRegistry) -> str:
    """Push an image of 1 GiB, in three compressions."""
    layers = []
    for number in range(4):
        raw = big(number, 256 * MIB - 4096)
        if number == 0:
            content, media_type = raw, OCI_TAR
        elif number == 1:
            content, media_type = zstandard.ZstdCompressor(level=1).compress(raw), OCI_ZSTD
        else:
            content, media_type = stored(raw), OCI_GZIP
        layers.append(Blob(content, media_type, sha256(raw)))
    return registry.push("big/image", "v1", image(*layers))


def stored(raw: bytes) -> bytes:
    """Return gzip that is quick to make: of stored blocks."""
    compressor = zlib.compressobj(0, zlib.DEFLATED, 31)
    return compressor.compress(raw) + compressor.flush()


def save(reference: str, target: Path, *options: str) -> int:
    """Return the memory in bytes that a save takes at most."""
    ended = run(target.parent, "save", reference, "-o", target, "--platform", "linux/amd64", *options)
    assert ended.status == 0, ended.err
    return ended.peak


@pytest.mark.parametrize("cache", [True, False], ids=["cache", "no-cache"])
def test_an_image_of_one_gibibyte_takes_less_than_100_mebibytes(
    cache: bool,  # noqa: FBT001  # pytest passes it by name
    reference: str,
    tmp_path: Path,
) -> None:
    target = tmp_path / "y.tar"
    options = ["--cache-dir", str(tmp_path / "cache")] if cache else ["--no-cache"]
    runs = 2 if cache else 1  # the second one takes everything from the store
    for _ in range(runs):
        assert save(reference, target, *options) < LIMIT
    assert target.stat().st_size > 1000 * MIB


def test_the_windows_of_sixty_layers_do_not_add_up(loopback: Loopback, tmp_path: Path) -> None:
    layers = []
    for number in range(60):
        raw = bytes(10 * MIB + 512 * number)
        parameters = zstandard.ZstdCompressionParameters(window_log=23, compression_level=1)  # 8 MiB, as ``zstd -19``
        compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        layers.append(Blob(compressor.compress(raw) + compressor.flush(), OCI_ZSTD, sha256(raw)))
    loopback.add("team/app", "v1", image(*layers))
    assert save(f"{loopback.host}/team/app:v1", tmp_path / "y.tar", "--no-cache", "-j", "1") < LIMIT


def test_the_widest_windows_do_not_add_up(loopback: Loopback, tmp_path: Path) -> None:
    # frames with a window of 128 MiB, of blocks that repeat one byte
    size, layers = 128 * 1024, []
    for count in range(1025, 1028):
        blocks = (b"\x02\0\x10\0" * (count - 1)) + b"\x03\0\x10\0"
        layers.append(Blob(b"\x28\xb5\x2f\xfd\0\x88" + blocks, OCI_ZSTD, sha256(bytes(count * size))))
    loopback.add("team/app", "v1", image(*layers))
    assert save(f"{loopback.host}/team/app:v1", tmp_path / "y.tar", "--no-cache", "-j", "3") < MEMORY


@pytest.mark.parametrize("layers", ["original", "plain"])
def test_a_save_that_compresses_with_zstd_takes_the_memory_of_a_window_more(
    layers: str, loopback: Loopback, tmp_path: Path
) -> None:
    noise = layer(tar({"noise": random.Random(0).randbytes(160 * MIB)}), OCI_TAR)
    reference = loopback.add("team/app", "v1", image(noise))
    target = tmp_path / "y.tar.zst"
    assert save(reference, target, "--no-cache", "--layers", layers) < LIMIT + 180 * MIB
    assert zstandard.get_frame_parameters(target.read_bytes()[:18]).window_size == 128 * MIB
    ended = run(tmp_path, "verify", target)
    assert ended.status == 0, ended.err
    assert ended.peak < MEMORY


# ---- documents ----


MANY = 20
"""Images, of which each has a manifest and a config as large as they may be."""
TEXT = "x" * (4 * MIB - 4096)


def with_large_documents(number: int) -> Built:
    return image(
        hello(),
        platform={"os": "linux", "architecture": f"a{number}"},
        manifest={"annotations": {"a": f"{number}{TEXT}"}},
        manifest_indent=None,
        config={"config": {"Labels": {"a": f"{number}{TEXT}"}}},
    )


def statements() -> Built:
    """Return an index of indexes, each with an attestation that has a large annotation there."""
    large = {"annotations": {"vnd.docker.reference.type": "attestation-manifest", "a": TEXT}}
    stated = [attestation(image(hello(str(number)))) for number in range(45)]
    return index(image(hello()), *(index(each, entries=[{**each.entry, **large}]) for each in stated))


@pytest.fixture(scope="module")
def large() -> Iterator[Loopback]:
    """Serve images with large documents under tags of their own, and all of them under one."""
    with Loopback() as loopback:
        images = [with_large_documents(number) for number in range(MANY)]
        for number, built in enumerate(images):
            loopback.add("team/app", f"v{number}", built)
        loopback.add("team/app", "all", index(*images))
        loopback.add("team/app", "statements", statements())
        yield loopback


SAVES = {
    "all platforms": (["all"], ["--all-platforms"]),
    "all platforms, decompressed": (["all"], ["--all-platforms", "--layers", "plain"]),
    "a list": ([f"v{number}" for number in range(MANY)], []),
    "a list in docker's old format": ([f"v{number}" for number in range(MANY)], ["--format", "docker-classic"]),
    "statements": (["statements"], ["--all-platforms"]),
}


@pytest.mark.parametrize(("tags", "options"), SAVES.values(), ids=SAVES.keys())
def test_large_documents_do_not_add_up(tags: list[str], options: list[str], large: Loopback, tmp_path: Path) -> None:
    references = [f"{large.host}/team/app:{tag}" for tag in tags]
    ended = run(tmp_path, "save", "-q", *references, "-o", tmp_path / "y.tar", *options)
    assert ended.status == 0, ended.err
    assert ended.peak < MEMORY


def test_layers_up_to_the_bound_fit_into_memory(loopback: Loopback, tmp_path: Path) -> None:
    def digest(*names: object) -> str:
        return sha256(repr(names).encode())

    lost, images = hello().descriptor, []
    for number in range(13):
        layers = [{**lost, "digest": digest("layer", number, layer)} for layer in range(4096)]
        rootfs = {"type": "layers", "diff_ids": [digest("diff", number, layer) for layer in range(4096)]}
        platform = {"os": "linux", "architecture": f"a{number}"}
        images.append(image(platform=platform, manifest={"layers": layers}, config={"rootfs": rootfs, "history": []}))
    for count, status in ((12, 3), (13, 6)):  # the layers are missing, or too many
        reference = loopback.add("team/app", f"v{count}", index(*images[:count]))
        ended = run(tmp_path, "save", reference, "-o", tmp_path / "y.tar", "--all-platforms")
        assert ended.status == status, ended.err
        assert ("has too many layers" in ended.err) == (count > 12)
        assert ended.peak < MEMORY


@pytest.mark.parametrize("options", [[], ["--sort", "--json"]], ids=["as they come", "sorted, as JSON"])
def test_half_a_million_tags_fit_into_memory(options: list[str], loopback: Loopback, tmp_path: Path) -> None:
    count = 100_000

    def page(request: Request) -> Answer:
        number = int(request.path.partition("?page=")[2] or 0)
        tags = [f"1.{tag % 977}.{tag}-rc{tag % 7}.alpine" for tag in range(number * count, (number + 1) * count)]
        link = f'</v2/team/app/tags/list?page={number + 1}>; rel="next"' if number < 4 else ""
        return Answer(json.dumps({"tags": tags}).encode(), headers={"Link": link})

    loopback.answers["/v2/team/app/tags/list"] = page
    ended = run(tmp_path, "tags", f"{loopback.host}/team/app", *options)
    assert ended.status == 0, ended.err
    assert ended.out.count("\n") >= 500_000
    assert ended.peak < MEMORY


def test_a_patch_takes_less_memory_than_the_two_layers_have(tmp_path: Path) -> None:
    content = [bytearray(random.Random(number).randbytes(31 * MIB)) for number in range(10)]
    for version in ("old", "new"):
        files = {f"{number}.bin": bytes(each) for number, each in enumerate(content)}
        archive(image(layer(tar(files), OCI_TAR)), tmp_path / f"{version}.tar", layers="plain")
        for each in content:
            each[::32768] = bytes(len(each[::32768]))
    made = run(tmp_path, "patch", tmp_path / "old.tar", tmp_path / "new.tar", "-o", tmp_path / "x.patch")
    applied = run(
        tmp_path, "apply", tmp_path / "x.patch", "--from", tmp_path / "old.tar", "-o", tmp_path / "result.tar"
    )
    assert (made.status, applied.status) == (0, 0), made.err + applied.err
    assert (tmp_path / "result.tar").stat().st_size > 310 * MIB
    assert (tmp_path / "x.patch").stat().st_size < MIB
    assert made.peak < 450 * MIB  # two blocks at a time, each with its prefix and the table of zstd
    assert applied.peak < 260 * MIB
