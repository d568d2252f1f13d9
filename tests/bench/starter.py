"""Run a command, and print what it used: ``python -I -S starter.py COMMAND...``.

The kernel counts the memory of the process that starts a command as the command's own, until the command needs more.
The benchmark is large, so this small process starts the commands, and no figure is below its 8 MiB.
"""

from __future__ import annotations

import os
import sys
import time


def main(command: list[str]) -> None:
    """Print the status, the wall time, the processor time, the largest resident KiB, and the blocks written."""
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    began = time.monotonic()
    process = os.posix_spawnp(command[0], command, os.environ, file_actions=silent)
    _, status, used = os.wait4(process, 0)
    wall = time.monotonic() - began
    print(status, wall, used.ru_utime + used.ru_stime, used.ru_maxrss, used.ru_oublock)


if __name__ == "__main__":
    main(sys.argv[1:])
