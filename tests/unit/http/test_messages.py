"""No message, hint or detail holds what a terminal would obey, whatever a server puts where."""

from __future__ import annotations

import http.client
import io
import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3.exceptions

from imgfetch.auth import challenges
from imgfetch.auth.authenticator import Authenticator
from imgfetch.auth.credentials import Credentials
from imgfetch.auth.grants import Grant
from imgfetch.auth.helpers import Helpers
from imgfetch.auth.login import Login, login_again
from imgfetch.auth.realms import RealmPolicy
from imgfetch.auth.tokens import TokenClient
from imgfetch.errors import ImgfetchError, PlatformNotFoundError, VerificationError
from imgfetch.http import certificate
from imgfetch.http.certificate import Certificate
from imgfetch.http.client import HttpClient
from imgfetch.http.network_errors import mapped, proxy_error
from imgfetch.http.origin import login_command
from imgfetch.http.proxies import Proxies, Proxy
from imgfetch.http.response import Response
from imgfetch.http.status_errors import answer_of, not_the_protocol, rejection
from imgfetch.layers.diffid import DiffIdCheck, LayerInfo
from imgfetch.oci.config import Config
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.manifest import parse_document
from imgfetch.text import ServerText
from imgfetch.tolerance import Tolerance
from tests.images import ARM64, hello, image, index
from tests.wire import BASE, HOST, Wire

HOSTILE = "\x1b[2J\x1b]0;title\x07\r\nimgfetch: saved\x9b31m\x7f\x85\u202e\u2066\u2028\u200b\x00"
"""ESC, BEL, CR, LF, C1, DEL, NEL, bidi controls, line separator, zero width space, NUL."""
HEADER = HOSTILE.translate({ord(letter): None for letter in "\r\n\x00\u202e\u2066\u2028\u200b"})
"""The part that a header can hold."""
URL = "http://registry.example/v2/team/app/manifests/v1"
WHAT = "the manifest of registry.example/team/app:v1"


def check(error: BaseException | None) -> None:
    """Look at all that is shown of an error, and of its causes."""
    assert error is not None
    while isinstance(error, ImgfetchError):
        for line in (str(error), error.hint or "", *error.details, *getattr(error, "__notes__", ())):
            assert line.isprintable(), line
        error = error.__cause__


def response(status: int, body: str = "", reason: str = "", **headers: str) -> Response:
    answer = requests.Response()
    answer.status_code, answer.reason = status, reason
    answer.raw = urllib3.HTTPResponse(body=io.BytesIO(body.encode()), headers=headers, preload_content=False)
    answer.headers.update(headers)
    return Response(answer, URL)


BODIES = {
    "errors": json.dumps({"errors": [{"code": HOSTILE, "message": HOSTILE, "detail": HOSTILE}]}, ensure_ascii=False),
    "escaped": json.dumps({"errors": [{"code": HOSTILE, "message": HOSTILE}]}),
    "details": json.dumps({"details": HOSTILE, "message": HOSTILE, "error": HOSTILE}),
    "another form": json.dumps({HOSTILE: [HOSTILE]}, ensure_ascii=False),
    "text": HOSTILE,
    "title": f"<html><title>{HOSTILE}</title>",
    "XML": f"<?xml version='1.0'?><Error>{HOSTILE}</Error>",
    "pull limit": f"you have reached your pull rate limit{HOSTILE}",
    "nothing": "",
}
HEADERS = {
    "Content-Type": HEADER,
    "Retry-After": HEADER,
    "RateLimit-Limit": "100;w=21600",
    "RateLimit-Remaining": f"0;{HEADER}",
    "Docker-RateLimit-Source": HEADER,
    "WWW-Authenticate": f'{HEADER} Basic realm="{HEADER}"',
    "Location": HEADER,
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [200, 206, 302, 400, 401, 403, 404, 408, 410, 418, 429, 499, 500, 501, 503, 522])
def test_an_answers_words_are_cleaned(status: int, body: str) -> None:
    check(rejection(response(status, BODIES[body], HOSTILE, **HEADERS), WHAT, hint="check the name"))
    check(not_the_protocol(response(status, BODIES[body], HOSTILE, **HEADERS), BODIES[body].encode(), WHAT))
    said = answer_of(response(status, BODIES[body], HOSTILE, **HEADERS))
    assert said.isprintable()
    assert said.startswith(f"registry.example returned {status} \\x1b[2J")
    assert (said.count("imgfetch: saved") > 1) is (status >= 400 and body != "nothing")


