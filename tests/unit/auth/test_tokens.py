"""A token server is asked for a token as its specification says, by a login where one may go there."""

from __future__ import annotations

import base64
import json
import re
import socket
from typing import Any
from urllib.parse import parse_qsl

import pytest

from imgfetch.auth.grants import Grant, Token
from imgfetch.auth.login import Login
from imgfetch.auth.realms import RealmPolicy
from imgfetch.auth.tokens import TokenClient
from imgfetch.errors import (
    AuthenticationError,
    ImgfetchError,
    NotFoundError,
    RateLimitedError,
    TransportError,
    UnavailableError,
)
from imgfetch.http.client import HttpClient
from imgfetch.http.retries import RetryPolicy
from tests.loopback import Answer, Loopback
from tests.stories import Log, story
from tests.wire import BASE, MANIFEST, Wire

REALM = "https://auth.registry.example/token"
FOREIGN = "https://auth.other.example/token"
DOWN = "http://auth.registry.example/token"
OWN_DOWN = "http://registry.example:20000/token"
OWN_UP = "https://registry.example/token"
SUBJECT = "registry.example/team/app"
SCOPES = ("repository:team/base:pull", "repository:team/app:pull")

USER, PASSWORD, REFRESH, TOKEN = "alice", "PASSWORD-of-alice", "REFRESH+TOKEN/=&", "ACCESS-TOKEN"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (PASSWORD, BASIC.split()[1], REFRESH, "REFRESH%2BTOKEN", TOKEN)

Kind = type[ImgfetchError]
STORED = Login(USER, PASSWORD, source="/home/me/.docker/config.json")
EXPLICIT = Login(USER, PASSWORD, source="--username", is_explicit=True)
IDENTITY = Login(identity_token=REFRESH, source="/home/me/.docker/config.json")
EXPLICIT_IDENTITY = Login(identity_token=REFRESH, source="--username", is_explicit=True)
BOTH = Login(USER, PASSWORD, REFRESH, source="/home/me/.docker/config.json")
ALL = pytest.mark.parametrize(
    "login",
    [None, STORED, EXPLICIT, IDENTITY, EXPLICIT_IDENTITY, BOTH],
    ids=["none", "stored", "explicit", "refresh token", "explicit refresh token", "both"],
)

QUERY = [("service", "s"), *(("scope", scope) for scope in SCOPES), ("client_id", "imgfetch")]


def grant(realm: str = REALM, *, service: str = "s", scopes: tuple[str, ...] = SCOPES, **say: Any) -> Grant:
    """Return what is asked for when the registry announces a realm."""
    return Grant(RealmPolicy(**say).find(realm, MANIFEST), service, scopes, SUBJECT)


def fetch(transport: HttpClient, login: Login | None, asked_for: Grant | None = None) -> Token:
    return TokenClient(transport, BASE).fetch(asked_for or grant(), login)


def failure(
    transport: HttpClient, login: Login | None, asked_for: Grant | None = None, *, kind: Kind = AuthenticationError
) -> ImgfetchError:
    with pytest.raises(kind) as caught:
        fetch(transport, login, asked_for)
    return caught.value


def requests_of(wire: Wire) -> list[tuple[str | None, str, str | None]]:
    """Return method, URL without its query, and ``Authorization`` of each request."""
    methods = [request.method for request in wire.sent]
    return list(zip(methods, wire.asked, wire.authorizations, strict=True))


def form(wire: Wire) -> dict[str, str]:
    body = wire.sent[0].body
    pairs = parse_qsl(body.decode() if isinstance(body, bytes) else body, keep_blank_values=True)
    assert len(pairs) == len(dict(pairs))
    return dict(pairs)


def header_for(login: Login) -> str | None:
    return None if login.identity_token else BASIC


def method_for(login: Login | None) -> str:
    return "POST" if login and login.identity_token else "GET"


def give(wire: Wire, url: str = REALM, *, method: str = "GET") -> None:
    wire.add(method, url, json={"token": TOKEN})


def shown(error: ImgfetchError) -> str:
    """Return what the command shows of an error itself: message, details, hint."""
    return "\n".join([str(error), *error.details, str(error.hint)])


# ---- without a login, with a password ----


