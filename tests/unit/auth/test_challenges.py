from __future__ import annotations

from collections.abc import Mapping

import pytest

from imgfetch.auth import challenges as reader
from imgfetch.auth.challenges import MAX_HEADER, Challenge
from imgfetch.text import ServerText


def parse(lines: list[str]) -> tuple[Challenge, ...]:
    """Return challenges with their parameters as texts."""
    found = reader.parse([ServerText(line) for line in lines])
    return tuple(each._replace(parameters=as_sent(each.parameters)) for each in found)  # type: ignore[arg-type]


def as_sent(parameters: Mapping[str, ServerText]) -> dict[str, str]:
    return {name: value.as_sent for name, value in parameters.items()}


def basic(**parameters: str) -> Challenge:
    return Challenge("basic", parameters)  # type: ignore[arg-type]


def bearer(**parameters: str) -> Challenge:
    return Challenge("bearer", parameters)  # type: ignore[arg-type]


BEARER = bearer(realm="https://auth.example/token", service="registry.example")


@pytest.mark.parametrize(
    ("lines", "challenges"),
    [
        pytest.param([], [], id="no header"),
        pytest.param([""], [], id="empty header"),
        pytest.param([" , ,"], [], id="empty elements"),
        pytest.param(
            ['Bearer realm="https://auth.example/token",service="registry.example"'], [BEARER], id="Docker Hub's form"
        ),
        pytest.param(
            ['Bearer realm="https://auth.example/token", service="registry.example"'], [BEARER], id="space after comma"
        ),
        pytest.param(
            ['bEARER REALM="https://auth.example/token",Service="registry.example"'], [BEARER], id="in any case"
        ),
        pytest.param(
            ['  Bearer   realm = "https://auth.example/token" ,\tservice\t=\t"registry.example" , '],
            [BEARER],
            id="odd spaces and a trailing comma",
        ),
        pytest.param(
            ["Bearer realm=https://auth.example/token,service=registry.example"], [BEARER], id="without quotes"
        ),
        pytest.param(['Basic realm="a"'], [basic(realm="a")], id="Basic"),
        pytest.param(['Basic realm="say \\"a\\", \\\\b"'], [basic(realm='say "a", \\b')], id="quoted quotes"),
        pytest.param(
            ['Bearer realm="a",scope="repository:x:pull,push repository:y:pull"'],
            [bearer(realm="a", scope="repository:x:pull,push repository:y:pull")],
            id="quoted commas",
        ),
        pytest.param(['Bearer realm="a, Basic realm=b"'], [bearer(realm="a, Basic realm=b")], id="no challenge"),
        pytest.param(['Bearer realm=""'], [bearer(realm="")], id="empty value"),
        pytest.param(['Bearer realm="a",realm="b"'], [bearer(realm="a")], id="the first of two wins"),
        pytest.param(["Negotiate"], [Challenge("negotiate")], id="scheme alone"),
        pytest.param(
            ["Negotiate YWJjZA==, NTLM a/b+c~d==, Basic realm=x"],
            [Challenge("negotiate"), Challenge("ntlm"), basic(realm="x")],
            id="token68",
        ),
        pytest.param(["Basic, Bearer realm=a"], [basic(), bearer(realm="a")], id="bare Basic"),
        pytest.param(
            ['Basic realm="q", Bearer realm="a",service="s"'],
            [basic(realm="q"), bearer(realm="a", service="s")],
            id="Basic, Bearer",
        ),
        pytest.param(
            ['Bearer realm="a",service="s", Basic realm="q"'],
            [bearer(realm="a", service="s"), basic(realm="q")],
            id="Bearer, Basic",
        ),
        pytest.param(
            ['Negotiate, Bearer realm="a",scope="repository:foo:pull,push", Basic realm="q"'],
            [
                Challenge("negotiate"),
                bearer(realm="a", scope="repository:foo:pull,push"),
                basic(realm="q"),
            ],
            id="three in a line",
        ),
        pytest.param(
            ["Negotiate", 'Basic realm="q"', 'Bearer realm="a"'],
            [Challenge("negotiate"), basic(realm="q"), bearer(realm="a")],
            id="three lines",
        ),
        pytest.param(
            ['Digest realm="r", nonce="n", qop="auth,auth-int", algorithm=SHA-256'],
            [bearer(realm="r", nonce="n", qop="auth,auth-int", algorithm="SHA-256")._replace(scheme="digest")],
            id="Digest",
        ),
        pytest.param(['Bearer realm="left open'], [bearer()], id="quote left open"),
        pytest.param(['"junk", Basic realm="q"'], [basic(realm="q")], id="junk before"),
        pytest.param(['=, ;;; , Bearer realm="a"'], [bearer(realm="a")], id="more junk before"),
        pytest.param(
            ['Bearer error="insufficient_scope",realm="/token"'],
            [bearer(error="insufficient_scope", realm="/token")],
            id="relative realm",
        ),
    ],
)
def test_every_challenge_of_a_header_is_read(lines: list[str], challenges: list[Challenge]) -> None:
    assert list(parse(lines)) == challenges


@pytest.mark.parametrize(
    "piece", ['a="', "a ", "a=", '"', "\\", ",", "a,", "a=b,", 'a="\\"', "= ", "\t", "\x00", "\u00e9"], ids=repr
)
def test_a_huge_header_comes_to_an_end(piece: str) -> None:
    challenges = parse([f"Bearer {piece * 100_000}"])
    assert all(challenge.scheme == challenge.scheme.lower() for challenge in challenges)
    assert sum(1 + len(challenge.parameters) for challenge in challenges) <= MAX_HEADER


def test_what_follows_the_limit_of_a_header_is_not_read() -> None:
    assert parse([f"Basic{' ' * 64 * 1024}, Bearer"]) == (basic(),)


def test_the_limit_is_that_of_all_lines_together() -> None:
    line = "a," * (MAX_HEADER // 4)
    assert len(parse([line] * 60)) == MAX_HEADER // 2
    assert parse(["Basic", *[line] * 60, "Bearer"])[0] == basic()
    assert basic() not in parse([line] * 60 + ["Basic"])
