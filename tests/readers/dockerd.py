"""docker, with either of its image stores."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.engines import Command, daemon, output
from tests.readers.engine import TIMEOUT, Loaded, Programs, answers_to, config_digest, installed
from tests.tools import root


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
        name = re.search(r"Loaded image: (\S+)", said) or re.search(r"Loaded image ID: (\S+)", said)
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
        done = subprocess.run(command, capture_output=True, check=True, timeout=TIMEOUT)
        self.run("rm", container)
        return done.stdout


class DockerOnContainerd(Docker):
    """A running dockerd with the containerd image store, whose IDs are digests of manifests and indexes."""

    def __init__(self, client: Command, host: str, ctr: Command) -> None:
        super().__init__(client, host)
        self._ctr = ctr

    def _loaded(self, inspected: dict[str, Any]) -> Loaded:
        names = frozenset([*(inspected["RepoTags"] or ()), *(inspected["RepoDigests"] or ())])
        return Loaded(self.config_of(inspected["Id"]), inspected["Id"], names)

    def config_of(self, image_id: str) -> str:
        """Return the digest of an image's config."""
        return config_digest(lambda digest: output(*self._ctr, "content", "get", digest), image_id)


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

    with daemon(command, directory / "dockerd.log", answers_to(*client, "-H", host, "version")):
        if containerd_store:
            socket = execution / "containerd/containerd.sock"
            yield DockerOnContainerd(client, host, [*ctr, "-a", socket, "-n", "moby"])
        else:
            yield Docker(client, host)
