"""Cosign is the judge of signatures: imgfetch accepts what it accepts, and refuses what it refuses, and little more."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.authority import IDENTITY, ISSUER, Authority
from tests.conftest import Run
from tests.e2e.conftest import Registries
from tests.engines import ConsumerError, RealRegistry
from tests.forgeries import FORGED, GOOD, Case, World
from tests.images import ARM64, cosign_tag, hello, image, index
from tests.signers import SIGNERS, Cosign, cosign_2, cosign_3
from tests.signing import BUNDLE, Signatures, bundled, manifest, public_pem
from tests.timestamps import TimestampAuthority, timed_bundle
from tests.tools import root, tool
from tests.unit.signatures.test_timestamps import FORGED as FORGED_TIMES
from tests.unit.signatures.test_timestamps import Forge

APP, OTHER = image(hello("app")), image(hello("other"))
PLATFORM = ("--platform", "linux/amd64")
IDENTIFIED = ("--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER)
CASES = (*GOOD, *FORGED)
OFFLINE = ("unshare", "-n")
"""The beginning of a command without any network."""


@pytest.fixture(scope="module", autouse=True)
def _may_unshare() -> None:
    """Need the right to run a command without any network."""
    root()
    tool("unshare")


class Setting(NamedTuple):
    """The signers, and a directory with the key and the trusted root."""

    world: World
    files: Path


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    world, directory = World(APP.digest, OTHER.digest), tmp_path_factory.mktemp("keys")
    authority = world.authority
    (directory / "cosign.pub").write_bytes(public_pem(world.key))
    (directory / "root.json").write_bytes(authority.trusted_root())
    (directory / "log.pub").write_bytes(public_pem(authority.log.key))
    (directory / "certificate-log.pub").write_bytes(public_pem(authority.certificate_log.key))
    authorities = (authority.root, authority.intermediate)
    (directory / "authorities.pem").write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in authorities))
    return Setting(world, directory)


@pytest.mark.parametrize("name", ["docker-registry", "with referrers"])
@pytest.mark.parametrize("signer", ["cosign 2", "cosign 3"])
def test_an_index_signed_by_cosign_is_saved_verified_pushed_and_verified_there(
    signer: str, name: str, registries: Registries, run: Run, tmp_path: Path
) -> None:
    registry, cosign, target = registries(name), SIGNERS[signer](tmp_path), tmp_path / "y.tar"
    both = index(image(hello(f"{signer} {name}")), image(hello("arm64"), platform=ARM64))
    repository = f"signed/{signer.replace(' ', '-')}"
    reference = registry.push(repository, "v1", both)
    cosign.sign(f"{registry.host}/{repository}@{both.digest}")
    key = ("--key", str(cosign.public_key))
    done = run("save", reference, "--all-platforms", "--signatures", *key, "-o", str(target))
    assert done.returncode == 0, done.stderr.decode()
    done = run("verify", str(target), *key, start=OFFLINE)
    assert done.returncode == 0, done.stderr.decode()
    assert f"signed by key {cosign.public_key}".encode() in done.stdout
    for other in map(registries, ("docker-registry", "with referrers")):
        done = run("push", str(target), f"{other.host}/pushed", "--force")
        assert done.returncode == 0, done.stderr.decode()
        cosign.verify(f"{other.host}/pushed/{repository}@{both.digest}")


@pytest.mark.parametrize("signer", ["cosign 2", "cosign 3"])
def test_a_save_for_one_platform_is_verified_by_the_signature_of_the_index(
    signer: str, registries: Registries, run: Run, tmp_path: Path
) -> None:
    registry, cosign, target = registries("docker-registry"), SIGNERS[signer](tmp_path), tmp_path / "y.tar"
    both = index(image(hello(f"one of {signer}")), image(hello("arm64"), platform=ARM64))
    reference = registry.push("signed/one", signer[-1], both)
    cosign.sign(f"{registry.host}/signed/one@{both.digest}")
    key = ("--key", str(cosign.public_key))
    done = run("save", reference, *PLATFORM, "--signatures", *key, "-o", str(target))
    assert done.returncode == 0, done.stderr.decode()
    assert run("verify", str(target), *key, start=OFFLINE).returncode == 0
    (tmp_path / "other").mkdir()
    other = ("--key", SIGNERS[signer](tmp_path / "other").public_key)
    done = run("verify", str(target), *map(str, other), start=OFFLINE)
    assert done.returncode == 6
    assert b"it is not by key" in done.stderr
    assert run("save", reference, *PLATFORM, *map(str, other), "-o", str(tmp_path / "z.tar")).returncode == 6


def test_signatures_by_certificates_are_saved_verified_pushed_and_verified_there(
    setting: Setting, registries: Registries, run: Run, tmp_path: Path
) -> None:
    for number, case in enumerate(case for case in GOOD if not case.is_keyed):
        reference = pushed(registries("with referrers"), case, setting.world)
        target, options = tmp_path / f"{number}.tar", (*IDENTIFIED, "--trusted-root", str(setting.files / "root.json"))
        done = run("save", f"{reference}:v1", *PLATFORM, "--signatures", *options, "-o", str(target))
        assert done.returncode == 0, done.stderr.decode()
        done = run("verify", str(target), *options, start=OFFLINE)
        assert done.returncode == 0, done.stderr.decode()
        other = registries("docker-registry")
        done = run("push", str(target), f"{other.host}/pushed")
        assert done.returncode == 0, done.stderr.decode()
        there = f"{other.host}/pushed/{reference.partition('/')[2]}@{APP.digest}"
        assert not judged(cosign_3(tmp_path), there, case, setting.files)


def test_a_signature_by_cosign_is_verified_in_what_cosign_saves(
    registries: Registries, run: Run, tmp_path: Path
) -> None:
    registry, cosign, layout = registries("docker-registry"), cosign_2(tmp_path), tmp_path / "layout"
    registry.push("signatures/cosign-2", "v1", APP)
    reference = f"{registry.host}/signatures/cosign-2@{APP.digest}"
    cosign.sign(reference)
    cosign.run("save", "--allow-http-registry", "--dir", layout, reference)
    done = run("verify", str(layout), "--key", str(cosign.public_key), start=OFFLINE)
    assert done.returncode == 0, done.stderr.decode()


def is_bundle(signatures: Signatures) -> bool:
    return signatures.built.blobs[-1].media_type == BUNDLE


def pushed(registry: RealRegistry, case: Case, world: World) -> str:
    """Push an image with signatures, and return its name."""
    repository = f"signatures/{''.join(c if c.isalnum() else '-' for c in case.name)}"
    signatures = case.make(world, APP)
    registry.push(repository, "v1", APP)
    registry.push(repository, signatures.built.digest if is_bundle(signatures) else cosign_tag(APP), signatures.built)
    return f"{registry.host}/{repository}"


def judged(cosign: Cosign, reference: str, case: Case, files: Path) -> str:
    """Return the reason for which cosign refuses an image, or nothing."""
    options: tuple[str | Path, ...] = ("--key", files / "cosign.pub", "--insecure-ignore-tlog")
    trusted = {}
    if not case.is_keyed:
        root = ("--trusted-root", files / "root.json") if cosign.is_new else ()
        options = (*root, "--offline", *IDENTIFIED)
    if not case.is_keyed and not cosign.is_new:  # it reads a trusted root for bundles only
        trusted = {
            "SIGSTORE_ROOT_FILE": files / "authorities.pem",
            "SIGSTORE_REKOR_PUBLIC_KEY": files / "log.pub",
            "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE": files / "certificate-log.pub",
        }
    try:
        cosign.run("verify", "--allow-http-registry", *options, reference, **trusted)
    except ConsumerError as error:
        return str(error)
    return ""


def assert_agrees(case: Case, reason: str) -> None:
    if case.reason and not case.accepted_by_cosign:
        assert "no matching" in reason or "no signatures found" in reason  # and not that something else failed
        assert "dial tcp" not in reason
    else:
        assert not reason


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_cosign_3_agrees_with_a_save(
    case: Case, setting: Setting, registries: Registries, run: Run, tmp_path: Path
) -> None:
    reference = pushed(registries("with referrers"), case, setting.world)
    assert_agrees(case, judged(cosign_3(tmp_path), f"{reference}@{APP.digest}", case, setting.files))
    key, trusted = ("--key", setting.files / "cosign.pub"), ("--trusted-root", setting.files / "root.json")
    options = key if case.is_keyed else (*IDENTIFIED, *trusted)
    done = run("save", f"{reference}:v1", *PLATFORM, *map(str, options), "-o", str(tmp_path / "y.tar"))
    assert (done.returncode, (tmp_path / "y.tar").exists()) == ((6, False) if case.reason else (0, True)), done.stderr


@pytest.mark.parametrize("case", [case for case in CASES if "bundle" not in case.name], ids=lambda case: case.name)
def test_cosign_2_agrees_about_the_older_form(
    case: Case, setting: Setting, registries: Registries, tmp_path: Path
) -> None:
    reference = pushed(registries("docker-registry"), case, setting.world)
    assert_agrees(case, judged(cosign_2(tmp_path), f"{reference}@{APP.digest}", case, setting.files))


@pytest.mark.parametrize("forge", [None, *FORGED_TIMES], ids=lambda forge: forge.__name__ if forge else "good")
def test_cosign_agrees_about_the_time_of_a_timestamp_authority(
    forge: Forge | None, registries: Registries, run: Run, tmp_path: Path
) -> None:
    authority, registry = Authority(), registries("with referrers")
    for name in ("own", "other"):
        (tmp_path / name).mkdir()
    own, other = (TimestampAuthority(tmp_path / name) for name in ("own", "other"))
    app = image(hello(forge.__name__ if forge else "good"))
    bundle = forge(authority, own, other, app.digest) if forge else timed_bundle(authority, own, app.digest)
    reference = registry.push("signatures/times", "v1", app)
    signed = manifest(bundled(bundle), subject=app)
    registry.push("signatures/times", signed.built.digest, signed.built)
    trusted = tmp_path / "root.json"
    trusted.write_bytes(authority.trusted_root(timestampAuthorities=[own.description]))
    case = Case("", lambda *_: signed, is_keyed=False, reason="refused" if forge else "")
    assert_agrees(case, judged(cosign_3(tmp_path), f"{registry.host}/signatures/times@{app.digest}", case, tmp_path))
    options = (*PLATFORM, *IDENTIFIED, "--trusted-root", str(trusted), "-o", str(tmp_path / "y.tar"))
    assert run("save", reference, *options).returncode == (6 if forge else 0)
