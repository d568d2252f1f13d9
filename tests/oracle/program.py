"""Programs in Go, built with ``go`` on the path or in the tree of :mod:`tests.modern`, and kept until they change."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from tests import modern

_BUILD = 600.0  # seconds


def built(sources: Sequence[Path], packages: Path | None = None) -> Path:
    """Return a program, built from sources that need no library but Go's own, and those in a directory."""
    directory = modern.cache() / "go"
    directory.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    program = directory / f"{sources[0].parent.name}-{key}"
    with FileLock(directory / "lock", timeout=_BUILD):
        if not program.exists():
            _build(directory, sources, program, packages)
    return program


def _build(directory: Path, sources: Sequence[Path], program: Path, packages: Path | None) -> None:
    copies = directory / "sources"
    shutil.rmtree(copies, ignore_errors=True)
    copies.mkdir()
    if packages:
        shutil.copytree(packages, copies / "src")
    for source in sources:
        shutil.copy(source, copies)
    go: list[str | Path] = ["go"] if shutil.which("go") else modern.tree(directory).program("go")
    environment = {**os.environ, "GO111MODULE": "off", "GOCACHE": str(directory / "cache"), "CGO_ENABLED": "0"}
    environment |= {"GOPATH": str(copies), "TMPDIR": str(copies)}  # the tree has no other directory
    files = [copies / source.name for source in sources]
    subprocess.run([*go, "build", "-o", program, *files], check=True, env=environment, timeout=_BUILD)