def test_without_a_login_a_token_is_asked_for_without_an_account(wire: Wire, transport: HttpClient) -> None:
    give(wire)
    assert fetch(transport, None).authorization == f"Bearer {TOKEN}"
    assert requests_of(wire) == [("GET", REALM, None)]
    assert wire.query() == QUERY


@pytest.mark.parametrize("login", [STORED, EXPLICIT])
def test_a_password_goes_as_basic_with_the_account_in_the_query(
    wire: Wire, transport: HttpClient, login: Login
) -> None:
    give(wire)
    assert fetch(transport, login).value == TOKEN
    assert requests_of(wire) == [("GET", REALM, BASIC)]
    assert wire.query() == [*QUERY, ("account", USER)]
    assert wire.sent[0].body is None


def test_a_login_that_is_no_latin_1_goes_as_utf_8(wire: Wire, transport: HttpClient) -> None:
    give(wire)
    fetch(transport, Login("пользователь", "пароль&=", source="--username", is_explicit=True))
    pair = base64.b64encode("пользователь:пароль&=".encode()).decode()
    assert requests_of(wire) == [("GET", REALM, f"Basic {pair}")]
    assert wire.query()[-1] == ("account", "пользователь")


def test_an_offline_token_is_never_asked_for(wire: Wire, transport: HttpClient) -> None:
    give(wire)
    fetch(transport, STORED)
    assert "offline_token" not in wire.sent[0].url


# ---- with a refresh token ----


@pytest.mark.parametrize("login", [IDENTITY, BOTH], ids=["alone", "with a password"])
def test_a_refresh_token_is_posted_as_a_form_and_stands_in_no_header_or_url(
    wire: Wire, transport: HttpClient, login: Login
) -> None:
    give(wire, method="POST")
    assert fetch(transport, login).value == TOKEN
    assert requests_of(wire) == [("POST", REALM, None)]
    assert form(wire) == {
        "grant_type": "refresh_token",
        "refresh_token": REFRESH,
        "service": "s",
        "client_id": "imgfetch",
        "scope": " ".join(SCOPES),
    }
    request = wire.sent[0]
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.url == REALM
    assert not any(secret in str(request.headers) for secret in SECRETS)


def test_a_realms_own_query_is_kept_when_a_refresh_token_is_posted(wire: Wire, transport: HttpClient) -> None:
    wire.post(re.compile(re.escape(REALM)), json={"token": TOKEN})
    fetch(transport, IDENTITY, grant(f"{REALM}?host=a.example"))
    assert wire.query() == [("host", "a.example")]


@pytest.mark.parametrize("status", [400, 401, 404, 405])
def test_a_server_that_knows_no_refresh_token_is_asked_by_password_if_there_is_one(
    wire: Wire, transport: HttpClient, status: int
) -> None:
    wire.post(REALM, status=status)
    give(wire)
    assert fetch(transport, BOTH).value == TOKEN
    assert requests_of(wire) == [("POST", REALM, None), ("GET", REALM, BASIC)]
    assert wire.query() == [*QUERY, ("account", USER)]


@pytest.mark.parametrize("status", [400, 401, 404, 405])
def test_without_a_password_a_server_that_knows_no_refresh_token_is_not_asked_again(
    wire: Wire, transport: HttpClient, status: int
) -> None:
    wire.post(REALM, status=status)
    failure(transport, EXPLICIT_IDENTITY)
    assert requests_of(wire) == [("POST", REALM, None)]


@pytest.mark.parametrize("status", [400, 401, 404, 405])
def test_without_a_password_a_stored_refresh_token_that_does_not_do_gives_way_to_no_login(
    wire: Wire, transport: HttpClient, status: int
) -> None:
    wire.post(REALM, status=status)
    wire.get(REALM, status=401)
    failure(transport, IDENTITY)
    assert requests_of(wire) == [("POST", REALM, None), ("GET", REALM, None)]
    assert wire.query() == QUERY


def test_an_explicit_refresh_token_that_is_refused_is_not_tried_again(wire: Wire, transport: HttpClient) -> None:
    wire.post(REALM, status=401)
    assert "rejected the given token" in str(failure(transport, EXPLICIT_IDENTITY))
    assert requests_of(wire) == [("POST", REALM, None)]


