"""A challenge is answered with a token, which goes where it belongs and nowhere else."""

from __future__ import annotations

import json
import math
import re
import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import requests

import imgfetch.auth.grants
from imgfetch.auth.authenticator import Authenticator
from imgfetch.auth.grants import Grant, Token
from imgfetch.auth.realms import Realm
from imgfetch.errors import (
    AuthenticationError,
    ImgfetchError,
    NotFoundError,
    RateLimitedError,
    UnavailableError,
)
from imgfetch.registry.client import Registry
from tests.fakes import Clock
from tests.loopback import Answer, Loopback
from tests.stories import Log
from tests.threads import together
from tests.wire import BASE, BLOB_URL, CONTENT, HOST, MANIFEST, MANIFEST_PATH, REFERENCE, Wire, image_at, read_blob

REALM = "https://auth.example/token"
AT = f'realm="{REALM}"'
CHALLENGE = f'Bearer {AT},service="registry.example"'
OTHER = "https://other.example/token"
PING = f"{BASE}/v2/"
STORE = "https://store.example/data"
OWN_SCOPE = ("scope", "repository:team/app:pull")
CLIENT = ("client_id", "imgfetch")
SECRET = "SECRET-TOKEN"
BEARER = f"Bearer {SECRET}"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(imgfetch.auth.grants, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def give_tokens(wire: Wire, *values: str, **extra: object) -> None:
    """Answer token requests with one token after the other."""
    for value in values:
        wire.get(REALM, json={"token": value, **extra})


def queries(wire: Wire) -> list[list[tuple[str, str]]]:
    """Return the parameters of each token request."""
    return [wire.query(number) for number, url in enumerate(wire.asked) if url == REALM]


def refusal(registry: Registry, kind: type[ImgfetchError] = AuthenticationError) -> ImgfetchError:
    """Return why there is no manifest."""
    with pytest.raises(kind) as caught:
        registry.manifest(REFERENCE)
    return caught.value


def without_token(
    wire: Wire, registry: Registry, kind: type[ImgfetchError] = AuthenticationError, **reply: Any
) -> ImgfetchError:
    """Return the error where the token server answers with this."""
    wire.challenge(MANIFEST, CHALLENGE)
    wire.get(REALM, **reply)
    error = refusal(registry, kind)
    assert wire.asked == [MANIFEST, REALM]
    return error


def story(error: BaseException | None) -> str:
    """Return all that the command shows of an error: what failed, why, and what to do."""
    if not isinstance(error, ImgfetchError):
        return ""
    return f"{error}; {error.hint}; {story(error.__cause__)}"


# ---- the flow ----


def test_without_a_challenge_there_is_no_token_and_no_ping(wire: Wire, registry: Registry) -> None:
    wire.get(MANIFEST, body=b"{}")
    registry.manifest(REFERENCE)
    assert wire.asked == [MANIFEST]
    assert wire.authorizations == [None]


def test_a_challenge_is_answered_with_a_token_from_its_realm(wire: Wire, registry: Registry) -> None:
    wire.guard(MANIFEST, BEARER, CHALLENGE)
    give_tokens(wire, SECRET)
    assert registry.manifest(REFERENCE).raw == b"{}"
    assert wire.asked == [MANIFEST, REALM, MANIFEST]
    assert wire.authorizations == [None, None, BEARER]
    assert wire.sent[1].headers["Accept-Encoding"] == "identity"
    assert wire.sent[1].method == "GET"


def test_a_token_server_is_given_15_seconds(wire: Wire, registry: Registry) -> None:
    wire.guard(MANIFEST, BEARER, CHALLENGE)
    give_tokens(wire, SECRET)
    registry.manifest(REFERENCE)
    assert max(wire.sent[1].req_kwargs["timeout"]) <= 15.0  # to connect, and to read


def test_a_token_is_used_again_for_the_same_repository(wire: Wire, registry: Registry) -> None:
    wire.guard(MANIFEST, BEARER, CHALLENGE)
    wire.guard(BLOB_URL, BEARER, CHALLENGE, body=CONTENT)
    give_tokens(wire, SECRET)
    registry.manifest(REFERENCE)
    assert read_blob(registry) == CONTENT
    assert wire.asked == [MANIFEST, REALM, MANIFEST, BLOB_URL]


def test_another_repository_gets_a_token_of_its_own(wire: Wire, registry: Registry) -> None:
    other = f"{BASE}/v2/team/other/manifests/1"
    wire.guard(MANIFEST, "Bearer one", CHALLENGE)
    wire.guard(other, "Bearer two", CHALLENGE)
    give_tokens(wire, "one", "two")
    registry.manifest(REFERENCE)
    registry.manifest(replace(REFERENCE, repository="team/other"))
    assert wire.authorizations == [None, None, "Bearer one", None, None, "Bearer two"]
    assert queries(wire)[1] == [("service", "registry.example"), ("scope", "repository:team/other:pull"), CLIENT]


def test_each_repository_keeps_the_realm_that_was_announced_for_it(wire: Wire, registry: Registry) -> None:
    other = f"{BASE}/v2/team/other/manifests/1"
    wire.guard(MANIFEST, "Bearer one", CHALLENGE)
    wire.guard(other, "Bearer two", f'Bearer realm="{OTHER}",service="other"')
    wire.guard(BLOB_URL, "Bearer one", CHALLENGE, body=CONTENT)
    give_tokens(wire, "one")
    wire.get(OTHER, json={"token": "two"})
    registry.manifest(REFERENCE)
    registry.manifest(replace(REFERENCE, repository="team/other"))
    assert read_blob(registry) == CONTENT
    assert wire.asked[6:] == [BLOB_URL]
    assert wire.authorizations[6:] == ["Bearer one"]


def test_a_challenge_of_the_storage_host_is_answered_without_a_login_and_once(wire: Wire, registry: Registry) -> None:
    wire.challenge(BLOB_URL, CHALLENGE)
    give_tokens(wire, SECRET)
    wire.redirect(BLOB_URL, STORE)
    wire.challenge(STORE, f'Bearer realm="{OTHER}"')
    wire.get(OTHER, json={"token": "ANYBODYS"})
    wire.get(STORE, status=401)
    with pytest.raises(ImgfetchError):
        read_blob(registry)
    assert wire.authorizations == [None, None, BEARER, None, None, "Bearer ANYBODYS"]


# ---- challenges ----


S = ("service", "s")


@pytest.mark.parametrize(
    ("lines", "url", "query"),
    [
        pytest.param([f'Bearer {AT},service="registry.example"'], REALM, [("service", "registry.example")], id="plain"),
        pytest.param([f"Bearer {AT}"], REALM, [], id="no service"),
        pytest.param([f'Bearer {AT},service=""'], REALM, [], id="empty service"),
        pytest.param(
            [f'Bearer realm="{REALM}?host=a.example&x=",service="s"'],
            REALM,
            [("host", "a.example"), ("x", ""), S],
            id="realm with its own query",
        ),
        pytest.param(['Bearer realm="/service/token",service="s"'], f"{BASE}/service/token", [S], id="relative realm"),
        pytest.param(['Bearer realm="token"'], f"{BASE}/v2/team/app/manifests/token", [], id="realm beside the tag"),
        pytest.param(['Bearer realm="//auth.example/token",service="s"'], REALM, [S], id="realm without a scheme"),
        pytest.param(
            ['Bearer realm="http://registry.example:20000/service/token",service="harbor-registry"'],
            "http://registry.example:20000/service/token",
            [("service", "harbor-registry")],
            id="http realm on another port",
        ),
        pytest.param(
            [f'Bearer {AT},service="a, b, Basic realm=c"'],
            REALM,
            [("service", "a, b, Basic realm=c")],
            id="quoted commas",
        ),
        pytest.param([f'Bearer {AT},service="a \\"b\\" \\\\c"'], REALM, [("service", 'a "b" \\c')], id="quoted quotes"),
        pytest.param(
            ['Bearer realm="https://dockerauth.example/auth",service="registry.aliyuncs.com:cn-hangzhou:26842"'],
            "https://dockerauth.example/auth",
            [("service", "registry.aliyuncs.com:cn-hangzhou:26842")],
            id="service with colons",
        ),
        pytest.param(
            [f'bearer  REALM = "{REALM}" ,  Service=registry.example,  '],
            REALM,
            [("service", "registry.example")],
            id="odd case and spaces",
        ),
        pytest.param(["Negotiate", 'Basic realm="q"', f'Bearer {AT},service="s"'], REALM, [S], id="three lines"),
        pytest.param([f'Basic realm="q", Bearer {AT},service="s"'], REALM, [S], id="Basic first in one line"),
        pytest.param([f'Bearer {AT},service="s", Basic realm="q"'], REALM, [S], id="Bearer first in one line"),
        pytest.param(
            [f'Negotiate YWJjZA==, NTLM, Digest realm="d", Bearer {AT},service="s"'],
            REALM,
            [S],
            id="five schemes in one line",
        ),
        pytest.param([f'Bearer {AT},service="s",scope="repository:team/app:pull"'], REALM, [S], id="scope as ours"),
        pytest.param(
            [f'Bearer {AT},scope="repository:team/base:pull repository:team/app:pull"'],
            REALM,
            [("scope", "repository:team/base:pull")],
            id="several scopes in one parameter",
        ),
        pytest.param(
            [f'Bearer {AT},scope="repository:host:5000/team/app:pull,push"'],
            REALM,
            [("scope", "repository:host:5000/team/app:pull,push")],
            id="scope with a port",
        ),
        pytest.param(
            ['Bearer realm="https://public.ecr.aws/token/",service="public.ecr.aws",scope="aws"'],
            "https://public.ecr.aws/token/",
            [("service", "public.ecr.aws"), ("scope", "aws")],
            id="scope that is no repository",
        ),
        pytest.param([f'Bearer {AT},service="s",error="invalid_token"'], REALM, [S], id="an error besides"),
    ],
)
def test_a_token_is_asked_for_at_the_realm_for_service_and_scope(
    wire: Wire, registry: Registry, lines: list[str], url: str, query: list[tuple[str, str]]
) -> None:
    wire.guard(MANIFEST, BEARER, *lines)
    wire.get(re.compile(re.escape(url)), json={"token": SECRET})
    registry.manifest(REFERENCE)
    assert wire.asked == [MANIFEST, url, MANIFEST]
    assert wire.query(1) == [*query, OWN_SCOPE, CLIENT]
    assert "#" not in wire.urls[1]


@pytest.mark.parametrize(
    ("challenge", "words"),
    [
        pytest.param("Bearer", "names no token server", id="no parameters"),
        pytest.param('Bearer service="s"', "names no token server", id="no realm"),
        pytest.param('Bearer realm=""', "names no token server", id="empty realm"),
        pytest.param(
            'Bearer realm="https://user:PASSWORD@auth.example/token"',
            "cannot be used: https://auth.example/token",
            id="login in the realm",
        ),
        pytest.param(
            'Basic realm="Sonatype Nexus Repository Manager"',
            'Basic, realm "Sonatype Nexus Repository Manager"',
            id="Basic only",
        ),
        pytest.param('BASIC realm="x", Digest realm="y"', 'Basic, realm "x"', id="Basic and Digest"),
    ],
)
def test_a_challenge_that_cannot_be_answered_ends_it(
    wire: Wire, registry: Registry, challenge: str, words: str
) -> None:
    wire.challenge(MANIFEST, challenge)
    message = str(refusal(registry))
    assert wire.asked == [MANIFEST]
    assert words in message
    assert HOST in message
    assert "PASSWORD" not in message


def test_basic_alone_asks_the_user_to_log_in_and_sends_no_empty_login(wire: Wire, registry: Registry) -> None:
    wire.challenge(MANIFEST, 'Basic realm="q"')
    assert "login" in str(refusal(registry).hint)
    assert wire.authorizations == [None]


@pytest.mark.parametrize(
    ("challenge", "schemes"),
    [
        pytest.param('Digest realm="d",nonce="n"', ["digest"], id="Digest"),
        pytest.param("Negotiate", ["negotiate"], id="Negotiate"),
        pytest.param("Negotiate, NTLM", ["negotiate", "ntlm"], id="two"),
    ],
)
def test_schemes_that_are_not_spoken_are_named(
    wire: Wire, registry: Registry, challenge: str, schemes: list[str]
) -> None:
    for url in (MANIFEST, PING):
        wire.challenge(url, challenge)
    with pytest.raises(AuthenticationError, match="offers only") as caught:
        registry.manifest(REFERENCE)
    assert all(scheme in str(caught.value).lower() for scheme in schemes)
    assert wire.authorizations == [None, None]


def test_a_realm_is_cleaned_before_it_is_shown(wire: Wire, registry: Registry) -> None:
    wire.challenge(MANIFEST, 'Basic realm="\x1b[31mfake\x85"')
    assert str(refusal(registry)).isprintable()


# ---- the ping ----


@pytest.mark.parametrize("challenges", [[], ["Negotiate"]], ids=["none", "none that is usable"])
def test_a_401_without_a_usable_challenge_makes_a_ping_for_one(
    wire: Wire, registry: Registry, challenges: list[str]
) -> None:
    wire.challenge(MANIFEST, *challenges)
    wire.challenge(PING, CHALLENGE)
    give_tokens(wire, SECRET)
    wire.get(MANIFEST, body=b"{}")
    registry.manifest(REFERENCE)
    assert wire.asked == [MANIFEST, PING, REALM, MANIFEST]
    assert wire.authorizations == [None, None, None, BEARER]
    assert queries(wire) == [[("service", "registry.example"), OWN_SCOPE, CLIENT]]


@pytest.mark.parametrize("status", [200, 401, 403, 404, 500])
def test_a_ping_that_brings_no_challenge_leaves_the_first_refusal(wire: Wire, registry: Registry, status: int) -> None:
    wire.challenge(MANIFEST, body='{"errors":[{"code":"UNAUTHORIZED","message":"no entry"}]}')
    wire.get(PING, status=status, body="<html>")
    error = refusal(registry)
    assert "UNAUTHORIZED: no entry" in str(error)
    assert "login" in str(error.hint)
    assert wire.asked == [MANIFEST, PING]


def test_a_challenge_of_another_host_that_the_ping_is_sent_to_is_none(wire: Wire, registry: Registry) -> None:
    wire.challenge(MANIFEST)
    wire.redirect(PING, "https://evil.example/v2/", 302)
    wire.challenge("https://evil.example/v2/", 'Bearer realm="https://evil.example/token"')
    refusal(registry)
    assert [url for url in wire.asked if "token" in url] == []  # the registry announces its token server


# ---- the reply ----


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param({"token": "T"}, id="token"),
        pytest.param({"access_token": "T"}, id="access_token"),
        pytest.param({"access_token": "T", "token": "U"}, id="both"),
        pytest.param({"token": "U", "access_token": "T"}, id="both, other order"),
        pytest.param({"access_token": "T", "token": None}, id="token null"),
        pytest.param({"access_token": None, "token": "T"}, id="access_token null"),
        pytest.param({"access_token": "", "token": "T"}, id="access_token empty"),
        pytest.param({"access_token": 5, "token": "T"}, id="access_token no string"),
        pytest.param({"token": "T", "refresh_token": "R", "issued_at": "yesterday", "scope": ["x"]}, id="more besides"),
        pytest.param({"token": "T", "issued_at": 5}, id="odd issued_at"),
    ],
)
def test_the_first_usable_token_of_the_reply_is_taken(wire: Wire, registry: Registry, reply: dict[str, object]) -> None:
    wire.guard(MANIFEST, "Bearer T", CHALLENGE)
    wire.get(REALM, json=reply)
    registry.manifest(REFERENCE)
    assert wire.authorizations == [None, None, "Bearer T"]