@pytest.mark.parametrize("text", ["", "the cause"])
def test_a_wait_of_any_length_is_text(text: str) -> None:
    for wait in ("1", "59", "3600", "9" * 12, "9" * 40, "-1", "1e9", "Fri, 31 Dec 9999 23:59:59 GMT"):
        check(rejection(response(429, text, "", **{**HEADERS, "Retry-After": wait}), WHAT))


def from_network(error: Exception, url: str = "https://127.0.0.1:9/v2/", proxy: Proxy | None = None) -> ImgfetchError:
    """Return what comes of an error of the network."""
    with pytest.raises(ImgfetchError) as caught, mapped(url, proxy):
        raise error
    return caught.value


NETWORK: dict[str, Exception] = {
    "status line": http.client.BadStatusLine(HOSTILE),
    "protocol": urllib3.exceptions.ProtocolError(HOSTILE, http.client.BadStatusLine(HOSTILE)),
    "system": OSError(113, HOSTILE),
    "system without a number": OSError(HOSTILE),
    "name": socket.gaierror(-2, HOSTILE),
    "TLS": ssl.SSLError(1, HOSTILE),
    "not TLS": ssl.SSLError(1, f"wrong version number{HOSTILE}"),
    "TLS cut off": ssl.SSLEOFError(8, f"EOF occurred{HOSTILE}"),
    "TLS alert": ssl.SSLError(1, f"certificate required{HOSTILE}"),
    "certificate": ssl.SSLCertVerificationError(1, HOSTILE),
    "URL": requests.exceptions.InvalidURL(HOSTILE),
    "host": UnicodeError(HOSTILE),
    "value": ValueError(HOSTILE),
    "proxy": urllib3.exceptions.ProxyError(HOSTILE, OSError(f"Tunnel connection failed: 403 {HOSTILE}")),
    "proxy's name": urllib3.exceptions.ProxyError(HOSTILE, socket.gaierror(-2, HOSTILE)),
}


@pytest.mark.parametrize("name", NETWORK)
@pytest.mark.parametrize("proxy", [None, Proxy("http://p:1", "HTTPS_PROXY", "p:1")], ids=["direct", "proxy"])
def test_what_the_network_says_is_cleaned(name: str, proxy: Proxy | None) -> None:
    check(from_network(NETWORK[name], proxy=proxy))


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "again"), 2),
        (socket.gaierror(socket.EAI_NONAME, "no such name"), 1),
        (ConnectionRefusedError(111, "Connection refused"), 3),
        (ConnectionResetError(104, "Connection reset by peer"), 5),
        (TimeoutError("timed out"), 5),
        (OSError(113, "No route to host"), 5),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), 5),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), 1),
        (ssl.SSLError(1, "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version"), 1),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), 1),
        (urllib3.exceptions.IncompleteRead(1, 2), 5),
        (requests.exceptions.InvalidURL("x"), 1),
        (UnicodeError("x"), 1),
        (ValueError("x"), 1),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_a_failure_says_whether_another_try_makes_sense(error: Exception, tries: int) -> None:
    assert from_network(error).tries == tries


def test_a_proxy_is_not_tried_again() -> None:
    error = proxy_error(Proxy("http://p:1", "HTTPS_PROXY", "p:1"), "407 Proxy Authentication Required")
    assert error.tries == 1
    with pytest.raises(ImgfetchError) as caught:
        Proxies(https=f"http://{HOSTILE}").choose("https://registry.example/")
    check(caught.value)
    assert caught.value.tries == 1


PROXY = Proxy("http://proxy.example:1", "HTTPS_PROXY", "proxy.example:1")


@pytest.mark.parametrize(
    ("error", "says", "hint"),
    [
        (
            ConnectionRefusedError(111, "Connection refused"),
            "cannot connect to 192.0.2.7:9 (through the proxy proxy.example:1, HTTPS_PROXY): connection refused",
            "check the name, the port and the VPN, and whether the proxy allows the host",
        ),
        (
            socket.gaierror(socket.EAI_NONAME, "no such name"),
            "cannot find 192.0.2.7:9: the name does not resolve (no such name)",
            "check the name, the DNS and the VPN, and whether the proxy allows the host",
        ),
    ],
    ids=["refused", "name"],
)
def test_a_failure_behind_a_proxy_names_it(error: Exception, says: str, hint: str) -> None:
    shown = from_network(error, "https://192.0.2.7:9/v2/", PROXY)
    assert str(shown) == says
    assert shown.hint == hint