@pytest.mark.parametrize(
    ("status", "kind"), [(500, UnavailableError), (503, UnavailableError), (429, RateLimitedError)]
)
def test_a_server_that_cannot_change_a_refresh_token_for_now_is_not_sent_the_password(
    wire: Wire, transport: HttpClient, status: int, kind: type[ImgfetchError]
) -> None:
    wire.post(REALM, status=status)
    failure(transport, BOTH, kind=kind)
    assert requests_of(wire) == [("POST", REALM, None)]


# ---- a login that is refused ----


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("login", [STORED, IDENTITY], ids=["password", "refresh token"])
def test_a_stored_login_that_is_refused_gives_way_to_none_with_a_warning_that_names_its_file(
    wire: Wire, transport: HttpClient, log: Log, login: Login, status: int
) -> None:
    method = method_for(login)
    wire.add(method, REALM, status=status)
    give(wire)
    assert fetch(transport, login).value == TOKEN
    assert requests_of(wire) == [(method, REALM, header_for(login)), ("GET", REALM, None)]
    assert wire.query() == QUERY
    (warning,) = log.warnings
    for words in ("auth.registry.example", "/home/me/.docker/config.json"):
        assert words in warning


@pytest.mark.parametrize("status", [401, 403])
def test_an_explicit_login_that_is_refused_is_an_error_and_nothing_else_is_tried(
    wire: Wire, transport: HttpClient, status: int
) -> None:
    wire.get(REALM, status=status)
    error = failure(transport, EXPLICIT)
    assert requests_of(wire) == [("GET", REALM, BASIC)]
    for words in (REALM, "the given credentials of alice"):
        assert words in str(error)


@pytest.mark.parametrize("second", [401, 404, 500])
def test_a_stored_login_that_is_refused_is_what_is_told_if_without_it_there_is_nothing_either(
    wire: Wire, transport: HttpClient, log: Log, second: int
) -> None:
    wire.get(REALM, status=401)
    wire.get(REALM, status=second)
    error = failure(transport, STORED, kind=ImgfetchError)
    assert "rejected the credentials of alice from /home/me/.docker/config.json" in story(error)
    assert log.warnings == []


def test_without_a_login_no_login_is_called_refused(wire: Wire, transport: HttpClient) -> None:
    wire.get(REALM, status=401)
    error = failure(transport, None)
    assert requests_of(wire) == [("GET", REALM, None)]
    assert "a request without credentials" in str(error)
    assert "imgfetch login registry.example" in str(error.hint)
    assert "password" not in shown(error)


# ---- from https down to http ----


@pytest.mark.parametrize("login", [STORED, EXPLICIT, IDENTITY, BOTH])
def test_a_login_is_told_by_https_at_the_registrys_port_where_http_was_announced(
    wire: Wire, transport: HttpClient, login: Login
) -> None:
    give(wire, OWN_UP, method=method_for(login))
    assert fetch(transport, login, grant(OWN_DOWN)).value == TOKEN
    assert requests_of(wire) == [(method_for(login), OWN_UP, header_for(login))]


@ALL
def test_what_fails_by_https_is_never_told_a_login_by_http(
    wire: Wire, transport: HttpClient, login: Login | None
) -> None:
    wire.assert_all_requests_are_fired = False  # who is asked depends on the login
    for method in ("GET", "POST"):
        wire.add(method, OWN_UP, body=ConnectionResetError(104, "Connection reset by peer"))
        wire.add(method, OWN_DOWN, status=401)
    failure(transport, login, grant(OWN_DOWN))
    down = [request for request in wire.sent if request.url.startswith("http:")]
    assert all(request.method == "GET" and "Authorization" not in request.headers for request in down)
    assert not any(f"account={USER}" in request.url for request in down)


@pytest.mark.parametrize("status", [404, 500, 302])
def test_where_only_https_was_asked_the_message_names_the_announced_realm(
    wire: Wire, transport: HttpClient, status: int
) -> None:
    wire.get(OWN_UP, status=status)
    error = failure(transport, STORED, grant(OWN_DOWN), kind=ImgfetchError)
    assert OWN_DOWN in story(error)


def test_where_only_https_was_asked_the_message_says_why(wire: Wire, transport: HttpClient) -> None:
    wire.get(OWN_UP, body=ConnectionResetError(104, "Connection reset by peer"))
    error = failure(transport, STORED, grant(OWN_DOWN))
    assert "from https down to http" in shown(error)  # which rule
    assert "--realm-override registry.example:20000=" in shown(error)


