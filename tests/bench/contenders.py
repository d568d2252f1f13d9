"""The programs that download an image to a file, and a lower bound for their time."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import readers
from tests.bench.measuring import Command, Usage, measured
from tests.bench.workload import Workload

JOBS = 2  # blobs at a time, where it is for us to say


@dataclass(frozen=True)
class Source:
    """An image in a registry.

    Attributes:
        reference: its name, with the registry's host.
        blobs: the URLs of its layers.
        workload: what it is made of.
        prefix: what goes before each command, such as one that enters another network.
        plain: whether to tell that the registry has no TLS.
    """

    reference: str
    blobs: tuple[str, ...]
    workload: Workload
    prefix: tuple[str, ...] = ()
    plain: bool = False


@dataclass(frozen=True)
class Contender:
    """Somebody who brings an image.

    Attributes:
        name: what it is called.
        commands: returns what is run for an image and a file to write.
        reset: makes it forget what it has.
        daemon: the id of a process that does its work, if one does.
        version: the command that tells its version.
    """

    name: str
    commands: Callable[[Source, Path], Sequence[Command]]
    reset: Callable[[], object] = lambda: None
    daemon: int = 0
    version: Command = ()

    def run(self, source: Source, target: Path) -> Usage:
        """Bring the image once."""
        self.reset()
        target.unlink(missing_ok=True)
        commands = [[*source.prefix, *command] for command in self.commands(source, target)]
        try:
            return measured(commands, daemon=self.daemon, env=_environment())
        finally:
            target.unlink(missing_ok=True)


def imgfetch(program: Path, directory: Path, name: str, *options: str, warm: bool = False) -> Contender:
    """Return ourselves, with an empty store or with one that has all layers."""
    store = directory / "store"

    def commands(source: Source, target: Path) -> list[Command]:
        plain = ["--plain-http"] if source.plain else []
        where = ["-o", target, "--cache-dir", store, "--platform", "linux/amd64"]
        return [[program, "save", "-q", source.reference, *where, *plain, *options]]

    def reset() -> None:
        if not warm:
            shutil.rmtree(store, ignore_errors=True)

    return Contender(name, commands, reset, version=[program, "--version"])


def peers(stack: ExitStack, directory: Path) -> list[Contender]:
    """Return those that are installed."""
    found = []
    if skopeo := shutil.which("skopeo"):
        found += [_skopeo(skopeo, "docker-archive"), _skopeo(skopeo, "oci-archive")]
    if podman := shutil.which("podman"):
        found.append(_podman(podman, directory))
    if shutil.which("dockerd") and os.geteuid() == 0:
        found.append(_docker(stack, directory))
    if crane := shutil.which("crane"):
        found.append(
            Contender("crane", lambda source, target: [[crane, "pull", "--insecure", source.reference, target]])
        )
    return found


def _skopeo(skopeo: str, transport: str) -> Contender:
    def commands(source: Source, target: Path) -> list[Command]:
        name = f"{transport}:{target}:bench/image:v1" if transport == "docker-archive" else f"{transport}:{target}:v1"
        copy = ["--insecure-policy", "copy", "-q", "--src-tls-verify=false"]
        return [[skopeo, *copy, f"docker://{source.reference}", name]]

    return Contender(f"skopeo {transport}", commands, version=[skopeo, "--version"])


def _podman(podman: str, directory: Path) -> Contender:
    root = [podman, "--root", str(directory / "podman"), "--runroot", str(directory / "podman-run")]
    driver = next(name for name in ("overlay", "vfs") if _works([*root, "--storage-driver", name, "info"]))
    command = [*root, "--storage-driver", driver, "--events-backend", "none"]

    def commands(source: Source, target: Path) -> list[Command]:
        pull = [*command, "pull", "-q", "--tls-verify=false", source.reference]
        return [pull, [*command, "save", "-q", "-o", target, source.reference]]

    def reset() -> None:
        subprocess.run([*command, "rmi", "-a", "-f"], capture_output=True, check=True)

    return Contender(f"podman pull + save ({driver})", commands, reset, version=[podman, "--version"])


def _docker(stack: ExitStack, directory: Path) -> Contender:
    place = directory / "docker"
    place.mkdir()
    for driver in ("overlay2", "vfs"):
        with suppress(
            pytest.fail.Exception, pytest.skip.Exception
        ):  # how the tests' engines say that it does not start
            docker = stack.enter_context(readers.docker(place, storage_driver=driver))
            break
    else:
        raise RuntimeError(f"dockerd does not start: {(place / 'dockerd.log').read_text()[-1000:]}")

    def commands(source: Source, target: Path) -> list[Command]:
        name = source.reference
        return [[*docker.command, "pull", "-q", name], [*docker.command, "save", "-o", target, name]]

    def reset() -> None:
        images = subprocess.run([*docker.command, "images", "-aq"], capture_output=True, check=True, text=True).stdout
        if images:
            subprocess.run([*docker.command, "rmi", "-f", *set(images.split())], capture_output=True, check=True)

    daemon = int((place / "docker.pid").read_text())
    return Contender(f"docker pull + save ({driver})", commands, reset, daemon, [*docker.command, "--version"])


def floors() -> list[Contender]:
    """Return what the work costs in pipes of programs that do one thing each."""
    sha256 = "openssl dgst -sha256" if shutil.which("openssl") else "sha256sum"
    inflate = "igzip -dc" if shutil.which("igzip") else "gzip -dc"

    def each(script: str, items: Sequence[str], jobs: int = JOBS) -> list[Command]:
        # The items stand on the command line, after the script, so that no shell reads them.
        return [["bash", "-c", f"printf '%s\\n' \"$@\" | xargs -P{jobs} -I@ bash -c '{script}' - @", "-", *items]]

    def transfer(source: Source, target: Path) -> list[Command]:
        del target
        return each("curl -sf -o /dev/null $1", source.blobs)

    def pipes(source: Source, target: Path) -> list[Command]:
        del target
        return each(f"curl -sf $1 | tee >({sha256} >/dev/null) | {inflate} | {sha256} >/dev/null", source.blobs)

    def local(source: Source, target: Path) -> list[Command]:
        del target
        files = [layer.path for layer in source.workload.layers]
        return each(f"{inflate} $1 | {sha256} >/dev/null", files, os.cpu_count() or 1)

    tool, hasher = inflate.partition(" ")[0], sha256.partition(" ")[0]
    return [
        Contender("curl", transfer, version=["curl", "--version"]),
        Contender(f"curl | {hasher} | {tool} | {hasher}", pipes),
        Contender(f"{tool} | {hasher}, from disk", local, version=[tool, "--version"]),
    ]


def disk() -> Contender:
    """Return what it costs to bring as many bytes as the image has to the disk."""

    def commands(source: Source, target: Path) -> list[Command]:
        count = f"count={source.workload.size}"
        return [["dd", "if=/dev/zero", f"of={target}", "bs=1M", count, "iflag=count_bytes", "conv=fdatasync"]]

    return Contender("dd to the disk", commands)


def _works(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _environment() -> dict[str, str]:
    """Return ours without what would send requests elsewhere, or make us read other certificates than the peers."""
    left_out = ("IMGFETCH_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
