"""Break each check on purpose, and fail unless a test notices: ``python -m tests.mutants [WORD]``."""

from __future__ import annotations

import compileall
import os
import shutil
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
TEST_TIMEOUT = 300.0  # seconds for the tests of one mutant
TESTS_FAILED = 1  # pytest's exit status


def main(words: list[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if all(word in str(mutant) for word in words)]
    if not chosen:
        print(f"no mutant matches {' '.join(words)}", file=sys.stderr)
        return 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="imgfetch-mutants-") as directory:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(os.cpu_count() or 1):
            copies.put(make_copy(Path(directory) / f"copy-{number}"))
        needed = sorted({test for mutant in chosen for test in mutant.find_tests(ROOT / "tests")})
        status = run_tests(Path(directory) / "copy-0", needed)
        if status:
            print(f"the tests fail without any mutant: pytest exits with {status}")
            return 1
        with ThreadPoolExecutor(copies.qsize()) as pool:
            noticed = list(pool.map(lambda mutant: is_noticed(mutant, copies), chosen))
    print(f"{sum(noticed)} of {len(chosen)} mutants noticed in {time.monotonic() - began:.0f} s")
    return 0 if all(noticed) else 1


def is_noticed(mutant: Mutant, copies: SimpleQueue[Path]) -> bool:
    """Apply a mutant to a free copy, and run its tests there."""
    copy = copies.get()
    try:
        with mutant.applied(copy / "imgfetch"):
            status = run_tests(copy, mutant.find_tests(copy / "tests"))
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


def run_tests(copy: Path, tests: Iterable[str]) -> int:
    """Run tests on a copy, also where they start the command; return pytest's exit status."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, check=False, timeout=TEST_TIMEOUT, text=True
        )
    except subprocess.TimeoutExpired:
        return TESTS_FAILED  # a bound that was broken: the unbroken tests end in time
    if done.returncode not in (0, TESTS_FAILED):
        print(done.stdout[-4000:], done.stderr[-2000:], sep="\n")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
