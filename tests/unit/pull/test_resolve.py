"""A reference leads to the one image that is meant, and everything on the way is checked."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from imgfetch.errors import (
    ImgfetchError,
    NotFoundError,
    PlatformNotFoundError,
    TransportError,
    UnsupportedError,
    VerificationError,
)
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci import mediatypes, platforms
from imgfetch.oci.descriptor import Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Image, Manifest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.pull import resolve
from imgfetch.pull.resolve import Resolver
from imgfetch.store.blobs import BlobStore
from imgfetch.tolerance import Tolerance
from tests import images
from tests.fakes import FakeRegistry
from tests.images import AMD64, ARM64, Built

REFERENCE = Reference.parse("registry.example/team/app:1")
LINUX_AMD64 = Platform.parse("linux/amd64")
HELM = "application/vnd.cncf.helm.config.v1+json"
LINUX_ARM64 = Platform.parse("linux/arm64")


class Resolving(FakeRegistry):
    """A registry whose images are resolved."""

    def __init__(self, store: BlobStore) -> None:
        super().__init__()
        self.store = store

    def resolve(
        self, platform: Platform | None = LINUX_AMD64, reference: Reference = REFERENCE, *, strict: bool = False
    ) -> Image:
        resolver = Resolver(self, self.store, Tolerance(strict=strict), RetryPolicy(retries=0))
        return resolver.chosen(resolver.document(reference), reference, platform)

    def chosen(self, platform: Platform | None = LINUX_AMD64, reference: Reference = REFERENCE) -> str:
        """Return the digest of the image that is found."""
        return str(self.resolve(platform, reference).manifest.descriptor.digest)

    def kept(self) -> set[str]:
        """Return the digests of what is in the store."""
        blobs = (self.store.root / "blobs").rglob("*")
        return {f"{path.parent.name}:{path.name}" for path in blobs if path.is_file()}


@pytest.fixture
def registry(store: BlobStore) -> Resolving:
    return Resolving(store)


def pinned(digest: str) -> Reference:
    return replace(REFERENCE, digest=Digest.parse(digest))


def member(platform: Mapping[str, str] | None = AMD64, text: str = "") -> Built:
    """Return an image that no other platform has."""
    return images.image(images.hello(text or json.dumps(platform)), platform=platform)


# ---- a single manifest ----


def test_a_manifest_and_its_config_are_found_and_kept(registry: Resolving) -> None:
    layers = images.hello("one"), images.hello("two")
    built = registry.add(images.image(*layers))
    image = registry.resolve()
    assert str(image.manifest.descriptor.digest) == built.digest
    assert [str(layer.digest) for layer in image.manifest.layers] == [layer.digest for layer in layers]
    assert [str(diff_id) for diff_id in image.config.diff_ids] == [layer.diff_id for layer in layers]
    assert image.config.platform == LINUX_AMD64
    assert image.references == (REFERENCE,)
    assert registry.asked == ["1", built.config.digest]  # no layer
    assert registry.kept() == {built.digest, built.config.digest}


@pytest.mark.parametrize(("bound", "is_refused"), [(4, False), (3, True)])
def test_the_layers_of_all_images_have_a_bound_together(
    registry: Resolving, monkeypatch: pytest.MonkeyPatch, bound: int, *, is_refused: bool
) -> None:
    monkeypatch.setattr(resolve, "MAX_ALL_LAYERS", bound)
    registry.add(images.image(images.hello("one"), images.hello("two")))
    resolver = Resolver(registry, registry.store, Tolerance(), RetryPolicy(retries=0))
    manifest = resolver.document(REFERENCE)
    assert isinstance(manifest, Manifest)
    resolver.image(manifest, REFERENCE)
    if is_refused:
        with pytest.raises(VerificationError, match="expected at most 3, got more"):
            resolver.image(manifest, REFERENCE)
    else:
        resolver.image(manifest, REFERENCE)


def test_a_config_that_is_in_the_store_is_not_asked_for(registry: Resolving) -> None:
    built = registry.add(member())
    registry.resolve()
    registry.resolve()
    assert registry.asked == ["1", built.config.digest, "1"]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "text/plain; charset=utf-8",
        "text/html",
        "application/octet-stream",
        "",
        "APPLICATION/VND.OCI.IMAGE.MANIFEST.V1+JSON; charset=utf-8",
    ],
)
def test_a_wrong_content_type_does_not_matter(registry: Resolving, content_type: str) -> None:
    built = registry.add(member())
    registry.documents["1"] = Document(built.raw, content_type)
    assert registry.chosen() == built.digest


def test_an_image_for_another_machine_is_taken_with_a_warning_where_there_is_no_choice(
    registry: Resolving, caplog: pytest.LogCaptureFixture
) -> None:
    here = platforms.default()
    other = "s390x" if here.architecture != "s390x" else "amd64"
    registry.add(member({"os": "linux", "architecture": other}))
    assert registry.resolve(None).config.platform == Platform("linux", other)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    for words in ("registry.example/team/app:1", f"linux/{other}", str(here)):
        assert words in warnings[0]


def test_it_is_refused_where_a_platform_was_asked_for(registry: Resolving) -> None:
    registry.add(member(ARM64))
    with pytest.raises(PlatformNotFoundError) as caught:
        registry.resolve(LINUX_AMD64)
    assert caught.value.wanted == "linux/amd64"
    assert caught.value.available == ("linux/arm64",)
    assert "linux/arm64" in str(caught.value.hint)


def test_an_image_for_this_machine_is_taken_in_silence(registry: Resolving, caplog: pytest.LogCaptureFixture) -> None:
    here = platforms.default()
    registry.add(member({"os": here.os, "architecture": here.architecture, "variant": here.variant}))
    registry.resolve(None)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_default_platform_is_linux_on_this_machine_in_an_index_too(registry: Resolving) -> None:
    here = platforms.default()
    other = "s390x" if here.architecture != "s390x" else "amd64"
    members = [
        member({"os": "windows", "architecture": here.architecture}),
        member({"os": "linux", "architecture": other}),
        member({"os": "linux", "architecture": here.architecture, "variant": here.variant}),
    ]
    registry.add(images.index(*members))
    assert registry.chosen(None) == members[2].digest


def test_an_index_has_a_choice_so_there_is_no_other_machine_by_default(registry: Resolving) -> None:
    here = platforms.default()
    other = "s390x" if here.architecture != "s390x" else "amd64"
    registry.add(images.index(member({"os": "linux", "architecture": other})))
    with pytest.raises(PlatformNotFoundError):
        registry.resolve(None)


# ---- the choice of a platform ----


def machine(text: str) -> dict[str, str]:
    """Return what an index says of a platform."""
    name, _, version = text.partition(":")
    os, architecture, *variant = name.split("/")
    found = {"os": os, "architecture": architecture, "variant": "".join(variant), "os.version": version}
    return {key: value for key, value in found.items() if value}


@pytest.mark.parametrize(
    ("listed", "wanted", "chosen"),
    [
        (["linux/amd64", "linux/arm64"], "linux/amd64", 0),
        (["linux/amd64", "linux/arm64"], "linux/arm64", 1),
        (["windows/amd64", "linux/amd64"], "linux/amd64", 1),
        (["linux/amd64", "linux/amd64:other"], "linux/amd64", 0),
        (["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7", 1),
        (["linux/arm/v6", "linux/arm/v7"], "linux/arm/v6", 0),
        (["linux/arm/v7", "linux/arm/v6"], "linux/arm/v6", 1),
        (["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7", 1),
        (["linux/arm/v6"], "linux/arm/v7", 0),
        (["linux/arm/v7"], "linux/arm/v6", None),
        (["linux/arm/v6", "linux/arm"], "linux/arm/v7", 1),
        (["linux/arm/v6", "linux/arm/v7"], "linux/arm", 1),
        (["linux/arm"], "linux/arm/v6", None),
        (["linux/arm64/v8"], "linux/arm64", 0),
        (["linux/arm64"], "linux/arm64/v8", 0),
        (["linux/arm64", "linux/arm64/v8"], "linux/arm64/v8", 0),
        (["linux/arm64/v9"], "linux/arm64", None),
        (["linux/arm/v7"], "linux/arm64", None),
        (["linux/arm64"], "linux/arm/v7", None),
        (["linux/386"], "linux/amd64", None),
        (["linux/amd64/v2", "linux/amd64"], "linux/amd64", 1),
        (["linux/amd64/v3"], "linux/amd64", None),
        (["linux/amd64", "linux/amd64/v2", "linux/amd64/v3"], "linux/amd64/v3", 2),
        (["linux/amd64", "linux/amd64/v2"], "linux/amd64/v3", 1),
        (["linux/aarch64", "linux/x86_64"], "linux/amd64", 1),
        (["windows/amd64:10.0.17763.1", "windows/amd64:10.0.20348.2"], "windows/amd64:10.0.20348", 1),
        (["windows/amd64:10.0.17763.1", "windows/amd64:10.0.20348.2"], "windows/amd64:10.0.20348.2", 1),
        (["windows/amd64:10.0.203480.2"], "windows/amd64:10.0.20348", None),
        (["windows/amd64:10.0.17763.1", "windows/amd64:10.0.20348.2"], "windows/amd64", 0),
        (["windows/amd64"], "windows/amd64:10.0.20348", None),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, list) else str(value),
)
def test_the_best_fit_of_an_index_is_chosen(
    registry: Resolving, listed: list[str], wanted: str, chosen: int | None
) -> None:
    members = [member(machine(text), f"number {number}") for number, text in enumerate(listed)]
    registry.add(images.index(*members))
    if chosen is None:
        with pytest.raises(PlatformNotFoundError):
            registry.resolve(Platform.parse(wanted))
        assert registry.asked == ["1"]
    else:
        image = registry.resolve(Platform.parse(wanted))
        assert str(image.manifest.descriptor.digest) == members[chosen].digest
        assert registry.asked == ["1", members[chosen].digest, members[chosen].config.digest]


def test_of_equals_the_first_is_chosen(registry: Resolving) -> None:
    members = [member(AMD64, "first"), member(AMD64, "second")]
    registry.add(images.index(*members))
    assert registry.chosen() == members[0].digest


@pytest.mark.parametrize("docker", [False, True], ids=["OCI", "docker"])
def test_both_kinds_of_index_are_read(registry: Resolving, *, docker: bool) -> None:
    built = images.image(images.hello(), docker=docker)
    registry.add(images.index(built, docker=docker))
    assert registry.chosen() == built.digest


def test_what_is_there_is_listed_in_the_order_of_the_index(registry: Resolving) -> None:
    listed = ["linux/s390x", "linux/arm64/v8", "linux/arm/v6", "windows/amd64:10.0.20348.2", "linux/s390x"]
    members = [member(machine(text), f"number {number}") for number, text in enumerate(listed)]
    registry.add(images.index(*members, images.attestation(members[0])))
    with pytest.raises(PlatformNotFoundError) as caught:
        registry.resolve()
    assert caught.value.wanted == "linux/amd64"
    assert caught.value.available == ("linux/s390x", "linux/arm64", "linux/arm/v6", "windows/amd64:10.0.20348.2")
    assert "registry.example/team/app:1" in str(caught.value)
    assert "linux/arm/v6" in str(caught.value.hint)


def test_an_index_of_nothing_has_no_platform(registry: Resolving) -> None:
    registry.add(images.index())
    with pytest.raises(PlatformNotFoundError) as caught:
        registry.resolve()
    assert caught.value.available == ()


def mislabelled() -> Built:
    """Return an index that says of an image for arm64 that it is for amd64."""
    built = member(ARM64)
    return images.index(built, entries=[{**built.entry, "platform": AMD64}])


def test_a_config_that_contradicts_its_index_is_a_warning(
    registry: Resolving, caplog: pytest.LogCaptureFixture
) -> None:
    index = registry.add(mislabelled())
    assert registry.chosen() == index.children[0].digest
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    for words in ("registry.example/team/app:1", "linux/amd64", "linux/arm64"):
        assert words in warnings[0]


def test_under_strict_it_is_refused(registry: Resolving) -> None:
    registry.add(mislabelled())
    with pytest.raises(VerificationError):
        registry.resolve(strict=True)


# ---- what is no image ----


def test_statements_about_images_are_passed_over(registry: Resolving) -> None:
    built = member()
    unknown = images.attestation(built)
    annotated = {
        **member(AMD64, "statement").entry,
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    registry.add(images.index(built, unknown, entries=[unknown.entry, annotated, built.entry]))
    assert registry.chosen() == built.digest
    assert registry.asked == ["1", built.digest, built.config.digest]


@pytest.mark.parametrize(
    "media_type",
    ["application/vnd.cncf.helm.chart.v1", "application/vnd.docker.distribution.manifest.v1+prettyjws", "", "text/x"],
)
def test_entries_of_unknown_types_are_passed_over(registry: Resolving, media_type: str) -> None:
    built = member()
    strange = {**member(AMD64, "strange").entry, "mediaType": media_type}
    registry.add(images.index(built, entries=[strange, built.entry]))
    assert registry.chosen() == built.digest


def test_an_entry_without_a_platform_is_looked_into_where_nothing_else_fits(registry: Resolving) -> None:
    named, other, nameless = member(ARM64), member(ARM64, "nameless arm64"), member(AMD64, "nameless amd64")
    entries = [{**built.entry, "platform": None} for built in (other, nameless)]
    registry.add(images.index(named, other, nameless, entries=[*entries, named.entry]))
    assert registry.chosen() == nameless.digest
    registry.asked.clear()
    assert registry.chosen(LINUX_ARM64) == named.digest
    assert registry.asked == ["1", named.digest, named.config.digest]


@pytest.mark.parametrize(
    "platform", [{}, {"os": "linux"}, {"architecture": "amd64"}, {"os": "", "architecture": ""}], ids=repr
)
def test_a_platform_that_names_no_machine_is_none(registry: Resolving, platform: dict[str, str]) -> None:
    built = member()
    registry.add(images.index(built, entries=[{**built.entry, "platform": platform}]))
    assert registry.chosen() == built.digest


def test_what_was_found_within_nameless_entries_is_listed_too(registry: Resolving) -> None:
    nameless = member(ARM64)
    registry.add(images.index(nameless, entries=[{**nameless.entry, "platform": None}]))
    with pytest.raises(PlatformNotFoundError) as caught:
        registry.resolve()
    assert caught.value.available == ("linux/arm64",)


def test_a_nameless_entry_that_is_no_image_does_not_hide_the_platforms_there_are(registry: Resolving) -> None:
    named = member(ARM64)
    chart = images.image(images.hello("chart"), config_type=HELM, manifest={"artifactType": HELM}, platform=None)
    registry.add(images.index(chart, named))
    with pytest.raises(PlatformNotFoundError) as caught:
        registry.resolve()
    assert caught.value.available == ("linux/arm64",)


def test_a_named_entry_that_is_no_image_is_said_to_be_none(registry: Resolving) -> None:
    chart = images.image(images.hello("chart"), config_type=HELM)
    registry.add(images.index(chart))
    with pytest.raises(UnsupportedError, match="not a container image but a Helm chart"):
        registry.resolve()


def test_nameless_entries_are_not_fetched_without_end(registry: Resolving) -> None:
    members = [member({"os": "linux", "architecture": f"made-up-{number}"}) for number in range(500)]
    entries = [{**built.entry, "platform": None} for built in members]
    registry.add(images.index(*members, entries=entries))
    with pytest.raises(PlatformNotFoundError):
        registry.resolve()
    assert len(registry.asked) < 200  # a config and a manifest for each that is looked into


def test_the_same_nameless_entry_is_fetched_once(registry: Resolving) -> None:
    built = member(ARM64)
    registry.add(images.index(built, entries=[{**built.entry, "platform": None}] * 5))
    with pytest.raises(PlatformNotFoundError):
        registry.resolve()
    assert registry.asked == ["1", built.digest, built.config.digest]


def broken(case: str) -> Built:
    """Return an image that cannot be used, or that the registry does not have."""
    if case == "config":
        return images.image(images.hello(), config={"rootfs": 5}, platform=None)
    built = images.image(images.hello("broken"), platform=None)
    spoilt = json.dumps({**json.loads(built.raw), "config": 5}).encode()
    return replace(built, raw=spoilt) if case == "manifest" else built


each_broken = pytest.mark.parametrize("case", ["config", "manifest", "missing"])


def behind_broken(case: str, *others: Built) -> Built:
    """Return an index of a broken entry and others, all without a platform."""
    bad = broken(case)
    entries = [{**built.entry, "platform": None} for built in (bad, *others)]
    return images.index(*((bad, *others) if case != "missing" else others), entries=entries)


@each_broken
def test_a_nameless_entry_that_is_broken_does_not_spoil_the_next(
    registry: Resolving, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    built = member()
    registry.add(behind_broken(case, built))
    assert registry.chosen() == built.digest
    assert caplog.text.count("skipping an entry without a platform: ") == 1


@each_broken
def test_under_strict_it_does(registry: Resolving, case: str) -> None:
    registry.add(behind_broken(case, member()))
    with pytest.raises(VerificationError, match="skipping an entry without a platform"):
        registry.resolve(strict=True)


@each_broken
def test_a_broken_nameless_entry_is_the_error_where_no_other_fits(registry: Resolving, case: str) -> None:
    registry.add(behind_broken(case, member(ARM64)))
    with pytest.raises((VerificationError, NotFoundError)) as caught:
        registry.resolve()
    assert not isinstance(caught.value, PlatformNotFoundError)


@each_broken
def test_a_broken_entry_for_the_platform_is_an_error(registry: Resolving, case: str) -> None:
    bad, built = broken(case), member()
    entries = [{**bad.entry, "platform": AMD64}, built.entry]
    registry.add(images.index(*((bad, built) if case != "missing" else (built,)), entries=entries))
    with pytest.raises((VerificationError, NotFoundError)):
        registry.resolve()


# ---- entries that cannot be read ----

UNREADABLE: dict[str, object] = {
    "null": None,
    "a number": 7,
    "an unknown digest algorithm": {"digest": f"blake3:{'0' * 64}", "platform": ARM64},
    "a short digest": {"digest": "sha256:00", "platform": ARM64},
    "no digest": {"digest": None, "platform": ARM64},
    "no size": {"size": None, "platform": ARM64},
    "a negative size": {"size": -1, "platform": ARM64},
    "a platform that is a text": {"platform": "linux/arm64"},
    "annotations that are an array": {"annotations": [], "platform": ARM64},
    "embedded data that is not base64": {"data": "!", "platform": ARM64},
}
each_unreadable = pytest.mark.parametrize("bad", UNREADABLE.values(), ids=UNREADABLE.keys())


def spoilt(bad: object, *members: Built) -> Built:
    """Return an index of images, behind an entry that cannot be read."""
    entry = {**member(ARM64).entry, **bad} if isinstance(bad, dict) else bad
    return images.index(*members, entries=[entry, *(built.entry for built in members)])


@each_unreadable
def test_an_entry_that_cannot_be_read_does_not_spoil_the_others(
    registry: Resolving, caplog: pytest.LogCaptureFixture, bad: object
) -> None:
    built = member(AMD64)
    registry.add(spoilt(bad, built))
    assert registry.chosen() == built.digest
    assert "skipping an entry of an index that cannot be read: " in caplog.text
    assert "manifest 1 of the manifest of registry.example/team/app:1" in caplog.text


def test_of_several_unreadable_entries_one_warning_tells(registry: Resolving, caplog: pytest.LogCaptureFixture) -> None:
    built = member(AMD64)
    registry.add(images.index(built, entries=[None, built.entry, None, None]))
    registry.resolve()
    assert caplog.text.count("WARNING") == 1
    assert "cannot be read (and 2 more): " in caplog.text


def test_under_strict_an_unreadable_entry_is_an_error(registry: Resolving) -> None:
    registry.add(spoilt(None, member(AMD64)))
    with pytest.raises(VerificationError, match="skipping an entry"):
        registry.resolve(strict=True)


@pytest.mark.parametrize("bad", [{"digest": f"blake3:{'0' * 64}"}, {"size": None}], ids=["digest", "size"])
def test_the_wanted_entry_must_be_readable(registry: Resolving, bad: dict[str, object]) -> None:
    registry.add(spoilt(bad, member(AMD64)))
    with pytest.raises(VerificationError, match=f"{next(iter(bad))}.* of manifest 1 of the manifest of "):
        registry.resolve(LINUX_ARM64)


def test_a_worse_match_does_not_replace_an_unreadable_one(registry: Resolving) -> None:
    registry.add(spoilt({"size": None, "platform": machine("linux/arm/v7")}, member(machine("linux/arm/v6"))))
    with pytest.raises(VerificationError, match="'size' of manifest 1"):
        registry.resolve(Platform.parse("linux/arm/v7"))


def test_an_equal_match_replaces_an_unreadable_one(registry: Resolving) -> None:
    built = member(AMD64)
    registry.add(spoilt({"digest": f"blake3:{'0' * 64}", "platform": AMD64}, built))
    assert registry.chosen() == built.digest


@pytest.mark.parametrize(
    "bad",
    [{"Digest": f"sha256:{'0' * 64}"}, {"size": None, "platform": {**AMD64, "OS": "linux"}}],
    ids=["digest", "platform"],
)
def test_an_entry_that_readers_read_differently_spoils_the_index(registry: Resolving, bad: dict[str, object]) -> None:
    registry.add(spoilt(bad, member(AMD64)))
    with pytest.raises(VerificationError, match="ambiguous"):
        registry.resolve()


# ---- an index with the wrong size of a manifest ----


def missized(built: Built, *others: Built) -> Built:
    """Return an index with a wrong size of one image's manifest, as old versions of `docker manifest` wrote."""
    entries = [{**built.entry, "size": 1}, *(other.entry for other in others)]
    return images.index(built, *others, entries=entries)