CERTIFICATE = Certificate("me", "them", "2030-01-01 00:00 UTC", "2031-01-01 00:00 UTC", ("a.example", "b.example"))
PASS_THE_CA = "pass the CA certificate with --ca-file FILE, or copy it to ~/.config/containers/certs.d/127.0.0.1:9/ca"


@pytest.mark.parametrize(
    ("code", "found", "says", "hint"),
    [
        (9, CERTIFICATE, 'not valid before 2030-01-01 00:00 UTC; issued to "me" by', "check the clock of this ma"),
        (9, None, "127.0.0.1:9: not yet", "check the clock of this machine; last resort: --insecure 127.0.0.1:9"),
        (10, CERTIFICATE, "it expired on 2031-01-01 00:00 UTC", "check the clock of this machine; if it is right"),
        (10, None, "127.0.0.1:9: not yet", "check the clock of this machine; if it is right"),
        (20, None, "unknown issuer (not yet)", PASS_THE_CA),
        (62, CERTIFICATE, "it is valid for a.example, b.example", "use a host name that the certificate covers"),
        (64, None, "127.0.0.1:9: not yet", "use a host name that the certificate covers"),
        (
            64,
            CERTIFICATE._replace(names=("127.0.0.1",)),
            "it has 127.0.0.1 as a DNS name, and not as an address",
            "the server needs a certificate with IP:127.0.0.1",
        ),
        (
            64,
            CERTIFICATE._replace(subject="127.0.0.1", names=()),
            'it names its host only as the common name "127.0.0.1", which does not count any more',
            "the server needs a certificate with 127.0.0.1 as a subject alternative name",
        ),
        (66, None, "127.0.0.1:9: not yet", "the server needs another certificate; tell the registry's operator"),
        (1, None, "127.0.0.1:9: not yet", "the server needs another certificate; tell the registry's operator"),
    ],
)
def test_a_certificate_is_told_with_why_and_what_to_do(
    code: int, found: Certificate | None, says: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = ssl.SSLCertVerificationError(1, "verify failed")
    error.verify_code, error.verify_message = code, "not yet"
    monkeypatch.setattr(certificate, "fetch", lambda *_: found)
    shown = from_network(error)
    assert says in str(shown)
    assert str(shown.hint).startswith(hint)
    assert str(shown.hint).endswith("--insecure 127.0.0.1:9")


def test_a_certificate_behind_a_proxy_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "fetch", lambda *_: pytest.fail("there is no way there"))
    shown = from_network(ssl.SSLCertVerificationError(1, "verify failed"), "https://192.0.2.7/v2/", PROXY)
    assert "cannot verify the certificate of 192.0.2.7:443" in str(shown)


# ---- documents ----


def variants(value: Any) -> Iterator[Any]:
    """Yield a document with each of its texts, keys and numbers replaced."""
    if isinstance(value, dict):
        for key, member in value.items():
            rest = {name: other for name, other in value.items() if name != key}
            yield {**rest, f"{key}{HOSTILE}": member}
            yield {**value, key: HOSTILE}
            yield {**value, key: [HOSTILE]}
            yield {**value, key: {HOSTILE: HOSTILE}}
            yield {**value, key.upper(): HOSTILE}
            for variant in variants(member):
                yield {**value, key: variant}
    elif isinstance(value, list):
        for place, member in enumerate(value):
            for variant in (HOSTILE, *variants(member)):
                yield [*value[:place], variant, *value[place + 1 :]]


IMAGE = image(hello(), manifest={"artifactType": "application/vnd.example", "annotations": {"a": "b"}})
INDEX = index(IMAGE, image(hello("b"), platform=ARM64))


@pytest.mark.parametrize("built", [IMAGE, INDEX], ids=["manifest", "index"])
@pytest.mark.parametrize("escaped", [True, False], ids=["escaped", "raw"])
def test_a_documents_words_are_cleaned(built: Any, *, escaped: bool, caplog: pytest.LogCaptureFixture) -> None:
    failed = 0
    good = Descriptor.of(built.raw, "")
    for variant in variants(json.loads(built.raw)):
        raw = json.dumps(variant, ensure_ascii=escaped).encode()
        for content_type in ("", HEADER, built.media_type):
            try:
                parse_document(Document(raw, content_type), good, WHAT, Tolerance(), pinned=True)
            except ImgfetchError as error:
                check(error)
                failed += 1
    assert failed > 30
    assert all(record.getMessage().isprintable() for record in caplog.records)


def test_a_configs_words_are_cleaned() -> None:
    failed = 0
    for variant in variants(json.loads(IMAGE.config.content)):
        for media_type in (IMAGE.config.media_type, "application/octet-stream"):
            try:
                Config.from_json(json.dumps(variant).encode(), media_type, "the config of x")
            except ImgfetchError as error:
                check(error)
                failed += 1
    assert failed > 10


