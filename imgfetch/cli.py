"""Arguments, environment, terminal, exit status."""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Sequence

from imgfetch import payload, reporting, signals
from imgfetch.display import DISPLAYS, Display
from imgfetch.options import fill_in, parser, usage
from imgfetch.reporting import EXIT_STATUS
from imgfetch.version import VERSION

__all__ = ["EXIT_STATUS", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    warnings.filterwarnings("ignore", message="Unverified HTTPS request")  # we say so ourselves (S33)
    arguments = parser().parse_args(argv)
    if arguments.version:
        _show_version(verbose=arguments.above)
        return 0
    if not arguments.command:
        usage(arguments, "a COMMAND is missing, such as save; --help lists them")
    fill_in(arguments, os.environ)
    display = _display(arguments)
    with signals.caught():
        status = _run(arguments, display)
    if status:
        payload.give_up()
    return status


def _show_version(*, verbose: bool) -> None:
    if verbose:
        from imgfetch import versions  # noqa: PLC0415  # asks every library

        payload.show(versions.lines())
    else:
        payload.show([f"imgfetch {VERSION}"])


def _run(arguments: argparse.Namespace, display: Display) -> int:
    """Carry a command out, and return the exit status."""
    try:
        # Here, for who only asks for the version or for help should not wait for what speaks HTTP.
        from imgfetch import commands, logs  # noqa: PLC0415

        with logs.shown(display, arguments.verbose):
            return commands.run(arguments, display)
    except signals.StopError as stop:
        return reporting.stopped(stop, display, "")
    finally:
        display.close()


def _display(arguments: argparse.Namespace) -> Display:
    name = arguments.progress
    if name == "auto":
        name = "bar" if sys.stderr and sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else "plain"
    if arguments.quiet and name != "json":
        name = "none"
    if name == "bar":
        from imgfetch.bars import Bars  # noqa: PLC0415  # tqdm is for those who look

        return Bars(sys.stderr or io.StringIO())
    return DISPLAYS[name](sys.stderr or io.StringIO())
