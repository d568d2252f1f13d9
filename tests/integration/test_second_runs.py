"""The rule for resuming, over the whole registry of faults: what an earlier run left stops no run.

Each run with a cache has a twin with an empty one, which meets the same server in the same state.  Where the twin
succeeds, so must the other; where it fails, nothing is expected.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from imgfetch.cli import context
from imgfetch.defaults import RETRIES
from imgfetch.http.retries import RetryPolicy
from tests import faults
from tests.faults import SCENARIOS, FaultRegistry, plain_environment, reference, served, stripped
from tests.integration.conftest import Command
from tests.mirrors import HURRIED

Servers = dict[str, FaultRegistry]
State = list[tuple[FaultRegistry, faults.State]]
Visit = Callable[..., str]

SHORT: Mapping[str, Callable[[bytes], bytes]] = {
    "half of it": lambda content: content[: len(content) // 2],
    "as many zeros": lambda content: bytes(len(content) // 2),
}
"""Parts of a blob, of which a server is asked for the rest."""
LEFT: Mapping[str, Callable[[bytes], bytes]] = {
    **SHORT,
    "all but a byte": lambda content: content[:-1],
    "nothing": lambda _: b"",
    "all of it but a wrong last byte": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "more than all of it": lambda content: content + b"more",
}
PASSING = [name for name, scenario in SCENARIOS.items() if not scenario.status]


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
    monkeypatch.setattr("imgfetch.pull.client.LIMITS", HURRIED)
    for variable in stripped(os.environ):
        monkeypatch.delenv(variable)

    def visit(name: str, cache: Path, retries: int = RETRIES) -> str:
        scenario = SCENARIOS[name]
        names = servers["https" if scenario.tls else "http"].names
        for variable, value in {**plain_environment(tmp_path, names), **scenario.environment}.items():
            monkeypatch.setenv(variable, value.format(**names))
        given = [argument.format(**names) for argument in scenario.arguments.split()]
        given += ["--retries", str(retries), "--cache-dir", str(cache), "--platform", "linux/amd64"]
        (tmp_path / "y.tar").unlink(missing_ok=True)
        done = command("save", reference(name, servers), "-o", tmp_path / "y.tar", *given)
        return done.err if done.status else ""

    return visit


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_second_run_fails_that_would_succeed_with_an_empty_cache(
    servers: Servers, visit: Visit, tmp_path: Path, name: str
) -> None:
    kept = tmp_path / "kept"
    forget(servers)
    first = visit(name, kept)
    assert bool(first) == bool(SCENARIOS[name].status), first
    later, control = state_of(servers), visit(name, tmp_path / "empty")
    return_to(later)
    assert not (failure := visit(name, kept)) or control, failure
    forget(servers)
    assert not (failure := visit(name, kept)) or first, failure


@pytest.mark.parametrize("retries", [0, RETRIES])
@pytest.mark.parametrize("name", PASSING)
def test_no_run_fails_because_of_what_an_earlier_one_left(
    servers: Servers, visit: Visit, tmp_path: Path, *, name: str, retries: int
) -> None:
    """With retries, the server begins with its faults; without, some are behind it."""
    forget(servers)
    if not retries:
        visit(name, tmp_path / "before", retries)
    state = state_of(servers)
    if not retries and visit(name, tmp_path / "empty", retries):
        return
    is_about_blobs = not {"good", "layer", "data"}.isdisjoint((name, *SCENARIOS[name].replies))
    is_slow = name.startswith("m0") or "--timeout" in SCENARIOS[name].arguments
    chosen = LEFT if is_about_blobs and not name.startswith("r-") else SHORT
    for left, part in list(chosen.items())[: 1 if is_slow else None]:
        return_to(state)
        cache = tmp_path / left
        for blob in servers["http"].built(name).blobs:
            plant(cache, blob.digest, part(blob.content))
        assert not (failure := visit(name, cache, retries)), f"{left}: {failure}"
        assert not any(path.is_file() for path in (cache / "parts").rglob("*")), left
        shutil.rmtree(cache)


def plant(cache: Path, digest: str, content: bytes) -> None:
    path = cache / "parts" / digest.replace(":", "/")
    path.parent.mkdir(parents=True, exist_ok=True)
    cache.chmod(0o700)
    path.write_bytes(content)


def forget(servers: Servers) -> None:
    for server in servers.values():
        server.forget()


def state_of(servers: Servers) -> State:
    return [(server, server.state()) for server in servers.values()]


def return_to(state: State) -> None:
    for server, was in state:
        server.return_to(was)
