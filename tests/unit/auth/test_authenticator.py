"""A challenge is answered with a token, which goes where it belongs and nowhere else."""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import pytest
import responses
from urllib3 import HTTPHeaderDict

import imgfetch.auth.token_reply
from imgfetch.errors import (
    AuthenticationError,
    ImgfetchError,
    NotFoundError,
    RateLimitedError,
    TransportError,
    UnavailableError,
)
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference
from imgfetch.registry.client import Registry
from tests.loopback import Answer, Loopback

BASE = "https://registry.example"
MANIFEST = f"{BASE}/v2/team/app/manifests/1"
REFERENCE = Reference.parse("registry.example/team/app:1")
BLOB = Descriptor("", Digest.of(b"content"), 7)
BLOB_URL = f"{BASE}/v2/team/app/blobs/{BLOB.digest}"
REALM = "https://auth.example/token"
CHALLENGE = f'Bearer realm="{REALM}",service="registry.example"'
OWN_SCOPE = ("scope", "repository:team/app:pull")
CLIENT = ("client_id", "imgfetch")
SECRET = "SECRET-TOKEN"


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry("registry.example") as registry:
        yield registry


class Clock:
    """A monotonic clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(imgfetch.auth.token_reply, "time", SimpleNamespace(monotonic=clock))
    return clock


def guard(
    wire: responses.RequestsMock, url: str, accepted: set[str], *challenges: str, body: bytes = b"{}", status: int = 200
) -> None:
    """Answer ``url`` for one of the accepted ``Authorization`` headers, and challenge all others."""

    def answer(request: object) -> tuple[int, object, bytes]:
        if request.headers.get("Authorization") in accepted:
            return status, {}, body
        return 401, HTTPHeaderDict(("WWW-Authenticate", challenge) for challenge in challenges), b""

    wire.add_callback("GET", url, callback=answer)


def give_tokens(wire: responses.RequestsMock, *values: str, **extra: object) -> None:
    """Answer token requests with one token after the other."""
    for value in values:
        wire.get(REALM, json={"token": value, **extra})


def asked(wire: responses.RequestsMock, url: str = "") -> list[str]:
    """Return what was asked, without the queries, or of one URL with them."""
    urls = [call.request.url for call in wire.calls]
    return [found for found in urls if found.partition("?")[0] == url] if url else [u.partition("?")[0] for u in urls]


def queries(wire: responses.RequestsMock) -> list[list[tuple[str, str]]]:
    return [parse_qsl(urlsplit(url).query, keep_blank_values=True) for url in asked(wire, REALM)]


def authorizations(wire: responses.RequestsMock) -> list[str | None]:
    return [call.request.headers.get("Authorization") for call in wire.calls]


def story(error: BaseException | None) -> str:
    """Return all that the command shows of an error: what failed, why, and what to do."""
    if not isinstance(error, ImgfetchError):
        return ""
    return f"{error}; {error.hint}; {story(error.__cause__)}"


def read_blob(registry: Registry) -> bytes:
    with registry.blob(REFERENCE, BLOB, "layer 1") as response:
        return b"".join(response.chunks(100))


# ---- the flow ----


def test_without_a_challenge_there_is_no_token_and_no_ping(wire: responses.RequestsMock, registry: Registry) -> None:
    wire.get(MANIFEST, body=b"{}")
    registry.manifest(REFERENCE)
    assert asked(wire) == [MANIFEST]
    assert authorizations(wire) == [None]


def test_a_challenge_is_answered_with_a_token_from_its_realm(wire: responses.RequestsMock, registry: Registry) -> None:
    guard(wire, MANIFEST, {f"Bearer {SECRET}"}, CHALLENGE)
    give_tokens(wire, SECRET)
    assert registry.manifest(REFERENCE).raw == b"{}"
    assert asked(wire) == [MANIFEST, REALM, MANIFEST]
    assert authorizations(wire) == [None, None, f"Bearer {SECRET}"]
    assert wire.calls[1].request.headers["Accept-Encoding"] == "identity"
    assert wire.calls[1].request.method == "GET"


def test_a_token_server_is_given_15_seconds(wire: responses.RequestsMock, registry: Registry) -> None:
    guard(wire, MANIFEST, {f"Bearer {SECRET}"}, CHALLENGE)
    give_tokens(wire, SECRET)
    registry.manifest(REFERENCE)
    connect, read = wire.calls[1].request.req_kwargs["timeout"]
    assert connect <= 15.0
    assert read <= 15.0


def test_a_token_is_used_again_for_the_same_repository(wire: responses.RequestsMock, registry: Registry) -> None:
    guard(wire, MANIFEST, {f"Bearer {SECRET}"}, CHALLENGE)
    guard(wire, BLOB_URL, {f"Bearer {SECRET}"}, CHALLENGE, body=b"content")
    give_tokens(wire, SECRET)
    registry.manifest(REFERENCE)
    assert read_blob(registry) == b"content"
    assert asked(wire) == [MANIFEST, REALM, MANIFEST, BLOB_URL]


def test_another_repository_gets_a_token_of_its_own(wire: responses.RequestsMock, registry: Registry) -> None:
    other = f"{BASE}/v2/team/other/manifests/1"
    guard(wire, MANIFEST, {"Bearer one"}, CHALLENGE)
    guard(wire, other, {"Bearer two"}, CHALLENGE)
    give_tokens(wire, "one", "two")
    registry.manifest(REFERENCE)
    registry.manifest(Reference.parse("registry.example/team/other:1"))
    assert authorizations(wire) == [None, None, "Bearer one", None, None, "Bearer two"]
    assert queries(wire)[1] == [("service", "registry.example"), ("scope", "repository:team/other:pull"), CLIENT]


def test_each_repository_keeps_the_realm_that_was_announced_for_it(
    wire: responses.RequestsMock, registry: Registry
) -> None:
    other = f"{BASE}/v2/team/other/manifests/1"
    guard(wire, MANIFEST, {"Bearer one"}, CHALLENGE)
    guard(wire, other, {"Bearer two"}, 'Bearer realm="https://other.example/token",service="other"')
    guard(wire, BLOB_URL, {"Bearer one"}, CHALLENGE, body=b"content")
    give_tokens(wire, "one")
    wire.get("https://other.example/token", json={"token": "two"})
    registry.manifest(REFERENCE)
    registry.manifest(Reference.parse("registry.example/team/other:1"))
    assert read_blob(registry) == b"content"
    assert asked(wire)[6:] == [BLOB_URL]
    assert authorizations(wire)[6:] == ["Bearer one"]


def test_the_token_is_not_sent_to_the_storage_host(wire: responses.RequestsMock, registry: Registry) -> None:
    store = "https://store.example/data"
    wire.get(BLOB_URL, status=401, headers={"WWW-Authenticate": CHALLENGE})
    give_tokens(wire, SECRET)
    wire.get(BLOB_URL, status=307, headers={"Location": store})
    wire.get(store, body=b"content")
    assert read_blob(registry) == b"content"
    assert asked(wire) == [BLOB_URL, REALM, BLOB_URL, store]
    assert authorizations(wire) == [None, None, f"Bearer {SECRET}", None]


def test_a_challenge_of_the_storage_host_is_answered_without_a_login_and_once(
    wire: responses.RequestsMock, registry: Registry
) -> None:
    store = "https://store.example/data"
    wire.get(BLOB_URL, status=401, headers={"WWW-Authenticate": CHALLENGE})
    give_tokens(wire, SECRET)
    wire.get(BLOB_URL, status=307, headers={"Location": store})
    wire.get(store, status=401, headers={"WWW-Authenticate": 'Bearer realm="https://other.example/token"'})
    wire.get("https://other.example/token", json={"token": "ANYBODYS"})
    wire.get(store, status=401)
    with pytest.raises(ImgfetchError):
        read_blob(registry)
    given = [None, None, f"Bearer {SECRET}", None, None, "Bearer ANYBODYS"]
    assert authorizations(wire) == given


# ---- challenges ----


@pytest.mark.parametrize(
    ("lines", "url", "query"),
    [
        (
            ['Bearer realm="https://auth.example/token",service="registry.example"'],
            "https://auth.example/token",
            [("service", "registry.example"), OWN_SCOPE, CLIENT],
        ),
        (
            ['Bearer realm="https://auth.example/token"'],
            "https://auth.example/token",
            [OWN_SCOPE, CLIENT],
        ),
        (
            ['Bearer realm="https://auth.example/token",service=""'],
            "https://auth.example/token",
            [OWN_SCOPE, CLIENT],
        ),
        (
            ['Bearer realm="https://auth.example/token?host=a.example&x=",service="s"'],
            "https://auth.example/token",
            [("host", "a.example"), ("x", ""), ("service", "s"), OWN_SCOPE, CLIENT],
        ),
        (
            ['Bearer realm="/service/token",service="s"'],
            "https://registry.example/service/token",
            [("service", "s"), OWN_SCOPE, CLIENT],
        ),
        (
            ['Bearer realm="//auth.example/token",service="s"'],
            "https://auth.example/token",
            [("service", "s"), OWN_SCOPE, CLIENT],
        ),
        (
            ['Bearer realm="http://registry.example:20000/service/token",service="harbor-registry"'],
            "http://registry.example:20000/service/token",
            [("service", "harbor-registry"), OWN_SCOPE, CLIENT],
        ),
        (
            ['Bearer realm="https://auth.example/token",service="a, b, Basic realm=c"'],
            "https://auth.example/token",
            [("service", "a, b, Basic realm=c"), OWN_SCOPE, CLIENT],
        ),
        (
            ['Bearer realm="https://auth.example/token",service="a \\"b\\" \\\\c"'],
            "https://auth.example/token",
            [("service", 'a "b" \\c'), OWN_SCOPE, CLIENT],
        ),
        (
            ['Bearer realm="https://dockerauth.example/auth",service="registry.aliyuncs.com:cn-hangzhou:26842"'],
            "https://dockerauth.example/auth",
            [("service", "registry.aliyuncs.com:cn-hangzhou:26842"), OWN_SCOPE, CLIENT],
        ),
        (
            ['bearer  REALM = "https://auth.example/token" ,  Service=registry.example,  '],
            "https://auth.example/token",
            [("service", "registry.example"), OWN_SCOPE, CLIENT],
        ),
        (
            ["Negotiate", 'Basic realm="q"', 'Bearer realm="https://auth.example/token",service="s"'],
            "https://auth.example/token",
            [("service", "s"), OWN_SCOPE, CLIENT],
        ),
        (
            ['Basic realm="q", Bearer realm="https://auth.example/token",service="s"'],
            "https://auth.example/token",
            [("service", "s"), OWN_SCOPE, CLIENT],
        ),
        (
            ['Bearer realm="https://auth.example/token",service="s", Basic realm="q"'],
            "https://auth.example/token",
            [("service", "s"), OWN_SCOPE, CLIENT],
        ),
        (
            ['Negotiate YWJjZA==, NTLM, Digest realm="d", Bearer realm="https://auth.example/token",service="s"'],
            "https://auth.example/token",
            [("service", "s"), OWN_SCOPE, CLIENT],
        ),
        (
            ['Bearer realm="https://auth.example/token",service="s",scope="repository:team/app:pull"'],
            "https://auth.example/token",
            [("service", "s"), OWN_SCOPE, CLIENT],
        ),
        (
            ['Bearer realm="https://auth.example/token",scope="repository:team/base:pull repository:team/app:pull"'],
            "https://auth.example/token",
            [("scope", "repository:team/base:pull"), OWN_SCOPE, CLIENT],
        ),
        (
            ['Bearer realm="https://auth.example/token",scope="repository:host:5000/team/app:pull,push"'],
            "https://auth.example/token",
            [("scope", "repository:host:5000/team/app:pull,push"), OWN_SCOPE, CLIENT],
        ),
        (
            ['Bearer realm="https://public.ecr.aws/token/",service="public.ecr.aws",scope="aws"'],
            "https://public.ecr.aws/token/",
            [("service", "public.ecr.aws"), ("scope", "aws"), OWN_SCOPE, CLIENT],
        ),
        (
            ['Bearer realm="https://auth.example/token",service="s",error="invalid_token"'],
            "https://auth.example/token",
            [("service", "s"), OWN_SCOPE, CLIENT],
        ),
    ],
    ids=[
        "plain",
        "no service",
        "empty service",
        "realm with its own query",
        "relative realm",
        "realm without a scheme",
        "http realm on another port",
        "quoted commas",
        "quoted quotes",
        "service with colons",
        "odd case and spaces",
        "three lines",
        "Basic first in one line",
        "Bearer first in one line",
        "five schemes in one line",
        "scope as ours",
        "several scopes in one parameter",
        "scope with a port",
        "scope that is no repository",
        "an error besides",
    ],
)
def test_a_token_is_asked_for_at_the_realm_for_service_and_scope(
    wire: responses.RequestsMock, registry: Registry, lines: list[str], url: str, query: list[tuple[str, str]]
) -> None:
    guard(wire, MANIFEST, {f"Bearer {SECRET}"}, *lines)
    wire.get(re.compile(re.escape(url)), json={"token": SECRET})
    registry.manifest(REFERENCE)
    assert asked(wire) == [MANIFEST, url, MANIFEST]
    parts = urlsplit(wire.calls[1].request.url)
    assert parse_qsl(parts.query, keep_blank_values=True) == query
    assert parts.fragment == ""


def test_a_relative_realm_starts_from_the_url_that_was_asked(wire: responses.RequestsMock, registry: Registry) -> None:
    guard(wire, MANIFEST, {f"Bearer {SECRET}"}, 'Bearer realm="token"')
    wire.get(re.compile(r"https://registry\.example/v2/.*token"), json={"token": SECRET})
    registry.manifest(REFERENCE)
    assert asked(wire)[1] == f"{BASE}/v2/team/app/manifests/token"


@pytest.mark.parametrize(
    ("challenge", "words"),
    [
        ("Bearer", "names no token server"),
        ('Bearer service="s"', "names no token server"),
        ('Bearer realm=""', "names no token server"),
        ('Bearer realm="https://user:PASSWORD@auth.example/token"', "cannot be used: https://auth.example/token"),
        ('Bearer realm="https://user@auth.example/token"', "cannot be used"),
        ('Bearer realm="ftp://auth.example/token"', "cannot be used: ftp://auth.example/token"),
        ('Bearer realm="file:///etc/passwd"', "cannot be used"),
        ('Bearer realm="https://:443/token"', "cannot be used"),
        ('Bearer realm="https://auth.example:port/token"', "cannot be used"),
        ('Bearer realm="http://[::1/token"', "cannot be used"),
        ('Bearer realm="http://169.254.169.254/token"', "cannot be used"),
        ('Bearer realm="https://[fd00:ec2::254]/token"', "cannot be used"),
        ('Bearer realm="https://127.0.0.1:5000/token"', "cannot be used"),
        ('Basic realm="Sonatype Nexus Repository Manager"', 'Basic, realm "Sonatype Nexus Repository Manager"'),
        ('BASIC realm="x", Digest realm="y"', 'Basic, realm "x"'),
    ],
    ids=[
        "no parameters",
        "no realm",
        "empty realm",
        "login in the realm",
        "user in the realm",
        "ftp",
        "file",
        "no host",
        "no port",
        "no address",
        "a link-local address",
        "a metadata address",
        "the loopback of another",
        "Basic only",
        "Basic and Digest",
    ],
)
def test_a_challenge_that_cannot_be_answered_ends_it(
    wire: responses.RequestsMock, registry: Registry, challenge: str, words: str
) -> None:
    wire.get(MANIFEST, status=401, headers={"WWW-Authenticate": challenge})
    with pytest.raises(AuthenticationError) as caught:
        registry.manifest(REFERENCE)
    assert asked(wire) == [MANIFEST]
    assert words in str(caught.value)
    assert "registry.example" in str(caught.value)
    assert "PASSWORD" not in str(caught.value)


def test_basic_alone_asks_the_user_to_log_in_and_sends_no_empty_login(
    wire: responses.RequestsMock, registry: Registry
) -> None:
    wire.get(MANIFEST, status=401, headers={"WWW-Authenticate": 'Basic realm="q"'})
    with pytest.raises(AuthenticationError) as caught:
        registry.manifest(REFERENCE)
    assert authorizations(wire) == [None]
    assert "login" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("challenge", "schemes"),
    [
        ('Digest realm="d",nonce="n"', ["digest"]),
        ("Negotiate", ["negotiate"]),
        ("Negotiate, NTLM", ["negotiate", "ntlm"]),
    ],
    ids=["Digest", "Negotiate", "two"],
)
def test_schemes_that_are_not_spoken_are_named(
    wire: responses.RequestsMock, registry: Registry, challenge: str, schemes: list[str]
) -> None:
    for url in (MANIFEST, f"{BASE}/v2/"):
        wire.get(url, status=401, headers={"WWW-Authenticate": challenge})
    with pytest.raises(AuthenticationError, match="offers only") as caught:
        registry.manifest(REFERENCE)
    assert all(scheme in str(caught.value).lower() for scheme in schemes)
    assert authorizations(wire) == [None, None]


def test_a_realm_is_cleaned_before_it_is_shown(wire: responses.RequestsMock, registry: Registry) -> None:
    wire.get(MANIFEST, status=401, headers={"WWW-Authenticate": 'Basic realm="\x1b[31mfake\x85"'})
    with pytest.raises(AuthenticationError) as caught:
        registry.manifest(REFERENCE)
    assert str(caught.value).isprintable()


# ---- the ping ----


@pytest.mark.parametrize("header", [{}, {"WWW-Authenticate": "Negotiate"}], ids=["none", "none that is usable"])
def test_a_401_without_a_usable_challenge_makes_a_ping_for_one(
    wire: responses.RequestsMock, registry: Registry, header: dict[str, str]
) -> None:
    wire.get(MANIFEST, status=401, headers=header)
    wire.get(f"{BASE}/v2/", status=401, headers={"WWW-Authenticate": CHALLENGE})
    give_tokens(wire, SECRET)
    wire.get(MANIFEST, body=b"{}")
    registry.manifest(REFERENCE)
    assert asked(wire) == [MANIFEST, f"{BASE}/v2/", REALM, MANIFEST]
    assert authorizations(wire) == [None, None, None, f"Bearer {SECRET}"]
    assert queries(wire) == [[("service", "registry.example"), OWN_SCOPE, CLIENT]]


@pytest.mark.parametrize("status", [200, 401, 403, 404, 500])
def test_a_ping_that_brings_no_challenge_leaves_the_first_refusal(
    wire: responses.RequestsMock, registry: Registry, status: int
) -> None:
    body = '{"errors":[{"code":"UNAUTHORIZED","message":"no entry"}]}'
    wire.get(MANIFEST, status=401, body=body)
    wire.get(f"{BASE}/v2/", status=status, body="<html>")
    with pytest.raises(AuthenticationError, match="UNAUTHORIZED: no entry") as caught:
        registry.manifest(REFERENCE)
    assert "login" in str(caught.value.hint)
    assert asked(wire) == [MANIFEST, f"{BASE}/v2/"]


def test_a_challenge_of_another_host_that_the_ping_is_sent_to_is_none(
    wire: responses.RequestsMock, registry: Registry
) -> None:
    wire.get(MANIFEST, status=401)
    wire.get(f"{BASE}/v2/", status=302, headers={"Location": "https://evil.example/v2/"})
    wire.get(
        "https://evil.example/v2/",
        status=401,
        headers={"WWW-Authenticate": 'Bearer realm="https://evil.example/token"'},
    )
    with pytest.raises(AuthenticationError):
        registry.manifest(REFERENCE)
    assert [url for url in asked(wire) if "token" in url] == []  # the registry announces its token server


# ---- the reply ----


@pytest.mark.parametrize(
    ("reply", "token"),
    [
        ({"token": "T"}, "T"),
        ({"access_token": "T"}, "T"),
        ({"access_token": "T", "token": "U"}, "T"),
        ({"token": "U", "access_token": "T"}, "T"),
        ({"access_token": "T", "token": None}, "T"),
        ({"access_token": None, "token": "T"}, "T"),
        ({"access_token": "", "token": "T"}, "T"),
        ({"access_token": 5, "token": "T"}, "T"),
        ({"token": "T", "refresh_token": "R", "issued_at": "yesterday", "scope": ["x"]}, "T"),
        ({"token": "T", "issued_at": 5}, "T"),
    ],
    ids=[
        "token",
        "access_token",
        "both",
        "both, other order",
        "token null",
        "access_token null",
        "access_token empty",
        "access_token no string",
        "more besides",
        "odd issued_at",
    ],
)
def test_the_first_usable_token_of_the_reply_is_taken(
    wire: responses.RequestsMock, registry: Registry, reply: dict[str, object], token: str
) -> None:
    guard(wire, MANIFEST, {f"Bearer {token}"}, CHALLENGE)
    wire.get(REALM, json=reply)
    registry.manifest(REFERENCE)
    assert authorizations(wire) == [None, None, f"Bearer {token}"]


@pytest.mark.parametrize("content_type", ["text/html", "text/plain", ""])
def test_the_replys_content_type_does_not_matter(
    wire: responses.RequestsMock, registry: Registry, content_type: str
) -> None:
    guard(wire, MANIFEST, {"Bearer T"}, CHALLENGE)
    wire.get(REALM, body=b'{"token":"T"}', headers={"Content-Type": content_type})
    registry.manifest(REFERENCE)
    assert authorizations(wire) == [None, None, "Bearer T"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"token":null}',
        b'{"token":"","access_token":""}',
        b'{"token":null,"access_token":null}',
        b'{"token":5}',
        b'{"token":["T"]}',
        b'{"token":"T\\r\\nX-Injected: yes"}',
        b'{"token":"T\\u0000"}',
        '{"token":"Tö"}'.encode(),
        b"<html><title>Sign in</title></html>",
        b'["T"]',
        b'"T"',
        b"null",
        b"not JSON",
        b'{"token":"T"',
        b'{"token":"T","token":"U"}',
        b'{"token":"T","expires_in":NaN}',
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"token":"T"}' + b" " * 1024 * 1024,
    ],
    ids=[
        "nothing",
        "no token",
        "null",
        "empty",
        "both null",
        "a number",
        "an array of tokens",
        "a header injected",
        "a control character",
        "not ASCII",
        "HTML",
        "an array",
        "a string",
        "no object",
        "text",
        "cut",
        "two tokens",
        "NaN is not valid JSON",
        "nested too deep",
        "not UTF-8",
        "longer than 1 MiB",
    ],
)
def test_a_reply_without_a_usable_token_is_a_failure_of_the_token_step(
    wire: responses.RequestsMock, registry: Registry, body: bytes
) -> None:
    wire.get(MANIFEST, status=401, headers={"WWW-Authenticate": CHALLENGE})
    wire.get(REALM, body=body)
    with pytest.raises(AuthenticationError) as caught:
        registry.manifest(REFERENCE)
    assert "auth.example/token" in story(caught.value)
    assert story(caught.value).isprintable()
    assert asked(wire) == [MANIFEST, REALM]


def test_a_page_instead_of_a_reply_is_described(wire: responses.RequestsMock, registry: Registry) -> None:
    wire.get(MANIFEST, status=401, headers={"WWW-Authenticate": CHALLENGE})
    wire.get(REALM, body=b"<html><title>Sign in</title></html>", headers={"Content-Type": "text/html"})
    with pytest.raises(AuthenticationError) as caught:
        registry.manifest(REFERENCE)
    for words in ("https://auth.example/token?", "200", "text/html", "Sign in"):  # URL, status, type, title
        assert words in story(caught.value)


def test_an_endless_reply_is_not_read_beyond_its_bound(loopback: Loopback) -> None:
    challenge = {"WWW-Authenticate": f'Bearer realm="http://{loopback.host}/token"'}
    loopback.answers["/v2/team/app/manifests/1"] = Answer(status=401, headers=challenge)
    loopback.answers["/token"] = Answer(b'{"token":"' + b"x" * 1024 * 1024 + b'"}', chunked=True)
    reference = Reference.parse(f"{loopback.host}/team/app:1")
    with Registry(loopback.host) as registry, pytest.raises(AuthenticationError):
        registry.manifest(reference)


# ---- how long a token lives ----


@pytest.mark.parametrize(
    ("expires_in", "life"),
    [
        ("300", 300),
        ("300.5", 300.5),
        ('"300"', 300),
        ('" 300 "', 300),
        ("43200", 43200),
        ("61", 61),
        ("59", 60),
        ("0", 60),
        ("-5", 60),
        ('"0"', 60),
        ('"soon"', 60),
        ('"1_000"', 60),
        ('"\u0663\u0660\u0660"', 60),  # 300 in Arabic digits
        ('""', 60),
        ('"NaN"', 60),
        ('"inf"', 60),
        ("1e999", 60),
        ("1" + "0" * 400, 60),
        ("null", 60),
        ("true", 60),
        ("[300]", 60),
        ("{}", 60),
        (None, 60),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_token_is_renewed_ten_seconds_before_its_end(
    wire: responses.RequestsMock, registry: Registry, clock: Clock, expires_in: str | None, life: float
) -> None:
    guard(wire, MANIFEST, {"Bearer one", "Bearer two"}, CHALLENGE)
    members = "" if expires_in is None else f',"expires_in":{expires_in}'
    for token in ("one", "two"):
        wire.get(REALM, body=f'{{"token":"{token}","issued_at":"2001-01-01T00:00:00Z"{members}}}')
    registry.manifest(REFERENCE)
    clock.now += life - 10 - 0.01
    registry.manifest(REFERENCE)
    assert authorizations(wire)[3:] == ["Bearer one"]
    clock.now += 0.02
    registry.manifest(REFERENCE)
    assert asked(wire)[4:] == [REALM, MANIFEST]  # without another refusal
    assert authorizations(wire)[4:] == [None, "Bearer two"]


# ---- a token that is refused ----


def test_a_refused_token_is_fetched_anew_once(wire: responses.RequestsMock, registry: Registry) -> None:
    guard(wire, MANIFEST, {"Bearer one"}, CHALLENGE)
    guard(wire, BLOB_URL, {"Bearer two"}, CHALLENGE + ',error="invalid_token"', body=b"content")
    give_tokens(wire, "one", "two")
    registry.manifest(REFERENCE)
    assert read_blob(registry) == b"content"
    assert asked(wire) == [MANIFEST, REALM, MANIFEST, BLOB_URL, REALM, BLOB_URL]
    assert authorizations(wire)[3:] == ["Bearer one", None, "Bearer two"]


def test_a_request_has_at_most_two_token_rounds(wire: responses.RequestsMock, registry: Registry) -> None:
    wire.get(MANIFEST, status=401, headers={"WWW-Authenticate": CHALLENGE}, body='{"details":"no entry"}')
    give_tokens(wire, "one", "two")
    with pytest.raises(AuthenticationError, match="no entry") as caught:
        registry.manifest(REFERENCE)
    assert asked(wire) == [MANIFEST, REALM, MANIFEST, REALM, MANIFEST]
    assert "registry.example returned 401" in str(caught.value)  # who rejected
    assert "password" not in str(caught.value)


def test_so_has_one_that_begins_with_a_token(wire: responses.RequestsMock, registry: Registry) -> None:
    guard(wire, MANIFEST, {"Bearer one"}, CHALLENGE)
    wire.get(BLOB_URL, status=401, headers={"WWW-Authenticate": CHALLENGE})
    give_tokens(wire, "one", "two", "three")
    registry.manifest(REFERENCE)
    with pytest.raises(AuthenticationError):
        read_blob(registry)
    assert asked(wire)[3:] == [BLOB_URL, REALM, BLOB_URL, REALM, BLOB_URL]


@pytest.mark.parametrize("error", ["", ',error="insufficient_scope"'], ids=["silently", "insufficient_scope"])
def test_a_new_scope_is_joined_to_the_known_ones(wire: responses.RequestsMock, registry: Registry, error: str) -> None:
    guard(wire, MANIFEST, {"Bearer one", "Bearer two"}, CHALLENGE)
    guard(wire, BLOB_URL, {"Bearer two"}, f'{CHALLENGE},scope="repository:team/base:pull"{error}', body=b"content")
    give_tokens(wire, "one", "two")
    registry.manifest(REFERENCE)
    assert read_blob(registry) == b"content"
    service = ("service", "registry.example")
    assert queries(wire) == [
        [service, OWN_SCOPE, CLIENT],
        [service, ("scope", "repository:team/base:pull"), OWN_SCOPE, CLIENT],
    ]
    registry.manifest(REFERENCE)
    assert authorizations(wire)[-1] == "Bearer two"


# ---- a token server that does not do its part ----


@pytest.mark.parametrize(
    ("status", "cls"),
    [(400, AuthenticationError), (401, AuthenticationError), (403, AuthenticationError), (404, AuthenticationError)],
)
def test_a_token_server_that_refuses_is_named(
    wire: responses.RequestsMock, registry: Registry, status: int, cls: type[ImgfetchError]
) -> None:
    wire.get(MANIFEST, status=401, headers={"WWW-Authenticate": CHALLENGE})
    wire.get(REALM, status=status, body='{"details":"go away"}')
    with pytest.raises(ImgfetchError) as caught:
        registry.manifest(REFERENCE)
    assert isinstance(caught.value, cls)  # the class names the step
    for words in ("registry.example", "https://auth.example/token", "announced", str(status), "go away"):
        assert words in story(caught.value)
    assert "password" not in story(caught.value)
    assert asked(wire) == [MANIFEST, REALM]


@pytest.mark.parametrize(("status", "cls"), [(429, RateLimitedError), (500, UnavailableError), (503, UnavailableError)])
def test_a_token_server_that_does_not_serve_now_is_told_from_one_that_refuses(
    wire: responses.RequestsMock, registry: Registry, status: int, cls: type[UnavailableError]
) -> None:
    wire.get(MANIFEST, status=401, headers={"WWW-Authenticate": CHALLENGE})
    wire.get(REALM, status=status, headers={"Retry-After": "7"})
    with pytest.raises(ImgfetchError) as caught:
        registry.manifest(REFERENCE)
    reason = caught.value if isinstance(caught.value, UnavailableError) else caught.value.__cause__
    assert isinstance(reason, cls)
    assert str(status) in story(caught.value)
    assert "auth.example" in story(caught.value)  # who does not serve
    assert "registry.example" in story(caught.value)  # and who sent us there


def test_a_layer_is_not_called_missing_because_the_token_server_answers_404(
    wire: responses.RequestsMock, registry: Registry
) -> None:
    wire.get(BLOB_URL, status=401, headers={"WWW-Authenticate": CHALLENGE})
    wire.get(REALM, status=404)
    with pytest.raises(ImgfetchError) as caught:
        read_blob(registry)
    assert not isinstance(caught.value, NotFoundError)


def test_a_token_server_that_nobody_is_at_is_said_to_be_the_registrys_choice(loopback: Loopback) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    realm = f"http://127.0.0.1:{port}/service/token"
    challenge = {"WWW-Authenticate": f'Bearer realm="{realm}?key=SECRET",service="harbor-registry"'}
    loopback.answers["/v2/team/app/manifests/1"] = Answer(status=401, headers=challenge)
    with Registry(loopback.host) as registry, pytest.raises(AuthenticationError) as caught:
        registry.manifest(Reference.parse(f"{loopback.host}/team/app:1"))
    assert isinstance(caught.value.__cause__, TransportError)
    for words in ("announced", "registry", loopback.host, realm):
        assert words in str(caught.value)
    for words in (f"127.0.0.1:{port}", "connection refused"):
        assert words in story(caught.value)
    assert "SECRET" not in story(caught.value)


def test_a_token_request_follows_redirects_within_its_host(wire: responses.RequestsMock, registry: Registry) -> None:
    guard(wire, MANIFEST, {f"Bearer {SECRET}"}, 'Bearer realm="http://auth.example/token"')
    wire.get("http://auth.example/token", status=301, headers={"Location": "https://auth.example/token"})
    wire.get("https://auth.example/token", status=302, headers={"Location": "/v2/token"})
    wire.get("https://auth.example/v2/token", json={"token": SECRET})
    registry.manifest(REFERENCE)
    assert authorizations(wire)[-1] == f"Bearer {SECRET}"


def test_a_token_request_is_not_redirected_to_another_host(wire: responses.RequestsMock, registry: Registry) -> None:
    wire.get(MANIFEST, status=401, headers={"WWW-Authenticate": CHALLENGE})
    wire.get(REALM, status=302, headers={"Location": "https://evil.example/token"})
    with pytest.raises(AuthenticationError):
        registry.manifest(REFERENCE)
    assert asked(wire) == [MANIFEST, REALM]


def test_a_token_request_is_not_redirected_to_plain_http(wire: responses.RequestsMock, registry: Registry) -> None:
    wire.get(MANIFEST, status=401, headers={"WWW-Authenticate": CHALLENGE})
    wire.get(REALM, status=302, headers={"Location": "http://auth.example/token"})
    with pytest.raises(AuthenticationError):
        registry.manifest(REFERENCE)
    assert asked(wire) == [MANIFEST, REALM]


# ---- threads ----


def together(*tasks: Callable[[], object]) -> list[BaseException]:
    """Run each task in a thread of its own, and return what they raised."""
    failures: list[BaseException] = []

    def run(task: Callable[[], object]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001  # it is shown by the test
            failures.append(error)

    threads = [threading.Thread(target=run, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return failures


def test_threads_that_are_challenged_together_share_one_token(wire: responses.RequestsMock, registry: Registry) -> None:
    refused = threading.Barrier(3)

    def answer(request: object) -> tuple[int, dict[str, str], bytes]:
        if request.headers.get("Authorization") == f"Bearer {SECRET}":
            return 200, {}, b"content"
        refused.wait(30)
        return 401, {"WWW-Authenticate": CHALLENGE}, b""

    wire.add_callback("GET", BLOB_URL, callback=answer)
    give_tokens(wire, SECRET)
    assert together(*[lambda: read_blob(registry)] * 3) == []
    assert len(asked(wire, REALM)) == 1
    assert len(asked(wire, BLOB_URL)) == 6


def test_threads_whose_token_is_refused_together_share_the_new_one(
    wire: responses.RequestsMock, registry: Registry
) -> None:
    refused = threading.Barrier(3)

    def answer(request: object) -> tuple[int, dict[str, str], bytes]:
        if request.headers.get("Authorization") == "Bearer two":
            return 200, {}, b"content"
        refused.wait(30)
        return 401, {"WWW-Authenticate": CHALLENGE}, b""

    guard(wire, MANIFEST, {"Bearer one"}, CHALLENGE)
    wire.add_callback("GET", BLOB_URL, callback=answer)
    give_tokens(wire, "one", "two")
    registry.manifest(REFERENCE)
    assert together(*[lambda: read_blob(registry)] * 3) == []
    assert len(asked(wire, REALM)) == 2


# ---- secrets ----


def test_a_token_is_never_shown(
    wire: responses.RequestsMock, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wire.get(MANIFEST, status=401, headers={"WWW-Authenticate": CHALLENGE})
    give_tokens(wire, f"{SECRET}-1", f"{SECRET}-2", refresh_token=f"{SECRET}-3")
    with pytest.raises(AuthenticationError) as caught:
        registry.manifest(REFERENCE)
    authenticator = registry._authenticator
    shown = [str(caught.value), repr(caught.value), str(caught.value.hint), repr(registry), repr(authenticator)]
    shown += [repr(token) for token in authenticator._tokens.values()]
    shown += [record.getMessage() for record in caplog.records]
    assert len(authenticator._tokens) == 1
    assert [text for text in shown if SECRET in text] == []


@pytest.mark.parametrize(
    "reply",
    [
        f'{{"token":"{SECRET}","expires_in":',
        f'[{{"token":"{SECRET}"}}]',
        f'{{"token":"{SECRET}","token":"{SECRET}"}}',
        f'{{"Token":"{SECRET}"}}',
        f'{{"token":"{SECRET}","expires_in":NaN}}',
        f'"{SECRET}"',
        json.dumps({"token": f"{SECRET}\n"}),
    ],
    ids=["cut", "in an array", "twice", "another case", "NaN", "alone", "with a line break"],
)
def test_a_token_is_not_shown_where_its_reply_cannot_be_read(
    wire: responses.RequestsMock, registry: Registry, caplog: pytest.LogCaptureFixture, reply: str
) -> None:
    caplog.set_level(logging.DEBUG)
    wire.get(MANIFEST, status=401, headers={"WWW-Authenticate": CHALLENGE})
    wire.get(REALM, body=reply)
    with pytest.raises(AuthenticationError) as caught:
        registry.manifest(REFERENCE)
    shown = [story(caught.value), str(caught.value.__context__)]
    shown += [record.getMessage() for record in caplog.records]
    assert [text for text in shown if SECRET in text] == []


def test_a_token_request_is_logged_without_the_realms_own_secrets(
    wire: responses.RequestsMock, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    guard(wire, MANIFEST, {"Bearer T"}, f'Bearer realm="{REALM}?key=SECRET",service="s"')
    wire.get(re.compile(re.escape(REALM)), json={"token": "T"})
    registry.manifest(REFERENCE)
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("imgfetch")]
    assert [message for message in messages if "SECRET" in message] == []
    assert any(
        "https://auth.example/token?key=REDACTED&service=s&scope=repository%3Ateam%2Fapp%3Apull&client_id=imgfetch"
        in message
        for message in messages
    )


def test_several_registries_keep_their_tokens_apart(wire: responses.RequestsMock) -> None:
    other = "https://other.example/v2/team/app/manifests/1"
    guard(wire, MANIFEST, {"Bearer one"}, CHALLENGE)
    guard(wire, other, {"Bearer two"}, CHALLENGE)
    give_tokens(wire, "one", "two")
    with ExitStack() as stack:
        stack.enter_context(Registry("registry.example")).manifest(REFERENCE)
        stack.enter_context(Registry("other.example")).manifest(Reference.parse("other.example/team/app:1"))
    assert authorizations(wire) == [None, None, "Bearer one", None, None, "Bearer two"]
