"""`imgfetch cache`."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from imgfetch.cli import stdout
from imgfetch.cli.context import cache_directory
from imgfetch.cli.display import Display
from imgfetch.cli.options import usage
from imgfetch.store import eviction
from imgfetch.text import format_age, format_size


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Show or prune the cache."""
    root = cache_directory(arguments)
    if arguments.command == "cache dir":
        stdout.show_bytes(os.fsencode(root) + b"\n")  # for scripts: a name need not be text
    elif arguments.command == "cache list":
        _list(root, as_json=arguments.json)
    else:
        _prune(root, arguments, display)
    return 0


def _list(root: Path, *, as_json: bool) -> None:
    entries = eviction.entries(root)
    if as_json:
        members = [
            {"digest": str(entry.digest), "size": entry.size, "age": round(entry.age), "part": entry.is_part}
            for entry in entries
        ]
        stdout.show([json.dumps(members, indent=1)])
        return
    lines = [
        f"{entry.digest}  {format_size(entry.size):>7}  {format_age(entry.age):>7}" + "  part" * entry.is_part
        for entry in entries
    ]
    total = format_size(sum(entry.size for entry in entries))
    stdout.show([*lines, f"{len(entries)} blob{'' if len(entries) == 1 else 's'}, {total}"])


def _prune(root: Path, arguments: argparse.Namespace, display: Display) -> None:
    if arguments.all and (arguments.keep is not None or arguments.older_than is not None):
        usage(arguments, "--all cannot be combined with --keep or --older-than")
    limit = arguments.keep
    if limit is None:
        limit = 0 if arguments.all or arguments.older_than is not None else arguments.imgfetch_cache_size
    gone = eviction.prune(root, limit=limit, keep=lambda entry: entry.age < (arguments.older_than or 0))
    left = eviction.entries(root)
    advice = "" if gone or not left else "; imgfetch cache prune --all empties the cache"
    display.message(
        "info",
        f"removed {len(gone)} of {len(gone) + len(left)} blobs, {format_size(sum(entry.size for entry in gone))}; "
        f"{format_size(sum(entry.size for entry in left))} left{advice}",
    )
