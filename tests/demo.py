"""The main job, for `make demo`: save an image, and show what the archive holds.

Without a reference it is the image of `fixtures/hello`, served on the loopback, so that it needs no network.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import tarfile
from contextlib import ExitStack
from pathlib import Path

from tests.loopback import Loopback
from tests.make_fixtures import HELLO, read_layout


def main(output: str, reference: str = "") -> int:
    """Save to ``output``, by default the embedded image, and list it."""
    with ExitStack() as stack:
        options = []
        if not reference:
            registry = stack.enter_context(Loopback())
            reference = registry.add("demo/hello", "latest", read_layout(HELLO))
            if platform.machine() not in ("x86_64", "AMD64", "aarch64", "arm64"):
                options = ["--platform", "linux/amd64"]
        command = ["imgfetch", "save", reference, "-o", output, *options]
        print("$", *command, flush=True)
        status = subprocess.run([sys.executable, "-m", *command], check=False).returncode
    if status:
        return status
    print(f"$ tar -tvf {output}", flush=True)
    with tarfile.open(output) as archive:
        for member in archive:
            print(f"{member.size:>12}  {member.name}")
        index = archive.extractfile("manifest.json")
        assert index is not None
        print(f"$ tar -xOf {output} manifest.json\n{index.read().decode()}")
    print(f"Take {Path(output).name} to the other host, and there: docker load -i {Path(output).name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
