"""Make the files in `imgfetch/data/`, for `make data`: the manual page, and the completions of shells.

They are committed and are part of the wheel, so that an installation needs neither go-md2man nor shtab.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import shtab

from imgfetch.cli.commands import SHELLS
from imgfetch.cli.parser import parser
from tests.tools import tool

ROOT = Path(__file__).parents[1]
DATA = ROOT / "imgfetch" / "data"
PAGE = DATA / "imgfetch.1"
COMPLETED = {
    "FILE": shtab.FILE,
    "LIST": shtab.FILE,
    "FILE|REF": shtab.FILE,
    "REF|FILE": shtab.FILE,
    "DIR": shtab.DIRECTORY,
}
"""Names of arguments for which a shell offers files or directories."""


def page() -> bytes:
    """Return the manual page."""
    command = [tool("go-md2man"), "-in", ROOT / "docs" / "imgfetch.1.md"]
    return subprocess.run(command, capture_output=True, check=True).stdout


def completion(shell: str) -> bytes:
    """Return a shell's script."""
    top = parser()
    for action in actions(top):
        if action.metavar in COMPLETED:
            action.complete = COMPLETED[str(action.metavar)]  # the attribute that shtab reads
    return f"{shtab.complete(top, shell).rstrip()}\n".encode()


def completion_file(shell: str) -> Path:
    return DATA / "completions" / f"imgfetch.{shell}"


def actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield each argument and option, those of commands too."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from actions(command)


def main() -> int:
    completion_file("").parent.mkdir(parents=True, exist_ok=True)
    for path, content in ((PAGE, page()), *((completion_file(shell), completion(shell)) for shell in SHELLS)):
        path.write_bytes(content)
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
