"""Mounts for the tests: file systems with faults, without room, or read-only.  They need root."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.filesystems.faults import Faults
from tests.tools import missing, root, tool

_STARTS_WITHIN = 30.0  # seconds


@contextmanager
def faulty(path: Path, faults: Faults) -> Iterator[Path]:
    """Give a directory faults, and yield another path of its content, without them."""
    root()
    tool("fusermount3")
    if not os.access("/dev/fuse", os.W_OK):
        missing("/dev/fuse cannot be opened")
    command = [sys.executable, "-m", "tests.filesystems.passthrough"]
    with (
        _below(path) as below,
        _served([*command, str(below), str(path), json.dumps(dataclasses.asdict(faults))], path),
    ):
        yield below


@contextmanager
def bindfs(path: Path, *options: str) -> Iterator[Path]:
    """Mount a directory on itself with bindfs, and yield another path of its content."""
    root()
    with _below(path) as below, _served([tool("bindfs"), "-f", *options, str(below), str(path)], path):
        yield below


@contextmanager
def tmpfs(path: Path, **options: object) -> Iterator[None]:
    """Mount an empty tmpfs, such as one with ``size=65536, nr_inodes=8``."""
    with _mounted(path, "-t", "tmpfs", "-o", ",".join(f"{key}={value}" for key, value in options.items()), "tmpfs"):
        yield


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Make a directory read-only."""
    with _mounted(path, "--bind", str(path)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(path)], check=True)
        yield


@contextmanager
def overlay(path: Path) -> Iterator[None]:
    """Mount an overlay on a directory, which becomes its lower layer, as in a container."""
    upper = path.with_name(f"{path.name}.upper")
    upper.mkdir()
    with tmpfs(upper, mode="0755"):
        for name in ("changes", "work"):
            (upper / name).mkdir()
        status = path.stat()
        os.chown(upper / "changes", status.st_uid, status.st_gid)
        places = f"lowerdir={path},upperdir={upper / 'changes'},workdir={upper / 'work'}"
        with _mounted(path, "-t", "overlay", "-o", places, "overlay"):
            yield


@contextmanager
def _mounted(path: Path, *arguments: str) -> Iterator[None]:
    root()
    done = subprocess.run(["mount", *arguments, str(path)], capture_output=True, check=False)
    if done.returncode:
        missing(f"this machine cannot mount: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        _unmount(path)


@contextmanager
def _below(path: Path) -> Iterator[Path]:
    """Rename a directory, and leave an empty one in its place to mount on."""
    below = path.rename(path.with_name(f"{path.name}.below"))
    path.mkdir()
    try:
        yield below
    finally:
        path.rmdir()
        below.rename(path)


@contextmanager
def _served(command: list[str], path: Path) -> Iterator[None]:
    """Run the program of a file system while it is used."""
    with subprocess.Popen(command, stderr=subprocess.PIPE) as program:
        try:
            end = time.monotonic() + _STARTS_WITHIN
            while not path.is_mount():
                if program.poll() is not None or time.monotonic() > end:
                    program.kill()
                    missing(f"{command} does not start: {program.communicate()[1].decode()}")
                time.sleep(0.01)
            yield
        finally:
            _unmount(path)
            try:
                program.wait(_STARTS_WITHIN)
            finally:
                program.kill()


def _unmount(path: Path) -> None:
    subprocess.run(["umount", "--lazy", str(path)], capture_output=True, check=False)