@pytest.mark.parametrize("content_type", ["text/html", "text/plain", ""])
def test_the_replys_content_type_does_not_matter(wire: Wire, registry: Registry, content_type: str) -> None:
    wire.guard(MANIFEST, "Bearer T", CHALLENGE)
    wire.get(REALM, body=b'{"token":"T"}', headers={"Content-Type": content_type})
    registry.manifest(REFERENCE)
    assert wire.authorizations == [None, None, "Bearer T"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{}", id="no token"),
        pytest.param(b'{"token":null}', id="null"),
        pytest.param(b'{"token":"","access_token":""}', id="empty"),
        pytest.param(b'{"token":null,"access_token":null}', id="both null"),
        pytest.param(b'{"token":5}', id="a number"),
        pytest.param(b'{"token":["T"]}', id="an array of tokens"),
        pytest.param(b'{"token":"T\\r\\nX-Injected: yes"}', id="a header injected"),
        pytest.param(b'{"token":"T\\u0000"}', id="a control character"),
        pytest.param('{"token":"Tö"}'.encode(), id="not ASCII"),
        pytest.param(b"<html><title>Sign in</title></html>", id="HTML"),
        pytest.param(b'["T"]', id="an array"),
        pytest.param(b'"T"', id="a string"),
        pytest.param(b"null", id="no object"),
        pytest.param(b"not JSON", id="text"),
        pytest.param(b'{"token":"T"', id="cut"),
        pytest.param(b'{"token":"T","token":"U"}', id="two tokens"),
        pytest.param(b'{"token":"T","expires_in":NaN}', id="NaN is not valid JSON"),
        pytest.param(b"[" * 100_000, id="nested too deep"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b'{"token":"T"}' + b" " * 1024 * 1024, id="longer than 1 MiB"),
    ],
)
def test_a_reply_without_a_usable_token_is_a_failure_of_the_token_step(
    wire: Wire, registry: Registry, body: bytes
) -> None:
    shown = story(without_token(wire, registry, body=body))
    assert "auth.example/token" in shown
    assert shown.isprintable()


