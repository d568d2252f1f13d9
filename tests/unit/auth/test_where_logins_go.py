"""The hosts that may receive credentials, rule by rule; see docs/registries.md#who-receives-credentials.

In each test a second origin remembers what it was sent.  It was sent nothing of ours, or was not asked at all; and
where that could be so by chance, the login does go where it belongs.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import responses

import imgfetch
from imgfetch import Reference, Registry, RegistryConfig
from imgfetch.auth.credentials import Credentials
from imgfetch.auth.login import Login
from imgfetch.auth.realms import RealmPolicy
from imgfetch.cli import main
from imgfetch.errors import AuthenticationError, ImgfetchError, InvalidReferenceError, TransportError
from imgfetch.http.proxies import Proxies
from imgfetch.http.tls import TlsConfig
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.registry.mirror_rules import Mirrors, read
from tests import images
from tests.certificates import Certificates
from tests.loopback import Answer, Loopback, Request
from tests.stories import story
from tests.unit.http.test_tls import Server, client_of, running, server_context, tunnelling

HOST = "registry.example"
BASE = f"https://{HOST}"
MANIFEST = f"{BASE}/v2/team/app/manifests/1"
REFERENCE = Reference.parse(f"{HOST}/team/app:1")
CONTENT = b"content of the layer"
BLOB = Descriptor("", Digest.of(CONTENT), len(CONTENT))
BLOB_PATH = f"/v2/team/app/blobs/{BLOB.digest}"
BLOB_URL = f"{BASE}{BLOB_PATH}"
REALM = "https://auth.registry.example/token"
STORE = "https://store.other.example/data"

USER, PASSWORD = "alice", "PASSWORD-of-alice"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
REFRESH, TOKEN, READY = "REFRESH-TOKEN", "ACCESS-TOKEN", "REGISTRY-TOKEN"
SECRETS = (PASSWORD, BASIC.split()[1], REFRESH, TOKEN, READY)

WITH_PASSWORD = Login(USER, PASSWORD, source="--username", is_explicit=True)
WITH_REFRESH_TOKEN = Login(identity_token=REFRESH, source="config.json")
WITH_BOTH = Login(USER, PASSWORD, REFRESH, source="config.json")
WITH_REGISTRY_TOKEN = Login(registry_token=READY, source="config.json")
LOGINS = pytest.mark.parametrize(
    "login", [WITH_PASSWORD, WITH_REFRESH_TOKEN, WITH_BOTH], ids=["password", "refresh token", "both"]
)


def bearer(realm: str) -> dict[str, str]:
    quoted = realm.replace("\\", "\\\\")
    return {"WWW-Authenticate": f'Bearer realm="{quoted}",service="s"'}


ASKS_BASIC = {"WWW-Authenticate": 'Basic realm="r"'}


def opened(login: Login | None = WITH_PASSWORD, name: str = HOST, **access: Any) -> Registry:
    return Registry(name, access=RegistryConfig(credentials=Credentials(explicit=login), **access))


def stored(directory: Path, key: str) -> Credentials:
    """Return what a file of docker's says that has one login."""
    path = directory / "config.json"
    path.write_text(json.dumps({"auths": {key: {"auth": BASIC.split()[1]}}}))
    return Credentials(files=(path,))


def asked(wire: responses.RequestsMock) -> list[str]:
    return [call.request.url.partition("?")[0] for call in wire.calls]


def authorization(wire: responses.RequestsMock, number: int) -> str | None:
    """Return the ``Authorization`` header of a request."""
    header: str | None = wire.calls[number].request.headers.get("Authorization")
    return header


def sent_to(wire: responses.RequestsMock, url: str) -> list[Any]:
    """Return the requests to an origin."""
    wanted = urlsplit(url)[:2]
    return [call.request for call in wire.calls if urlsplit(call.request.url)[:2] == wanted]


def of_ours(request: Any) -> list[str]:
    """Return what a request holds that is ours alone."""
    url = getattr(request, "url", None) or request.path
    body = getattr(request, "body", None) or b""
    everything = f"{url}\n{dict(request.headers)}\n{body if isinstance(body, str) else body.decode()}"
    names = {name.lower() for name in request.headers} & {"authorization", "cookie", "proxy-authorization"}
    return [*sorted(names), *(secret for secret in SECRETS if secret in everything)]


def read_blob(registry: Registry, descriptor: Descriptor = BLOB, reference: Reference = REFERENCE) -> bytes:
    with registry.blob(reference, descriptor, "layer 1") as response:
        return b"".join(response.chunks(descriptor.size + 1))


def said(caplog: pytest.LogCaptureFixture) -> str:
    """Return what `imgfetch` logs, formatted, with tracebacks if there are any."""
    formatter = logging.Formatter("%(levelname)s %(message)s")
    return "\n".join(formatter.format(record) for record in caplog.records if record.name.startswith("imgfetch"))


# ---- what is no token server ----


@pytest.mark.parametrize(
    "realm",
    [
        "ftp://auth.registry.example/token",
        "file:///token",
        "gopher://registry.example/token",
        "javascript:alert(1)",
        "https:///token",
        "https://:443/token",
        "https://?x",
        "https://user@auth.registry.example/token",
        "https://user:pass@auth.registry.example/token",
        "https://:@registry.example/token",
        "https://registry.example@auth.other.example/token",
        "//user:pass@registry.example/token",
        "https://auth.registry.example:99999/token",
    ],
)
def test_s01_a_realm_without_http_or_host_or_with_userinfo_is_refused_before_any_request(
    wire: responses.RequestsMock, realm: str
) -> None:
    wire.get(MANIFEST, status=401, headers=bearer(realm))
    with opened() as registry, pytest.raises(AuthenticationError, match="cannot be used"):
        registry.manifest(REFERENCE)
    assert asked(wire) == [MANIFEST]
    assert of_ours(wire.calls[0].request) == []


# ---- never from https down to http ----


@LOGINS
@pytest.mark.parametrize(
    "realm",
    [
        "http://auth.registry.example/token",
        "http://auth.registry.example:443/token",
        "http://auth.other.example/token",
        "HTTP://auth.registry.example/token",
    ],
)
def test_s02_no_login_goes_to_an_http_realm_of_a_registry_that_was_reached_by_https(
    wire: responses.RequestsMock, login: Login, realm: str
) -> None:
    wire.get(MANIFEST, status=401, headers=bearer(realm))
    wire.get(re.compile(re.escape(realm)), status=401)
    with opened(login) as registry, pytest.raises(AuthenticationError):
        registry.manifest(REFERENCE)
    assert len(wire.calls) == 2
    assert wire.calls[1].request.method == "GET"
    assert of_ours(wire.calls[1].request) == []


def test_s02_no_list_of_trusted_hosts_lets_a_login_go_down_to_http(wire: responses.RequestsMock) -> None:
    wire.get(MANIFEST, status=401, headers=bearer("http://auth.other.example/token"))
    wire.get("http://auth.other.example/token", status=401)
    trusted = RealmPolicy(trusted=frozenset({"auth.other.example", "auth.other.example:80"}))
    with opened(realms=trusted) as registry, pytest.raises(AuthenticationError):
        registry.manifest(REFERENCE)
    assert [of_ours(request) for request in sent_to(wire, "http://auth.other.example")] == [[]]