# ---- a realm that may not be told ----


@pytest.mark.parametrize("realm", [FOREIGN, DOWN, "http://auth.other.example/token"])
@pytest.mark.parametrize("login", [STORED, EXPLICIT, IDENTITY, BOTH])
def test_a_realm_that_may_not_be_told_is_asked_without_a_login(
    wire: Wire, transport: HttpClient, login: Login, realm: str
) -> None:
    give(wire, realm)
    assert fetch(transport, login, grant(realm)).value == TOKEN
    assert requests_of(wire) == [("GET", realm, None)]
    assert wire.query() == QUERY
    assert wire.sent[0].body is None


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("login", [STORED, EXPLICIT, IDENTITY])
def test_a_foreign_realm_that_wants_a_login_is_named_with_the_option_that_trusts_it(
    wire: Wire, transport: HttpClient, login: Login, status: int
) -> None:
    wire.get(FOREIGN, status=status)
    error = failure(transport, login, grant(FOREIGN))
    assert requests_of(wire) == [("GET", FOREIGN, None)]
    for words in (FOREIGN, "registry.example", "named by", "withheld", "--trust-realm auth.other.example"):
        assert words in shown(error)
    assert "rejected a request without credentials" in shown(error)


def test_without_a_login_no_trust_is_asked_for(wire: Wire, transport: HttpClient) -> None:
    wire.get(FOREIGN, status=401)
    error = failure(transport, None, grant(FOREIGN))
    assert "--trust-realm" not in shown(error)
    assert "imgfetch login" in shown(error)


def test_an_http_realm_that_wants_a_login_is_named_with_the_rule_and_the_option(
    wire: Wire, transport: HttpClient
) -> None:
    wire.get(DOWN, status=401)
    error = failure(transport, STORED, grant(DOWN))
    for words in (DOWN, "named by", "from https down to http", "--realm-override auth.registry.example"):
        assert words in shown(error)  # which rule, and which option allows it


@pytest.mark.parametrize("login", [STORED, IDENTITY])
def test_a_trusted_realm_is_told(wire: Wire, transport: HttpClient, login: Login) -> None:
    give(wire, FOREIGN, method=method_for(login))
    fetch(transport, login, grant(FOREIGN, trusted=frozenset({"auth.other.example"})))
    assert requests_of(wire) == [(method_for(login), FOREIGN, header_for(login))]


# ---- an announced realm that nobody answers ----


AT_8443 = "https://registry.example:8443/token"


def refused() -> ConnectionRefusedError:
    return ConnectionRefusedError(111, "Connection refused")


@ALL
def test_the_registrys_own_origin_is_tried_once_with_a_warning_when_the_announced_one_refuses_connections(
    wire: Wire, transport: HttpClient, log: Log, login: Login | None
) -> None:
    method = method_for(login)
    wire.add(method, AT_8443, body=refused())
    give(wire, OWN_UP, method=method)
    assert fetch(transport, login, grant(AT_8443)).value == TOKEN
    assert wire.asked == [AT_8443, OWN_UP]
    (warning,) = log.warnings
    for words in (AT_8443, OWN_UP, "named by"):
        assert words in warning


def test_where_the_registrys_own_origin_refuses_connections_too_nobody_is_asked_a_third_time(
    wire: Wire, transport: HttpClient, log: Log
) -> None:
    for url in (AT_8443, OWN_UP):
        wire.get(url, body=refused())
    failure(transport, STORED, grant(AT_8443))
    assert wire.asked == [AT_8443, OWN_UP]
    assert log.warnings == []


def test_a_realm_on_another_host_that_refuses_connections_is_not_replaced(wire: Wire, transport: HttpClient) -> None:
    wire.get(REALM, body=refused())
    failure(transport, STORED)
    assert requests_of(wire) == [("GET", REALM, BASIC)]  # the registry's own host only


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_a_realm_that_answers_is_not_replaced(wire: Wire, transport: HttpClient, status: int) -> None:
    wire.get(AT_8443, status=status)
    failure(transport, EXPLICIT, grant(AT_8443), kind=ImgfetchError)
    assert wire.asked == [AT_8443]


