from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgfetch.errors import ImgfetchError, InvalidReferenceError
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference, parse_location

CASES = Path(__file__).parents[3] / "fixtures/references.json"
"""Answers of the distribution project's own library."""

SHA256 = f"sha256:{'0123456789abcdef' * 4}"
SHA512 = f"sha512:{'0123456789abcdef' * 8}"

Case = dict[str, Any]


def reference_cases(part: str, select: Callable[[Case], bool] = lambda _: True) -> list[Any]:
    """Return a part of the file as a table."""
    cases = [case for case in json.loads(CASES.read_text())[part] if select(case)]
    return [pytest.param(case, id=f"{number}-{name_of(case)[:50]}") for number, case in enumerate(cases)]


def name_of(case: Case) -> str:
    return str(case.get("input") or case.get("domain") or case.get("combined") or "empty")


def expected(case: Case) -> Case:
    answer: Case = case.get("expect_with_sha384_sha512_registered") or case["expect"]
    return answer


def is_accepted(case: Case) -> bool:
    return "error" not in expected(case)


def is_rejected(case: Case) -> bool:
    return not is_accepted(case)


@pytest.mark.parametrize("case", reference_cases("cases", is_accepted))
def test_a_reference_is_read_as_docker_reads_it(case: Case) -> None:
    reference, wanted = Reference.parse(case["input"]), expected(case)
    assert reference.registry == wanted["domain"]
    assert reference.repository == wanted["path"]
    assert (reference.tag or "") == wanted["tag"]
    assert str(reference.digest or "") == wanted["digest"]
    assert str(reference) == wanted["canonical"]


@pytest.mark.parametrize("case", reference_cases("cases", lambda case: is_accepted(case) and "pull" in expected(case)))
def test_a_reference_is_pulled_as_docker_pulls_it(case: Case) -> None:
    reference, wanted = Reference.parse(case["input"]), expected(case)["pull"]
    assert reference.target == wanted["reference"]
    completed = reference.with_default_tag()
    if completed.digest is not None:
        completed = replace(completed, tag=None)  # docker takes the digest alone when both are given
    assert str(completed) == wanted["canonical"]


@pytest.mark.parametrize("case", reference_cases("cases", is_rejected))
def test_what_docker_rejects_is_refused(case: Case) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        Reference.parse(case["input"])
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("case", reference_cases("domains", lambda case: is_accepted(case["as_reference"])))
def test_a_registry_is_read_as_docker_reads_it(case: Case) -> None:
    reference, wanted = Reference.parse(case["as_reference"]["input"]), expected(case["as_reference"])
    assert (reference.registry, reference.repository) == (wanted["domain"], wanted["path"])
    assert (reference.tag or "", str(reference.digest or "")) == (wanted["tag"], wanted["digest"])


@pytest.mark.parametrize("case", reference_cases("domains", lambda case: is_rejected(case["as_reference"])))
def test_a_registry_that_docker_rejects_is_refused(case: Case) -> None:
    with pytest.raises(InvalidReferenceError, match="invalid reference"):
        Reference.parse(case["as_reference"]["input"])


