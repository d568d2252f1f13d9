"""Signatures and other referrers in archives: each is attached to its subject, whichever tool wrote it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from imgfetch.archive.image_layout import NAME, REF_NAME
from imgfetch.archive.verify import Verified, verify
from imgfetch.errors import UnsupportedError
from tests.images import Blob, Built, cosign_tag, cosigned, hello, image, index, referrer, tar

FULL = "docker.io/library/app:1"
APP, OTHER = image(hello("app")), image(hello("other"))
SIGNATURE, BUNDLE = cosigned(APP), referrer(APP)
SAVED_BY_COSIGN = "dev.cosignproject.cosign/"


def path(what: Blob | Built) -> str:
    return f"blobs/sha256/{what.digest.removeprefix('sha256:')}"


def listed(built: Built, **annotations: str) -> dict[str, Any]:
    described = {key: value for key, value in built.entry.items() if key != "platform"}
    return {**described, "annotations": annotations} if annotations else described


def named(built: Built, **annotations: str) -> dict[str, Any]:
    return listed(built, **{NAME: FULL, **annotations})


def verified(directory: Path, entries: list[dict[str, Any]], *builts: Built) -> Verified:
    """Return what is in a layout of documents and their blobs."""
    members = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    members["index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    for built in builts:
        members |= {path(built): built.raw, **{path(blob): blob.content for blob in built.blobs}}
        members |= {path(child): child.raw for child in built.children}
    target = directory / "y.tar"
    target.write_bytes(tar(members))
    return verify(target)


TAGGED: Mapping[str, dict[str, str]] = {
    "imgfetch": {"io.github.imgfetch.tag": cosign_tag(APP)},
    "regctl": {REF_NAME: cosign_tag(APP)},
    "cosign save": {"kind": f"{SAVED_BY_COSIGN}sigs"},
}


@pytest.mark.parametrize("writer", TAGGED)
def test_a_signature_without_a_subject_belongs_where_its_entry_says(writer: str, tmp_path: Path) -> None:
    entries = [named(APP, kind=f"{SAVED_BY_COSIGN}image"), listed(SIGNATURE, **TAGGED[writer])]
    found = verified(tmp_path, entries, APP, SIGNATURE)
    (signature,) = found.referrers
    assert (str(signature.subject), signature.kind, signature.tag) == (APP.digest, "signature", cosign_tag(APP))
    assert signature.raw == SIGNATURE.raw
    assert [str(blob.digest) for blob in signature.blobs] == [blob.digest for blob in SIGNATURE.blobs]
    assert signature.is_attached
    assert (found.findings, found.notes, found.others) == ((), (), ())


def test_a_referrer_belongs_to_its_subject(tmp_path: Path) -> None:
    found = verified(tmp_path, [named(APP), listed(BUNDLE)], APP, BUNDLE)
    (bundle,) = found.referrers
    assert (str(bundle.subject), bundle.kind, bundle.tag) == (APP.digest, "signature", "")
    assert (found.findings, found.notes) == ((), ())


def test_a_subject_counts_more_than_a_tag(tmp_path: Path) -> None:
    tag = {"io.github.imgfetch.tag": cosign_tag(OTHER)}
    (bundle,) = verified(tmp_path, [named(APP), listed(BUNDLE, **tag)], APP, BUNDLE).referrers
    assert (str(bundle.subject), bundle.tag) == (APP.digest, "")


def test_a_list_of_referrers_under_a_tag_is_no_image(tmp_path: Path) -> None:
    fallback = index(BUNDLE)
    entries = [named(APP), listed(fallback, **{REF_NAME: cosign_tag(APP, "")})]
    found = verified(tmp_path, entries, APP, BUNDLE, fallback)
    assert [str(each.subject) for each in found.referrers] == [APP.digest]
    assert (found.findings, found.notes) == ((), ())
    assert len(found.images) == 1


def test_a_signature_of_an_attestation_belongs_to_the_attestation(tmp_path: Path) -> None:
    attestation = cosigned(APP, "application/vnd.dsse.envelope.v1+json")
    above = cosigned(attestation)
    entries = [
        named(APP),
        listed(attestation, **{"io.github.imgfetch.tag": cosign_tag(APP, ".att")}),
        listed(above, **{"io.github.imgfetch.tag": cosign_tag(attestation)}),
    ]
    found = verified(tmp_path, entries, APP, attestation, above)
    assert [(each.kind, str(each.subject)) for each in found.referrers] == [
        ("attestation", APP.digest),
        ("signature", attestation.digest),
    ]
    assert found.notes == ()


def test_a_signature_of_something_that_is_absent_is_a_note(tmp_path: Path) -> None:
    found = verified(tmp_path, [named(OTHER), listed(BUNDLE)], OTHER, BUNDLE)
    assert found.findings == ()
    (note,) = found.notes
    assert note == f"a signature ({BUNDLE.blobs[1].media_type}) is about {APP.digest}, which is not in the archive"
    assert [each.is_attached for each in found.referrers] == [False]


def test_a_complete_referrer_that_no_index_lists_belongs_to_its_subject(tmp_path: Path) -> None:
    found = verified(tmp_path, [named(APP)], APP, BUNDLE)
    (bundle,) = found.referrers
    assert (str(bundle.subject), bundle.descriptor.media_type) == (APP.digest, BUNDLE.media_type)
    assert (found.findings, found.notes) == ((), ())


def test_an_image_that_no_index_lists_is_no_referrer(tmp_path: Path) -> None:
    subject = {key: value for key, value in APP.entry.items() if key != "platform"}
    child = image(hello("child"), manifest={"subject": subject})
    found = verified(tmp_path, [named(APP)], APP, child)
    assert found.referrers == ()
    assert found.notes[0].startswith("no image refers to blobs/")


@pytest.mark.parametrize("lacking", ["subject", "payload"])
def test_an_incomplete_referrer_that_no_index_lists_is_none(lacking: str, tmp_path: Path) -> None:
    built = referrer(OTHER) if lacking == "subject" else Built(BUNDLE.raw, BUNDLE.media_type, BUNDLE.blobs[:1])
    found = verified(tmp_path, [named(APP)], APP, built)
    assert (found.referrers, found.findings) == ((), ())
    assert found.notes[0].startswith("no image refers to blobs/")


def test_a_signature_without_any_place_is_other_content(tmp_path: Path) -> None:
    found = verified(tmp_path, [named(APP), listed(SIGNATURE)], APP, SIGNATURE)
    assert found.referrers == ()
    assert found.others == ("a signature (application/vnd.dev.cosign.simplesigning.v1+json)",)


def test_a_payload_that_is_missing_is_a_finding(tmp_path: Path) -> None:
    bare = Built(BUNDLE.raw, BUNDLE.media_type, BUNDLE.blobs[:1])
    found = verified(tmp_path, [named(APP), listed(bare)], APP, bare)
    assert [finding.partition(",")[0] for finding in found.findings] == [BUNDLE.blobs[1].digest]


def test_a_malformed_subject_is_a_finding(tmp_path: Path) -> None:
    odd = referrer(APP, subject={"digest": "sha256:1", "size": 3})
    (finding, *_) = verified(tmp_path, [named(APP), listed(odd)], APP, odd).findings
    assert finding.startswith(f"the digest of 'subject' of the manifest {odd.digest} is not a valid digest")


def test_signatures_alone_are_no_archive_of_images(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"has no container image, only a signature \(application/vnd.dev.sig"):
        verified(tmp_path, [listed(BUNDLE)], BUNDLE)


KINDS = [
    (cosigned(APP), "signature"),
    (cosigned(APP, "application/vnd.dsse.envelope.v1+json"), "attestation"),
    (cosigned(APP, "text/spdx"), "SBOM"),
    (referrer(APP), "signature"),
    (
        referrer(APP, annotations={"dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1"}),
        "signature",
    ),
    (referrer(APP, annotations={"dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1"}), "attestation"),
    (referrer(APP, "application/vnd.cncf.notary.signature"), "signature"),
    (referrer(APP, "application/vnd.cyclonedx+json"), "SBOM"),
    (referrer(APP, "application/x"), "artifact"),
]


@pytest.mark.parametrize(("built", "kind"), KINDS)
def test_a_referrer_has_a_kind(built: Built, kind: str, tmp_path: Path) -> None:
    tag = {} if "subject" in json.loads(built.raw) else {"io.github.imgfetch.tag": cosign_tag(APP)}
    (found,) = verified(tmp_path, [named(APP), listed(built, **tag)], APP, built).referrers
    assert found.kind == kind
