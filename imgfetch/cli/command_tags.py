"""`imgfetch tags`."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence

from imgfetch.cli import context, stdout
from imgfetch.cli.display import Display
from imgfetch.cli.options import usage
from imgfetch.pull.client import Client

_NUMBER = re.compile("[0-9]+")


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Print the tags of a repository."""
    del display
    (reference,) = arguments.references
    if reference.tag or reference.digest:
        usage(arguments, f"{reference} has a {'tag' if reference.tag else 'digest'}; give only the repository")
    found = Client(**context.client_settings(arguments)).tags(reference)
    if arguments.sort:
        found = tuple(sorted(found, key=natural))
    stdout.show(_as_json(found) if arguments.json else found)
    return 0


def natural(tag: str) -> str:
    """Return a sort key that puts 1.9 before 1.10; the tag itself orders tags that differ only in leading zeros.

    It is a text, because a list of half a million keys with numbers takes 250 MiB.
    """
    return f"{_NUMBER.sub(_sortable, tag)}\0{tag}"


def _sortable(number: re.Match[str]) -> str:
    """Return a number with its length before it, to come before all letters."""
    digits = number[0].lstrip("0")
    return f"\1{chr(len(digits) + 1)}{digits}"


def _as_json(tags: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a list."""
    if not tags:
        yield "[]"
        return
    yield "["
    yield from (f" {json.dumps(tag)}," for tag in tags[:-1])
    yield f" {json.dumps(tags[-1])}"
    yield "]"