def test_a_stored_login_that_the_registrys_own_origin_refuses_gives_way_to_none(
    wire: Wire, transport: HttpClient
) -> None:
    wire.assert_all_requests_are_fired = False  # the announced one need not be tried again
    wire.get(AT_8443, body=refused())
    wire.get(OWN_UP, status=401)
    wire.get(AT_8443, body=refused())
    give(wire, OWN_UP)
    assert fetch(transport, STORED, grant(AT_8443)).value == TOKEN
    assert requests_of(wire)[-1] == ("GET", OWN_UP, None)


def test_an_explicit_login_that_the_registrys_own_origin_refuses_is_told(wire: Wire, transport: HttpClient) -> None:
    wire.get(AT_8443, body=refused())
    wire.get(OWN_UP, status=401)
    error = failure(transport, EXPLICIT, grant(AT_8443))
    assert "rejected the given credentials of alice" in story(error)


@ALL
def test_a_realm_that_nobody_answers_is_told_with_whose_doing_it_is_and_what_to_do(
    transport: HttpClient, loopback: Loopback, closed_port: int, login: Login | None
) -> None:
    base = f"http://{loopback.host}"
    realm = RealmPolicy().find(f"http://localhost:{closed_port}/service/token?key=SECRET", f"{base}/v2/")
    with pytest.raises(AuthenticationError) as caught:
        TokenClient(transport, base).fetch(Grant(realm, "s", SCOPES, SUBJECT), login)
    text = shown(caught.value)
    for words in (
        f"cannot get an access token for {SUBJECT}",
        f"http://localhost:{closed_port}/service/token",
        "named by",
        f"The registry {base}",
        f"localhost:{closed_port}",
        "onnection refused",
        "WWW-Authenticate",
        "imgfetch did not choose this address; the registry did",
        "reverse proxy",
        "proxy_set_header Host $http_host",
        "X-Forwarded-Proto",
        f"--realm-override localhost:{closed_port}={base}",
    ):
        assert words in text
    assert "service/token?" not in text
    assert "SECRET" not in text
    assert isinstance(caught.value.__cause__, TransportError)
    assert loopback.requests == []  # another host name, so not its own origin


def test_a_realm_whose_name_does_not_resolve_is_told_so(wire: Wire, transport: HttpClient) -> None:
    wire.get(REALM, body=socket.gaierror(-2, "Name or service not known"))
    error = failure(transport, STORED)
    for words in (REALM, "named by", "auth.registry.example:443", "does not resolve", "--realm-override"):
        assert words in shown(error)


@pytest.mark.parametrize("login", [None, STORED])
def test_a_realm_whose_path_is_not_there_is_told_so_with_what_to_do(
    wire: Wire, transport: HttpClient, login: Login | None
) -> None:
    wire.get(REALM, status=404)
    error = failure(transport, login)
    assert isinstance(error.__cause__, NotFoundError)
    for words in (REALM, "named by", "registry.example", "--realm-override auth.registry.example:443="):
        assert words in shown(error)
    assert "the path /token does not exist there" in story(error)


@pytest.mark.parametrize("reply", [404, ConnectionResetError(104, "Connection reset by peer")], ids=["404", "reset"])
def test_no_token_server_is_to_be_replaced_by_itself(
    wire: Wire, transport: HttpClient, reply: int | ConnectionResetError
) -> None:
    if isinstance(reply, int):
        wire.get(OWN_UP, status=reply)
    else:
        wire.get(OWN_UP, body=reply)
    error = failure(transport, None, grant(OWN_UP))
    assert error.hint == "the registry named itself as the token server; tell the registry's operator"


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        pytest.param(b"{%b}" % (b" " * 1024 * 1024), "tell the token server's operator", id="too large"),
        pytest.param(b"{}", "tell the registry's operator", id="no token"),
    ],
)
def test_a_reply_that_is_no_token_is_a_matter_for_an_operator(
    wire: Wire, transport: HttpClient, body: bytes, hint: str
) -> None:
    wire.get(REALM, body=body)
    assert failure(transport, None).hint == hint


