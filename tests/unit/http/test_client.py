"""The bytes on the wire, the targets of redirects, and the headers sent to them."""

from __future__ import annotations

import io
import socket
import threading
from pathlib import Path

import pytest

from imgfetch.errors import RegistryError, TransportError, VerificationError
from imgfetch.http.client import HttpClient
from imgfetch.http.origin import Origin
from imgfetch.http.response import MAX_SKIPPED_BODY
from imgfetch.registry.client import Registry
from imgfetch.tolerance import Tolerance
from imgfetch.version import VERSION
from tests.addresses import LOOPBACK, LOOPBACK_SPELLINGS, NEVER, SPELLINGS
from tests.codings import Endless
from tests.loopback import Answer, Loopback, serving
from tests.stories import Log
from tests.threads import together
from tests.wire import MANIFEST, MANIFEST_PATH, REFERENCE, Wire, image_at

HOME = "https://registry.example/v2/team/app/blobs/x"
STORE = "https://store.example/data"
TOKEN = "Bearer SECRET-TOKEN"


def ask(transport: HttpClient, url: str, **options) -> bytes:
    """Return a body whose status is 200."""
    with transport.get(url, **options) as response:
        assert response.status == 200
        return b"".join(response.chunks(1_000_000))


# ---- headers and options ----


def test_a_request_has_these_headers_and_no_others(loopback: Loopback, transport: HttpClient) -> None:
    loopback.answers["/v2/"] = Answer(b"{}")
    ask(transport, f"http://{loopback.host}/v2/")
    assert loopback.requests[0].headers == {
        "Host": loopback.host,
        "User-Agent": f"imgfetch/{VERSION}",
        "Accept-Encoding": "identity",
        "Accept": "*/*",
    }


def test_accept_and_authorization_are_sent_as_given(wire: Wire, transport: HttpClient) -> None:
    wire.get(HOME, body=b"x")
    ask(transport, HOME, accept="text/plain, */*;q=0.1", authorization=TOKEN)
    assert dict(wire.sent[0].headers) == {
        "User-Agent": f"imgfetch/{VERSION}",
        "Accept-Encoding": "identity",
        "Accept": "text/plain, */*;q=0.1",
        "Authorization": "Bearer SECRET-TOKEN",
    }


def test_a_registry_is_told_imgfetch_and_its_version(wire: Wire, registry: Registry) -> None:
    wire.get(MANIFEST, body=b"{}")
    registry.manifest(REFERENCE)
    assert wire.sent[0].headers["User-Agent"] == f"imgfetch/{VERSION}"


def test_connecting_and_silence_are_bounded_and_the_certificate_is_checked(wire: Wire, transport: HttpClient) -> None:
    wire.get(HOME, body=b"x")
    ask(transport, HOME)
    options = wire.sent[0].req_kwargs
    assert options["timeout"] == (10.0, 60.0)
    assert options["stream"] is True
    assert options.get("verify", True) is True
    assert options.get("cert") is None


