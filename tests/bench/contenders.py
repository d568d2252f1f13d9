"""The programs that download images to a file, and lower bounds for their time."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import modern, readers
from tests.bench import outputs
from tests.bench.measuring import Command, Usage, measured
from tests.bench.outputs import Source
from tests.readers.engine import Programs, installed

FLOOR_JOBS = 2
SKOPEO = "skopeo docker-archive"
_LEFT_OUT = (
    *("IMGFETCH_", "PYTHONDONTWRITEBYTECODE", "SSL_CERT_", "REQUESTS_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
)


class Unavailable(Exception):  # noqa: N818  # it ends a case and not the benchmark
    """Something that a case needs is not on this machine."""


@dataclass(frozen=True)
class Contender:
    """Somebody who brings images.

    Attributes:
        name: what it is called.
        commands: returns what is run for a source and a file to write.
        reset: makes it forget what it has.
        check: reads what it has written, after the time is taken.
        daemon: the id of a process that does its work, if one does.
        version: the command that tells its version.
    """

    name: str
    commands: Callable[[Source, Path], Sequence[Command]]
    reset: Callable[[], object] = lambda: None
    check: Callable[[Source, Path], object] = outputs.archive
    daemon: int = 0
    version: Command = field(default=())

    def run(self, source: Source, target: Path) -> Usage:
        """Bring the images once."""
        self.reset()
        target.unlink(missing_ok=True)
        commands = [[*source.prefix, *command] for command in self.commands(source, target)]
        try:
            usage = measured(commands, daemon=self.daemon, env=environment())
            self.check(source, target)
            return usage
        finally:
            target.unlink(missing_ok=True)


def imgfetch(program: Command, directory: Path, name: str, *options: str | Path, warm: bool = False) -> Contender:
    """Return ourselves, with an empty cache or with one that has all layers."""

    def commands(source: Source, target: Path) -> list[Command]:
        plain = [] if source.host.startswith("127.") else ["--plain-http"]
        where: Command = ["-o", target, "--cache-dir", directory, "--platform", "linux/amd64"]
        return [[*program, "save", "-q", *source.references, *where, *plain, *options]]

    def reset() -> None:
        if not warm:
            shutil.rmtree(directory, ignore_errors=True)

    return Contender(name, commands, reset, version=[*program, "--version"])


def mirrors(source: Source, hosts: Iterable[str]) -> list[str]:
    """Return our options for mirrors of a source's registry."""
    return [part for host in hosts for part in ("--mirror", f"{source.host}=http://{host}")]


def skopeo(program: Command, transport: str = "docker-archive", name: str = SKOPEO) -> Contender:
    """Return skopeo, which brings one image."""

    def commands(source: Source, target: Path) -> list[Command]:
        (reference,) = source.references
        name = f"{transport}:{target}:bench/image:v1" if transport == "docker-archive" else f"{transport}:{target}:v1"
        copy = ["--insecure-policy", "copy", "-q", "--src-tls-verify=false"]
        return [[*program, *copy, f"docker://{reference}", name]]

    return Contender(name, commands, version=[*program, "--version"])


def crane(program: Command, version: Command) -> Contender:
    """Return crane, which does not know its version."""

    def commands(source: Source, target: Path) -> list[Command]:
        return [[*program, "pull", "--insecure", *source.references, target]]

    return Contender("crane", commands, version=version)


def podman(program: Command, directory: Path, name: str) -> Contender:
    """Return podman, whose storage is in a directory."""
    root = [*program, "--root", directory / "root", "--runroot", directory / "r", "--events-backend", "none"]
    driver = next(name for name in ("overlay", "vfs") if _works([*root, "--storage-driver", name, "info"]))
    command = [*root, "--storage-driver", driver]

    def commands(source: Source, target: Path) -> list[Command]:
        pull = [*command, "pull", "-q", "--tls-verify=false", *source.references]
        return [pull, [*command, "save", "-q", "-o", target, *source.references]]

    def reset() -> None:
        subprocess.run([*command, "rmi", "-a", "-f"], capture_output=True, check=True)

    return Contender(f"{name} ({driver})", commands, reset, version=[*program, "--version"])


