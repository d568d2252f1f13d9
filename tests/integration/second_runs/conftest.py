"""Fixtures of the tests of second runs: the registry of faults, and visits that meet it in the same state."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imgfetch.cli import context
from imgfetch.defaults import RETRIES
from imgfetch.http.retries import RetryPolicy
from tests import faults
from tests.faults import SCENARIOS, FaultRegistry, plain_environment, reference, served, stripped
from tests.integration.conftest import Command
from tests.mirrors import HURRIED, PIECEMEAL

Servers = dict[str, FaultRegistry]
State = list[tuple[FaultRegistry, faults.State]]
Visit = Callable[..., str]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with served(tmp_path_factory.mktemp("faults")) as servers:
        yield servers


@pytest.fixture
def visit(servers: Servers, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Visit:
    """Return a function that saves a scenario's image with a cache, without waiting, and returns why it failed."""
    monkeypatch.setattr(
        context,
        "retries",
        lambda arguments: RetryPolicy(retries=arguments.retries, max_wait=arguments.max_wait, pause=lambda _: None),
    )
    monkeypatch.setattr(os, "fsync", lambda _: None)
    for variable in stripped(os.environ):
        monkeypatch.delenv(variable)

    def visit(name: str, cache: Path, retries: int = RETRIES) -> str:
        scenario = SCENARIOS[name]
        monkeypatch.setattr("imgfetch.pull.session.LIMITS", PIECEMEAL if scenario.in_pieces else HURRIED)
        names = servers["https" if scenario.tls else "http"].names
        for variable, value in {**plain_environment(tmp_path, names), **scenario.environment}.items():
            monkeypatch.setenv(variable, value.format(**names))
        given = [argument.format(**names) for argument in scenario.arguments.split()]
        given += ["--retries", str(retries), "--cache-dir", str(cache), "--platform", "linux/amd64"]
        (tmp_path / "y.tar").unlink(missing_ok=True)
        done = command("save", reference(name, servers), "-o", tmp_path / "y.tar", *given)
        return done.err if done.status else ""

    return visit


def forget(servers: Servers) -> None:
    for server in servers.values():
        server.forget()


def state_of(servers: Servers) -> State:
    return [(server, server.state()) for server in servers.values()]


def return_to(state: State) -> None:
    for server, was in state:
        server.return_to(was)


def check_second_run(servers: Servers, visit: Visit, directory: Path, name: str) -> None:
    """Run twice with one cache, and once with an empty one in between."""
    kept = directory / "kept"
    forget(servers)
    first = visit(name, kept)
    assert bool(first) == bool(SCENARIOS[name].status), first
    later, control = state_of(servers), visit(name, directory / "empty")
    return_to(later)
    assert not (failure := visit(name, kept)) or control, failure
    forget(servers)
    assert not (failure := visit(name, kept)) or first, failure