def test_a_page_instead_of_a_reply_is_described(wire: Wire, registry: Registry) -> None:
    page = {"body": b"<html><title>Sign in</title></html>", "headers": {"Content-Type": "text/html"}}
    shown = story(without_token(wire, registry, **page))
    for words in ("https://auth.example/token?", "200", "text/html", "Sign in"):  # URL, status, type, title
        assert words in shown


def test_an_endless_reply_is_not_read_beyond_its_bound(loopback: Loopback) -> None:
    loopback.challenge(MANIFEST_PATH, f'Bearer realm="http://{loopback.host}/token"')
    loopback.answers["/token"] = Answer(b'{"token":"' + b"x" * 1024 * 1024 + b'"}', chunked=True)
    with Registry(loopback.host) as registry, pytest.raises(AuthenticationError):
        registry.manifest(image_at(loopback.host))


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
        ("1" + "0" * 350, 60),  # too large for a float
        ("null", 60),
        ("true", 60),
        ("[300]", 60),
        ("{}", 60),
        (None, 60),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_token_is_renewed_ten_seconds_before_its_end(
    wire: Wire, registry: Registry, clock: Clock, expires_in: str | None, life: float
) -> None:
    wire.challenge(MANIFEST, CHALLENGE)
    wire.get(MANIFEST, body=b"{}")
    members = "" if expires_in is None else f',"expires_in":{expires_in}'
    for token in ("one", "two"):
        wire.get(REALM, body=f'{{"token":"{token}","issued_at":"2001-01-01T00:00:00Z"{members}}}')
    registry.manifest(REFERENCE)
    clock.now += life - 10 - 0.01
    registry.manifest(REFERENCE)
    assert wire.authorizations[3:] == ["Bearer one"]
    clock.now += 0.02
    registry.manifest(REFERENCE)
    assert wire.asked[4:] == [REALM, MANIFEST]  # without another refusal
    assert wire.authorizations[4:] == [None, "Bearer two"]