@pytest.mark.parametrize("authorization", [None, TOKEN], ids=["without a token", "with a token"])
def test_netrc_is_not_consulted(
    loopback: Loopback,
    transport: HttpClient,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    authorization: str | None,
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password PASSWORD\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    loopback.redirect("/v2/from", "/v2/to")
    loopback.answers["/v2/to"] = Answer(b"x")
    ask(transport, f"http://{loopback.host}/v2/from", authorization=authorization)
    assert loopback.paths == ["/v2/from", "/v2/to"]
    assert loopback.authorizations == [authorization] * 2


def test_a_cookie_does_not_come_back(loopback: Loopback, transport: HttpClient) -> None:
    loopback.answers["/from"] = Answer(status=307, headers={"Location": "/to", "Set-Cookie": "sid=1; Path=/"})
    loopback.answers["/to"] = Answer(b"x", headers={"Set-Cookie": "other=2; Path=/"})
    for _ in range(2):
        ask(transport, f"http://{loopback.host}/from")
    assert loopback.paths == ["/from", "/to"] * 2
    assert [request.headers.get("Cookie") for request in loopback.requests] == [None] * 4


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
def test_a_connection_is_used_again_after_a_redirect(
    loopback: Loopback, transport: HttpClient, *, chunked: bool
) -> None:
    loopback.answers["/from"] = Answer(b"Temporary Redirect", 307, {"Location": "/to"}, chunked=chunked)
    loopback.answers["/to"] = Answer(b"here")
    assert ask(transport, f"http://{loopback.host}/from") == b"here"
    assert (loopback.paths, loopback.connections) == (["/from", "/to"], 1)


def test_a_long_body_of_a_redirect_is_not_received(loopback: Loopback, transport: HttpClient) -> None:
    loopback.answers["/from"] = Answer(bytes(MAX_SKIPPED_BODY + 1), 307, {"Location": "/to"})
    loopback.answers["/to"] = Answer(b"here")
    assert ask(transport, f"http://{loopback.host}/from") == b"here"
    assert loopback.connections == 2


def test_a_body_of_a_redirect_that_does_not_come_is_not_awaited(
    loopback: Loopback, transport: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgfetch.http.response._SKIP", 0.1)
    held = threading.Event()
    loopback.answers["/from"] = Answer(b"Temporary Redirect", 307, {"Location": "/to"}, hold=held)
    loopback.answers["/to"] = Answer(b"here")
    late = threading.Timer(5, held.set)
    late.start()
    assert ask(transport, f"http://{loopback.host}/from") == b"here"
    held.set()
    late.cancel()
    assert loopback.connections == 2


def test_a_connection_is_used_again_after_a_challenge(loopback: Loopback) -> None:
    loopback.guard(MANIFEST_PATH, "Bearer x", f'Bearer realm="http://{loopback.host}/token"')
    loopback.answers["/token"] = Answer(b'{"token": "x"}')
    with Registry(loopback.host, scheme="http") as registry:
        registry.manifest(image_at(loopback.host))
    assert len(loopback.paths) == 3
    assert loopback.connections == 2  # the other one is the token server's, which is asked before the body is received


def test_a_body_comes_undecoded(loopback: Loopback, transport: HttpClient) -> None:
    coded = bytes.fromhex("1f8b08000000000002034b04004390c15701000000")
    loopback.answers["/x"] = Answer(coded, headers={"Content-Encoding": "gzip"})
    assert ask(transport, f"http://{loopback.host}/x") == coded


def test_a_request_that_fails_is_not_repeated_behind_our_back(wire: Wire, transport: HttpClient) -> None:
    wire.get(HOME, status=503)
    with transport.get(HOME) as response:
        assert response.status == 503
    assert wire.urls == [HOME]


def test_a_connection_that_breaks_off_is_not_opened_again_behind_our_back(transport: HttpClient) -> None:
    connections = 0

    def hang_up(connection: socket.socket) -> None:
        nonlocal connections
        connections += 1
        connection.recv(65536)

    with serving(hang_up) as host, pytest.raises(TransportError):
        ask(transport, f"http://{host}/v2/")
    assert connections == 1


@pytest.mark.parametrize("status", [200, 204, 206, 300, 304, 305, 306, 400, 401, 404, 429, 500, 599])
def test_any_other_status_is_for_the_caller_to_judge(wire: Wire, transport: HttpClient, status: int) -> None:
    wire.get(HOME, status=status, headers={"Location": STORE})
    with transport.get(HOME) as response:
        assert response.status == status
    assert wire.urls == [HOME]


# ---- redirects ----


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(wire: Wire, transport: HttpClient, status: int) -> None:
    wire.redirect(HOME, STORE, status)
    wire.get(STORE, body=b"content")
    assert ask(transport, HOME, accept="text/plain") == b"content"
    assert wire.urls == [HOME, STORE]
    headers = {"User-Agent": f"imgfetch/{VERSION}", "Accept-Encoding": "identity", "Accept": "text/plain"}
    assert [(request.method, dict(request.headers)) for request in wire.sent] == [("GET", headers)] * 2


def test_the_answer_says_where_it_came_from_in_the_end(wire: Wire, transport: HttpClient) -> None:
    wire.redirect(HOME, f"{STORE}?Signature=SECRET")
    wire.get(f"{STORE}?Signature=SECRET", body=b"content")
    with transport.get(HOME) as response:
        assert response.url == "https://store.example/data?Signature=REDACTED"
        assert response.name == "store.example"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        pytest.param("/data/1", "https://registry.example/data/1", id="path"),
        pytest.param("y", "https://registry.example/v2/team/app/blobs/y", id="sibling"),
        pytest.param("../y", "https://registry.example/v2/team/app/y", id="parent"),
        pytest.param("?part=1", "https://registry.example/v2/team/app/blobs/x?part=1", id="query"),
        pytest.param("//store.example/data", "https://store.example/data", id="host"),
        pytest.param("  https://store.example/data ", "https://store.example/data", id="spaces around"),
    ],
)
def test_a_relative_location_starts_from_the_current_url(
    wire: Wire, transport: HttpClient, location: str, target: str
) -> None:
    wire.redirect(HOME, location)
    wire.get(target, body=b"content")
    assert ask(transport, HOME) == b"content"
    assert wire.urls == [HOME, target]


