"""Measure the claims of the README's comparison table: ``python -m tests.comparison``.

Every claim is tried with each tool on the PATH, against a registry on the loopback. To measure other versions, put
them first on the PATH.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import engines, readers
from tests.images import DOCKER_GZIP, Blob, Built, hello, image, layer, tar
from tests.throttled import Throttled

Command = Sequence[str | Path]

_TIMEOUT = 120.0  # seconds for one command
_RATE = 200_000.0  # bytes a second, where a download is interrupted
_SIZE = 600_000  # bytes of that download


@dataclass(frozen=True)
class Tool:
    """A tool that saves images.

    Attributes:
        version: the tool's name and version.
        save: returns the commands that save images to a file.
        reset: makes the tool forget what it has downloaded.
        check: returns the command that checks a file without a network.
    """

    version: str
    save: Callable[[Sequence[str], Path], Sequence[Command]]
    reset: Callable[[], object] = lambda: None
    check: Callable[[Path], Command] | None = None

    def saves(self, references: Sequence[str], output: Path) -> bool:
        """Save images, starting from nothing, and return whether the tool reports a success."""
        self.reset()
        return all(succeeds(command) for command in self.save(references, output))


def succeeds(command: Command) -> bool:
    done = subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT, stdin=subprocess.DEVNULL)
    return done.returncode == 0


@contextmanager
def serving(*images: Built, rate: float = 1e12) -> Iterator[tuple[Throttled, list[str]]]:
    """Serve images, and give the registry and the references."""
    with Throttled(rate) as registry:
        registry.documents["/v2/"] = b"{}", "application/json"
        yield registry, [registry.add(f"team/image{number}", "v1", built) for number, built in enumerate(images)]


def small_image(text: str) -> Built:
    """Return an image in docker's formats, which most registries hold."""
    return image(hello("base", DOCKER_GZIP), hello(text, DOCKER_GZIP), docker=True)


def refuses_a_layer_that_is_not_in_the_config(saver: Tool, directory: Path) -> bool:
    """Try an image whose config promises other content than its layer has; docker cannot load it."""
    wrong = layer(tar({"file": b"content"}), DOCKER_GZIP)
    promised = Blob(wrong.content, wrong.media_type, diff_id=f"sha256:{'0' * 64}")
    with serving(image(promised, docker=True)) as (_, references):
        return not saver.saves(references, directory / "wrong.tar")


def keeps_the_registrys_digest(saver: Tool, directory: Path) -> bool:
    """Look for a file in the archive that has the digest by which the registry knows the image."""
    built, archive = small_image("digest"), directory / "digest.tar"
    with serving(built) as (_, references):
        assert saver.saves(references, archive)
    with tarfile.open(archive) as opened:
        contents = [file.read() for member in opened if member.isfile() and (file := opened.extractfile(member))]
    return built.digest.removeprefix("sha256:") in {hashlib.sha256(content).hexdigest() for content in contents}


