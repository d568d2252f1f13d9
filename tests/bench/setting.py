"""The things that cases share: images, a registry that has them, lines to it, and programs that are ready to run."""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pytest

from tests import modern
from tests.bench import contenders, workload
from tests.bench.contenders import Contender, Unavailable
from tests.bench.link import link
from tests.bench.measuring import Command, Usage
from tests.bench.outputs import Source
from tests.bench.proxy import Line, proxy
from tests.bench.workload import Workload
from tests.engines import RealRegistry, docker_registry

ROOT = Path(__file__).parents[2]
OURS = "imgfetch"
_QUICK = 50  # times that images are smaller for a smoke test


@dataclass
class Bench:
    """A benchmark that runs.

    Attributes:
        scratch: the directory of all files.
        options: from the command line.
        stack: closes what is open at the end.
        versions: the commands that tell the version of each program that ran.
        failures: what programs said that failed.
    """

    scratch: Path
    options: argparse.Namespace
    stack: ExitStack
    versions: list[Command] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def program(self) -> Command:
        return [self.options.imgfetch]

    def image(self, size: int, layers: int, kind: str = "gzip", seed: int = workload.SEED) -> Workload:
        """Return an image of ``size`` decompressed bytes, or of a small part of them for a smoke test."""
        small = max(min(size, 20_000), size // _QUICK) if self.options.quick else size
        images = Path(self.options.images or self.scratch / "images")
        return workload.build(images, small, layers, kind, seed)

    @cached_property
    def registry(self) -> RealRegistry:
        with _needed():
            return self.stack.enter_context(docker_registry(self.directory("registry")))

    def source(self, *images: Workload) -> Source:
        """Push images, and return where they are."""
        named = {f"bench/{image.name}": image for image in images}
        for repository, image in named.items():
            image.push(self.registry, repository, "v1")
        return Source(self.registry.host, named)

    @contextmanager
    def behind(self, source: Source, line: Line) -> Iterator[Source]:
        """Put a slow line before a source."""
        with proxy(source.host, line) as host:
            yield replace(source, host=host)

    @contextmanager
    def at_the_end_of(self, source: Source, rate: str, loss: float = 0) -> Iterator[Source]:
        """Put a source at one end of a line, and the programs at the other."""
        far = self.directory("far")
        (far / "storage").symlink_to(self.registry.storage)
        try:
            with link(rate, loss) as line, docker_registry(far, address=line.address) as registry:
                yield replace(source, host=registry.host, prefix=line.prefix)
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            raise Unavailable(f"no line of {rate}: {getattr(error, 'stderr', '') or error}") from error

    def ours(self, name: str = OURS, *options: str, warm: bool = False, program: Command = ()) -> Contender:
        return contenders.imgfetch(program or self.program, self.scratch / f"cache-{warm}", name, *options, warm=warm)

    @cached_property
    def tree(self) -> modern.Tree:
        """The tree of newer programs."""
        if not modern.place().exists():
            raise Unavailable("the newer engines are not there; make engines gets them")
        with _needed():
            return modern.tree(self.scratch)

    def skopeo(self) -> Contender:
        return contenders.skopeo(contenders.linked(self.tree, "skopeo"))

    def crane(self) -> Contender:
        version = [*self.tree.program("dpkg-query"), "-W", "-f", "crane ${Version}\n", "crane"]
        return contenders.crane(contenders.linked(self.tree, "crane"), version)

    def earlier(self, revision: str) -> Command:
        """Return the beginning of a command that runs imgfetch as it was, with the libraries of today."""
        directory = self.directory("earlier")
        archive = subprocess.run(
            ["git", "archive", "--format=tar", revision, "imgfetch"], cwd=ROOT, capture_output=True, check=False
        )
        if archive.returncode:
            raise Unavailable(f"this checkout has no revision {revision}")
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(directory, filter="data")
        return self._run_from(directory)

    def today(self) -> Command:
        """Return the beginning of a command that runs imgfetch as `earlier` does."""
        return self._run_from(self.scratch / "none")

    def _run_from(self, directory: Path) -> Command:
        python = Path(self.options.imgfetch).with_name("python")
        subprocess.run([python, "-m", "compileall", "-q", directory], check=False, capture_output=True)
        return ["env", f"PYTHONPATH={directory}", python, "-P", "-m", "imgfetch"]

    def installed(self, name: str) -> Command:
        """Return a program of the machine."""
        if path := shutil.which(name):
            return [path]
        raise Unavailable(f"{name} is not installed")

    def available(self, *makers: Callable[[], Contender]) -> list[Contender]:
        """Return those whose programs are there, and report the others."""
        found = []
        for make in makers:
            try:
                found.append(make())
            except Unavailable as reason:
                print(f"left out: {reason}", file=sys.stderr, flush=True)
        return found

    def runs(self, who: Sequence[Contender], source: Source, rounds: int) -> Mapping[str, Sequence[Usage]]:
        """Let contenders take turns."""
        rounds = self.options.rounds or (1 if self.options.quick else rounds)
        runs: dict[str, list[Usage]] = {one.name: [] for one in who}
        self.versions += [one.version for one in who]
        for number in range(rounds):
            shift = number % len(who)
            for one in [*who[shift:], *who[:shift]]:  # nobody is always the first
                usage = one.run(source, self.scratch / "image.tar")
                runs[one.name].append(usage)
                print(f"  {number + 1} of {rounds}: {one.name} {usage.wall:.2f} s", flush=True)
        return runs

    def directory(self, name: str) -> Path:
        """Return an empty directory."""
        directory = self.scratch / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        return directory


@contextmanager
def _needed() -> Iterator[None]:
    """Translate the way in which tests report that something is missing."""
    try:
        yield
    except (pytest.fail.Exception, pytest.skip.Exception) as reason:
        raise Unavailable(str(reason)) from reason
