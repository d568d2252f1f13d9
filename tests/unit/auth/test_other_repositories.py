"""A registry that wanted a token for one repository is sent one for the others too, before it asks."""

from __future__ import annotations

import json
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import requests

from imgfetch.auth.credentials import Credentials
from imgfetch.auth.login import Login
from imgfetch.errors import AuthenticationError
from imgfetch.oci.reference import Reference
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.client import Registry
from tests.threads import together
from tests.wire import BASE, HOST, Wire

REALM = "https://registry.example/token"
FIRST, SECOND = Reference(HOST, "team/first", "1"), Reference(HOST, "team/second", "1")
ALICE, BOB = Login("alice", "PASSWORD"), Login("bob", "WORDPASS")


def url_of(reference: Reference) -> str:
    return f"{BASE}/v2/{reference.repository}/manifests/{reference.tag}"


def scope_of(reference: Reference) -> str:
    return f"repository:{reference.repository}:pull"


def guard(wire: Wire, reference: Reference, scope: str | None = None) -> None:
    """Let the registry want a token for a manifest, and say so with this scope."""
    challenge = f'Bearer realm="{REALM}",service="s",scope="{scope_of(reference) if scope is None else scope}"'
    wire.guard(url_of(reference), f"Bearer {reference.repository}", challenge)


def scopes_asked(wire: Wire) -> list[list[str]]:
    """Return the scopes of each token request."""
    numbers = [number for number, url in enumerate(wire.asked) if url == REALM]
    return [[value for name, value in wire.query(number) if name == "scope"] for number in numbers]


class Tokens:
    """A token server, whose token is the repository's name."""

    def __init__(self, wire: Wire, *, refuses: str = "") -> None:
        self.meeting = threading.Barrier(1, timeout=30)
        self.sent: list[str | None] = []
        self._refuses = refuses
        wire.add_callback("GET", REALM, callback=self._give)

    def _give(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        authorization = request.headers.get("Authorization")
        self.sent.append(authorization if authorization is None else str(authorization))
        repository = str(request.url).partition("scope=repository%3A")[2].partition("%3A")[0].replace("%2F", "/")
        if repository != FIRST.repository:
            self.meeting.wait()
        return (401, {}, "") if repository == self._refuses else (200, {}, json.dumps({"token": repository}))


def stored(path: Path, **logins: Login) -> Registry:
    """Return the registry, with stored credentials for it or for its repositories."""
    keys = {key.replace("_", "/") or HOST: login for key, login in logins.items()}
    auths = {f"{HOST}/{key}": {"auth": login.basic().split()[1]} for key, login in keys.items()}
    path.write_text(json.dumps({"auths": auths}))
    return Registry(HOST, access=RegistryConfig(credentials=Credentials(files=[path])))


def test_the_second_repository_is_requested_with_a_token_at_once(wire: Wire, registry: Registry) -> None:
    for reference in (FIRST, SECOND):
        guard(wire, reference)
    Tokens(wire)
    registry.manifest(FIRST)
    registry.manifest(SECOND)
    assert wire.asked == [url_of(FIRST), REALM, url_of(FIRST), REALM, url_of(SECOND)]
    assert scopes_asked(wire) == [[scope_of(FIRST)], [scope_of(SECOND)]]


@pytest.mark.parametrize("scope", ["", "repository:mirror/team/first:pull", "repository:team/first:pull,push"])
def test_a_registry_with_scopes_of_its_own_is_asked_for_them(wire: Wire, registry: Registry, scope: str) -> None:
    guard(wire, FIRST, scope)
    guard(wire, SECOND)
    wire.get(REALM, json={"token": FIRST.repository})
    wire.get(REALM, json={"token": SECOND.repository})
    registry.manifest(FIRST)
    registry.manifest(SECOND)
    assert wire.asked == [url_of(FIRST), REALM, url_of(FIRST), url_of(SECOND), REALM, url_of(SECOND)]


def test_a_repository_without_a_token_for_it_is_requested_without_one(wire: Wire, registry: Registry) -> None:
    guard(wire, FIRST)
    wire.get(url_of(SECOND), body=b"{}")
    Tokens(wire, refuses=SECOND.repository)
    registry.manifest(FIRST)
    registry.manifest(SECOND)
    registry.manifest(SECOND)
    assert wire.asked == [url_of(FIRST), REALM, url_of(FIRST), REALM, url_of(SECOND), url_of(SECOND)]


def test_after_a_failure_no_tokens_are_requested_unasked(wire: Wire, registry: Registry) -> None:
    third = Reference(HOST, "team/third", "1")
    guard(wire, FIRST)
    guard(wire, third)
    wire.get(url_of(SECOND), body=b"{}")
    Tokens(wire, refuses=SECOND.repository)
    for reference in (FIRST, SECOND, third):
        registry.manifest(reference)
    assert wire.asked[-4:] == [url_of(SECOND), url_of(third), REALM, url_of(third)]


def test_a_token_that_was_refused_is_no_model(wire: Wire, registry: Registry) -> None:
    wire.challenge(url_of(FIRST), f'Bearer realm="{REALM}",service="s",scope="{scope_of(FIRST)}"')
    wire.get(url_of(SECOND), body=b"{}")
    Tokens(wire)
    with pytest.raises(AuthenticationError):
        registry.manifest(FIRST)
    before = wire.asked.count(REALM)
    registry.manifest(SECOND)
    assert wire.asked.count(REALM) == before


def test_credentials_for_another_path_wait_for_a_challenge(wire: Wire, tmp_path: Path) -> None:
    registry = stored(tmp_path / "config.json", team_first=ALICE, team_second=BOB)
    guard(wire, FIRST)
    wire.get(url_of(SECOND), body=b"{}")
    tokens = Tokens(wire)
    registry.manifest(FIRST)
    registry.manifest(SECOND)
    assert tokens.sent == [ALICE.basic()]


def test_tokens_are_requested_at_a_time_after_the_first(wire: Wire, registry: Registry) -> None:
    others = [Reference(HOST, f"team/other-{number}", "1") for number in range(8)]
    for reference in (FIRST, *others):
        guard(wire, reference)
    tokens = Tokens(wire)
    tokens.meeting = threading.Barrier(len(others), timeout=30)
    registry.manifest(FIRST)
    assert together(*[partial(registry.manifest, reference) for reference in others]) == []
    assert wire.asked.count(REALM) == 1 + len(others)


def test_wrong_credentials_are_sent_once_by_several_threads(wire: Wire, tmp_path: Path) -> None:
    registry = stored(tmp_path / "config.json", team=ALICE)
    others = [Reference(HOST, f"team/other-{number}", "1") for number in range(8)]
    for reference in others:
        guard(wire, reference)
    sent: list[str] = []

    def give(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        if "Authorization" in request.headers:
            sent.append(str(request.headers["Authorization"]))
            time.sleep(0.2)  # for the others
            return 401, {}, ""
        return (
            200,
            {},
            json.dumps({"token": str(request.url).partition("%3A")[2].partition("%3A")[0].replace("%2F", "/")}),
        )

    wire.add_callback("GET", REALM, callback=give)
    assert together(*[partial(registry.manifest, reference) for reference in others]) == []
    assert sent == [ALICE.basic()]
