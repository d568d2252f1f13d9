"""The hosts that may receive credentials, rule by rule; see docs/registries.md#who-receives-credentials.

In each test a second origin remembers what it was sent.  It was sent nothing of ours, or was not asked at all; and
where that could be so by chance, the login does go where it belongs.
"""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import imgfetch
from imgfetch import Registry, RegistryConfig
from imgfetch.auth.credentials import Credentials
from imgfetch.auth.login import Login
from imgfetch.auth.realms import RealmPolicy
from imgfetch.cli import main
from imgfetch.errors import AuthenticationError, ImgfetchError, InvalidReferenceError, RegistryError, TransportError
from imgfetch.http.proxies import Proxies
from imgfetch.http.tls import TlsConfig
from imgfetch.oci.descriptor import Descriptor
from imgfetch.registry.daemon_json import read_daemon_json
from imgfetch.registry.mirror_rules import Mirrors, read
from tests import images
from tests.certificates import Certificates
from tests.loopback import Answer, Answering, Loopback, Request
from tests.stories import Log, story
from tests.unit.auth.test_credentials import KEYS_OF_OTHERS
from tests.unit.auth.test_kinship import FOREIGN, OWN
from tests.unit.auth.test_realms import LOOPBACK, LOOPBACK_SPELLINGS, NEVER, SPELLINGS
from tests.unit.http.test_tls import Server, client_of, running, server_context, tunnelling
from tests.wire import (
    BASE,
    BLOB,
    BLOB_PATH,
    BLOB_URL,
    CONTENT,
    HOST,
    MANIFEST,
    MANIFEST_PATH,
    REFERENCE,
    Wire,
    image_at,
    read_blob,
)

NOWHERE = [*NEVER, *LOOPBACK, *SPELLINGS, *LOOPBACK_SPELLINGS]
REALM = "https://auth.registry.example/token"
STORE = "https://store.other.example/data"

USER, PASSWORD = "alice", "PASSWORD-of-alice"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
BOB = "Basic " + base64.b64encode(b"bob:other").decode()
REFRESH, TOKEN, READY = "REFRESH-TOKEN", "ACCESS-TOKEN", "REGISTRY-TOKEN"
BEARER = f"Bearer {TOKEN}"
SECRETS = (PASSWORD, BASIC.split()[1], REFRESH, TOKEN, READY)

WITH_PASSWORD = Login(USER, PASSWORD, source="--username", is_explicit=True)
WITH_REFRESH_TOKEN = Login(identity_token=REFRESH, source="config.json")
WITH_BOTH = Login(USER, PASSWORD, REFRESH, source="config.json")
WITH_REGISTRY_TOKEN = Login(registry_token=READY, source="config.json")


def method_for(login: Login) -> str:
    return "POST" if login.identity_token else "GET"


LOGINS = pytest.mark.parametrize(
    "login", [WITH_PASSWORD, WITH_REFRESH_TOKEN, WITH_BOTH], ids=["password", "refresh token", "both"]
)


def announce(wire: Wire, realm: str, base: str = BASE) -> None:
    """Have a registry want a token of this token server, which gives one."""
    wire.challenge(f"{base}{MANIFEST_PATH}", bearer(realm))
    wire.get(realm, json={"token": TOKEN})
    wire.get(f"{base}{MANIFEST_PATH}", body=b"{}")


def base_of(registry: str) -> str:
    return "https://registry-1.docker.io" if registry == "docker.io" else f"https://{registry}"


def bearer(realm: str) -> str:
    quoted = realm.replace("\\", "\\\\")
    return f'Bearer realm="{quoted}",service="s"'


ASKS_BASIC = 'Basic realm="r"'


def opened(
    login: Login | None = WITH_PASSWORD, name: str = HOST, *, credentials: Credentials | None = None, **access: Any
) -> Registry:
    return Registry(name, access=RegistryConfig(credentials=credentials or Credentials(explicit=login), **access))


def ask(login: Login | None = WITH_PASSWORD, name: str = HOST, **access: Any) -> None:
    """Ask a registry for the manifest."""
    with opened(login, name, **access) as registry:
        registry.manifest(image_at(name))


def stored(directory: Path, *keys: str, **more: object) -> Credentials:
    """Return what a file of docker's says that has this login below each key, and a directory with its helpers."""
    path = directory / "config.json"
    path.write_text(json.dumps({"auths": {key: {"auth": BASIC.split()[1]} for key in keys}, **more}))
    return Credentials(files=(path,), path=str(directory))


def sent_to(wire: Wire, url: str) -> list[Any]:
    """Return the requests to an origin."""
    wanted = urlsplit(url)[:2]
    return [request for request in wire.sent if urlsplit(request.url)[:2] == wanted]


def of_ours(request: Any) -> list[str]:
    """Return what a request holds that is ours alone."""
    url = getattr(request, "url", None) or request.path
    body = getattr(request, "body", None) or b""
    everything = f"{url}\n{dict(request.headers)}\n{body if isinstance(body, str) else body.decode()}"
    names = {name.lower() for name in request.headers} & {"authorization", "cookie", "proxy-authorization"}
    return [*sorted(names), *(secret for secret in SECRETS if secret in everything)]


def told(requests: Iterable[Any]) -> list[list[str]]:
    """Return what each request holds that is ours alone."""
    return [of_ours(request) for request in requests]


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
    wire: Wire, realm: str
) -> None:
    wire.challenge(MANIFEST, bearer(realm))
    with opened() as registry, pytest.raises(AuthenticationError, match="cannot be used"):
        registry.manifest(REFERENCE)
    assert wire.asked == [MANIFEST]
    assert of_ours(wire.sent[0]) == []


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
    wire: Wire, login: Login, realm: str
) -> None:
    wire.challenge(MANIFEST, bearer(realm))
    wire.get(re.compile(re.escape(realm)), status=401)
    with opened(login) as registry, pytest.raises(AuthenticationError):
        registry.manifest(REFERENCE)
    assert [request.method for request in wire.sent] == ["GET", "GET"]
    assert not any(told(wire.sent))


