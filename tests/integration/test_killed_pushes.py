"""A push that is killed at any byte is completed by the next one, which sends little again."""

from __future__ import annotations

import json
import os
import random
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.counting import CountingProxy, counting
from tests.engines import RealRegistry, output
from tests.images import OCI_GZIP, Built, gz, image, layer, tar
from tests.integration.conftest import Command
from tests.loopback import Loopback
from tests.tools import tool
from tests.uploads import UploadRegistry

CHUNK = 64 * 1024
KILLS = 20
HEADERS = 1000
"""Bytes of a request without its body, at most."""
PUSH = f"""
import sys
from imgfetch.upload import blob
from imgfetch.cli.main import main
blob.CHUNK = {CHUNK}
sys.exit(main(["push", *sys.argv[1:]]))
"""


def noisy(size: int, seed: int) -> Built:
    """Return an image of one layer of about a size, which does not shrink."""
    raw = tar({"noise": random.Random(seed).randbytes(size)})
    return image(layer(gz(raw), OCI_GZIP, raw=raw))


def bundle(loopback: Loopback, command: Command, tmp_path: Path, *sizes: int) -> tuple[Path, list[Built]]:
    images = [noisy(size, seed) for seed, size in enumerate(sizes)]
    references = [loopback.add(f"team/app-{number}", "1", built) for number, built in enumerate(images)]
    assert command("save", *references, "-o", tmp_path / "y.tar", "--platform", "linux/amd64").status == 0
    return tmp_path / "y.tar", images


def push(archive: Path, proxy: CountingProxy, tmp_path: Path, *options: str, limit: int | None = None) -> int:
    """Push in a process of its own, which is killed when it has sent so many bytes; return its status."""
    environment = os.environ | {"IMGFETCH_CACHE_DIR": str(tmp_path / "cache"), "IMGFETCH_RETRIES": "0"}
    words = [sys.executable, "-c", PUSH, str(archive), proxy.host, "--plain-http", "-j", "1", "-q", *options]
    with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        proxy.limit, proxy.reached = limit, process.kill
        status = process.wait(120)
        proxy.limit = None
    return status


def killed(archive: Path, proxy: CountingProxy, tmp_path: Path, seed: int, total: int, *options: str) -> int:
    """Kill a push at seeded points until it has been killed `KILLS` times, then complete it; return the kills."""
    chance, kills = random.Random(seed), 0
    while kills < KILLS and push(archive, proxy, tmp_path, *options, limit=chance.randrange(total // 12)) != 0:
        kills += 1
    assert push(archive, proxy, tmp_path, *options) == 0
    return kills


def size_of(images: Sequence[Built]) -> int:
    return sum(len(blob.content) for built in images for blob in built.blobs)


def test_a_registry_that_keeps_its_part_of_an_upload_receives_each_byte_once(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    archive, images = bundle(loopback, command, tmp_path, 40 * CHUNK, 10 * CHUNK)
    total = size_of(images)
    with UploadRegistry() as registry, counting(registry.host) as proxy:
        kills = killed(archive, proxy, tmp_path, 1, total)
        assert kills == KILLS
        assert proxy.sent <= total + len(registry.requests) * HEADERS + kills * CHUNK
        assert registry.tags("team/app-0") == {"1": images[0].digest}
        assert registry.tags("team/app-1") == {"1": images[1].digest}
        assert list((tmp_path / "cache" / "uploads").iterdir()) == []


def test_docker_registry_receives_at_most_one_chunk_again_for_each_kill(
    loopback: Loopback, command: Command, tmp_path: Path, registry: RealRegistry
) -> None:
    archive, images = bundle(loopback, command, tmp_path, *[CHUNK * 3 // 4] * 30)
    total = size_of(images)
    with counting(registry.host) as proxy:
        kills = killed(archive, proxy, tmp_path, 2, total)
        requests = (kills + 1) * 4 * len(images)
        assert kills == KILLS
        assert proxy.sent <= total + requests * HEADERS + kills * CHUNK
    for number, built in enumerate(images):
        raw = output(
            tool("skopeo"), "inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/team/app-{number}:1"
        )
        assert raw.encode() == built.raw


def test_docker_registry_continues_an_upload_that_was_killed_between_two_chunks(
    loopback: Loopback, command: Command, tmp_path: Path, registry: RealRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgfetch.upload import blob  # noqa: PLC0415

    monkeypatch.setattr(blob, "CHUNK", CHUNK)
    archive, images = bundle(loopback, command, tmp_path, 8 * CHUNK)
    append = blob.Uploads.append

    def interrupted(self: blob.Uploads, *arguments: object) -> object:
        if arguments[2].offset == 4 * CHUNK:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        return append(self, *arguments)  # type: ignore[arg-type]

    with counting(registry.host) as proxy:
        options = (archive, f"{proxy.host}/between", "--plain-http", "-j", "1")
        with monkeypatch.context() as patch:
            patch.setattr(blob.Uploads, "append", interrupted)
            with pytest.raises(KeyboardInterrupt):
                command("push", *options)
        assert proxy.sent > 4 * CHUNK
        assert command("push", *options).status == 0
        assert proxy.sent < size_of(images) + 40 * HEADERS


def test_without_a_cache_a_killed_upload_starts_over(loopback: Loopback, command: Command, tmp_path: Path) -> None:
    archive, images = bundle(loopback, command, tmp_path, 10 * CHUNK)
    with UploadRegistry() as registry, counting(registry.host) as proxy:
        assert push(archive, proxy, tmp_path, "--no-cache", limit=5 * CHUNK) != 0
        assert push(archive, proxy, tmp_path, "--no-cache") == 0
        assert proxy.sent >= size_of(images) + 4 * CHUNK
        assert registry.tags("team/app-0") == {"1": images[0].digest}


def test_the_address_of_an_upload_is_a_secret_of_this_user(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    archive, _ = bundle(loopback, command, tmp_path, 10 * CHUNK)
    with UploadRegistry() as registry, counting(registry.host) as proxy:
        assert push(archive, proxy, tmp_path, limit=5 * CHUNK) != 0
        (note,) = [path for path in (tmp_path / "cache" / "uploads").iterdir() if path.suffix != ".lock"]
        assert stat.S_IMODE(note.stat().st_mode) == 0o600
        assert "state=secret-of-this-upload" in json.loads(note.read_text())["address"]
        done = command("push", archive, f"{proxy.host}/other", "--plain-http", "-vv")
        assert ": PUT http://" in done.err
        assert "secret-of-this-upload" not in done.err
        note.chmod(0o644)
        before = len(registry.requests)
        assert push(archive, proxy, tmp_path) == 0
        assert "GET" not in [sent.method for sent in registry.requests[before:] if "/uploads/" in sent.path]