def test_a_longer_wait_than_the_allowed_one_is_told_with_the_option(wire: Wire, transport: HttpClient) -> None:
    wire.get(REALM, status=429, headers={"Retry-After": "30"})
    with pytest.raises(RateLimitedError) as caught:
        TokenClient(transport, BASE, RetryPolicy(retries=0, max_wait=5)).fetch(grant(), None)
    assert str(caught.value).startswith(f"too many requests for an access token for {SUBJECT}: {REALM} returned 429")
    assert caught.value.hint == "the server asks you to wait 30 s; try again then, or pass --max-wait 30"


# ---- other failures ----


@ALL
@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, RateLimitedError), (500, UnavailableError), (502, UnavailableError), (503, UnavailableError)],
)
def test_a_server_that_does_not_serve_now_is_asked_with_nothing_else(
    wire: Wire, *, transport: HttpClient, login: Login | None, status: int, kind: type[UnavailableError]
) -> None:
    method = method_for(login)
    wire.add(method, REALM, status=status, headers={"Retry-After": "7"})
    error = failure(transport, login, kind=kind)
    assert {(used, url) for used, url, _ in requests_of(wire)} == {(method, REALM)}
    assert error.status == status
    assert "auth.registry.example" in str(error)
    assert "refuses" not in str(error)


def test_how_long_a_token_server_asks_to_wait_is_kept(wire: Wire, transport: HttpClient) -> None:
    wire.get(REALM, status=429, headers={"Retry-After": "7"})
    error = failure(transport, None, kind=RateLimitedError)
    assert error.retry_after == 7.0


# ---- secrets ----


REPLIES = [
    (200, ""),
    (200, "<html>"),
    (200, '{"access_token":null}'),
    (200, f'{{"token":"{TOKEN}"'),
    (200, f'["{TOKEN}"]'),
    (200, f'{{"token":"{TOKEN}\\n"}}'),
    (200, f'{{"Token":"{TOKEN}"}}'),
    (201, f'{{"token":"{TOKEN}"}}'),
    (202, f'{{"access_token":"{TOKEN}","token":"{TOKEN}"}}'),
    (206, f'{{"token":"{TOKEN}"}}'),
    (400, '{"error":"invalid_grant"}'),
    (401, ""),
    (403, '{"details":"no"}'),
    (404, ""),
    (429, ""),
    (500, ""),
    (302, ""),
]


@pytest.mark.parametrize(("status", "body"), REPLIES)
@ALL
def test_no_secret_is_in_what_a_failed_request_raises_and_logs(
    wire: Wire, *, transport: HttpClient, log: Log, login: Login | None, status: int, body: str
) -> None:
    wire.assert_all_requests_are_fired = False  # which of the two depends on the login
    for method in ("GET", "POST"):
        wire.add(method, REALM, status=status, body=body)
    error = failure(transport, login, kind=ImgfetchError)
    assert len(wire.calls) >= 1
    text = f"{story(error)}\n{log.text}"
    assert [secret for secret in SECRETS if secret in text] == []


@ALL
def test_no_secret_is_in_what_an_unreachable_server_makes_us_raise_and_log(
    transport: HttpClient, closed_port: int, log: Log, login: Login | None
) -> None:
    asked = "http://127.0.0.1/v2/"
    realm = RealmPolicy().find(f"http://localhost:{closed_port}/token?key=KEY-OF-THE-REALM", asked)
    with pytest.raises(AuthenticationError) as caught:
        TokenClient(transport, "http://127.0.0.1").fetch(Grant(realm, "s", SCOPES, SUBJECT), login)
    text = f"{story(caught.value)}\n{log.text}"
    assert [secret for secret in (*SECRETS, "KEY-OF-THE-REALM") if secret in text] == []


def test_no_secret_is_in_what_a_success_logs_or_returns(transport: HttpClient, loopback: Loopback, log: Log) -> None:
    loopback.answers["/token"] = Answer(json.dumps({"token": TOKEN, "refresh_token": REFRESH}).encode())
    base = f"http://{loopback.host}"
    realm = RealmPolicy().find("/token", f"{base}/v2/")
    client = TokenClient(transport, base)
    token = client.fetch(Grant(realm, "s", SCOPES, SUBJECT), STORED)
    assert token.authorization == f"Bearer {TOKEN}"
    assert [request.headers.get("Authorization") for request in loopback.requests] == [BASIC]
    text = f"{token}\n{token!r}\n{client!r}\n{realm!r}\n{log.text}"
    assert [secret for secret in SECRETS if secret in text] == []