def test_s02_no_list_of_trusted_hosts_lets_a_login_go_down_to_http(wire: Wire) -> None:
    wire.challenge(MANIFEST, bearer("http://auth.other.example/token"))
    wire.get("http://auth.other.example/token", status=401)
    trusted = RealmPolicy(trusted=frozenset({"auth.other.example", "auth.other.example:80"}))
    with opened(realms=trusted) as registry, pytest.raises(AuthenticationError):
        registry.manifest(REFERENCE)
    assert told(sent_to(wire, "http://auth.other.example")) == [[]]


@pytest.mark.parametrize("port", ["", ":8443"])
@LOGINS
def test_s02_an_http_realm_on_the_registrys_own_host_is_asked_by_https_at_the_registrys_port(
    wire: Wire, login: Login, port: str
) -> None:
    base = f"{BASE}{port}"
    wire.challenge(f"{base}{MANIFEST_PATH}", bearer("http://registry.example:20000/token"))
    wire.add(method_for(login), f"{base}/token", json={"token": TOKEN})
    wire.get(f"{base}{MANIFEST_PATH}", body=b"{}")
    ask(login, f"{HOST}{port}")
    assert sent_to(wire, "http://registry.example:20000") == []
    assert {urlsplit(url).scheme for url in wire.asked} == {"https"}
    assert of_ours(wire.sent[1]) == ([REFRESH] if login.identity_token else ["authorization", BASIC.split()[1]])


# ---- whose token server it is ----


@pytest.mark.parametrize(("registry", "realm"), FOREIGN)
@LOGINS
def test_s03_the_token_server_of_somebody_else_is_asked_without_a_login(
    wire: Wire, login: Login, registry: str, realm: str
) -> None:
    announce(wire, f"https://{realm}/token", f"https://{registry}")
    ask(login, registry)
    assert told(sent_to(wire, f"https://{realm}")) == [[]]
    assert wire.authorizations[2] == BEARER


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(("registry", "realm"), FOREIGN)
def test_s03_a_foreign_token_server_that_wants_a_login_is_named_with_the_option_that_trusts_it(
    wire: Wire, registry: str, realm: str, status: int
) -> None:
    wire.challenge(f"https://{registry}{MANIFEST_PATH}", bearer(f"https://{realm}/token"))
    wire.get(f"https://{realm}/token", status=status)
    with opened(name=registry) as opened_registry, pytest.raises(AuthenticationError) as caught:
        opened_registry.manifest(image_at(registry))
    assert f"--trust-realm {realm.strip('[]')}" in str(caught.value.hint)
    assert told(sent_to(wire, f"https://{realm}")) == [[]]


@pytest.mark.parametrize(("registry", "realm"), OWN)
def test_s03_a_registrys_own_token_server_is_told_the_login(wire: Wire, registry: str, realm: str) -> None:
    announce(wire, f"https://{realm}/token", base_of(registry))
    ask(name=registry)
    assert wire.authorizations[1] == BASIC


def test_s03_a_foreign_token_server_that_the_user_trusts_is_told_the_login(wire: Wire) -> None:
    announce(wire, "https://auth.other.example/token")
    ask(realms=RealmPolicy(trusted=frozenset({"auth.other.example"})))
    assert wire.authorizations[1] == BASIC


def test_s03_a_registry_on_the_loopback_may_name_a_realm_on_the_loopback_by_any_name_and_port(
    loopback: Loopback,
) -> None:
    with Loopback() as tokens:
        port = tokens.host.partition(":")[2]
        loopback.guard(MANIFEST_PATH, BEARER, bearer(f"http://localhost:{port}/token"))
        tokens.answers["/token"] = Answer(json.dumps({"token": TOKEN}).encode())
        ask(name=loopback.host)
        assert tokens.authorizations == [BASIC]


# ---- addresses at which nobody can be ----


@pytest.mark.parametrize("host", NOWHERE)
def test_s04_a_realm_at_an_address_where_none_can_be_is_not_asked(wire: Wire, host: str) -> None:
    wire.challenge(MANIFEST, bearer(f"https://{host}/token"))
    with opened() as registry, pytest.raises(AuthenticationError):
        registry.manifest(REFERENCE)
    assert wire.asked == [MANIFEST]


@pytest.mark.parametrize("host", NOWHERE)
def test_s04_a_redirect_to_an_address_where_none_can_be_is_not_followed(wire: Wire, host: str) -> None:
    wire.redirect(BLOB_URL, f"https://{host}/data")
    with opened() as registry, pytest.raises((RegistryError, TransportError)):
        read_blob(registry)
    assert wire.asked == [BLOB_URL]


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.169.254]", "0.0.0.0", "[::]", "224.0.0.1"])
def test_s04_not_even_a_registry_on_the_loopback_may_name_such_a_realm(loopback: Loopback, host: str) -> None:
    loopback.challenge(MANIFEST_PATH, bearer(f"http://{host}/token"))
    with opened(name=loopback.host) as registry, pytest.raises(AuthenticationError, match="cannot be used"):
        registry.manifest(image_at(loopback.host))
    assert loopback.paths == [MANIFEST_PATH]


@pytest.mark.parametrize("host", ["10.0.0.5", "172.16.0.5:5000", "192.168.1.5", "[fd00::5]"])
def test_s04_a_private_address_is_allowed(wire: Wire, host: str) -> None:
    announce(wire, f"https://{host}/token")
    ask()
    assert told(sent_to(wire, f"https://{host}")) == [[]]  # allowed, without credentials


# ---- redirects of a token server ----