def test_a_relative_location_starts_from_the_last_hop(wire: Wire, transport: HttpClient) -> None:
    wire.redirect(HOME, STORE)
    wire.redirect(STORE, "/other")
    wire.get("https://store.example/other", body=b"content")
    assert ask(transport, HOME) == b"content"
    assert wire.urls == [HOME, STORE, "https://store.example/other"]


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/a%7Eb", "/a%7Eb"),
        ("/a~b", "/a~b"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a%2fb", "/a%2Fb"),
        ("/a[1]", "/a%5B1%5D"),
        ("/a//b", "/a//b"),
        ("/c/../d", "/c/../d"),
        ("/./e", "/./e"),
        ("/a;", "/a;"),
        ("/a;v=1", "/a;v=1"),
        ("/a?k=%7E~", "/a?k=%7E~"),
        ("/a?k=%2fb", "/a?k=%2Fb"),
        ("/a?k=[1]", "/a?k=%5B1%5D"),
        ("/a?k=b//c", "/a?k=b//c"),
        ("/a?k=/c/../d", "/a?k=/c/../d"),
        ("/a?Signature=a+b/c==&k=&&l", "/a?Signature=a+b/c==&k=&&l"),
        ("/a#fragment", "/a"),
        ("/ü".encode().decode("latin-1"), "/%C3%BC"),
    ],
)
def test_a_signed_url_goes_over_the_wire_as_it_stands_in_location(
    loopback: Loopback, transport: HttpClient, location: str, path: str
) -> None:
    loopback.redirect("/from", f"http://{loopback.host}{location}")
    with transport.get(f"http://{loopback.host}/from"):
        pass
    assert loopback.paths == ["/from", path]  # only hex case and illegal characters change


def test_a_redirect_without_a_location_is_an_error(wire: Wire, transport: HttpClient) -> None:
    wire.get(HOME, status=302)
    with pytest.raises(RegistryError, match="redirect without a Location header") as caught:
        ask(transport, HOME)
    assert caught.value.status == 302
    assert caught.value.url == HOME


@pytest.mark.parametrize(
    "chain",
    [[HOME], [HOME, STORE], [HOME, STORE, f"{STORE}/2", f"{STORE}/3"]],
    ids=["to itself", "to and fro", "longer"],
)
def test_a_redirect_loop_ends_at_once(wire: Wire, transport: HttpClient, chain: list[str]) -> None:
    for url, target in zip(chain, [*chain[1:], chain[0]], strict=True):
        wire.redirect(url, target)
    with pytest.raises(RegistryError, match="redirect loop"):
        ask(transport, HOME)
    assert wire.urls == chain


def test_a_loop_that_does_not_lead_back_to_the_first_url_ends_too(wire: Wire, transport: HttpClient) -> None:
    wire.redirect(HOME, STORE)
    wire.redirect(STORE, STORE)
    with pytest.raises(RegistryError, match="redirect loop"):
        ask(transport, HOME)
    assert wire.urls == [HOME, STORE]


def test_ten_redirects_are_followed(wire: Wire, transport: HttpClient) -> None:
    for number in range(10):
        wire.redirect(f"{STORE}/{number}", f"{STORE}/{number + 1}")
    wire.get(f"{STORE}/10", body=b"content")
    assert ask(transport, f"{STORE}/0") == b"content"


def test_the_eleventh_redirect_is_not_followed(wire: Wire, transport: HttpClient) -> None:
    for number in range(11):
        wire.redirect(f"{STORE}/{number}", f"{STORE}/{number + 1}")
    with pytest.raises(RegistryError, match="more than 10 redirects"):
        ask(transport, f"{STORE}/0")
    assert wire.urls == [f"{STORE}/{number}" for number in range(11)]