# ---- a token that is refused ----


def test_a_refused_token_is_fetched_anew_once(wire: Wire, registry: Registry) -> None:
    wire.guard(MANIFEST, "Bearer one", CHALLENGE)
    wire.guard(BLOB_URL, "Bearer two", CHALLENGE + ',error="invalid_token"', body=CONTENT)
    give_tokens(wire, "one", "two")
    registry.manifest(REFERENCE)
    assert read_blob(registry) == CONTENT
    assert wire.asked == [MANIFEST, REALM, MANIFEST, BLOB_URL, REALM, BLOB_URL]
    assert wire.authorizations[3:] == ["Bearer one", None, "Bearer two"]


def test_a_request_has_at_most_two_token_rounds(wire: Wire, registry: Registry) -> None:
    wire.challenge(MANIFEST, CHALLENGE, body='{"details":"no entry"}')
    give_tokens(wire, "one", "two")
    message = str(refusal(registry))
    assert wire.asked == [MANIFEST, REALM, MANIFEST, REALM, MANIFEST]
    assert "no entry" in message
    assert "registry.example returned 401" in message  # who rejected
    assert "password" not in message


def test_so_has_one_that_begins_with_a_token(wire: Wire, registry: Registry) -> None:
    wire.guard(MANIFEST, "Bearer one", CHALLENGE)
    wire.challenge(BLOB_URL, CHALLENGE)
    give_tokens(wire, "one", "two", "three")
    registry.manifest(REFERENCE)
    with pytest.raises(AuthenticationError):
        read_blob(registry)
    assert wire.asked[3:] == [BLOB_URL, REALM, BLOB_URL, REALM, BLOB_URL]


