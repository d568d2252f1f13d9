"""The main job, for `make demo`: save an image, verify the archive, and list it.

Without a reference, this saves the image in `fixtures/hello` under a fixed name from a registry on the loopback, so
the demo needs no network, and two demos write the same bytes.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.loopback import Loopback
from tests.make_fixtures import HELLO, read_layout

REGISTRY = "demo.example"
NAME = "demo/hello"
_PLATFORMS = ("x86_64", "AMD64", "aarch64", "arm64")
"""The machines that the embedded image is for, as Python spells them."""


def main(output: str, reference: str = "") -> int:
    """Save to ``output``, by default the embedded image, and list it."""
    options: list[str] = []
    with ExitStack() as stack:
        if not reference:
            registry = stack.enter_context(Loopback())
            registry.add(NAME, "latest", read_layout(HELLO))
            reference, mirror = f"{REGISTRY}/{NAME}", f"{REGISTRY}=http://{registry.host}"
            os.environ["IMGFETCH_MIRROR"] = mirror
            print(f"$ export IMGFETCH_MIRROR={mirror}")
            options = [] if platform.machine() in _PLATFORMS else ["--platform", "linux/amd64"]
        status = run("imgfetch", "save", reference, "-o", output, *options)
    for command in (("imgfetch", "verify"), ("tar", "-tvf")):
        status = status or run(*command, output)
    if not status:
        print(f"Copy {Path(output).name} to another host, and load it there: docker load -i {Path(output).name}")
    return status


def run(*command: str) -> int:
    """Print a command, run it, and return its exit status."""
    print("$", *command, flush=True)
    program = [sys.executable, "-m", *command] if command[0] == "imgfetch" else command
    return subprocess.run(program, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