@pytest.mark.parametrize("port", ["", ":8443"])
@LOGINS
def test_s02_an_http_realm_on_the_registrys_own_host_is_asked_by_https_at_the_registrys_port(
    wire: responses.RequestsMock, login: Login, port: str
) -> None:
    base = f"{BASE}{port}"
    wire.get(f"{base}/v2/team/app/manifests/1", status=401, headers=bearer("http://registry.example:20000/token"))
    wire.add("POST" if login.identity_token else "GET", f"{base}/token", json={"token": TOKEN})
    wire.get(f"{base}/v2/team/app/manifests/1", body=b"{}")
    with opened(login, f"{HOST}{port}") as registry:
        registry.manifest(Reference.parse(f"{HOST}{port}/team/app:1"))
    assert sent_to(wire, "http://registry.example:20000") == []
    assert {urlsplit(url).scheme for url in asked(wire)} == {"https"}
    assert of_ours(wire.calls[1].request) == (
        [REFRESH] if login.identity_token else ["authorization", BASIC.split()[1]]
    )


# ---- whose token server it is ----


FOREIGN = [
    ("registry.example", "auth.example"),
    ("registry.example", "registry.example.evil.test"),
    ("registry.example", "evil-registry.example"),
    ("registry.example", "evilregistry.example"),
    ("registry.example", "example"),
    ("hub.team.example", "team.example.evil.test"),
    ("hub.team.example", "evilteam.example"),
    ("registry.co.uk", "evil.co.uk"),
    ("registry.com.cn", "evil.com.cn"),
    ("registry.example", "auth.docker.io"),
    ("registry.example", "dockerauth.aliyuncs.com"),
    ("10.0.0.5", "10.0.0.6"),
    ("10.0.0.5", "5.10.0.0.5"),
    ("registry.example", "10.0.0.5"),
    ("[fd00::5]", "[fd00::6]"),
]


@pytest.mark.parametrize(("registry", "realm"), FOREIGN)
@LOGINS
def test_s03_the_token_server_of_somebody_else_is_asked_without_a_login(
    wire: responses.RequestsMock, login: Login, registry: str, realm: str
) -> None:
    manifest = f"https://{registry}/v2/team/app/manifests/1"
    wire.get(manifest, status=401, headers=bearer(f"https://{realm}/token"))
    wire.get(f"https://{realm}/token", json={"token": TOKEN})
    wire.get(manifest, body=b"{}")
    with opened(login, registry) as opened_registry:
        opened_registry.manifest(Reference.parse(f"{registry}/team/app:1"))
    assert [of_ours(request) for request in sent_to(wire, f"https://{realm}")] == [[]]
    assert authorization(wire, 2) == f"Bearer {TOKEN}"


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(("registry", "realm"), [*FOREIGN[:3], *FOREIGN[-5:]])
def test_s03_a_foreign_token_server_that_wants_a_login_is_named_with_the_option_that_trusts_it(
    wire: responses.RequestsMock, registry: str, realm: str, status: int
) -> None:
    wire.get(f"https://{registry}/v2/team/app/manifests/1", status=401, headers=bearer(f"https://{realm}/token"))
    wire.get(f"https://{realm}/token", status=status)
    with opened(name=registry) as opened_registry, pytest.raises(AuthenticationError) as caught:
        opened_registry.manifest(Reference.parse(f"{registry}/team/app:1"))
    assert f"--trust-realm {realm.strip('[]')}" in str(caught.value.hint)
    assert [of_ours(request) for request in sent_to(wire, f"https://{realm}")] == [[]]


@pytest.mark.parametrize(
    ("registry", "realm"),
    [
        ("registry.example", "registry.example"),
        ("registry.example", "registry.example:8443"),
        ("registry.example:8443", "registry.example"),
        ("registry.example", "auth.registry.example"),
        ("registry.example", "a.b.registry.example"),
        ("registry.example", "AUTH.Registry.Example"),
        ("hub.team.example", "team.example"),
        ("hub.team.example", "auth.team.example"),
        ("hub.team.co.uk", "auth.team.co.uk"),
        ("docker.io", "auth.docker.io"),
        ("registry.cn-hangzhou.aliyuncs.com", "dockerauth.cn-shanghai.aliyuncs.com"),
        ("10.0.0.5", "10.0.0.5:5001"),
        ("[fd00::5]", "[fd00::5]:5001"),
    ],
)
def test_s03_a_registrys_own_token_server_is_told_the_login(
    wire: responses.RequestsMock, registry: str, realm: str
) -> None:
    host = "registry-1.docker.io" if registry == "docker.io" else registry
    wire.get(f"https://{host}/v2/team/app/manifests/1", status=401, headers=bearer(f"https://{realm}/token"))
    wire.get(re.compile(re.escape(f"https://{realm}/token"), re.IGNORECASE), json={"token": TOKEN})
    wire.get(f"https://{host}/v2/team/app/manifests/1", body=b"{}")
    with opened(name=registry) as opened_registry:
        opened_registry.manifest(Reference.parse(f"{registry}/team/app:1"))
    assert authorization(wire, 1) == BASIC


def test_s03_a_foreign_token_server_that_the_user_trusts_is_told_the_login(wire: responses.RequestsMock) -> None:
    wire.get(MANIFEST, status=401, headers=bearer("https://auth.other.example/token"))
    wire.get("https://auth.other.example/token", json={"token": TOKEN})
    wire.get(MANIFEST, body=b"{}")
    with opened(realms=RealmPolicy(trusted=frozenset({"auth.other.example"}))) as registry:
        registry.manifest(REFERENCE)
    assert authorization(wire, 1) == BASIC


def test_s03_a_registry_on_the_loopback_may_name_a_realm_on_the_loopback_by_any_name_and_port(
    loopback: Loopback,
) -> None:
    with Loopback() as tokens:
        port = tokens.host.partition(":")[2]
        guarded(loopback, "/v2/team/app/manifests/1", f"Bearer {TOKEN}", bearer(f"http://localhost:{port}/token"))
        tokens.answers["/token"] = Answer(json.dumps({"token": TOKEN}).encode())
        with opened(name=loopback.host) as registry:
            registry.manifest(Reference.parse(f"{loopback.host}/team/app:1"))
        assert [request.headers.get("Authorization") for request in tokens.requests] == [BASIC]


def guarded(server: Loopback, path: str, header: str, challenge: dict[str, str], answer: Answer | None = None) -> None:
    """Answer a path for one ``Authorization`` header, and challenge all others."""

    def guard(request: Request) -> Answer:
        accepted = request.headers.get("Authorization") == header
        return (answer or Answer(b"{}")) if accepted else Answer(status=401, headers=challenge)

    server.answers[path] = guard


# ---- addresses at which nobody can be ----


NOWHERE = [
    "169.254.169.254",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "0.0.0.0",
    "[::]",
    "224.0.0.1",
    "[ff02::1]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::ffff:224.0.0.1]",
    "[::ffff:0.0.0.0]",
    "[::ffff:100.100.100.200]",
    "127.0.0.1",
    "127.255.0.1:5000",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "localhost",
    "LOCALHOST:5000",
    "registry.localhost",
]
# As inet_aton(3) reads them, and with it every resolver of ours.
SPELLINGS = [
    "2852039166",
    "0xa9fea9fe",
    "169.254.43518",
    "0251.0376.0251.0376",
    "2130706433",
    "127.1",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "0",
    "%31%32%37.0.0.1",
    "%31%36%39.254.169.254",
]


@pytest.mark.parametrize("host", [*NOWHERE, *SPELLINGS])
def test_s04_a_realm_at_an_address_where_none_can_be_is_not_asked(wire: responses.RequestsMock, host: str) -> None:
    wire.get(MANIFEST, status=401, headers=bearer(f"https://{host}/token"))
    with opened() as registry, pytest.raises(AuthenticationError):
        registry.manifest(REFERENCE)
    assert asked(wire) == [MANIFEST]


