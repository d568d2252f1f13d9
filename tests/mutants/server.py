"""Runs tests again and again, each time in a process that is forked after the libraries were imported.

It is started as a script in a copy of the project, so that nothing of the project is imported before the fork.  It
reads lines of JSON with pytest's arguments and the name of a file for the output, and answers each with pytest's exit
status.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path

import pytest

LIBRARIES = (
    "pytest",
    "_pytest.assertion.rewrite",
    "hypothesis",
    "requests",
    "responses",
    "zstandard",
    "tqdm",
)
TIMEOUT = 100  # seconds for one run, after which SIGKILL ends it


def main() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    for line in sys.stdin:
        arguments, output = json.loads(line)
        child = os.fork()
        if child == 0:
            run(arguments, output)
        print(wait(child), flush=True)


def wait(child: int) -> int:
    """Return the exit status of a process, which is ended after `TIMEOUT`."""
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.alarm(TIMEOUT)
    status = os.waitpid(child, 0)[1]
    signal.alarm(0)
    return os.waitstatus_to_exitcode(status)


def run(arguments: list[str], output: str) -> None:
    """Run pytest in this process, and end it."""
    with Path(output).open("wb") as file, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    status = 255
    try:
        status = int(pytest.main(arguments))
    except BaseException:  # noqa: BLE001  # this process must end here, whatever happens
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