@LOGINS
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target",
    ["https://other.example/token", "https://evil.auth.registry.example/token", "http://auth.registry.example/token"],
    ids=["another host", "a host below", "down to http"],
)
def test_s05_a_token_request_is_redirected_to_no_other_host_and_not_down(
    wire: Wire, login: Login, status: int, target: str
) -> None:
    wire.challenge(MANIFEST, bearer(REALM))
    wire.add(method_for(login), REALM, status=status, headers={"Location": target})
    with opened(login) as registry, pytest.raises(AuthenticationError):
        registry.manifest(REFERENCE)
    assert wire.asked == [MANIFEST, REALM]


def test_s05_a_token_request_that_is_redirected_to_another_port_goes_there_without_the_login(wire: Wire) -> None:
    target = "https://auth.registry.example:8443/token"
    wire.challenge(MANIFEST, bearer(REALM))
    wire.redirect(REALM, target)
    wire.get(target, json={"token": TOKEN})
    wire.get(MANIFEST, body=b"{}")
    ask()
    assert told(sent_to(wire, target)) == [[]]
    assert wire.authorizations[1] == BASIC


def test_s05_a_token_request_may_be_redirected_up_to_https(wire: Wire) -> None:
    wire.challenge(f"http://{HOST}{MANIFEST_PATH}", bearer(f"http://{HOST}/token"))
    wire.get(f"http://{HOST}/token", status=301, headers={"Location": f"{BASE}/token"})
    wire.get(f"{BASE}/token", json={"token": TOKEN})
    wire.get(f"http://{HOST}{MANIFEST_PATH}", body=b"{}")
    ask(plain_http=True)
    assert wire.asked[1:3] == [f"http://{HOST}/token", f"{BASE}/token"]
    assert wire.authorizations[1] == BASIC


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_s05_a_refresh_token_is_sent_to_no_redirects_target_on_the_wire(
    secured: Registrar, another: Registrar, made: Certificates, status: int
) -> None:
    secured.challenge(MANIFEST_PATH, bearer(f"{secured.url}/token"))
    secured.answers["/token"] = Answer(status=status, headers={"Location": f"{another.url}/token"})
    another.answers["/token"] = Answer(json.dumps({"token": TOKEN}).encode())
    with pytest.raises(AuthenticationError):
        ask(WITH_BOTH, secured.host, trust=TlsConfig(ca_files=(made.ca,)))
    assert f"refresh_token={REFRESH}".encode() in secured.forms[0]
    assert told(another.requests) in ([], [[]])
    assert [form for form in another.forms if REFRESH.encode() in form] == []


# ---- redirects of a registry ----


@pytest.mark.parametrize("target", ["http://store.other.example/data", f"http://{HOST}/data", "http://10.0.0.5/data"])
def test_s06_a_manifest_by_tag_is_not_redirected_down_to_http(wire: Wire, target: str) -> None:
    wire.challenge(MANIFEST, ASKS_BASIC)
    wire.redirect(MANIFEST, target)
    with opened() as registry, pytest.raises(RegistryError, match="from https to http"):
        registry.manifest(REFERENCE)
    assert wire.asked == [MANIFEST, MANIFEST]


def test_s06_a_blob_that_is_redirected_down_to_http_is_asked_for_without_the_login(wire: Wire) -> None:
    wire.challenge(BLOB_URL, ASKS_BASIC)
    wire.redirect(BLOB_URL, f"http://{HOST}/data")
    wire.get(f"http://{HOST}/data", body=CONTENT)
    with opened() as registry:
        assert read_blob(registry) == CONTENT
    assert wire.authorizations[1] == BASIC
    assert told(sent_to(wire, f"http://{HOST}")) == [[]]


def test_s06_a_second_redirect_obeys_the_rules_as_the_first(wire: Wire) -> None:
    wire.redirect(BLOB_URL, STORE)
    wire.redirect(STORE, "http://169.254.169.254/latest/meta-data")
    with opened() as registry, pytest.raises(ImgfetchError):
        read_blob(registry)
    assert wire.asked == [BLOB_URL, STORE]


# ---- the Authorization header ----


@pytest.mark.parametrize(
    ("login", "challenge"),
    [
        pytest.param(WITH_PASSWORD, ASKS_BASIC, id="Basic"),
        pytest.param(WITH_PASSWORD, bearer(REALM), id="token by password"),
        pytest.param(WITH_REFRESH_TOKEN, bearer(REALM), id="token by refresh token"),
        pytest.param(WITH_REGISTRY_TOKEN, ASKS_BASIC, id="registry token"),
        pytest.param(WITH_REGISTRY_TOKEN, bearer(REALM), id="registry token again"),
    ],
)
@pytest.mark.parametrize(
    "target",
    [
        "https://store.other.example/data",
        "https://registry.example:8443/data",
        f"https://registry.example:444{MANIFEST_PATH}",
        "https://sub.registry.example/data",
        "https://registry.example.evil.test/data",
        "https://example/data",
        "//store.other.example/data",
    ],
)
def test_s07_authorization_is_not_sent_to_another_origin_that_the_registry_redirects_to(
    wire: Wire, login: Login, challenge: str, target: str
) -> None:
    wire.challenge(MANIFEST, challenge)
    if challenge != ASKS_BASIC and not login.registry_token:
        wire.add(method_for(login), REALM, json={"token": TOKEN})
    wire.redirect(MANIFEST, target)
    full = target if "://" in target else f"https:{target}"
    wire.get(full, body=b"{}")
    ask(login)
    assert wire.authorizations[-2] is not None
    assert told(sent_to(wire, full)) == [[]]


def test_s07_authorization_is_not_sent_up_to_https_of_a_registry_that_was_asked_by_http(wire: Wire) -> None:
    wire.challenge(f"http://{HOST}{MANIFEST_PATH}", ASKS_BASIC)
    wire.redirect(f"http://{HOST}{MANIFEST_PATH}", f"{BASE}/other")
    wire.get(f"{BASE}/other", body=b"{}")
    ask(plain_http=True)
    assert wire.authorizations[1] == BASIC
    assert told(sent_to(wire, BASE)) == [[]]  # another scheme is another origin


