"""`imgfetch tags`."""

from __future__ import annotations

import argparse
import json
import re

from imgfetch.cli import context, stdout
from imgfetch.cli.display import Display
from imgfetch.cli.options import usage
from imgfetch.pull.client import Client


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Print the tags of a repository."""
    del display
    (reference,) = arguments.references
    if reference.tag or reference.digest:
        usage(arguments, f"{reference} has a {'tag' if reference.tag else 'digest'}; give only the repository")
    found = Client(**context.client_settings(arguments)).tags(reference)
    if arguments.sort:
        found = tuple(sorted(found, key=natural))
    stdout.show([json.dumps(found, indent=1)] if arguments.json else found)
    return 0


def natural(text: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Return a sort key that puts 1.9 before 1.10; the text itself orders tags that differ only in leading zeros."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts), text
