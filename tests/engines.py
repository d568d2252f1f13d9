"""The real parts, started on the loopback: docker-registry, dockerd, podman, skopeo, containerd.

Each has its own directories and its own socket or port, and is ended by its process id.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import requests

from tests.images import Built, sha256
from tests.tools import missing, root, tool

_START = 60.0  # seconds that a daemon gets to come up
_COMMAND = 180.0  # seconds that a command gets


class ConsumerError(Exception):
    """A consumer does not take an archive."""


@dataclass(frozen=True)
class Loaded:
    """An image as a consumer loaded it from an archive.

    Attributes:
        image_id: the digest of the config.
        digest: the digest of the manifest, where the consumer keeps it, else empty.
    """

    image_id: str
    digest: str = ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
def daemon(command: list[str | Path], log: Path, is_up: Callable[[], bool]) -> Iterator[None]:
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
        url = start.headers["Location"]
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


class Docker:
    """A running dockerd with the classic image store."""

    name = "docker"

    def __init__(self, client: str, host: str) -> None:
        self.command = [client, "-H", host]
        self.version = self._run("version", "--format", "{{.Server.Version}}").strip()

    @property
    def knows_zstd(self) -> bool:
        return int(self.version.partition(".")[0]) >= 23

    def _run(self, *arguments: str | Path) -> str:
        return output(*self.command, *arguments)

    def load(self, archive: Path) -> Loaded:
        """Load an archive of one image."""
        said = self._run("load", "-i", archive)
        by_id = re.search(r"Loaded image ID: (\S+)", said)
        by_name = re.search(r"Loaded image: (\S+)", said)
        name = by_id or by_name
        assert name, said
        return Loaded(self._run("image", "inspect", "--format", "{{.Id}}", name[1]).strip())

    @property
    def load_command(self) -> list[str | Path]:
        """Loads an archive from stdin."""
        return [*self.command, "load"]

    def image_named(self, name: str) -> str:
        """Return which image a name stands for."""
        return self._run("image", "inspect", "--format", "{{.Id}}", name).strip()

    def tags(self) -> set[str]:
        return set(self._run("images", "--format", "{{.Repository}}:{{.Tag}}").split())

    def exported(self, image: str) -> bytes:
        """Return a tar of the files of a container that is made of an image, and never started."""
        container = self._run("create", image).strip()
        done = subprocess.run([*self.command, "export", container], capture_output=True, check=True, timeout=_COMMAND)
        self._run("rm", container)
        return done.stdout


@contextlib.contextmanager
def docker(directory: Path, *, storage_driver: str = "vfs") -> Iterator[Docker]:
    """Start dockerd as root, on its own socket, without a network."""
    root()
    server, client = tool("dockerd"), tool("docker")
    tool("containerd")
    host = f"unix://{directory}/docker.sock"
    command: list[str | Path] = [server, "-H", host, "--data-root", directory / "data"]
    command += ["--exec-root", directory / "exec", "-p", directory / "docker.pid"]
    command += ["--bridge", "none", "--iptables=false", "--ip6tables=false", "--storage-driver", storage_driver]

    def is_up() -> bool:
        done = subprocess.run([client, "-H", host, "version"], capture_output=True, check=False, timeout=_COMMAND)
        return done.returncode == 0

    with daemon(command, directory / "dockerd.log", is_up):
        yield Docker(client, host)


class Podman:
    """podman with a storage of its own."""

    name = "podman"

    def __init__(self, directory: Path) -> None:
        self.command = [tool("podman"), "--root", directory / "root", "--runroot", directory / "run"]
        self.command += ["--cgroup-manager", "cgroupfs", "--events-backend", "none", "--storage-driver", "vfs"]

    @property
    def load_command(self) -> list[str | Path]:
        """Loads an archive from stdin."""
        return [*self.command, "load"]

    def image_named(self, name: str) -> str:
        """Return which image a name stands for."""
        return output(*self.command, "image", "inspect", "--format", "{{.Id}}", name).strip()

    def load(self, archive: Path) -> Loaded:
        """Load an archive of one image."""
        said = output(*self.command, "load", "-i", archive)
        name = re.search(r"Loaded image:\s*(\S+)", said)
        assert name, said
        inspected: list[dict[str, Any]] = json.loads(output(*self.command, "image", "inspect", name[1]))
        return Loaded(f"sha256:{inspected[0]['Id']}", inspected[0]["Digest"])


class SkopeoDockerArchive:
    """skopeo reading `manifest.json`."""

    name = "skopeo-docker-archive"
    transport = "docker-archive"

    def __init__(self, directory: Path) -> None:
        self._skopeo = tool("skopeo")
        self._directory = directory

    def load(self, archive: Path) -> Loaded:
        """Copy an archive of one image, which makes skopeo read and check every layer."""
        source = f"{self.transport}:{archive}"
        target = self._directory / sha256(str(archive).encode())[-16:]
        output(self._skopeo, "--insecure-policy", "copy", "-q", source, f"dir:{target}")
        manifest = json.loads((target / "manifest.json").read_text())
        return self._loaded(manifest["config"]["digest"], source)

    def _loaded(self, image_id: str, source: str) -> Loaded:
        del source
        return Loaded(image_id)


class SkopeoOciArchive(SkopeoDockerArchive):
    """skopeo reading `index.json`."""

    name = "skopeo-oci-archive"
    transport = "oci-archive"

    def _loaded(self, image_id: str, source: str) -> Loaded:
        return Loaded(image_id, sha256(output(self._skopeo, "inspect", "--raw", source).encode()))


class Containerd:
    """A running containerd, fed by ctr."""

    name = "containerd"

    def __init__(self, ctr: str, address: Path) -> None:
        self._command = [ctr, "-a", address]

    @property
    def load_command(self) -> list[str | Path]:
        """Imports an archive from stdin."""
        return [*self._command, "images", "import", "-"]

    def image_named(self, name: str) -> str:
        """Return which image a name stands for."""
        return self.images()[name]

    def load(self, archive: Path) -> Loaded:
        """Import and unpack an archive of one image."""
        before = self.images()
        # A loose platform would take any image; the plain command is what people type.
        self.run("images", "import", archive)
        new = {name: digest for name, digest in self.images().items() if before.get(name) != digest}
        assert len(new) == 1, new
        digest = next(iter(new.values()))
        manifest = json.loads(self.run("content", "get", digest))
        if "manifests" in manifest:
            manifest = json.loads(self.run("content", "get", manifest["manifests"][0]["digest"]))
        return Loaded(manifest["config"]["digest"], digest)

    def run(self, *arguments: str | Path) -> str:
        return output(*self._command, *arguments)

    def images(self) -> dict[str, str]:
        """Return manifest digests by name."""
        lines = self.run("images", "ls").splitlines()[1:]
        return {fields[0]: fields[2] for fields in (line.split() for line in lines)}


@contextlib.contextmanager
def containerd(directory: Path) -> Iterator[Containerd]:
    """Start containerd as root, with its own state."""
    root()
    server, ctr = tool("containerd"), tool("ctr")
    address = directory / "containerd.sock"
    config = directory / "config.toml"
    config.write_text(
        f'version = 2\nroot = "{directory}/root"\nstate = "{directory}/state"\n'
        f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{address}"\n'
    )

    def is_up() -> bool:
        done = subprocess.run([ctr, "-a", address, "version"], capture_output=True, check=False, timeout=_COMMAND)
        return done.returncode == 0

    with daemon([server, "-c", config], directory / "containerd.log", is_up):
        yield Containerd(ctr, address)