@pytest.mark.parametrize("raw", [HOSTILE, f'{{"{HOSTILE}', f'{{"a": {HOSTILE}', '{"a": 1, "a": 2}', f"[{HOSTILE}]"])
def test_what_is_no_json_is_cleaned(raw: str) -> None:
    with pytest.raises(VerificationError) as caught:
        parse_document(Document(raw.encode()), Descriptor.of(b"", ""), WHAT, Tolerance())
    check(caught.value)
    assert caught.value.hint == "do not use this image; if the error persists, report it to the publisher"


def test_a_better_hint_is_kept() -> None:
    conflict = Document(IMAGE.raw, "application/vnd.docker.distribution.manifest.v2+json")
    with pytest.raises(VerificationError) as caught:
        parse_document(conflict, Descriptor.of(IMAGE.raw, ""), WHAT, Tolerance(strict=True), pinned=True)
    assert caught.value.hint == "without --strict this is a warning"


@pytest.mark.parametrize("content", [HOSTILE.encode() * 99, b"<" * 600, b"\x1f\x8b\x08" + HOSTILE.encode()])
@pytest.mark.parametrize("media_type", [HOSTILE, ""])
def test_a_layers_words_are_cleaned(content: bytes, media_type: str) -> None:
    layer = DiffIdCheck("layer 1/1 of x", media_type)
    layer.update(content)
    with pytest.raises(ImgfetchError) as caught:
        layer.finish()
    check(caught.value)


def test_a_layers_remarks_are_cleaned() -> None:
    layer = DiffIdCheck("layer 1/1 of x", HOSTILE)
    layer.update(bytes(1024))
    contents = layer.finish()
    assert isinstance(contents, LayerInfo)
    assert all(remark.isprintable() for remark in contents.warnings(HOSTILE))


def test_very_many_platforms_are_named_in_part() -> None:
    error = PlatformNotFoundError("x", wanted="a", available=tuple(f"linux/m{number}" for number in range(20)))
    assert str(error.hint).endswith("linux/m15 and 4 more; choose one with --platform")


# ---- logins ----


def test_a_files_words_are_cleaned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    contents: Sequence[object] = (
        {"auths": {"registry.example": {"auth": HOSTILE}}},
        {"auths": {"registry.example": HOSTILE}},
        {"auths": {"registry.example": {"auth": [HOSTILE]}}},
        {"auths": {f"registry.example/{HOSTILE}": {"auth": "!"}}},
        {"auths": HOSTILE},
        {"credHelpers": {"registry.example": HOSTILE}},
        {"credHelpers": {"registry.example": {HOSTILE: 1}}},
        {"credsStore": f"x{HOSTILE}"},
        {"credsStore": "absent"},
        HOSTILE,
    )
    for number, content in enumerate(contents):
        directory = tmp_path / f"{number}\x1b[2J\u202e\x9b"
        directory.mkdir()
        (directory / "config.json").write_text(json.dumps(content))
        found = Credentials(files=[directory / "config.json"], path=str(tmp_path))
        assert found.find("registry.example", f"{HOSTILE}/x") is None
    assert len(caplog.records) >= len(contents)
    assert all(record.getMessage().isprintable() for record in caplog.records)


@pytest.mark.parametrize("status", [0, 1])
def test_a_helpers_words_are_cleaned(tmp_path: Path, status: int) -> None:
    program = tmp_path / "docker-credential-odd"
    program.write_text(f"#!/bin/sh\nprintf 'a\\033[2J\\233\\r\\nb\\342\\200\\256'\nexit {status}\n")
    program.chmod(0o755)
    for name in ("odd", HOSTILE, "absent"):
        with pytest.raises(ImgfetchError) as caught:
            Helpers(str(tmp_path)).get(name, HOSTILE)
        check(caught.value)


# ---- challenges and tokens ----


CHALLENGES = {
    "Basic": f'Basic realm="{HEADER}"',
    "Basic of Nexus": f'Basic realm="Nexus{HEADER}"',
    "other schemes": f"Digest realm={HEADER}, {HEADER} x",
    "a relative realm": f'Bearer realm="{HEADER}",service="{HEADER}",scope="{HEADER}"',
    "a realm": f'Bearer realm="https://auth.registry.example/{HEADER}?{HEADER}",service="{HEADER}"',
    "a realm's host": f'Bearer realm="https://{HEADER}/token"',
    "a realm's scheme": f'Bearer realm="{HEADER}://x/token"',
    "no realm": f'Bearer service="{HEADER}"',
    "nothing": "",
}