@pytest.mark.parametrize("host", [*NOWHERE, *SPELLINGS])
def test_s04_a_redirect_to_an_address_where_none_can_be_is_not_followed(
    wire: responses.RequestsMock, host: str
) -> None:
    wire.get(BLOB_URL, status=307, headers={"Location": f"https://{host}/data"})
    with opened() as registry, pytest.raises(ImgfetchError):
        read_blob(registry)
    assert asked(wire) == [BLOB_URL]


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.169.254]", "0.0.0.0", "[::]", "224.0.0.1"])
def test_s04_not_even_a_registry_on_the_loopback_may_name_such_a_realm(loopback: Loopback, host: str) -> None:
    loopback.answers["/v2/team/app/manifests/1"] = Answer(status=401, headers=bearer(f"http://{host}/token"))
    with opened(name=loopback.host) as registry, pytest.raises(AuthenticationError, match="cannot be used"):
        registry.manifest(Reference.parse(f"{loopback.host}/team/app:1"))
    assert loopback.paths == ["/v2/team/app/manifests/1"]


@pytest.mark.parametrize("host", ["10.0.0.5", "172.16.0.5:5000", "192.168.1.5", "[fd00::5]"])
def test_s04_a_private_address_is_allowed(wire: responses.RequestsMock, host: str) -> None:
    wire.get(MANIFEST, status=401, headers=bearer(f"https://{host}/token"))
    wire.get(f"https://{host}/token", json={"token": TOKEN})
    wire.get(MANIFEST, body=b"{}")
    with opened() as registry:
        registry.manifest(REFERENCE)
    assert [of_ours(request) for request in sent_to(wire, f"https://{host}")] == [[]]  # allowed, without credentials


# ---- redirects of a token server ----


@LOGINS
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target",
    ["https://other.example/token", "https://evil.auth.registry.example/token", "http://auth.registry.example/token"],
    ids=["another host", "a host below", "down to http"],
)
def test_s05_a_token_request_is_redirected_to_no_other_host_and_not_down(
    wire: responses.RequestsMock, login: Login, status: int, target: str
) -> None:
    wire.get(MANIFEST, status=401, headers=bearer(REALM))
    posts = bool(login.identity_token)
    wire.add("POST" if posts else "GET", REALM, status=status, headers={"Location": target})
    with opened(login) as registry, pytest.raises(AuthenticationError):
        registry.manifest(REFERENCE)
    assert asked(wire) == [MANIFEST, REALM]


def test_s05_a_token_request_that_is_redirected_to_another_port_goes_there_without_the_login(
    wire: responses.RequestsMock,
) -> None:
    target = "https://auth.registry.example:8443/token"
    wire.get(MANIFEST, status=401, headers=bearer(REALM))
    wire.get(REALM, status=307, headers={"Location": target})
    wire.get(target, json={"token": TOKEN})
    wire.get(MANIFEST, body=b"{}")
    with opened() as registry:
        registry.manifest(REFERENCE)
    assert [of_ours(request) for request in sent_to(wire, target)] == [[]]
    assert authorization(wire, 1) == BASIC


def test_s05_a_token_request_may_be_redirected_up_to_https(wire: responses.RequestsMock) -> None:
    wire.get(f"http://{HOST}/v2/team/app/manifests/1", status=401, headers=bearer(f"http://{HOST}/token"))
    wire.get(f"http://{HOST}/token", status=301, headers={"Location": f"{BASE}/token"})
    wire.get(f"{BASE}/token", json={"token": TOKEN})
    wire.get(f"http://{HOST}/v2/team/app/manifests/1", body=b"{}")
    with opened(plain_http=True) as registry:
        registry.manifest(REFERENCE)
    assert asked(wire)[1:3] == [f"http://{HOST}/token", f"{BASE}/token"]
    assert authorization(wire, 1) == BASIC


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_s05_a_refresh_token_is_sent_to_no_redirects_target_on_the_wire(
    secured: Registrar, another: Registrar, made: Certificates, status: int
) -> None:
    secured.answers["/v2/team/app/manifests/1"] = Answer(status=401, headers=bearer(f"{secured.url}/token"))
    secured.answers["/token"] = Answer(status=status, headers={"Location": f"{another.url}/token"})
    another.answers["/token"] = Answer(json.dumps({"token": TOKEN}).encode())
    with (
        opened(WITH_BOTH, secured.host, trust=TlsConfig(ca_files=(made.ca,))) as registry,
        pytest.raises(AuthenticationError),
    ):
        registry.manifest(Reference.parse(f"{secured.host}/team/app:1"))
    assert f"refresh_token={REFRESH}".encode() in secured.forms[0]
    assert [of_ours(request) for request in another.requests] in ([], [[]])
    assert [form for form in another.forms if REFRESH.encode() in form] == []


# ---- redirects of a registry ----


@pytest.mark.parametrize("target", ["http://store.other.example/data", f"http://{HOST}/data", "http://10.0.0.5/data"])
def test_s06_a_manifest_by_tag_is_not_redirected_down_to_http(wire: responses.RequestsMock, target: str) -> None:
    wire.get(MANIFEST, status=401, headers=ASKS_BASIC)
    wire.get(MANIFEST, status=307, headers={"Location": target})
    with opened() as registry, pytest.raises(ImgfetchError, match="from https to http"):
        registry.manifest(REFERENCE)
    assert asked(wire) == [MANIFEST, MANIFEST]


def test_s06_a_blob_that_is_redirected_down_to_http_is_asked_for_without_the_login(
    wire: responses.RequestsMock,
) -> None:
    wire.get(BLOB_URL, status=401, headers=ASKS_BASIC)
    wire.get(BLOB_URL, status=307, headers={"Location": f"http://{HOST}/data"})
    wire.get(f"http://{HOST}/data", body=CONTENT)
    with opened() as registry:
        assert read_blob(registry) == CONTENT
    assert authorization(wire, 1) == BASIC
    assert [of_ours(request) for request in sent_to(wire, f"http://{HOST}")] == [[]]


def test_s06_a_second_redirect_obeys_the_rules_as_the_first(wire: responses.RequestsMock) -> None:
    wire.get(BLOB_URL, status=307, headers={"Location": STORE})
    wire.get(STORE, status=307, headers={"Location": "http://169.254.169.254/latest/meta-data"})
    with opened() as registry, pytest.raises(ImgfetchError):
        read_blob(registry)
    assert asked(wire) == [BLOB_URL, STORE]


# ---- the Authorization header ----


@pytest.mark.parametrize(
    ("login", "challenge"),
    [
        (WITH_PASSWORD, ASKS_BASIC),
        (WITH_PASSWORD, bearer(REALM)),
        (WITH_REFRESH_TOKEN, bearer(REALM)),
        (WITH_REGISTRY_TOKEN, ASKS_BASIC),
        (WITH_REGISTRY_TOKEN, bearer(REALM)),
    ],
    ids=["Basic", "token by password", "token by refresh token", "registry token", "registry token again"],
)
@pytest.mark.parametrize(
    "target",
    [
        "https://store.other.example/data",
        "https://registry.example:8443/data",
        "https://registry.example:444/v2/team/app/manifests/1",
        "https://sub.registry.example/data",
        "https://registry.example.evil.test/data",
        "https://example/data",
        "//store.other.example/data",
    ],
)
def test_s07_authorization_is_not_sent_to_another_origin_that_the_registry_redirects_to(
    wire: responses.RequestsMock, login: Login, challenge: dict[str, str], target: str
) -> None:
    wire.get(MANIFEST, status=401, headers=challenge)
    if challenge != ASKS_BASIC and not login.registry_token:
        wire.add("POST" if login.identity_token else "GET", REALM, json={"token": TOKEN})
    wire.get(MANIFEST, status=307, headers={"Location": target})
    full = target if "://" in target else f"https:{target}"
    wire.get(full, body=b"{}")
    with opened(login) as registry:
        registry.manifest(REFERENCE)
    assert authorization(wire, -2) is not None
    assert [of_ours(request) for request in sent_to(wire, full)] == [[]]