@pytest.mark.parametrize(
    "location",
    [
        "ftp://store.example/data",
        "file:///passwd",
        "http:///data",
        "https://x.example:port/",
        "http://[::1",
        "//[::1/x",
    ],
)
def test_a_redirect_to_what_http_cannot_reach_is_an_error(wire: Wire, transport: HttpClient, location: str) -> None:
    wire.redirect(HOME, location)
    with pytest.raises(TransportError, match="is not a valid URL"):
        ask(transport, HOME)
    assert wire.urls == [HOME]


@pytest.mark.parametrize(
    ("home", "target", "goes_along"),
    [
        pytest.param(HOME, "https://registry.example/v2/data", True, id="same origin"),
        pytest.param(HOME, "https://REGISTRY.example:443/v2/data", True, id="same origin, spelled otherwise"),
        pytest.param(HOME, "https://registry.example/path/v2/data", True, id="an API below a path"),
        pytest.param(HOME, "https://registry.example/data?to=/v2/", False, id="outside the API"),
        pytest.param(HOME, "https://store.example/v2/data", False, id="another host"),
        pytest.param(HOME, "https://cdn.registry.example/v2/data", False, id="a subdomain"),
        pytest.param(HOME, "https://registry.example.evil.example/v2/data", False, id="a name that begins alike"),
        pytest.param(HOME, "https://registry.example:8443/v2/data", False, id="another port"),
        pytest.param(HOME, "http://registry.example/v2/data", False, id="another scheme"),
        pytest.param(HOME, "http://registry.example:443/v2/data", False, id="another scheme on the same port"),
        pytest.param("http://registry.example/x", "https://registry.example/v2/data", False, id="http to https"),
        pytest.param(
            "https://registry.example:8443/x", "https://registry.example/v2/data", False, id="from another port"
        ),
    ],
)
def test_authorization_goes_to_its_own_origin_only(
    wire: Wire, transport: HttpClient, home: str, target: str, *, goes_along: bool
) -> None:
    wire.redirect(home, target)
    wire.get(target, body=b"content")
    assert ask(transport, home, authorization=TOKEN, downgrade=True) == b"content"
    assert wire.authorizations == [TOKEN, TOKEN if goes_along else None]


@pytest.mark.parametrize("status", [401, 403])
def test_authorization_goes_to_the_registrys_own_storage_if_that_demands_it(
    wire: Wire, transport: HttpClient, status: int
) -> None:
    wire.redirect(HOME, "/storage/data")
    wire.get("https://registry.example/storage/data", status=status)
    wire.get("https://registry.example/storage/data", body=b"content")
    assert ask(transport, HOME, authorization=TOKEN) == b"content"
    assert wire.authorizations == [TOKEN, None, TOKEN]


@pytest.mark.parametrize("status", [400, 404, 500])
def test_authorization_does_not_go_to_the_registrys_own_storage_for_another_reason(
    wire: Wire, transport: HttpClient, status: int
) -> None:
    wire.redirect(HOME, "/storage/data")
    wire.get("https://registry.example/storage/data", status=status)
    with transport.get(HOME, authorization=TOKEN) as response:
        assert response.status == status
    assert wire.authorizations == [TOKEN, None]


def test_another_storage_that_demands_authorization_is_not_sent_any(wire: Wire, transport: HttpClient) -> None:
    wire.redirect(HOME, "https://store.example/data")
    wire.get("https://store.example/data", status=401)
    with transport.get(HOME, authorization=TOKEN) as response:
        assert response.status == 401
    assert wire.authorizations == [TOKEN, None]


def test_each_origin_is_sent_its_own_validator(wire: Wire, transport: HttpClient) -> None:
    wire.redirect(HOME, "https://elsewhere.example/")
    wire.redirect("https://elsewhere.example/", STORE)
    wire.get(STORE, body=b"content")
    ask(transport, HOME, offset=5, validators={Origin.of(HOME): '"home"', Origin.of(STORE): '"store"'})
    assert [request.headers.get("If-Range") for request in wire.sent] == ['"home"', None, '"store"']