@pytest.mark.parametrize(
    ("challenge", "realm"),
    [(ASKS_BASIC, ""), (bearer("/token"), f"{BASE}:8443/token"), (bearer(REALM), REALM)],
    ids=["Basic", "own", "known"],
)
def test_s07_a_401_at_a_redirects_target_is_not_answered_with_anything_of_ours(
    wire: Wire, challenge: str, realm: str
) -> None:
    target = f"{BASE}:8443/data"
    wire.challenge(BLOB_URL, ASKS_BASIC)
    wire.redirect(BLOB_URL, target)
    wire.challenge(target, challenge)
    if realm:
        wire.get(realm, status=401)
    with opened() as registry, pytest.raises(ImgfetchError):
        read_blob(registry)
    assert wire.asked == [BLOB_URL, BLOB_URL, target, *([realm] if realm else [])]
    assert not any(told(wire.sent[2:]))


@pytest.mark.parametrize("status", [200, 401])
def test_s07_another_port_of_the_same_host_is_sent_nothing_on_the_wire(loopback: Loopback, status: int) -> None:
    with Loopback() as store:
        location = {"Location": f"http://{store.host}/data", "Set-Cookie": f"session={TOKEN}; Path=/"}
        loopback.guard(BLOB_PATH, BASIC, ASKS_BASIC, Answer(status=307, headers=location))
        store.answers["/data"] = Answer(CONTENT, status, {} if status == 200 else {"WWW-Authenticate": ASKS_BASIC})
        outcome = nullcontext() if status == 200 else pytest.raises(ImgfetchError)
        with opened(name=loopback.host) as registry, outcome:
            assert read_blob(registry) == CONTENT
        assert loopback.authorizations == [None, BASIC]
        assert told(store.requests) == [[]]


def test_s07_authorization_comes_back_with_a_redirect_that_comes_home(wire: Wire) -> None:
    wire.challenge(MANIFEST, ASKS_BASIC)
    wire.redirect(MANIFEST, STORE)
    wire.redirect(STORE, f"{BASE}/v2/home")
    wire.get(f"{BASE}/v2/home", body=b"{}")
    ask()
    assert wire.authorizations == [None, BASIC, None, BASIC]


def test_s07_the_token_of_one_registry_is_not_sent_to_another_of_the_same_run(wire: Wire, tmp_path: Path) -> None:
    built = images.image(images.hello())
    other = "https://other.example"
    serve(wire, BASE, built, BEARER, bearer(REALM))
    serve(wire, other, built)
    wire.get(REALM, json={"token": TOKEN})
    credentials = stored(tmp_path, HOST)
    names = [f"{HOST}/team/app:1", "other.example/team/app:2"]
    with pytest.raises(AuthenticationError):  # it wants a login that there is none of
        imgfetch.save(
            names, io.BytesIO(), platform="linux/amd64", access=RegistryConfig(credentials=credentials), jobs=1
        )
    assert sent_to(wire, other)
    assert not any(told(sent_to(wire, other)))


def serve(
    wire: Wire, base: str, built: images.Built, accepted: str = BASIC, challenge: str = ASKS_BASIC, **headers: str
) -> None:
    """Serve an image to whoever sends an ``Authorization``, and challenge all others."""

    def answer(request: Any) -> tuple[int, dict[str, str], bytes]:
        if request.headers.get("Authorization") != accepted:
            return 401, {**headers, "WWW-Authenticate": challenge}, b""
        found = [blob.content for blob in built.blobs if request.url.endswith(blob.digest)]
        return 200, {**headers, "Content-Type": built.media_type}, found[0] if found else built.raw

    wire.add_callback("GET", re.compile(re.escape(base) + "/v2/.*"), callback=answer)


# ---- where a foreign layer is ----


class Registrar(Answering, Server):
    """A server by TLS that asks for a client certificate, is content without, and remembers what it was sent."""

    def __init__(self, made: Certificates) -> None:
        super().__init__(server_context(made.server_cert, made.server_key, made.ca, demanding=False))
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
        self.server.clients.append(client_of(self.connection))
        answer = self.server.answer(Request(self.path, dict(self.headers.items())))
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
    secured.answers[MANIFEST_PATH] = Answer(b"{}", headers={"Set-Cookie": f"session={TOKEN}; Path=/; Domain=127.0.0.1"})
    another.answers["/layer"] = Answer(CONTENT, status, {"WWW-Authenticate": challenge})
    foreign = Descriptor("", BLOB.digest, BLOB.size, urls=(f"{another.url}/layer?Signature=s",))
    with opened(name=secured.host, trust=trust) as registry:
        registry.manifest(image_at(registry.name))
        with nullcontext() if status == 200 else pytest.raises(ImgfetchError):
            assert read_blob(registry, foreign) == CONTENT
    assert secured.clients == ["client", "client"]  # the registry may see it
    assert another.clients == ["nobody"]
    assert told(another.requests) == [[]]
    assert [request.path for request in another.requests] == ["/layer?Signature=s"]
    assert [request.path for request in secured.requests][2:] == []  # no token was asked for


def test_s08_a_redirect_of_a_foreign_layer_sees_no_client_certificate_either(
    secured: Registrar, another: Registrar, made: Certificates, tmp_path: Path
) -> None:
    trust = identified(made, tmp_path / "certs.d", secured.host, another.host)
    another.redirect("/layer", f"{secured.url}/elsewhere")
    secured.answers["/elsewhere"] = Answer(CONTENT)
    foreign = Descriptor("", BLOB.digest, BLOB.size, urls=(f"{another.url}/layer",))
    with opened(name=secured.host, trust=trust) as registry:
        assert read_blob(registry, foreign) == CONTENT
    assert another.clients == ["nobody"]
    assert secured.clients == ["client", "client", "nobody"]  # its root may ask for credentials
    assert told([*another.requests, *secured.requests]) == [[], [], [], []]


