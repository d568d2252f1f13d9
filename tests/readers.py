"""Readers of archives, old and new: each loads an archive and reports the image that it then has.

A reader has its own directories and its own socket, and its daemon is ended by its process id. A program is the
machine's, or one of the tree of newer engines.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tests.engines import Command, daemon, docker_registry, output
from tests.images import sha256
from tests.tools import root, tool

Programs = Callable[[str], Command]
"""Returns the beginning of a command that runs a program."""

_TIMEOUT = 180.0


@dataclass(frozen=True)
class Loaded:
    """An image as a reader loaded it from an archive.

    Attributes:
        image_id: the digest of the config.
        digest: the digest of the manifest or index, where the reader keeps it, else empty.
        names: the names that it has in the reader, where the reader keeps any.
    """

    image_id: str
    digest: str = ""
    names: frozenset[str] = frozenset()


class Engine(Protocol):
    """A reader that is ready to read."""

    version: str

    def load(self, archive: Path) -> Loaded:
        """Load an archive of one image.

        Raises:
            ConsumerError: the reader refuses it.
        """
        ...

    def forget(self) -> None:
        """Remove all images."""


class Loader(Engine, Protocol):
    """A reader that keeps images under names."""

    @property
    def load_command(self) -> Command:
        """Loads an archive from stdin."""
        ...

    def read(self, archive: Path) -> str:
        """Load an archive of any number of images, and return the reader's output."""
        ...

    def image_named(self, name: str) -> str:
        """Return which image a name stands for: the digest of its config, or else of its manifest or index."""
        ...


def installed(name: str) -> Command:
    return [tool(name)]


def version_in(text: str) -> str:
    """Return the first version in a text."""
    found = re.search(r"\d+\.\d+(\.\d+)*", text)
    return found[0] if found else ""


def _config_digest(content: Callable[[str], str], digest: str) -> str:
    """Return the digest of an image's config, which may be in an index."""
    document = json.loads(content(digest))
    if "config" in document:
        return str(document["config"]["digest"])
    children = document["manifests"]
    amd64 = [child for child in children if child.get("platform", {}).get("architecture") == "amd64"]
    return _config_digest(content, (amd64 or children)[0]["digest"])


class Docker:
    """A running dockerd with the classic image store."""

    def __init__(self, client: Command, host: str) -> None:
        self.command = [*client, "-H", host]
        self.version = self.run("version", "--format", "{{.Server.Version}}").strip()

    @property
    def knows_zstd(self) -> bool:
        return int(self.version.partition(".")[0]) >= 23

    def run(self, *arguments: str | Path) -> str:
        return output(*self.command, *arguments)

    def load(self, archive: Path) -> Loaded:
        said = self.read(archive)
        name = re.search(r"Loaded image ID: (\S+)", said) or re.search(r"Loaded image: (\S+)", said)
        assert name, said
        return self._loaded(json.loads(self.run("image", "inspect", name[1]))[0])

    def read(self, archive: Path) -> str:
        return self.run("load", "-i", archive)

    def _loaded(self, inspected: dict[str, Any]) -> Loaded:
        return Loaded(inspected["Id"], "", frozenset(inspected["RepoTags"] or ()))

    def forget(self) -> None:
        if images := dict.fromkeys(self.run("images", "-aq").split()):
            self.run("rmi", "-f", *images)

    @property
    def load_command(self) -> Command:
        return [*self.command, "load"]

    def image_named(self, name: str) -> str:
        return self.run("image", "inspect", "--format", "{{.Id}}", name).strip()

    def tags(self) -> set[str]:
        return set(self.run("images", "--format", "{{.Repository}}:{{.Tag}}").split())

    def exported(self, image: str) -> bytes:
        """Return a tar of the files of a container that is made of an image, and never started."""
        container = self.run("create", image).strip()
        command = [str(part) for part in (*self.command, "export", container)]
        done = subprocess.run(command, capture_output=True, check=True, timeout=_TIMEOUT)
        self.run("rm", container)
        return done.stdout


class DockerOnContainerd(Docker):
    """A running dockerd with the containerd image store, whose IDs are digests of manifests and indexes."""

    def __init__(self, client: Command, host: str, ctr: Command) -> None:
        super().__init__(client, host)
        self._ctr = ctr

    def _loaded(self, inspected: dict[str, Any]) -> Loaded:
        names = frozenset([*(inspected["RepoTags"] or ()), *(inspected["RepoDigests"] or ())])
        config = _config_digest(lambda digest: output(*self._ctr, "content", "get", digest), inspected["Id"])
        return Loaded(config, inspected["Id"], names)


