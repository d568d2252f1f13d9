"""The command line: what is asked for, and the exit status."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence

from imgfetch.cli import stdout
from imgfetch.cli.options import fill_in, parser, usage
from imgfetch.version import VERSION


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
    # Here, for who only asks for the version or for help should not wait for it.
    from imgfetch.cli import running  # noqa: PLC0415

    return running.run(arguments)


def _show_version(*, verbose: bool) -> None:
    if verbose:
        from imgfetch.cli import versions  # noqa: PLC0415  # asks every library

        stdout.show(versions.lines())
    else:
        stdout.show([f"imgfetch {VERSION}"])
