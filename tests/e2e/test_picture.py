"""The README's picture is one of today's program."""

from __future__ import annotations

import re
from pathlib import Path

from tests import picture


def constant(lines: list[str]) -> str:
    """Return what is the same in every run: no figures, no digests, no bars, no line ends."""
    text = re.sub(r"█[^]]*\]", "", "".join(lines).replace(" ", ""))
    return re.sub(r"[0-9a-f.]*\d[0-9a-f.]*", "N", text)


def test_the_picture_shows_what_the_commands_print(tmp_path: Path) -> None:
    drawn = picture.shown(picture.PICTURE.read_text())
    printed = picture.shown(picture.draw(picture.run(tmp_path, rate=10_000_000)))
    assert constant(drawn) == constant(printed), "run `make picture`, and look at docs/terminal.svg"