@pytest.mark.parametrize(
    "ended",
    [
        pytest.param(('Basic realm="harbor"',), id="only a password is accepted"),
        pytest.param((), id="no challenge"),
        pytest.param((f'Bearer realm="{OTHER}",error="invalid_token"',), id="another server, which denies everybody"),
        pytest.param(("Negotiate",), id="an unknown scheme"),
    ],
)
def test_a_token_that_has_ended_is_replaced_where_it_came_from_if_its_challenge_leads_nowhere(
    wire: Wire, registry: Registry, ended: tuple[str, ...]
) -> None:
    wire.guard(MANIFEST, "Bearer one", CHALLENGE)
    wire.guard(BLOB_URL, "Bearer two", *ended, body=CONTENT)
    wire.get(PING, status=200)
    wire.get(OTHER, status=401)
    wire.assert_all_requests_are_fired = False
    give_tokens(wire, "one", "two")
    registry.manifest(REFERENCE)
    assert read_blob(registry) == CONTENT
    assert wire.authorizations[-1] == "Bearer two"
    assert read_blob(registry) == CONTENT
    assert wire.asked.count(REALM) == 2


def test_a_token_that_was_never_accepted_is_not_replaced_where_its_challenge_leads_nowhere(
    wire: Wire, registry: Registry
) -> None:
    wire.challenge(MANIFEST, CHALLENGE)
    wire.challenge(MANIFEST, 'Basic realm="harbor"')
    give_tokens(wire, "one")
    assert "expects a user name and password" in str(refusal(registry))


