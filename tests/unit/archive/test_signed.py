"""The images in an archive must have signatures by the signers of a policy."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from imgfetch.archive.verify import Verified, verify
from imgfetch.errors import VerificationError
from imgfetch.signatures.keys import Key
from imgfetch.signatures.policy import Policy
from imgfetch.signatures.signature import Signature
from tests.authority import new_key
from tests.forgeries import FORGED, GOOD, Case, World
from tests.images import AMD64, ARM64, Built, hello, image, index, tar
from tests.signing import Signatures, archived, by_key, manifest, payload, public_pem
from tests.unit.signatures.test_policy import identity

APP, OTHER = image(hello("app")), image(hello("other"))
KEY = new_key()
POLICY = Policy([Key("cosign.pub", public_pem(KEY))])


@pytest.fixture(scope="module")
def world() -> World:
    return World(APP.digest, OTHER.digest, KEY)


def verified(
    directory: Path, built: Built, *several: Signatures, policy: Policy = POLICY, wanted: Iterable[str] = ()
) -> Verified:
    target = directory / "y.tar"
    target.write_bytes(archived(built, *several))
    return verify(target, wanted, policy=policy)


def signed(digest: str) -> Signatures:
    return manifest(by_key(payload(digest), KEY))


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_a_signed_image_in_an_archive_has_no_finding(case: Case, world: World, tmp_path: Path) -> None:
    policy = POLICY if case.is_keyed else Policy([identity(world)])
    found = verified(tmp_path, APP, case.make(world, APP), policy=policy)
    assert (found.findings, found.signers) == ((), policy.names)


@pytest.mark.parametrize("case", FORGED, ids=lambda case: case.name)
def test_a_forged_signature_in_an_archive_is_a_finding(case: Case, world: World, tmp_path: Path) -> None:
    policy = POLICY if case.is_keyed else Policy([identity(world)])
    findings = verified(tmp_path, APP, case.make(world, APP), policy=policy).findings
    assert any(finding.startswith(f"docker.io/library/x:1 {APP.digest} ") for finding in findings)
    assert all(policy.names[0] in finding for finding in findings)


def test_without_a_policy_no_signature_is_needed(tmp_path: Path) -> None:
    target = tmp_path / "y.tar"
    target.write_bytes(archived(APP))
    assert (verify(target).findings, verify(target).signers) == ((), ())


def test_an_archive_without_signatures_has_advice(tmp_path: Path) -> None:
    (finding,) = verified(tmp_path, APP).findings
    assert finding == (
        f"docker.io/library/x:1 {APP.digest} is not signed, but a signature by key cosign.pub is required; "
        "the archive has no signature of it: save it with imgfetch save --signatures"
    )


def test_an_archive_by_docker_save_has_no_manifests_that_are_signed(tmp_path: Path) -> None:
    config, item = APP.blobs[0], {"Config": "c.json", "RepoTags": ["app:1"], "Layers": ["layer.tar"]}
    members = {"c.json": config.content, "layer.tar": gzip.decompress(APP.layers[0].content)}
    target = tmp_path / "y.tar"
    target.write_bytes(tar(members | {"manifest.json": json.dumps([item]).encode()}))
    (finding,) = verify(target, policy=POLICY).findings
    assert finding.endswith(
        "has no manifest of it, which is what publishers sign: save it with imgfetch save --signatures"
    )


def test_a_signature_of_the_index_counts_for_its_images_and_one_of_an_image_for_that_image(tmp_path: Path) -> None:
    one, two = image(hello("one"), platform=AMD64), image(hello("two"), platform=ARM64)
    both = index(one, two)
    assert verified(tmp_path, both, signed(both.digest)).findings == ()
    (finding,) = verified(tmp_path, both, _of(one)).findings
    assert f"{two.digest} is not signed" in finding


def _of(subject: Built) -> Signatures:
    """Return a signature that its subject attaches to an image of an index."""
    good = manifest(by_key(payload(subject.digest), KEY)).built
    document = json.loads(good.raw) | {"subject": {k: v for k, v in subject.entry.items() if k != "platform"}}
    return Signatures(Built(json.dumps(document).encode(), good.media_type, good.blobs))


def test_only_the_images_that_are_wanted_must_be_signed(tmp_path: Path) -> None:
    several = (signed(APP.digest), Signatures(OTHER))
    assert verified(tmp_path, APP, *several, wanted=[APP.digest]).findings == ()
    for wanted in ([], [OTHER.digest]):
        (finding,) = verified(tmp_path, APP, *several, wanted=wanted).findings
        assert finding.startswith(f"{OTHER.digest} is not signed")


def test_all_reasons_are_in_the_finding(tmp_path: Path) -> None:
    forged = [by_key(payload(APP.digest), new_key()), by_key(payload(OTHER.digest), KEY)]
    (finding,) = verified(tmp_path, APP, manifest(*forged)).findings
    assert "no valid signature by key cosign.pub: signature sha256:" in finding
    assert "it is not by key cosign.pub; signature sha256:" in finding
    assert f"it is for another image: expected {APP.digest}, got {OTHER.digest}" in finding


class Counting:
    """A signer who has signed nothing, and counts the signatures that it is asked about."""

    name = "nobody"

    def __init__(self) -> None:
        self.asked = 0

    def verify(self, _: Signature) -> None:
        self.asked += 1
        raise VerificationError("it is not by nobody")


def test_each_signature_is_verified_once_for_all_images_of_an_index(tmp_path: Path) -> None:
    signer, images = Counting(), [image(hello(str(number))) for number in range(5)]
    both = index(*images)
    several = [by_key(payload(both.digest), KEY) for _ in range(3)]
    found = verified(tmp_path, both, manifest(*several), policy=Policy([signer]))
    assert sum("no valid signature by nobody" in finding for finding in found.findings) == len(images)
    assert signer.asked == len(several)


def _named(built: Built, *more: Built) -> bytes:
    """Return an archive with a signed image, and with others under names of their own."""
    with tarfile.open(fileobj=io.BytesIO(archived(built, *map(Signatures, more), signed(built.digest)))) as file:
        members = {name: file.extractfile(name).read() for name in file.getnames()}  # type: ignore[union-attr]
    document = json.loads(members["index.json"])
    for number, entry in enumerate(document["manifests"][1:-1], 2):
        entry["annotations"] = {"io.containerd.image.name": f"docker.io/library/x:{number}"}
    return tar(members | {"index.json": json.dumps(document).encode()})


def _disguised() -> Built:
    """Return an image that containerd runs, but whose config has another type."""
    document = json.loads(OTHER.raw)
    document["config"]["mediaType"] = "application/vnd.example.config"
    return Built(json.dumps(document).encode(), OTHER.media_type, OTHER.blobs)


def test_whatever_has_a_name_must_be_signed_because_readers_may_run_it(tmp_path: Path) -> None:
    target = tmp_path / "y.tar"
    target.write_bytes(_named(APP, _disguised()))
    (finding,) = verify(target, policy=POLICY).findings
    assert finding.startswith(f"docker.io/library/x:2 {_disguised().digest} is not signed")
    assert verify(target, "docker.io/library/x:1", policy=POLICY).findings == ()


def test_an_image_that_poses_as_an_attestation_must_be_signed(tmp_path: Path) -> None:
    pose = {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    both = index(APP, OTHER, entries=[APP.entry, {**_bare(OTHER), **pose}])
    for wanted in ([], ["docker.io/library/x:1"]):
        findings = verified(tmp_path, both, _of(APP), wanted=wanted).findings
        assert [finding.partition(" is not signed")[0] for finding in findings] == [
            f"docker.io/library/x:1 {OTHER.digest}"
        ]
    assert verified(tmp_path, both, signed(both.digest)).findings == ()


def _bare(built: Built) -> dict[str, object]:
    return {key: value for key, value in built.entry.items() if key != "platform"}
