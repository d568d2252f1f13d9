"""Which module carries a command out, and what becomes of its failure."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from imgfetch import errors
from imgfetch.cli import report, signals
from imgfetch.cli.display import Display
from imgfetch.store import workspace
from imgfetch.text import clean


class _Command(Protocol):
    def run(self, arguments: argparse.Namespace, display: Display, /) -> int:
        """Carry the command out, and return the exit status."""


_MODULES: Mapping[str, str] = {
    "save": "command_save",
    "digest": "command_digest",
    "tags": "command_tags",
    "inspect": "command_inspect",
    "verify": "command_verify",
    "completion": "command_completion",
    "cache dir": "command_cache",
    "cache list": "command_cache",
    "cache prune": "command_cache",
}
"""Imported when they are asked for, for each waits for what it needs."""


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Carry a command out, turn its failure into words, and return the exit status."""
    try:
        return _imported(arguments.command).run(arguments, display)
    except errors.ImgfetchError as error:
        return report.report(error, display, _kept(arguments))
    except signals.StopError as stop:
        return report.stopped(stop, display, _kept(arguments))


def _imported(command: str) -> _Command:
    """Import a command's module; the collector of garbage finds none in libraries, and need not look, now or ever."""
    name = f"imgfetch.cli.{_MODULES[command]}"
    if name in sys.modules:  # what is there by now may well be garbage
        return cast(_Command, sys.modules[name])
    gc.disable()
    try:
        return cast(_Command, import_module(name))
    finally:
        gc.freeze()
        gc.enable()


def _kept(arguments: argparse.Namespace) -> str:
    """Say where what was fetched is found by another run, if it is kept at all."""
    if arguments.command != "save":
        return ""
    if not arguments.no_cache:
        return "what was fetched is kept in the cache"
    output = Path(arguments.output)
    if arguments.output == "-" or not (output.parent / workspace.name(output)).is_dir():
        return ""
    return f"what was fetched is kept in {clean(workspace.name(output))} beside the output"