@pytest.mark.parametrize("status", [400, 403, 404])
def test_an_error_for_a_token_that_was_accepted_before_is_answered_with_one_fresh_token(
    wire: Wire, registry: Registry, status: int
) -> None:
    wire.guard(MANIFEST, "Bearer one", CHALLENGE)
    wire.get(BLOB_URL, status=status)
    wire.get(BLOB_URL, body=CONTENT)
    give_tokens(wire, "one", "two")
    registry.manifest(REFERENCE)
    assert read_blob(registry) == CONTENT
    assert wire.asked[3:] == [BLOB_URL, REALM, BLOB_URL]
    assert wire.authorizations[-1] == "Bearer two"


@pytest.mark.parametrize("tokens", [("one", "two"), ("one", "one")], ids=["another token", "the same token"])
def test_a_fresh_token_that_does_not_help_is_not_fetched_again(
    wire: Wire, registry: Registry, tokens: tuple[str, ...]
) -> None:
    wire.guard(MANIFEST, "Bearer one", CHALLENGE)
    wire.get(BLOB_URL, status=404)
    give_tokens(wire, *tokens)
    registry.manifest(REFERENCE)
    for _ in range(3):
        with pytest.raises(NotFoundError):
            read_blob(registry)
    assert wire.asked[3:].count(REALM) == 1
    assert wire.asked[3:].count(BLOB_URL) == 3 + (tokens[1] != "one")


def test_an_error_for_a_token_that_was_never_accepted_is_final(wire: Wire, registry: Registry) -> None:
    wire.challenge(MANIFEST, CHALLENGE)
    wire.get(MANIFEST, status=404)
    give_tokens(wire, "one")
    with pytest.raises(NotFoundError):
        registry.manifest(REFERENCE)
    assert wire.asked == [MANIFEST, REALM, MANIFEST]


def test_an_error_for_the_token_after_an_accepted_one_is_final(wire: Wire, registry: Registry) -> None:
    wire.challenge(MANIFEST, CHALLENGE)
    wire.get(MANIFEST, body=b"{}")
    wire.challenge(BLOB_URL, CHALLENGE)  # the first token has ended
    wire.get(BLOB_URL, status=404)
    give_tokens(wire, "one", "two")
    registry.manifest(REFERENCE)
    with pytest.raises(NotFoundError):
        read_blob(registry)
    assert wire.asked.count(REALM) == 2
    assert wire.authorizations[-1] == "Bearer two"