def test_s07_authorization_is_not_sent_up_to_https_of_a_registry_that_was_asked_by_http(
    wire: responses.RequestsMock,
) -> None:
    wire.get(f"http://{HOST}/v2/team/app/manifests/1", status=401, headers=ASKS_BASIC)
    wire.get(f"http://{HOST}/v2/team/app/manifests/1", status=307, headers={"Location": f"{BASE}/other"})
    wire.get(f"{BASE}/other", body=b"{}")
    with opened(plain_http=True) as registry:
        registry.manifest(REFERENCE)
    assert authorization(wire, 1) == BASIC
    assert [of_ours(request) for request in sent_to(wire, BASE)] == [[]]  # another scheme is another origin


@pytest.mark.parametrize(
    ("challenge", "realm"),
    [(ASKS_BASIC, ""), (bearer("/token"), f"{BASE}:8443/token"), (bearer(REALM), REALM)],
    ids=["Basic", "own", "known"],
)
def test_s07_a_401_at_a_redirects_target_is_not_answered_with_anything_of_ours(
    wire: responses.RequestsMock, challenge: dict[str, str], realm: str
) -> None:
    target = f"{BASE}:8443/data"
    wire.get(BLOB_URL, status=401, headers=ASKS_BASIC)
    wire.get(BLOB_URL, status=307, headers={"Location": target})
    wire.get(target, status=401, headers=challenge)
    if realm:
        wire.get(realm, status=401)
    with opened() as registry, pytest.raises(ImgfetchError):
        read_blob(registry)
    assert asked(wire) == [BLOB_URL, BLOB_URL, target, *([realm] if realm else [])]
    assert all(of_ours(call.request) == [] for call in list(wire.calls)[2:])


@pytest.mark.parametrize("status", [200, 401])
def test_s07_another_port_of_the_same_host_is_sent_nothing_on_the_wire(loopback: Loopback, status: int) -> None:
    with Loopback() as store:
        location = {"Location": f"http://{store.host}/data", "Set-Cookie": f"session={TOKEN}; Path=/"}
        guarded(loopback, BLOB_PATH, BASIC, ASKS_BASIC, Answer(status=307, headers=location))
        store.answers["/data"] = Answer(CONTENT, status, {} if status == 200 else ASKS_BASIC)
        with opened(name=loopback.host) as registry:
            reference = Reference.parse(f"{loopback.host}/team/app:1")
            if status == 200:
                assert read_blob(registry, reference=reference) == CONTENT
            else:
                with pytest.raises(ImgfetchError):
                    read_blob(registry, reference=reference)
        assert [request.headers.get("Authorization") for request in loopback.requests] == [None, BASIC]
        assert [of_ours(request) for request in store.requests] == [[]]


def test_s07_authorization_comes_back_with_a_redirect_that_comes_home(wire: responses.RequestsMock) -> None:
    wire.get(MANIFEST, status=401, headers=ASKS_BASIC)
    wire.get(MANIFEST, status=307, headers={"Location": STORE})
    wire.get(STORE, status=307, headers={"Location": f"{BASE}/home"})
    wire.get(f"{BASE}/home", body=b"{}")
    with opened() as registry:
        registry.manifest(REFERENCE)
    assert [authorization(wire, number) for number in range(4)] == [None, BASIC, None, BASIC]


def test_s07_the_token_of_one_registry_is_not_sent_to_another_of_the_same_run(
    wire: responses.RequestsMock, tmp_path: Path
) -> None:
    built = images.image(images.hello())
    other = "https://other.example"
    serve(wire, BASE, built, realm=REALM)
    serve(wire, other, built)
    wire.get(REALM, json={"token": TOKEN})
    credentials = stored(tmp_path, HOST)
    names = [f"{HOST}/team/app:1", "other.example/team/app:2"]
    with pytest.raises(AuthenticationError):  # it wants a login that there is none of
        imgfetch.save(
            names, io.BytesIO(), platform="linux/amd64", access=RegistryConfig(credentials=credentials), jobs=1
        )
    assert sent_to(wire, other)
    assert [found for request in sent_to(wire, other) for found in of_ours(request)] == []


def serve(wire: responses.RequestsMock, base: str, built: images.Built, *, realm: str = "") -> None:
    """Serve a manifest; behind a token of ``realm``, or else by Basic alone."""

    def answer(request: Any) -> tuple[int, dict[str, str], bytes]:
        if request.headers.get("Authorization") != (f"Bearer {TOKEN}" if realm else BASIC):
            return 401, bearer(realm) if realm else ASKS_BASIC, b""
        path = urlsplit(request.url).path
        for blob in built.blobs:
            if path.endswith(blob.digest):
                return 200, {}, blob.content
        return 200, {"Content-Type": built.media_type}, built.raw

    wire.add_callback("GET", re.compile(re.escape(base) + "/v2/.*"), callback=answer)


# ---- where a foreign layer is ----


class Registrar(Server):
    """A server by TLS that asks for a client certificate, is content without, and remembers what it was sent."""

    def __init__(self, made: Certificates) -> None:
        super().__init__(server_context(made.server_cert, made.server_key, made.ca, demanding=False))
        self.answers: dict[str, Answer] = {}
        self.requests: list[Request] = []
        self.clients: list[str] = []
        self.forms: list[bytes] = []
        self.RequestHandlerClass = _Registrar

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"https://{self.host}"


class _Registrar(BaseHTTPRequestHandler):
    server: Registrar

    def do_POST(self) -> None:
        self.server.forms.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        self.server.requests.append(Request(self.path, dict(self.headers.items())))
        self.server.clients.append(client_of(self.connection))
        answer = self.server.answers.get(self.path.partition("?")[0], Answer(status=404))
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)


@pytest.fixture
def secured(made: Certificates) -> Iterator[Registrar]:
    with running(Registrar(made)) as server:
        yield server


@pytest.fixture
def another(made: Certificates) -> Iterator[Registrar]:
    with running(Registrar(made)) as server:
        yield server


def identified(made: Certificates, certs: Path, *hosts: str) -> TlsConfig:
    """Return a trust that has a client certificate for each of these hosts."""
    for host in hosts:
        (certs / host).mkdir(parents=True)
        shutil.copy(made.client_cert, certs / host / "client.cert")
        shutil.copy(made.client_key, certs / host / "client.key")
    return TlsConfig(ca_files=(made.ca,), certs_directories=(certs,))


@pytest.mark.parametrize("status", [200, 401])
def test_s08_a_foreign_layers_urls_are_asked_without_login_cookie_and_client_certificate_and_no_401_is_answered(
    secured: Registrar, another: Registrar, made: Certificates, tmp_path: Path, status: int
) -> None:
    trust = identified(made, tmp_path / "certs.d", secured.host, another.host)
    challenge = f'Basic realm="r", Bearer realm="{secured.url}/token"'
    secured.answers["/v2/team/app/manifests/1"] = Answer(
        b"{}", headers={"Set-Cookie": f"session={TOKEN}; Path=/; Domain=127.0.0.1"}
    )
    another.answers["/layer"] = Answer(CONTENT, status, {"WWW-Authenticate": challenge})
    reference = Reference.parse(f"{secured.host}/team/app:1")
    foreign = Descriptor("", BLOB.digest, BLOB.size, urls=(f"{another.url}/layer?Signature=s",))
    with opened(name=secured.host, trust=trust) as registry:
        registry.manifest(reference)
        if status == 200:
            assert read_blob(registry, foreign, reference) == CONTENT
        else:
            with pytest.raises(ImgfetchError):
                read_blob(registry, foreign, reference)
    assert secured.clients == ["client", "client"]  # the registry may see it
    assert another.clients == ["nobody"]
    assert [of_ours(request) for request in another.requests] == [[]]
    assert [request.path for request in another.requests] == ["/layer?Signature=s"]
    assert [request.path for request in secured.requests][2:] == []  # no token was asked for