@pytest.mark.parametrize("case", reference_cases("compose"))
def test_a_name_is_written_with_its_tag_and_digest(case: Case) -> None:
    reference = Reference.parse(case["name"])
    if case["tag"]:
        reference = replace(reference, tag=case["tag"])
    if case["digest"]:
        reference = replace(reference, digest=Digest(*case["digest"].split(":")))
    prefix = "" if "/" in case["name"] else "docker.io/library/"
    assert str(reference) == f"{prefix}{case['combined']}"


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        pytest.param("busybox", "docker.io", "library/busybox", None, None, id="Hub, official"),
        pytest.param("user/app", "docker.io", "user/app", None, None, id="Hub, of a user"),
        pytest.param("docker.io/busybox", "docker.io", "library/busybox", None, None, id="Hub by name"),
        pytest.param("docker.io/user/app:1", "docker.io", "user/app", "1", None, id="Hub by name, of a user"),
        pytest.param("index.docker.io/busybox", "docker.io", "library/busybox", None, None, id="Hub's old name"),
        pytest.param("localhost/x", "localhost", "x", None, None, id="localhost"),
        pytest.param("localhost", "docker.io", "library/localhost", None, None, id="an image called localhost"),
        pytest.param("quay.io/x/y", "quay.io", "x/y", None, None, id="quay.io"),
        pytest.param("host:5000/a/b:tag", "host:5000", "a/b", "tag", None, id="port and tag"),
        pytest.param("host:5000", "docker.io", "library/host", "5000", None, id="a tag that looks like a port"),
        pytest.param("UPPER/app", "UPPER", "app", None, None, id="a host in upper case"),
        pytest.param("[::1]:5000/x", "[::1]:5000", "x", None, None, id="IPv6 address"),
        pytest.param("10.0.0.1/x", "10.0.0.1", "x", None, None, id="IPv4 address"),
        pytest.param(f"name:tag@{SHA256}", "docker.io", "library/name", "tag", SHA256, id="tag and digest"),
        pytest.param(f"quay.io/x/y@{SHA256}", "quay.io", "x/y", None, SHA256, id="digest"),
        pytest.param(f"quay.io/x/y@{SHA512}", "quay.io", "x/y", None, SHA512, id="sha512"),
        pytest.param("a__b/c-d/e.f/g---h", "docker.io", "a__b/c-d/e.f/g---h", None, None, id="separators"),
        pytest.param(f"x:{'t' * 128}", "docker.io", "library/x", "t" * 128, None, id="longest tag"),
        pytest.param(f"quay.io/{'a' * 255}", "quay.io", "a" * 255, None, None, id="longest repository"),
        pytest.param("a" * 247, "docker.io", f"library/{'a' * 247}", None, None, id="longest repository of the Hub"),
    ],
)
def test_a_reference_has_the_defaults_of_docker(
    text: str, registry: str, repository: str, tag: str | None, digest: str | None
) -> None:
    reference = Reference.parse(text)
    assert (reference.registry, reference.repository, reference.tag) == (registry, repository, tag)
    assert (str(reference.digest) if reference.digest else None) == digest


@pytest.mark.parametrize(
    ("text", "target"),
    [
        pytest.param("busybox", "latest", id="neither"),
        pytest.param("busybox:1.36", "1.36", id="tag"),
        pytest.param(f"busybox@{SHA256}", SHA256, id="digest"),
        pytest.param(f"busybox:1.36@{SHA256}", SHA256, id="digest decides"),
    ],
)
def test_the_target_is_the_digest_or_the_tag_or_latest(text: str, target: str) -> None:
    assert Reference.parse(text).target == target


@pytest.mark.parametrize(
    ("text", "completed"),
    [
        pytest.param("busybox", "docker.io/library/busybox:latest", id="neither"),
        pytest.param("busybox:1.36", "docker.io/library/busybox:1.36", id="tag"),
        pytest.param(f"busybox@{SHA256}", f"docker.io/library/busybox@{SHA256}", id="digest"),
        pytest.param(f"busybox:1@{SHA256}", f"docker.io/library/busybox:1@{SHA256}", id="both"),
    ],
)
def test_the_default_tag_is_given_only_where_nothing_else_is(text: str, completed: str) -> None:
    assert str(Reference.parse(text).with_default_tag()) == completed


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("alpine:3.20", "alpine_3.20"),
        ("quay.io/team/app:1", "quay.io_team_app_1"),
        (f"localhost:5000/app:1@sha256:{'0123456789ab' * 5}cdef", "localhost_5000_app_1@0123456789ab"),
        (f"alpine@sha256:{'0123456789ab' * 5}cdef", "alpine@0123456789ab"),
    ],
)
def test_a_file_name_is_short_and_has_no_character_that_readers_refuse(text: str, name: str) -> None:
    assert Reference.parse(text).file_name == name


