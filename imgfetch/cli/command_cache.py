"""`imgfetch cache`."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from imgfetch.cli import stdout
from imgfetch.cli.context import cache_directory, confirmed
from imgfetch.cli.display import Display
from imgfetch.store import eviction
from imgfetch.text import format_age, format_size, sanitize


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
    if not arguments.keep and arguments.older_than is None and not arguments.force:
        entries = eviction.entries(root)
        size = format_size(sum(entry.size for entry in entries))
        if entries and not confirmed(f"Remove all {len(entries)} blobs ({size}) in {sanitize(str(root))}?"):
            display.message("info", "nothing was removed; --keep and --older-than remove a part")
            return
    gone = eviction.prune(root, limit=arguments.keep, keep=lambda entry: entry.age < (arguments.older_than or 0))
    left = eviction.entries(root)
    display.message(
        "info",
        f"removed {len(gone)} of {len(gone) + len(left)} blobs, {format_size(sum(entry.size for entry in gone))}; "
        f"{format_size(sum(entry.size for entry in left))} left",
    )
