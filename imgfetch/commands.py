"""What each command does, with the environment that it runs in."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import platformdirs

from imgfetch import errors, eviction, payload, reporting, signals, workspace
from imgfetch.access import Access
from imgfetch.display import Display
from imgfetch.options import usage
from imgfetch.printable import clean, size, span
from imgfetch.pull import Saved, save
from imgfetch.retries import Patience

_MAX_PASSWORD = 64 * 1024


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Carry a command out, turn its failure into words, and return the exit status."""
    try:
        return _COMMANDS[arguments.command](arguments, display)
    except errors.ImgfetchError as error:
        return reporting.report(error, display, _kept(arguments))
    except signals.StopError as stop:
        return reporting.stopped(stop, display, _kept(arguments))


def _kept(arguments: argparse.Namespace) -> str:
    """Say where what was fetched is found by another run, if it is kept at all."""
    if arguments.command != "save":
        return ""
    if not arguments.no_cache:
        return "what was fetched is kept in the cache"
    output = Path(arguments.output)
    if arguments.output == "-" or not (output.parent / workspace.name(output)).is_dir():
        return ""
    return f"what was fetched is kept in {clean(workspace.name(output))} beside the output"


def _save(arguments: argparse.Namespace, display: Display) -> int:
    began = time.monotonic()
    output = _output(arguments)
    saved = save(
        arguments.references,
        output,
        platform=arguments.platform,
        archive_format=arguments.format,
        jobs=arguments.jobs,
        cache_dir=_cache(arguments),
        cache_size=arguments.cache_size,
        max_layer_size=arguments.max_layer_size,
        source_date_epoch=arguments.source_date_epoch,
        strict=arguments.strict,
        access=_access(arguments),
        patience=_patience(arguments),
        timeout=arguments.timeout,
        progress=display,
    )
    display.close()
    if not arguments.quiet:
        _summarize(saved, arguments.output, time.monotonic() - began, display)
    return 0


def _summarize(saved: Saved, output: str, seconds: float, display: Display) -> None:
    """Say what was saved: name, digest, platform, size, seconds."""
    target = "stdout" if output == "-" else clean(output)
    images = "; ".join(
        f"{', '.join(str(reference) for reference in image.references)} {image.digest} {image.platform}"
        for image in saved.images
    )
    details = {
        "output": output,
        "size": saved.size,
        "seconds": round(seconds, 3),
        "images": [
            {
                "references": [str(reference) for reference in image.references],
                "digest": str(image.digest),
                "image_id": str(image.image_id),
                "platform": str(image.platform),
            }
            for image in saved.images
        ],
    }
    display.message("saved", f"saved {images}, {size(saved.size)} to {target} in {seconds:.1f} s", details)


def _patience(arguments: argparse.Namespace) -> Patience:
    return Patience(retries=arguments.retries, max_wait=arguments.max_wait)


def _cache(arguments: argparse.Namespace) -> str | None:
    return None if arguments.no_cache else str(_cache_directory(arguments))


def _cache_directory(arguments: argparse.Namespace) -> Path:
    try:
        return Path(arguments.cache_dir or platformdirs.user_cache_dir("imgfetch", appauthor=False))
    except RuntimeError as error:  # no HOME, and no such user
        raise errors.StorageError(
            f"there is no directory to keep blobs in: {error}", hint="choose a --cache-dir, or --no-cache"
        ) from None


def _access(arguments: argparse.Namespace) -> Access:
    """Return what the options and the environment give to reach registries with."""
    if arguments.anonymous and (arguments.username or arguments.authfile):
        usage(arguments, "--anonymous goes with neither --username nor --authfile")
    if bool(arguments.username) != arguments.password_stdin:
        usage(arguments, "--username and --password-stdin go together")
    registries = sorted({reference.registry for reference in arguments.references})
    if arguments.username and len(registries) > 1:
        usage(arguments, f"--username is for one registry, and these are several: {', '.join(registries)}")
    if arguments.username is not None and ":" in arguments.username:
        usage(arguments, "a user name has no ':'; the password comes with --password-stdin")
    return Access.from_environment(
        os.environ,
        anonymous=arguments.anonymous,
        username=arguments.username or "",
        password=_password(arguments) if arguments.password_stdin else "",
        authfile=arguments.authfile,
        ca_files=arguments.ca_file,
        certs_dir=arguments.certs_dir,
        insecure=arguments.insecure,
        plain_http=arguments.plain_http,
        mirrors_first=None if arguments.no_mirror else arguments.mirror,
        trust_realms=arguments.trust_realm,
        realm_overrides=dict(arguments.realm_override),
    )


def _password(arguments: argparse.Namespace) -> str:
    line = sys.stdin.buffer.readline(_MAX_PASSWORD) if sys.stdin else b""
    password = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
    if not password:
        usage(arguments, "--password-stdin finds no password on stdin")
    return password


def _output(arguments: argparse.Namespace) -> str | BinaryIO:
    if arguments.output != "-":
        return str(arguments.output)
    if sys.stdout is None:
        usage(arguments, "stdout is closed: name a file with -o")
    if sys.stdout.isatty():
        usage(arguments, "an archive is not for a terminal: name a file with -o, or send stdout somewhere")
    return sys.stdout.buffer


def _cache_dir(arguments: argparse.Namespace, display: Display) -> int:
    del display
    payload.show([str(_cache_directory(arguments))])
    return 0


def _cache_list(arguments: argparse.Namespace, display: Display) -> int:
    del display
    entries = eviction.entries(_cache_directory(arguments))
    if arguments.json:
        members = [
            {"digest": str(entry.digest), "size": entry.size, "age": round(entry.age), "part": entry.is_part}
            for entry in entries
        ]
        payload.show([json.dumps(members, indent=1)])
        return 0
    payload.show(
        [
            f"{entry.digest}  {size(entry.size):>7}  {span(entry.age):>7}{'  part' if entry.is_part else ''}"
            for entry in entries
        ]
        + [f"{len(entries)} blob{'' if len(entries) == 1 else 's'}, {size(sum(entry.size for entry in entries))}"]
    )
    return 0


def _cache_prune(arguments: argparse.Namespace, display: Display) -> int:
    root = _cache_directory(arguments)
    gone = eviction.prune(root, limit=arguments.keep, keep=lambda entry: entry.age < (arguments.older_than or 0))
    left = eviction.entries(root)
    display.message(
        "info",
        f"removed {len(gone)} of {len(gone) + len(left)} blobs, {size(sum(entry.size for entry in gone))}; "
        f"{size(sum(entry.size for entry in left))} are left",
    )
    return 0


_COMMANDS: Mapping[str, Callable[[argparse.Namespace, Display], int]] = {
    "save": _save,
    "cache dir": _cache_dir,
    "cache list": _cache_list,
    "cache prune": _cache_prune,
}