def test_a_wrong_size_of_a_manifest_is_a_warning_because_its_digest_is_right(
    registry: Resolving, caplog: pytest.LogCaptureFixture
) -> None:
    built = member(AMD64)
    registry.add(missized(built))
    descriptor = registry.resolve().manifest.descriptor
    assert (str(descriptor.digest), descriptor.size) == (built.digest, len(built.raw))
    assert f"does not match the index: expected 1 bytes, got {len(built.raw)} bytes" in caplog.text


def test_under_strict_a_wrong_size_is_an_error(registry: Resolving) -> None:
    registry.add(missized(member(AMD64)))
    with pytest.raises(VerificationError, match="does not match the index"):
        registry.resolve(strict=True)


# ---- indexes within indexes ----


def nested(depth: int, built: Built, **entry: Any) -> Built:
    """Return ``built`` within so many indexes."""
    for _ in range(depth):
        built = images.index(built, entries=[{**built.entry, **entry}])
    return built


@pytest.mark.parametrize("entry", [{}, {"platform": AMD64}], ids=["nameless", "named"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_an_image_is_found_within_nested_indexes(registry: Resolving, depth: int, entry: dict[str, object]) -> None:
    built = member()
    registry.add(nested(depth, built, **entry))
    assert registry.chosen() == built.digest


def test_indexes_nested_too_deep_are_refused(registry: Resolving) -> None:
    registry.add(nested(5, member()))
    with pytest.raises(VerificationError, match="nests indexes more than 3 levels deep"):
        registry.resolve()


def test_an_index_that_the_registry_serves_for_each_of_its_own_entries_ends(registry: Resolving) -> None:
    claimed = f"sha256:{'1' * 64}"
    entry = {"mediaType": mediatypes.OCI_INDEX, "digest": claimed, "size": 0}
    size = len(images.index(entries=[{**entry, "size": 100}]).raw)
    built = images.index(entries=[{**entry, "size": size}])
    assert len(built.raw) == size
    registry.add(built)
    registry.documents[claimed] = Document(built.raw, built.media_type)
    with pytest.raises(VerificationError) as caught:
        registry.resolve()
    assert caught.value.wanted == claimed
    assert caught.value.got == built.digest
    assert registry.asked == ["1", claimed]


def test_a_nested_index_without_the_platform_gives_way_to_the_next(registry: Resolving) -> None:
    built = member()
    other = images.index(member(ARM64))
    entry = {**other.entry, "platform": AMD64}
    registry.add(images.index(other, built, entries=[entry, built.entry]))
    assert registry.chosen() == built.digest


# ---- what the index, or the user, promises ----


@pytest.mark.parametrize("by", [-1, 1])
def test_the_size_in_a_pinned_index_is_checked(registry: Resolving, by: int) -> None:
    built = member()
    size = len(built.raw)
    index = registry.add(images.index(built, entries=[{**built.entry, "size": size + by}]))
    with pytest.raises(VerificationError) as caught:
        registry.resolve(reference=pinned(index.digest))
    assert caught.value.wanted == f"{size + by} bytes"
    assert caught.value.got == f"{size} bytes"
    assert registry.kept() == {index.digest}


def test_an_entrys_digest_is_checked(registry: Resolving) -> None:
    built = member()
    index = registry.add(images.index(built))
    changed = built.raw.replace(b"schemaVersion", b"schemaVersiom")
    registry.documents[built.digest] = Document(changed, built.media_type)
    with pytest.raises(VerificationError) as caught:
        registry.resolve()
    assert caught.value.wanted == built.digest
    assert caught.value.got == f"sha256:{hashlib.sha256(changed).hexdigest()}"
    assert registry.kept() == {index.digest}


@pytest.mark.parametrize(
    "change",
    [lambda raw: raw.replace(b"amd64", b"arm64"), lambda raw: raw + b"\n", lambda raw: raw[:-1], lambda _: b"{}"],
    ids=["changed", "longer", "cut", "another"],
)
def test_what_is_asked_for_by_digest_must_have_it(registry: Resolving, change) -> None:
    built = registry.add(images.index(member()))
    registry.documents[built.digest] = Document(change(built.raw), built.media_type)
    with pytest.raises(VerificationError) as caught:
        registry.resolve(reference=pinned(built.digest))
    assert caught.value.wanted == built.digest
    assert caught.value.got == images.sha256(change(built.raw))
    assert registry.asked == [built.digest]
    assert registry.kept() == set()


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_an_image_is_found_by_its_digest(registry: Resolving, algorithm: str) -> None:
    built = registry.add(member())
    digest = Digest.of(built.raw, algorithm)
    registry.documents[str(digest)] = Document(built.raw, built.media_type)
    image = registry.resolve(reference=replace(REFERENCE, digest=digest))
    assert image.manifest.descriptor.digest == digest
    assert registry.asked == [str(digest), built.config.digest]


def test_a_pinned_index_still_leads_to_the_platform(registry: Resolving) -> None:
    built = member()
    index = registry.add(images.index(member(ARM64), built))
    image = registry.resolve(reference=pinned(index.digest))
    assert str(image.manifest.descriptor.digest) == built.digest
    assert image.references == (pinned(index.digest),)


def test_the_entrys_type_counts_and_not_the_header(registry: Resolving) -> None:
    built = images.image(images.hello(), manifest={"mediaType": None})
    registry.add(images.index(built))
    registry.documents[built.digest] = Document(built.raw, "text/plain")
    assert registry.resolve().manifest.descriptor.media_type == mediatypes.OCI_MANIFEST


# ---- the config ----


@pytest.mark.parametrize(
    "change",
    [lambda raw: raw.replace(b"/hello", b"/HELLO"), lambda raw: raw + b" ", lambda raw: raw[:-1], lambda _: b""],
    ids=["changed", "longer", "cut", "empty"],
)
def test_a_config_that_is_something_else_is_refused(registry: Resolving, change) -> None:
    built = registry.add(member())
    registry.contents[built.config.digest] = change(built.config.content)
    content = registry.contents[built.config.digest]
    cls = TransportError if len(content) < len(built.config.content) else VerificationError
    with pytest.raises(cls) as caught:
        registry.resolve()
    for words in ("the config of registry.example/team/app:1", built.config.digest, "registry.example"):
        assert words in str(caught.value)
    assert registry.kept() == {built.digest}


def test_a_config_that_is_missing_is_named(registry: Resolving) -> None:
    built = registry.add(member())
    del registry.contents[built.config.digest]
    with pytest.raises(NotFoundError, match="the config of registry"):
        registry.resolve()


@pytest.mark.parametrize("by", [-1, 1])
def test_a_config_whose_size_is_a_lie_is_refused(registry: Resolving, by: int) -> None:
    honest = member()
    descriptor = {**honest.config.descriptor, "size": len(honest.config.content) + by}
    built = images.image(images.hello(json.dumps(AMD64)), manifest={"config": descriptor})
    registry.add(built)
    with pytest.raises(VerificationError):
        registry.resolve()
    assert registry.kept() == {built.digest}


def test_it_is_refused_though_the_config_is_in_the_store(registry: Resolving) -> None:
    honest = registry.add(member())
    registry.resolve()
    descriptor = {**honest.config.descriptor, "size": len(honest.config.content) + 1}
    registry.add(images.image(images.hello(json.dumps(AMD64)), manifest={"config": descriptor}), "2")
    with pytest.raises(VerificationError):
        registry.resolve(reference=replace(REFERENCE, tag="2"))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_there_are_as_many_diff_ids_as_layers(registry: Resolving, count: int) -> None:
    diff_ids = [f"sha256:{number:064}" for number in range(count)]
    config = {"rootfs": {"type": "layers", "diff_ids": diff_ids}}
    registry.add(images.image(images.hello("one"), images.hello("two"), config=config))
    with pytest.raises(VerificationError) as caught:
        registry.resolve()
    assert caught.value.wanted == "2 diff_ids, one for each layer"
    assert caught.value.got == str(count)


# ---- what is no image at all ----


@pytest.mark.parametrize(
    ("raw", "content_type", "cls", "words"),
    [
        (b'{"schemaVersion":1,"fsLayers":[]}', "application/json", UnsupportedError, "schema 1"),
        (b'{"schemaVersion":1}', mediatypes.DOCKER_SCHEMA1, UnsupportedError, "schema 1"),
        (b'{"schemaVersion":2,"manifests":[],"layers":[]}', "", VerificationError, "ambiguous"),
        (b'{"schemaVersion":2,"manifests":[],"config":{}}', "", VerificationError, "ambiguous"),
        (b'{"schemaVersion":2,"manifests":[],"fsLayers":[]}', "", VerificationError, "ambiguous"),
        (b"not JSON", "", VerificationError, "not valid JSON"),
        (b"[]", "", VerificationError, "an object"),
    ],
    ids=[
        "schema 1",
        "schema 1 by name",
        "index and layers",
        "index and config",
        "index and schema 1",
        "no JSON",
        "no object",
    ],
)
def test_what_is_no_image_is_refused(
    registry: Resolving, *, raw: bytes, content_type: str, cls: type[ImgfetchError], words: str
) -> None:
    registry.documents["1"] = Document(raw, content_type)
    with pytest.raises(cls, match=words) as caught:
        registry.resolve()
    assert "registry.example/team/app:1" in str(caught.value)


@pytest.mark.parametrize("content_type", [mediatypes.DOCKER_SCHEMA1, f"{mediatypes.DOCKER_SCHEMA1_SIGNED}; charset=u"])
def test_schema_1_by_the_digest_of_its_signed_part_is_named_as_such(registry: Resolving, content_type: str) -> None:
    digest = f"sha256:{'0' * 64}"
    registry.documents[digest] = Document(b'{"schemaVersion":1,"fsLayers":[],"signatures":[]}', content_type)
    with pytest.raises(UnsupportedError, match="uses schema 1"):
        registry.resolve(reference=pinned(digest))


# ---- embedded content ----


def embedded(content: bytes) -> dict[str, str]:
    return {"data": base64.b64encode(content).decode()}


SOMETHING_ELSE = pytest.mark.parametrize(
    "change",
    [lambda raw: raw[:-1], lambda raw: raw + b" ", lambda raw: raw[:-1] + b" "],
    ids=["cut", "longer", "changed"],
)


def test_a_manifest_that_the_index_holds_is_not_asked_for(registry: Resolving) -> None:
    built = member()
    registry.add(images.index(built, entries=[{**built.entry, **embedded(built.raw)}]))
    assert registry.chosen() == built.digest
    assert registry.asked == ["1", built.config.digest]
    assert built.digest in registry.kept()


@SOMETHING_ELSE
def test_a_manifest_is_asked_for_where_the_index_holds_something_else(registry: Resolving, change) -> None:
    built = member()
    registry.add(images.index(built, entries=[{**built.entry, **embedded(change(built.raw))}]))
    assert registry.chosen() == built.digest
    assert registry.asked == ["1", built.digest, built.config.digest]  # if size and digest match


def test_a_config_that_the_manifest_holds_is_not_asked_for(registry: Resolving) -> None:
    honest = member()
    descriptor = {**honest.config.descriptor, **embedded(honest.config.content)}
    built = registry.add(images.image(images.hello(json.dumps(AMD64)), manifest={"config": descriptor}))
    image = registry.resolve()
    assert registry.asked == ["1"]
    assert image.config.platform == LINUX_AMD64
    assert registry.kept() == {built.digest, honest.config.digest}


@SOMETHING_ELSE
def test_a_config_is_asked_for_where_the_manifest_holds_something_else(registry: Resolving, change) -> None:
    honest = member()
    descriptor = {**honest.config.descriptor, **embedded(change(honest.config.content))}
    registry.add(images.image(images.hello(json.dumps(AMD64)), manifest={"config": descriptor}))
    registry.resolve()
    assert registry.asked == ["1", honest.config.digest]