def test_s08_a_redirect_of_a_foreign_layer_sees_no_client_certificate_either(
    secured: Registrar, another: Registrar, made: Certificates, tmp_path: Path
) -> None:
    trust = identified(made, tmp_path / "certs.d", secured.host, another.host)
    another.answers["/layer"] = Answer(status=307, headers={"Location": f"{secured.url}/elsewhere"})
    secured.answers["/elsewhere"] = Answer(CONTENT)
    reference = Reference.parse(f"{secured.host}/team/app:1")
    foreign = Descriptor("", BLOB.digest, BLOB.size, urls=(f"{another.url}/layer",))
    with opened(name=secured.host, trust=trust) as registry:
        assert read_blob(registry, foreign, reference) == CONTENT
    assert another.clients == ["nobody"]
    assert secured.clients == ["client", "nobody"]
    assert [of_ours(request) for request in (*another.requests, *secured.requests)] == [[], [], []]


def test_s08_a_redirects_target_sees_no_client_certificate(
    secured: Registrar, another: Registrar, made: Certificates, tmp_path: Path
) -> None:
    trust = identified(made, tmp_path / "certs.d", secured.host, another.host)
    secured.answers[BLOB_PATH] = Answer(status=307, headers={"Location": f"{another.url}/data"})
    another.answers["/data"] = Answer(CONTENT)
    with opened(name=secured.host, trust=trust) as registry:
        assert read_blob(registry, reference=Reference.parse(f"{secured.host}/team/app:1")) == CONTENT
    assert secured.clients == ["client"]
    assert another.clients == ["nobody"]


# ---- mirrors ----


MIRROR = "https://mirror.other.example"
SAVE = {"platform": "linux/amd64", "jobs": 1}


def behind_a_token(wire: responses.RequestsMock, built: images.Built) -> None:
    """Serve an image at the upstream behind a token of its own token server."""
    serve(wire, BASE, built, realm=REALM)

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        return 200, {}, json.dumps({"token": TOKEN if request.headers.get("Authorization") == BASIC else "anonymous"})

    wire.add_callback("GET", REALM, callback=answer)


@pytest.mark.parametrize("challenge", [ASKS_BASIC, bearer(f"{MIRROR}/token"), bearer(REALM)])
@pytest.mark.parametrize("given", ["explicit", "stored"])
def test_s09_the_upstreams_login_and_token_never_reach_a_mirror(
    wire: responses.RequestsMock, tmp_path: Path, given: str, challenge: dict[str, str]
) -> None:
    built = images.image(images.hello())
    wire.get(re.compile(re.escape(MIRROR) + "/.*"), status=401, headers=challenge)
    behind_a_token(wire, built)
    credentials = stored(tmp_path, HOST) if given == "stored" else Credentials(explicit=WITH_PASSWORD)
    access = RegistryConfig(credentials=credentials, mirrors=Mirrors(urls=(f"{HOST}={MIRROR}",)))
    imgfetch.save(f"{HOST}/team/app:1", io.BytesIO(), access=access, **SAVE)
    assert len(sent_to(wire, MIRROR)) >= 3  # manifest, config, layer
    sent = [request.headers.get("Authorization") for request in sent_to(wire, MIRROR)]
    assert set(sent) <= {None, "Bearer anonymous"}
    assert [found for request in sent_to(wire, MIRROR) for found in of_ours(request) if found in SECRETS] == []
    assert ["authorization", BASIC.split()[1]] in [of_ours(request) for request in sent_to(wire, REALM)]


def test_s09_a_mirror_of_docker_hub_is_not_told_the_login_of_docker_hub(
    wire: responses.RequestsMock, tmp_path: Path
) -> None:
    wire.get(re.compile(re.escape(MIRROR) + "/.*"), status=401, headers=ASKS_BASIC)
    hub = "https://registry-1.docker.io"
    serve(wire, hub, images.image(images.hello()))
    daemon = tmp_path / "daemon.json"
    daemon.write_text(json.dumps({"registry-mirrors": [MIRROR]}))
    mirrors = read(daemon_json=daemon, registries_conf=())
    access = RegistryConfig(credentials=stored(tmp_path, "https://index.docker.io/v1/"), mirrors=mirrors)
    imgfetch.save("alpine:3", io.BytesIO(), access=access, **SAVE)
    assert sent_to(wire, MIRROR)
    assert [found for request in sent_to(wire, MIRROR) for found in of_ours(request)] == []
    assert sum(of_ours(request) != [] for request in sent_to(wire, hub)) >= 3


def test_s09_a_mirror_is_told_the_login_of_its_own_host(wire: responses.RequestsMock, tmp_path: Path) -> None:
    serve(wire, MIRROR, images.image(images.hello()))
    credentials = stored(tmp_path, "mirror.other.example")
    access = RegistryConfig(credentials=credentials, mirrors=Mirrors(urls=(f"{HOST}={MIRROR}",)))
    imgfetch.save(f"{HOST}/team/app:1", io.BytesIO(), access=access, **SAVE)
    assert sent_to(wire, BASE) == []
    assert authorization(wire, -1) == BASIC


# ---- whose login it is ----


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("registry.example", "registry.example.evil.test"),
        ("registry.example", "evil-registry.example"),
        ("registry.example", "evilregistry.example"),
        ("registry.example", "sub.registry.example"),
        ("sub.registry.example", "registry.example"),
        ("https://registry.example/v1/", "registry.example.evil.test"),
        ("https://registry.example.evil.test", "registry.example"),
        ("registry.example:8443", "registry.example:8444"),
        ("registry.example:8443", "registry.example"),
        ("registry.example:443", "registry.example:8443"),
        ("registry.example:84", "registry.example:8443"),
        ("registry.example/team/other", "registry.example"),
        ("registry.example/team/ap", "registry.example"),
        ("registry.example/team/app/more", "registry.example"),
        ("*.example", "registry.example"),
        ("registry.example", "registry-example.evil.test"),
        ("https://index.docker.io/v1/", "index.docker.io.evil.test"),
        ("docker.io", "auth.docker.io"),
        ("10.0.0.5", "10.0.0.50"),
    ],
)
@pytest.mark.parametrize("challenge", ["Basic", "Bearer"])
def test_s10_the_login_of_one_host_is_not_selected_for_another(
    wire: responses.RequestsMock, tmp_path: Path, key: str, host: str, challenge: str
) -> None:
    manifest = f"https://{host}/v2/team/app/manifests/1"
    realm = f"https://{host}/token"
    wire.get(manifest, status=401, headers=ASKS_BASIC if challenge == "Basic" else bearer(realm))
    if challenge == "Bearer":
        wire.get(realm, status=401)
    access = RegistryConfig(credentials=stored(tmp_path, key))
    with Registry(host, access=access) as registry, pytest.raises(AuthenticationError):
        registry.manifest(Reference.parse(f"{host}/team/app:1"))
    assert [found for call in wire.calls for found in of_ours(call.request)] == []