def test_s08_a_redirects_target_sees_no_client_certificate(
    secured: Registrar, another: Registrar, made: Certificates, tmp_path: Path
) -> None:
    trust = identified(made, tmp_path / "certs.d", secured.host, another.host)
    secured.redirect(BLOB_PATH, f"{another.url}/data")
    another.answers["/data"] = Answer(CONTENT)
    with opened(name=secured.host, trust=trust) as registry:
        assert read_blob(registry) == CONTENT
    assert secured.clients == ["client"]
    assert another.clients == ["nobody"]


def test_s08_a_redirects_target_that_wants_a_token_sees_no_client_certificate_nor_does_its_token_server(
    secured: Registrar, another: Registrar, made: Certificates, tmp_path: Path
) -> None:
    trust = identified(made, tmp_path / "certs.d", secured.host, another.host)
    secured.redirect(BLOB_PATH, f"{another.url}/data")
    another.guard("/data", BEARER, bearer(f"{another.url}/token"), Answer(CONTENT))
    another.answers["/token"] = Answer(json.dumps({"token": TOKEN}).encode())
    with opened(name=secured.host, trust=trust) as registry:
        assert read_blob(registry) == CONTENT
    assert another.paths[1].startswith("/token")
    assert secured.clients == ["client"]
    assert another.clients == ["nobody"] * 3


@pytest.mark.parametrize("login", [None, WITH_PASSWORD], ids=["without credentials", "with credentials"])
@pytest.mark.parametrize("is_kin", [True, False], ids=["of the registry", "of somebody else"])
def test_s08_only_a_token_server_of_the_registry_sees_the_client_certificate_for_its_host(
    secured: Registrar,
    another: Registrar,
    made: Certificates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    login: Login | None,
    is_kin: bool,
) -> None:
    monkeypatch.setattr(imgfetch.auth.realms, "is_kin", lambda *_: is_kin)  # all of them are on the loopback
    trust = identified(made, tmp_path / "certs.d", secured.host, f"localhost:{another.port}")
    secured.guard(MANIFEST_PATH, BEARER, bearer(f"https://localhost:{another.port}/token"), Answer(b"{}"))
    another.answers["/token"] = Answer(json.dumps({"token": TOKEN}).encode())
    ask(login, secured.host, trust=trust)
    assert secured.clients == ["client"] * 2
    assert another.clients == ["client" if is_kin else "nobody"]


# ---- mirrors ----


MIRROR = "https://mirror.other.example"
SAVE = {"platform": "linux/amd64", "jobs": 1}


def behind_a_token(wire: Wire, built: images.Built) -> None:
    """Serve an image at the upstream behind a token of its own token server."""
    serve(wire, BASE, built, BEARER, bearer(REALM))

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        return 200, {}, json.dumps({"token": TOKEN if request.headers.get("Authorization") == BASIC else "anonymous"})

    wire.add_callback("GET", REALM, callback=answer)


@pytest.mark.parametrize("challenge", [ASKS_BASIC, bearer(f"{MIRROR}/token"), bearer(REALM)])
@pytest.mark.parametrize("given", ["explicit", "stored"])
def test_s09_the_upstreams_login_and_token_never_reach_a_mirror(
    wire: Wire, tmp_path: Path, given: str, challenge: str
) -> None:
    built = images.image(images.hello())
    wire.challenge(re.compile(re.escape(MIRROR) + "/.*"), challenge)
    behind_a_token(wire, built)
    credentials = stored(tmp_path, HOST) if given == "stored" else Credentials(explicit=WITH_PASSWORD)
    access = RegistryConfig(credentials=credentials, mirrors=Mirrors(urls=(f"{HOST}={MIRROR}",)))
    imgfetch.save(f"{HOST}/team/app:1", io.BytesIO(), access=access, **SAVE)
    assert len(sent_to(wire, MIRROR)) >= 3  # manifest, config, layer
    sent = {request.headers.get("Authorization") for request in sent_to(wire, MIRROR)}
    assert sent <= {None, "Bearer anonymous"}
    assert set(SECRETS).isdisjoint(chain(*told(sent_to(wire, MIRROR))))
    assert ["authorization", BASIC.split()[1]] in told(sent_to(wire, REALM))


def test_s09_a_mirror_of_docker_hub_is_not_told_the_login_of_docker_hub(wire: Wire, tmp_path: Path) -> None:
    wire.challenge(re.compile(re.escape(MIRROR) + "/.*"), ASKS_BASIC)
    hub = "https://registry-1.docker.io"
    serve(wire, hub, images.image(images.hello()))
    daemon = tmp_path / "daemon.json"
    daemon.write_text(json.dumps({"registry-mirrors": [MIRROR]}))
    mirrors = read(docker=read_daemon_json(daemon), registries_conf=())
    access = RegistryConfig(credentials=stored(tmp_path, "https://index.docker.io/v1/"), mirrors=mirrors)
    imgfetch.save("alpine:3", io.BytesIO(), access=access, **SAVE)
    assert sent_to(wire, MIRROR)
    assert not any(told(sent_to(wire, MIRROR)))
    assert sum(map(bool, told(sent_to(wire, hub)))) >= 3


def test_s09_a_mirror_is_told_the_login_of_its_own_host(wire: Wire, tmp_path: Path) -> None:
    serve(wire, MIRROR, images.image(images.hello()))
    credentials = stored(tmp_path, "mirror.other.example")
    access = RegistryConfig(credentials=credentials, mirrors=Mirrors(urls=(f"{HOST}={MIRROR}",)))
    imgfetch.save(f"{HOST}/team/app:1", io.BytesIO(), access=access, **SAVE)
    assert sent_to(wire, BASE) == []
    assert wire.authorizations[-1] == BASIC


# ---- whose login it is ----


