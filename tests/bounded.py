"""Runs of the command in a process whose memory and steps are counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

MIB = 1024**2
MEMORY = 200 * MIB
"""Bytes that a run may have at most."""
STEPS = 10_000_000
"""Calls of functions that a run may make at most; a run without much to do makes 200,000."""

_TIMEOUT = 300  # seconds for a run that hangs
_PROGRAM = r"""
import json, os, re, resource, sys
from pathlib import Path
from imgfetch.cli.main import main

most, report = int(sys.argv[1]), sys.argv[2]
steps = 0
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # for the sake of the machine

def tell(status):
    peak = int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
    Path(report).write_text(json.dumps({"status": status, "peak": peak, "steps": steps}))

def count(*_):
    global steps
    steps += 1
    if steps > most:
        sys.setprofile(None)
        tell(-1)
        os._exit(1)

if most:
    sys.setprofile(count)
try:
    status = main(sys.argv[3:])
except SystemExit as ended:
    status = ended.code
finally:
    sys.setprofile(None)
tell(status)
sys.exit(status)
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended.

    Attributes:
        status: the exit status; -1 if it made more steps than it may.
        out: standard output.
        err: standard error.
        peak: the largest amount of memory, in bytes.
        steps: the calls of functions in the first thread, if they were counted.
    """

    status: int
    out: str
    err: str
    peak: int
    steps: int


def run(
    directory: Path,
    *arguments: str | os.PathLike[str],
    most_steps: int = 0,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    variables: Mapping[str, str] | None = None,
) -> Ended:
    """Run the command; ``directory`` is for a cache, and ``most_steps`` is no bound if it is 0."""
    report = directory / "report.json"
    command = [sys.executable, "-c", _PROGRAM, str(most_steps), str(report)]
    done = subprocess.run(
        [*command, *map(os.fspath, arguments)],
        stdin=stdin,
        capture_output=True,
        check=False,
        timeout=_TIMEOUT,
        env=os.environ | {"IMGFETCH_CACHE_DIR": str(directory / "cache")} | dict(variables or {}),
    )
    err = done.stderr.decode()
    assert report.exists(), err
    told = json.loads(report.read_text())
    return Ended(told["status"], done.stdout.decode(), err, told["peak"], told["steps"])
