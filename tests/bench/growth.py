"""Time and memory over the size of the work, and plots of them, in which growth that is not linear can be seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

from tests.bench.measuring import Usage, middle
from tests.bench.report import MIB, Result
from tests.bench.setting import OURS, Bench
from tests.bench.workload import Workload

_WIDTH, _HEIGHT, _MARGIN = 250, 190, 50


def by_images(bench: Bench) -> Result:
    """Images of 3 layers and 30 kB each, from a registry on the loopback, into one archive."""
    images = [bench.image(60_000, 3, seed=number) for number in range(100)]
    return _grown(bench, "images", {count: images[:count] for count in (1, 10, 100)})


def by_layers(bench: Bench) -> Result:
    """Layers of 100 kB each, in one image."""
    return _grown(bench, "layers", {count: [bench.image(212_500 * count, count)] for count in (1, 10, 200)})


def by_size(bench: Bench) -> Result:
    """One layer of zeros, whose gzip is a hundredth of it or less; the sizes are decompressed megabytes."""
    sizes = (10, 100, 1000, 10_000)
    return _grown(bench, "MB", {size: [bench.image(size * 10**6, 1, "sparse")] for size in sizes})


def _grown(bench: Bench, unit: str, works: Mapping[int, Sequence[Workload]]) -> Result:
    runs: dict[str, Sequence[Usage]] = {}
    for size, images in works.items():
        runs[f"{unit}: {size}"] = bench.runs([bench.ours()], bench.source(*images), 2)[OURS]
    return Result(runs, sizes=tuple(works), unit=unit)


def powers(results: Sequence[Result]) -> list[str]:
    """Return a table of the growth between each two sizes: 1 is linear."""
    lines = ["| from | to | time grows by the power of | memory by the power of |", "|---:|---:|---:|---:|"]
    for result in results:
        for a, b in pairwise(_points(result)):
            lines.append(f"| {a[0]} | {b[0]} {result.unit} | {_power(a, b, 1):.2f} | {_power(a, b, 2):.2f} |")
    return lines


def _power(a: tuple[float, ...], b: tuple[float, ...], axis: int) -> float:
    return math.log(b[axis] / a[axis]) / math.log(b[0] / a[0])


def _points(result: Result) -> list[tuple[float, float, float]]:
    used = map(middle, result.runs.values())
    return [(size, usage.wall, usage.peak / MIB) for size, usage in zip(result.sizes, used, strict=True)]


def plot(results: Sequence[Result]) -> str:
    """Return a row of plots of time and one of memory as SVG; all axes are logarithmic."""
    panels = []
    for column, result in enumerate(results):
        points = _points(result)
        for row, what in enumerate(("seconds", "MiB of memory")):
            title = f"{what} over {result.unit}"
            panels.append(_panel(column, row, title, [(point[0], point[row + 1]) for point in points]))
    width, height = (_WIDTH + _MARGIN) * len(results) + 20, (_HEIGHT + _MARGIN) * 2 + 20
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        f'font-size="12"><rect width="{width}" height="{height}" fill="#ffffff"/>' + "".join(panels) + "</svg>\n"
    )


def _panel(column: int, row: int, title: str, points: Sequence[tuple[float, float]]) -> str:
    """Return one plot: the values, and a dashed line of what linear growth from the last value would be."""
    left, top = _MARGIN + column * (_WIDTH + _MARGIN), 30 + row * (_HEIGHT + _MARGIN)
    logs = [(math.log10(x), math.log10(y)) for x, y in points]
    low, high = math.floor(min(y for _, y in logs)), math.ceil(max(y for _, y in logs) + 0.01)
    span = max(logs[-1][0] - logs[0][0], 1)

    def at(x: float, y: float) -> str:
        return f"{left + (x - logs[0][0]) / span * _WIDTH:.1f},{top + (high - y) / (high - low) * _HEIGHT:.1f}"

    last_x, last_y = logs[-1]
    reach = min(span, last_y - low)
    marks = [f'<text x="{left}" y="{top - 8}" font-weight="bold">{escape(title)}</text>']
    for power in range(low, high + 1):
        edge, height = at(logs[0][0], power).split(",")
        marks.append(f'<path d="M{edge},{height}h{_WIDTH}" stroke="#d0d7de"/>')
        marks.append(f'<text x="{left - 6}" y="{float(height) + 4}" text-anchor="end">{10.0**power:g}</text>')
    for (size, value), (x, y) in zip(points, logs, strict=True):
        cx, cy = at(x, y).split(",")
        marks.append(f'<circle cx="{cx}" cy="{cy}" r="4" fill="#1f6feb"/>')
        marks.append(f'<text x="{cx}" y="{float(cy) - 8}" text-anchor="middle">{value:.2g}</text>')
        marks.append(f'<text x="{cx}" y="{top + _HEIGHT + 16}" text-anchor="middle">{size:g}</text>')
    line = " ".join(at(x, y) for x, y in logs)
    marks.append(f'<polyline points="{line}" fill="none" stroke="#1f6feb" stroke-width="2"/>')
    linear = f"{at(last_x - reach, last_y - reach)} {at(last_x, last_y)}"
    marks.append(f'<polyline points="{linear}" fill="none" stroke="#9aa4af" stroke-dasharray="5 4"/>')
    return "".join(marks)


GROWTH = {"growth-images": by_images, "growth-layers": by_layers, "growth-size": by_size}