@pytest.mark.parametrize(("host", "key"), KEYS_OF_OTHERS)
@pytest.mark.parametrize("challenge", ["Basic", "Bearer"])
def test_s10_the_login_of_one_host_is_not_selected_for_another(
    wire: Wire, tmp_path: Path, key: str, host: str, challenge: str
) -> None:
    manifest = f"{base_of(host)}{MANIFEST_PATH}"
    realm = f"{base_of(host)}/token"
    wire.challenge(manifest, ASKS_BASIC if challenge == "Basic" else bearer(realm))
    if challenge == "Bearer":
        wire.get(realm, status=401)
    with pytest.raises(AuthenticationError):
        ask(name=host, credentials=stored(tmp_path, key))
    assert not any(told(wire.sent))


def test_s10_another_port_of_a_host_receives_its_own_login_only(wire: Wire, tmp_path: Path) -> None:
    manifest = f"{BASE}:8443{MANIFEST_PATH}"
    auths = {HOST: {"auth": BASIC.split()[1]}, f"{HOST}:8443": {"auth": BOB.split()[1]}}
    wire.challenge(manifest, ASKS_BASIC)
    wire.get(manifest, body=b"{}")
    ask(name=f"{HOST}:8443", credentials=stored(tmp_path, auths=auths))
    assert wire.authorizations[1] == BOB


# ---- helpers ----


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(None, id="missing"),
        pytest.param("exit 1", id="fails"),
        pytest.param("echo oops", id="garbage"),
        pytest.param(f'echo \'{{"ServerURL":"https://evil.example","Username":"{USER}"}}\'', id="no secret"),
        pytest.param(f'echo \'{{"Secret":"{PASSWORD}"\'', id="cut"),
        pytest.param("kill -9 $$", id="killed"),
    ],
)
@pytest.mark.parametrize("how", ["credHelpers", "credsStore"])
def test_s11_a_failing_helper_changes_nothing_about_where_requests_go(
    wire: Wire, tmp_path: Path, script: str | None, how: str
) -> None:
    if script is not None:
        program = tmp_path / "docker-credential-broken"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    helper = {"credHelpers": {HOST: "broken"}} if how == "credHelpers" else {"credsStore": "broken"}
    credentials = stored(tmp_path, "https://index.docker.io/v1/", "other.example", **helper)
    wire.challenge(MANIFEST, bearer(REALM))
    wire.get(REALM, json={"token": "anonymous"})
    wire.get(MANIFEST, body=b"{}")
    ask(credentials=credentials)
    assert wire.asked == [MANIFEST, REALM, MANIFEST]
    assert wire.authorizations == [None, None, "Bearer anonymous"]


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
        loopback.challenge(MANIFEST_PATH, bearer("/token"))
        loopback.answers["/token"] = Answer(json.dumps({"token": "anonymous"}).encode())
        loopback.guard(MANIFEST_PATH, "Bearer anonymous", bearer("/token"))
        location = {"Location": f"http://{store.host}/data"}
        loopback.guard(BLOB_PATH, "Bearer anonymous", bearer("/token"), Answer(status=307, headers=location))
        store.answers["/data"] = Answer(CONTENT)
        access = RegistryConfig.from_environment({"NETRC": str(netrc)}, mirrors_first=None)
        with Registry(loopback.host, access=access) as registry:
            registry.manifest(image_at(registry.name))
            assert read_blob(registry) == CONTENT
        assert loopback.authorizations == [None, None, "Bearer anonymous", "Bearer anonymous"]
        assert told(store.requests) == [[]]


# ---- logins in names ----


@pytest.mark.parametrize(
    "name",
    [
        f"{USER}:{PASSWORD}@{HOST}/team/app:1",
        f"{USER}@{HOST}/team/app:1",
        f"https://{USER}:{PASSWORD}@{HOST}/team/app:1",
    ],
)
def test_s13_userinfo_in_a_reference_is_refused_before_any_request(wire: Wire, name: str) -> None:
    with pytest.raises(InvalidReferenceError):
        imgfetch.save(name, io.BytesIO())
    assert list(wire.calls) == []


@pytest.mark.parametrize(
    "url", [f"https://{USER}:{PASSWORD}@mirror.example", f"https://{USER}@mirror.example", f"https://:{PASSWORD}@m"]
)
@pytest.mark.parametrize("prefix", ["", f"{HOST}="])
def test_s13_userinfo_in_a_mirrors_url_is_refused_before_any_request_and_not_shown(
    wire: Wire, url: str, prefix: str
) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        RegistryConfig.from_environment({}, mirrors_first=[prefix + url])
    assert PASSWORD not in story(caught.value)
    assert list(wire.calls) == []


def test_s13_userinfo_in_a_configured_mirrors_url_is_refused_with_a_warning_that_does_not_show_it(
    wire: Wire, tmp_path: Path, log: Log
) -> None:
    daemon = tmp_path / "daemon.json"
    daemon.write_text(json.dumps({"registry-mirrors": [f"https://{USER}:{PASSWORD}@mirror.example"]}))
    access = RegistryConfig(mirrors=read(docker=read_daemon_json(daemon), registries_conf=()))
    wire.get("https://registry-1.docker.io/v2/library/alpine/manifests/3", status=404)
    with pytest.raises(imgfetch.NotFoundError):
        imgfetch.save("alpine:3", io.BytesIO(), access=access, **SAVE)
    assert len(wire.calls) == 1
    assert "daemon.json" in log.text
    assert PASSWORD not in log.text


@pytest.mark.parametrize("location", [f"https://{USER}:{PASSWORD}@store.example/data", f"https://{USER}@{HOST}/data"])
def test_s13_userinfo_in_a_redirect_is_refused_before_any_request_and_not_shown(wire: Wire, location: str) -> None:
    wire.redirect(BLOB_URL, location)
    with opened() as registry, pytest.raises(ImgfetchError) as caught:
        read_blob(registry)
    assert wire.asked == [BLOB_URL]
    assert PASSWORD not in story(caught.value)


# ---- secrets out of sight ----