def test_a_redirect_to_plain_http_is_refused_where_content_is_not_checked_by_digest(
    wire: Wire, transport: HttpClient
) -> None:
    wire.redirect(HOME, "http://store.example/data?Signature=SECRET")
    with pytest.raises(RegistryError, match="did not follow a redirect from https to http") as caught:
        ask(transport, HOME)
    assert wire.urls == [HOME]
    assert "SECRET" not in str(caught.value)
    assert caught.value.url == "http://store.example/data?Signature=REDACTED"


def test_a_redirect_to_plain_http_is_followed_with_one_warning(wire: Wire, transport: HttpClient, log: Log) -> None:
    for number in range(2):
        wire.redirect(f"{HOME}{number}", f"http://store.example/{number}")
        wire.get(f"http://store.example/{number}", body=b"content")
        ask(transport, f"{HOME}{number}", authorization=TOKEN, downgrade=True)
    (warning,) = log.warnings
    assert warning.startswith("registry.example redirects to store.example over plain http")
    assert wire.authorizations == [TOKEN, None, TOKEN, None]


def test_under_strict_a_redirect_to_plain_http_is_refused_for_all(wire: Wire) -> None:
    transport = HttpClient(tolerance=Tolerance(strict=True))
    wire.redirect(HOME, "http://store.example/data")
    with pytest.raises(VerificationError, match="over plain http"):
        ask(transport, HOME, downgrade=True)
    assert wire.urls == [HOME]
    transport.close()


@pytest.mark.parametrize(
    ("home", "target"),
    [("http://registry.example/x", "http://store.example/data"), ("http://registry.example/x", STORE)],
    ids=["http to http", "http to https"],
)
def test_a_redirect_that_makes_nothing_worse_is_followed_in_silence(
    wire: Wire, transport: HttpClient, log: Log, home: str, target: str
) -> None:
    wire.redirect(home, target)
    wire.get(target, body=b"content")
    assert ask(transport, home) == b"content"
    assert log.warnings == []


@pytest.mark.parametrize("host", [*NEVER, *LOOPBACK, *SPELLINGS, *LOOPBACK_SPELLINGS])
def test_a_redirect_to_a_forbidden_address_is_not_followed(wire: Wire, transport: HttpClient, host: str) -> None:
    wire.redirect(HOME, f"https://{host}/data")
    with pytest.raises((RegistryError, TransportError)):
        ask(transport, HOME)
    assert wire.urls == [HOME]


def test_a_way_over_the_loopback_ends_for_a_registry_that_is_elsewhere(wire: Wire, transport: HttpClient) -> None:
    wire.redirect(HOME, STORE)
    wire.redirect(STORE, "https://localhost:5000/data")
    with pytest.raises(RegistryError, match="unsafe address"):
        ask(transport, HOME)
    assert wire.urls == [HOME, STORE]


def test_a_second_redirect_to_plain_http_is_refused_too(wire: Wire, transport: HttpClient) -> None:
    wire.redirect("http://registry.example/x", STORE)
    wire.redirect(STORE, "http://store.example/data")
    with pytest.raises(RegistryError, match="from https to http"):
        ask(transport, "http://registry.example/x")


def test_a_redirect_to_the_loopback_is_followed_from_the_loopback_only(wire: Wire, transport: HttpClient) -> None:
    wire.redirect("http://localhost:5000/x", "http://127.0.0.1:5000/data")
    wire.get("http://127.0.0.1:5000/data", body=b"content")
    assert ask(transport, "http://localhost:5000/x") == b"content"


def test_a_redirect_to_a_private_address_is_followed(wire: Wire, transport: HttpClient) -> None:
    wire.redirect(HOME, "https://10.1.2.3:9000/data")
    wire.get("https://10.1.2.3:9000/data", body=b"content")
    assert ask(transport, HOME) == b"content"


def test_the_body_of_a_redirect_is_not_read_beyond_its_bound(wire: Wire, transport: HttpClient) -> None:
    body = Endless()
    wire.get(HOME, status=307, headers={"Location": STORE}, body=io.BufferedReader(body))
    wire.get(STORE, body=b"content")
    assert ask(transport, HOME) == b"content"
    assert body.read_so_far <= 128 * 1024  # 64 KiB, and what was buffered


