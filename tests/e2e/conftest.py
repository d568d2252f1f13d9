from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import engines
from tests import modern as newer


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[engines.RealRegistry]:
    with engines.docker_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[engines.Docker]:
    with engines.docker(tmp_path_factory.mktemp("docker")) as docker:
        yield docker


@pytest.fixture(scope="session")
def containerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[engines.Containerd]:
    with engines.containerd(tmp_path_factory.mktemp("containerd")) as containerd:
        yield containerd


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> engines.Podman:
    return engines.Podman(tmp_path_factory.mktemp("podman"))


@pytest.fixture(scope="session")
def skopeo_docker_archive(tmp_path_factory: pytest.TempPathFactory) -> engines.SkopeoDockerArchive:
    return engines.SkopeoDockerArchive(tmp_path_factory.mktemp("skopeo"))


@pytest.fixture(scope="session")
def skopeo_oci_archive(tmp_path_factory: pytest.TempPathFactory) -> engines.SkopeoOciArchive:
    return engines.SkopeoOciArchive(tmp_path_factory.mktemp("skopeo"))


@pytest.fixture(scope="session")
def modern(tmp_path_factory: pytest.TempPathFactory) -> newer.Tree:
    """Return the engines of Debian's next suite, which see pytest's temporary files."""
    return newer.tree(tmp_path_factory.getbasetemp())
