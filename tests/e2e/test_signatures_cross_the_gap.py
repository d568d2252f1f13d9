"""Signed images are saved, pushed to another registry, and verified there by the programs that signed them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import pytest

from tests.conftest import Run
from tests.e2e.conftest import Registries, Save
from tests.forms import PLATFORM
from tests.images import ARM64, Built, hello, image, index
from tests.signers import SIGNERS, Cosign, Notation

REGISTRIES = ["docker-registry", "with referrers"]
SINGLE = image(hello("signed alone"))
MANY = index(image(hello("signed amd64")), image(hello("signed arm64"), platform=ARM64))
BUILT: Mapping[str, Built] = {"single": SINGLE, "many": MANY}


@pytest.fixture(scope="session")
def signers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Cosign | Notation]:
    """Return all signers, whose keys stay the same."""
    return {name: make(tmp_path_factory.mktemp("signer")) for name, make in SIGNERS.items()}


@pytest.mark.parametrize("way", list(product(REGISTRIES, repeat=2)), ids=" to ".join)
def test_signatures_verify_at_the_other_registry(
    way: tuple[str, str], registries: Registries, signers: Mapping[str, Cosign | Notation], save: Save, run: Run
) -> None:
    source, target = map(registries, way)
    place = f"gap/{'-'.join(way).replace(' ', '-')}"
    references = []
    for name, built in BUILT.items():
        references.append(source.push(f"{place}/{name}", "v1", built))
        for signer in signers.values():
            signer.sign(f"{source.host}/{place}/{name}@{built.digest}")
    archive = save("y.tar", *references, "--all-platforms", "--signatures")
    pushed = run("push", str(archive), f"{target.host}/mirror")
    assert pushed.returncode == 0, pushed.stderr
    for name, built in BUILT.items():
        for signer in signers.values():
            signer.verify(f"{target.host}/mirror/{place}/{name}@{built.digest}")


def test_an_image_is_pushed_without_the_signed_index_that_lacks_its_other_images(
    registries: Registries, signers: Mapping[str, Cosign | Notation], save: Save, run: Run
) -> None:
    source = registries("docker-registry")
    reference = source.push("gap/chosen", "v1", MANY)
    for signer in signers.values():
        signer.sign(f"{source.host}/gap/chosen@{MANY.digest}")
    archive = save("y.tar", reference, "--signatures", *PLATFORM)
    target = f"{registries('with referrers').host}/chosen"
    pushed = run("push", str(archive), target)
    assert pushed.returncode == 0, pushed.stderr
    digest = run("digest", f"{target}/gap/chosen:v1").stdout.decode()
    assert MANY.children[0].digest in digest
