"""The results of a benchmark, as a table, as JSON, and as a page with a plot."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from statistics import median

from tests.bench.measuring import Command, Usage, middle

MIB = 1024 * 1024


@dataclass(frozen=True)
class Case:
    """One image over one line, downloaded by several programs in turn.

    Attributes:
        name: its heading.
        about: its description, in a sentence.
        runs: the usage of each run, by program; the n-th runs of all belong together.
    """

    name: str
    about: str
    runs: Mapping[str, Sequence[Usage]]

    def ratio(self, who: str, whom: str, field: str = "wall") -> float | None:
        """Return the median of the ratios of runs that belong together, if both ran."""
        if who not in self.runs or whom not in self.runs:
            return None
        pairs = zip(self.runs[who], self.runs[whom], strict=True)
        return median(getattr(one, field) / max(getattr(other, field), 0.001) for one, other in pairs)


@dataclass(frozen=True)
class Goal:
    """A limit for a figure.

    Attributes:
        what: the figure's name.
        limit: its largest good value.
        got: its value, if it was measured.
        unit: its unit.
    """

    what: str
    limit: float
    got: float | None
    unit: str = "times"

    def __str__(self) -> str:
        if self.got is None:
            return f"{self.what}: not measured (goal: at most {self.limit:g} {self.unit})"
        verdict = "reached" if self.got <= self.limit else "not reached"
        return f"{self.what}: {self.got:.3g} {self.unit} (goal: at most {self.limit:g} {self.unit}): {verdict}"


def table(case: Case) -> list[str]:
    """Return a case as a Markdown table of medians."""
    first = next(iter(case.runs))
    lines = [
        f"| {'':<34} | wall s | processor s | peak MiB | written MB | wall, relative to {first} |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for who, usages in case.runs.items():
        typical = middle(usages)
        ratio = case.ratio(who, first)
        lines.append(
            f"| {who:<34} | {typical.wall:.2f} | {typical.cpu:.2f} | {typical.peak / MIB:.0f} "
            f"| {typical.written / 1e6:.0f} | {ratio:.2f} |"
        )
    return lines


def as_json(cases: Iterable[Case], goals: Sequence[Goal], about: Mapping[str, object]) -> dict[str, object]:
    """Return everything, every run included: seconds and bytes."""
    return {
        **about,
        "cases": [
            {
                "name": case.name,
                "about": case.about,
                "runs": {who: [asdict(one) for one in u] for who, u in case.runs.items()},
            }
            for case in cases
        ],
        "goals": [asdict(goal) for goal in goals],
    }


def page(cases: Iterable[Case], goals: Sequence[Goal], about: Mapping[str, object], plot: str) -> str:
    """Return a page of documentation."""
    lines = [
        "# Benchmarks",
        "",
        "`make bench BENCH=--docs` writes this page. The programs take turns; figures are medians, and ratios compare",
        "runs of the same round. imgfetch verifies everything, decompressed layers included; the [notes](#notes) name",
        "the checks of the others.",
        "",
        f"Measured on {about['date']}: {about['machine']}; {about['versions']}; {about['rounds']} rounds.",
        "",
        f"![Wall time of a cold save]({plot})",
        "",
    ]
    for case in cases:
        lines += [f"## {case.name}", "", case.about, "", *table(case), ""]
    lines += ["## Goals", "", *(f"- {goal}" for goal in goals), ""]
    return "\n".join([*lines, _NOTES])


_NOTES = """## Notes

- skopeo decompresses the layers and does not compare their diff_ids. Its docker-archive holds decompressed layers, so
  it writes more; `imgfetch --layers plain` does the same work.
- podman and docker write the files of each layer into their stores first, to run containers from them.
- crane decompresses nothing.
- "Written" counts the bytes that the kernel saw the processes write. imgfetch writes each layer into its cache and into
  the archive, which makes the next save cheap. It also waits until the archive is on the disk; the others do not.
- The system counts at least the memory of the benchmark itself, which starts the programs: with the mirrors, that is a
  whole image.
- The pipes are a lower bound: each program does one thing and writes nothing.
"""


def chart(case: Case) -> str:
    """Return a case's wall times as bars, as SVG."""
    times = {who: middle(usages).wall for who, usages in case.runs.items()}
    scale, row, left = 480 / max(times.values()), 26, 230
    height = row * len(times) + 46
    bars = []
    for number, (who, seconds) in enumerate(times.items()):
        y = 34 + row * number
        colour = "#1f6feb" if who.startswith("imgfetch") else "#9aa4af"
        bars.append(
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(who)}</text>'
            f'<rect x="{left}" y="{y}" width="{max(seconds * scale, 1):.1f}" height="18" fill="{colour}"/>'
            f'<text x="{left + seconds * scale + 6:.1f}" y="{y + 14}">{seconds:.2f} s</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="780" height="{height}" '
        'font-family="sans-serif" font-size="13">'
        f'<rect width="780" height="{height}" fill="#ffffff"/>'
        f'<text x="12" y="20" font-weight="bold">{escape(case.name)}: seconds until the file exists</text>'
        + "".join(bars)
        + "</svg>\n"
    )


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
