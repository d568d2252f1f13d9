"""Signatures and other referrers: found at a registry, carried in the archive, and refused where they are wrong."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import imgfetch
from imgfetch.archive.verify import Verified, verify
from imgfetch.pull import referrers
from imgfetch.registry.referrers import MAX_LISTED
from tests.images import ARM64, EMPTY, Built, attestation, cosign_tag, cosigned, hello, image, index, referrer
from tests.integration.conftest import Command, Done, Save
from tests.loopback import Answer, Loopback

NAME = "team/app"
ONE = image(hello("one"))
AMD64_IMAGE, ARM64_IMAGE = image(hello("amd64")), image(hello("arm64"), platform=ARM64)
MANY = index(AMD64_IMAGE, ARM64_IMAGE, attestation(AMD64_IMAGE))
OLD_ARTIFACT = Built(
    b'{"mediaType": "application/vnd.oci.artifact.manifest.v1+json", "artifactType": "application/x", "blobs": []}', ""
)
NOTARY, SPDX = "application/vnd.cncf.notary.signature", "application/spdx+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class Signing:
    """A registry with an image, about which a test adds content.

    Attributes:
        has_api: whether it lists referrers by the API.
    """

    registry: Loopback
    save: Save
    path: Path
    has_api: bool = True

    def add(self, built: Built) -> str:
        reference = self.registry.add(NAME, "1", built)
        for subject in (built, *built.children):
            self.list(subject)
        return reference

    def tag(self, subject: Built, built: Built, suffix: str = ".sig") -> None:
        """Let content have one of cosign's tags."""
        self.registry.add(NAME, cosign_tag(subject, suffix), built)
        self.list(built)

    def list(self, subject: Built, *builts: Built, entries: Iterable[dict[str, Any]] | None = None) -> None:
        """Let content be the referrers of something."""
        for built in builts:
            self.registry.add(NAME, "", built)
            if self.api(built) not in self.registry.answers:
                self.list(built)
        listed = index(*builts, entries=list(entries) if entries is not None else None)
        if self.has_api:
            self.registry.answers[self.api(subject)] = Answer(listed.raw, headers={"Content-Type": OCI_INDEX})
        elif builts or entries is not None:
            self.registry.add(NAME, cosign_tag(subject, ""), Built(listed.raw, listed.media_type))

    def api(self, subject: Built) -> str:
        return f"/v2/{NAME}/referrers/{subject.digest}"

    def saved(self, reference: str, *options: str) -> Verified:
        """Save an image, and return what `verify` finds in the archive."""
        self.save(reference, "--no-cache", *(options or ("--signatures",)))
        found = verify(self.path / "y.tar")
        assert found.findings == ()
        return found

    def refused(self, reference: str, *options: str, status: int = 6) -> Done:
        done = self.save(reference, "--no-cache", *(options or ("--signatures",)), status=status)
        assert not (self.path / "y.tar").exists()
        return done


@pytest.fixture
def signing(loopback: Loopback, save: Save, tmp_path: Path) -> Signing:
    return Signing(loopback, save, tmp_path)


@pytest.fixture(params=[True, False], ids=["with the API", "without the API"])
def either(request: pytest.FixtureRequest, loopback: Loopback, save: Save, tmp_path: Path) -> Signing:
    return Signing(loopback, save, tmp_path, has_api=request.param)


def digests(found: Verified) -> list[str]:
    return [str(each.descriptor.digest) for each in found.referrers]


def test_signatures_under_tags_and_in_lists_are_carried(either: Signing) -> None:
    reference = either.add(ONE)
    signature, statement = cosigned(ONE), cosigned(ONE, "application/vnd.dsse.envelope.v1+json")
    bundle, notary = referrer(ONE), referrer(ONE, NOTARY)
    either.tag(ONE, signature)
    either.tag(ONE, statement, ".att")
    either.list(ONE, bundle, notary)
    found = either.saved(reference)
    assert digests(found) == [signature.digest, statement.digest, *sorted([bundle.digest, notary.digest])]
    assert {str(each.subject) for each in found.referrers} == {ONE.digest}
    assert (found.notes, found.others) == ((), ())


