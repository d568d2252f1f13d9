"""The results of other clients with the fault registry, as a record: ``python -m tests.referees [NAME…]`` renews it.

Where one of them gets an image, so does imgfetch, unless a written rule says why not: ``rule`` of a scenario.  They are
crane, skopeo and docker of the tree of newer engines, and docker 20.10 of the machine.  Each has its own options for
the same request, and none of them has longer than `LIMIT` for it.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import modern
from tests.engines import Command, output
from tests.faults import SCENARIOS, FaultRegistry, Scenario, reference, served, stripped
from tests.modern import Tree
from tests.readers import docker, installed
from tests.readers.engine import Programs, version_in

RECORD = Path(__file__).parents[1] / "fixtures" / "referees.json"
LIMIT = 25.0  # seconds for each, in which docker repeats what failed after 5 s, and after 10 s more
WORKERS = 4
LATE = -1  # the exit status of a client that was ended after that time
OWN_OPTIONS = ("--mirror", "--realm-override", "--strict")  # of imgfetch, so nobody else can be asked for the same

Servers = Mapping[str, FaultRegistry]
Result = int | None
"""An exit status, or ``None`` of a client that cannot be asked for the same."""


@dataclass(frozen=True)
class Pull:
    """A scenario that a client tries, with servers of its own.

    Attributes:
        name: the scenario's.
        servers: the servers, which are as if nobody had asked for anything.
        directory: an empty directory for what the client gets, and its settings.
    """

    name: str
    servers: Servers
    directory: Path

    @property
    def scenario(self) -> Scenario:
        return SCENARIOS[self.name]

    @property
    def reference(self) -> str:
        return reference(self.name, self.servers)

    @property
    def is_verified(self) -> bool:
        """True if certificates count: imgfetch has an option for the authority."""
        return "--ca-file" in self.scenario.arguments

    @property
    def is_of_imgfetch(self) -> bool:
        return any(option in self.scenario.arguments for option in OWN_OPTIONS)

    @property
    def has_proxy(self) -> bool:
        return any(name.upper().endswith("_PROXY") for name in self.scenario.environment)

    def environment(self) -> dict[str, str]:
        """Return a client's environment, with the credentials in a file, which all of them read."""
        names = self.servers["https" if self.scenario.tls else "http"].names
        given = {key: value.format(**names) for key, value in self.scenario.environment.items()}
        config = self.directory / "config.json"
        config.write_text(given.pop("DOCKER_AUTH_CONFIG", "{}"))
        arguments = self.scenario.arguments.split()
        if self.is_verified:
            given["SSL_CERT_FILE"] = arguments[arguments.index("--ca-file") + 1].format(**names)
        kept = {key: value for key, value in os.environ.items() if key not in stripped(os.environ)}
        return {**kept, "SSL_CERT_DIR": "/nowhere", **given} | {
            "DOCKER_CONFIG": str(self.directory),
            "REGISTRY_AUTH_FILE": str(config),
        }

    def run(self, command: Command) -> int:
        """Run a client, and return its exit status."""
        for server in self.servers.values():
            server.forget()
            server.last = self.name  # clients ask for the challenge first
        words = [str(word) for word in command]
        nothing = subprocess.DEVNULL
        try:
            return subprocess.run(
                words, env=self.environment(), timeout=LIMIT, stdin=nothing, stdout=nothing, stderr=nothing, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            return LATE


@dataclass(frozen=True)
class Referee:
    """A client that is ready.

    Attributes:
        version: its version.
        pull: tries a scenario.
    """

    version: str
    pull: Callable[[Pull], Result]


def _crane(tree: Tree) -> Referee:
    def pull(pull: Pull) -> Result:
        options = [] if pull.is_verified else ["--insecure"]
        return pull.run([*program, "pull", *options, pull.reference, pull.directory / "crane.tar"])

    program = tree.program("crane")
    return Referee(version_in(output(*tree.program("dpkg-query"), "-W", "-f", "${Version}", "crane")), pull)


def _skopeo(tree: Tree) -> Referee:
    def pull(pull: Pull) -> Result:
        verify = f"--src-tls-verify={str(pull.is_verified).lower()}"
        source, target = f"docker://{pull.reference}", f"dir:{pull.directory / 'skopeo'}"
        return pull.run([*program, "--insecure-policy", "copy", "-q", verify, source, target])

    program = tree.program("skopeo")
    return Referee(version_in(output(*program, "--version")), pull)


@contextmanager
def _docker(directory: Path, programs: Programs) -> Iterator[Referee]:
    """Start a dockerd, which verifies no certificate of this machine and has no proxy."""
    with docker(directory, programs) as running:

        def pull(pull: Pull) -> Result:
            if pull.is_verified or pull.has_proxy:
                return None
            status = pull.run([*running.command, "pull", "-q", pull.reference])
            if status == 0:
                running.run("rmi", "-f", pull.reference)
            return status

        yield Referee(running.version, pull)


class Referees:
    """Clients, and servers for several pulls at a time.

    Attributes:
        clients: the clients by name.
    """

    def __init__(self, clients: Mapping[str, Referee], servers: Iterable[Servers], directory: Path) -> None:
        self.clients = clients
        self._directory = directory
        self._servers: queue.SimpleQueue[Servers] = queue.SimpleQueue()
        for each in servers:
            self._servers.put(each)

    def results(self, name: str) -> dict[str, Result]:
        """Let each client try a scenario, one after the other."""
        servers = self._servers.get()
        try:
            return {client: self._result(name, referee, servers) for client, referee in self.clients.items()}
        finally:
            self._servers.put(servers)

    def _result(self, name: str, referee: Referee, servers: Servers) -> Result:
        directory = Path(tempfile.mkdtemp(dir=self._directory))
        pull = Pull(name, servers, directory)
        try:
            return None if pull.is_of_imgfetch else referee.pull(pull)
        finally:
            shutil.rmtree(directory)


@contextmanager
def ready(tree: Tree, workers: int = WORKERS) -> Iterator[Referees]:
    """Start the clients' daemons, and servers for so many pulls at a time."""
    directory = Path(tempfile.mkdtemp(dir=tree.directory))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        made = []
        for number in range(workers):
            place = directory / f"servers-{number}"
            place.mkdir()
            made.append(stack.enter_context(served(place)))
        clients = {"crane": _crane(tree), "skopeo": _skopeo(tree)}
        for name, programs in {"docker": tree.program, "docker-20.10": installed}.items():
            (directory / name).mkdir()
            clients[name] = stack.enter_context(_docker(directory / name, programs))
        yield Referees(clients, made, directory)


def recorded() -> tuple[dict[str, str], dict[str, dict[str, Result]]]:
    """Return the versions of the clients, and what each of them made of each scenario."""
    record = json.loads(RECORD.read_text())
    return record["versions"], record["exits"]


def _write(versions: Mapping[str, str], exits: Mapping[str, Mapping[str, Result]]) -> None:
    """Write the record, with a line for each scenario."""
    known = sorted(name for name in exits if name in SCENARIOS)
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(exits[name], sort_keys=True)}" for name in known)
    RECORD.write_text(f'{{\n  "versions": {json.dumps(versions, sort_keys=True)},\n  "exits": {{\n{lines}\n  }}\n}}\n')


def main(*names: str) -> int | str:
    """Record scenarios; without names, those that the record lacks, and with ``all`` every one."""
    exits = recorded()[1] if RECORD.exists() else {}
    lacking = [name for name in SCENARIOS if name not in exits]
    chosen = list(SCENARIOS) if names == ("all",) else list(names) or lacking
    try:
        tree = modern.tree(Path(tempfile.mkdtemp(prefix="referees-")))
    except (pytest.fail.Exception, pytest.skip.Exception) as reason:
        return str(reason)
    with ready(tree) as referees, ThreadPoolExecutor(WORKERS) as pool:
        for name, results in zip(chosen, pool.map(referees.results, chosen), strict=True):
            exits[name] = results
            print(name, json.dumps(results), flush=True)
        _write({name: client.version for name, client in referees.clients.items()}, exits)
    shutil.rmtree(tree.directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
