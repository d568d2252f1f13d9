"""A kubelet finds an image that ctr has imported, so that a pod starts without a pull."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import cri, readers
from tests import modern as newer
from tests.e2e.conftest import Save
from tests.engines import ConsumerError, RealRegistry
from tests.forms import PLATFORM
from tests.images import ARM64, Built, hello, image, index
from tests.readers import Containerd


@dataclass(frozen=True)
class Kubernetes:
    """A containerd as on a node of Kubernetes."""

    containerd: Containerd
    socket: Path

    def image_status(self, name: str) -> str | None:
        """Return the ID of the image that a pod would run for a name, or nothing if it would be pulled."""
        return cri.image_status(self.socket, name)

    def found(self, name: str) -> str:
        """Return the ID of the image for a name, of which the node learns a moment after the import."""
        end = time.monotonic() + 60
        while (found := self.image_status(name)) is None:
            assert time.monotonic() < end, name
            time.sleep(0.05)
        return found


@pytest.fixture(scope="module")
def kubernetes(modern: newer.Tree, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    directory = tmp_path_factory.mktemp("cri")
    with readers.containerd(directory, modern.program, cri=True) as containerd:
        yield Kubernetes(containerd, directory / "containerd.sock")


Import = Callable[..., Built]


@pytest.fixture
def imported(registry: RealRegistry, save: Save, kubernetes: Kubernetes) -> Import:
    """Return a function that imports an image saved by references, and returns its index once the node has it."""

    def imported(repository: str, *forms: str) -> Built:
        built = index(image(hello(repository)), image(hello(f"{repository} arm64"), platform=ARM64))
        registry.push(repository, "v1", built)
        archive = save("y.tar", *(reference(registry, repository, form, built) for form in forms), *PLATFORM)
        kubernetes.containerd.run("images", "import", "--all-platforms", archive)  # as kind and k3s do
        kubernetes.found(built.children[0].config.digest)
        return built

    return imported


def reference(registry: RealRegistry, repository: str, form: str, built: Built) -> str:
    return f"{registry.host}/{repository}" + form.format(index=built.digest, manifest=built.children[0].digest)


CASES = [(":v1", ":v1"), ("@{manifest}", "@{manifest}"), (":v1@{index}", ":v1")]
PINNED = [("@{index}", "@{index}"), (":v1@{index}", "@{index}"), (":v1@{index}", ":v1@{index}"), (":v1", "@{index}")]
FOUND_ONLY_BY_ITS_NAME = "a lone image has one name, and that has no digest of an index"


@pytest.mark.parametrize(
    ("saved", "asked"),
    [
        *CASES,
        *(pytest.param(*case, marks=pytest.mark.xfail(reason=FOUND_ONLY_BY_ITS_NAME, strict=True)) for case in PINNED),
    ],
)
def test_a_node_finds_an_image(
    saved: str, asked: str, imported: Import, registry: RealRegistry, kubernetes: Kubernetes
) -> None:
    repository = "kubernetes/" + re.sub(r"\W+", "-", f"{saved} {asked}".strip("@:{}"))
    built = imported(repository, saved)
    # The node learns of an image's name after its ID.
    kubernetes.found(reference(registry, repository, ":v1" if saved.startswith(":v1") else "@{manifest}", built))
    found = kubernetes.image_status(reference(registry, repository, asked, built))
    assert found == built.children[0].config.digest


@pytest.mark.parametrize("asked", [":v1", "@{index}", ":v1@{index}"])
def test_a_node_finds_an_image_by_its_digest_if_it_was_saved_by_both_names(
    asked: str, imported: Import, registry: RealRegistry, kubernetes: Kubernetes
) -> None:
    repository = "kubernetes/both-" + re.sub(r"\W+", "-", asked.strip("@:{}"))
    built = imported(repository, ":v1", "@{index}")
    found = kubernetes.found(reference(registry, repository, asked, built))
    assert found == built.children[0].config.digest


def test_a_node_finds_an_image_by_the_digest_of_its_kept_index_unless_all_platforms_are_imported(
    registry: RealRegistry, save: Save, kubernetes: Kubernetes
) -> None:
    built = index(image(hello("kubernetes/kept")), image(hello("kubernetes/kept arm64"), platform=ARM64))
    name = registry.push("kubernetes/kept", "v1", built).removesuffix(":v1") + f"@{built.digest}"
    archive = save("kept.tar", name, "--keep-index", *PLATFORM)
    with pytest.raises(ConsumerError, match="not found"):
        kubernetes.containerd.run("images", "import", "--all-platforms", archive)
    kubernetes.containerd.read(archive)
    assert kubernetes.found(name) == built.children[0].config.digest


def test_a_node_finds_a_pinned_image_of_a_bundle(registry: RealRegistry, save: Save, kubernetes: Kubernetes) -> None:
    other = registry.push("kubernetes/other", "v1", image(hello("kubernetes/other")))
    built = index(image(hello("kubernetes/bundled")), image(hello("kubernetes/bundled arm64"), platform=ARM64))
    name = f"{registry.push('kubernetes/bundled', 'v1', built)}@{built.digest}"
    kubernetes.containerd.read(save("bundle.tar", name, other, *PLATFORM))
    assert kubernetes.found(name) == built.children[0].config.digest


def test_a_node_does_not_find_an_image_that_was_not_imported(registry: RealRegistry, kubernetes: Kubernetes) -> None:
    assert kubernetes.image_status(f"{registry.host}/kubernetes/nothing:v1") is None