def test_other_referrers_are_carried_on_request_only(either: Signing) -> None:
    reference = either.add(ONE)
    sbom, other = referrer(ONE, SPDX), referrer(ONE, "application/x")
    either.list(ONE, sbom, other)
    assert digests(either.saved(reference)) == []
    assert digests(either.saved(reference, "--referrers")) == sorted([sbom.digest, other.digest])


def test_an_sbom_that_is_not_wanted_is_not_requested(signing: Signing) -> None:
    reference, sbom = signing.add(ONE), referrer(ONE, SPDX)
    signing.list(ONE, sbom, entries=[{**sbom.entry, "artifactType": SPDX}])
    signing.saved(reference)
    assert f"/v2/{NAME}/manifests/{sbom.digest}" not in signing.registry.paths


def test_the_type_in_a_list_does_not_hide_a_signature(signing: Signing) -> None:
    reference, bundle = signing.add(ONE), referrer(ONE)
    signing.list(ONE, bundle, entries=[{**bundle.entry, "artifactType": "application/vnd.oci.empty.v1+json"}])
    assert digests(signing.saved(reference)) == [bundle.digest]


def test_what_is_about_a_referrer_is_carried_too(either: Signing) -> None:
    reference = either.add(ONE)
    statement = cosigned(ONE, "application/vnd.dsse.envelope.v1+json")
    above, bundle = cosigned(statement), referrer(statement)
    either.tag(ONE, statement, ".att")
    either.tag(statement, above)
    either.list(statement, bundle)
    found = either.saved(reference)
    assert digests(found) == [statement.digest, above.digest, bundle.digest]
    assert [str(each.subject) for each in found.referrers] == [ONE.digest, statement.digest, statement.digest]


def test_nothing_more_is_requested_without_the_option(signing: Signing) -> None:
    reference = signing.add(ONE)
    signing.tag(ONE, cosigned(ONE))
    signing.save(reference, "--no-cache")
    assert not [path for path in signing.registry.paths if "sha256-" in path or "/referrers/" in path]


def test_the_search_sends_four_or_five_requests_for_each_manifest(either: Signing) -> None:
    reference = either.add(MANY)
    either.save(reference, "--no-cache")
    before = len(either.registry.requests)
    either.registry.requests.clear()
    either.saved(reference)
    assert len(either.registry.requests) - before == 2 * (4 if either.has_api else 5)


def test_a_missing_list_does_not_hide_those_of_other_manifests(signing: Signing) -> None:
    reference, bundle = signing.add(MANY), referrer(AMD64_IMAGE)
    signing.list(AMD64_IMAGE, bundle)
    del signing.registry.answers[signing.api(MANY)]
    assert digests(signing.saved(reference)) == [bundle.digest]


def test_a_missing_signature_is_no_error_but_is_reported(either: Signing) -> None:
    reference = either.add(ONE)
    assert f"no signatures found for {reference}" in either.save(reference, "--signatures").err


def test_the_number_of_signatures_is_reported(either: Signing) -> None:
    reference = either.add(ONE)
    either.list(ONE, referrer(ONE), referrer(ONE, NOTARY))
    done = either.save(reference, "--signatures")
    assert "the archive also contains 1 signature, 1 signature (by notation); no signature was verified" in done.err
    assert "no signatures" not in done.err


def test_the_index_of_a_chosen_image_is_kept_if_it_is_signed(either: Signing) -> None:
    reference, signature = either.add(MANY), cosigned(MANY)
    either.tag(MANY, signature)
    found = either.saved(reference)
    assert digests(found) == [signature.digest]
    assert [str(digest) for image in found.images for digest in image.indexes] == [MANY.digest]
    assert found.referrers[0].is_attached
    done = either.save(reference, "--signatures", to="again.tar")
    assert "warning" in done.err
    assert "add --all-platforms" in done.err
    assert "--all-platforms" not in either.save(reference, "--signatures", "--all-platforms", to="all.tar").err


