"""Comparison of imgfetch with Go's programs on inputs made by chance: ``make fuzz COUNT=1000000 SEED=7``."""

from __future__ import annotations

import argparse
import os
import random
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.oracle import archives, golang
from tests.oracle.program import built

CHUNK = 500


class Chunk(NamedTuple):
    """The results of some cases: how many are approved, and those with faults."""

    approved: int
    faulty: list[archives.Compared]
    memory: int


def _chunk(program: Path, seed: int, numbers: Sequence[int]) -> Chunk:
    with archives.temporary() as directory, archives.asking(program) as ask:
        found = list(archives.compare(seed, numbers, ask, Path(directory)))
    memory = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return Chunk(sum(each.is_approved for each in found), [each for each in found if each.faults], memory)


def _chunks(program: Path, seed: int, numbers: range) -> Iterator[Chunk]:
    parts = [numbers[at : at + CHUNK] for at in range(0, len(numbers), CHUNK)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(_chunk, [program] * len(parts), [seed] * len(parts), parts)


def fuzz_archives(seed: int, numbers: range) -> bool:
    """Compare archives, print the smallest case of each kind of fault, and return whether there is one."""
    start = time.monotonic()
    chunks = list(_chunks(built(archives.SOURCES), seed, numbers))
    faulty = [each for chunk in chunks for each in chunk.faulty]
    for kind, number, count in archives.kinds(faulty):
        print(
            f"{kind}\n  {count} cases; one of them: {sys.executable} -m tests.oracle -s {seed} --case {number} -o FILE"
        )
    approved, memory = sum(chunk.approved for chunk in chunks), max(chunk.memory for chunk in chunks)
    print(
        f"{len(numbers)} archives of seed {seed}, {approved} approved, {len(faulty)} read differently, "
        f"{time.monotonic() - start:.0f} seconds, at most {memory // 1024} MiB"
    )
    return bool(faulty)


def fuzz_gzip(seed: int, count: int) -> bool:
    """Compare gzip streams, print those that are read differently, and return whether there is one."""
    with golang.golang() as ask:
        faults = list(golang.compare(count, seed, ask))
    print(*faults, f"{count} gzip streams, {len(faults)} read differently", sep="\n")
    return bool(faults)


def main() -> int:
    """Compare, or write one archive to a file."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("-c", "--count", type=int, default=20_000, help="the number of archives")
    parser.add_argument("-s", "--seed", type=int, default=random.randrange(2**32), help="what they are made from")
    parser.add_argument("--start", type=int, default=0, help="the number of the first archive")
    parser.add_argument("--case", type=int, help="write the archive with this number to a file, and end")
    parser.add_argument("-o", "--output", type=Path, default=Path("case.tar"))
    options = parser.parse_args()
    if options.case is not None:
        options.output.write_bytes(archives.case(options.seed, options.case))
        return 0
    is_wrong = fuzz_archives(options.seed, range(options.start, options.start + options.count))
    return is_wrong | fuzz_gzip(options.seed, options.count // 20)


if __name__ == "__main__":
    sys.exit(main())
