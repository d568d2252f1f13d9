"""A save through three mirrors, of which one is good, beside a save through the good one alone."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from tests.bench.contenders import Contender, Source
from tests.bench.measuring import Command
from tests.bench.report import Case, Goal
from tests.bench.workload import SEED, Workload
from tests.images import OCI_TAR, image, layer, tar
from tests.mirrors import MirrorServer

LAYERS = 12
SIZE = 60_000_000
FAST, SLOW = 20e6, 500e3  # bytes a second
LASTS = 20_000_000
ABOUT = f"{LAYERS} layers, {SIZE / 1e6:.0f} MB; the fast mirror sends {FAST / 1e6:.0f} MB/s."
FACTOR, EXTRA = 1.2, 7.0
ALONE = "the fast mirror alone"


def contenders(stack: ExitStack, program: Path, directory: Path) -> tuple[Source, list[Contender]]:
    """Serve an image by mirrors of all kinds, and return the saves through some of them."""
    rng = random.Random(SEED)
    built = image(*[layer(tar({f"{n}": rng.randbytes(SIZE // LAYERS)}), OCI_TAR) for n in range(LAYERS)])

    def serve(
        rate: float = FAST, lasts: float = 1e18, *, is_silent: bool = False, breaks: bool = False
    ) -> MirrorServer:
        return stack.enter_context(MirrorServer(built, rate=rate, lasts=lasts, is_silent=is_silent, breaks=breaks))

    registry, fast, slow, silent = serve(), serve(), serve(SLOW), serve(is_silent=True)
    source = Source(f"{registry.host}/bench/image:1", (), Workload(()))
    chains = {
        ALONE: [fast],
        "silent, 500 kB/s, fast": [silent, slow, fast],
        "silent, breaks after 20 MB, fast": [silent, serve(lasts=LASTS, breaks=True), fast],
        "silent, stalls after 20 MB, fast": [silent, serve(lasts=LASTS), fast],
    }
    return source, [_contender(program, directory, name, registry, mirrors) for name, mirrors in chains.items()]


def _contender(
    program: Path, directory: Path, name: str, registry: MirrorServer, mirrors: Sequence[MirrorServer]
) -> Contender:
    options = [option for mirror in mirrors for option in ("--mirror", f"{registry.host}={mirror.url}")]

    def commands(source: Source, target: Path) -> list[Command]:
        where = ["-o", target, "--cache-dir", directory / "store", "--platform", "linux/amd64"]
        return [[program, "save", "-q", source.reference, *where, *options]]

    def reset() -> None:
        shutil.rmtree(directory / "store", ignore_errors=True)
        for mirror in mirrors:
            mirror.sent = 0  # so that it dies again

    return Contender(name, commands, reset, version=[program, "--version"])


def goals(case: Case) -> list[Goal]:
    """Return the seconds that bad mirrors cost, beyond a fifth of the good one's time."""
    alone = case.runs[ALONE]
    return [
        Goal(
            f"mirrors: {name}: seconds beyond {FACTOR:g} times those of {ALONE}",
            EXTRA,
            median(run.wall - FACTOR * other.wall for run, other in zip(runs, alone, strict=True)),
            "s",
        )
        for name, runs in case.runs.items()
        if name != ALONE
    ]
