"""A command's surroundings: terminal, signals, log."""

from __future__ import annotations

import argparse
import io
import os
import sys

from imgfetch.cli import report, signals, stdout
from imgfetch.cli.display import DISPLAYS, Display


def run(arguments: argparse.Namespace) -> int:
    """Run the command that is asked for, and return the exit status."""
    display = _display(arguments)
    with signals.caught():
        status = _run(arguments, display)
    if status:
        stdout.give_up()
    return status


def _run(arguments: argparse.Namespace, display: Display) -> int:
    try:
        # Here, where a signal is already caught, for it takes a while.
        from imgfetch.cli import commands, logs  # noqa: PLC0415

        with logs.shown(display, arguments.verbose):
            return commands.run(arguments, display)
    except signals.StopError as stop:
        return report.stopped(stop, display, "")
    finally:
        display.close()


def _display(arguments: argparse.Namespace) -> Display:
    name = arguments.progress
    if name == "auto":
        name = "bar" if sys.stderr and sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else "plain"
    if arguments.quiet and name != "json":
        name = "none"
    if name == "bar":
        from imgfetch.cli.bars import Bars  # noqa: PLC0415  # tqdm is for those who look

        return Bars(sys.stderr or io.StringIO())
    return DISPLAYS[name](sys.stderr or io.StringIO())