def test_s14_a_password_is_not_accepted_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["save", f"{HOST}/team/app:1", "--username", USER, "--password", PASSWORD])
    assert caught.value.code == 2
    assert PASSWORD not in capsys.readouterr().err


@pytest.mark.parametrize("login", [WITH_PASSWORD, WITH_BOTH, WITH_REGISTRY_TOKEN])
def test_s14_no_secret_is_in_the_log_the_archive_the_cache_or_a_repr(
    wire: Wire, tmp_path: Path, log: Log, login: Login
) -> None:
    token = login.registry_token or TOKEN
    serve(wire, BASE, images.image(images.hello()), f"Bearer {token}", bearer(REALM))
    if not login.registry_token:
        wire.add(method_for(login), REALM, json={"token": TOKEN, "refresh_token": f"{REFRESH}-2"})
    access = RegistryConfig(credentials=Credentials(explicit=login))
    out = io.BytesIO()
    saved = imgfetch.save(f"{HOST}/team/app:1", out, access=access, cache_dir=tmp_path / "cache", **SAVE)
    shown = f"{log.text}\n{saved!r}\n{access!r}\n{login!r}\n{login}"
    kept = [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert kept
    assert [secret for secret in SECRETS if secret in shown] == []
    assert [secret for secret in SECRETS for content in (out.getvalue(), *kept) if secret.encode() in content] == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 200])
@LOGINS
def test_s14_no_secret_is_in_what_a_failing_token_step_raises_and_logs(
    wire: Wire, log: Log, login: Login, status: int
) -> None:
    wire.challenge(MANIFEST, bearer(REALM))
    for method in ("GET", "POST"):
        wire.add(method, REALM, status=status, body="no")
    wire.assert_all_requests_are_fired = False  # which of the two depends on the login
    with opened(login) as registry, pytest.raises(ImgfetchError) as caught:
        registry.manifest(REFERENCE)
    assert len(wire.calls) > 1
    shown = f"{story(caught.value)}\n{log.text}\n{registry!r}\n{registry._api.authenticator!r}"
    assert [secret for secret in SECRETS if secret in shown] == []


@pytest.mark.parametrize("login", [WITH_PASSWORD, WITH_REGISTRY_TOKEN])
def test_s14_no_secret_is_in_what_a_refusing_registry_makes_us_raise_and_log(
    wire: Wire, log: Log, login: Login
) -> None:
    wire.challenge(MANIFEST, ASKS_BASIC)
    with opened(login) as registry, pytest.raises(AuthenticationError) as caught:
        registry.manifest(REFERENCE)
    assert wire.authorizations[1] is not None
    shown = f"{story(caught.value)}\n{log.text}\n{registry!r}"
    assert [secret for secret in SECRETS if secret in shown] == []


# ---- what is shown of a URL ----


SIGNED = "https://store.other.example/data?X-Amz-Signature=SIGNATURE&Expires=5&scope=s&sig=SIGNATURE&SIGNATURE"


def test_s15_a_logged_url_keeps_only_harmless_parts_of_its_query(wire: Wire, log: Log) -> None:
    wire.redirect(BLOB_URL, SIGNED)
    wire.get(SIGNED, body=CONTENT)
    with opened() as registry:
        assert read_blob(registry) == CONTENT
    assert wire.sent[1].url == SIGNED
    assert "SIGNATURE" not in log.text
    shown = "https://store.other.example/data?X-Amz-Signature=REDACTED&Expires=REDACTED&scope=s&sig=REDACTED&REDACTED"
    assert shown in log.text


@pytest.mark.parametrize("status", [307, 401, 403, 404, 500])
def test_s15_an_error_about_a_signed_url_does_not_show_the_signature(wire: Wire, log: Log, status: int) -> None:
    wire.redirect(BLOB_URL, SIGNED)
    wire.get(SIGNED, status=status)
    with opened() as registry, pytest.raises(ImgfetchError) as caught:
        read_blob(registry)
    assert "SIGNATURE" not in story(caught.value)
    assert "SIGNATURE" not in log.text


@pytest.mark.parametrize("ending", ["nobody answers", "breaks off"])
def test_s15_a_signed_url_that_fails_is_not_in_the_traceback_with_its_signature(
    loopback: Loopback, closed_port: int, log: Log, ending: str
) -> None:
    base = f"http://127.0.0.1:{closed_port}" if ending == "nobody answers" else ""
    loopback.redirect(BLOB_PATH, f"{base}/data?Signature=SIGNATURE")
    loopback.answers["/data"] = Answer(CONTENT[:5], headers={"Content-Length": str(len(CONTENT))})
    with opened(name=loopback.host) as registry, pytest.raises(TransportError) as caught:
        read_blob(registry)
    assert "SIGNATURE" not in log.text
    assert "SIGNATURE" not in story(caught.value)  # a traceback shows the causes


# ---- whose certificate is not checked ----


UNCHECKED = pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")


@UNCHECKED
@pytest.mark.parametrize("at", ["realm", "redirect"])
def test_s33_only_the_named_host_goes_unchecked_and_another_is_asked_nothing(
    secured: Registrar, another: Registrar, log: Log, at: str
) -> None:
    if at == "realm":
        secured.challenge(MANIFEST_PATH, bearer(f"{another.url}/token"))
    else:
        secured.redirect(MANIFEST_PATH, f"{another.url}/data")
    another.answers = dict.fromkeys(("/token", "/data"), Answer(json.dumps({"token": TOKEN}).encode()))
    trust = TlsConfig(insecure=frozenset({secured.host}))
    with pytest.raises(ImgfetchError) as caught:
        ask(name=secured.host, trust=trust)
    assert f"cannot verify the certificate of {another.host}" in story(caught.value)
    assert another.requests == []
    assert secured.requests
    assert log.text.count(f"the certificate of {secured.host} is not verified") >= 1
    assert f"the certificate of {another.host} is not verified" not in log.text


