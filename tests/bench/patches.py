"""Patches for the pairs of versions in `patch_pairs`: their sizes, and the time and memory to make and apply them."""

from __future__ import annotations

import filecmp
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench import contenders, patch_images
from tests.bench.measuring import Command, CommandError, Usage, measured, middle
from tests.bench.patch_pairs import PAIRS
from tests.bench.report import MIB, Goal
from tests.bench.setting import Bench
from tests.engines import RealRegistry, docker_registry

SAVE, MAKE, APPLY, UNPACK, VERIFY = "save", "make", "apply", "apply, compressed", "verify"
ROUNDS = 3
_UPSTREAM = "registry.example"


@dataclass(frozen=True)
class Measured:
    """The measurements of a pair.

    Attributes:
        number: of the pair.
        name: of the pair.
        base: bytes of the archive that ``save --base`` writes.
        patch: bytes of the patch.
        size: bytes of the new archive with decompressed layers.
        is_identical: whether each patch made exactly this archive.
        is_stable: whether the patches of all rounds are identical.
        runs: the usage of each step in each round.
    """

    number: int
    name: str
    base: int
    patch: int
    size: int
    is_identical: bool
    is_stable: bool
    runs: Mapping[str, Sequence[Usage]]

    @property
    def ratio(self) -> float:
        """The size of the patch, relative to ``save --base``."""
        return self.patch / self.base

    def time(self, step: str, other: str) -> float:
        """Return the median of the ratios of two steps of the same round."""
        pairs = zip(self.runs[step], self.runs[other], strict=True)
        return median(one.wall / max(two.wall, 0.001) for one, two in pairs)

    def used(self, step: str) -> Usage:
        """Return the median of a step's usages."""
        return middle(self.runs[step])


def measure(bench: Bench, numbers: Sequence[int]) -> Iterator[Measured]:
    """Measure pairs, and say how far it is; a pair that fails is left out, and counts as a failure."""
    images = Path(bench.options.images or bench.scratch / "images").absolute()
    images.mkdir(exist_ok=True)
    python = Path(bench.options.imgfetch).with_name("python")
    bench.versions += [[*bench.program, "--version"], [python, "-c", _ZSTD]]
    for number in numbers:
        print(f"{number} {PAIRS[number - 1].name}", flush=True)
        try:
            yield _Pair(bench, number, *patch_images.build(images, number)).measured()
        except CommandError as error:
            bench.failures.append(str(error))
            print(f"  {error}", file=sys.stderr, flush=True)


class _Pair:
    """Two archives with compressed layers, and the files that are made of them."""

    def __init__(self, bench: Bench, number: int, old: Path, new: Path) -> None:
        self._bench, self._number = bench, number
        self._old, self._new = old, new
        self._at = bench.directory("pair")
        self._plain_old, self._plain_new = self._at / "old.tar", self._at / "new.tar"
        self._patch, self._result = self._at / "new.patch", self._at / "result.tar"

    def measured(self) -> Measured:
        with self._pushed(self._old) as registry:
            self._run(self._save(registry, self._old, self._plain_old, "--layers", "plain"))
        with self._pushed(self._new) as registry:
            base = self._at / "base.tar"
            self._run(self._save(registry, self._new, base, "--base", self._old))
            size = base.stat().st_size
            base.unlink()  # the largest images need the space
            steps: Mapping[str, Command] = {
                SAVE: self._save(registry, self._new, self._plain_new, "--layers", "plain"),
                MAKE: ["patch", "-q", self._old, self._new, "-o", self._patch],
                APPLY: ["apply", "-q", self._patch, "--from", self._plain_old, "-o", self._result],
                UNPACK: ["apply", "-q", self._patch, "--from", self._old, "-o", self._result],
                VERIFY: ["verify", "-q", self._result],
            }
            rounds = self._bench.options.rounds or (1 if PAIRS[self._number - 1].kind == "large" else ROUNDS)
            return self._measured(size, steps, rounds)

    def _measured(self, base: int, steps: Mapping[str, Command], rounds: int) -> Measured:
        runs: dict[str, list[Usage]] = {step: [] for step in steps}
        patches, is_identical = set(), True
        for _ in range(rounds):
            self._result.unlink(missing_ok=True)
            for step, command in steps.items():
                runs[step].append(self._run(command))
                if step in (APPLY, UNPACK):
                    is_identical &= filecmp.cmp(self._plain_new, self._result, shallow=False)
            patches.add(self._patch.read_bytes())
            print("  " + ", ".join(f"{step} {used[-1].wall:.2f} s" for step, used in runs.items()), flush=True)
        patch, size = self._patch.stat().st_size, self._plain_new.stat().st_size
        name = PAIRS[self._number - 1].name
        found = Measured(self._number, name, base, patch, size, is_identical, len(patches) == 1, runs)
        print(f"  patch {patch:,}, --base {base:,}, ratio {found.ratio:.4f}", flush=True)
        return found

    def _save(self, registry: RealRegistry, archive: Path, target: Path, *options: str | Path) -> Command:
        reference = f"{patch_images.reference(self._number)}:{archive.stem.partition('-')[2]}"
        place = ["--mirror", f"{_UPSTREAM}=http://{registry.host}", "--platform", "linux/amd64"]
        return ["save", "-q", reference, *place, "--cache-dir", self._at / "cache", "-o", target, *options]

    def _run(self, command: Command) -> Usage:
        """Run imgfetch with an empty cache."""
        self._bench.directory("pair/cache")
        environment = contenders.environment() | {"TMPDIR": str(self._bench.scratch)}
        return measured([[*self._bench.program, *command]], env=environment)

    @contextmanager
    def _pushed(self, archive: Path) -> Iterator[RealRegistry]:
        """Start a registry with an image."""
        with docker_registry(self._bench.directory("pair/registry")) as registry:
            self._run(["push", "-q", archive, registry.host])
            yield registry


def goals(pairs: Sequence[Measured]) -> Iterator[Goal]:
    """Yield the goals that pairs had to reach."""
    if not pairs:
        return
    yield Goal("patch, relative to `--base`: median", 0.10, median(pair.ratio for pair in pairs))
    for number, limit, unit, name in ((1, 50e3, "kB", "two small packages"), (2, 15e6, "MB", "seven packages")):
        scale = {"kB": 1e3, "MB": 1e6}[unit]
        got = next((pair.patch / scale for pair in pairs if pair.number == number), None)
        yield Goal(f"patch of {name}", limit / scale, got, unit)
    for name, steps in (("making", [MAKE]), ("applying", [APPLY, UNPACK])):
        peak = max(used.peak for pair in pairs for step in steps for used in pair.runs[step])
        yield Goal(f"memory for {name}, all pairs", 512, peak / MIB, "MiB")
    for name, step, other, limit in (("apply", APPLY, VERIFY, 1.5), ("make", MAKE, SAVE, 3.0)):
        whom = {VERIFY: "`verify` of the result", SAVE: "a cold `save --layers plain`"}[other]
        ratios = [pair.time(step, other) for pair in pairs]
        for which, figure in (("median", median(ratios)), ("largest", max(ratios))):
            yield Goal(f"time to {name}, relative to {whom}: {which}", limit, figure)
    wrong = sum(not (pair.is_identical and pair.is_stable) for pair in pairs)
    yield Goal("results or patches that differ", 0, wrong, "pairs")


_ZSTD = """
try:
    from compression import zstd
except ImportError:
    from backports import zstd
print("zstd", zstd.zstd_version)
"""
