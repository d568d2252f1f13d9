"""Runs all faults four times in random order in one process, and tells its peak of memory.

``python -m tests.faultrounds DIRECTORY`` prints the seconds it took and the bytes; it fails where a run ends otherwise
than expected, leaves a file or a thread, or prints a traceback.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import shutil
import sys
import threading
import time
from pathlib import Path

from imgfetch.cli import context
from imgfetch.cli import main as cli
from imgfetch.http.retries import RetryPolicy
from imgfetch.pull import session
from tests.faults import SCENARIOS, plain_environment, reference, served, stripped
from tests.mirrors import HURRIED, PIECEMEAL

ROUNDS = 2
SEED = 20


def rounds(where: Path) -> None:
    """Go through all scenarios."""
    with served(where / "certificates") as servers:
        os.environ.update(plain_environment(where / "home", servers["http"].names))
        order = [name for _ in range(ROUNDS) for name in CHOSEN]
        random.Random(SEED).shuffle(order)
        for name in order:
            scenario = SCENARIOS[name]
            session.LIMITS = PIECEMEAL if scenario.in_pieces else HURRIED
            for server in servers.values():
                server.forget()
            names = servers["https" if scenario.tls else "http"].names
            arguments = [argument.format(**names) for argument in scenario.arguments.split()]
            if not (scenario.tls or name == "f04-http"):
                arguments.append(
                    "--plain-http"
                )  # to read the system's certificates each time takes longer than all else
            if "--timeout" in arguments:
                arguments += ["--timeout", "0.2"]  # time is all that the rounds have too little of
            environment = {key: value.format(**names) for key, value in scenario.environment.items()}
            target = where / "out" / "y.tar"
            target.parent.mkdir(exist_ok=True)
            os.environ.update(environment)
            err = io.StringIO()
            with contextlib.redirect_stderr(err):
                status = cli.main(["save", reference(name, servers), "-o", str(target), *PLATFORM, *arguments])
            for key in environment:
                del os.environ[key]
            left = sorted(path.name for path in target.parent.iterdir())
            assert status == scenario.status, (name, status, err.getvalue())
            assert left == ([] if status else ["y.tar"]), (name, left)
            assert "Traceback" not in err.getvalue(), (name, err.getvalue())
            shutil.rmtree(target.parent)
            shutil.rmtree(where / "cache", ignore_errors=True)
        end = time.monotonic() + 10
        while (
            threads := [thread for thread in threading.enumerate() if thread.name.startswith("imgfetch-")]
        ) and time.monotonic() < end:
            time.sleep(0.1)
        assert threads == []


CHOSEN = [
    name
    for name, scenario in SCENARIOS.items()
    if not (name.startswith(("r-", "p-")) or scenario.pinned) or name in {"p-good", "p-cut-later", "p-stall-later"}
]
"""One server that refuses to resume a download, or sends odd pieces, is like another, and a save sends no HEAD."""
PLATFORM = ("--platform", "linux/amd64")


def main(directory: str) -> int:
    """Run in a fresh process, for this one's memory is to be measured."""
    for name in stripped(os.environ):
        del os.environ[name]
    os.environ["IMGFETCH_CACHE_DIR"] = f"{directory}/cache"
    context.retries = lambda arguments: RetryPolicy(
        retries=arguments.retries, max_wait=arguments.max_wait, pause=lambda _: None
    )
    os.fsync = lambda _: None  # no power fails here
    began = time.monotonic()
    rounds(Path(directory))
    peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert peak is not None
    print(f"{time.monotonic() - began:.0f} s, {ROUNDS} rounds of {len(CHOSEN)}, peak {int(peak[1]) * 1024}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
