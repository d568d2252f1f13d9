"""`verify` and `save` with keys and identities on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import imgfetch
from imgfetch.archive.verify import verify
from tests.authority import IDENTITY, ISSUER
from tests.forgeries import FORGED, GOOD, Case, World
from tests.images import ARM64, Built, attestation, cosign_tag, hello, image, index, referrer
from tests.integration.conftest import Command, Save
from tests.loopback import Answer, Loopback
from tests.signing import Signatures, archived, by_certificate, by_key, manifest, payload, public_pem

APP = image(hello("app"))
IDENTIFIED = ("--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER)


@pytest.fixture(scope="module")
def world() -> World:
    return World(APP.digest, image(hello("other")).digest)


@pytest.fixture
def files(world: World, tmp_path: Path) -> Path:
    """Return a directory with a key, a trusted root, and archives with and without signatures."""
    (tmp_path / "cosign.pub").write_bytes(public_pem(world.key))
    (tmp_path / "root.json").write_bytes(world.authority.trusted_root())
    keyless = by_certificate(payload(APP.digest), world.authority.leaf(), world.log)
    (tmp_path / "signed.tar").write_bytes(archived(APP, manifest(by_key(payload(APP.digest), world.key), keyless)))
    (tmp_path / "bare.tar").write_bytes(archived(APP))
    return tmp_path


def test_verify_prints_who_has_signed(files: Path, command: Command) -> None:
    keys = ("--key", files / "cosign.pub", "--trusted-root", files / "root.json", *IDENTIFIED)
    done = command("verify", files / "signed.tar", *keys)
    assert done.status == 0, done.err
    assert f"signed by key {files}/cosign.pub\n" in done.out
    assert f"signed by the identity '{IDENTITY}' (issuer '{ISSUER}')\n" in done.out
    done = command("verify", files / "signed.tar", "--json", "--key", files / "cosign.pub")
    assert json.loads(done.out)["signed_by"] == [f"key {files}/cosign.pub"]


def test_verify_refuses_an_archive_without_signatures(files: Path, command: Command) -> None:
    done = command("verify", files / "bare.tar", "--key", files / "cosign.pub")
    assert done.status == 6
    assert "is not signed, but a signature by key " in done.err
    assert "save it with imgfetch save --signatures" in done.err
    done = command("verify", files / "bare.tar", "--json", "--key", files / "cosign.pub")
    assert (done.status, json.loads(done.out)["signed_by"]) == (6, [])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--certificate-identity", "a"), "needs --certificate-oidc-issuer or"),
        (("--certificate-oidc-issuer", "a"), "needs --certificate-identity or"),
        (("--trusted-root", "ROOT"), "needs --certificate-identity or"),
        (("--certificate-identity", ""), "needs --certificate-identity or"),
        (IDENTIFIED, "needs --trusted-root"),
        ((*IDENTIFIED, "--certificate-identity-regexp", "a", "--trusted-root", "ROOT"), "not both"),
        (
            ("--certificate-identity-regexp", "", *IDENTIFIED[2:], "--trusted-root", "ROOT"),
            "needs --certificate-identity",
        ),
    ],
)
@pytest.mark.parametrize("name", ["verify", "save", "save --dry-run"])
def test_an_incomplete_identity_is_a_usage_error(
    name: str, options: tuple[str, ...], reason: str, files: Path, command: Command
) -> None:
    given = [files / "root.json" if option == "ROOT" else option for option in options]
    done = command(*name.split(), files / "signed.tar" if name == "verify" else "localhost/app:1", *given)
    assert done.status == 2
    assert reason in done.err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--key", "missing"), "--key missing: No such file or directory"),
        (("--key", "/dev/null"), "--key /dev/null: not a valid PEM public key"),
        ((*IDENTIFIED, "--trusted-root", "/dev/null"), "--trusted-root /dev/null: not a valid trusted root"),
    ],
)
def test_an_unusable_file_is_an_error(options: tuple[str, ...], reason: str, files: Path, command: Command) -> None:
    done = command("verify", files / "signed.tar", *options)
    assert done.status == 7
    assert reason in done.err


def publish(loopback: Loopback, built: Built, *several: Signatures, tag: str = "1") -> str:
    """Let a registry have an image with signatures, all of them under tags or in the list under a tag."""
    reference = loopback.add("team/app", tag, built)
    bundles = []
    for each in several:
        subject = json.loads(each.built.raw).get("subject")
        bundles += [each.built] if subject else []
        loopback.add("team/app", "" if subject else cosign_tag(built), each.built)
    if bundles:
        loopback.add("team/app", cosign_tag(built, ""), index(*bundles))
    return reference


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_a_signed_image_is_saved_with_or_without_its_signatures(
    case: Case, world: World, files: Path, loopback: Loopback, save: Save
) -> None:
    reference = publish(loopback, APP, case.make(world, APP))
    options = required(case, files)
    save(reference, *options)
    found = verify(files / "y.tar")
    assert (found.findings, found.referrers) == ((), ())
    save(reference, *options, "--signatures", to="z.tar")
    assert len(verify(files / "z.tar").referrers) == 1


@pytest.mark.parametrize("case", FORGED, ids=lambda case: case.name)
def test_an_image_with_a_forged_signature_is_not_saved(
    case: Case, world: World, files: Path, loopback: Loopback, save: Save
) -> None:
    done = save(publish(loopback, APP, case.make(world, APP)), *required(case, files), status=6)
    assert not (files / "y.tar").exists()
    assert "signature" in done.err or "not what cosign writes" in done.err
    assert not [path for path in loopback.paths if APP.layers[0].digest in path]  # nothing is downloaded in vain


def required(case: Case, files: Path) -> tuple[str | Path, ...]:
    return ("--key", files / "cosign.pub") if case.is_keyed else (*IDENTIFIED, "--trusted-root", files / "root.json")


def test_the_library_has_policies_too(files: Path, world: World, loopback: Loopback) -> None:
    reference = publish(loopback, APP, manifest(by_key(payload(APP.digest), world.key)))
    policy = imgfetch.load_policy([files / "cosign.pub"])
    imgfetch.save(reference, files / "y.tar", policy=policy, signatures=True, platform="linux/amd64")
    assert not imgfetch.verify(files / "y.tar", policy=policy).findings
    identity = imgfetch.CertificateIdentity(files / "root.json", IDENTITY, ISSUER)
    policy = imgfetch.load_policy(identity=identity)
    with pytest.raises(imgfetch.VerificationError, match="no valid signature"):
        imgfetch.save(reference, files / "z.tar", policy=policy, platform="linux/amd64")


def test_an_unsigned_image_is_not_saved_with_a_key(files: Path, loopback: Loopback, save: Save) -> None:
    done = save(publish(loopback, APP), "--key", files / "cosign.pub", status=6)
    assert "is not signed, but a signature by key " in done.err
    assert not (files / "y.tar").exists()


def test_a_signature_by_notation_is_carried_and_never_passes_for_a_verified_one(
    files: Path, world: World, loopback: Loopback, save: Save, command: Command
) -> None:
    reference, by_notation = publish(loopback, APP), referrer(APP, "application/vnd.cncf.notary.signature")
    loopback.add("team/app", "", by_notation)
    loopback.add("team/app", cosign_tag(APP, ""), index(by_notation))
    key = ("--key", files / "cosign.pub")
    reason = "it is by notation, whose signatures imgfetch carries, but does not verify; use notation verify"
    assert reason in save(reference, *key, status=6).err
    done = save(reference, "--signatures")
    assert "the archive also contains 1 signature (by notation); no signature was verified" in done.err
    done = command("verify", files / "y.tar")
    assert f"also contains 1 signature (by notation) of {reference}\n" in done.out
    assert "no signature was verified; to require one, use --key or --certificate-identity" in done.out
    assert "1 signature (by notation) of " in command("inspect", files / "y.tar").out
    done = command("verify", files / "y.tar", *key)
    assert (done.status, reason in done.err) == (6, True)
    loopback.add("team/app", cosign_tag(APP), manifest(by_key(payload(APP.digest), world.key)).built)
    done = save(reference, "--signatures", *key, "--no-cache")
    assert "1 signature, 1 signature (by notation); signatures by notation were not verified" in done.err
    assert "signatures by notation were not verified" in command("verify", files / "y.tar", *key).out


@pytest.mark.parametrize("options", [["--key"], ["--signatures"], ["--dry-run", "--key"]], ids=" ".join)
def test_a_save_warns_of_signatures_where_cosign_looks_for_them(
    options: list[str], files: Path, loopback: Loopback, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["save", publish(loopback, APP), "-o", files / "y.tar", "--platform", "linux/amd64", *options]
    words += [files / "cosign.pub"] if "--key" in options else []
    assert "COSIGN_REPOSITORY" not in command(*words).err
    monkeypatch.setenv("COSIGN_REPOSITORY", "registry.example/signatures\n")
    assert "signatures in COSIGN_REPOSITORY (registry.example/signatures" in command(*words).err
    assert "COSIGN_REPOSITORY" not in command(*words[:6]).err


def test_a_registry_that_fails_to_list_signatures_is_an_error(files: Path, loopback: Loopback, save: Save) -> None:
    reference = publish(loopback, APP)
    loopback.answers[f"/v2/team/app/manifests/{cosign_tag(APP)}"] = Answer(status=500)
    save(reference, "--key", files / "cosign.pub", status=5)


def test_the_signature_of_an_index_counts_for_the_image_that_is_chosen(
    files: Path, world: World, loopback: Loopback, save: Save
) -> None:
    both = index(image(hello("amd64")), image(hello("arm64"), platform=ARM64))
    reference = publish(loopback, both, manifest(by_key(payload(both.digest), world.key)))
    save(reference, "--key", files / "cosign.pub")
    save(reference, "--key", files / "cosign.pub", "--all-platforms")


def test_each_image_of_several_platforms_needs_a_signature(
    files: Path, world: World, loopback: Loopback, save: Save
) -> None:
    one, two = image(hello("amd64")), image(hello("arm64"), platform=ARM64)
    reference = publish(loopback, index(one, two))
    loopback.add("team/app", cosign_tag(one), manifest(by_key(payload(one.digest), world.key)).built)
    save(reference, "--key", files / "cosign.pub")
    done = save(reference, "--key", files / "cosign.pub", "--all-platforms", status=6)
    assert "linux/arm64 is not signed" in done.err


def test_an_image_that_poses_as_an_attestation_is_not_saved_without_a_signature(
    files: Path, world: World, loopback: Loopback, save: Save
) -> None:
    pose = image(hello("pose"))
    unknown = pose.entry | {"platform": {"os": "unknown", "architecture": "unknown"}}
    posing = pose.entry | {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    for entry in (posing, posing | {"platform": None}):
        both = index(APP, pose, entries=[APP.entry, unknown, entry])
        reference = publish(loopback, both)
        loopback.add("team/app", cosign_tag(APP), manifest(by_key(payload(APP.digest), world.key)).built)
        save(reference, "--key", files / "cosign.pub")
        done = save(reference, "--key", files / "cosign.pub", "--all-platforms", to="z.tar", status=6)
        assert f"{pose.digest} is not signed" in done.err
    publish(loopback, both, manifest(by_key(payload(both.digest), world.key)))
    save(reference, "--key", files / "cosign.pub", "--all-platforms", "--no-cache", to="z.tar")


def test_attestations_need_no_signature_because_no_machine_has_their_platform(
    files: Path, world: World, loopback: Loopback, save: Save, command: Command
) -> None:
    both = index(APP, attestation(APP))
    reference = publish(loopback, both)
    loopback.add("team/app", cosign_tag(APP), manifest(by_key(payload(APP.digest), world.key)).built)
    save(reference, "--key", files / "cosign.pub", "--all-platforms", "--signatures")
    done = command("verify", files / "y.tar", "--key", files / "cosign.pub")
    assert (done.status, "also contains 1 attestation" in done.out) == (0, True), done.err


def test_a_signature_of_an_index_within_the_index_counts_for_its_images_only(
    files: Path, world: World, loopback: Loopback, save: Save, command: Command
) -> None:
    inner, own = index(image(hello("arm64"), platform=ARM64)), image(hello("amd64"))
    outer = index(own, inner)
    reference, key = publish(loopback, outer), ("--key", files / "cosign.pub")
    loopback.add("team/app", cosign_tag(inner), manifest(by_key(payload(inner.digest), world.key)).built)
    save(reference, *key, "--platform", "linux/arm64")
    save(reference, *key, "--platform", "linux/amd64", status=6)
    save(reference, *key, "--all-platforms", status=6)
    loopback.add("team/app", cosign_tag(own), manifest(by_key(payload(own.digest), world.key)).built)
    save(reference, *key, "--all-platforms", "--signatures", "--no-cache")
    assert command("verify", files / "y.tar", *key).status == 0


def test_with_keep_going_the_signed_images_are_saved(files: Path, world: World, loopback: Loopback, save: Save) -> None:
    signed = publish(loopback, APP, manifest(by_key(payload(APP.digest), world.key)))
    unsigned = publish(loopback, image(hello("unsigned")), tag="2")
    save(signed, unsigned, "--key", files / "cosign.pub", "--keep-going", status=6)
    assert [image.names for image in verify(files / "y.tar").images] == [(signed,)]


def test_a_dry_run_verifies_signatures_too(files: Path, loopback: Loopback, command: Command) -> None:
    done = command(
        "save", publish(loopback, APP), "--key", files / "cosign.pub", "--dry-run", "--platform", "linux/amd64"
    )
    assert (done.status, done.out) == (6, "")


def test_in_a_bundle_of_thirty_images_each_is_verified_by_its_own_signer(
    files: Path, world: World, loopback: Loopback, save: Save, command: Command
) -> None:
    builts = [image(hello(f"image {number}")) for number in range(30)]
    keyless = by_certificate(payload(builts[1].digest), world.authority.leaf(), world.log)
    signed = {0: [manifest(by_key(payload(builts[0].digest), world.key))], 1: [manifest(keyless)]}
    names = [publish(loopback, built, *signed.get(number, []), tag=str(number)) for number, built in enumerate(builts)]
    save(*names, "--signatures")
    key, identity = ("--key", files / "cosign.pub"), (*IDENTIFIED, "--trusted-root", files / "root.json")
    assert command("verify", files / "y.tar", names[0], *key).status == 0
    assert command("verify", files / "y.tar", names[1], *identity).status == 0
    for wanted, signer in ((names[1], key), (names[0], identity), (names[2], key)):
        done = command("verify", files / "y.tar", wanted, *signer)
        assert (done.status, wanted in done.err) == (6, True)
    done = command("verify", files / "y.tar", *key)
    assert (done.status, "29 findings" in done.err) == (6, True)