def test_the_name_is_the_registry_and_the_repository() -> None:
    assert Reference.parse(f"busybox:1@{SHA256}").name == "docker.io/library/busybox"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        pytest.param("", "the reference is empty", id="empty"),
        pytest.param("x" * 5000, "too long: 5000 characters", id="absurdly long"),
        pytest.param("busybox:", "'' is not a valid tag", id="empty tag"),
        pytest.param("busybox:-x", "'-x' is not a valid tag", id="tag begins with a hyphen"),
        pytest.param("busybox:a:b", "'a:b' is not a valid tag", id="two tags"),
        pytest.param(f"busybox:{'t' * 129}", "is not a valid tag", id="long tag"),
        pytest.param("Busybox", "'Busybox' must be lower-case", id="upper case"),
        pytest.param("quay.io/App", "'App' must be lower-case", id="upper case with a registry"),
        pytest.param("quay.io/", "the repository is missing", id="registry alone"),
        pytest.param(":tag", "the repository is missing", id="tag alone"),
        pytest.param(f"@{SHA256}", "the repository is missing", id="digest alone"),
        pytest.param("[::1]:5000", "the repository is missing", id="address alone"),
        pytest.param("host:port/app", "'host:port' is not a valid registry", id="port that is not a number"),
        pytest.param("-host.example/app", "'-host.example' is not a valid registry", id="host begins with a hyphen"),
        pytest.param("[::1/app", "'[::1' is not a valid registry", id="bracket left open"),
        pytest.param("quay.io/a//b", "'a//b' has an empty part", id="empty part"),
        pytest.param("quay.io/a/-b", "'-b' in the repository", id="part begins with a hyphen"),
        pytest.param("quay.io/a..b", "'a..b' in the repository", id="two dots"),
        pytest.param("quay.io/../b", "'..' in the repository", id="path upwards"),
        pytest.param("a___b", "'a___b' in the repository", id="three underscores"),
        pytest.param(f"quay.io/{'a' * 256}", "256 characters, more than 255", id="long repository"),
        pytest.param("a" * 248, "256 characters, more than 255", id="long repository of the Hub"),
        pytest.param("busybox@sha256:12", "not a valid digest", id="short digest"),
        pytest.param("busybox@", "not a valid digest", id="empty digest"),
        pytest.param(f"busybox@{SHA256.upper()}", "not a valid digest", id="digest in upper case"),
        pytest.param(f"busybox@{SHA256}:tag", "not a valid digest", id="tag behind the digest"),
        pytest.param("0123456789abcdef" * 4, "an image ID, not a name", id="image ID"),
        pytest.param("busybox ", "'busybox ' in the repository", id="space behind"),
        pytest.param("busybox\n", "in the repository", id="line break behind"),
        pytest.param("busyb\u00f6x", "in the repository", id="not ASCII"),
    ],
)
def test_a_message_says_which_part_of_a_reference_is_wrong(text: str, part: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        Reference.parse(text)
    assert part in str(caught.value)


def test_a_message_shows_no_control_characters_of_a_reference() -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        Reference.parse("quay.io/\x1b[31mred\u202e")
    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("https://quay.io/x/y", id="https"),
        pytest.param("docker://quay.io/x/y:1", id="docker"),
        pytest.param("https://alice:s3cret@quay.io/x/y", id="with a login"),
    ],
)
def test_a_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidReferenceError, match=r"^a reference is not a URL$") as caught:
        Reference.parse(text)
    assert caught.value.hint == "leave out the scheme: write REGISTRY/REPOSITORY[:TAG]"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("alice:s3cret@quay.io/x/y", id="login"),
        pytest.param("alice:s3cret@quay.io:5000/x/y:1", id="login, port and tag"),
        pytest.param("alice:p@s3cret@quay.io/x/y", id="at sign in the password"),
        pytest.param("alice:p/s3cret@quay.io/x/y", id="slash in the password"),
        pytest.param(f"alice:s3cret@quay.io/x/y@{SHA256}", id="login and digest"),
    ],
)
def test_a_login_in_a_reference_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        Reference.parse(text)
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"
    assert "user name or password" in str(caught.value)


@pytest.mark.parametrize("text", ["alice:s3cret@quay.io", "alice:p@s3cret@quay.io/x", "alice:p/s3cret@quay.io/x"])
def test_a_login_in_the_name_of_a_registry_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        parse_location(text)
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"
    assert "user name or password" in str(caught.value)


def test_an_invalid_reference_is_both_a_value_error_and_our_own() -> None:
    assert issubclass(InvalidReferenceError, ValueError)
    assert issubclass(InvalidReferenceError, ImgfetchError)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("quay.io", ("quay.io", "")),
        ("localhost/", ("localhost", "")),
        ("index.docker.io/team", ("docker.io", "team")),
        ("[::1]:5000/a/b", ("[::1]:5000", "a/b")),
        ("registry", None),
        ("", None),
        ("quay.io/Team", None),
        ("quay.io/a//b", None),
        ("quay.io/" + "a" * 255, None),
        ("user@quay.io/a", None),
    ],
)
def test_a_name_starts_with_a_registry_and_perhaps_a_path(text: str, parts: tuple[str, str] | None) -> None:
    if parts is not None:
        assert parse_location(text) == parts
    else:
        with pytest.raises(InvalidReferenceError):
            parse_location(text)
