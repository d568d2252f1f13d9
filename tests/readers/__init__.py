"""Readers of archives, old and new: each loads an archive and reports the image that it then has.

A reader has its own directories and its own socket, and its daemon is ended by its process id. A program is the
machine's, or one of the tree of newer engines.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.readers.ctr import Containerd, containerd
from tests.readers.daemonless import Podman, SkopeoDockerArchive, SkopeoOciArchive, crane
from tests.readers.dockerd import Docker, docker
from tests.readers.engine import Engine, Loaded, Loader, Programs, installed

__all__ = [
    "LOADERS",
    "READERS",
    "Containerd",
    "Docker",
    "Engine",
    "Loaded",
    "Loader",
    "Podman",
    "Reader",
    "containerd",
    "docker",
    "installed",
]

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
