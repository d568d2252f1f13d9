"""Programs that tests start, and docker-registry among them, on the loopback.

Each has its own directories and its own socket or port, and is ended by its process id.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urljoin

import requests

from tests.images import Built
from tests.tools import missing, tool

_START = 60.0  # seconds that a daemon gets to come up
_COMMAND = 180.0  # seconds that a command gets
_PORTS = itertools.count(10_000 + os.getpid() * 997 % 20_000)  # far from those of other workers


Command = list[str | Path]


class ConsumerError(Exception):
    """A consumer does not take an archive."""


def free_port() -> int:
    """Return a port at which nobody listens, below those that the system gives to others before it is used."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("the numbers do not end")


def output(*command: str | Path, check: bool = True) -> str:
    """Run a command and return its stdout.

    Raises:
        ConsumerError: it fails.
    """
    done = subprocess.run([str(part) for part in command], capture_output=True, check=False, timeout=_COMMAND)
    if check and done.returncode:
        raise ConsumerError(f"{Path(command[0]).name} exits with {done.returncode}: {done.stderr.decode()[-2000:]}")
    return done.stdout.decode()


@contextlib.contextmanager
def daemon(command: Command, log: Path, is_up: Callable[[], bool]) -> Iterator[None]:
    """Run a daemon until the block ends."""
    with log.open("wb") as file:
        process = subprocess.Popen([str(part) for part in command], stdout=file, stderr=file, stdin=subprocess.DEVNULL)
        try:
            end = time.monotonic() + _START
            while not is_up():
                if process.poll() is not None or time.monotonic() > end:
                    missing(f"{Path(command[0]).name} does not start: {log.read_text()[-1500:]}")
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True)
class RealRegistry:
    """A running docker-registry.

    Attributes:
        host: host and port.
        storage: where it keeps what was pushed.
        base: its URL.
        verify: the CA of its certificate.
        login: gives the ``Authorization`` header for a push to a repository.
    """

    host: str
    storage: Path
    base: str
    verify: str | bool = True
    login: Callable[[str], str] | None = None

    def push(self, repository: str, tag: str, built: Built, *, with_layers: bool = True) -> str:
        """Push an image by the push API, and return its reference with the tag."""
        with self._session(repository) as session:
            for blob in built.blobs if with_layers else [built.config]:
                self._push_blob(session, repository, blob.digest, blob.content)
            self._push_document(session, repository, tag, built)
        return f"{self.host}/{repository}:{tag}"

    def push_blob(self, repository: str, digest: str, content: bytes | BinaryIO) -> None:
        """Push a blob by the push API, unless it is there."""
        with self._session(repository) as session:
            self._push_blob(session, repository, digest, content)

    def _session(self, repository: str) -> requests.Session:
        session = requests.Session()
        session.verify = self.verify
        session.trust_env = False
        if self.login is not None:
            session.headers["Authorization"] = self.login(repository)
        return session

    def _push_document(self, session: requests.Session, repository: str, tag: str, built: Built) -> None:
        for child in built.children:
            self._push_document(session, repository, child.digest, child)
        answer = session.put(
            f"{self.base}/v2/{repository}/manifests/{tag}",
            data=built.raw,
            headers={"Content-Type": built.media_type},
            timeout=30,
        )
        assert answer.status_code == 201, answer.text

    def _push_blob(self, session: requests.Session, repository: str, digest: str, content: bytes | BinaryIO) -> None:
        if session.head(f"{self.base}/v2/{repository}/blobs/{digest}", timeout=30).status_code == 200:
            return
        start = session.post(f"{self.base}/v2/{repository}/blobs/uploads/", timeout=30)
        url = urljoin(start.url, start.headers["Location"])
        done = session.put(url, params={"digest": digest}, data=content, timeout=120)
        assert done.status_code == 201, done.text


@contextlib.contextmanager
def docker_registry(
    directory: Path,
    *,
    auth: Mapping[str, Any] | None = None,
    certificate: tuple[Path, Path, Path] | None = None,
    login: Callable[[str], str] | None = None,
    address: str = "127.0.0.1",
) -> Iterator[RealRegistry]:
    """Start docker-registry.

    Args:
        directory: for all its files.
        auth: its ``auth`` section; none by default.
        certificate: certificate, key and CA, for TLS; http by default.
        login: gives the ``Authorization`` header for a push to a repository.
        address: where it listens.
    """
    program = tool("docker-registry")
    port = free_port()
    host = f"localhost:{port}" if certificate else f"{address}:{port}"
    base = f"{'https' if certificate else 'http'}://{host}"
    verify: str | bool = str(certificate[2]) if certificate else True
    http: dict[str, Any] = {"addr": f"{address}:{port}"}
    if certificate:
        http["tls"] = {"certificate": str(certificate[0]), "key": str(certificate[1])}
    storage = directory / "storage"
    settings = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(storage)}},
        "http": http,
        **({"auth": auth} if auth else {}),
    }
    config = directory / "registry.yml"
    config.write_text(json.dumps(settings))  # JSON is YAML

    def is_up() -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{base}/v2/", timeout=5, verify=verify).status_code in (200, 401)
        return False

    with daemon([program, "serve", config], directory / "registry.log", is_up):
        yield RealRegistry(host, storage, base, verify, login)