def test_the_token_server_of_an_accepted_token_is_remembered_and_not_that_of_the_last_challenge(
    registry: Registry,
) -> None:
    authenticator = registry._api.authenticator
    first, last = (Grant(Realm(url, url), "", (), "team/app") for url in (REALM, OTHER))
    authenticator._tokens.update({first: Token("one", math.inf), last: Token("two", math.inf)})
    authenticator._grants["team/app"] = last
    authenticator.prove("team/app", "Bearer one", is_renewed=False)
    assert authenticator._proven["team/app"] is first


def test_of_two_token_servers_that_is_remembered_whose_token_was_accepted(
    wire: Wire, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew = Authenticator._renew

    def meanwhile(self: Authenticator, repository: str, used: str | None) -> str | None:
        self.prove(repository, "Bearer one", is_renewed=False)  # a request of another thread, sent before
        return renew(self, repository, used)

    monkeypatch.setattr(Authenticator, "_renew", meanwhile)
    wire.guard(MANIFEST, "Bearer one", CHALLENGE)
    wire.guard(BLOB_URL, "Bearer two", f'Bearer realm="{OTHER}"', body=CONTENT)
    wire.get(OTHER, status=401)
    give_tokens(wire, "one", "two")
    registry.manifest(REFERENCE)
    assert read_blob(registry) == CONTENT


@pytest.mark.parametrize("error", ["", ',error="insufficient_scope"'], ids=["silently", "insufficient_scope"])
def test_a_new_scope_is_joined_to_the_known_ones(wire: Wire, registry: Registry, error: str) -> None:
    wire.challenge(MANIFEST, CHALLENGE)
    wire.get(MANIFEST, body=b"{}")
    wire.guard(BLOB_URL, "Bearer two", f'{CHALLENGE},scope="repository:team/base:pull"{error}', body=CONTENT)
    give_tokens(wire, "one", "two")
    registry.manifest(REFERENCE)
    assert read_blob(registry) == CONTENT
    service = ("service", "registry.example")
    assert queries(wire) == [
        [service, OWN_SCOPE, CLIENT],
        [service, ("scope", "repository:team/base:pull"), OWN_SCOPE, CLIENT],
    ]
    registry.manifest(REFERENCE)
    assert wire.authorizations[-1] == "Bearer two"


# ---- a token server that does not do its part ----


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_token_server_that_refuses_is_named(wire: Wire, registry: Registry, status: int) -> None:
    shown = story(without_token(wire, registry, status=status, body='{"details":"go away"}'))
    for words in (HOST, REALM, "named by", str(status), "go away"):
        assert words in shown
    assert "password" not in shown


@pytest.mark.parametrize(("status", "cls"), [(429, RateLimitedError), (500, UnavailableError), (503, UnavailableError)])
def test_a_token_server_that_does_not_serve_now_is_told_from_one_that_refuses(
    wire: Wire, registry: Registry, status: int, cls: type[UnavailableError]
) -> None:
    error = without_token(wire, registry, ImgfetchError, status=status, headers={"Retry-After": "7"})
    assert isinstance(error if isinstance(error, UnavailableError) else error.__cause__, cls)
    assert str(status) in story(error)
    assert "auth.example" in story(error)  # who does not serve
    assert HOST in story(error)  # and who sent us there


def test_a_layer_is_not_called_missing_because_the_token_server_answers_404(wire: Wire, registry: Registry) -> None:
    wire.challenge(BLOB_URL, CHALLENGE)
    wire.get(REALM, status=404)
    with pytest.raises(ImgfetchError) as caught:
        read_blob(registry)
    assert not isinstance(caught.value, NotFoundError)


def test_a_token_request_follows_redirects_within_its_host(wire: Wire, registry: Registry) -> None:
    wire.guard(MANIFEST, BEARER, 'Bearer realm="http://auth.example/token"')
    wire.redirect("http://auth.example/token", REALM, 301)
    wire.redirect(REALM, "/v2/token", 302)
    wire.get("https://auth.example/v2/token", json={"token": SECRET})
    registry.manifest(REFERENCE)
    assert wire.authorizations[-1] == BEARER


@pytest.mark.parametrize("target", ["https://evil.example/token", "http://auth.example/token"])
def test_a_token_request_is_not_redirected_to_another_host_or_to_plain_http(
    wire: Wire, registry: Registry, target: str
) -> None:
    without_token(wire, registry, status=302, headers={"Location": target})


# ---- threads ----


@pytest.mark.parametrize("scope", ["", ',scope="repository:local/team/app:pull"'], ids=["no scope", "another scope"])
def test_threads_that_are_challenged_together_share_one_token(wire: Wire, registry: Registry, scope: str) -> None:
    wire.guard(BLOB_URL, BEARER, CHALLENGE + scope, body=CONTENT, first=threading.Barrier(3, timeout=30).wait)
    give_tokens(wire, SECRET)
    assert together(*[lambda: read_blob(registry)] * 3) == []
    assert wire.asked.count(REALM) == 1
    assert wire.asked.count(BLOB_URL) == 6


def test_threads_whose_token_is_refused_together_share_the_new_one(wire: Wire, registry: Registry) -> None:
    wire.guard(MANIFEST, "Bearer one", CHALLENGE)
    wire.guard(BLOB_URL, "Bearer two", CHALLENGE, body=CONTENT, first=threading.Barrier(3, timeout=30).wait)
    give_tokens(wire, "one", "two")
    registry.manifest(REFERENCE)
    assert together(*[lambda: read_blob(registry)] * 3) == []
    assert wire.asked.count(REALM) == 2


def test_threads_that_begin_while_an_ended_token_is_replaced_wait_for_the_new_one(
    wire: Wire, registry: Registry
) -> None:
    failures: list[BaseException] = []
    readers = [threading.Thread(target=lambda: failures.extend(together(lambda: read_blob(registry)))) for _ in "abcd"]

    def denied(_: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        for reader in readers:
            if reader.ident is None:
                reader.start()
        time.sleep(0.1)
        return 401, {}, ""

    wire.guard(MANIFEST, "Bearer one", CHALLENGE)
    wire.guard(BLOB_URL, "Bearer two", f'Bearer realm="{OTHER}",error="invalid_token"', body=CONTENT)
    wire.add_callback("GET", OTHER, callback=denied)
    give_tokens(wire, "one", "two")
    registry.manifest(REFERENCE)
    assert read_blob(registry) == CONTENT
    for reader in readers:
        reader.join(30)
    assert failures == []
    assert wire.asked.count(OTHER) == 1
    assert wire.asked.count(REALM) == 2


# ---- secrets ----


def test_a_token_is_never_shown(wire: Wire, registry: Registry, log: Log) -> None:
    wire.challenge(MANIFEST, CHALLENGE)
    give_tokens(wire, f"{SECRET}-1", f"{SECRET}-2", refresh_token=f"{SECRET}-3")
    error = refusal(registry)
    authenticator = registry._api.authenticator
    assert len(authenticator._tokens) == 1
    shown = [str(error), repr(error), str(error.hint), repr(registry), repr(authenticator), repr(authenticator._tokens)]
    assert [text for text in (*shown, log.text) if SECRET in text] == []


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(f'{{"token":"{SECRET}","expires_in":', id="cut"),
        pytest.param(f'[{{"token":"{SECRET}"}}]', id="in an array"),
        pytest.param(f'{{"token":"{SECRET}","token":"{SECRET}"}}', id="twice"),
        pytest.param(f'{{"Token":"{SECRET}"}}', id="another case"),
        pytest.param(f'{{"token":"{SECRET}","expires_in":NaN}}', id="NaN"),
        pytest.param(f'"{SECRET}"', id="alone"),
        pytest.param(json.dumps({"token": f"{SECRET}\n"}), id="with a line break"),
    ],
)
def test_a_token_is_not_shown_where_its_reply_cannot_be_read(
    wire: Wire, registry: Registry, log: Log, reply: str
) -> None:
    error = without_token(wire, registry, body=reply)
    assert [text for text in (story(error), str(error.__context__), log.text) if SECRET in text] == []


def test_a_token_request_is_logged_without_the_realms_own_secrets(wire: Wire, registry: Registry, log: Log) -> None:
    wire.guard(MANIFEST, "Bearer T", f'Bearer realm="{REALM}?key=SECRET",service="s"')
    wire.get(re.compile(re.escape(REALM)), json={"token": "T"})
    registry.manifest(REFERENCE)
    assert "SECRET" not in log.text
    query = "key=REDACTED&service=s&scope=repository%3Ateam%2Fapp%3Apull&client_id=imgfetch"
    assert f"{REALM}?{query}" in log.text
