"""Break each check on purpose, and fail unless a test notices: ``python -m tests.mutants [OPTION] [WORD]``.

With ``--unchecked``, the tests are not run without any mutant first, because they run anyway, as in CI.
``--share K/N`` takes every N-th mutant from the K-th on.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from py_compile import PycInvalidationMode
from queue import SimpleQueue

from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant

ROOT = Path(__file__).parents[2]
COPIED = ("imgfetch", "tests", "fixtures", "docs", "setup.cfg", "pyproject.toml", "README.md", "Makefile")
TEST_TIMEOUT = 600.0  # seconds until a process must have ended
TESTS_FAILED = 1  # pytest's exit status


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("--unchecked", action="store_true")
    parser.add_argument("--share", default="1/1", metavar="K/N")
    parser.add_argument("words", nargs="*", metavar="WORD")
    options = parser.parse_args(arguments)
    first, every_nth = map(int, options.share.split("/"))
    words, is_checked = options.words, not options.unchecked
    chosen = [mutant for mutant in MUTANTS if all(word in str(mutant) for word in words)][first - 1 :: every_nth]
    if not chosen:
        print(f"no mutant matches {' '.join(words)}", file=sys.stderr)
        return 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="imgfetch-mutants-") as directory:
        every = [
            Copy(Path(directory) / f"copy-{number}") for number in range((os.cpu_count() or 1) + 1)
        ]  # many tests wait
        copies: SimpleQueue[Copy] = SimpleQueue()
        for copy in every:
            copies.put(copy)
        needed = sorted({test for mutant in chosen for test in mutant.find_tests(ROOT / "tests")})
        with ThreadPoolExecutor(len(every)) as pool:
            shares = [share for number in range(len(every)) if (share := needed[number :: len(every)]) and is_checked]
            statuses = list(pool.map(Copy.run, every, shares))
            if status := max(statuses, default=0):
                print(f"the tests fail without any mutant: pytest exits with {status}")
                return 1
            noticed = list(pool.map(lambda mutant: is_noticed(mutant, copies), chosen))
        for copy in every:
            copy.close()
    print(f"{sum(noticed)} of {len(chosen)} mutants noticed in {time.monotonic() - began:.0f} s")
    return 0 if all(noticed) else 1


def is_noticed(mutant: Mutant, copies: SimpleQueue[Copy]) -> bool:
    """Apply a mutant to a free copy, and run its tests there."""
    copy = copies.get()
    try:
        with mutant.applied(copy.directory / "imgfetch"):
            status = copy.run(mutant.find_tests(copy.directory / "tests"))
    finally:
        copies.put(copy)
    verdict = "noticed" if status == TESTS_FAILED else f"MISSED (pytest exits with {status})"
    print(f"{verdict}: {mutant}", flush=True)
    return status == TESTS_FAILED


def make_copy(copy: Path) -> Path:
    """Copy what the tests need, so that no mutant is ever in the checkout; return ``copy``.

    It is compiled once.  A mutant is never taken for the code before it, because sources are compared by their hashes.
    """
    copy.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, copy / name)
    compileall.compile_dir(copy, quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    return copy


class Copy:
    """A copy of the project with a process that runs tests in it, also where they start the command."""

    def __init__(self, directory: Path) -> None:
        self.directory = make_copy(directory)
        self._output = directory.with_suffix(".log")
        environment = {**os.environ, "PYTHONPATH": str(directory), "PYTHONDONTWRITEBYTECODE": "1"}
        self._server = subprocess.Popen(
            [sys.executable, directory / "tests" / "mutants" / "server.py"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, tests: Iterable[str]) -> int:
        """Run tests, and return pytest's exit status, or that of failed tests after a broken bound has run too long."""
        assert self._server.stdin
        assert self._server.stdout
        arguments = ["-qx", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning", *tests]
        self._server.stdin.write(json.dumps([arguments, str(self._output)]) + "\n")
        self._server.stdin.flush()
        status = int(self._server.stdout.readline())
        if status not in (0, TESTS_FAILED, -signal.SIGKILL):
            print(self._output.read_text(errors="replace")[-4000:])
        return TESTS_FAILED if status == -signal.SIGKILL else status

    def close(self) -> None:
        """End the process."""
        self._server.communicate(timeout=TEST_TIMEOUT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
