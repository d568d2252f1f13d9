"""`imgfetch completion`."""

from __future__ import annotations

import argparse
from importlib import resources

from imgfetch.cli import stdout
from imgfetch.cli.display import Display


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Print the script that completes commands and options in a shell."""
    del display
    script = resources.files("imgfetch").joinpath("data", "completions", f"imgfetch.{arguments.shell}")
    stdout.show_bytes(script.read_bytes())
    return 0
