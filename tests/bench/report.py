"""The results of a benchmark, as tables, as JSON, and as a page."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from tests.bench.measuring import Command, Usage, middle

MIB = 1024 * 1024
Runs = Mapping[str, Sequence[Usage]]


@dataclass(frozen=True)
class Goal:
    """A limit for a figure.

    Attributes:
        figure: its name.
        limit: its largest good value, or its least one if `at_least`.
        got: its value, if it was measured.
        unit: its unit.
        at_least: whether larger is better.
    """

    figure: str
    limit: float
    got: float | None
    unit: str = "times"
    at_least: bool = False

    @classmethod
    def ratio(cls, runs: Runs, whom: str, limit: float, field: str = "wall") -> Goal:
        """Return a limit for the median of the ratios of runs of the same round, of the first contender to ``whom``."""
        ours, theirs = next(iter(runs.values())), runs.get(whom)
        kind = {"wall": "time", "cpu": "processor time"}[field]
        pairs = zip(ours, theirs, strict=True) if theirs else ()
        ratios = [getattr(one, field) / max(getattr(other, field), 0.001) for one, other in pairs]
        return cls(f"{kind}, relative to {whom}", limit, median(ratios) if ratios else None)

    @classmethod
    def beyond(cls, runs: Runs, whom: str, factor: float, limit: float, who: str = "") -> Goal:
        """Return a limit for the seconds of a contender beyond ``factor`` times those of ``whom``."""
        ours, theirs = runs[who] if who else next(iter(runs.values())), runs.get(whom)
        extra = [one.wall - factor * other.wall for one, other in zip(ours, theirs, strict=True)] if theirs else []
        figure = f"{who}: " if who else ""
        return cls(f"{figure}time beyond {factor:g} times that of {whom}", limit, median(extra) if extra else None, "s")

    @property
    def is_reached(self) -> bool:
        return self.got is not None and (self.got >= self.limit if self.at_least else self.got <= self.limit)

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The figure, the goal, the value, and the verdict."""
        goal = f"{'≥' if self.at_least else '≤'} {self.limit:g} {self.unit}"
        if self.got is None:
            return self.figure, goal, "not measured", ""
        return self.figure, goal, f"{self.got:.3g} {self.unit}", "yes" if self.is_reached else "**no**"


@dataclass(frozen=True)
class Result:
    """The measurements of a case.

    Attributes:
        runs: the usage of each run, by contender; the n-th runs of all belong together.
        goals: what it had to reach.
        missing: the reason why it was not measured, if it was not.
        sizes: the sizes of the work, if it grows from one run to the next.
        unit: what is counted.
        name: the case.
        about: its description.
        seconds: the time that all of it took.
    """

    runs: Runs
    goals: Sequence[Goal] = ()
    missing: str = ""
    sizes: tuple[int, ...] = ()
    unit: str = ""
    name: str = ""
    about: str = ""
    seconds: float = 0


def table(result: Result) -> list[str]:
    """Return a case's medians as a table."""
    if result.missing:
        return [f"Not measured: {result.missing}"]
    first = next(iter(result.runs.values()))
    lines = ["| | wall s | processor s | peak MiB | written MB | relative wall |", "|---|---:|---:|---:|---:|---:|"]
    for who, usages in result.runs.items():
        one = middle(usages)
        ratio = median(usage.wall / max(other.wall, 0.001) for usage, other in zip(usages, first, strict=True))
        figures = f"{one.wall:.2f} | {one.cpu:.2f} | {one.peak / MIB:.0f} | {one.written / 1e6:.0f} | {ratio:.2f}"
        lines.append(f"| {who} | {figures} |")
    return lines


def goals(results: Iterable[Result]) -> list[str]:
    """Return a table of all goals."""
    lines = ["| case | figure | goal | measured | reached |", "|---|---|---|---|---|"]
    for result in results:
        lines += [f"| `{result.name}` | {' | '.join(goal.cells)} |" for goal in result.goals]
        if result.missing:
            lines.append(f"| `{result.name}` | | | not measured: {result.missing} | |")
    return lines


def as_json(results: Iterable[Result], about: Mapping[str, object]) -> dict[str, object]:
    """Return every figure of every run."""
    return {**about, "cases": [asdict(result) for result in results]}


def page(results: Sequence[Result], about: Mapping[str, object], growth: Sequence[str]) -> str:
    """Return a page of documentation; ``growth`` is the part about growth."""
    lines = [
        "# Benchmarks",
        "",
        "`make bench BENCH=--docs` writes this page. The programs take turns, with `sync` before each run. Figures are",
        "medians, and ratios compare runs of the same round. imgfetch verifies everything, including decompressed",
        "layers; the [notes](#notes) name the checks of the others. After each run, Python's `tarfile` reads the",
        "archive, and the digests of its files are compared with those of the layers.",
        "",
        f"Measured on {about['date']}: {about['machine']}; {about['versions']}.",
        "",
        "## Goals",
        "",
        *goals(results),
        "",
        *growth,
    ]
    for result in results:
        about_case = f"{result.about} It takes {result.seconds:.0f} s to measure."
        lines += [f"## `{result.name}`", "", about_case, "", *table(result), ""]
    return "\n".join([*lines, _NOTES])


_NOTES = """## Notes

- skopeo decompresses the layers and does not compare their diff_ids. Its docker-archive holds decompressed layers, so
  it writes more; `imgfetch --layers plain` does the same work.
- podman and docker write the files of each layer into their stores first, to run containers from them.
- crane decompresses nothing.
- "Written" counts the bytes that the kernel saw the processes write. imgfetch writes each layer into its cache and into
  the archive, which makes the next save cheap. It also waits until the archive is on the disk; the others do not.
- "Peak" is the memory of the largest process. A process of 8 MiB starts each command, so no figure is smaller: the
  kernel counts the memory of the starter as the command's own.
- The pipes, curl and aria2c write no image. They are lower bounds.
- Rates and latencies come from a proxy. It passes bytes in a thread of the benchmark and delays them; a new connection
  takes a round trip. The line of 1 Gbit/s is a network namespace with `tbf`, and its losses come from `iptables`.
- skopeo and crane of the newer suite run with their own libraries. podman and docker run in the newer suite's tree,
  which takes 50 ms to enter.
"""


def machine(directory: Path) -> str:
    """Describe the machine."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())[1]) / 1024**2  # type: ignore[index]
    kind = subprocess.run(["stat", "-f", "-c", "%T", directory], capture_output=True, check=True, text=True).stdout
    processor = model[1] if model else platform.machine()
    return (
        f"{os.cpu_count()} cores of {processor}, {memory:.0f} GiB, "
        f"Linux {platform.release().partition('-')[0]}, files on {kind.strip()}"
    )


def versions(commands: Sequence[Command]) -> Iterator[str]:
    """Yield the first line of each program's version."""
    seen = set()
    for command in filter(None, commands):
        done = subprocess.run([str(part) for part in command], capture_output=True, check=False, text=True)
        said = (done.stdout or done.stderr).splitlines()[:1]
        if said and said[0] not in seen:
            seen.add(said[0])
            yield " ".join(said[0].split()[:5]).rstrip(",")