def test_a_message_about_redirects_names_the_hosts_and_no_secret(wire: Wire, transport: HttpClient) -> None:
    wire.redirect(HOME, f"{STORE}?Signature=SECRET")
    wire.redirect(f"{STORE}?Signature=SECRET", HOME)
    with pytest.raises(RegistryError) as caught:
        ask(transport, HOME)
    message = str(caught.value)
    assert "registry.example/v2/team/app/blobs/x -> https://store.example/data?Signature=REDACTED" in message
    assert "SECRET" not in message
    assert message.isprintable()


def test_requests_are_logged_without_secrets(wire: Wire, transport: HttpClient, log: Log) -> None:
    wire.redirect(f"{HOME}?ns=docker.io", "https://store.example/data?Signature=SIGNATURE")
    wire.get("https://store.example/data?Signature=SIGNATURE", body=b"content")
    ask(transport, f"{HOME}?ns=docker.io", authorization=TOKEN)
    assert log.text.splitlines() == [
        "INFO GET https://registry.example/v2/team/app/blobs/x?ns=docker.io: 307 Temporary Redirect",
        "INFO GET https://store.example/data?Signature=REDACTED: 200 OK",
    ]


# ---- what a registry has to say to its users ----


def test_a_registrys_warning_is_shown_once_and_clean(wire: Wire, transport: HttpClient, log: Log) -> None:
    text = '299 - "this tag \x1b[31mgoes away\u202e soon"'.encode().decode("latin-1")
    wire.get(HOME, headers={"Warning": text})
    wire.get(STORE, headers={"Warning": '299 - "another host says so"'})
    for url in (HOME, HOME, STORE):
        ask(transport, url)
    first, second = log.warnings
    assert first.startswith("warning from registry.example: this tag \\x1b[31mgoes away")
    assert first.isprintable()
    assert second == "warning from store.example: another host says so"


@pytest.mark.parametrize(
    ("header", "texts"),
    [
        ('299 - "one", 299 registry "two"', ["one", "two"]),
        ('299 - "with, a comma"', ["with, a comma"]),
        ('110 - "response is stale"', []),
        ("299 - no quotes", []),
        ("", []),
    ],
)
def test_only_warnings_in_the_specified_form_are_shown(
    wire: Wire, transport: HttpClient, log: Log, header: str, texts: list[str]
) -> None:
    wire.get(HOME, headers={"Warning": header})
    ask(transport, HOME)
    assert log.warnings == [f"warning from registry.example: {text}" for text in texts]


def test_no_more_than_4096_bytes_of_warnings_are_shown(wire: Wire, transport: HttpClient, log: Log) -> None:
    wire.get(HOME, headers={"Warning": ", ".join(f'299 - "{number:02} {"x" * 387}"' for number in range(20))})
    ask(transport, HOME)
    assert log.warnings == [f"warning from registry.example: {number:02} {'x' * 387}" for number in range(10)]


def test_a_warning_changes_nothing(wire: Wire, transport: HttpClient) -> None:
    wire.get(HOME, body=b"content", headers={"Warning": '299 - "go away"'})
    assert ask(transport, HOME) == b"content"


# ---- ending from another thread ----


def test_abort_ends_a_read_that_another_thread_waits_in(transport: HttpClient) -> None:
    reading, done = threading.Event(), threading.Event()

    def stall(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbegin")
        done.wait(30)

    def read() -> None:
        with transport.get(f"http://{host}/x") as response:
            reading.set()
            list(response.chunks(1_000_000))

    def stop() -> None:
        assert reading.wait(30)
        transport.abort()

    with serving(stall) as host:
        failures = together(read, stop)
        done.set()
    assert [type(failure) for failure in failures] == [TransportError]


def test_after_abort_nothing_is_asked(wire: Wire, transport: HttpClient) -> None:
    transport.abort()
    with pytest.raises(TransportError, match="stopped before the request to https://registry"):
        ask(transport, HOME)
    assert wire.urls == []


def test_an_abort_while_a_request_is_under_way_counts(wire: Wire, transport: HttpClient) -> None:
    def answer(_request: object) -> tuple[int, dict[str, str], bytes]:
        transport.abort()
        return 200, {}, b"content"

    wire.add_callback("GET", HOME, callback=answer)
    with pytest.raises(TransportError, match="stopped during the request to https://registry"):
        ask(transport, HOME)
