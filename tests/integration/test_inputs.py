"""Lists, settings and passwords from files and streams of every kind: nothing is waited for that never ends."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.images import hello, image
from tests.integration.conftest import Save
from tests.loopback import Loopback
from tests.tools import in_time, stdin_from, stdin_of, tool

ONE, TWO = image(hello("one")), image(hello("two"))


@pytest.mark.parametrize("name", ["-", "/dev/stdin", "/dev/fd/0"])
def test_a_list_may_come_on_stdin(loopback: Loopback, save: Save, name: str) -> None:
    one = loopback.add("a", "1", ONE)
    with stdin_of(f"{one}\n".encode()):
        assert one in save("-i", name).err


def test_a_list_may_come_from_a_command(loopback: Loopback) -> None:
    one, two = loopback.add("a", "1", ONE), loopback.add("b", "1", TWO)
    line = f"{sys.executable} -m imgfetch digest -i <(echo {one}) -i <(echo {two}) --authfile <(echo {{}})"
    done = subprocess.run([tool("bash"), "-c", line], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.count(b"@sha256:"), done.stderr) == (0, 2, b"")


@pytest.mark.parametrize("kind", ["pipe", "device", "terminal", "directory"])
def test_a_list_that_is_no_regular_file_is_refused(save: Save, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "images.txt"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "terminal":
            path.symlink_to("/dev/ptmx")
        case _:
            path.mkdir()
    reason = {"pipe": "it is a named pipe", "directory": "Is a directory"}.get(kind, "it is a device")
    with in_time(20):
        assert f"cannot read {path}: {reason}" in save("-i", path, status=7).err


def test_a_list_from_a_terminal_is_refused(save: Save) -> None:
    ours, theirs = pty.openpty()
    with in_time(20), stdin_from(theirs):
        assert "cannot read stdin: it is a terminal; use a pipe, or name a file" in save("-i", "-", status=7).err
    os.close(ours)


def test_a_password_without_an_end_is_a_usage_error() -> None:
    command = [sys.executable, "-m", "imgfetch", "digest", "a.example/x", "-u", "me", "--password-stdin"]
    with Path("/dev/zero").open("rb") as zeros:
        done = subprocess.run(command, stdin=zeros, capture_output=True, check=False, timeout=60)
    assert done.returncode == 2
    assert b"--password-stdin found a line of more than 65536 bytes on stdin, not a password" in done.stderr
