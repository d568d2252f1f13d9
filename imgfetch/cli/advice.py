"""The next step after a failure to write, which depends on the command."""

from __future__ import annotations

import argparse
import errno
import shlex
from contextlib import suppress
from pathlib import Path

from imgfetch import files
from imgfetch.cli.commands import COMMANDS
from imgfetch.cli.context import cache_directory
from imgfetch.errors import NoSpaceError, StorageError
from imgfetch.store import eviction
from imgfetch.text import sanitize

_DAY = 86400  # seconds


def advised(error: StorageError, arguments: argparse.Namespace) -> StorageError:
    """Return the error with a hint that suits the command and its options."""
    if isinstance(error, NoSpaceError):
        is_temporary = error.hint == files.NO_TEMPORARY_SPACE
        return error if is_temporary else error.replace(hint=_free_space(error, arguments))
    number = error.__cause__.errno if isinstance(error.__cause__, OSError) else None
    if number in files.HINTS and error.hint == files.HINTS[number]:
        return error.replace(hint=_another_output(number, arguments) or error.hint)
    return error.replace(hint=error.hint or _directory(error, number, arguments))


def _directory(error: StorageError, number: int | None, arguments: argparse.Namespace) -> str | None:
    """Return the next step if the directory of the output is missing, or a file."""
    given = vars(arguments)
    if number == errno.EEXIST and error.path == given.get("output_dir"):
        return "--output-dir needs a directory; for one archive, use -o"
    if number == errno.ENOENT and given.get("output") and error.path == Path(given["output"]):
        return f"create its directory: mkdir -p {shlex.quote(sanitize(str(error.path.parent)))}"
    return None


def _another_output(number: int, arguments: argparse.Namespace) -> str:
    """Return the next step after the output could not be written, or an empty text if it is the usual one."""
    general = files.HINTS[number]
    if vars(arguments).get("output_dir"):
        return "move it away, or choose another --output-dir" if number == errno.EISDIR else ""
    if number == errno.EISDIR and arguments.command == "save":
        return f"{general}, or write an archive for each image with --output-dir DIR"
    return f"{general}, or write to stdout: imgfetch {arguments.command} … > FILE" if number == errno.EBUSY else ""


def _free_space(error: NoSpaceError, arguments: argparse.Namespace) -> str:
    """Return how to free space without what a resumed download needs."""
    if error.path is None and vars(arguments).get("output") == "-":
        return "free some space where stdout leads, and remove the incomplete output there"
    options = {name for option in COMMANDS[arguments.command].all_options for name in option.names}
    output = "--output-dir" if vars(arguments).get("output_dir") else "--output"
    others = " or ".join(name for name in (output, "--cache-dir") if name in options)
    prune = ", for example with imgfetch cache prune --older-than 1d" if _can_prune(error.path, arguments) else ""
    given = vars(arguments).get("cache_dir")
    directory = f" --cache-dir {shlex.quote(sanitize(str(given)))}" if prune and given else ""
    return f"free some space{prune}{directory}{f', or choose another {others}' if others else ''}"


def _can_prune(full: Path | None, arguments: argparse.Namespace) -> bool:
    """Return whether the full disk has blobs of the cache that no recent save has used."""
    if full is None or not hasattr(arguments, "cache_dir"):
        return False
    with suppress(StorageError, OSError):
        cache = cache_directory(arguments)
        place = full if full.is_dir() else full.parent
        is_same = place.stat().st_dev == cache.stat().st_dev
        return is_same and any(entry.age > _DAY for entry in eviction.entries(cache))
    return False
