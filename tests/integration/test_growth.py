"""The work for a list grows as the list does: no step looks at all images for each image."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from tests.images import hello, image
from tests.integration.conftest import Command
from tests.loopback import Loopback

SIZES = (16, 32, 64)
BASE = hello("base")


def calls(function: Callable[[], object]) -> Counter[str]:
    """Return the number of calls by the functions of imgfetch, in all threads; time has no influence on it."""
    counts: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        name = frame.f_globals.get("__name__", "")
        if event in ("call", "c_call") and name.startswith("imgfetch."):
            counts[f"{name}.{frame.f_code.co_qualname}"] += 1

    threading.setprofile(count)
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return counts


@pytest.mark.parametrize(
    "options",
    [
        ("-o", "y.tar"),
        ("-o", "y.tar", "--if-changed"),
        ("--output-dir", "y"),
        ("--output-dir", "y", "--if-changed"),
        ("--dry-run",),
    ],
    ids=" ".join,
)
def test_twice_as_many_images_are_at_most_twice_as_much_work(
    command: Command, loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    references = [
        loopback.add(f"team/app{number}", "1", image(BASE, hello(str(number)))) for number in range(SIZES[-1])
    ]

    def work(count: int) -> Counter[str]:
        Path("list").write_text("\n".join(references[:count]))
        arguments = ("save", "-i", "list", "--shard", "1/1", "-j1", "-q", "--platform", "linux/amd64", *options)

        def save() -> None:
            assert command(*arguments).status == 0

        save()  # so that the three that are measured find the same
        return calls(save)

    small, middle, large = map(work, SIZES)
    grown = {name: (large[name] - middle[name], middle[name] - small[name]) for name in large}
    # A sort compares a little more than twice as often, and by chance.
    faster = {name: pair for name, pair in grown.items() if pair[0] > 2.5 * pair[1] + 4 * SIZES[-1]}
    assert faster == {}
