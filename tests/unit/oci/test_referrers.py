"""The tags and types of signatures and other referrers."""

from __future__ import annotations

import pytest

from imgfetch.errors import VerificationError
from imgfetch.oci.digest import Digest
from imgfetch.oci.referrers import Attached, cosign_tags, is_of_referrers, list_tag, may_be_signed_content, tagged
from tests.images import BUNDLE, cosigned, hello, image, index, referrer

SHORT, LONG = Digest("sha256", "a" * 64), Digest("sha512", "b" * 128)
ONE = image(hello("one"))


def test_the_tags_are_those_of_the_specification() -> None:
    assert cosign_tags(SHORT) == tuple(f"sha256-{'a' * 64}{end}" for end in (".sig", ".att", ".sbom"))
    assert list_tag(SHORT) == f"sha256-{'a' * 64}"


def test_a_long_digest_has_a_short_tag_and_none_of_cosign() -> None:
    assert list_tag(LONG) == f"sha512-{'b' * 64}"
    assert cosign_tags(LONG) == ()


@pytest.mark.parametrize(("tag", "kind"), [(".sig", "signature"), (".att", "attestation"), (".sbom", "SBOM")])
def test_a_tag_names_the_digest_and_the_kind(tag: str, kind: str) -> None:
    assert tagged(f"sha256-{'a' * 64}{tag}") == (SHORT, kind)
    assert is_of_referrers(f"sha256-{'a' * 64}{tag}")


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "v1",
        "sha256-abc.sig",
        f"sha256-{'a' * 70}.sig",
        f"sha256-{'A' * 64}.sig",
        f"md5-{'a' * 64}.sig",
        f"sha256-{'a' * 64}.x",
    ],
)
def test_another_tag_names_none(tag: str) -> None:
    assert tagged(tag) is None


def test_the_tag_of_a_list_names_no_single_content() -> None:
    assert tagged(list_tag(SHORT)) is None
    assert is_of_referrers(list_tag(SHORT))
    assert not is_of_referrers("v1")


@pytest.mark.parametrize(
    ("artifact_type", "expected"),
    [
        ("", True),
        ("application/vnd.oci.empty.v1+json", True),
        ("application/vnd.oci.image.config.v1+json", True),
        (BUNDLE, True),
        ("application/vnd.in-toto+json", True),
        ("application/spdx+json", False),
        ("application/x", False),
    ],
)
def test_an_entry_of_a_vague_type_may_be_a_signature(artifact_type: str, *, expected: bool) -> None:
    assert may_be_signed_content(artifact_type) == expected


def test_images_and_indexes_are_told_from_artifacts() -> None:
    builts = [ONE, index(ONE), image(), cosigned(ONE), referrer(ONE), referrer(ONE, artifactType=None)]
    assert [Attached.from_json(built.raw, "it").is_image for built in builts] == [True, True, True, False, False, False]


def test_an_image_with_the_type_of_an_artifact_is_an_image() -> None:
    assert Attached.from_json(image(hello("x"), manifest={"artifactType": BUNDLE}).raw, "it").is_image


@pytest.mark.parametrize("subject", ["x", {}, {"digest": "sha256:1", "size": 1}, {"digest": str(SHORT), "size": -1}])
def test_a_malformed_subject_is_an_error(subject: object) -> None:
    with pytest.raises(VerificationError, match="'subject' of it"):
        Attached.from_json(referrer(ONE, subject=subject).raw, "it")