def test_s10_a_key_without_a_port_is_not_for_a_port_that_has_a_key(
    wire: responses.RequestsMock, tmp_path: Path
) -> None:
    manifest = f"{BASE}:8443/v2/team/app/manifests/1"
    path = tmp_path / "config.json"
    mine = base64.b64encode(b"bob:other").decode()
    auths = {HOST: {"auth": BASIC.split()[1]}, f"{HOST}:8443": {"auth": mine}}
    path.write_text(json.dumps({"auths": auths}))
    wire.get(manifest, status=401, headers=ASKS_BASIC)
    wire.get(manifest, body=b"{}")
    with Registry(f"{HOST}:8443", access=RegistryConfig(credentials=Credentials(files=(path,)))) as registry:
        registry.manifest(Reference.parse(f"{HOST}:8443/team/app:1"))
    assert authorization(wire, 1) == f"Basic {mine}"


def test_s10_a_key_without_a_port_is_for_a_port_that_has_no_key(wire: responses.RequestsMock, tmp_path: Path) -> None:
    manifest = f"{BASE}:8443/v2/team/app/manifests/1"
    wire.get(manifest, status=401, headers=ASKS_BASIC)
    wire.get(manifest, body=b"{}")
    with Registry(f"{HOST}:8443", access=RegistryConfig(credentials=stored(tmp_path, HOST))) as registry:
        registry.manifest(Reference.parse(f"{HOST}:8443/team/app:1"))
    assert authorization(wire, 1) == BASIC


# ---- helpers ----


@pytest.mark.parametrize(
    "script",
    [
        None,
        "exit 1",
        "echo oops",
        f'echo \'{{"ServerURL":"https://evil.example","Username":"{USER}"}}\'',
        f'echo \'{{"Secret":"{PASSWORD}"\'',
        "kill -9 $$",
    ],
    ids=["missing", "fails", "garbage", "no secret", "cut", "killed"],
)
@pytest.mark.parametrize("how", ["credHelpers", "credsStore"])
def test_s11_a_failing_helper_changes_nothing_about_where_requests_go(
    wire: responses.RequestsMock, tmp_path: Path, script: str | None, how: str
) -> None:
    if script is not None:
        program = tmp_path / "docker-credential-broken"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    path = tmp_path / "config.json"
    helper = {"credHelpers": {HOST: "broken"}} if how == "credHelpers" else {"credsStore": "broken"}
    login = {"auth": BASIC.split()[1]}
    hub = {"https://index.docker.io/v1/": login, "other.example": login}
    path.write_text(json.dumps({**helper, "auths": hub}))
    wire.get(MANIFEST, status=401, headers=bearer(REALM))
    wire.get(REALM, json={"token": "anonymous"})
    wire.get(MANIFEST, body=b"{}")
    credentials = Credentials(files=(path,), path=str(tmp_path))
    with Registry(HOST, access=RegistryConfig(credentials=credentials)) as registry:
        registry.manifest(REFERENCE)
    assert asked(wire) == [MANIFEST, REALM, MANIFEST]
    assert [authorization(wire, number) for number in range(3)] == [None, None, "Bearer anonymous"]


# ---- netrc ----


@pytest.mark.parametrize("place", ["NETRC", "HOME/.netrc", "HOME/_netrc"])
def test_s12_netrc_is_never_consulted(loopback: Loopback, tmp_path: Path, place: str, monkeypatch: Any) -> None:
    netrc = tmp_path / ("netrc" if place == "NETRC" else place.partition("/")[2])
    netrc.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\ndefault login {USER} password {PASSWORD}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    if place == "NETRC":
        monkeypatch.setenv("NETRC", str(netrc))
    else:
        monkeypatch.delenv("NETRC", raising=False)
    with Loopback() as store:
        loopback.answers["/v2/team/app/manifests/1"] = Answer(status=401, headers=bearer("/token"))
        loopback.answers["/token"] = Answer(json.dumps({"token": "anonymous"}).encode())
        guarded(loopback, "/v2/team/app/manifests/1", "Bearer anonymous", bearer("/token"))
        location = {"Location": f"http://{store.host}/data"}
        guarded(loopback, BLOB_PATH, "Bearer anonymous", bearer("/token"), Answer(status=307, headers=location))
        store.answers["/data"] = Answer(CONTENT)
        reference = Reference.parse(f"{loopback.host}/team/app:1")
        access = RegistryConfig.from_environment({"NETRC": str(netrc)}, mirrors_first=None)
        with Registry(loopback.host, access=access) as registry:
            registry.manifest(reference)
            assert read_blob(registry, reference=reference) == CONTENT
        sent = [request.headers.get("Authorization") for request in loopback.requests]
        assert sent == [None, None, "Bearer anonymous", "Bearer anonymous"]
        assert [of_ours(request) for request in store.requests] == [[]]


# ---- logins in names ----


@pytest.mark.parametrize(
    "name",
    [
        f"{USER}:{PASSWORD}@{HOST}/team/app:1",
        f"{USER}@{HOST}/team/app:1",
        f"https://{USER}:{PASSWORD}@{HOST}/team/app:1",
    ],
)
def test_s13_userinfo_in_a_reference_is_refused_before_any_request(wire: responses.RequestsMock, name: str) -> None:
    with pytest.raises(InvalidReferenceError):
        imgfetch.save(name, io.BytesIO())
    assert list(wire.calls) == []


@pytest.mark.parametrize(
    "url", [f"https://{USER}:{PASSWORD}@mirror.example", f"https://{USER}@mirror.example", f"https://:{PASSWORD}@m"]
)
@pytest.mark.parametrize("prefix", ["", f"{HOST}="])
def test_s13_userinfo_in_a_mirrors_url_is_refused_before_any_request_and_not_shown(
    wire: responses.RequestsMock, url: str, prefix: str
) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        RegistryConfig.from_environment({}, mirrors_first=[prefix + url])
    assert PASSWORD not in story(caught.value)
    assert list(wire.calls) == []


def test_s13_userinfo_in_a_configured_mirrors_url_is_refused_with_a_warning_that_does_not_show_it(
    wire: responses.RequestsMock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = tmp_path / "daemon.json"
    daemon.write_text(json.dumps({"registry-mirrors": [f"https://{USER}:{PASSWORD}@mirror.example"]}))
    access = RegistryConfig(mirrors=read(daemon_json=daemon, registries_conf=()))
    wire.get("https://registry-1.docker.io/v2/library/alpine/manifests/3", status=404)
    with pytest.raises(imgfetch.NotFoundError):
        imgfetch.save("alpine:3", io.BytesIO(), access=access, **SAVE)
    assert len(wire.calls) == 1
    assert "daemon.json" in said(caplog)
    assert PASSWORD not in said(caplog)


@pytest.mark.parametrize("location", [f"https://{USER}:{PASSWORD}@store.example/data", f"https://{USER}@{HOST}/data"])
def test_s13_userinfo_in_a_redirect_is_refused_before_any_request_and_not_shown(
    wire: responses.RequestsMock, location: str
) -> None:
    wire.get(BLOB_URL, status=307, headers={"Location": location})
    with opened() as registry, pytest.raises(ImgfetchError) as caught:
        read_blob(registry)
    assert asked(wire) == [BLOB_URL]
    assert PASSWORD not in story(caught.value)


# ---- secrets out of sight ----


def test_s14_a_password_is_not_accepted_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["save", f"{HOST}/team/app:1", "--username", USER, "--password", PASSWORD])
    assert caught.value.code == 2
    assert PASSWORD not in capsys.readouterr().err