def resumes_after_kill_9(saver: Tool, directory: Path) -> bool:
    """Kill the tool in the middle of a layer, and look where the next run's request for the layer begins."""
    large = layer(tar({"file": random.Random(1).randbytes(_SIZE)}), DOCKER_GZIP)
    with serving(image(large, docker=True), rate=_RATE) as (registry, references):
        saver.reset()
        first = saver.save(references, directory / "resumed.tar")
        process = subprocess.Popen(first[0], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while registry.sent < _SIZE // 2 and process.poll() is None:
            time.sleep(0.05)
        process.kill()
        process.wait()
        time.sleep(1.0)  # a daemon notices that its client is gone
        asked = len(registry.blobs)
        assert all(succeeds(command) for command in saver.save(references, directory / "resumed.tar"))
        return any(start > 0 for digest, start in registry.blobs[asked:] if digest == large.digest)


def writes_the_same_bytes_again(saver: Tool, directory: Path) -> bool:
    """Save an image twice, from nothing and with another time of day."""
    archives = directory / "once.tar", directory / "again.tar"
    with serving(small_image("same")) as (_, references):
        for archive in archives:
            assert saver.saves(references, archive)
            time.sleep(2.1)  # the times in a zip or a tar may count by two seconds
    return archives[0].read_bytes() == archives[1].read_bytes()


def saves_several_images_to_one_file(saver: Tool, directory: Path) -> bool:
    with serving(small_image("one"), small_image("two")) as (_, references):
        if not saver.saves(references, directory / "several.tar"):
            return False
    with tarfile.open(directory / "several.tar") as opened:
        manifest = opened.extractfile("manifest.json")
        assert manifest is not None
        listed = manifest.read().decode()
    return all(name in listed for name in references)


def finds_a_changed_file_offline(saver: Tool, directory: Path) -> bool:
    """Change one byte of a layer in an archive, and have the tool check it; a good archive has to pass."""
    if saver.check is None:
        return False
    archive = directory / "changed.tar"
    with serving(small_image("changed")) as (_, references):
        assert saver.saves(references, archive)
    assert succeeds(saver.check(archive))
    with tarfile.open(archive) as opened:
        largest = max(opened, key=lambda member: member.size)
    content = bytearray(archive.read_bytes())
    content[largest.offset_data + largest.size // 2] ^= 1
    archive.write_bytes(content)
    return not succeeds(saver.check(archive))


CLAIMS: Mapping[str, Callable[[Tool, Path], bool]] = {
    "refuses an image whose layers do not match its config": refuses_a_layer_that_is_not_in_the_config,
    "keeps the registry's digest": keeps_the_registrys_digest,
    "resumes a layer after `kill -9`": resumes_after_kill_9,
    "saving again gives an identical file": writes_the_same_bytes_again,
    "several images in one file": saves_several_images_to_one_file,
    "checks a file offline": finds_a_changed_file_offline,
}
"""The rows of the README's table that are measured."""


def imgfetch(directory: Path) -> Tool:
    command = [sys.executable, "-m", "imgfetch"]
    cache = directory / "cache"

    def save(references: Sequence[str], output: Path) -> list[Command]:
        return [[*command, "save", *references, "-o", output, "--cache-dir", cache, "--platform", "linux/amd64"]]

    def reset() -> None:
        shutil.rmtree(cache, ignore_errors=True)

    return Tool("imgfetch", save, reset, lambda archive: [*command, "verify", archive])


def skopeo(program: str, directory: Path) -> Tool:
    command = [program, "--insecure-policy", "copy", "--src-tls-verify=false"]

    def save(references: Sequence[str], output: Path) -> list[Command]:
        output.unlink(missing_ok=True)
        return [[*command, f"docker://{name}", f"docker-archive:{output}:{name}"] for name in references]

    def check(archive: Path) -> Command:
        copy = directory / "skopeo"
        shutil.rmtree(copy, ignore_errors=True)
        return [program, "--insecure-policy", "copy", f"docker-archive:{archive}", f"dir:{copy}"]

    return Tool(version(program, "--version"), save, check=check)


def crane(program: str, _directory: Path) -> Tool:
    def save(references: Sequence[str], output: Path) -> list[Command]:
        return [[program, "pull", *references, output]]

    return Tool(version(program, "version"), save, check=lambda file: [program, "validate", "--tarball", file])


def podman(program: str, directory: Path) -> Tool:
    command: list[str | Path] = [program, "--root", directory / "podman", "--runroot", directory / "r"]
    command += ["--cgroup-manager", "cgroupfs", "--events-backend", "none", "--storage-driver", "vfs"]

    def save(references: Sequence[str], output: Path) -> list[Command]:
        output.unlink(missing_ok=True)
        several = ["--multi-image-archive"] if references[1:] else []
        pulls = [[*command, "pull", "--tls-verify=false", name] for name in references]
        return [*pulls, [*command, "save", *several, "-o", output, *references]]

    return Tool(version(program, "--version"), save, lambda: succeeds([*command, "rmi", "-a", "-f"]))


def docker(daemon: readers.Docker) -> Tool:
    def save(references: Sequence[str], output: Path) -> list[Command]:
        pulls = [[*daemon.command, "pull", name] for name in references]
        return [*pulls, [*daemon.command, "save", "-o", output, *references]]

    def reset() -> None:
        images = engines.output(*daemon.command, "images", "-aq").split()
        for name in dict.fromkeys(images):
            succeeds([*daemon.command, "rmi", "-f", name])

    return Tool(f"docker {daemon.version}", save, reset)


def version(program: str, option: str) -> str:
    found = re.search(r"\d+(\.\d+)+", engines.output(program, option, check=False))
    return f"{Path(program).name} {found[0] if found else 'of unknown version'}"


def tools(stack: ExitStack, directory: Path) -> Iterator[Tool]:
    """Yield imgfetch, and the other tools that are installed."""
    yield imgfetch(directory)
    for name, make in (("skopeo", skopeo), ("crane", crane), ("podman", podman)):
        if program := shutil.which(name):
            yield make(program, directory)
    if shutil.which("dockerd") and shutil.which("containerd") and os.geteuid() == 0:
        (directory / "docker").mkdir()
        yield docker(stack.enter_context(readers.docker(directory / "docker")))


def main() -> int:
    """Print what each tool makes of each claim."""
    with tempfile.TemporaryDirectory(prefix="imgfetch-comparison-") as name, ExitStack() as stack:
        for tool in tools(stack, Path(name)):
            for claim, holds in CLAIMS.items():
                print(tool.version, claim, "yes" if holds(tool, Path(name)) else "no", sep=" | ", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
