from __future__ import annotations

import pytest

from imgfetch.errors import InvalidReferenceError
from imgfetch.oci.digest import Digest
from imgfetch.upload.names import Destination, Rewrite

DIGEST = Digest.of(b"")


@pytest.mark.parametrize("text", ["", "quay.io/x", "=team", "/=team"])
def test_a_rewrite_without_both_sides_is_refused(text: str) -> None:
    with pytest.raises(InvalidReferenceError, match="is not a valid rewrite") as caught:
        Rewrite.parse(text)
    assert "OLD=NEW" in str(caught.value.hint)


@pytest.mark.parametrize(
    "text", ["team/app", "https://registry.example", "registry.example/UPPER", "registry.example//x"]
)
def test_a_destination_is_a_registry_with_an_optional_prefix(text: str) -> None:
    with pytest.raises(InvalidReferenceError):
        Destination.parse(text)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("https://registry.example", "a destination is not a URL", "leave out the scheme"),
        ("docker://registry.example/x:1", "a destination is not a URL", "leave out the scheme"),
        ("registry.example/team/app:1.4", "a destination has no tag", "--rewrite"),
        ("docker.io/app:1.4", "a destination has no tag", "--rewrite"),
    ],
)
def test_an_image_as_the_destination_is_told_from_a_prefix(text: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        Destination.parse(text)
    assert str(caught.value) == message
    assert "REGISTRY[/PREFIX]" in str(caught.value.hint)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("text", ["team", "team/app"])
def test_a_destination_without_a_registry_is_perhaps_at_docker_hub(text: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        Destination.parse(text)
    assert str(caught.value) == f"the destination '{text}' has no registry"
    assert caught.value.hint == f"write REGISTRY[/PREFIX]; Docker Hub's is docker.io/{text}"


def test_a_password_in_the_destination_is_not_repeated() -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        Destination.parse("alice:s3cret@registry.example/x")
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"
    assert "user name or password" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", f"registry.example/team@{DIGEST}"),
        ("v1", "registry.example/team:v1"),
        ("quay.io/x/y", f"registry.example/team/x/y@{DIGEST}"),
        (f"quay.io/x/y:1@{DIGEST}", "registry.example/team/x/y:1"),
        (f"quay.io/x/y@{DIGEST}", f"registry.example/team/x/y@{DIGEST}"),
    ],
)
def test_an_image_gets_the_prefix_for_a_repository_and_the_digest_for_a_tag(name: str, expected: str) -> None:
    assert str(Destination.parse("registry.example/team/").of(name, DIGEST)) == expected


def test_an_image_without_a_repository_needs_a_prefix() -> None:
    with pytest.raises(InvalidReferenceError, match="gives no name to v1") as caught:
        Destination.parse("registry.example").of("v1", DIGEST)
    assert caught.value.hint == "add one: registry.example/NAME"


@pytest.mark.parametrize("new", ["UPPER", "a//b", "../x", "a b", "x:1"])
def test_a_rewrite_to_an_invalid_name_is_refused(new: str) -> None:
    with pytest.raises(InvalidReferenceError):
        Destination.parse("registry.example", f"quay.io/x={new}").of("quay.io/x/y:1", DIGEST)


def test_repositories_are_those_of_full_names() -> None:
    place = Destination.parse("registry.example/p", ["quay.io=mirror"])
    assert place.repositories(["quay.io/x/y:1", "docker.io/library/z:2", "No Name.tar"]) == (
        "p/mirror/x/y",
        "p/library/z",
    )


def test_docker_hub_is_a_destination_too() -> None:
    assert str(Destination.parse("docker.io/me").of("quay.io/x/y:1", DIGEST)) == "docker.io/me/x/y:1"
