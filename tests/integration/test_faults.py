"""Every row of the fault matrix, with what is expected of imgfetch."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from imgfetch.cli import context
from imgfetch.http.retries import RetryPolicy
from tests.faults import SCENARIOS, FaultRegistry, plain_environment, reference, served, stripped
from tests.integration.conftest import Command
from tests.mirrors import HURRIED, PIECEMEAL

Servers = dict[str, FaultRegistry]

BACKOFF = {0: 1.25, 1: 2.5, 3: 5, 6: 10}
"""The longest waits of 1, 2, 4 and 8 s, by the shortest rounded down; what a server asks for is no such number."""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with served(tmp_path_factory.mktemp("faults")) as servers:
        yield servers


def check_archive(path: Path) -> list[str]:
    """Hash every blob of an archive, and return the digests of its layers."""
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and member.name.startswith("blobs/sha256/"):
                file = archive.extractfile(member)
                assert file is not None
                assert hashlib.file_digest(file, "sha256").hexdigest() == member.name.rpartition("/")[2]
        listed = archive.extractfile("manifest.json")
        assert listed is not None
        return [f"sha256:{name.rpartition('/')[2]}" for name in json.load(listed)[0]["Layers"]]


def noted_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Wait for nothing, and return the list that will have the seconds of each wait."""
    waits: list[float] = []
    monkeypatch.setattr(
        context,
        "retries",
        lambda arguments: RetryPolicy(retries=arguments.retries, max_wait=arguments.max_wait, pause=waits.append),
    )
    return waits