@contextlib.contextmanager
def docker(
    directory: Path,
    programs: Programs = installed,
    *,
    storage_driver: str = "vfs",
    containerd_store: bool = False,
) -> Iterator[Docker]:
    """Start dockerd as root, on its own socket, without a network."""
    root()
    server, client, ctr = programs("dockerd"), programs("docker"), programs("ctr")
    host, execution, settings = f"unix://{directory}/docker.sock", directory / "exec", directory / "daemon.json"
    settings.write_text(json.dumps({"features": {"containerd-snapshotter": True}} if containerd_store else {}))
    command: Command = [*server, "-H", host, "--data-root", directory / "data", "--exec-root", execution]
    command += ["-p", directory / "docker.pid", "--config-file", settings, "--bridge", "none", "--iptables=false"]
    command += ["--ip6tables=false", "--storage-driver", "native" if containerd_store else storage_driver]

    with daemon(command, directory / "dockerd.log", _answers(*client, "-H", host, "version")):
        if containerd_store:
            socket = execution / "containerd/containerd.sock"
            yield DockerOnContainerd(client, host, [*ctr, "-a", socket, "-n", "moby"])
        else:
            yield Docker(client, host)


def _answers(*command: str | Path) -> Callable[[], bool]:
    def answers() -> bool:
        return subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT).returncode == 0

    return answers


class Podman:
    """podman with a storage of its own."""

    def __init__(self, directory: Path, programs: Programs = installed) -> None:
        root()
        podman = programs("podman")
        self.version = version_in(output(*podman, "--version"))
        self.command = [*podman, "--root", directory / "root", "--runroot", directory / "run"]
        self.command += ["--cgroup-manager", "cgroupfs", "--events-backend", "none", "--storage-driver", "vfs"]

    @property
    def load_command(self) -> Command:
        return [*self.command, "load"]

    def image_named(self, name: str) -> str:
        return "sha256:" + output(*self.command, "image", "inspect", "--format", "{{.Id}}", name).strip()

    def read(self, archive: Path) -> str:
        return output(*self.command, "load", "-i", archive)

    def load(self, archive: Path) -> Loaded:
        said = self.read(archive)
        name = re.search(r"Loaded image:\s*(\S+)", said)
        assert name, said
        inspected = json.loads(output(*self.command, "image", "inspect", name[1]))[0]
        names = frozenset([*inspected["RepoTags"], *inspected["RepoDigests"]])
        return Loaded(f"sha256:{inspected['Id']}", inspected["Digest"], names)

    def forget(self) -> None:
        output(*self.command, "rmi", "-a", "-f")


class SkopeoDockerArchive:
    """skopeo reading `manifest.json`."""

    transport = "docker-archive"

    def __init__(self, directory: Path, programs: Programs = installed) -> None:
        self._skopeo = programs("skopeo")
        self._directory = directory
        self.version = version_in(output(*self._skopeo, "--version"))

    def load(self, archive: Path) -> Loaded:
        """Copy an archive of one image, which makes skopeo read and check every layer."""
        source = f"{self.transport}:{archive}"
        target = self._directory / sha256(str(archive).encode())[-16:]
        output(*self._skopeo, "--insecure-policy", "copy", "-q", source, f"dir:{target}")
        manifest = json.loads((target / "manifest.json").read_text())
        return self._loaded(manifest["config"]["digest"], source)

    def _loaded(self, image_id: str, source: str) -> Loaded:
        del source
        return Loaded(image_id)

    def forget(self) -> None:
        """Keep the copies, which no later one uses."""


class SkopeoOciArchive(SkopeoDockerArchive):
    """skopeo reading `index.json`."""

    transport = "oci-archive"

    def _loaded(self, image_id: str, source: str) -> Loaded:
        return Loaded(image_id, sha256(output(*self._skopeo, "inspect", "--raw", source).encode()))


class Containerd:
    """A running containerd, fed by ctr."""

    def __init__(self, ctr: Command, address: Path, *options: str) -> None:
        self.command = [*ctr, "-a", address]
        self._options = options
        self.version = version_in(self.run("version").partition("Server:")[2])

    @property
    def load_command(self) -> Command:
        """Imports an archive from stdin."""
        return [*self.command, "images", "import", *self._options, "-"]

    def image_named(self, name: str) -> str:
        return self.images()[name]

    def load(self, archive: Path) -> Loaded:
        before = self.images()
        self.read(archive)
        new = {name: digest for name, digest in self.images().items() if before.get(name) != digest}
        (digest,) = set(new.values())
        return Loaded(_config_digest(lambda each: self.run("content", "get", each), digest), digest, frozenset(new))

    def read(self, archive: Path) -> str:
        # A loose platform would take any image; the plain command is what people type.
        return self.run("images", "import", *self._options, archive)

    def forget(self) -> None:
        if images := self.images():
            self.run("images", "rm", "--sync", *images)

    def run(self, *arguments: str | Path) -> str:
        return output(*self.command, *arguments)

    def images(self) -> dict[str, str]:
        """Return manifest digests by name."""
        lines = self.run("images", "ls").splitlines()[1:]
        return {fields[0]: fields[2] for fields in (line.split() for line in lines)}


