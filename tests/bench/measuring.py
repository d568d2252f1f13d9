"""The time, processor, memory and disk that commands use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

Command = Sequence[str | Path]

STARTER = Path(__file__).with_name("starter.py")
LONGEST = 900.0  # seconds that a command gets

_TICKS = os.sysconf("SC_CLK_TCK")
_SECTOR = 512  # bytes in which the kernel counts what a process makes dirty


@dataclass(frozen=True)
class Usage:
    """The resources that a command used.

    Attributes:
        wall: seconds from the start to the end.
        cpu: seconds of processor time, of all processes together.
        peak: bytes of memory that the largest process had resident.
        written: bytes that went towards the disk.
    """

    wall: float
    cpu: float
    peak: int
    written: int


class CommandError(Exception):
    """A command fails."""


def middle(usages: Sequence[Usage]) -> Usage:
    """Return the median of each figure."""
    return Usage(
        median(usage.wall for usage in usages),
        median(usage.cpu for usage in usages),
        int(median(usage.peak for usage in usages)),
        int(median(usage.written for usage in usages)),
    )


def measured(commands: Sequence[Command], *, daemon: int = 0, env: Mapping[str, str] | None = None) -> Usage:
    """Run commands one after the other.

    Args:
        commands: each with its arguments.
        daemon: the id of a process that works for them, and so do its children.
        env: the environment; by default this one.

    Raises:
        CommandError: one of them fails.
    """
    os.sync()  # nobody pays for what others left to be written
    served = _Daemon(daemon) if daemon else None
    usages = [_run(command, env) for command in commands]
    if served:
        usages.append(Usage(0, served.cpu(), served.peak(), served.written()))
    return Usage(
        sum(usage.wall for usage in usages),
        sum(usage.cpu for usage in usages),
        max(usage.peak for usage in usages),
        sum(usage.written for usage in usages),
    )


def _run(command: Command, env: Mapping[str, str] | None) -> Usage:
    started = [sys.executable, "-I", "-S", STARTER, *command]
    done = subprocess.run(started, capture_output=True, check=False, env=env, stdin=subprocess.DEVNULL, timeout=LONGEST)
    status, wall, cpu, peak, blocks = done.stdout.split() or (1, 0, 0, 0, 0)
    if code := os.waitstatus_to_exitcode(int(status)):
        said = done.stderr.decode().strip().rpartition("\n")[2]
        raise CommandError(f"{command[0]} exits with {code}: {said[-500:]}")
    return Usage(float(wall), float(cpu), int(peak) * 1024, int(blocks) * _SECTOR)


class _Daemon:
    """A process and its children, from now on."""

    def __init__(self, process: int) -> None:
        self._process = process
        for one in self._family():
            Path(f"/proc/{one}/clear_refs").write_text("5")  # the peak starts at what is resident now
        self._before = self._cpu(), self._written()

    def cpu(self) -> float:
        return self._cpu() - self._before[0]

    def written(self) -> int:
        return self._written() - self._before[1]

    def peak(self) -> int:
        return max(self._field(one, "status", "VmHWM:") for one in self._family()) * 1024

    def _cpu(self) -> float:
        ticks = 0
        for one in self._family():
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])  # its own, and of children that have ended
        return ticks / _TICKS

    def _written(self) -> int:
        return sum(self._field(one, "io", "write_bytes:") for one in self._family())

    def _family(self) -> list[int]:
        family = [self._process]
        for one in family:
            for task in Path(f"/proc/{one}/task").iterdir():
                family += [int(child) for child in (task / "children").read_text().split()]
        return family

    @staticmethod
    def _field(process: int, file: str, name: str) -> int:
        words = Path(f"/proc/{process}/{file}").read_text().split()
        return int(words[words.index(name) + 1])