def authenticator_of(transport: HttpClient, scheme: str, login: Login | None) -> Authenticator:
    base, credentials = f"{scheme}://{HOST}", Credentials(explicit=login)
    fetch_token = TokenClient(transport, base).fetch
    return Authenticator(transport, HOST, base, credentials=credentials, realms=RealmPolicy(), fetch_token=fetch_token)


@pytest.mark.parametrize("name", CHALLENGES)
@pytest.mark.parametrize("login", [None, Login(f"al{HOSTILE[:3]}ice", "secret", source=f"/x/{HOSTILE}")])
@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500])
def test_a_challenges_and_a_token_servers_words_are_cleaned(
    wire: Wire, *, name: str, login: Login | None, status: int, transport: HttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    authenticator = authenticator_of(transport, "http", login)
    failed = 0
    wire.assert_all_requests_are_fired = False  # who is asked depends on the challenge
    wire.challenge("http://registry.example/v2/", CHALLENGES[name])
    for host in ("https://auth.registry.example", "http://registry.example"):
        wire.get(re.compile(f"{host}/[^v]"), status=status, body=BODIES["errors"], content_type=HEADER)
    refusal = {"WWW-Authenticate": CHALLENGES[name]}
    for used in (None, Login("a", "b").basic() if login is None else login.basic()):
        try:
            authenticator.answer(response(401, HOSTILE, HOSTILE, **refusal), "team/app", used, WHAT)
        except ImgfetchError as error:
            check(error)
            failed += 1
        assert authenticator.hint("team/app").isprintable()
    assert failed or name.startswith("Basic")
    assert all(record.getMessage().isprintable() for record in caplog.records)


@pytest.mark.parametrize(
    ("registry", "source", "says"),
    [
        ("registry.example:5000", "/x", "log in again: imgfetch login registry.example:5000"),
        ("docker.io", "/x", "log in again: imgfetch login"),
        ("registry-1.docker.io", "/x", "log in again: imgfetch login"),
        ("public.ecr.aws", "/x", "12 hours; public images need none: imgfetch logout public.ecr.aws"),
        (
            "1.dkr.ecr.us-east-1.amazonaws.com",
            "/x",
            "12 hours; log in again (aws ecr get-login-password): imgfetch login 1.",
        ),
        ("1.dkr.ecr.cn-north-1.amazonaws.com.cn", "/x", "12 hours; log in again"),
        ("evil-amazonaws.com", "/x", "log in again: imgfetch login evil-amazonaws.com"),
        ("public.ecr.aws", "--username", "check the given user name and password"),
    ],
)
def test_what_to_do_about_a_refused_login_depends_on_the_registry(registry: str, source: str, says: str) -> None:
    login = Login("alice", "secret", source=source, is_explicit=source == "--username")
    assert says in login_again(registry, login)


def test_a_login_that_was_kept_back_is_named_with_the_option(wire: Wire, transport: HttpClient) -> None:
    authenticator = authenticator_of(transport, "https", Login("alice", "secret", source="/x"))
    wire.get("https://other.example/token", json={"token": "t"})
    refusal = response(401, **{"WWW-Authenticate": 'Bearer realm="https://other.example/token"'})
    assert authenticator.answer(refusal, "team/app", None, WHAT) == "Bearer t"
    hint = authenticator.hint("team/app")
    assert hint.startswith("imgfetch withheld the credentials of alice from /x: other.example does not belong to")
    assert "--trust-realm other.example" in hint


def test_a_login_command_is_cleaned() -> None:
    assert login_command(HOSTILE).isprintable()


def test_a_refresh_token_that_is_refused_is_told_cleaned(wire: Wire, transport: HttpClient) -> None:
    realm = RealmPolicy().find("https://auth.registry.example/token", f"{BASE}/v2/")
    login = Login(identity_token="REFRESH", source=f"--{HOSTILE}")
    wire.post("https://auth.registry.example/token", status=401, body=BODIES["text"])
    with pytest.raises(ImgfetchError) as caught:
        TokenClient(transport, BASE).fetch(Grant(realm, HOSTILE, (HOSTILE,), "registry.example/team/app"), login)
    check(caught.value)


def test_a_challenge_is_read_whatever_it_holds() -> None:
    lines: Mapping[str, Any] = {name: challenges.parse([ServerText(line)]) for name, line in CHALLENGES.items()}
    assert lines["Basic"][0].scheme == "basic"
