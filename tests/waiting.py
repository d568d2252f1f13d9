"""Waits for what another thread or process does, instead of sleeping and hoping that it is done by then."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

_LONGEST = 60.0  # seconds, which a machine with a high load needs now and then
_PAUSE = 0.01


def until(is_true: Callable[[], object]) -> None:
    """Wait for a condition, and fail if it does not come true."""
    end = time.monotonic() + _LONGEST
    while not is_true():
        assert time.monotonic() < end, "this did not happen"
        time.sleep(_PAUSE)


def until_caught(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> None:
    """Wait until a process has a handler of its own for a signal; for SIGINT, Python has one from the start."""

    def is_caught() -> bool:
        status = Path(f"/proc/{process.pid}/status").read_text()
        return bool(int(re.findall("SigCgt:\t(.*)", status)[0], 16) >> number - 1 & 1)

    until(is_caught)
