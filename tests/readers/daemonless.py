"""Readers without a daemon: podman, skopeo and crane."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from tests.engines import Command, ConsumerError, docker_registry, output
from tests.images import sha256
from tests.readers.engine import Loaded, Programs, installed, version_in
from tests.tools import root


class Podman:
    """podman with a storage of its own, and with locks of its own.

    By default, all podmans of a machine have 2,048 locks between them in /dev/shm. A container takes one until it is
    removed by podman, and keeps it when its storage is deleted.
    """

    def __init__(self, directory: Path, programs: Programs = installed) -> None:
        root()
        podman = programs("podman")
        self.version = version_in(output(*podman, "--version"))
        self.locks = directory / "t" / "locks"
        config = directory / "containers.conf"
        config.write_text('[engine]\nlock_type = "file"\n')
        self.command = ["env", f"CONTAINERS_CONF={config}", *podman]
        self.command += ["--root", directory / "root", "--runroot", directory / "r", "--tmpdir", self.locks.parent]
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

    def image_ids(self) -> frozenset[str]:
        return frozenset(output(*self.command, "images", "-a", "-q", "--no-trunc").split())


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

    def config(self, image: str) -> bytes:
        """Return the config of an image, named as FILE or FILE:NAME."""
        return output(*self._skopeo, "inspect", "--config", "--raw", f"{self.transport}:{image}").encode()

    def _loaded(self, image_id: str, source: str) -> Loaded:
        del source
        return Loaded(image_id)

    def config_named(self, archive: Path, name: str) -> str:
        """Return the digest of the config of a named image in an archive, or nothing if skopeo finds none."""
        try:
            raw = output(*self._skopeo, "inspect", "--config", "--raw", f"{self.transport}:{archive}:{name}")
        except ConsumerError:
            return ""
        return sha256(raw.encode())

    def forget(self) -> None:
        """Keep the copies, which no later one uses."""


class SkopeoOciArchive(SkopeoDockerArchive):
    """skopeo reading `index.json`."""

    transport = "oci-archive"

    def _loaded(self, image_id: str, source: str) -> Loaded:
        return Loaded(image_id, sha256(self.raw(source.removeprefix(f"{self.transport}:"))))

    def raw(self, image: str) -> bytes:
        """Return the manifest of an image, named as FILE or FILE:NAME."""
        return output(*self._skopeo, "inspect", "--raw", f"{self.transport}:{image}").encode()


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