def test_an_index_that_is_not_signed_is_not_kept(either: Signing) -> None:
    reference = either.add(MANY)
    either.tag(AMD64_IMAGE, cosigned(AMD64_IMAGE))
    found = either.saved(reference)
    assert [image.indexes for image in found.images] == [()]
    assert "--all-platforms" not in either.save(reference, "--signatures", to="again.tar").err


@pytest.mark.parametrize("options", [("--all-platforms",), ("--keep-index",)])
def test_signatures_of_an_index_and_of_its_images_are_carried(options: tuple[str], either: Signing) -> None:
    reference = either.add(MANY)
    of_index, of_image, of_other = map(cosigned, (MANY, AMD64_IMAGE, ARM64_IMAGE))
    for subject, signature in ((MANY, of_index), (AMD64_IMAGE, of_image), (ARM64_IMAGE, of_other)):
        either.tag(subject, signature)
    expected = [of_index.digest, of_image.digest, *([of_other.digest] if options == ("--all-platforms",) else [])]
    assert digests(either.saved(reference, "--signatures", *options)) == expected


def test_an_archive_with_a_signature_is_reproducible_whatever_the_order_of_a_list(signing: Signing) -> None:
    reference, builts = signing.add(ONE), [referrer(ONE, content=b'{"n": %d}' % number) for number in range(4)]
    archives = set()
    for order in (builts, builts[::-1]):
        signing.list(ONE, *order)
        signing.saved(reference)
        archives.add((signing.path / "y.tar").read_bytes())
    assert len(archives) == 1
    done = signing.save(reference, "--signatures", "--if-changed")
    assert "left untouched" in done.err


def test_a_new_signature_changes_an_archive(signing: Signing) -> None:
    reference = signing.add(ONE)
    signing.saved(reference)
    signing.tag(ONE, cosigned(ONE))
    assert "left untouched" not in signing.save(reference, "--signatures", "--if-changed").err
    assert "left untouched" in signing.save(reference, "--signatures", "--if-changed").err


def test_an_archive_of_each_image_has_its_signatures(signing: Signing, command: Command, tmp_path: Path) -> None:
    signing.add(ONE)
    signature = cosigned(ONE)
    signing.tag(ONE, signature)
    other = signing.registry.add("team/other", "1", AMD64_IMAGE)
    options = ("--platform", "linux/amd64", "--signatures", "--json")
    done = command("save", f"{signing.registry.host}/{NAME}:1", other, *options, "--output-dir", tmp_path / "all")
    assert done.status == 0, done.err
    images = [image for archive in json.loads(done.out) for image in archive["images"]]
    assert [[each["digest"] for each in image["referrers"]] for image in images] == [[signature.digest], []]
    assert f"no signatures found for {other}" in done.err


def test_an_update_carries_its_signatures(signing: Signing) -> None:
    base, top = hello("base"), hello("top")
    signing.save(signing.registry.add("team/base", "1", image(base)), to="base.tar")
    built = image(base, top)
    reference, signature = signing.add(built), cosigned(built)
    signing.tag(built, signature)
    found = signing.saved(reference, "--signatures", "--base", str(signing.path / "base.tar"))
    assert digests(found) == [signature.digest]
    assert "leaves out 1 of 2 layers" in found.notes[0]


def test_a_pinned_image_has_its_signatures_and_both_names(either: Signing) -> None:
    reference, signature = either.add(MANY), cosigned(MANY)
    either.tag(MANY, signature)
    found = either.saved(f"{reference}@{MANY.digest}")
    assert digests(found) == [signature.digest]
    assert verify(either.path / "y.tar", f"{reference}@{MANY.digest}").findings == ()
    names = [entry["annotations"].get("io.containerd.image.name") for entry in _index(either.path / "y.tar")]
    assert names == [reference, f"{reference.removesuffix(':1')}@{MANY.digest}", None]


