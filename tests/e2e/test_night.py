"""An operator's night: thirty images from four registries, with mistakes and interruptions, and an offline host."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.images import Blob, Built, hello, image, layer, tar
from tests.readers import Docker
from tests.throttled import Throttled
from tests.tools import root, tool

REGISTRIES, IMAGES = 4, 30
SHARED, OWN = 400_000, 60_000  # bytes of layers
RATE = 400_000.0  # bytes a second, for each layer


def _layer(name: str, size: int) -> Blob:
    return layer(tar({name: random.Random(name).randbytes(size)}))


@pytest.fixture
def registries() -> Iterator[list[Throttled]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Throttled(RATE)) for _ in range(REGISTRIES)]


@pytest.fixture
def images(registries: Sequence[Throttled]) -> dict[str, Built]:
    """Return thirty images by their references; each registry has a base that its images share."""
    bases = [_layer(f"base{number}", SHARED) for number in range(REGISTRIES)]
    found = {}
    for number in range(IMAGES):
        built = image(bases[number % REGISTRIES], _layer(f"own{number}", OWN), hello(f"image {number}"))
        found[registries[number % REGISTRIES].add(f"team/app-{number}", "1.0", built)] = built
    return found


def environment(directory: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(directory), "IMGFETCH_CACHE_DIR": str(directory / "cache")}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "imgfetch", *arguments]


def test_a_night_of_mistakes_and_interruptions_ends_with_loaded_images(
    registries: Sequence[Throttled], images: dict[str, Built], docker: Docker, tmp_path: Path
) -> None:
    root()
    references, list_file, bundle = list(images), tmp_path / "images.txt", tmp_path / "bundle.tar"
    save = command(
        "save", "-i", str(list_file), "-o", str(bundle), "--platform", "linux/amd64", "--plain-http", "--retries", "0"
    )

    def run(line: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            line, capture_output=True, text=True, check=False, timeout=180, cwd=tmp_path, env=environment(tmp_path)
        )

    # Three mistakes: one in the form of a line, which is reported alone, and two names that no registry knows.
    mistaken = list(references)
    mistaken[6] = f"{references[6]} two-words"
    mistaken[11] = references[11].replace("app-11", "app-eleven")
    mistaken[22] = references[22].replace(":1.0", ":1.00")
    list_file.write_text("\n".join(mistaken) + "\n")
    done = run(save)
    assert done.returncode == 2
    assert f"{list_file}:7: 'two-words' after the image is neither --platform nor --name" in done.stderr
    mistaken[6] = references[6]
    list_file.write_text("\n".join(mistaken) + "\n")
    done = run(save)
    assert done.returncode == 3, done.stderr
    assert "error: 2 of 30 images failed" in done.stderr
    assert f"{list_file}:12: " in done.stderr
    assert f"{list_file}:23: " in done.stderr
    assert not bundle.exists()
    assert all(not registry.blobs or registry.sent < SHARED for registry in registries)

    # Mended, interrupted twice, and resumed each time.
    list_file.write_text("\n".join(references) + "\n")
    for minimum in (300_000, 1_200_000):
        process = subprocess.Popen(save, cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 60
        while sum(registry.sent for registry in registries) < minimum and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 130, said
        assert "run the same command again to resume" in said
        assert not bundle.exists()
    done = run(save)
    assert done.returncode == 0, done.stderr
    assert "saved 30 images to " in done.stderr
    assert " cached, " in done.stderr
    layers = {blob.digest: len(blob.content) for built in images.values() for blob in built.layers}
    wasted = sum(registry.sent for registry in registries) - sum(layers.values())
    assert wasted < sum(layers.values()) // 2  # what was on the way at the interruptions, and the documents

    # Verified without a network, and loaded.
    offline = [tool("unshare"), "-n", *command("verify", "-i", str(list_file), str(bundle))]
    done = run(offline)
    assert (done.returncode, done.stdout.count("ok: ")) == (0, IMAGES), done.stderr
    docker.forget()
    docker.read(bundle)
    assert {name: docker.image_named(name) for name in references} == {
        name: built.config.digest for name, built in images.items()
    }
