"""The results of `patches`, as a section of the page, and as a plot."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from tests.bench.patches import APPLY, MAKE, SAVE, UNPACK, VERIFY, Measured, goals
from tests.bench.report import MIB

PLOT = "benchmarks-patches.svg"
_BEGIN, _END = "<!-- patches -->\n", "<!-- end of patches -->\n"
_SECTION = re.compile(re.escape(_BEGIN) + ".*?" + re.escape(_END), re.DOTALL)
_ABOUT = """## Patches

`make bench BENCH="--patches --docs"` writes this section. The pairs are in `tests/bench/patch_pairs.py`, which was
committed before anything was measured; `tests/bench/patch_images.py` builds their images from packages, with layers in
gzip. `--base` is the archive that `imgfetch save --base OLD.tar` writes, and the patch that of `imgfetch patch OLD.tar
NEW.tar`. Each result is compared with the archive that `imgfetch save --layers plain` writes from a registry on the
loopback, and each patch with those of the other rounds.
"""


def of(page: str) -> str:
    """Return the section in a page, if it has one."""
    found = _SECTION.search(page)
    return found[0] if found else ""


def put(page: str, section: str) -> str:
    """Return a page with another section, which comes before the notes if the page has none yet."""
    old = of(page)
    return page.replace(old, section) if old else page.replace("## Notes\n", f"{section}\n## Notes\n", 1)


def section(pairs: Sequence[Measured], about: Mapping[str, object]) -> str:
    """Return the section."""
    rounds = sorted({str(len(pair.runs[SAVE])) for pair in pairs}, reverse=True)
    lines = [
        f"Measured on {about['date']}: {about['machine']}; {about['versions']}.",
        "",
        *summary(pairs),
        "",
        f"![Sizes, and times relative to other commands]({PLOT})",
        "",
        *sizes(pairs),
        "",
        'Times are in seconds. "Save" is a cold `save --layers plain`, and "verify" that of the result. Applying is',
        'measured with decompressed old layers; "gzip" is the time with compressed ones. Relative times are medians of',
        f"a pair's rounds ({' or '.join(rounds)}).",
        "",
        *times(pairs),
        "",
    ]
    return _BEGIN + "\n".join([_ABOUT, *lines]) + _END


def summary(pairs: Sequence[Measured]) -> list[str]:
    """Return the table of the goals."""
    lines = ["| figure | goal | measured | reached |", "|---|---|---|---|"]
    return lines + [f"| {' | '.join(goal.cells)} |" for goal in goals(pairs)]


def sizes(pairs: Iterable[Measured]) -> list[str]:
    """Return the table of the sizes."""
    lines = ["| | pair | new archive, MB | `--base`, bytes | patch, bytes | ratio | identical |"]
    lines.append("|---:|---|---:|---:|---:|---:|---|")
    for pair in pairs:
        verdict = "yes" if pair.is_identical and pair.is_stable else "**no**"
        figures = f"{pair.size / 1e6:,.0f} | {pair.base:,} | {pair.patch:,} | {pair.ratio:.4f} | {verdict}"
        lines.append(f"| {pair.number} | {pair.name} | {figures} |")
    return lines


def times(pairs: Iterable[Measured]) -> list[str]:
    """Return the table of the times and the memory."""
    names = ["", "save", "make", "make / save", "verify", "apply", "apply / verify", "gzip"]
    names += ["processor: save", "make", "verify", "apply", "peak MiB: make", "apply", "gzip"]
    lines = [f"| {' | '.join(names)} |", "|---:" * len(names) + "|"]
    for pair in pairs:
        wall = {step: f"{pair.used(step).wall:.2f}" for step in pair.runs}
        made, applied = pair.time(MAKE, SAVE), pair.time(APPLY, VERIFY)
        cells = [str(pair.number), wall[SAVE], wall[MAKE], f"{made:.2f}"]
        cells += [wall[VERIFY], wall[APPLY], f"{applied:.2f}", wall[UNPACK]]
        cells += [f"{pair.used(step).cpu:.2f}" for step in (SAVE, MAKE, VERIFY, APPLY)]
        cells += [f"{pair.used(step).peak / MIB:.0f}" for step in (MAKE, APPLY, UNPACK)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


_ROW, _LABELS, _SIZES, _TIMES, _TOP = 22, 230, 420, 230, 54
_BLUE, _GREY, _LIGHT = "#1f6feb", "#9aa4af", "#d0d7de"
_RATIOS = {(MAKE, SAVE): _GREY, (APPLY, VERIFY): _BLUE}


def plot(pairs: Sequence[Measured]) -> str:
    """Return the sizes on a logarithmic axis, and beside them the relative times."""
    height = _TOP + _ROW * len(pairs)
    at_sizes, at_times = _LABELS, _LABELS + _SIZES + 60
    most = math.ceil(max(3.5, *(pair.time(*steps) for pair in pairs for steps in _RATIOS)))
    marks = [_sizes_axis(at_sizes, height), _times_axis(at_times, height, most)]
    for row, pair in enumerate(pairs):
        y = _TOP + _ROW * row + _ROW // 2
        marks.append(f'<text x="{_LABELS - 20}" y="{y + 4}" text-anchor="end">{escape(pair.name)}</text>')
        small, large = at_sizes + _log(pair.patch), at_sizes + _log(pair.base)
        marks.append(f'<path d="M{small:.1f},{y}H{large:.1f}" stroke="{_LIGHT}" stroke-width="2"/>')
        marks += [_dot(large, y, _GREY), _dot(small, y, _BLUE)]
        for steps, color in _RATIOS.items():
            marks.append(_dot(at_times + pair.time(*steps) / most * _TIMES, y, color))
    width = at_times + _TIMES + 30
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height + 30}" font-family="sans-serif" '
        f'font-size="12"><rect width="{width}" height="{height + 30}" fill="#ffffff"/>' + "".join(marks) + "</svg>\n"
    )


_LOW, _HIGH = 3, 10


def _log(size: int) -> float:
    return (min(max(math.log10(size), _LOW), _HIGH) - _LOW) / (_HIGH - _LOW) * _SIZES


def _sizes_axis(left: int, bottom: int) -> str:
    marks = [_title(left, (("patch", _BLUE), ("--base, bytes", _GREY)))]
    for power, name in zip(
        range(_LOW, _HIGH + 1), ("1k", "10k", "100k", "1M", "10M", "100M", "1G", "10G"), strict=True
    ):
        marks.append(_line(left + _log(10**power), bottom, name, _LIGHT))
    return "".join(marks)


def _times_axis(left: int, bottom: int, most: int) -> str:
    marks = [_title(left, (("apply / verify", _BLUE), ("make / save", _GREY)))]
    marks += [_line(left + ratio / most * _TIMES, bottom, f"{ratio}", _LIGHT) for ratio in range(most + 1)]
    for goal, color in ((1.5, _BLUE), (3, _GREY)):
        marks.append(
            f'<path d="M{left + goal / most * _TIMES:.1f},{_TOP}V{bottom}" stroke="{color}" stroke-dasharray="5 4"/>'
        )
    return "".join(marks)


def _title(left: int, parts: Iterable[tuple[str, str]]) -> str:
    spans = "".join(f'<tspan fill="{color}" dx="8">{escape(text)}</tspan>' for text, color in parts)
    return f'<text x="{left - 8}" y="{_TOP - 30}" font-weight="bold">{spans}</text>'


def _line(x: float, bottom: int, name: str, color: str) -> str:
    text = f'<text x="{x:.1f}" y="{_TOP - 10}" text-anchor="middle">{name}</text>'
    return f'{text}<path d="M{x:.1f},{_TOP - 4}V{bottom}" stroke="{color}"/>'


def _dot(x: float, y: int, color: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y}" r="4" fill="{color}"/>'
