"""`make bench`: imgfetch and its peers, in turn, from a real registry.

A benchmark and no test: it fails where a program fails, and never because a figure is large.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

from tests.bench import growth, patch_report, patches, report
from tests.bench.cases import BEFORE, OTHERS, TABLE, Measure, measure
from tests.bench.patch_pairs import PAIRS
from tests.bench.report import Result
from tests.bench.setting import Bench

DOCS = Path(__file__).parents[2] / "docs"
CASES = {**TABLE, **growth.GROWTH, **OTHERS}


def main() -> int:
    """Run what is asked for, and say what came out."""
    options = _parser().parse_args()
    if options.list:
        print(*(f"{name:14} {about(case)}" for name, case in CASES.items()), sep="\n")
        return 0
    with ExitStack() as stack:
        directory = tempfile.TemporaryDirectory(prefix="imgfetch-bench-", dir=options.scratch)
        bench = Bench(Path(stack.enter_context(directory)), options, stack)
        return _measure_patches(bench) if options.patches is not None else _measure_cases(bench)


def _measure_cases(bench: Bench) -> int:
    options = bench.options
    names = options.case or [*TABLE, *growth.GROWTH]
    results = [_timed(bench, name, CASES[name]) for name in CASES if name in names]
    facts = _facts(bench)
    print("", facts["versions"], "", *report.goals(results), sep="\n")
    if options.quick:
        print("The images were too small for these figures to mean anything.")
    if options.json:
        _write_json(options.json, report.as_json(results, facts))
    if options.docs:
        _write_docs(options.docs, results, facts)
    return len(bench.failures)


def _measure_patches(bench: Bench) -> int:
    options = bench.options
    pairs = list(patches.measure(bench, options.patches or range(1, len(PAIRS) + 1)))
    facts = _facts(bench)
    tables = [patch_report.sizes(pairs), patch_report.times(pairs), patch_report.summary(pairs)]
    print("", facts["versions"], *(line for table in tables for line in ("", *table)), sep="\n")
    if options.json:
        _write_json(options.json, {**facts, "pairs": [asdict(pair) for pair in pairs]})
    if options.docs and pairs:
        page = options.docs / "benchmarks.md"
        page.write_text(patch_report.put(page.read_text(), patch_report.section(pairs, facts)))
        (options.docs / patch_report.PLOT).write_text(patch_report.plot(pairs))
    return len(bench.failures)


def _facts(bench: Bench) -> dict[str, str]:
    return {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "machine": report.machine(bench.scratch),
        "versions": ", ".join(report.versions(bench.versions)),
    }


def _write_json(path: str, figures: Mapping[str, object]) -> None:
    Path(path).write_text(json.dumps(figures, indent=1) + "\n")


def about(case: Measure) -> str:
    """Return a case's description, which is its docstring."""
    return " ".join((case.__doc__ or "").split())


def _timed(bench: Bench, name: str, case: Measure) -> Result:
    print(f"{name}: {about(case)}", flush=True)
    began = time.monotonic()
    result = measure(bench, case)
    result = replace(result, name=name, about=about(case), seconds=time.monotonic() - began)
    lines = [*report.table(result), *(" ".join(goal.cells) for goal in result.goals)]
    print(
        *(growth.powers([result]) if result.sizes and result.runs else []),
        *lines,
        f"took {result.seconds:.0f} s",
        "",
        sep="\n",
    )
    return result


def _write_docs(directory: Path, results: list[Result], facts: dict[str, str]) -> None:
    grown = [result for result in results if result.sizes and result.runs]
    lines = []
    if grown:
        (directory / "benchmarks.svg").write_text(growth.plot(grown))
        intro = (
            "All axes are logarithmic. The dashed lines show linear growth: a steeper curve grows faster than its work."
        )
        lines = [
            "## Growth",
            "",
            intro,
            "",
            "![Time and memory over size](benchmarks.svg)",
            "",
            *growth.powers(grown),
            "",
        ]
    page = directory / "benchmarks.md"
    kept = patch_report.of(page.read_text()) if page.exists() else ""
    page.write_text(patch_report.put(report.page(results, facts, lines), kept))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    add = parser.add_argument
    add(
        "--case",
        action="append",
        choices=CASES,
        help="run this case only; repeatable (default: all with goals, and growth)",
    )
    add("--list", action="store_true", help="list the cases")
    add(
        "--patches",
        metavar="NUMBER",
        nargs="*",
        type=int,
        help="measure patches instead: all pairs, or those with these numbers; --images DIR keeps their images",
    )
    add("--quick", action="store_true", help="small images and one round, to see that everything runs")
    add("--rounds", type=int, help="how often each contender runs (default: as the case says)")
    add(
        "--imgfetch",
        metavar="PROGRAM",
        type=Path,
        default=Path(sys.executable).with_name("imgfetch"),
        help="the one to measure (default: the one of this environment)",
    )
    add("--before", metavar="REVISION", default=BEFORE, help="what `before` compares with (default: %(default)s)")
    add("--scratch", metavar="DIR", help="where all writing is done (default: the system's directory for such)")
    add("--images", metavar="DIR", help="keep the images that are built, and use those that are here")
    add("--json", metavar="FILE", help="write every figure")
    add("--docs", metavar="DIR", nargs="?", const=DOCS, type=Path, help="write benchmarks.md and its plot (in docs/)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
