"""`make bench`: imgfetch and its peers, in turn, from a real registry.

A benchmark and no test: it fails where a program fails, and never because a figure is large.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from imgfetch.cli.parse import size
from tests import engines
from tests.bench import contenders, mirrors, report, workload
from tests.bench.contenders import Contender, Source
from tests.bench.link import link
from tests.bench.measuring import Usage, measured, middle
from tests.bench.report import MIB, Case, Goal
from tests.bench.workload import Workload

DOCS = Path(__file__).parents[2] / "docs"
SMALL_LAYERS = 200
SMALL_SIZE = 40_000_000
SKOPEO = "skopeo docker-archive"
COLD, WARM, PLAIN = OURS = ("imgfetch", "imgfetch, warm", "imgfetch --layers plain")


def main() -> int:
    """Run what is asked for, and say what came out."""
    arguments = _parser().parse_args()
    with ExitStack() as stack:
        scratch = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="imgfetch-bench-", dir=arguments.scratch))
        )
        images = Path(arguments.images) if arguments.images else scratch / "images"
        print(f"building images of {arguments.size / 1e6:.0f} MB and {SMALL_SIZE / 1e6:.0f} MB", flush=True)
        large = workload.build(images, arguments.size, arguments.layers)
        small = workload.build(images, SMALL_SIZE, SMALL_LAYERS)
        peers = [] if arguments.alone else contenders.peers(stack, scratch)
        ours = contenders.imgfetch(arguments.imgfetch, scratch, COLD)
        plain = contenders.imgfetch(arguments.imgfetch, scratch, PLAIN, "--layers", "plain")
        warm = contenders.imgfetch(arguments.imgfetch, scratch / "warm", WARM, warm=True)
        floors = contenders.floors()
        cases = _on_loopback(scratch, large, small, [warm, ours, plain, *peers, *floors], arguments.rounds)
        if arguments.link:
            cases |= _on_link(scratch, large, [ours, floors[0]], arguments.rounds, arguments.link)
        source, chains = mirrors.contenders(stack, arguments.imgfetch, scratch)
        cases["mirrors"] = Case(
            "Mirrors", mirrors.ABOUT, _runs(chains, source, scratch / "image.tar", arguments.rounds)
        )
        start = [measured([[arguments.imgfetch, "--version"]]) for _ in range(2 * arguments.rounds + 1)]
        goals = _goals(cases, large, middle(start)) + mirrors.goals(cases["mirrors"])
        about = {
            "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
            "machine": report.machine(scratch),
            "versions": ", ".join(report.versions([one.version for one in [ours, *peers, *floors]])),
            "rounds": arguments.rounds,
            "bytes": {"compressed": large.size, "decompressed": large.plain_size},
        }
    for case in cases.values():
        print(f"\n{case.name}: {case.about}", *report.table(case), sep="\n")
    print("", f"imgfetch --version: {middle(start).wall:.3f} s", *goals, sep="\n")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(report.as_json(cases.values(), goals, about), indent=1) + "\n")
    if arguments.docs:
        (DOCS / "benchmarks.svg").write_text(report.chart(cases["cold"]))
        (DOCS / "benchmarks.md").write_text(report.page(cases.values(), goals, about, "benchmarks.svg"))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    add = parser.add_argument
    add("--size", type=size, default=10**9, help="decompressed bytes of the large image (default: 1GB)")
    add("--layers", type=int, default=5, help="its layers (default: %(default)s)")
    add(
        "--imgfetch",
        metavar="PROGRAM",
        type=Path,
        default=Path(sys.executable).with_name("imgfetch"),
        help="the one to measure (default: the one of this environment)",
    )
    add("--rounds", type=int, default=5, help="how often each runs (default: %(default)s)")
    add("--link", metavar="RATE", help="also over a line of RATE, such as 1gbit; takes root")
    add("--alone", action="store_true", help="run no peers, only imgfetch and the floor")
    add("--scratch", metavar="DIR", help="where all writing is done (default: the system's directory for such)")
    add("--images", metavar="DIR", help="keep the images that are built, and use those that are here")
    add("--json", metavar="FILE", help="write every figure")
    add("--docs", action="store_true", help="write docs/benchmarks.md and its plot")
    return parser


def _on_loopback(
    scratch: Path, large: Workload, small: Workload, who: Sequence[Contender], rounds: int
) -> dict[str, Case]:
    warm, *cold = who
    ours = cold[0]
    skopeo = [one for one in who if one.name == SKOPEO]
    with engines.docker_registry(_new(scratch / "registry")) as registry:
        much, many = (
            Source(image.push(registry, name, "v1"), _urls(registry, name, image), image)
            for name, image in (("bench/large", large), ("bench/small", small))
        )
        warm.run(much, scratch / "image.tar")
        target = scratch / "image.tar"
        return {
            "cold": Case("Cold", f"{large}, from a registry on the loopback.", _runs(cold, much, target, rounds)),
            "warm": Case(
                "Warm",
                "The same image, with its layers in the cache.",
                _runs([warm, *skopeo, contenders.disk()], much, target, rounds),
            ),
            "many": Case("Many layers", f"{small}.", _runs([ours, *skopeo], many, target, rounds)),
        }


def _on_link(scratch: Path, image: Workload, who: Sequence[Contender], rounds: int, rate: str) -> dict[str, Case]:
    try:
        with link(rate) as line, engines.docker_registry(_new(scratch / "far"), address=line.address) as registry:
            reference = image.push(registry, "bench/large", "v1")
            source = Source(reference, _urls(registry, "bench/large", image), image, line.prefix, plain=True)
            runs = _runs(who, source, scratch / "image.tar", rounds)
            return {"link": Case(f"Cold, {rate}", f"The large image over a line of {rate}.", runs)}
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        print(f"no line of {rate}: {getattr(error, 'stderr', '') or error}", file=sys.stderr)
        return {}


def _runs(who: Sequence[Contender], source: Source, target: Path, rounds: int) -> dict[str, list[Usage]]:
    runs: dict[str, list[Usage]] = {one.name: [] for one in who}
    for number in range(rounds):
        for one in [*who[number % len(who) :], *who[: number % len(who)]]:  # nobody is always the first
            usage = one.run(source, target)
            runs[one.name].append(usage)
            print(f"{number + 1} of {rounds}: {one.name} {usage.wall:.2f} s", flush=True)
    return runs


def _goals(cases: Mapping[str, Case], image: Workload, start: Usage) -> list[Goal]:
    cold = cases["cold"]
    pipes = next(name for name in cold.runs if name.startswith("curl |"))
    ours = [usage for case in cases.values() for name, runs in case.runs.items() for usage in runs if name in OURS]
    beyond = middle(cold.runs[COLD]).written - 2 * image.size
    far = cases["link"].ratio(COLD, "curl") if "link" in cases else None
    return [
        Goal("cold: wall time relative to skopeo docker-archive", 0.25, cold.ratio(COLD, SKOPEO)),
        Goal("cold: processor time relative to skopeo docker-archive", 0.4, cold.ratio(COLD, SKOPEO, "cpu")),
        Goal("cold, --layers plain: wall time relative to skopeo docker-archive", 0.4, cold.ratio(PLAIN, SKOPEO)),
        Goal("cold over the line: wall time relative to curl", 1.05, far),
        Goal("warm: wall time relative to skopeo docker-archive", 0.12, cases["warm"].ratio(WARM, SKOPEO)),
        Goal("cold: wall time relative to the pipes", 1.0, cold.ratio(COLD, pipes)),
        Goal("peak memory of any run", 80, max(usage.peak for usage in ours) / MIB, "MiB"),
        Goal("bytes written beyond twice the compressed size", 1, beyond / MIB, "MiB"),
        Goal("many layers: wall time relative to skopeo docker-archive", 1.0, cases["many"].ratio(COLD, SKOPEO)),
        Goal("imgfetch --version", 0.1, start.wall, "s"),
    ]


def _urls(registry: engines.RealRegistry, repository: str, image: Workload) -> tuple[str, ...]:
    return tuple(f"{registry.base}/v2/{repository}/blobs/{layer.digest}" for layer in image.layers)


def _new(directory: Path) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    return directory


if __name__ == "__main__":
    sys.exit(main())
