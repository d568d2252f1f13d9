"""The messages of failures: the cause and the next step, as they appear on stderr.

Names below ``.example`` and the like lead to this machine here, so that hosts can be what they have to be.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import responses

from imgfetch.cli import context as invocation
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci import mediatypes
from tests import certificates
from tests.images import ARM64, OCI_GZIP, Blob, Built, gz, hello, image, index, layer, sha256, tar
from tests.integration.conftest import Command
from tests.loopback import Answer, Loopback

RAW = tar({"hello.txt": b"hello\n" * 500})
GOOD = image(layer(RAW))
LAYER = GOOD.layers[0]
MANIFEST = "/v2/team/app/manifests/v1"
BLOB = f"/v2/team/app/blobs/{LAYER.digest}"
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
HUB = "https://registry-1.docker.io/v2/library/busybox/manifests/latest"
PASSWORD = "PASSWORD-of-alice"
ESCAPES = "\x1b[2J\x9b31m\x7f\u202e\u2066"


@pytest.fixture(autouse=True)
def resolving(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every name lead to this machine, but for those below ``.invalid``."""
    lookup = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if str(host).endswith("again.invalid"):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return lookup(host if re.fullmatch("[0-9.:]*", str(host)) else "127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep out what the environment says, and return where logins stand."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("DOCKER_CONFIG", "DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    (home / ".docker").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    return home


@dataclass(frozen=True)
class Tell:
    """Fails to save an image, and returns what is read."""

    registry: Loopback
    command: Command
    target: Path

    @property
    def host(self) -> str:
        return self.registry.host

    @property
    def app(self) -> str:
        """A reference; the path of its manifest is ``MANIFEST``."""
        return f"{self.host}/team/app:v1"

    def __call__(self, reference: str, status: int, *arguments: str | Path, platform: str = "linux/amd64") -> str:
        options = ("-o", self.target, "--platform", platform, "--no-mirror", "-q")
        done = self.command("save", reference, *options, *arguments)
        print(done.err)
        assert done.status == status, done.err
        assert not self.target.exists()
        assert "\nTraceback" not in done.err
        assert PASSWORD not in done.err
        assert all(line.isprintable() for line in done.err.splitlines())
        assert all(line.startswith("imgfetch: ") for line in done.err.splitlines())
        return done.err

    def of(self, manifest: Answer, status: int, *arguments: str) -> str:
        """Fail to save the image whose manifest is answered so."""
        self.registry.answers[MANIFEST] = manifest
        return self(self.app, status, *arguments)

    def of_token(self, token: Answer, status: int) -> str:
        """Fail to save the image whose manifest needs a token, which is answered so."""
        self.registry.answers["/token"] = token
        return self.of(demand(f'Bearer realm="http://{self.host}/token",service="s"'), status)

    def of_blob(self, blob: Answer, status: int) -> str:
        """Fail to save the good image, whose layer is answered so."""
        reference = self.registry.add("team/app", "v1", GOOD)
        self.registry.answers[BLOB] = blob
        return self(reference, status)

    def of_image(self, built: Built, status: int, *arguments: str, **options: str) -> str:
        """Fail to save an image that is served as it is."""
        return self(self.registry.add("team/app", "v1", built), status, *arguments, **options)


@pytest.fixture
def tell(loopback: Loopback, command: Command, tmp_path: Path) -> Tell:
    return Tell(loopback, command, tmp_path / "x.tar")


def patient(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Try as often as usual, and keep the waits instead of waiting."""
    waits: list[float] = []
    monkeypatch.setattr(invocation, "retries", lambda _: RetryPolicy(pause=waits.append))
    return waits


def log_in(home: Path, registry: str, user: str = "alice") -> Path:
    path = home / ".docker" / "config.json"
    auth = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    path.write_text(json.dumps({"auths": {registry: {"auth": auth}}}))
    return path


@contextmanager
def listening(serve: Callable[[socket.socket], object]) -> Iterator[str]:
    """Leave every connection to ``serve``, and yield ``host:port``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.settimeout(10)
                        serve(connection)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(30)


def saying(answer: bytes) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    return serve


@pytest.fixture
def closed() -> Iterator[int]:
    """Return a port at which nobody listens, and which nobody else gets."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


# ---- no connection ----


def test_m01_a_refusal_names_address_port_and_what_to_check(tell: Tell, closed: int) -> None:
    err = tell(f"registry.example:{closed}/team/app", 5)
    assert f"cannot connect to registry.example:{closed} (127.0.0.1, no proxy): connection refused" in err
    assert "hint: check the name, the port and the VPN; if a proxy is needed, set HTTPS_PROXY" in err


def test_m01_on_this_machine_no_proxy_is_spoken_of(tell: Tell, closed: int) -> None:
    err = tell(f"localhost:{closed}/team/app", 5)
    assert f"cannot connect to localhost:{closed} (127.0.0.1): connection refused" in err
    assert "proxy" not in err.lower()
    assert "whether the registry is running" in err


@pytest.mark.parametrize(
    ("host", "reason", "waits"),
    [("nowhere.invalid", "Name or service not known", 0), ("again.invalid", "Temporary failure", 1)],
    ids=["no such name", "no name server"],
)
def test_m01_a_name_that_does_not_resolve_is_told_as_such(
    host: str, reason: str, waits: int, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = patient(monkeypatch)
    err = tell(f"{host}/team/app", 5)
    assert f"cannot find {host}:443: the name does not resolve ({reason}" in err
    assert "check the name, the DNS and the VPN; if a proxy is needed, set HTTPS_PROXY" in err
    assert len([wait for wait in waited if wait]) == waits


# ---- TLS trust ----


@contextmanager
def secured(certificate: Path, key: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with listening(lambda connection: context.wrap_socket(connection, server_side=True).close()) as host:
        yield host.replace("127.0.0.1", "registry.example")


def test_m02_an_unknown_authority_is_named_with_where_to_put_it(tell: Tell, made: certificates.Certificates) -> None:
    with secured(made.server_cert, made.server_key) as host:
        err = tell(f"{host}/team/app", 5)
    assert f'cannot verify the certificate of {host}: unknown issuer "imgfetch test ca"' in err
    assert '; issued to "server"' in err
    assert "hint: pass the CA certificate with --ca-file FILE, or copy it to " in err
    assert f"~/.config/containers/certs.d/{host}/ca.crt" in err
    assert f"last resort: --insecure {host}" in err


def test_m02_an_expired_certificate_is_told_with_its_date_and_the_clock(
    tell: Tell, made: certificates.Certificates
) -> None:
    with secured(made.expired_cert, made.server_key) as host:
        err = tell(f"{host}/team/app", 5, "--ca-file", made.ca)
    assert re.search(r'it expired on 20\d\d-\d\d-\d\d \d\d:\d\d UTC; issued to "server"', err)
    assert "hint: check the clock of this machine; if it is right, the server needs a new certificate" in err


def test_m02_another_name_is_told_with_the_name_that_the_certificate_has(
    tell: Tell, made: certificates.Certificates
) -> None:
    with secured(made.wrong_name_cert, made.server_key) as host:
        err = tell(f"{host}/team/app", 5, "--ca-file", made.ca)
    assert 'it is valid for elsewhere.test, not for registry.example; issued to "server" by "imgfetch test ca"' in err
    assert "hint: use a host name that the certificate covers" in err


def test_m02_an_address_among_the_dns_names_is_told(tell: Tell, made: certificates.Certificates) -> None:
    with secured(made.misplaced_cert, made.server_key) as host:
        err = tell(f"{host.replace('registry.example', '127.0.0.1')}/team/app", 5, "--ca-file", made.ca)
    assert "it has 127.0.0.1 as a DNS name, and not as an address" in err
    assert "hint: the server needs a certificate with IP:127.0.0.1" in err


# ---- plain http on a TLS port ----


def test_m03_http_where_https_was_wanted_is_told_with_the_option(tell: Tell) -> None:
    host = tell.host.replace("127.0.0.1", "registry.example")
    err = tell(f"{host}/team/app", 5)
    assert f"{host} does not use https; it probably uses http" in err
    assert "hint: if that is intended, pass --plain-http" in err


# ---- proxy ----


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_m04_a_proxy_that_wants_a_login_is_named_with_its_variable(
    variable: str, scheme: str, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    if scheme == "http":
        variable = variable.replace("HTTPS", "HTTP").replace("https", "http")
    with listening(saying(answer)) as proxy:
        monkeypatch.setenv(variable, f"http://{proxy}")
        err = tell("registry.example/team/app", 5, *(["--plain-http"] if scheme == "http" else []))
    assert f"through the proxy {proxy} ({variable}): " in err
    assert "407 Proxy Authentication Required" in err
    assert f"{variable}=http://USER:PASSWORD@{proxy}" in err
    assert "NO_PROXY" in err


def test_m04_a_proxy_that_is_not_there_is_named_with_its_variable_and_whom_it_is_for(
    tell: Tell, monkeypatch: pytest.MonkeyPatch, closed: int
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://alice:{PASSWORD}@proxy.example:{closed}")
    err = tell("registry.example/team/app", 5)
    assert f"through the proxy proxy.example:{closed} (HTTPS_PROXY): " in err
    assert "cannot connect to registry.example:443 through" in err
    assert "check HTTPS_PROXY and whether the proxy is running" in err
    assert "add registry.example to NO_PROXY" in err


def test_m04_a_proxy_whose_name_does_not_resolve_is_told_so(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    err = tell("registry.example/team/app", 5)
    assert "through the proxy proxy.invalid:3128 (HTTPS_PROXY): the proxy's name does not resolve (Name or" in err


def test_m04_a_proxys_own_words_are_told_and_cleaned(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(saying(b"HTTP/1.1 403 Blocked by\x1b[2J \x9b31m policy\r\n\r\n")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy}")
        err = tell("registry.example/team/app", 5)
    assert r"403 Blocked by\x1b[2J \x9b31m policy" in err


def test_m04_a_proxy_url_that_is_none_is_told_with_how_it_should_look(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = patient(monkeypatch)
    monkeypatch.setenv("HTTPS_PROXY", f"ftp://alice:{PASSWORD}@proxy.example")
    err = tell("registry.example/team/app", 5)
    assert "HTTPS_PROXY is not a valid proxy URL: it must begin with http:// or https://" in err
    assert "http://USER:PASSWORD@HOST:PORT" in err
    assert waits == []


# ---- a login is wanted ----


def demand(challenge: str, status: int = 401, **headers: str) -> Answer:
    return Answer(status=status, headers={"WWW-Authenticate": challenge, **headers})


def test_m05_a_registry_that_asks_for_a_password_is_told_with_realm_and_command(tell: Tell) -> None:
    err = tell.of(demand('Basic realm="Team registry"'), 4)
    assert f"the manifest of {tell.app} needs credentials" in err
    assert f'{tell.host} expects a user name and password (Basic, realm "Team registry")' in err
    assert f"hint: log in: imgfetch login {tell.host}, or pass --username with --password-stdin" in err
    assert "Nexus" not in err


def test_m05_a_nexus_is_told_what_it_needs(tell: Tell) -> None:
    err = tell.of(demand('BASIC realm="Sonatype Nexus Repository Manager"'), 4)
    assert "enable Nexus's Docker Bearer Token realm" in err


def test_m05_schemes_that_nobody_speaks_are_named(tell: Tell) -> None:
    err = tell.of(demand('Digest realm="x", nonce="y", Negotiate'), 4)
    assert f"{tell.host} offers only digest, negotiate" in err
    assert "to offer Basic or Bearer" in err


# ---- a login is refused ----


def test_m06_a_registry_that_refuses_a_login_is_told_with_user_file_and_its_words(tell: Tell, home: Path) -> None:
    path = log_in(home, tell.host)
    body = b'{"errors":[{"code":"UNAUTHORIZED","message":"account is locked"}]}'
    err = tell.of(replace(demand('Basic realm="x"'), body=body), 4)
    assert f"{tell.host} rejected the credentials of alice from {path}" in err
    assert "account is locked" in err
    assert f"hint: log in again: imgfetch login {tell.host}" in err


@pytest.mark.parametrize("refusing", [401, 403])
def test_m06_a_token_server_that_refuses_a_login_is_told_with_its_url(refusing: int, tell: Tell, home: Path) -> None:
    path = log_in(home, tell.host)
    err = tell.of_token(Answer(b'{"details":"incorrect username or password"}', refusing), 4)
    assert f"the token server http://{tell.host}/token, named by the registry, rejected" in err
    assert f"the credentials of alice from {path}" in err
    assert "incorrect username or password" in err
    assert f"hint: log in again: imgfetch login {tell.host}" in err


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"Client sent an HTTP request to an HTTPS server.\n", "text/plain"),
        (b"<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>", "text/html"),
    ],
    ids=["Go", "nginx"],
)
def test_an_http_request_to_a_port_for_https_is_no_reason_to_look_for_a_proxy(
    tell: Tell, body: bytes, content_type: str
) -> None:
    err = tell.of(Answer(body, 400, {"Content-Type": content_type}), 1, "--plain-http")
    assert "hint: this port expects https: leave out --plain-http" in err
    assert "may not be a registry" in tell.of(Answer(b"no", 400, {"Content-Type": content_type}), 1, "--plain-http")


def test_m06_without_a_login_nobody_is_told_of_a_wrong_password(tell: Tell) -> None:
    err = tell.of_token(Answer(status=401), 4)
    assert "rejected a request without credentials" in err
    assert f"hint: log in: imgfetch login {tell.host}" in err
    assert "password" not in err.lower()
    assert err.lower().count("credential") == 1  # that of the request without any


def test_m06_a_login_of_this_run_is_not_to_be_looked_for_in_a_file(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocation, "password", lambda _: PASSWORD)
    err = tell.of(demand('Basic realm="x"'), 4, "--username", "bob", "--password-stdin")
    assert "rejected the given credentials of bob" in err
    assert "hint: check the given user name and password" in err


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("public.ecr.aws", "public images need none: imgfetch logout public.ecr.aws"),
        (ECR, f"log in again (aws ecr get-login-password): imgfetch login {ECR}"),
    ],
)
def test_m06_a_login_of_ecr_is_said_to_last_12_hours(host: str, says: str, tell: Tell, home: Path) -> None:
    host = tell.host.replace("127.0.0.1", host)
    log_in(home, host, "AWS")
    tell.registry.answers[MANIFEST] = demand('Basic realm="https://ecr"')
    err = tell(f"{host}/team/app:v1", 4, "--plain-http")
    assert f"{host} rejected the credentials of AWS" in err
    assert "ECR credentials expire after 12 hours" in err
    assert says in err


def test_m06_a_login_that_may_not_see_the_image_is_named(tell: Tell, home: Path) -> None:
    path = log_in(home, tell.host)
    err = tell.of_token(Answer(b'{"token":"t"}'), 4)
    assert f"imgfetch used the credentials of alice from {path}, which may lack access" in err
    assert f"log in again: imgfetch login {tell.host}" in err


# ---- the manifest is not there ----


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        (Answer(b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', 404), 3, "the manifest of APP was not found"),
        (Answer(b'{"errors":[{"code":"DENIED"}]}', 403), 4, "cannot get the manifest of APP"),
        (Answer(status=401), 4, "the manifest of APP does not exist or needs credentials"),
    ],
    ids=["404", "403", "401"],
)
def test_m07_an_image_that_is_not_there_is_told_by_its_exact_name_with_both_possibilities(
    answer: Answer, status: int, says: str, tell: Tell
) -> None:
    err = tell.of(answer, status)
    assert f"{says.replace('APP', tell.app)}: {tell.host} returned" in err
    assert f"imgfetch login {tell.host}" in err
    assert "hint: check the name" in err


def test_m07_a_tag_that_was_not_given_is_told(tell: Tell) -> None:
    assert f"the manifest of {tell.host}/team/app:latest was not found" in tell(f"{tell.host}/team/app", 3)


def test_m07_on_docker_hub_library_is_explained(tell: Tell) -> None:
    with responses.RequestsMock() as wire:
        wire.get(HUB, status=404, json={"errors": [{"code": "MANIFEST_UNKNOWN"}]})
        err = tell("busybox", 3)
    assert "the manifest of docker.io/library/busybox:latest was not found" in err
    assert "registry-1.docker.io returned 404" in err
    assert "means library/NAME" in err
    assert "if the image needs credentials (none were sent), log in: imgfetch login\n" in f"{err}\n"


# ---- nobody is at the token server ----


def test_m08_a_token_server_where_nobody_listens_is_told_as_the_registrys_doing(tell: Tell, closed: int) -> None:
    realm = f"http://localhost:{closed}/service/token"
    err = tell.of(demand(f'Bearer realm="{realm}?key=SECRET",service="s"'), 4)
    for words in (
        f"cannot get an access token for {tell.host}/team/app",
        realm,
        "named by",
        "connection refused",
        f"localhost:{closed}",
        "imgfetch did not choose this address; the registry did",
        "proxy_set_header Host $http_host",
        f"--realm-override localhost:{closed}=http://{tell.host}",
    ):
        assert words in err
    assert "SECRET" not in err


@pytest.mark.parametrize("realm", ["http://169.254.169.254/token", "ftp://x/token", "http://a:b@x/token"])
def test_m08_a_token_server_that_is_refused_is_told_with_the_option(realm: str, tell: Tell) -> None:
    err = tell.of(demand(f'Bearer realm="{realm}",service="s"'), 4)
    assert f"cannot get the manifest of {tell.app}: {tell.host} named" in err
    assert "a token server that cannot be used" in err
    assert "--realm-override HOST:PORT=URL" in err
    assert "a:b" not in err


# ---- later ----


def test_m09_docker_hubs_limit_of_pulls_is_told_with_limit_who_is_counted_and_when(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = patient(monkeypatch)
    headers = {
        "ratelimit-limit": "100;w=21600",
        "ratelimit-remaining": "0;w=21600",
        "docker-ratelimit-source": "192.0.2.7",
    }
    with responses.RequestsMock() as wire:
        wire.get(HUB, status=429, headers=headers, json={"errors": [{"code": "TOOMANYREQUESTS", "message": "Sorry"}]})
        err = tell("busybox", 5)
        assert len(wire.calls) == 1
    assert waits == []
    assert "too many requests for the manifest of docker.io/library/busybox:latest: " in err
    assert "The limit is 100 pulls per 6 hours for the address 192.0.2.7; 0 are left." in err
    assert "imgfetch did not retry" in err
    assert re.search(
        r"hint: log in \(imgfetch login\), use a mirror \(--mirror HOST\), or try again at about \d\d:\d\d$", err
    )


@pytest.mark.parametrize("status", [429, 500, 503])
def test_m10_what_persists_is_told_with_attempts_seconds_and_the_servers_wish(
    status: int, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = patient(monkeypatch)
    err = tell.of(Answer(status=status, headers={"Retry-After": "2"}), 5)
    assert waits == [2, 2, 2, 2]
    assert f"{tell.host} returned {status}" in err
    assert re.search(r"Tried 5 times( in \d+ s)?\.", err)
    assert "hint: the server asks you to wait 2 s; run the command again then" in err


def test_m10_a_long_wait_is_not_waited_for_but_told(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = patient(monkeypatch)
    err = tell.of(Answer(status=503, headers={"Retry-After": "5400"}), 5)
    assert waits == []
    assert "the server asks you to wait 1 hour 30 min; try again then, or pass --max-wait 5400" in err


# ---- no registry ----


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (
            b"<html><title>Log in to the Wi-Fi</title>",
            "text/html",
            "with text/html: an HTML page, 'Log in to the Wi-Fi'",
        ),
        (b"<?xml version='1.0'?><x/>", "text/xml", "with text/xml: <?xml version='1.0'?><x/>"),
    ],
    ids=["a portal", "XML"],
)
def test_m11_what_is_no_registrys_answer_is_told_with_url_status_type_and_title(
    body: bytes, kind: str, says: str, tell: Tell
) -> None:
    err = tell.of(Answer(body, headers={"Content-Type": kind}), 1)
    assert f"unexpected content for the manifest of {tell.app}: http://{tell.host}" in err
    assert f"{MANIFEST} returned 200 {says}" in err
    assert "hint: check for a captive portal, a proxy's page, a wrong port, or a server that is not a registry" in err


def test_m11_a_challenge_without_a_realm_is_told(tell: Tell) -> None:
    err = tell.of(demand('Bearer service="s"'), 4)
    assert f"cannot get the manifest of {tell.app}: {tell.host} requires a token" in err
    assert "names no token server (no realm in its challenge)" in err
    assert "hint: the registry or a proxy in front of it is misconfigured; tell the registry's operator" in err
    assert "--realm-override" not in err


def test_m11_a_token_servers_page_is_told_with_url_status_type_and_title(tell: Tell) -> None:
    err = tell.of_token(Answer(b"<title>Sign in</title>", headers={"Content-Type": "text/html"}), 4)
    assert f"http://{tell.host}/token" in err
    assert "returned 200 with text/html: an HTML page, 'Sign in'" in err


# ---- what came is not what was promised ----


def test_m12_a_blob_that_does_not_match_is_told_with_layer_digests_and_place(tell: Tell) -> None:
    wrong = LAYER.content[:-1] + bytes([LAYER.content[-1] ^ 1])
    err = tell.of_blob(Answer(wrong, headers={"Content-Encoding": "br"}), 6)
    assert f"layer 1/1 of {tell.app}" in err
    assert "br" in err
    err = tell.of_blob(Answer(wrong), 6)
    assert f"from {tell.host} does not match the manifest" in err
    assert f"expected {LAYER.digest}, got {sha256(wrong)}" in err
    assert "--no-mirror" in err


def test_m12_a_size_that_does_not_match_is_told(tell: Tell) -> None:
    err = tell.of_blob(Answer(LAYER.content + b"x"), 6)
    size = len(LAYER.content)
    assert f"layer 1/1 of {tell.app} ({LAYER.digest}) from {tell.host}" in err
    assert f"expected {size} bytes, got {size + 1} bytes" in err


def test_m13_redirects_that_lead_nowhere_are_told_with_the_chain_and_the_reason(tell: Tell) -> None:
    tell.registry.answers["/there"] = Answer(status=307, headers={"Location": BLOB})
    err = tell.of_blob(Answer(status=307, headers={"Location": "/there?X-Signature=SECRET"}), 1)
    assert f"error: layer 1/1 of {tell.host}/team/app:v1: redirect loop: http://{tell.host}{BLOB} -> " in err
    assert f" -> http://{tell.host}/there?X-Signature=REDACTED -> " in err
    assert "the redirect is wrong; tell the registry's operator" in err
    assert "SECRET" not in err


def test_m13_a_storage_that_refuses_is_named(tell: Tell) -> None:
    with Loopback() as store:
        store.answers["/data"] = Answer(status=403)
        err = tell.of_blob(Answer(status=307, headers={"Location": f"http://{store.host}/data?sig=SECRET"}), 1)
    assert f"http://{tell.host} redirected to {store.host}, which returned 403 Forbidden" in err
    assert "SECRET" not in err


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (image(manifest={"manifests": []}).raw, "is ambiguous: it has both 'manifests' and 'config'"),
        (GOOD.raw[:-9], "is not valid JSON"),
        (b" " * (4 * 1024**2 + 1), "exceeds 4194304 bytes"),
        (image(manifest={"mediaType": mediatypes.OCI_INDEX}).raw, "is ambiguous: its type is"),
        (image(manifest={"layers": [{**LAYER.descriptor, "digest": "sha256:12"}]}).raw, "the digest of layer 1"),
    ],
    ids=["two things", "cut", "too large", "two types", "no digest"],
)
def test_m14_a_manifest_that_is_not_usable_is_told_with_both_values_and_what_to_do(
    raw: bytes, says: str, tell: Tell
) -> None:
    err = tell.of(Answer(raw), 6)
    assert f"the manifest of {tell.app}" in err
    assert says in err
    if len(raw) < 10**6:
        assert "hint: do not use this image; if the error persists, report it to the publisher" in err


def test_m14_another_manifest_under_a_digest_is_told_with_both(tell: Tell) -> None:
    other = image(hello("other"))
    tell.registry.answers[f"/v2/team/app/manifests/{GOOD.digest}"] = Answer(other.raw)
    err = tell(f"{tell.host}/team/app@{GOOD.digest}", 6)
    assert f"has the wrong digest: expected {GOOD.digest}, got {other.digest}" in err
    assert "do not use this image" in err


def test_m15_a_blob_that_is_missing_is_told_as_the_registrys_fault(tell: Tell) -> None:
    err = tell.of_blob(Answer(status=404), 3)
    assert f"layer 1/1 of {tell.app} ({LAYER.digest}) was not found: {tell.host} returned 404" in err
    assert "hint: the registry has lost this blob: use another tag, or ask the publisher to push" in err


def test_m16_a_wrong_diff_id_is_told_with_both_and_the_compression(tell: Tell) -> None:
    wrong = "sha256:" + "0" * 64
    err = tell.of_image(image(replace(layer(RAW), diff_id=wrong)), 6)
    assert f"decompressed layer 1/1 of {tell.app} ({LAYER.digest}, gzip) does not match the config" in err
    assert f"expected diff_id {wrong}, got {sha256(RAW)}" in err
    assert "the image is broken or was altered; try another tag, or tell the image's publisher" in err


# ---- it is not an image for imgfetch ----


@pytest.mark.parametrize(
    ("config_type", "artifact_type", "says", "tool"),
    [
        ("application/vnd.cncf.helm.config.v1+json", "", "a Helm chart", "helm pull"),
        (
            "application/vnd.oci.empty.v1+json",
            "application/vnd.dev.cosign.artifact.sig.v1+json",
            "a signature",
            "cosign",
        ),
        ("application/vnd.oci.empty.v1+json", "application/vnd.in-toto+json", "an attestation", "cosign"),
        ("application/vnd.wasm.config.v0+json", "", "a WebAssembly module", "oras"),
        ("application/vnd.docker.ai.model.config.v0.1+json", "", "a model", "docker model pull"),
        ("application/vnd.oci.empty.v1+json", "application/vnd.example.thing", "an artifact", "oras"),
    ],
)
def test_m17_what_is_no_image_is_named_with_its_tool(
    config_type: str, artifact_type: str, says: str, tool: str, *, tell: Tell
) -> None:
    members = {"artifactType": artifact_type} if artifact_type else {}
    built = image(layer(b"x", "application/vnd.example", raw=b"x"), config_type=config_type, manifest=members)
    err = tell.of_image(built, 1)
    kind = artifact_type or config_type
    assert f"the manifest of {tell.app} is not a container image but {says} ({kind})" in err
    assert "hint: download it with its own tool" in err
    assert tool in err


def test_m18_schema_1_is_told_as_old_with_what_to_ask_for(tell: Tell) -> None:
    raw = json.dumps({"schemaVersion": 1, "name": "team/app", "tag": "v1", "fsLayers": [], "history": []}).encode()
    err = tell.of(Answer(raw), 1)
    assert "uses schema 1, an old format that imgfetch does not support" in err
    assert "hint: ask the publisher to rebuild the image, or try another tag" in err


def test_m20_a_layer_beyond_the_limit_is_told_with_the_bytes_so_far_and_the_option(tell: Tell) -> None:
    err = tell.of_image(image(layer(bytes(4 * 1024**2))), 1, "--max-layer-size", "1MiB")
    assert re.search(
        f"layer 1/1 of {re.escape(tell.app)} cannot be read: its decompressed size exceeds the limit of 1048576 "
        "bytes, [0-9]{7} so far",
        err,
    )
    assert "raise it with --max-layer-size" in err


def test_m21_a_platform_that_is_not_there_is_told_with_those_that_are(tell: Tell) -> None:
    err = tell.of_image(index(image(hello("a")), image(hello("b"), platform=ARM64)), 3, platform="linux/s390x")
    assert f"no linux/s390x image in {tell.app}" in err
    assert "hint: available: linux/amd64, linux/arm64" in err
    assert "choose one with --platform" in err


def test_m21_very_many_platforms_leave_room_for_the_option(tell: Tell) -> None:
    many = [image(hello(f"{n}"), platform={"os": "linux", "architecture": f"machine{n}"}) for n in range(40)]
    err = tell.of_image(index(*many), 3)
    assert "linux/machine15 and 24 more; choose one with --platform" in err


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"\x04\x22\x4d\x18" + bytes(600), "04 22 4d 18 00 00 00 00 (lz4)"), (b"?" * 600, "3f 3f 3f 3f 3f 3f 3f 3f, its")],
    ids=["lz4", "unknown"],
)
def test_m22_an_unknown_compression_is_told_with_type_and_magic(content: bytes, says: str, tell: Tell) -> None:
    err = tell.of_image(image(layer(content, "application/vnd.example.layer", raw=RAW)), 1)
    assert (
        f"layer 1/1 of {tell.app} cannot be read: it is neither a tar archive nor compressed in a known format" in err
    )
    assert f"it begins with {says}" in err
    assert "its type is application/vnd.example.layer" in err
    assert "ask the publisher for gzip, zstd, bzip2, xz or uncompressed layers" in err


def test_m22_an_encrypted_layer_is_told_with_its_type(tell: Tell) -> None:
    err = tell.of_image(image(layer(b"secret", f"{OCI_GZIP}+encrypted", raw=b"")), 1)
    assert f"layer 1 of the manifest of {tell.app} is encrypted ({OCI_GZIP}+encrypted)" in err
    assert "imgfetch cannot decrypt layers" in err


def test_m22_damaged_data_is_told_as_the_images_fault(tell: Tell) -> None:
    cut = layer(gz(RAW)[:-4], raw=RAW)
    err = tell.of_image(image(cut), 6)
    assert "is broken: its gzip data ends early" in err
    assert "try another tag, or ask the publisher to rebuild the image" in err


# ---- configuration ----


def _helper(directory: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.mkdir()
    program = directory / "docker-credential-odd"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(directory), prepend=":")


def test_m23_a_file_that_is_no_json_is_told_with_the_position_and_passed_over(tell: Tell, home: Path) -> None:
    path = home / ".docker" / "config.json"
    path.write_text('{\n  "auths": {,}\n}')
    err = tell.of(demand('Basic realm="x"'), 4)
    assert f"warning: {path} is not JSON: " in err
    assert "(line 2, column 13)" in err
    assert "continuing without its credentials; fix or remove it" in err


def test_m23_an_entry_that_is_no_login_is_told_by_its_key_and_without_its_value(tell: Tell, home: Path) -> None:
    path = home / ".docker" / "config.json"
    path.write_text(json.dumps({"auths": {tell.host: {"auth": f"!{PASSWORD}"}}}))
    err = tell.of(demand('Basic realm="x"'), 4)
    assert f"cannot use the entry '{tell.host}' of {path}: its 'auth' is not base64" in err
    assert "continuing without it; log in again, or remove it" in err


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (
            "echo no keyring here; echo look at your key >&2; exit 7",
            "failed (exit status 7) and printed 'no keyring here'",
        ),
        ("printf 'a\\033[2Jb'; exit 1", r"failed (exit status 1) and printed 'a\x1b[2Jb'"),
        ("exit 2", "failed (exit status 2) and printed nothing"),
        (f"echo '{{{PASSWORD}'", "the output of docker-credential-odd is not JSON: "),
    ],
    ids=["words", "escapes", "silence", "garbage"],
)
def test_m23_a_helper_that_fails_is_told_by_name_status_and_words(
    script: str, says: str, tell: Tell, *, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / ".docker" / "config.json"
    path.write_text(json.dumps({"credsStore": "odd"}))
    _helper(tmp_path / "bin", script, monkeypatch)
    err = tell.of(demand('Basic realm="x"'), 4)
    assert "docker-credential-odd" in err
    assert says in err
    assert f"(named in {path}); continuing without its credentials; fix or remove it" in err


def test_m23_a_helper_that_is_not_there_is_told(tell: Tell, home: Path) -> None:
    (home / ".docker" / "config.json").write_text(json.dumps({"credsStore": "absent"}))
    err = tell.of(demand('Basic realm="x"'), 4)
    assert "warning: docker-credential-absent is not on the PATH (named in " in err


# ---- whatever a server sends, the terminal gets text ----

HOSTILE = ESCAPES.encode()
LATIN = "\x1b[2J\x9b31m\x7f\xc2"  # what a header can carry
TOKENS = "/token"


def _hostile_answers(host: str) -> Mapping[str, Answer]:
    words = json.dumps({"errors": [{"code": ESCAPES, "message": ESCAPES}]}, ensure_ascii=False).encode()
    limit = {"RateLimit-Limit": "100;w=60", "RateLimit-Remaining": "0", "Docker-RateLimit-Source": LATIN}
    typed = {"Content-Type": LATIN}
    document = GOOD.raw.decode()

    def changed(old: str, new: str = ESCAPES) -> bytes:
        assert old in document
        return document.replace(old, json.dumps(new, ensure_ascii=False)[1:-1]).encode()

    return {
        "an error": Answer(words, 404, typed),
        "a text": Answer(HOSTILE, 403, typed),
        "a title": Answer(b"<title>" + HOSTILE, 404, typed),
        "a page": Answer(b"<title>" + HOSTILE, 200, typed),
        "a wait": Answer(words, 429, {"Retry-After": LATIN}),
        "a limit": Answer(words, 429, limit),
        "a server error": Answer(words, 500, {"Retry-After": LATIN}),
        "a warning": Answer(words, 404, {"Warning": f'299 - "{LATIN}"'}),
        "a digest": Answer(GOOD.raw, 200, {"Docker-Content-Digest": f"sha256:{LATIN}"}),
        "a Location": Answer(b"", 307, {"Location": f"http://{LATIN}/"}),
        "a Location's path": Answer(b"", 307, {"Location": f"/{LATIN}"}),
        "a Basic realm": demand(f'Basic realm="{LATIN}"'),
        "a Bearer realm": demand(f'Bearer realm="http://{LATIN}/{LATIN}"'),
        "a realm's path": demand(f'Bearer realm="http://{host}{TOKENS}{LATIN}?{LATIN}",service="{LATIN}"'),
        "a token server": demand(f'Bearer realm="http://{host}{TOKENS}",service="{LATIN}",scope="{LATIN}"'),
        "a scheme": demand(f"{LATIN} Digest{LATIN}"),
        "a coding": Answer(b"x", 200, {"Content-Encoding": LATIN}),
        "a media type": Answer(changed(mediatypes.OCI_MANIFEST)),
        "a config's type": Answer(changed(mediatypes.OCI_CONFIG)),
        "a layer's type": Answer(changed(OCI_GZIP)),
        "a layer's digest": Answer(changed(LAYER.digest)),
        "a key": Answer(changed("schemaVersion", f"schemaVersion{ESCAPES}")),
        "a key twice": Answer(changed("schemaVersion", "mediaType")),
    }


@pytest.mark.parametrize("name", _hostile_answers(""))
def test_s31_no_answer_reaches_the_terminal_as_it_is(name: str, command: Command, loopback: Loopback) -> None:
    loopback.add("team/app", "v1", GOOD)
    loopback.answers[MANIFEST] = _hostile_answers(loopback.host)[name]
    loopback.answers[TOKENS] = Answer(HOSTILE, 400, {"Content-Type": LATIN})
    done = command("save", f"{loopback.host}/team/app:v1", "--platform", "linux/amd64", "-o", "/dev/null", "-vv")
    check(done.err)


def check(err: str) -> None:
    for line in err.splitlines():
        assert line.isprintable(), line
    assert not set(err) & set("\x1b\x9b\x7f\r\u202e\u2066\u2028")
    assert "Traceback" not in err


def test_s31_a_reason_phrase_is_cleaned(command: Command) -> None:
    with listening(saying(b"HTTP/1.1 404 No\x1b[2J\x9b31m \x7f\xe2\x80\xae way\r\nContent-Length: 0\r\n\r\n")) as host:
        done = command("save", f"{host}/team/app:v1", "--plain-http", "-o", "/dev/null", "-vv")
    check(done.err)
    assert r"404 No\x1b[2J" in done.err


@pytest.mark.parametrize(
    "members",
    [{"architecture": ESCAPES}, {"os": ESCAPES}, {"variant": ESCAPES}, {"os.version": ESCAPES}],
    ids=lambda members: next(iter(members)),
)
def test_s31_a_platform_is_cleaned(members: Mapping[str, str], command: Command, loopback: Loopback) -> None:
    built = image(hello(), platform={"architecture": "amd64", "os": "linux", **members})
    for reference in (loopback.add("team/app", "v1", built), loopback.add("team/app", "v2", index(built))):
        done = command("save", reference, "--platform", "linux/s390x", "-o", "/dev/null", "-vv")
        assert done.status
        check(done.err)


def test_s31_what_a_docker_config_says_is_cleaned(
    command: Command, loopback: Loopback, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / f"con{ESCAPES}fig"
    directory.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(directory))
    path = directory / "config.json"
    loopback.answers[MANIFEST] = demand('Basic realm="x"')
    auth = base64.b64encode(f"al{ESCAPES}ice:{PASSWORD}".encode()).decode()
    for content in (
        "{",
        json.dumps({"auths": {loopback.host: {"auth": f"{ESCAPES}"}}}),
        json.dumps({"auths": {loopback.host: {"auth": auth}}}),
        json.dumps({"credHelpers": {loopback.host: f"odd{ESCAPES}"}}),
        json.dumps({"auths": ESCAPES}),
    ):
        path.write_text(content)
        done = command("save", f"{loopback.host}/team/app:v1", "-o", "/dev/null", "-vv")
        assert done.status == 4
        check(done.err)
        assert PASSWORD not in done.err
    assert home


def test_s31_a_layers_type_is_cleaned(command: Command, loopback: Loopback) -> None:
    odd = Blob(b"?" * 600, f"application/{ESCAPES}", sha256(RAW))
    done = command("save", loopback.add("team/app", "v1", image(odd)), "--platform", "linux/amd64", "-o", "/dev/null")
    assert done.status == 1
    check(done.err)
