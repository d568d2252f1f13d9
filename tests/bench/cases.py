"""The cases, each of which has goals, and is run by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from statistics import median

from tests.bench import contenders
from tests.bench.contenders import SKOPEO, Contender, Unavailable
from tests.bench.measuring import CommandError, measured, middle
from tests.bench.outputs import Source
from tests.bench.proxy import Line
from tests.bench.report import MIB, Goal, Result
from tests.bench.setting import OURS, Bench
from tests.bench.workload import Workload

BEFORE = "d17db70"
LARGE = (10**9, 5)
RATE = 4_000_000  # bytes a second of a slow connection, or of a slow mirror
CONNECTIONS = 8
Measure = Callable[[Bench], Result]


def _large(bench: Bench) -> Source:
    return bench.source(bench.image(*LARGE))


def cold(bench: Bench) -> Result:
    """A large image, 1 GB in five layers, from a registry on the loopback, with an empty cache."""
    runs = bench.runs([bench.ours(), *bench.available(bench.skopeo)], _large(bench), 5)
    return Result(runs, [Goal.ratio(runs, SKOPEO, 0.30), Goal.ratio(runs, SKOPEO, 0.42, "cpu")])


def plain(bench: Bench) -> Result:
    """The large image with ``--layers plain``, which writes decompressed layers as skopeo does."""
    ours = bench.ours("imgfetch --layers plain", "--layers", "plain")
    runs = bench.runs([ours, *bench.available(bench.skopeo)], _large(bench), 4)
    return Result(runs, [Goal.ratio(runs, SKOPEO, 0.38), Goal.ratio(runs, SKOPEO, 0.50, "cpu")])


def floor(bench: Bench) -> Result:
    """The large image, beside pipes of curl, sha256, gzip and sha256, two at a time, which write nothing."""
    pipes = contenders.pipes()
    runs = bench.runs([bench.ours(), pipes, contenders.curl()], _large(bench), 5)
    return Result(runs, [Goal.ratio(runs, pipes.name, 1.0)])


def warm(bench: Bench) -> Result:
    """The large image, with its layers in the cache; skopeo has no cache."""
    ours = bench.ours("imgfetch, warm", warm=True)
    source = _large(bench)
    bench.runs([ours], source, 1)
    runs = bench.runs([ours, *bench.available(bench.skopeo), contenders.disk()], source, 4)
    return Result(runs, [Goal.ratio(runs, SKOPEO, 0.12)])


def gigabit(bench: Bench) -> Result:
    """The large image over a line of 1 Gbit/s."""
    with bench.at_the_end_of(_large(bench), "1gbit") as source:
        runs = bench.runs([bench.ours(), contenders.curl()], source, 5)
    return Result(runs, [Goal.ratio(runs, "curl", 1.05)])


def loss(bench: Bench) -> Result:
    """The large image over a line of 1 Gbit/s that loses one packet of a hundred."""
    with bench.at_the_end_of(_large(bench), "1gbit", 0.01) as source:
        return Result(bench.runs([bench.ours(), contenders.curl()], source, 3))


def blob(bench: Bench) -> Result:
    """One layer of 96 MB, each connection with 4 MB/s, 80 ms of latency, 8 connections at most."""
    pushed = bench.source(bench.image(206_000_000, 1))
    with bench.behind(pushed, Line(rate=RATE, latency=0.08, most=CONNECTIONS)) as source:
        who = [bench.ours(), *bench.available(contenders.aria2c, contenders.curl, bench.skopeo)]
        runs = dict(bench.runs(who, source, 2))
    with bench.behind(pushed, Line()) as source:
        runs |= bench.runs([contenders.curl("curl through the proxy without its limits")], source, 2)
    extra = Goal.beyond(runs, "aria2c -x8", factor=1.1, limit=0.5)
    return Result(runs, [extra, Goal.ratio(runs, "curl", 0.25), Goal.ratio(runs, SKOPEO, 0.25)])


def mirrors(bench: Bench) -> Result:
    """160 MB in 12 layers from five mirrors of 4 MB/s each, one of which changes bytes."""
    image = bench.image(345_000_000, 12)
    lines = [Line(total=RATE, lies=number == 1) for number in range(5)]
    with ExitStack() as stack:
        pushed = bench.source(image)
        places = [stack.enter_context(bench.behind(pushed, line)).host for line in lines]
        upstream = stack.enter_context(bench.behind(pushed, Line(total=RATE / 4)))
        runs = bench.runs([bench.ours(OURS, *contenders.mirrors(upstream, places))], upstream, 2)
    speed = median(image.size / usage.wall for usage in runs[OURS]) / 1e6
    return Result(runs, [Goal("speed", 14, speed, "MB/s", at_least=True)])


def failover(bench: Bench) -> Result:
    """60 MB in 12 layers from three mirrors, of which only one is good and sends 20 MB/s."""
    pushed = bench.source(bench.image(128_000_000, 12))
    good, slow, silent = Line(total=20e6), Line(total=500e3), Line(lasts=0)
    chains = {
        "the good mirror alone": [good],
        "silent, 500 kB/s, good": [silent, slow, good],
        "silent, breaks after 20 MB, good": [silent, Line(total=20e6, lasts=20e6, breaks=True), good],
        "silent, stalls after 20 MB, good": [silent, Line(total=20e6, lasts=20e6), good],
    }
    with ExitStack() as stack:
        upstream = stack.enter_context(bench.behind(pushed, Line(total=20e6)))
        who = []
        for name, lines in chains.items():
            places = [stack.enter_context(bench.behind(pushed, line)).host for line in lines]
            who.append(_renewing(lines, bench.ours(name, *contenders.mirrors(upstream, places))))
        runs = bench.runs(who, upstream, 3)
    first, *others = chains
    return Result(runs, [Goal.beyond(runs, first, factor=1.2, limit=7, who=name) for name in others])


def _renewing(lines: Sequence[Line], one: Contender) -> Contender:
    """Return a contender for which lines start anew each time."""

    def reset() -> None:
        one.reset()
        for line in lines:
            line.sent = 0

    return replace(one, reset=reset)


def small(bench: Bench) -> list[Workload]:
    """Return thirty small images."""
    return [bench.image(60_000, 3, seed=number) for number in range(30)]


def images(bench: Bench) -> Result:
    """Thirty images of 3 layers and 30 kB each, 200 ms of latency."""
    with bench.behind(bench.source(*small(bench)), Line(latency=0.2)) as source:
        runs = bench.runs([bench.ours(), *bench.available(bench.crane)], source, 2)
    return Result(runs, [Goal.ratio(runs, "crane", 0.25)])


def layers(bench: Bench) -> Result:
    """200 layers of 100 kB each, without latency."""
    runs = bench.runs([bench.ours(), *bench.available(bench.crane)], bench.source(bench.image(42_500_000, 200)), 7)
    return Result(runs, [Goal.ratio(runs, "crane", 1.5)])


def memory(bench: Bench) -> Result:
    """The peak memory of imgfetch: with gzip, with 8 connections for a blob, and with large zstd windows."""
    one = bench.source(bench.image(206_000_000, 1))
    windows = {f"zstd, windows: {count} of {size} MiB": (count, size) for count, size in ((4, 32), (1, 128))}
    runs = dict(bench.runs([bench.ours("gzip"), bench.ours("gzip, plain", "--layers", "plain")], _large(bench), 1))
    with bench.behind(one, Line(rate=5 * RATE, latency=0.08)) as source:
        runs |= bench.runs([bench.ours(f"gzip, {CONNECTIONS} connections")], source, 1)
    for name, (count, size) in windows.items():
        image = bench.image(count * size * 1_250_000, count, f"zstd-{size.bit_length() + 19}")
        runs |= bench.runs([bench.ours(name)], bench.source(image), 1)
    limits = dict.fromkeys(runs, 80) | {f"gzip, {CONNECTIONS} connections": 80 + CONNECTIONS - 1}
    limits |= dict.fromkeys(windows, 160)
    return Result(runs, [Goal(name, limits[name], used[0].peak / MIB, "MiB") for name, used in runs.items()])


def start(bench: Bench) -> Result:
    """``imgfetch --version``."""
    rounds = bench.options.rounds or 11
    runs = {OURS: [measured([[*bench.program, "--version"]], env=contenders.environment()) for _ in range(rounds)]}
    return Result(runs, [Goal("imgfetch --version", 0.1, middle(runs[OURS]).wall, "s")])


def before(bench: Bench) -> Result:
    """The large image from a single fast registry, beside an earlier revision."""
    revision = bench.options.before
    earlier = bench.ours(f"imgfetch, {revision}", program=bench.earlier(revision))
    runs = bench.runs([bench.ours(program=bench.today()), earlier], _large(bench), 7)
    return Result(runs, [Goal.ratio(runs, earlier.name, 1.02)])


def peers(bench: Bench) -> Result:
    """The large image, by everybody."""
    at, old = bench.directory, bench.installed
    makers: Sequence[Callable[[], Contender]] = (
        bench.ours,
        bench.skopeo,
        lambda: contenders.skopeo(contenders.linked(bench.tree, "skopeo"), "oci-archive", "skopeo oci-archive"),
        bench.crane,
        lambda: contenders.podman(bench.tree.program("podman"), at("podman"), "podman"),
        lambda: contenders.docker(bench.stack, at("docker"), "docker", bench.tree.program),
        lambda: contenders.skopeo(old("skopeo"), name="old skopeo docker-archive"),
        lambda: contenders.podman(old("podman"), at("old-podman"), "old podman"),
        lambda: contenders.docker(bench.stack, at("old-docker"), "old docker"),
    )
    return Result(bench.runs(bench.available(*makers), _large(bench), 3))


TABLE: Mapping[str, Measure] = {
    case.__name__: case
    for case in (cold, plain, floor, gigabit, blob, mirrors, images, layers, memory, warm, start, before)
}
"""The cases that have to reach something."""
OTHERS: Mapping[str, Measure] = {case.__name__: case for case in (loss, failover, peers)}


def measure(bench: Bench, case: Measure) -> Result:
    """Measure a case, or tell why it cannot be measured."""
    try:
        return case(bench)
    except Unavailable as reason:
        return Result({}, missing=str(reason))
    except CommandError as error:
        bench.failures.append(str(error))
        return Result({}, missing=str(error))
