"""A domain that redirects every request to another registry is as good as that registry, without credentials."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imgfetch.auth.credentials import Credentials
from imgfetch.auth.login import Login
from imgfetch.errors import AuthenticationError, ImgfetchError, NotFoundError
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.client import Registry
from tests.wire import BLOB_URL, CONTENT, MANIFEST, REFERENCE, Wire, in_lines, read_blob

TAGS = MANIFEST.replace("manifests/1", "tags/list")
HUB = ("https://registry-1.docker.io", "https://auth.docker.io/token")
GITHUB = ("https://ghcr.io", "https://ghcr.io/token")
TOKEN = "Bearer ANYBODYS"
LOGIN = Login("alice", "PASSWORD", source="--username", is_explicit=True)


def there(url: str, base: str, repository: str = "owner/app") -> str:
    return f"{base}/v2/{repository}/{url.partition('/team/app/')[2]}"


def challenge(realm: str, repository: str = "owner/app") -> str:
    return f'Bearer realm="{realm}",service="s",scope="repository:{repository}:pull"'


def move(wire: Wire, url: str, body: bytes, base: str, realm: str) -> None:
    """Redirect a URL to another registry, which requires a token."""
    wire.redirect(url, there(url, base))
    wire.guard(there(url, base), TOKEN, challenge(realm), body=body)


@pytest.mark.parametrize(("base", "realm"), [GITHUB, HUB], ids=["ghcr.io", "docker.io"])
def test_manifests_tags_and_blobs_behind_a_redirecting_domain_share_an_anonymous_token(
    wire: Wire, registry: Registry, base: str, realm: str
) -> None:
    for url, body in ((MANIFEST, b"{}"), (TAGS, b'{"tags":["1"]}'), (BLOB_URL, CONTENT)):
        move(wire, url, body, base, realm)
    wire.get(realm, json={"token": "ANYBODYS"})
    assert registry.manifest(REFERENCE).raw == b"{}"
    assert list(registry.tags(REFERENCE)) == ["1"]
    assert read_blob(registry) == CONTENT
    assert wire.asked.count(realm) == 1
    assert ("scope", "repository:owner/app:pull") in wire.query(wire.asked.index(realm))
    assert ("scope", "repository:team/app:pull") not in wire.query(wire.asked.index(realm))
    sent = dict(zip(wire.asked, wire.authorizations, strict=True))
    assert {url for url, header in sent.items() if header} == {there(url, base) for url in (MANIFEST, TAGS, BLOB_URL)}


@pytest.mark.parametrize("explicit", [True, False], ids=["of the command line", "stored for both"])
def test_a_registry_behind_a_redirecting_domain_receives_no_credentials(
    wire: Wire, tmp_path: Path, *, explicit: bool
) -> None:
    base, realm = GITHUB
    move(wire, MANIFEST, b"{}", base, realm)
    wire.get(realm, json={"token": "ANYBODYS"})
    config = tmp_path / "config.json"
    entry = {"auth": LOGIN.basic().split()[1]}
    config.write_text(json.dumps({"auths": {"registry.example": entry, "ghcr.io": entry}}))
    credentials = Credentials(explicit=LOGIN) if explicit else Credentials(files=[config])
    with Registry("registry.example", access=RegistryConfig(credentials=credentials)) as registry:
        registry.manifest(REFERENCE)
    assert wire.authorizations == [None, None, None, TOKEN]
    assert "PASSWORD" not in str([(request.url, request.body, request.headers) for request in wire.sent])


def test_a_token_of_another_registry_that_ended_early_is_replaced_once(wire: Wire, registry: Registry) -> None:
    base, realm = GITHUB
    move(wire, MANIFEST, b"{}", base, realm)
    wire.redirect(BLOB_URL, there(BLOB_URL, base))
    wire.guard(there(BLOB_URL, base), "Bearer second", challenge(realm), body=CONTENT)
    wire.get(realm, json={"token": "ANYBODYS"})
    wire.get(realm, json={"token": "second"})
    registry.manifest(REFERENCE)
    assert read_blob(registry) == CONTENT
    assert wire.authorizations[-5:] == [None, None, TOKEN, None, "Bearer second"]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_an_image_that_another_registry_denies_is_reported_with_its_name_there(
    wire: Wire, registry: Registry, status: int
) -> None:
    base, realm = GITHUB
    wire.redirect(MANIFEST, there(MANIFEST, base))
    wire.get(there(MANIFEST, base), status=status, headers=in_lines([challenge(realm)]))
    if status == 401:
        wire.get(realm, json={"token": "ANYBODYS"})
    with pytest.raises(NotFoundError if status == 404 else AuthenticationError) as caught:
        registry.manifest(REFERENCE)
    shown = f"{caught.value}; {caught.value.hint}"
    for words in (f"ghcr.io returned {status}", "registry.example redirected to ghcr.io", "ghcr.io/owner/app"):
        assert words in shown
    for words in ("storage", "signed", "imgfetch login registry.example"):
        assert words not in shown


def test_a_repository_in_a_redirect_that_is_no_name_is_not_repeated(wire: Wire, registry: Registry) -> None:
    evil = "https://evil.test/v2/a%1b[2Jb/manifests/1"
    wire.redirect(MANIFEST, evil)
    wire.get("https://evil.test/v2/a%1B[2Jb/manifests/1", status=403)
    with pytest.raises(ImgfetchError) as caught:
        registry.manifest(REFERENCE)
    assert "use the image's name there" not in str(caught.value.hint)
