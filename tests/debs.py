"""Single packages of Debian's suites, unpacked and not installed: ``python -m tests.debs`` gets them all.

They are programs that need only the C library, and sources in Go.  Each is in the tests' cache, until that is removed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from tests.modern import cache
from tests.tools import missing, tool

COSIGN = ("cosign", "trixie")
NOTATION = ("notation", "forky")
GO_CONTAINERREGISTRY = ("golang-github-google-go-containerregistry-dev", "forky")
_GET = 600.0  # seconds
_TARGETS = ("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian")


def unpacked(package: str, suite: str) -> Path:
    """Return the directory with a package's files."""
    directory = cache() / "debs"
    directory.mkdir(parents=True, exist_ok=True)
    place = directory / f"{package}-{suite}"
    with FileLock(f"{place}.lock", timeout=_GET):
        if not place.exists():
            try:
                _unpack(package, suite, place)
            except subprocess.SubprocessError as error:
                missing(f"{package} of Debian's {suite} cannot be unpacked: {error}")
    return place


def _unpack(package: str, suite: str, place: Path) -> None:
    """Download a package with apt, whose own lists stay as they are."""
    tool("apt-get")
    mirror = _run(*_TARGETS).partition("\n")[0]
    if not mirror:
        missing("apt knows no Debian mirror; run apt-get update")
    apt = place.with_suffix(".apt")
    shutil.rmtree(apt, ignore_errors=True)
    for name in ("lists/partial", "archives/partial", "files"):
        (apt / name).mkdir(parents=True)
    (apt / "sources.list").write_text(f"deb {mirror} {suite} main\n")
    options = {
        "Dir::Etc::sourcelist": apt / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": apt / "lists",
        "Dir::Cache": apt,
        "Acquire::Check-Valid-Until": "false",  # a mirror may lag behind
        "Acquire::Languages": "none",
    }
    command = ["apt-get", "-q", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    _run(*command, "update")
    _run(*command, "download", package, directory=apt)
    (file,) = apt.glob("*.deb")
    _run("dpkg-deb", "-x", str(file), str(apt / "files"))
    (apt / "files").rename(place)
    shutil.rmtree(apt)


def _run(*command: str, directory: Path | None = None) -> str:
    done = subprocess.run(
        command, cwd=directory, capture_output=True, check=True, timeout=_GET, stdin=subprocess.DEVNULL
    )
    return done.stdout.decode()


def main() -> int | str:
    """Get all packages, and list their places."""
    try:
        for package in (COSIGN, NOTATION, GO_CONTAINERREGISTRY):
            print(unpacked(*package), flush=True)
    except (pytest.fail.Exception, pytest.skip.Exception) as reason:
        return str(reason)
    return 0


if __name__ == "__main__":
    sys.exit(main())
