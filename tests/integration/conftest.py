from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imgfetch.cli import main
from tests import engines
from tests.loopback import Loopback
from tests.machine import Machine, machine, make_archive
from tests.preloaded import Preloaded
from tests.tools import root


@dataclass(frozen=True)
class Done:
    """The result of a command."""

    status: int
    out: str
    err: str


Command = Callable[..., Done]
Save = Callable[..., Done]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs the command line within this process, with a cache of its own."""
    monkeypatch.setenv("IMGFETCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("IMGFETCH_RETRIES", "0")  # what is repeated has tests of its own
    for name in (
        "DOCKER_DEFAULT_PLATFORM",
        "SOURCE_DATE_EPOCH",
        "IMGFETCH_JOBS",
        "IMGFETCH_CONNECTIONS",
        "IMGFETCH_PROGRESS",
    ):
        monkeypatch.delenv(name, raising=False)

    def command(*arguments: str | Path) -> Done:
        try:
            status = main.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = int(stop.code or 0)
        captured = capsys.readouterr()
        return Done(status, captured.out, captured.err)

    return command


@pytest.fixture
def save(command: Command, tmp_path: Path) -> Save:
    """Return a function that saves images, for linux/amd64 unless another platform is given, and expects a status."""

    def save(*arguments: str | Path, to: str | Path = "y.tar", status: int = 0) -> Done:
        is_given = not {"--platform", "--all-platforms"}.isdisjoint(map(str, arguments))
        platform = () if is_given else ("--platform", "linux/amd64")
        done = command("save", *arguments, "-o", tmp_path / to, *platform)
        assert done.status == status, done.err
        return done

    return save


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[engines.RealRegistry]:
    with engines.docker_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="session")
def preloaded() -> Iterator[Preloaded]:
    root()
    with Preloaded() as preloaded:
        yield preloaded


@pytest.fixture(scope="session")
def right_archive(preloaded: Preloaded) -> bytes:
    return make_archive(preloaded)


@pytest.fixture
def shared(loopback: Loopback, preloaded: Preloaded, right_archive: bytes) -> Iterator[Machine]:
    """Return a machine with a victim and an attacker."""
    with machine(loopback, preloaded, right_archive) as shared:
        yield shared
