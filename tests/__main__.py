"""Run all tests in two processes, those with engines and the others: ``python -m tests [OPTIONS OF PYTEST]``.

Both halves take minutes, and neither keeps two processors busy.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

HALVES = (("tests/unit", "tests/integration"), ("tests/e2e",))


def main(options: list[str]) -> int:
    """Show the first half while it runs, then the second; return the first exit status that is not 0."""
    command = [sys.executable, "-m", "pytest", *options]
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen([*command, *HALVES[1]], stdout=output, stderr=output) as second:
            first = subprocess.run([*command, *HALVES[0]], check=False)
            second.wait()
        output.seek(0)
        sys.stdout.write(output.read().decode(errors="replace"))
    return first.returncode or second.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
