"""Engines from Debian's next suite, newer than those of the machine: ``python -m tests.modern`` builds their tree.

The tree is in the user's cache, under a name made of the suite and the packages. To have newer versions, remove it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from tests.tools import missing, root, tool

SUITE = "forky"
PACKAGES = (
    *("ca-certificates", "containerd", "docker-cli", "docker.io", "runc"),
    *("conmon", "crun", "iptables", "netavark", "podman"),
    *("buildah", "cosign", "crane", "docker-buildx", "golang-go", "libarchive-tools", "oras", "skopeo", "umoci"),
    *("nginx", "xz-utils", "zstd"),
)
SCRIPT = Path(__file__).with_name("modern_engines.sh")
_BUILD = 1800.0  # seconds that a build gets, or a wait for another process that builds


@dataclass(frozen=True)
class Tree:
    """A suite's programs.

    Attributes:
        path: the tree's directory.
        directory: the directory that the programs see as it is outside.
    """

    path: Path
    directory: Path

    def program(self, name: str) -> list[str | Path]:
        """Return the beginning of a command that runs a program."""
        if not any((self.path / place / name).exists() for place in ("usr/bin", "usr/sbin")):
            missing(f"{name} is not in Debian's {SUITE}")
        return [SCRIPT, "run", self.path, self.directory, name]


def cache() -> Path:
    """Return the directory of everything that tests keep between two runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "imgfetch-tests"


def place() -> Path:
    """Return the tree's directory, which `tree` makes."""
    key = hashlib.sha256(" ".join(sorted(PACKAGES)).encode()).hexdigest()[:12]
    return cache() / f"{SUITE}-{key}"


def tree(directory: Path) -> Tree:
    """Return the tree, built now if it is not in the cache."""
    root()
    if subprocess.run([tool("unshare"), "-m", "true"], capture_output=True, check=False).returncode:
        missing("a mount namespace of one's own is not permitted")
    path = place()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=_BUILD):
            if not path.exists():
                _build(path)
    return Tree(path, directory)


def _build(path: Path) -> None:
    tool("debootstrap")
    partial, log = Path(f"{path}.partial"), Path(f"{path}.log")
    shutil.rmtree(partial, ignore_errors=True)
    with log.open("wb") as file:
        command = [SCRIPT, "build", partial, SUITE, *PACKAGES]
        done = subprocess.run(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL, check=False, timeout=_BUILD)
    if done.returncode:
        missing(f"no tree of Debian's {SUITE}: {log.read_text()[-1000:]}")
    partial.rename(path)


def main() -> int | str:
    """Build the tree, and list its packages."""
    try:
        built = tree(Path(tempfile.gettempdir()))
    except (pytest.fail.Exception, pytest.skip.Exception) as reason:
        return str(reason)
    print(built.path, flush=True)
    return subprocess.run([*built.program("dpkg-query"), "-W", *PACKAGES], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