@pytest.mark.parametrize("login", [WITH_PASSWORD, WITH_BOTH, WITH_REGISTRY_TOKEN])
def test_s14_no_secret_is_in_the_log_the_archive_the_cache_or_a_repr(
    wire: responses.RequestsMock, tmp_path: Path, caplog: pytest.LogCaptureFixture, login: Login
) -> None:
    caplog.set_level(logging.DEBUG)
    token = login.registry_token or TOKEN
    built = images.image(images.hello())

    def answer(request: Any) -> tuple[int, dict[str, str], bytes]:
        if request.headers.get("Authorization") != f"Bearer {token}":
            return 401, bearer(REALM), b""
        found = [blob.content for blob in built.blobs if request.url.endswith(blob.digest)]
        return 200, {}, found[0] if found else built.raw

    wire.add_callback("GET", re.compile(re.escape(BASE) + "/v2/.*"), callback=answer)
    if not login.registry_token:
        wire.add(
            "POST" if login.identity_token else "GET", REALM, json={"token": TOKEN, "refresh_token": f"{REFRESH}-2"}
        )
    access = RegistryConfig(credentials=Credentials(explicit=login))
    out = io.BytesIO()
    saved = imgfetch.save(f"{HOST}/team/app:1", out, access=access, cache_dir=tmp_path / "cache", **SAVE)
    shown = f"{said(caplog)}\n{saved!r}\n{access!r}\n{login!r}\n{login}"
    kept = [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert kept
    assert [secret for secret in SECRETS if secret in shown] == []
    assert [secret for secret in SECRETS for content in (out.getvalue(), *kept) if secret.encode() in content] == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 200])
