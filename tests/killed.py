"""Runs of the command that are killed before operations on files: ``python -m tests.killed KILLS OUTPUT ARGUMENT…``.

The operations of a whole run are counted first, so that the kills are spread over all of it on a machine of any speed.
The parent imports the command once, and each run is a fork of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from imgfetch.cli import command_apply, command_patch
from imgfetch.cli.main import main

OPERATIONS = frozenset({
    "fdatasync",
    "flush",
    "fsync",
    "open",
    "pread",
    "read",
    "readinto",
    "replace",
    "seek",
    "truncate",
    "unlink",
    "write",
})  # fmt: skip
_MODULES = (command_apply, command_patch)  # imported before the forks
_TIMEOUT = 600.0  # seconds for all runs


class Killed(NamedTuple):
    """The state after a run.

    Attributes:
        status: the exit status; negative for a signal.
        output: the SHA-256 of the output, or ``None`` if there is none.
        unfinished: the bytes of the unfinished file beside it; -1 if there is none.
    """

    status: int
    output: str | None
    unfinished: int


def killed(kills: int, output: Path, *arguments: str | Path) -> list[Killed]:
    """Run the command without a kill, and then with each of several; return the states after all of them."""
    command = [sys.executable, "-m", "tests.killed", str(kills), str(output), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stderr.decode()
    return [Killed(*state) for state in json.loads(done.stdout.splitlines()[-1])]


def _run(last: int, arguments: Sequence[str]) -> tuple[int, int]:
    """Run the command in a fork that is killed before its ``last`` operation; return its status and its operations."""
    reader, writer = os.pipe()
    if child := os.fork():
        os.close(writer)
        with os.fdopen(reader, "rb") as told:
            count = int(told.read() or b"0")
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), count
    count = 0

    def each(_frame: FrameType, event: str, called: object) -> None:
        nonlocal count
        if event == "c_call" and getattr(called, "__name__", "") in OPERATIONS:
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(each)
    sys.setprofile(each)
    status = main(arguments)
    sys.setprofile(None)
    os.write(writer, b"%d" % count)
    os._exit(status)


def _state(status: int, output: Path) -> Killed:
    unfinished = list(output.parent.glob(".imgfetch-*.part"))
    size = sum(path.stat().st_size for path in unfinished) if unfinished else -1
    for path in unfinished:
        path.unlink()
    return Killed(status, hashlib.sha256(output.read_bytes()).hexdigest() if output.exists() else None, size)


def _all(kills: int, output: Path, arguments: Sequence[str]) -> list[Killed]:
    tempfile.gettempdir()  # by a file of its own, which a kill in a fork could leave behind
    before = output.read_bytes() if output.exists() else None
    status, operations = _run(0, arguments)
    states = [_state(status, output)]
    for number in range(kills):
        output.unlink(missing_ok=True)
        if before is not None:
            output.write_bytes(before)
        states.append(_state(_run(1 + number * (operations - 1) // (kills - 1), arguments)[0], output))
    return states


if __name__ == "__main__":
    print(json.dumps(_all(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])))
