"""The programs that sign in other tests verify their own signatures, in registries with and without referrers."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.e2e.conftest import Registries
from tests.images import hello, image
from tests.signers import SIGNERS


@pytest.mark.parametrize("signer", SIGNERS)
@pytest.mark.parametrize("name", ["docker-registry", "with referrers"])
def test_a_signature_verifies_where_it_was_made(name: str, signer: str, registries: Registries, tmp_path: Path) -> None:
    registry, program = registries(name), SIGNERS[signer](tmp_path)
    built = image(hello(f"{name} {signer}"))
    repository = f"signers/{signer.replace(' ', '-')}"
    registry.push(repository, "v1", built)
    program.sign(f"{registry.host}/{repository}@{built.digest}")
    program.verify(f"{registry.host}/{repository}@{built.digest}")


def test_only_one_of_the_registries_has_the_referrers_api(registries: Registries) -> None:
    built = image(hello("referrers"))
    statuses = {}
    for name in ("docker-registry", "with referrers"):
        registry = registries(name)
        registry.push("signers/api", "v1", built)
        url = f"{registry.base}/v2/signers/api/referrers/{built.digest}"
        statuses[name] = requests.get(url, timeout=30).status_code
    assert statuses == {"docker-registry": 404, "with referrers": 200}
