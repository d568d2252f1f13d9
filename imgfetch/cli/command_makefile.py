"""`imgfetch makefile`."""

from __future__ import annotations

import argparse
from importlib import resources

from imgfetch.cli import stdout
from imgfetch.cli.display import Display


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Print the rules for GNU make."""
    del arguments, display
    rules = resources.files("imgfetch").joinpath("data", "make.mk")
    stdout.show_bytes(rules.read_bytes())
    return 0