def test_signatures_of_one_image_in_two_repositories_are_both_carried(signing: Signing) -> None:
    reference, signature, bundle = signing.add(ONE), cosigned(ONE), referrer(ONE)
    signing.tag(ONE, signature)
    other = signing.registry.add("team/other", "1", ONE)
    signing.registry.add("team/other", cosign_tag(ONE, ""), index(bundle))
    signing.registry.add("team/other", "", bundle)
    found = signing.saved(reference, other, "--signatures")
    assert sorted(digests(found)) == sorted([signature.digest, bundle.digest])


def test_a_broken_search_leaves_out_one_image_of_several(signing: Signing) -> None:
    signing.add(ONE)
    signing.registry.answers[signing.api(ONE)] = Answer(status=500)
    other = signing.registry.add("team/other", "1", AMD64_IMAGE)
    done = signing.save(f"{signing.registry.host}/{NAME}:1", other, "--signatures", "--keep-going", status=5)
    assert "500" in done.err
    assert [image.names for image in verify(signing.path / "y.tar").images] == [(other,)]


def test_a_forecast_counts_the_parts_of_signatures(signing: Signing, command: Command) -> None:
    reference, bundle = signing.add(ONE), referrer(ONE)
    signing.list(ONE, bundle)
    options = ("--platform", "linux/amd64", "--signatures", "--dry-run", "--json")
    done = command("save", reference, *options)
    assert {blob["digest"] for blob in json.loads(done.out)["blobs"]} == {
        blob.digest for blob in (*ONE.layers, *bundle.blobs)
    }


