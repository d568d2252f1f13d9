"""The choice of a display."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TextIO

from imgfetch.cli.display import Display, Events

_NO_CURSOR = ("", "dumb")


def choose(name: str, stream: TextIO | None, environment: Mapping[str, str], *, quiet: bool) -> Display:
    """Return the display for a ``--progress``; ``quiet`` shows no progress, except to programs."""
    is_terminal = stream is not None and stream.isatty() and environment.get("TERM", "") not in _NO_CURSOR
    display = _display(
        name if name != "auto" else "bar" if is_terminal else "plain", stream or io.StringIO(), quiet=quiet
    )
    display.has_colours = _has_colours(environment, is_terminal=is_terminal)
    return display


def _has_colours(environment: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Decide about colours (https://no-color.org, https://bixense.com/clicolors)."""
    if environment.get("NO_COLOR"):
        return False
    return is_terminal or environment.get("CLICOLOR_FORCE", "0") not in ("", "0")


def _display(name: str, stream: TextIO, *, quiet: bool) -> Display:
    if name == "json":
        return Events(stream)
    if quiet or name == "none":
        return Display(stream)
    if name == "bar":
        from imgfetch.cli.bars import Bars  # noqa: PLC0415  # tqdm is slow to import

        return Bars(stream)
    from imgfetch.cli.lines import Lines  # noqa: PLC0415

    return Lines(stream)
