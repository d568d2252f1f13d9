"""`imgfetch logout`."""

from __future__ import annotations

import argparse

from imgfetch.cli import context
from imgfetch.cli.display import Display


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Remove stored credentials."""
    is_removed = context.keyring(arguments).forget(arguments.registry)
    done = "removed the credentials for" if is_removed else "there are no stored credentials for"
    display.message("info", f"{done} {arguments.registry}")
    return 0