@LOGINS
def test_s14_no_secret_is_in_what_a_failing_token_step_raises_and_logs(
    wire: responses.RequestsMock, caplog: pytest.LogCaptureFixture, login: Login, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    wire.get(MANIFEST, status=401, headers=bearer(REALM))
    for method in ("GET", "POST"):
        wire.add(method, REALM, status=status, body="no")
    wire.assert_all_requests_are_fired = False  # which of the two depends on the login
    with opened(login) as registry, pytest.raises(ImgfetchError) as caught:
        registry.manifest(REFERENCE)
    assert len(wire.calls) > 1
    shown = f"{story(caught.value)}\n{said(caplog)}\n{registry!r}\n{registry._authenticator!r}"
    assert [secret for secret in SECRETS if secret in shown] == []


@pytest.mark.parametrize("login", [WITH_PASSWORD, WITH_REGISTRY_TOKEN])
def test_s14_no_secret_is_in_what_a_refusing_registry_makes_us_raise_and_log(
    wire: responses.RequestsMock, caplog: pytest.LogCaptureFixture, login: Login
) -> None:
    caplog.set_level(logging.DEBUG)
    wire.get(MANIFEST, status=401, headers=ASKS_BASIC)
    with opened(login) as registry, pytest.raises(AuthenticationError) as caught:
        registry.manifest(REFERENCE)
    assert authorization(wire, 1) is not None
    shown = f"{story(caught.value)}\n{said(caplog)}\n{registry!r}"
    assert [secret for secret in SECRETS if secret in shown] == []


# ---- what is shown of a URL ----


SIGNED = "https://store.other.example/data?X-Amz-Signature=SIGNATURE&Expires=5&scope=s&sig=SIGNATURE&SIGNATURE"


def test_s15_a_logged_url_keeps_only_harmless_parts_of_its_query(
    wire: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wire.get(BLOB_URL, status=307, headers={"Location": SIGNED})
    wire.get(SIGNED, body=CONTENT)
    with opened() as registry:
        assert read_blob(registry) == CONTENT
    assert wire.calls[1].request.url == SIGNED
    assert "SIGNATURE" not in said(caplog)
    shown = "https://store.other.example/data?X-Amz-Signature=REDACTED&Expires=REDACTED&scope=s&sig=REDACTED&REDACTED"
    assert shown in said(caplog)


@pytest.mark.parametrize("status", [307, 401, 403, 404, 500])
def test_s15_an_error_about_a_signed_url_does_not_show_the_signature(
    wire: responses.RequestsMock, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    wire.get(BLOB_URL, status=307, headers={"Location": SIGNED})
    wire.get(SIGNED, status=status)
    with opened() as registry, pytest.raises(ImgfetchError) as caught:
        read_blob(registry)
    assert "SIGNATURE" not in story(caught.value)
    assert "SIGNATURE" not in said(caplog)


def test_s15_a_signed_url_that_nobody_answers_is_not_in_the_traceback_with_its_signature(
    loopback: Loopback, closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    location = {"Location": f"http://127.0.0.1:{closed_port}/data?Signature=SIGNATURE"}
    loopback.answers[BLOB_PATH] = Answer(status=307, headers=location)
    with opened(name=loopback.host) as registry, pytest.raises(TransportError) as caught:
        read_blob(registry, reference=Reference.parse(f"{loopback.host}/team/app:1"))
    assert "SIGNATURE" not in said(caplog)
    assert "SIGNATURE" not in story(caught.value)  # a traceback shows the causes


def test_s15_a_signed_url_whose_answer_breaks_off_is_not_in_the_traceback_with_its_signature(
    loopback: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    loopback.answers[BLOB_PATH] = Answer(status=307, headers={"Location": "/data?Signature=SIGNATURE"})
    loopback.answers["/data"] = Answer(CONTENT[:5], headers={"Content-Length": str(len(CONTENT))})
    with opened(name=loopback.host) as registry, pytest.raises(TransportError) as caught:
        read_blob(registry, reference=Reference.parse(f"{loopback.host}/team/app:1"))
    assert "SIGNATURE" not in said(caplog)
    assert "SIGNATURE" not in story(caught.value)


# ---- whose certificate is not checked ----


UNCHECKED = pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")


@UNCHECKED
@pytest.mark.parametrize("at", ["realm", "redirect"])
def test_s33_only_the_named_host_goes_unchecked_and_another_is_asked_nothing(
    secured: Registrar, another: Registrar, caplog: pytest.LogCaptureFixture, at: str
) -> None:
    if at == "realm":
        secured.answers["/v2/team/app/manifests/1"] = Answer(status=401, headers=bearer(f"{another.url}/token"))
    else:
        location = {"Location": f"{another.url}/data"}
        secured.answers["/v2/team/app/manifests/1"] = Answer(status=307, headers=location)
    another.answers = dict.fromkeys(("/token", "/data"), Answer(json.dumps({"token": TOKEN}).encode()))
    reference = Reference.parse(f"{secured.host}/team/app:1")
    trust = TlsConfig(insecure=frozenset({secured.host}))
    with opened(name=secured.host, trust=trust) as registry, pytest.raises(ImgfetchError) as caught:
        registry.manifest(reference)
    assert f"cannot verify the certificate of {another.host}" in story(caught.value)
    assert another.requests == []
    assert secured.requests
    assert said(caplog).count(f"the certificate of {secured.host} is not verified") >= 1
    assert f"the certificate of {another.host} is not verified" not in said(caplog)


@UNCHECKED
def test_s33_each_run_warns_of_a_host_that_goes_unchecked(secured: Registrar, caplog: pytest.LogCaptureFixture) -> None:
    secured.answers["/v2/team/app/manifests/1"] = Answer(b"{}")
    for run in (1, 2):
        with opened(name=secured.host, trust=TlsConfig(insecure=frozenset({secured.host}))) as registry:
            registry.manifest(Reference.parse(f"{secured.host}/team/app:1"))
        assert said(caplog).count("WARNING") == run


def test_s33_a_login_goes_to_no_registry_whose_certificate_is_not_to_be_trusted(
    secured: Registrar,
) -> None:
    with opened(name=secured.host) as registry, pytest.raises(TransportError, match="cannot verify the certificate"):
        registry.manifest(Reference.parse(f"{secured.host}/team/app:1"))
    assert secured.requests == []  # nor is it asked by http


# ---- who is asked at all ----


def test_s34_nobody_is_asked_whom_the_reference_a_realm_or_a_redirect_does_not_name(
    wire: responses.RequestsMock,
) -> None:
    evil = "https://evil.test"
    layer = images.layer(images.tar({"a": b"a"}), urls=[f"{evil}/layer"], annotations={"url": f"{evil}/annotation"})
    built = images.image(
        layer,
        config={"config": {"Labels": {"org.opencontainers.image.url": evil}}, "moby.buildkit.source": evil},
        manifest={
            "annotations": {
                "org.opencontainers.image.source": evil,
                "org.opencontainers.image.base.name": "evil.test/x",
            },
            "subject": {"mediaType": "application/json", "digest": f"sha256:{'0' * 64}", "size": 2, "urls": [evil]},
        },
    )
    lures = {
        "Location": f"{evil}/location",
        "Content-Location": f"{evil}/content",
        "Link": f'<{evil}/next>; rel="next", <{evil}/style>; rel=preload',
        "Refresh": f"0; url={evil}/refresh",
        "Alt-Svc": 'h2="evil.test:443"',
        "Docker-Upload-Location": f"{evil}/upload",
        "X-Docker-Endpoints": "evil.test",
        "Warning": f'299 - "go to {evil}"',
        "Strict-Transport-Security": "max-age=5",
    }

    def answer(request: Any) -> tuple[int, dict[str, str], bytes]:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            bait = f'Basic realm="{evil}/basic", Digest realm="{evil}/digest", '
            return 401, {**lures, "WWW-Authenticate": bait + bearer(REALM)["WWW-Authenticate"]}, b""
        found = [blob.content for blob in built.blobs if request.url.endswith(blob.digest)]
        return 200, {**lures, "Content-Type": built.media_type}, found[0] if found else built.raw

    wire.add_callback("GET", re.compile(re.escape(BASE) + "/v2/.*"), callback=answer)
    wire.get(REALM, headers=lures, json={"token": TOKEN, "realm": f"{evil}/token", "refresh_url": evil})
    access = RegistryConfig(credentials=Credentials(explicit=WITH_PASSWORD))
    imgfetch.save(f"{HOST}/team/app:1", io.BytesIO(), access=access, **SAVE)
    assert {urlsplit(url).hostname for url in asked(wire)} == {HOST, "auth.registry.example"}


@pytest.mark.parametrize(
    "challenge",
    ['Basic realm="https://evil.test/token"', 'Digest realm="https://evil.test/token"', "Negotiate", ""],
)
def test_s34_a_realm_that_is_not_bearers_is_not_an_address(wire: responses.RequestsMock, challenge: str) -> None:
    wire.get(MANIFEST, status=401, headers={"WWW-Authenticate": challenge} if challenge else {})
    if not challenge.startswith("Basic"):
        wire.get(f"{BASE}/v2/", status=401, headers={"WWW-Authenticate": challenge} if challenge else {})
    with opened(None) as registry, pytest.raises(AuthenticationError):
        registry.manifest(REFERENCE)
    assert {urlsplit(url).hostname for url in asked(wire)} == {HOST}


# ---- proxies ----


PROXY_LOGIN = "Basic " + base64.b64encode(b"proxy-user:proxy-password").decode()


def test_p12_the_proxys_login_goes_to_the_proxy_and_the_registrys_to_no_other_origin_behind_it() -> None:
    with Loopback() as proxy:
        realm = "http://auth.registry.example/token"
        manifest, store = "http://registry.example/v2/team/app/manifests/1", "http://store.other.example/data"
        guarded(proxy, manifest, f"Bearer {TOKEN}", bearer(realm), Answer(status=307, headers={"Location": store}))
        proxy.answers[realm] = Answer(json.dumps({"token": TOKEN}).encode())
        proxy.answers[store] = Answer(b"{}")
        proxies = Proxies(http=f"http://proxy-user:proxy-password@{proxy.host}")
        with opened(plain_http=True, proxies=proxies) as registry:
            registry.manifest(REFERENCE)
        assert [path.partition("?")[0] for path in proxy.paths] == [manifest, realm, manifest, store]
        assert {request.headers.get("Proxy-Authorization") for request in proxy.requests} == {PROXY_LOGIN}
        sent = [request.headers.get("Authorization") for request in proxy.requests]
        assert sent == [None, BASIC, f"Bearer {TOKEN}", None]


@pytest.mark.parametrize("end", ["\\.registry.example", "\\registry.example", "%5c.registry.example"])
def test_s03_a_realm_whose_host_ends_earlier_for_urllib3_than_for_us_is_sent_no_login_through_a_proxy(end: str) -> None:
    with Loopback() as proxy:
        manifest = "http://registry.example/v2/team/app/manifests/1"
        proxy.answers[manifest] = Answer(status=401, headers=bearer(f"http://evil.test{end}/token"))
        with (
            opened(plain_http=True, proxies=Proxies(http=f"http://{proxy.host}")) as registry,
            pytest.raises(ImgfetchError),
        ):
            registry.manifest(REFERENCE)
        elsewhere = [request for request in proxy.requests if request.path != manifest]
        assert [of_ours(request) for request in elsewhere] in ([], [[]])


def test_p12_who_is_asked_directly_is_not_told_the_proxys_login(loopback: Loopback) -> None:
    with Loopback() as proxy:
        loopback.answers["/v2/team/app/manifests/1"] = Answer(b"{}")
        login = f"http://proxy-user:proxy-password@{proxy.host}"
        with opened(name=loopback.host, proxies=Proxies(http=login, https=login)) as registry:
            registry.manifest(Reference.parse(f"{loopback.host}/team/app:1"))
        assert proxy.requests == []
        assert [of_ours(request) for request in loopback.requests] == [[]]


def test_p12_through_a_tunnel_neither_end_is_told_the_others_login(secured: Registrar, made: Certificates) -> None:
    secured.answers["/v2/team/app/manifests/1"] = Answer(status=401, headers=ASKS_BASIC)
    with tunnelling(secured) as tunnel:
        proxies = Proxies(https=f"http://proxy-user:proxy-password@127.0.0.1:{tunnel.port}")
        with (
            opened(proxies=proxies, trust=TlsConfig(ca_files=(made.ca,))) as registry,
            pytest.raises(AuthenticationError),
        ):
            registry.manifest(REFERENCE)
        assert set(tunnel.asked) == {"CONNECT registry.example:443"}
        assert {headers.get("Proxy-Authorization") for headers in tunnel.headers} == {PROXY_LOGIN}
        assert [name for headers in tunnel.headers for name in headers if name.lower() == "authorization"] == []
        assert [request.headers.get("Authorization") for request in secured.requests] == [None, BASIC]
        assert not any("Proxy-Authorization" in request.headers for request in secured.requests)


def test_p12_the_proxys_login_is_not_shown(closed_port: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    login = f"http://proxy-user:proxy-password@127.0.0.1:{closed_port}"
    proxies = Proxies(http=login, https=login)
    with opened(proxies=proxies) as registry, pytest.raises(TransportError) as caught:
        registry.manifest(REFERENCE)
    shown = f"{story(caught.value)}\n{said(caplog)}\n{proxies!r}\n{registry!r}"
    assert "proxy-password" not in shown
    assert PROXY_LOGIN.split()[1] not in shown
