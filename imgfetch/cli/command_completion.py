"""`imgfetch completion`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from imgfetch import errors
from imgfetch.cli import stdout
from imgfetch.cli.commands import parser
from imgfetch.cli.display import Display


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Print the script that teaches a shell what may be said on the command line."""
    del display
    try:
        import shtab  # noqa: PLC0415  # who wants no script needs no library for it
    except ImportError:
        raise errors.UnsupportedError(
            "the library that writes completions, shtab, is not installed", hint="pip install shtab"
        ) from None
    top = parser()
    for action in _actions(top):
        kinds = {"FILE": shtab.FILE, "FILE|REF": shtab.FILE, "REF|FILE": shtab.FILE, "DIR": shtab.DIRECTORY}
        if action.metavar in kinds:
            action.complete = kinds[str(action.metavar)]  # type: ignore[attr-defined]  # what shtab looks for
    stdout.show([shtab.complete(top, arguments.shell).rstrip("\n")])
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield all that may be said, in commands of commands too."""
    for action in parser._actions:  # noqa: SLF001  # argparse has no other way to list them
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                yield from _actions(command)
