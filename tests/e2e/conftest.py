from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests import engines
from tests import modern as newer
from tests.conftest import Run
from tests.readers import READERS, Containerd, Docker, Engine, Podman, installed
from tests.registries import with_referrers

Started = Callable[[str], Any]
Save = Callable[..., Path]
Registries = Callable[[str], engines.RealRegistry]


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[engines.RealRegistry]:
    with engines.docker_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="session")
def registries(registry: engines.RealRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registries]:
    """Return a function that returns docker-registry, or the registry with the referrers API, started once."""
    running = {"docker-registry": registry}
    with ExitStack() as stack:

        def started(name: str) -> engines.RealRegistry:
            if name not in running:
                running[name] = stack.enter_context(with_referrers(tmp_path_factory.mktemp("referrers")))
            return running[name]

        yield started


@pytest.fixture(scope="session")
def modern(tmp_path_factory: pytest.TempPathFactory) -> newer.Tree:
    """Return the engines of Debian's next suite, which see pytest's temporary files."""
    return newer.tree(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def started(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """Return a function that starts a reader once, for all tests."""
    running: dict[str, Engine] = {}
    with ExitStack() as stack:

        def started(name: str) -> Engine:
            if name not in running:
                reader = READERS[name]
                programs = request.getfixturevalue("modern").program if reader.is_modern else installed
                # podman takes no long path
                running[name] = stack.enter_context(reader.start(tmp_path_factory.mktemp("r"), programs))
            return running[name]

        yield started


@pytest.fixture
def docker(started: Started) -> Docker:
    return started("docker-20.10")


@pytest.fixture
def containerd(started: Started) -> Containerd:
    return started("ctr-1.6")


@pytest.fixture
def podman(started: Started) -> Podman:
    return started("podman-4.3")


@pytest.fixture
def save(run: Run, tmp_path: Path) -> Save:
    """Return a function that saves references, and returns the archive."""

    def save(name: str, *arguments: str | Path) -> Path:
        target = tmp_path / name
        done = run("save", *map(str, arguments), "-o", str(target))
        assert done.returncode == 0, done.stderr.decode()
        return target

    return save