def docker(stack: ExitStack, directory: Path, name: str, programs: Programs = installed) -> Contender:
    """Return docker, with a daemon of its own."""
    for driver in ("overlay2", "vfs"):
        with suppress(pytest.fail.Exception, pytest.skip.Exception):  # the tests' way to report that it does not start
            engine = stack.enter_context(readers.docker(directory, programs, storage_driver=driver))
            break
    else:
        raise Unavailable(f"dockerd does not start: {(directory / 'dockerd.log').read_text()[-500:]}")

    def commands(source: Source, target: Path) -> list[Command]:
        names = source.references
        return [
            *([*engine.command, "pull", "-q", name] for name in names),
            [*engine.command, "save", "-o", target, *names],
        ]

    daemon = int((directory / "docker.pid").read_text())
    return Contender(
        f"{name} ({driver})", commands, engine.forget, daemon=daemon, version=[*engine.command, "--version"]
    )


def linked(tree: modern.Tree, name: str) -> Command:
    """Return the beginning of a command that runs a tree's program with the tree's libraries, and without namespaces.

    To enter the tree takes 50 ms, which would be much of crane's time for small images.
    """
    program = tree.path / "usr/bin" / name
    loader = next(tree.path.glob("usr/lib*/ld-linux*.so.*"), None)
    if loader is None or not program.exists():
        raise Unavailable(f"{tree.path} has no {name} that can be run")
    return [loader, "--library-path", ":".join(map(str, tree.path.glob("usr/lib/*-linux-gnu"))), program]


def curl(name: str = "curl") -> Contender:
    """Return curl, which brings each blob in turn, two at a time."""
    return _floor(name, "curl -sf -o /dev/null $1", lambda source: source.blobs, ["curl", "--version"])


def pipes() -> Contender:
    """Return pipes of programs that do one thing each."""
    sha256, inflate = _hasher(), _inflater()
    script = f"curl -sf $1 | tee >({sha256} >/dev/null) | {inflate} | {sha256} >/dev/null"
    return _floor(
        "pipes of curl, sha256, gzip, sha256", script, lambda source: source.blobs, [inflate.split()[0], "--version"]
    )


def disk() -> Contender:
    """Return dd, which brings as many bytes as the images have to the disk."""

    def commands(source: Source, target: Path) -> list[Command]:
        count = f"count={sum(image.size for image in source.images.values())}"
        return [["dd", "if=/dev/zero", f"of={target}", "bs=1M", count, "iflag=count_bytes", "conv=fdatasync"]]

    return Contender("dd to the disk", commands, check=outputs.none)


def aria2c() -> Contender:
    """Return aria2c, which brings one blob by eight connections."""
    program = _tool("aria2c")
    options = ["-q", "-x8", "-s8", "-k1M", "--file-allocation=none", "--allow-overwrite=true", "--no-conf"]

    def commands(source: Source, target: Path) -> list[Command]:
        return [[program, *options, "-d", target.parent, "-o", target.name, source.blobs[0]]]

    return Contender("aria2c -x8", commands, check=outputs.blob, version=[program, "--version"])


def _floor(name: str, script: str, items: Callable[[Source], Sequence[str]], version: Command) -> Contender:
    """Return a contender that runs a script for each item, two at a time."""
    _tool("curl")
    # The items stand on the command line, after the script, so that no shell reads them.
    both = f"printf '%s\\n' \"$@\" | xargs -P{FLOOR_JOBS} -I@ bash -c 'set -o pipefail; {script}' - @"
    return Contender(
        name, lambda source, _: [["bash", "-c", both, "-", *items(source)]], check=outputs.none, version=version
    )


def _hasher() -> str:
    return "openssl dgst -sha256" if shutil.which("openssl") else "sha256sum"


def _inflater() -> str:
    return "igzip -dc" if shutil.which("igzip") else "gzip -dc"


def _tool(name: str) -> str:
    if path := shutil.which(name):
        return path
    raise Unavailable(f"{name} is not installed")


def _works(command: Command) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def environment() -> dict[str, str]:
    """Return ours without what would send requests elsewhere, or make imgfetch different from the installed one."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(_LEFT_OUT)}
