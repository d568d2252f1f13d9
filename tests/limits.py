"""Runs of a command under the system's limits: threads, memory, open files, sizes of files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests import tools

_USER = 54321
"""A user that nobody else is, because a limit on processes counts all of a user's, and not root's."""
_CAPABILITIES = "-all,+dac_read_search"  # to read an interpreter in a home directory


def limited(**limits: int) -> list[str]:
    """Return the beginning of a command line that sets limits, named as for ``prlimit``."""
    return [tools.tool("prlimit"), *(f"--{name}={value}" for name, value in limits.items())]


def threads(most: int, directory: Path) -> list[str]:
    """Return the beginning of a command line for a program that has a number of threads at most.

    A user other than root has more processes than that already, so such a program has no second thread.
    """
    if os.geteuid() == 0:
        os.chown(directory, _USER, _USER)
        other = [tools.tool("setpriv"), f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"]
        other += [f"--inh-caps={_CAPABILITIES}", f"--ambient-caps={_CAPABILITIES}"]
    else:
        other = []
    command = [*other, *limited(nproc=most)]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        tools.missing("no user with a limit on processes")
    return command