@UNCHECKED
def test_s33_each_run_warns_of_a_host_that_goes_unchecked(secured: Registrar, log: Log) -> None:
    secured.answers[MANIFEST_PATH] = Answer(b"{}")
    for run in (1, 2):
        ask(name=secured.host, trust=TlsConfig(insecure=frozenset({secured.host})))
        assert log.text.count("WARNING") == run


def test_s33_a_login_goes_to_no_registry_whose_certificate_is_not_to_be_trusted(secured: Registrar) -> None:
    with opened(name=secured.host) as registry, pytest.raises(TransportError, match="cannot verify the certificate"):
        registry.manifest(image_at(secured.host))
    assert secured.requests == []  # nor is it asked by http


# ---- who is asked at all ----


def test_s34_nobody_is_asked_whom_the_reference_a_realm_or_a_redirect_does_not_name(wire: Wire) -> None:
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

    bait = f'Basic realm="{evil}/basic", Digest realm="{evil}/digest", '
    serve(wire, BASE, built, BEARER, bait + bearer(REALM), **lures)
    wire.get(REALM, headers=lures, json={"token": TOKEN, "realm": f"{evil}/token", "refresh_url": evil})
    access = RegistryConfig(credentials=Credentials(explicit=WITH_PASSWORD))
    imgfetch.save(f"{HOST}/team/app:1", io.BytesIO(), access=access, **SAVE)
    assert {urlsplit(url).hostname for url in wire.asked} == {HOST, "auth.registry.example"}


@pytest.mark.parametrize(
    "challenge", ['Basic realm="https://evil.test/token"', 'Digest realm="https://evil.test/token"', "Negotiate", ""]
)
def test_s34_a_realm_that_is_not_bearers_is_not_an_address(wire: Wire, challenge: str) -> None:
    wire.challenge(MANIFEST, *filter(None, [challenge]))
    if not challenge.startswith("Basic"):
        wire.challenge(f"{BASE}/v2/", *filter(None, [challenge]))
    with opened(None) as registry, pytest.raises(AuthenticationError):
        registry.manifest(REFERENCE)
    assert {urlsplit(url).hostname for url in wire.asked} == {HOST}


# ---- proxies ----


PROXY_LOGIN = "Basic " + base64.b64encode(b"proxy-user:proxy-password").decode()


def test_p12_the_proxys_login_goes_to_the_proxy_and_the_registrys_to_no_other_origin_behind_it() -> None:
    with Loopback() as proxy:
        realm = "http://auth.registry.example/token"
        manifest, store = f"http://registry.example{MANIFEST_PATH}", "http://store.other.example/data"
        proxy.guard(manifest, BEARER, bearer(realm), Answer(status=307, headers={"Location": store}))
        proxy.answers[realm] = Answer(json.dumps({"token": TOKEN}).encode())
        proxy.answers[store] = Answer(b"{}")
        proxies = Proxies(http=f"http://proxy-user:proxy-password@{proxy.host}")
        ask(plain_http=True, proxies=proxies)
        assert [path.partition("?")[0] for path in proxy.paths] == [manifest, realm, manifest, store]
        assert {request.headers.get("Proxy-Authorization") for request in proxy.requests} == {PROXY_LOGIN}
        sent = proxy.authorizations
        assert sent == [None, BASIC, BEARER, None]


@pytest.mark.parametrize("end", ["\\.registry.example", "\\registry.example", "%5c.registry.example"])
def test_s03_a_realm_whose_host_ends_earlier_for_urllib3_than_for_us_is_sent_no_login_through_a_proxy(end: str) -> None:
    with Loopback() as proxy:
        manifest = f"http://registry.example{MANIFEST_PATH}"
        proxy.challenge(manifest, bearer(f"http://evil.test{end}/token"))
        with pytest.raises(ImgfetchError):
            ask(plain_http=True, proxies=Proxies(http=f"http://{proxy.host}"))
        elsewhere = [request for request in proxy.requests if request.path != manifest]
        assert told(elsewhere) in ([], [[]])


def test_p12_who_is_asked_directly_is_not_told_the_proxys_login(loopback: Loopback) -> None:
    with Loopback() as proxy:
        loopback.answers[MANIFEST_PATH] = Answer(b"{}")
        login = f"http://proxy-user:proxy-password@{proxy.host}"
        ask(name=loopback.host, proxies=Proxies(http=login, https=login))
        assert proxy.requests == []
        assert told(loopback.requests) == [[]]


def test_p12_through_a_tunnel_neither_end_is_told_the_others_login(secured: Registrar, made: Certificates) -> None:
    secured.challenge(MANIFEST_PATH, ASKS_BASIC)
    with tunnelling(secured) as tunnel:
        proxies = Proxies(https=f"http://proxy-user:proxy-password@127.0.0.1:{tunnel.port}")
        with pytest.raises(AuthenticationError):
            ask(proxies=proxies, trust=TlsConfig(ca_files=(made.ca,)))
        assert set(tunnel.asked) == {"CONNECT registry.example:443"}
        assert {headers.get("Proxy-Authorization") for headers in tunnel.headers} == {PROXY_LOGIN}
        assert [name for headers in tunnel.headers for name in headers if name.lower() == "authorization"] == []
        assert secured.authorizations == [None, BASIC]
        assert not any("Proxy-Authorization" in request.headers for request in secured.requests)


def test_p12_the_proxys_login_is_not_shown(closed_port: int, log: Log) -> None:
    login = f"http://proxy-user:proxy-password@127.0.0.1:{closed_port}"
    proxies = Proxies(http=login, https=login)
    with opened(proxies=proxies) as registry, pytest.raises(TransportError) as caught:
        registry.manifest(REFERENCE)
    shown = f"{story(caught.value)}\n{log.text}\n{proxies!r}\n{registry!r}"
    assert "proxy-password" not in shown
    assert PROXY_LOGIN.split()[1] not in shown