@contextlib.contextmanager
def containerd(
    directory: Path, programs: Programs = installed, *, options: tuple[str, ...] = (), cri: bool = False
) -> Iterator[Containerd]:
    """Start containerd as root, with its own state.

    Args:
        directory: for all its files.
        programs: its programs.
        options: those of ``ctr images import``.
        cri: whether it serves Kubernetes, whose images have a namespace of their own.
    """
    root()
    server, ctr = programs("containerd"), programs("ctr")
    address = directory / "containerd.sock"
    config = directory / "config.toml"
    disabled = [] if cri else [f"io.containerd.{name}" for name in ("grpc.v1.cri", "cri.v1.images", "cri.v1.runtime")]
    config.write_text(
        f'version = 2\nroot = "{directory}/root"\nstate = "{directory}/state"\ndisabled_plugins = {disabled}\n'
        f'[grpc]\naddress = "{address}"\n[ttrpc]\naddress = "{address}.ttrpc"\n'
    )
    is_up = _answers(*ctr, "-a", address, "version")
    with daemon([*server, "-c", config], directory / "containerd.log", is_up):
        yield Containerd([*ctr, "-n", "k8s.io"] if cri else ctr, address, *options)


class Crane:
    """crane, which pushes an archive of docker's to a registry."""

    def __init__(self, host: str, programs: Programs = installed) -> None:
        self._crane = programs("crane")
        self._host = host
        # Debian's crane does not know its version.
        self.version = version_in(output(*programs("dpkg-query"), "-W", "-f", "${Version}", "crane"))

    def load(self, archive: Path) -> Loaded:
        output(*self._crane, "validate", "--tarball", archive)
        name = f"{self._host}/crane:{sha256(str(archive).encode())[-16:]}"
        output(*self._crane, "push", archive, name)
        return Loaded(sha256(output(*self._crane, "config", name).encode()))

    def forget(self) -> None:
        """Keep the images in the registry, where each has its own name."""


@contextlib.contextmanager
def crane(directory: Path, programs: Programs = installed) -> Iterator[Crane]:
    """Start a registry for crane."""
    with docker_registry(directory) as registry:
        yield Crane(registry.host, programs)


Start = Callable[[Path, Programs], contextlib.AbstractContextManager[Engine]]


@dataclass(frozen=True)
class Reader:
    """A reader in a version that the tests know.

    Attributes:
        program: how documents call it.
        version: the known version; another one may differ in everything but safety.
        start: makes it ready, with all its files in a directory.
        is_modern: whether it is in the tree of newer engines, and not on the machine.
    """

    program: str
    version: str
    start: Start
    is_modern: bool = False

    def knows(self, engine: Engine) -> bool:
        return f"{engine.version}.".startswith(f"{self.version}.")


def _started(make: Callable[[Path, Programs], Engine]) -> Start:
    return lambda directory, programs: contextlib.nullcontext(make(directory, programs))


_PODMAN, _DOCKER_ARCHIVE, _OCI_ARCHIVE = map(_started, (Podman, SkopeoDockerArchive, SkopeoOciArchive))
_INSTALLED = {
    "docker-20.10": Reader("docker", "20.10", docker),
    "podman-4.3": Reader("podman", "4.3", _PODMAN),
    "ctr-1.6": Reader("ctr", "1.6", containerd),
    "skopeo-1.9-docker-archive": Reader("skopeo docker-archive", "1.9", _DOCKER_ARCHIVE),
    "skopeo-1.9-oci-archive": Reader("skopeo oci-archive", "1.9", _OCI_ARCHIVE),
}
_MODERN = {
    "docker-28.5": Reader("docker", "28.5", docker),
    "docker-28.5-containerd-store": Reader("docker, containerd store", "28.5", partial(docker, containerd_store=True)),
    "podman-5.8": Reader("podman", "5.8", _PODMAN),
    "ctr-2.1": Reader("ctr", "2.1", containerd),
    "ctr-2.1-local": Reader("ctr --local", "2.1", partial(containerd, options=("--local",))),
    "skopeo-1.22-docker-archive": Reader("skopeo docker-archive", "1.22", _DOCKER_ARCHIVE),
    "skopeo-1.22-oci-archive": Reader("skopeo oci-archive", "1.22", _OCI_ARCHIVE),
    "crane-0.20": Reader("crane", "0.20", crane),
}
READERS: Mapping[str, Reader] = {
    name: replace(reader, is_modern=readers is _MODERN)
    for readers in (_INSTALLED, _MODERN)
    for name, reader in readers.items()
}
LOADERS = [name for name in READERS if name.startswith(("docker", "podman", "ctr"))]
"""Readers that keep images under names."""
