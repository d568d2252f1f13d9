"""`imgfetch tags`."""

from __future__ import annotations

import argparse
import json

from imgfetch.cli import context, stdout
from imgfetch.cli.display import Display
from imgfetch.cli.options import usage
from imgfetch.pull.query import natural, tags


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Print the tags of a repository."""
    del display
    (reference,) = arguments.references
    if reference.tag or reference.digest:
        usage(
            arguments, f"{reference} has a {'tag' if reference.tag else 'digest'}; the tags are those of a repository"
        )
    found = tags(
        reference,
        access=context.access(arguments),
        patience=context.patience(arguments),
        timeout=arguments.timeout,
        strict=arguments.strict,
    )
    if arguments.sort:
        found = tuple(sorted(found, key=natural))
    stdout.show([json.dumps(found, indent=1)] if arguments.json else found)
    return 0
