"""Credentials are tried where a registry hides an image, and left out where they are in the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote_plus

import pytest
import requests
from urllib3 import HTTPHeaderDict

from imgfetch.auth.credentials import Credentials
from imgfetch.auth.login import Login
from imgfetch.errors import AuthenticationError, ImgfetchError, NotFoundError
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.client import Registry
from tests.stories import Log
from tests.wire import BASE, BLOB_URL, CONTENT, HOST, MANIFEST, REFERENCE, Wire, read_blob

REALM = "https://auth.registry.example/token"
FOREIGN = "https://auth.other.example/token"
PING = f"{BASE}/v2/"
TAGS = f"{BASE}/v2/team/app/tags/list"
LOGIN = Login("alice", "PASSWORD", source="--username", is_explicit=True)
BASIC = LOGIN.basic()
OWN = "repository:team/app:pull"
OTHER = "repository:docker-local/team/app:pull"


def bearer(realm: str = REALM, scope: str = "") -> str:
    return f'Bearer realm="{realm}",service="s"' + (f',scope="{scope}"' if scope else "")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(f'{{"auths": {{"{HOST}": {{"auth": "{BASIC.split()[1]}"}}}}}}')
    return path


@pytest.fixture
def known(config: Path) -> Credentials:
    """Return the stored login for the registry."""
    return Credentials(files=[config])


def opened(credentials: Credentials) -> Registry:
    return Registry(HOST, access=RegistryConfig(credentials=credentials))


def hide(wire: Wire, url: str, accepted: str, *, status: int = 404, body: bytes = b"{}") -> None:
    """Answer a URL for an ``Authorization`` header, and hide it from all others."""

    def answer(request: requests.PreparedRequest) -> tuple[int, HTTPHeaderDict, bytes]:
        is_known = request.headers.get("Authorization") == accepted
        return (200, HTTPHeaderDict(), body) if is_known else (status, HTTPHeaderDict(), b"hidden")

    wire.add_callback("GET", url, callback=answer)


def give_tokens(wire: Wire, *, denied: Callable[[requests.PreparedRequest], bool] = lambda _: False) -> None:
    """Answer token requests with ``member``, or ``guest`` without credentials."""

    def answer(request: requests.PreparedRequest) -> tuple[int, HTTPHeaderDict, str]:
        if denied(request):
            return 403, HTTPHeaderDict(), '{"details":"denied"}'
        token = "member" if "Authorization" in request.headers else "guest"
        return 200, HTTPHeaderDict(), f'{{"token":"{token}"}}'

    wire.add_callback("GET", REALM, callback=answer)


# ---- a registry that hides private images ----


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("kind", ["Basic", "Bearer"])
def test_stored_credentials_are_tried_for_an_image_that_is_hidden_without_a_challenge(
    wire: Wire, known: Credentials, kind: str, status: int
) -> None:
    wire.challenge(PING, 'Basic realm="r"' if kind == "Basic" else bearer())
    hide(wire, MANIFEST, BASIC if kind == "Basic" else "Bearer member", status=status)
    if kind == "Bearer":
        give_tokens(wire)
    with opened(known) as registry:
        assert registry.manifest(REFERENCE).raw == b"{}"
    assert wire.asked == [MANIFEST, PING, *([REALM] if kind == "Bearer" else []), MANIFEST]
    assert wire.authorizations[-1] == (BASIC if kind == "Basic" else "Bearer member")


def test_credentials_of_the_command_line_are_tried_for_a_hidden_blob_too(wire: Wire) -> None:
    wire.challenge(PING, bearer())
    hide(wire, BLOB_URL, "Bearer member", body=CONTENT)
    give_tokens(wire)
    with opened(Credentials(explicit=LOGIN)) as registry:
        assert read_blob(registry) == CONTENT


def test_the_tags_of_a_hidden_repository_are_listed_with_stored_credentials(wire: Wire, known: Credentials) -> None:
    wire.challenge(PING, 'Basic realm="r"')
    hide(wire, TAGS, BASIC, body=b'{"tags":["1"]}')
    with opened(known) as registry:
        assert list(registry.tags(REFERENCE)) == ["1"]


def test_without_credentials_a_missing_image_costs_one_request(wire: Wire) -> None:
    wire.get(MANIFEST, status=404)
    with opened(Credentials()) as registry, pytest.raises(NotFoundError) as caught:
        registry.manifest(REFERENCE)
    assert wire.asked == [MANIFEST]
    assert "none were sent" in str(caught.value.hint)


@pytest.mark.parametrize(
    "root",
    [
        pytest.param({"status": 200}, id="no challenge"),
        pytest.param({"status": 401, "headers": {"WWW-Authenticate": "Negotiate"}}, id="another scheme"),
        pytest.param({"status": 404}, id="no root"),
        pytest.param({"status": 307, "headers": {"Location": "https://evil.test/v2/"}}, id="a root elsewhere"),
        pytest.param({"body": ConnectionResetError(104, "Connection reset by peer")}, id="no answer"),
    ],
)
def test_a_registry_that_asks_for_no_credentials_is_asked_once_and_receives_none(
    wire: Wire, known: Credentials, log: Log, root: dict[str, object]
) -> None:
    wire.get(MANIFEST, status=404)
    wire.get(PING, **root)
    if "headers" in root and root["status"] == 307:
        wire.challenge("https://evil.test/v2/", 'Basic realm="r"')
    with opened(known) as registry:
        for _ in range(2):
            with pytest.raises(NotFoundError) as caught:
                registry.manifest(REFERENCE)
    assert wire.asked.count(PING) == 1
    assert set(wire.authorizations) == {None}
    assert log.warnings == []
    hint = str(caught.value.hint)
    assert "imgfetch did not send the credentials of alice" in hint
    assert "registry.example does not ask for credentials" in hint
    assert "imgfetch login" not in hint


def test_a_missing_image_of_a_registry_that_has_answered_without_credentials_makes_no_ping(
    wire: Wire, known: Credentials
) -> None:
    wire.get(MANIFEST, body=b"{}")
    wire.get(TAGS, status=404)
    with opened(known) as registry:
        registry.manifest(REFERENCE)
        with pytest.raises(NotFoundError):
            list(registry.tags(REFERENCE))
    assert wire.asked == [MANIFEST, TAGS]


def test_an_image_that_is_hidden_from_the_credentials_too_is_reported_with_them(wire: Wire, known: Credentials) -> None:
    wire.get(MANIFEST, status=404)
    wire.challenge(PING, bearer())
    give_tokens(wire)
    with opened(known) as registry, pytest.raises(NotFoundError) as caught:
        registry.manifest(REFERENCE)
    assert "imgfetch used the credentials of alice" in str(caught.value.hint)


def test_credentials_for_a_hidden_image_go_to_no_foreign_token_server(wire: Wire, known: Credentials) -> None:
    wire.get(MANIFEST, status=404)
    wire.challenge(PING, bearer(FOREIGN))
    wire.get(FOREIGN, json={"token": "guest"})
    with opened(known) as registry, pytest.raises(NotFoundError) as caught:
        registry.manifest(REFERENCE)
    assert wire.authorizations == [None, None, None, "Bearer guest"]
    assert "--trust-realm auth.other.example" in str(caught.value.hint)


def test_credentials_that_a_token_server_denies_do_not_replace_the_registrys_answer(wire: Wire, log: Log) -> None:
    wire.get(MANIFEST, status=404)
    wire.challenge(PING, bearer())
    give_tokens(wire, denied=lambda _: True)
    with opened(Credentials(explicit=LOGIN)) as registry, pytest.raises(NotFoundError):
        registry.manifest(REFERENCE)
    (warning,) = log.warnings
    assert "rejected the given credentials of alice" in warning


def test_a_storage_that_lacks_a_blob_is_no_registry_that_hides_it(wire: Wire, known: Credentials) -> None:
    wire.redirect(BLOB_URL, "https://store.example/data")
    wire.get("https://store.example/data", status=404)
    with opened(known) as registry, pytest.raises(ImgfetchError):
        read_blob(registry)
    assert wire.asked == [BLOB_URL, "https://store.example/data"]


# ---- credentials that are in the way ----


@pytest.mark.parametrize("url", [MANIFEST, BLOB_URL])
def test_a_public_image_that_is_denied_to_stored_credentials_is_saved_without_them(
    wire: Wire, known: Credentials, log: Log, url: str
) -> None:
    wire.challenge(url, bearer())
    hide(wire, url, "Bearer guest", status=403, body=CONTENT)
    give_tokens(wire)
    with opened(known) as registry:
        for _ in range(2):
            read_blob(registry) if url == BLOB_URL else registry.manifest(REFERENCE)
    assert wire.authorizations == [None, BASIC, "Bearer member", None, "Bearer guest", "Bearer guest"]
    (warning,) = log.warnings
    for words in ("registry.example denied the credentials of alice", "config.json", "team/app", "without credentials"):
        assert words in warning


@pytest.mark.parametrize("second", [401, 403, 404])
def test_an_image_that_is_denied_without_credentials_too_is_reported_with_them(
    wire: Wire, known: Credentials, log: Log, second: int
) -> None:
    wire.challenge(MANIFEST, bearer())
    wire.get(MANIFEST, status=403)
    wire.get(MANIFEST, status=second)
    give_tokens(wire)
    with opened(known) as registry, pytest.raises(ImgfetchError) as caught:
        registry.manifest(REFERENCE)
    assert wire.authorizations == [None, BASIC, "Bearer member", None, "Bearer guest"]
    assert "imgfetch used the credentials of alice" in str(caught.value.hint)
    assert log.warnings == []


def test_credentials_of_the_command_line_are_never_left_out(wire: Wire) -> None:
    wire.challenge(MANIFEST, bearer())
    wire.get(MANIFEST, status=403)
    give_tokens(wire)
    with opened(Credentials(explicit=LOGIN)) as registry, pytest.raises(AuthenticationError):
        registry.manifest(REFERENCE)
    assert wire.authorizations == [None, BASIC, "Bearer member"]


def test_credentials_that_are_left_out_for_one_repository_are_used_for_another(wire: Wire, known: Credentials) -> None:
    other = replace(REFERENCE, repository="team/other")
    url = MANIFEST.replace("team/app", "team/other")
    for each, accepted in ((MANIFEST, "Bearer guest"), (url, "Bearer member")):
        wire.challenge(each, bearer())
        hide(wire, each, accepted, status=403)
    give_tokens(wire)
    with opened(known) as registry:
        registry.manifest(REFERENCE)
        registry.manifest(other)
    assert wire.authorizations[-1] == "Bearer member"


def test_without_a_token_for_everybody_the_first_denial_counts(wire: Wire, known: Credentials) -> None:
    wire.challenge(MANIFEST, bearer())
    wire.get(MANIFEST, status=403)
    give_tokens(wire, denied=lambda request: "Authorization" not in request.headers)
    with opened(known) as registry, pytest.raises(AuthenticationError, match="403") as caught:
        registry.manifest(REFERENCE)
    assert "imgfetch used the credentials of alice" in str(caught.value.hint)


# ---- scopes ----


def scopes(wire: Wire) -> list[list[str]]:
    """Return the scopes of each token request."""
    found = [wire.query(number) for number, url in enumerate(wire.asked) if url == REALM]
    return [[value for name, value in query if name == "scope"] for query in found]


def knows_not(scope: str) -> Callable[[requests.PreparedRequest], bool]:
    """Return what denies all requests for a scope, alone or besides others."""
    return lambda request: quote_plus(scope) in str(request.url)


@pytest.mark.parametrize("has_login", [True, False], ids=["with credentials", "without"])
def test_a_token_server_that_denies_an_unknown_scope_is_asked_for_the_challenges_alone(
    wire: Wire, known: Credentials, log: Log, *, has_login: bool
) -> None:
    wire.guard(MANIFEST, f"Bearer {'member' if has_login else 'guest'}", bearer(scope=OTHER))
    give_tokens(wire, denied=knows_not(OWN))
    with opened(known if has_login else Credentials()) as registry:
        registry.manifest(REFERENCE)
    assert scopes(wire) == [[OTHER, OWN], [OTHER]]
    assert log.warnings == []


def test_a_registry_that_refuses_a_token_for_two_scopes_gets_one_for_the_challenges_alone(
    wire: Wire, known: Credentials
) -> None:
    wire.challenge(MANIFEST, bearer(scope=OTHER))
    wire.challenge(MANIFEST, bearer(scope=OTHER))
    wire.get(MANIFEST, body=b"{}")
    give_tokens(wire)
    with opened(known) as registry:
        registry.manifest(REFERENCE)
    assert scopes(wire) == [[OTHER, OWN], [OTHER]]


def test_the_narrower_scope_is_asked_for_without_rejected_credentials_too(
    wire: Wire, known: Credentials, log: Log
) -> None:
    is_unknown = knows_not(OWN)
    wire.guard(MANIFEST, "Bearer guest", bearer(scope=OTHER))
    give_tokens(wire, denied=lambda request: is_unknown(request) or "Authorization" in request.headers)
    with opened(known) as registry:
        registry.manifest(REFERENCE)
    assert scopes(wire) == [[OTHER, OWN], [OTHER]] * 2
    assert len(log.warnings) == 1


@pytest.mark.parametrize("scope", ["", OWN], ids=["none", "the image's own"])
def test_a_rejected_password_is_not_sent_again_where_the_scope_is_the_same(wire: Wire, scope: str) -> None:
    wire.challenge(MANIFEST, bearer(scope=scope))
    give_tokens(wire, denied=lambda _: True)
    with opened(Credentials(explicit=LOGIN)) as registry, pytest.raises(AuthenticationError):
        registry.manifest(REFERENCE)
    assert wire.asked == [MANIFEST, REALM]