def test_cosign_finds_the_first_signed_image_by_its_annotations(signing: Signing, command: Command) -> None:
    reference = signing.add(ONE)
    signing.tag(ONE, cosigned(ONE))
    signing.tag(ONE, cosigned(ONE, "application/vnd.dsse.envelope.v1+json"), ".att")
    signing.list(ONE, referrer(ONE))
    signing.saved(reference)
    done = command("inspect", signing.path / "y.tar")
    assert f"2 signatures, 1 attestation of {reference}" in done.out
    entries = _index(signing.path / "y.tar")
    kinds = [entry.get("annotations", {}).get("kind") for entry in entries]
    assert kinds == [f"dev.cosignproject.cosign/{kind}" for kind in ("image", "sigs", "atts")] + [None]
    assert entries[-1]["artifactType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert "org.opencontainers.image.ref.name" not in entries[1]["annotations"]


def _index(archive: Path) -> list[dict[str, Any]]:
    with tarfile.open(archive) as file:
        found = file.extractfile("index.json")
        assert found
        entries: list[dict[str, Any]] = json.load(found)["manifests"]
        return entries


@pytest.mark.parametrize("option", ["--signatures", "--referrers"])
@pytest.mark.parametrize("plain", [("--layers", "plain"), ("--format", "docker-classic")])
def test_an_archive_with_other_digests_cannot_have_signatures(
    option: str, plain: tuple[str, str], signing: Signing, tmp_path: Path
) -> None:
    done = signing.refused(signing.add(ONE), option, *plain, status=2)
    assert f"{option} needs the registry's digests and cannot be combined with {' '.join(plain)}" in done.err
    with pytest.raises(ValueError, match="cannot have decompressed layers"):
        imgfetch.save("a.example/x", tmp_path / "y.tar", signatures=True, layers="plain")


WRONG: dict[str, tuple[int, str, Callable[[Signing], None]]] = {
    "a tag of an image": (6, "is not what cosign writes under such a tag", lambda s: s.tag(ONE, AMD64_IMAGE)),
    "a tag of an index": (6, "is not what cosign writes under such a tag", lambda s: s.tag(ONE, MANY)),
    "a tag of something about another image": (
        6,
        "is not what cosign writes under such a tag",
        lambda s: s.tag(ONE, referrer(AMD64_IMAGE)),
    ),
    "a tag of another type": (
        6,
        "is not what cosign writes under such a tag",
        lambda s: s.tag(ONE, OLD_ARTIFACT),
    ),
    "a list with something about another image": (
        6,
        "as a referrer of another manifest than its subject",
        lambda s: s.list(ONE, referrer(AMD64_IMAGE)),
    ),
    "a list with something about nothing": (
        6,
        "as a referrer of another manifest than its subject",
        lambda s: s.list(ONE, referrer(ONE, subject=None)),
    ),
    "a list that is too long": (
        6,
        f"has too many entries: expected at most {MAX_LISTED}, got 10000",
        lambda s: s.list(ONE, entries=[referrer(ONE).entry] * 10_000),
    ),
    "a list of something else": (
        6,
        "is not a list of manifests",
        lambda s: s.registry.answers.update({s.api(ONE): Answer(b'{"tags": []}')}),
    ),
    "a list that is HTML": (
        1,
        "an HTML page",
        lambda s: s.registry.answers.update({s.api(ONE): Answer(b"<html>Please log in</html>")}),
    ),
    "a list that fails": (5, "500", lambda s: s.registry.answers.update({s.api(ONE): Answer(status=500)})),
    "a list that is refused": (4, "needs credentials", lambda s: s.registry.challenge(s.api(ONE), 'Basic realm="x"')),
    "a tag that fails": (
        5,
        "500",
        lambda s: s.registry.answers.update({f"/v2/{NAME}/manifests/{cosign_tag(ONE)}": Answer(status=500)}),
    ),
    "a tag that is refused": (
        4,
        "needs credentials",
        lambda s: s.registry.challenge(f"/v2/{NAME}/manifests/{cosign_tag(ONE)}", 'Basic realm="x"'),
    ),
    "a listed manifest that is missing": (
        3,
        "was not found",
        lambda s: s.list(ONE, entries=[referrer(ONE).entry]),
    ),
    "a listed manifest with another digest": (6, "has the wrong digest", lambda s: _swap(s, referrer(ONE))),
    "a list that is empty text": (6, "is empty", lambda s: s.registry.answers.update({s.api(ONE): Answer(b"")})),
    "a malformed entry": (
        6,
        "the digest of manifest 1 of the list of referrers",
        lambda s: s.list(ONE, entries=[{"mediaType": OCI_INDEX, "digest": "sha256:1", "size": 1}]),
    ),
}


def _swap(signing: Signing, built: Built) -> None:
    signing.list(ONE, built)
    other = referrer(ONE, content=b'{"another": "bundle"}')
    signing.registry.answers[f"/v2/{NAME}/manifests/{built.digest}"] = Answer(other.raw)


@pytest.mark.parametrize("fault", WRONG)
def test_a_fault_is_an_error_and_never_no_signature(fault: str, signing: Signing) -> None:
    status, message, break_ = WRONG[fault]
    reference = signing.add(ONE)
    break_(signing)
    done = signing.refused(reference, status=status)
    assert message in done.err


def test_a_signature_needs_no_media_type(signing: Signing) -> None:
    reference, signature = signing.add(ONE), cosigned(ONE)
    signature = replace(
        signature, raw=signature.raw.replace(b'"mediaType":"%b",' % signature.media_type.encode(), b"", 1)
    )
    assert b'"schemaVersion":2,"config"' in signature.raw
    signing.tag(ONE, signature)
    signing.registry.answers[f"/v2/{NAME}/manifests/{cosign_tag(ONE)}"] = Answer(signature.raw)
    assert digests(signing.saved(reference)) == [signature.digest]


def test_a_payload_with_another_digest_is_refused(signing: Signing) -> None:
    reference, bundle = signing.add(ONE), referrer(ONE)
    signing.list(ONE, bundle)
    signing.registry.answers[f"/v2/{NAME}/blobs/{bundle.blobs[1].digest}"] = Answer(b'{"a": "forgery"}')
    signing.refused(reference)


def _paged(signing: Signing, following: Callable[[int], str]) -> None:
    """Let a list have pages of one entry each."""
    bundle = referrer(ONE)
    signing.list(ONE, bundle)
    listed, path, pages = index(bundle), signing.api(ONE), iter(range(1, 10**6))

    def answer(_: object) -> Answer:
        return Answer(listed.raw, headers={"Link": f'<{path}?{following(next(pages))}>; rel="next"'})

    signing.registry.answers[path] = answer


def test_a_list_has_several_pages(signing: Signing) -> None:
    reference, builts = signing.add(ONE), [referrer(ONE, content=b'{"n": %d}' % number) for number in range(3)]
    signing.list(ONE, *builts)
    pages = [index(built).raw for built in builts]

    def answer(request: Any) -> Answer:
        number = int(request.path.partition("=")[2] or 0)
        more = {"Link": f'<{signing.api(ONE)}?page={number + 1}>; rel="next"'} if number < 2 else {}
        return Answer(pages[number], headers=more)

    signing.registry.answers[signing.api(ONE)] = answer
    assert digests(signing.saved(reference)) == sorted(built.digest for built in builts)


def test_a_list_that_leads_to_itself_ends(signing: Signing) -> None:
    reference = signing.add(ONE)
    _paged(signing, lambda _: "page=1")
    assert "does not end: 2 pages received" in signing.refused(reference, status=1).err


def test_a_list_without_end_ends(signing: Signing, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = signing.add(ONE)
    monkeypatch.setattr("imgfetch.registry.referrers.MAX_PAGES", 5)
    _paged(signing, lambda number: f"page={number}")
    assert "does not end: 5 pages received" in signing.refused(reference, status=1).err


def test_a_second_page_that_is_missing_is_an_error(signing: Signing) -> None:
    reference, bundle = signing.add(ONE), referrer(ONE)
    signing.list(ONE, bundle)
    first = Answer(index(bundle).raw, headers={"Link": f'<{signing.api(ONE)}?page=2>; rel="next"'})
    signing.registry.answers[signing.api(ONE)] = lambda request: (
        first if "?" not in request.path else Answer(status=404)
    )
    signing.refused(reference, status=3)


def test_signatures_that_sign_each_other_end(signing: Signing) -> None:
    reference, signature = signing.add(ONE), cosigned(ONE)
    signing.tag(ONE, signature)
    signing.tag(signature, signature)
    assert digests(signing.saved(reference)) == [signature.digest]


def test_signatures_of_signatures_are_bounded(signing: Signing) -> None:
    reference, chain = signing.add(ONE), [ONE]
    for _ in range(referrers.MAX_DEPTH + 1):
        chain.append(referrer(chain[-1]))
    *allowed, last = chain
    for subject, built in reversed(list(pairwise(allowed))):
        signing.list(subject, built)
    assert digests(signing.saved(reference)) == [built.digest for built in allowed[1:]]
    (signing.path / "y.tar").unlink()
    signing.list(allowed[-1], last)
    assert "are signed more than 3 levels deep" in signing.refused(reference).err


@pytest.mark.parametrize(
    ("bound", "noun"),
    [
        ("MAX_REFERRERS", "signatures"),
        ("MAX_BYTES", "bytes of signatures"),
        ("MAX_MANIFEST_BYTES", "bytes of manifests of signatures"),
    ],
)
def test_signatures_are_bounded(bound: str, noun: str, signing: Signing, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = signing.add(ONE)
    signing.list(ONE, *(referrer(ONE, content=b'{"n": %d}' % number) for number in range(3)))
    monkeypatch.setattr(referrers, bound, 2)
    assert f"has too many {noun} and other referrers: expected at most 2, got more" in signing.refused(reference).err


def test_no_more_manifests_are_requested_than_are_allowed(signing: Signing, monkeypatch: pytest.MonkeyPatch) -> None:
    reference, builts = signing.add(ONE), [referrer(ONE, content=b'{"n": %d}' % number) for number in range(9)]
    signing.list(ONE, *builts)
    monkeypatch.setattr(referrers, "MAX_REFERRERS", 2)
    signing.refused(reference)
    assert (
        len({built.digest for built in builts if f"/v2/{NAME}/manifests/{built.digest}" in signing.registry.paths}) == 3
    )


def test_the_parts_of_signatures_count_as_layers(signing: Signing, monkeypatch: pytest.MonkeyPatch) -> None:
    reference, parts = signing.add(ONE), [EMPTY.descriptor] * 20
    signing.list(ONE, referrer(ONE, layers=parts))
    monkeypatch.setattr("imgfetch.pull.resolve.MAX_ALL_LAYERS", 22)
    signing.saved(reference)
    (signing.path / "y.tar").unlink()
    monkeypatch.setattr("imgfetch.pull.resolve.MAX_ALL_LAYERS", 21)
    assert "has too many layers" in signing.refused(reference).err


def test_the_bytes_of_payloads_count(signing: Signing, monkeypatch: pytest.MonkeyPatch) -> None:
    reference, bundle = signing.add(ONE), referrer(ONE)
    signing.list(ONE, bundle)
    whole = len(bundle.raw) + sum(len(blob.content) for blob in bundle.blobs)
    monkeypatch.setattr(referrers, "MAX_BYTES", whole)
    signing.saved(reference)
    (signing.path / "y.tar").unlink()
    monkeypatch.setattr(referrers, "MAX_BYTES", whole - 1)
    signing.refused(reference)


def test_pages_together_are_bounded(signing: Signing, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = signing.add(ONE)
    monkeypatch.setattr("imgfetch.registry.referrers.MAX_LISTED", 3)
    _paged(signing, lambda number: f"page={number}")
    assert "has too many entries: expected at most 3, got 4" in signing.refused(reference).err


@pytest.fixture
def mirrored(signing: Signing) -> Iterator[tuple[Loopback, Callable[[], list[str]]]]:
    """Return a mirror of the image alone, and a function that saves it, and returns the digests of its referrers."""
    reference = signing.add(ONE)
    with Loopback() as mirror:
        mirror.add(NAME, "1", ONE)
        rule = f"{signing.registry.host}=http://{mirror.host}"

        def saved() -> list[str]:
            done = signing.save(reference, "--no-cache", "--signatures", "--mirror", rule)
            assert "sha256-" not in done.err
            assert mirror.paths[0] == f"/v2/{NAME}/manifests/1"
            return digests(verify(signing.path / "y.tar"))

        yield mirror, saved


Mirrored = tuple[Loopback, Callable[[], list[str]]]


def test_a_mirror_without_a_signature_hides_none(signing: Signing, mirrored: Mirrored) -> None:
    signature, bundle = cosigned(ONE), referrer(ONE)
    signing.tag(ONE, signature)
    signing.list(ONE, bundle)
    assert mirrored[1]() == [signature.digest, bundle.digest]


def test_the_empty_list_of_a_mirror_hides_no_signature(signing: Signing, mirrored: Mirrored) -> None:
    bundle = referrer(ONE)
    signing.list(ONE, bundle)
    mirrored[0].answers[signing.api(ONE)] = Answer(index(entries=[]).raw)
    assert mirrored[1]() == [bundle.digest]


def test_the_list_of_a_mirror_counts_if_it_has_entries(signing: Signing, mirrored: Mirrored) -> None:
    mirror, bundle = mirrored[0], referrer(ONE)
    signing.list(ONE, referrer(ONE, content=b'{"a": "newer one"}'))
    mirror.add(NAME, "", bundle)
    mirror.answers[signing.api(ONE)] = Answer(index(bundle).raw)
    assert mirrored[1]() == [bundle.digest]


def test_an_image_or_index_as_a_referrer_is_left_out_with_a_warning(signing: Signing) -> None:
    about = {key: value for key, value in ONE.entry.items() if key != "platform"}
    reference, built = signing.add(ONE), image(hello("child"), manifest={"subject": about})
    signing.list(ONE, built, index(AMD64_IMAGE, subject=about))
    done = signing.save(reference, "--referrers", "--no-cache")
    assert done.err.count("leaving out") == 2
    assert digests(verify(signing.path / "y.tar")) == []


def test_layers_that_are_decompressed_anyway_leave_the_signatures_out(signing: Signing) -> None:
    built = image(hello("zstd", "application/vnd.docker.image.rootfs.diff.tar.zstd"), docker=True)
    reference = signing.add(built)
    signing.tag(built, cosigned(built))
    done = signing.save(reference, "--signatures", "--no-cache")
    assert "its digest is not the registry's" in done.err
    assert "its signatures are left out" in done.err
    assert "no signatures found" in done.err
    assert verify(signing.path / "y.tar").referrers == ()


def test_verify_and_inspect_list_what_is_there(signing: Signing, command: Command) -> None:
    reference = signing.add(ONE)
    signature, sbom = cosigned(ONE), referrer(ONE, SPDX)
    signing.tag(ONE, signature)
    signing.list(ONE, sbom)
    signing.saved(reference, "--referrers")
    for name in ("verify", "inspect"):
        done = command(name, signing.path / "y.tar")
        assert f"1 signature, 1 SBOM of {reference}" in done.out
        found = json.loads(command(name, signing.path / "y.tar", "--json").out)["referrers"]
        assert found == [
            {
                "kind": "signature",
                "artifact_type": "application/vnd.dev.cosign.simplesigning.v1+json",
                "digest": signature.digest,
                "subject": ONE.digest,
                "tag": cosign_tag(ONE),
                "attached": True,
            },
            {
                "kind": "sbom",
                "artifact_type": SPDX,
                "digest": sbom.digest,
                "subject": ONE.digest,
                "tag": None,
                "attached": True,
            },
        ]


@dataclass(frozen=True)
class Alone:
    """A mirror of an image whose registry does not work.

    Attributes:
        save: saves the image with its signatures, and expects an exit status.
    """

    mirror: Loopback
    save: Callable[..., Done]


def _broken(signing: Signing, server: Loopback) -> None:
    """Let a server fail whenever it is asked for signatures of an image."""
    tags = (cosign_tag(ONE, suffix) for suffix in (".sig", ".att", ".sbom", ""))
    failure = dict.fromkeys([signing.api(ONE), *(f"/v2/{NAME}/manifests/{tag}" for tag in tags)], Answer(b"", 503))
    server.answers |= failure


@pytest.fixture
def alone(signing: Signing) -> Iterator[Alone]:
    reference = signing.add(ONE)
    _broken(signing, signing.registry)
    with Loopback() as mirror:
        mirror.add(NAME, "1", ONE)
        rule = f"{signing.registry.host}=http://{mirror.host}"
        options = ("--no-cache", "--signatures", "--mirror", rule, "--retries", "0")
        yield Alone(mirror, lambda *more, status=0: signing.save(reference, *options, *more, status=status))


def test_the_answers_of_mirrors_count_with_a_warning_if_the_registry_cannot_be_reached(
    signing: Signing, alone: Alone
) -> None:
    done = alone.save()
    assert done.err.count("may be missing: they were searched for only at mirrors, because") == 1
    assert digests(verify(signing.path / "y.tar")) == []


def test_a_registry_that_cannot_be_reached_is_not_asked_for_each_tag(signing: Signing, alone: Alone) -> None:
    alone.save()
    assert len(signing.registry.paths) == 1


def test_a_signature_at_a_mirror_is_saved_though_the_registry_cannot_be_reached(signing: Signing, alone: Alone) -> None:
    signature = cosigned(ONE)
    alone.mirror.add(NAME, cosign_tag(ONE), signature)
    alone.save()
    assert digests(verify(signing.path / "y.tar")) == [signature.digest]


def test_a_search_at_mirrors_alone_is_an_error_with_strict(signing: Signing, alone: Alone) -> None:
    assert "may be missing" in alone.save("--strict", status=6).err
    assert not (signing.path / "y.tar").exists()


def test_a_mirror_that_fails_does_not_pass_for_one_without_signatures(signing: Signing, alone: Alone) -> None:
    _broken(signing, alone.mirror)
    assert "503" in alone.save(status=5).err
