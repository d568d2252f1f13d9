"""Break each check on purpose, and fail unless a test notices: ``python -m tests.mutants [WORD]``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from tests.mutants.catalogue import MUTANTS

ROOT = Path(__file__).parents[2]
COPIED = ("imgfetch", "tests", "fixtures", "docs", "setup.cfg", "pyproject.toml", "README.md", "Makefile")
TEST_TIMEOUT = 300.0  # seconds for the tests of one mutant
TESTS_FAILED = 1  # pytest's exit status


def main(words: list[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if all(word in f"{mutant.rule} {mutant.function}" for word in words)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="imgfetch-mutants-") as directory:
        copy = Path(directory) / "copy"
        make_copy(copy)
        needed = sorted({test for mutant in chosen for test in mutant.find_tests(copy / "tests")})
        status = run_tests(copy, needed)
        if status:
            print(f"the tests fail without any mutant: pytest exits with {status}")
            return 1
        missed = []
        for number, mutant in enumerate(chosen, 1):
            changed = mutant.apply(copy / "imgfetch")
            status = run_tests(copy, mutant.find_tests(copy / "tests"))
            shutil.copy2(ROOT / changed.relative_to(copy), changed)
            verdict = "noticed" if status == TESTS_FAILED else f"MISSED (pytest exits with {status})"
            print(f"{number:3} of {len(chosen)} {verdict}: {mutant.function}: {mutant.rule}", flush=True)
            if status != TESTS_FAILED:
                missed.append(mutant)
    print(f"{len(chosen) - len(missed)} of {len(chosen)} mutants noticed in {time.monotonic() - began:.0f} s")
    return 1 if missed or not chosen else 0


def make_copy(copy: Path) -> None:
    """Copy what the tests need, so that no mutant is ever in the checkout."""
    copy.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, copy / name)


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