def begin(name: str, servers: Servers, home: Path, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """Set a scenario's environment, let everything break anew, and return the names in its texts."""
    scenario = SCENARIOS[name]
    names = servers["https" if scenario.tls else "http"].names
    for variable in stripped(os.environ):
        monkeypatch.delenv(variable)
    for variable, value in {**plain_environment(home, names), **scenario.environment}.items():
        monkeypatch.setenv(variable, value.format(**names))
    for server in servers.values():
        server.forget()
    return names


def asked(name: str, part: str, servers: Servers) -> int:
    return sum(server.asked[name, part] for server in servers.values())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.xfail(reason=scenario.pending, strict=True) if scenario.pending else ())
        for name, scenario in SCENARIOS.items()
        if not scenario.pinned
    ],
)
def test_a_fault_ends_as_the_matrix_says(
    name: str, servers: Servers, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario, waits = SCENARIOS[name], noted_waits(monkeypatch)
    monkeypatch.setattr("imgfetch.pull.session.LIMITS", PIECEMEAL if scenario.in_pieces else HURRIED)
    names = begin(name, servers, tmp_path, monkeypatch)
    target = tmp_path / "out" / "y.tar"
    target.parent.mkdir()
    arguments = [argument.format(**names) for argument in scenario.arguments.split()]
    done = command("save", reference(name, servers), "-o", target, "--platform", "linux/amd64", *arguments)

    assert done.status == scenario.status, done.err
    assert "Traceback" not in done.err
    assert "wrong password" not in done.err  # nobody gave one (F19)
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", done.err) is None  # S31
    for words in scenario.says:
        assert words.format(**names) in done.err
    if scenario.status:
        assert list(target.parent.iterdir()) == []
    else:
        assert [path.name for path in target.parent.iterdir()] == ["y.tar"]
        assert check_archive(target) == [blob.digest for blob in servers["http"].built(name).layers]
    if scenario.waits is not None:
        assert _about(waits, scenario.waits), waits
    for part, count in {"head": 0, **scenario.asked}.items():  # the document is needed anyway (F24, F25)
        assert asked(name, part, servers) == count, (part, waits)
    if scenario.in_pieces:
        parts = ("layer-piece", "data-piece", "second-layer-piece", "second-config")
        assert any(asked(name, part, servers) for part in parts)
    for part, most in scenario.sent.items():
        assert sum(server.sent[name, part] for server in servers.values()) <= most, part


@pytest.mark.parametrize("name", [name for name, scenario in SCENARIOS.items() if scenario.tags or scenario.tags_say])
def test_all_pages_of_tags_are_listed_or_none(name: str, servers: Servers, command: Command) -> None:
    for server in servers.values():
        server.forget()
    done = command("tags", reference(name, servers).rpartition(":")[0])
    assert tuple(done.out.split()) == SCENARIOS[name].tags
    assert bool(done.status) == bool(SCENARIOS[name].tags_say)
    assert SCENARIOS[name].tags_say in done.err


@pytest.mark.parametrize("name", [name for name, scenario in SCENARIOS.items() if scenario.pinned])
def test_a_digest_is_asked_for_by_head_and_by_get_only_where_that_does_not_suffice(
    name: str, servers: Servers, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = noted_waits(monkeypatch)
    begin(name, servers, tmp_path, monkeypatch)
    built = servers["http"].built(name)
    done = command("digest", reference(name, servers), *SCENARIOS[name].arguments.split())
    assert (done.status, done.out, done.err) == (0, f"{servers['http'].host}/{name}@{built.digest}\n", "")
    assert (asked(name, "head", servers), asked(name, "manifest", servers), waits) == (*SCENARIOS[name].pinned, [])


def test_a_body_after_head_breaks_no_later_request(servers: Servers, command: Command) -> None:
    servers["http"].forget()
    wanted = [reference(name, servers) for name in ("h04-body", "f25l-head", "h04-body", "h01-stated")]
    done = command("digest", *wanted, "--retries", "0")
    digests = [servers["http"].built(name.split("/")[1].split(":")[0]).digest for name in wanted]
    assert [line.partition("@")[2] for line in done.out.splitlines()] == digests, done.err


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, scenario in SCENARIOS.items()
        if scenario.status
        and not scenario.pinned
        and scenario.replies.keys() <= {"manifest", "token", "connect", "hello"}
        and not scenario.built
    ],
)
def test_a_digest_that_cannot_be_had_by_head_fails_as_a_save_does(
    name: str, servers: Servers, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = noted_waits(monkeypatch)
    names = begin(name, servers, tmp_path, monkeypatch)
    scenario = SCENARIOS[name]
    arguments = [argument.format(**names) for argument in scenario.arguments.split()]
    done = command("digest", reference(name, servers), *arguments)
    assert (done.status, done.out) == (scenario.status, ""), done.err
    if "token" in scenario.replies:  # the token server is asked no more often
        assert asked(name, "token", servers) == scenario.asked.get("token", asked(name, "token", servers))
        assert scenario.waits is None or _about(waits, scenario.waits)
    for words in scenario.says:
        assert words.format(**names) in done.err


def _about(waits: list[float], expected: tuple[int, ...]) -> bool:
    """Compare waits with their expectation, a quarter more or less being left to chance (2.0)."""
    return len(waits) == len(expected) and all(
        wanted <= wait <= BACKOFF.get(wanted, wanted + 1.5) for wait, wanted in zip(waits, expected, strict=True)
    )


def test_every_row_of_the_matrix_has_a_scenario() -> None:
    rows = {*range(1, 7), *range(10, 38), *range(40, 60), 61}  # 60, a full disk, stands in test_output.py
    named = {int(match[1]) for name in SCENARIOS if (match := re.match(r"f(\d\d)", name))}
    assert named == rows


def test_rounds_of_all_faults_leave_nothing_and_take_little_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.faultrounds", str(tmp_path)]
    env = {**os.environ, "MALLOC_ARENA_MAX": "2"}  # the servers are in that process, and each thread would have a heap
    done = subprocess.run(command, capture_output=True, check=False, timeout=1500, text=True, env=env)
    assert done.returncode == 0, done.stderr[-4000:]
    peak = int(done.stdout.split()[-1])
    print(done.stdout)
    assert peak < 200 * 1024**2


def test_the_first_interruption_of_a_layer_is_told_and_no_other(
    servers: Servers, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted_waits(monkeypatch)
    begin("f45-cut", servers, tmp_path, monkeypatch)
    arguments = ("save", reference("f45-cut", servers), "-o", tmp_path / "y.tar", "--platform", "linux/amd64")
    done = command(*arguments)
    assert done.status == 0
    assert done.err.count(": interrupted at 1.5 MB of 2.1 MB, resuming (") == 1
    assert done.err.count("resuming") == 1
    for server in servers.values():
        server.forget()
    events = command(*arguments, "--no-cache", "--progress", "json").err.splitlines()
    assert sum('"event": "interrupted"' in event for event in events) == 2


def test_a_failure_that_ends_the_save_is_not_called_an_interruption(
    servers: Servers, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted_waits(monkeypatch)
    begin("f45-cut", servers, tmp_path, monkeypatch)
    done = command("save", reference("f45-cut", servers), "-o", tmp_path / "y.tar", "--retries", "0")
    assert done.status == 5
    assert "resuming" not in done.err
