"""Signatures by cosign 2.5, cosign 3.1 and notation cross the gap in an archive, and other tools find them there."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from imgfetch.archive.verify import Verified, verify
from tests.e2e.conftest import Registries, Save
from tests.engines import ConsumerError, RealRegistry, output
from tests.forms import PLATFORM
from tests.images import ARM64, Built, hello, image, index
from tests.modern import Tree
from tests.signers import SIGNERS, Cosign, cosign_2, cosign_3, notation

REGISTRIES = ["docker-registry", "with referrers"]
Make = Callable[[Path], Cosign]
each_registry = pytest.mark.parametrize("name", REGISTRIES)


def pushed(registry: RealRegistry, repository: str, built: Built) -> tuple[str, str]:
    """Push an image, and return its names with the tag and with the digest, for signers."""
    reference = registry.push(repository, "v1", built)
    return reference, f"{registry.host}/{repository}@{built.digest}"


def directory(path: Path) -> Path:
    path.mkdir()
    return path


def unpacked(archive: Path) -> Path:
    layout = archive.with_suffix(".layout")
    with tarfile.open(archive) as file:
        file.extractall(layout, filter="data")
    return layout


def kinds(found: Verified) -> list[str]:
    assert (found.findings, found.notes) == ((), ())
    return sorted(each.kind for each in found.referrers)


@each_registry
@pytest.mark.parametrize("signer", SIGNERS)
def test_a_signature_is_found_and_attached(
    signer: str, name: str, registries: Registries, save: Save, tmp_path: Path
) -> None:
    built = image(hello(f"carried {name} {signer}"))
    reference, pinned = pushed(registries(name), f"carried/{signer.replace(' ', '-')}", built)
    program = SIGNERS[signer](tmp_path)
    program.sign(pinned)
    expected = ["signature"]
    if isinstance(program, Cosign):
        program.attest(pinned)
        expected = ["attestation", "signature"]
    found = verify(save("y.tar", reference, "--signatures", *PLATFORM))
    assert kinds(found) == expected
    assert {str(each.subject) for each in found.referrers} == {built.digest}


EVERYTHING = ("--all-platforms",)
IN_LAYOUTS: dict[str, tuple[Make, tuple[str, ...]]] = {
    "cosign 2, image": (cosign_2, PLATFORM),
    "cosign 2, index": (cosign_2, EVERYTHING),
    "cosign 3, image": (cosign_3, PLATFORM),  # it finds no bundle of an index in a layout
}


@each_registry
@pytest.mark.parametrize("case", IN_LAYOUTS)
def test_cosign_verifies_the_unpacked_archive(
    case: str, name: str, registries: Registries, save: Save, tmp_path: Path
) -> None:
    make, options = IN_LAYOUTS[case]
    built = image(hello(f"layout {name} {case}"))
    if options == EVERYTHING:
        built = index(built, image(hello("layout arm64"), platform=ARM64))
    reference, pinned = pushed(registries(name), f"layout/{case.replace(', ', '-').replace(' ', '-')}", built)
    signer, stranger = (make(directory(tmp_path / each)) for each in ("signer", "stranger"))
    signer.sign(pinned)
    stranger.sign(pushed(registries(name), "layout/other", image(hello("other")))[1])
    layout = unpacked(save("y.tar", reference, "--signatures", *options))
    signer.verify_layout(layout)
    with pytest.raises(ConsumerError):
        stranger.verify_layout(layout)


def test_signatures_by_all_signers_are_carried_together_and_by_oras(
    registries: Registries, save: Save, tmp_path: Path, modern: Tree
) -> None:
    built = image(hello("by all"))
    registry = registries("with referrers")
    reference, pinned = pushed(registry, "carried/all", built)
    for number, make in enumerate(SIGNERS.values()):
        make(directory(tmp_path / str(number))).sign(pinned)
    archive = save("y.tar", reference, "--referrers", *PLATFORM)
    assert kinds(verify(archive)) == ["signature"] * 3
    oras = modern.path / "usr/bin/oras"
    target = f"{registry.host}/carried/copied:v1"
    source = ("--from-oci-layout-path", unpacked(archive), reference)
    output(oras, "cp", "-r", "--to-plain-http", *source, target)
    shown = output(oras, "discover", "--plain-http", "--format", "json", target)
    assert len(json.loads(shown)["referrers"]) == 2


@each_registry
def test_layouts_by_cosign_and_oras_have_their_signatures(
    name: str, registries: Registries, tmp_path: Path, modern: Tree
) -> None:
    registry, built = registries(name), image(hello(f"by others {name}"))
    _, pinned = pushed(registry, "carried/others", built)
    program = cosign_2(tmp_path)
    program.sign(pinned)
    program.attest(pinned)
    program.run("save", "--allow-http-registry", "--dir", tmp_path / "saved", pinned)
    assert kinds(verify(tmp_path / "saved")) == ["attestation", "signature"]
    newer = cosign_3(directory(tmp_path / "newer"))
    bundled, pinned = pushed(registry, "carried/bundled", image(hello(f"bundled {name}")))
    newer.sign(pinned)
    newer.run("save", "--allow-http-registry", "--dir", tmp_path / "bundled", pinned)
    assert kinds(verify(tmp_path / "bundled")) == ["signature"]
    notation(directory(tmp_path / "notation")).sign(pinned)
    copy = ("cp", "-r", "--from-plain-http", "--to-oci-layout", bundled, f"{tmp_path / 'copied'}:v1")
    output(modern.path / "usr/bin/oras", *copy)
    assert kinds(verify(tmp_path / "copied")) == ["signature", "signature"]
