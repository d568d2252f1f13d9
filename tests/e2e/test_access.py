"""Logins, certificates, proxies and token servers, against the real parts."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import imgfetch
from tests import engines, tokenserver
from tests.certificates import Certificates
from tests.conftest import Run
from tests.engines import RealRegistry
from tests.faults import served
from tests.images import hello, image
from tests.loopback import Answer, Loopback
from tests.modern import Tree
from tests.tokenserver import PASSWORD, REFRESH_TOKEN, USER, TokenServer
from tests.tools import missing, root, tool

BUILT = image(hello("one"), hello("two"), hello("three"), hello("four"))
PLATFORM = ("--platform", "linux/amd64")
HTPASSWD = "alice:$2y$05$POecR6bZM2JxSgcmLWShd.2i4zWbCPNSnrGk/4nu3s24cImN6EG/i\n"  # PASSWORD, by bcrypt
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
GOLDEN = Path(__file__).parents[2] / "fixtures" / "messages"
SECRETS = (PASSWORD, REFRESH_TOKEN, BASIC.split()[1], "proxy-password")


@pytest.fixture(scope="session")
def tls_registry(tmp_path_factory: pytest.TempPathFactory, made: Certificates) -> Iterator[RealRegistry]:
    """A registry by TLS that knows one user, by Basic."""
    directory = tmp_path_factory.mktemp("tls-registry")
    (directory / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "tests", "path": str(directory / "htpasswd")}}
    certificate = (made.server_cert, made.server_key, made.ca)
    with engines.docker_registry(directory, auth=auth, certificate=certificate, login=lambda _: BASIC) as registry:
        registry.push("team/app", "v1", BUILT)
        yield registry


@pytest.fixture(scope="session")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    with TokenServer(tmp_path_factory.mktemp("tokens")) as server:
        yield server


def token_auth(server: TokenServer, realm: str) -> dict[str, Any]:
    settings = {"realm": realm, "service": tokenserver.SERVICE, "issuer": tokenserver.ISSUER}
    return {"token": {**settings, "rootcertbundle": str(server.certificate)}}


def push_token(server: TokenServer) -> Any:
    def login(repository: str) -> str:
        return f"Bearer {server.sign([f'repository:{repository}:*'], USER, actions=['pull', 'push'])}"

    return login


@pytest.fixture(scope="session")
def token_registry(tmp_path_factory: pytest.TempPathFactory, tokens: TokenServer) -> Iterator[RealRegistry]:
    """A registry that asks the token server's tokens, and checks them."""
    auth = token_auth(tokens, tokens.realm)
    with engines.docker_registry(tmp_path_factory.mktemp("registry"), auth=auth, login=push_token(tokens)) as registry:
        for repository in ("public/app", "private/app"):
            registry.push(repository, "v1", BUILT)
        yield registry


@pytest.fixture
def server(tokens: TokenServer) -> TokenServer:
    """Return the token server as it is at first."""
    tokens.life, tokens.knows_post = 300.0, True
    tokens.requests.clear()
    return tokens


@dataclass
class Home:
    """A user's home directory."""

    path: Path

    def docker_config(self, config: object) -> Path:
        path = self.path / ".docker" / "config.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(config if isinstance(config, str) else json.dumps(config))
        return path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def auths(host: str, **entry: str) -> dict[str, Any]:
    return {"auths": {host: entry or {"auth": BASIC.split()[1]}}}


@dataclass
class Saving:
    """Runs `imgfetch save` and looks at what it says."""

    run: Run
    target: Path
    logged: list[str]

    def __call__(self, reference: str, *arguments: str, status: int = 0, **options: Any) -> str:
        done = self.run(
            "save", reference, "-vv", "-o", str(self.target), *PLATFORM, "--no-cache", *arguments, **options
        )
        said = str(done.stderr.decode())
        assert done.returncode == status, said
        assert self.target.exists() is (status == 0)
        assert "Traceback" not in said
        self.logged.append(said)
        return said


@pytest.fixture(scope="session")
def logged() -> list[str]:
    """Everything that the command has said in these tests, with ``-vv``."""
    return []


@pytest.fixture
def save(run: Run, tmp_path: Path, logged: list[str]) -> Saving:
    return Saving(run, tmp_path / "y.tar", logged)


# Basic, over TLS with an authority that nobody knows.


def test_basic_over_tls_with_dockers_config(
    tls_registry: RealRegistry, made: Certificates, home: Home, save: Saving
) -> None:
    home.docker_config(auths(tls_registry.host))
    said = save(f"{tls_registry.host}/team/app:v1", "--ca-file", str(made.ca))
    assert f"saved {tls_registry.host}/team/app:v1 {BUILT.digest}" in said


def test_basic_with_a_password_from_stdin(tls_registry: RealRegistry, made: Certificates, save: Saving) -> None:
    arguments = ("--ca-file", str(made.ca), "--username", USER, "--password-stdin")
    save(f"{tls_registry.host}/team/app:v1", *arguments, input=f"{PASSWORD}\n".encode())


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ('server = "https://{host}"\nca = "own.pem"', 0),
        ('[host."https://{host}"]\nca = ["own.pem"]', 0),
        ('[host."https://{host}"]\nskip_verify = true', 0),
        ('server = "https://{host}"\n[host."https://127.0.0.1:0"]\nca = "own.pem"', 5),
        ('server = "https://{host}"\nca = "missing.pem"', 7),
    ],
)
def test_a_hosts_toml_has_the_authority_for_its_host(
    tls_registry: RealRegistry, made: Certificates, home: Home, save: Saving, tmp_path: Path, *, text: str, status: int
) -> None:
    home.docker_config(auths(tls_registry.host))
    folder = tmp_path / "certs" / "registry.invalid"
    folder.mkdir(parents=True)
    (folder / "hosts.toml").write_text(text.format(host=tls_registry.host))
    (folder / "own.pem").write_bytes(made.ca.read_bytes())
    said = save("registry.invalid/team/app:v1", "--certs-dir", str(tmp_path / "certs"), status=status)
    assert f"using {folder / 'hosts.toml'}" in said


def test_basic_with_a_credential_helper(
    tls_registry: RealRegistry, made: Certificates, home: Home, save: Saving, tmp_path: Path
) -> None:
    helper = tmp_path / "bin" / "docker-credential-tests"
    helper.parent.mkdir()
    answer = json.dumps({"ServerURL": tls_registry.host, "Username": USER, "Secret": PASSWORD})
    helper.write_text(f"#!/bin/sh\ntest \"$(cat)\" = '{tls_registry.host}' && echo '{answer}'\n")
    helper.chmod(0o755)
    home.docker_config({"credHelpers": {tls_registry.host: "tests"}})
    env = {"PATH": f"{helper.parent}:{os.environ['PATH']}"}
    save(f"{tls_registry.host}/team/app:v1", "--ca-file", str(made.ca), env=env)


def test_a_helper_that_is_missing_is_named_and_the_pull_goes_on_without(
    tls_registry: RealRegistry, made: Certificates, home: Home, save: Saving
) -> None:
    home.docker_config({"credHelpers": {tls_registry.host: "missing"}})
    said = save(f"{tls_registry.host}/team/app:v1", "--ca-file", str(made.ca), status=4)
    assert "warning: " in said
    assert "docker-credential-missing" in said
    assert "needs credentials" in said


def test_a_config_that_is_no_json_is_named_with_its_position(
    tls_registry: RealRegistry, made: Certificates, home: Home, save: Saving
) -> None:
    path = home.docker_config('{"auths": {\n "x": oops}}')
    said = save(f"{tls_registry.host}/team/app:v1", "--ca-file", str(made.ca), status=4)
    assert f"{path}" in said
    assert "line 2" in said


def test_a_wrong_password_names_who_refused_and_where_the_login_came_from(
    tls_registry: RealRegistry, made: Certificates, home: Home, save: Saving
) -> None:
    path = home.docker_config(auths(tls_registry.host, username=USER, password="not it"))
    said = save(f"{tls_registry.host}/team/app:v1", "--ca-file", str(made.ca), status=4)
    assert f"{tls_registry.host} rejected the credentials of {USER} from {path}" in said


def test_no_login_is_not_called_a_wrong_password(tls_registry: RealRegistry, made: Certificates, save: Saving) -> None:
    said = save(f"{tls_registry.host}/team/app:v1", "--ca-file", str(made.ca), status=4)
    assert 'expects a user name and password (Basic, realm "tests")' in said
    assert "refuses" not in said


def test_a_certificate_that_nobody_vouches_for_is_refused_and_http_is_not_tried(
    tls_registry: RealRegistry, home: Home, save: Saving
) -> None:
    home.docker_config(auths(tls_registry.host))
    said = save(f"{tls_registry.host}/team/app:v1", status=5)
    assert f"cannot verify the certificate of {tls_registry.host}" in said
    assert 'unknown issuer "imgfetch test ca"' in said
    assert '; issued to "server"' in said
    assert f"certs.d/{tls_registry.host}/" in said
    assert "--insecure" in said
    assert "http://" not in said


def test_a_certs_d_directory_vouches_for_its_host(
    tls_registry: RealRegistry, made: Certificates, home: Home, save: Saving, tmp_path: Path
) -> None:
    directory = tmp_path / "certs.d" / tls_registry.host
    directory.mkdir(parents=True)
    (directory / "ca.crt").write_bytes(made.ca.read_bytes())
    home.docker_config(auths(tls_registry.host))
    save(f"{tls_registry.host}/team/app:v1", "--certs-dir", str(tmp_path / "certs.d"))


def test_insecure_checks_no_certificate_of_the_host_and_says_so_each_time(
    tls_registry: RealRegistry, home: Home, save: Saving
) -> None:
    home.docker_config(auths(tls_registry.host))
    for _ in range(2):
        said = save(f"{tls_registry.host}/team/app:v1", "--insecure", tls_registry.host)
        assert "warning: " in said
        assert "is not verified because of --insecure" in said
        save.target.unlink()


# Tokens, which the registry itself checks.


def test_what_is_public_needs_no_login(token_registry: RealRegistry, server: TokenServer, save: Saving) -> None:
    save(f"{token_registry.host}/public/app:v1")
    assert len(server.requests) == 1
    assert "Authorization" not in server.requests[0][2]


def test_what_is_private_says_so_without_a_login(
    token_registry: RealRegistry, server: TokenServer, save: Saving
) -> None:
    said = save(f"{token_registry.host}/private/app:v1", status=4)
    assert "does not exist or needs credentials" in said
    assert f"imgfetch login {token_registry.host}" in said
    assert server.requests


def test_a_password_gets_a_token(token_registry: RealRegistry, server: TokenServer, home: Home, save: Saving) -> None:
    home.docker_config(auths(token_registry.host))
    save(f"{token_registry.host}/private/app:v1")
    assert [headers.get("Authorization") for _, _, headers in server.requests] == [BASIC]


def test_an_identity_token_gets_a_token(
    token_registry: RealRegistry, server: TokenServer, home: Home, save: Saving
) -> None:
    entry = {
        "auth": base64.b64encode(b"00000000-0000-0000-0000-000000000000:").decode(),
        "identitytoken": REFRESH_TOKEN,
    }
    home.docker_config(auths(token_registry.host, **entry))
    save(f"{token_registry.host}/private/app:v1")
    assert [asked for asked, _, _ in server.requests] == ["POST /service/token"]
    assert f"refresh_token={REFRESH_TOKEN}" in server.requests[0][1]


def test_where_the_server_knows_no_refresh_tokens_the_password_is_taken(
    token_registry: RealRegistry, server: TokenServer, home: Home, save: Saving
) -> None:
    server.knows_post = False
    entry = {"username": USER, "password": PASSWORD, "identitytoken": REFRESH_TOKEN}
    home.docker_config(auths(token_registry.host, **entry))
    save(f"{token_registry.host}/private/app:v1")
    assert [asked.split()[0] for asked, _, _ in server.requests] == ["POST", "GET"]


def test_a_stale_login_does_not_keep_anybody_from_what_is_public(
    token_registry: RealRegistry, server: TokenServer, home: Home, save: Saving
) -> None:
    path = home.docker_config(auths(token_registry.host, username=USER, password="last week's"))
    said = save(f"{token_registry.host}/public/app:v1")
    assert f"rejected the credentials of {USER} from {path}; continuing without credentials" in said
    assert [("Authorization" in headers) for _, _, headers in server.requests] == [True, False]


def test_a_wrong_password_given_by_hand_ends_it(
    token_registry: RealRegistry, server: TokenServer, save: Saving
) -> None:
    arguments = ("--username", USER, "--password-stdin")
    said = save(f"{token_registry.host}/public/app:v1", *arguments, status=4, input=b"not it\n")
    assert f"rejected the given credentials of {USER}" in said
    assert len(server.requests) == 1


def test_anonymous_uses_no_login(token_registry: RealRegistry, server: TokenServer, home: Home, save: Saving) -> None:
    home.docker_config(auths(token_registry.host))
    save(f"{token_registry.host}/public/app:v1", "--anonymous")
    assert "Authorization" not in server.requests[0][2]


class Slow(imgfetch.Progress):
    """Takes two seconds over every layer."""

    def finished(self, item: imgfetch.Item, *, cached: bool) -> None:
        del item, cached
        time.sleep(2.0)


def test_a_token_that_ends_in_the_middle_of_a_pull_is_renewed(
    token_registry: RealRegistry, server: TokenServer, tmp_path: Path
) -> None:
    # the registry takes each for four seconds at most, whatever the client was told; the pull takes eight
    server.life = 4.0
    before = len(server.given)
    access = imgfetch.RegistryConfig.from_environment({}, username=USER, password=PASSWORD)
    reference = f"{token_registry.host}/private/app:v1"
    saved = imgfetch.save(reference, tmp_path / "y.tar", platform="linux/amd64", jobs=1, progress=Slow(), access=access)
    assert str(saved.images[0].digest) == BUILT.digest
    assert len(server.given) - before >= 2
    assert all(headers.get("Authorization") == BASIC for _, _, headers in server.requests)


# nginx in front.


@contextlib.contextmanager
def nginx(
    directory: Path, port: int, made: Certificates | None, more: str, command: engines.Command | None = None
) -> Iterator[None]:
    """Start nginx on a port, by TLS if there are certificates, with more directives in its only server."""
    program = command or [tool("nginx")]
    tls = f"ssl; ssl_certificate {made.server_cert}; ssl_certificate_key {made.server_key}" if made else ""
    config = directory / "nginx.conf"
    config.write_text(
        f"""
daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/error.log;
events {{}}
http {{
    access_log off; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} {tls};
        {more}
    }}
}}
"""
    )
    with engines.daemon([*program, "-p", directory, "-c", config], directory / "nginx.log", lambda: listens(port)):
        yield


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_client_certificate_that_the_server_requires_is_shown(
    token_registry: RealRegistry, made: Certificates, save: Saving, tmp_path: Path
) -> None:
    port = engines.free_port()
    require = f"ssl_client_certificate {made.ca}; ssl_verify_client on;"
    with nginx(tmp_path, port, made, f"{require} location / {{ proxy_pass {token_registry.base}; }}"):
        reference = f"localhost:{port}/public/app:v1"
        said = save(reference, "--ca-file", str(made.ca), status=1)
        assert "400" in said
        directory = tmp_path / "certs.d" / f"localhost:{port}"
        directory.mkdir(parents=True)
        for source, name in ((made.ca, "ca.crt"), (made.client_cert, "me.cert"), (made.client_key, "me.key")):
            (directory / name).write_bytes(source.read_bytes())
        save(reference, "--certs-dir", str(tmp_path / "certs.d"))


def with_hosts(directory: Path, *names: str) -> list[str]:
    """Return a command that runs another one with names that are this machine."""
    root()
    hosts = directory / "hosts"
    hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *names)))
    prefix = [tool("unshare"), "--mount", tool("sh"), "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts)]
    if subprocess.run([*prefix, "true"], capture_output=True, check=False, timeout=30).returncode:
        missing("no mount namespace can be made")
    return prefix


@dataclass
class Harbor:
    """A registry behind a reverse proxy on another port, which announces the port behind."""

    port: int
    closed: int
    prefix: list[str]
    ca: Path

    @property
    def reference(self) -> str:
        return f"reg.mydomain.com:{self.port}/public/app:v1"

    def save(self, target: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [*self.prefix, sys.executable, "-m", "imgfetch", "save", self.reference, "-o", str(target), *PLATFORM]
        command += ["--no-cache", "--ca-file", str(self.ca), *arguments]
        env = {key: os.environ[key] for key in os.environ if not key.lower().endswith("_proxy")}
        return subprocess.run(
            command, capture_output=True, check=False, timeout=60, env=env | {"HOME": str(target.parent)}
        )


@pytest.fixture
def harbor(request: pytest.FixtureRequest, tokens: TokenServer, made: Certificates, tmp_path: Path) -> Iterator[Harbor]:
    """Start it; the parameter is what the public port answers below /service/."""
    port, closed = engines.free_port(), engines.free_port()
    prefix = with_hosts(tmp_path, "reg.mydomain.com")
    auth = token_auth(tokens, f"http://reg.mydomain.com:{closed}/service/token")
    behind, front = tmp_path / "behind", tmp_path / "front"
    behind.mkdir()
    front.mkdir()
    with engines.docker_registry(behind, auth=auth, login=push_token(tokens)) as registry:
        registry.push("public/app", "v1", BUILT)
        service = request.param.format(tokens=tokens.host)
        locations = f"location / {{ proxy_pass {registry.base}; }} location /service/ {{ {service} }}"
        with nginx(front, port, made, locations):
            yield Harbor(port, closed, prefix, made.ca)


def tidy(text: str, harbor: Harbor) -> str:
    """Return a message with the ports of the recorded case."""
    return text.replace(f":{harbor.port}", ":8443").replace(f":{harbor.closed}", ":20000")


@pytest.mark.parametrize("harbor", ["return 404;"], indirect=True)
def test_a_realm_where_nobody_is_is_said_to_be_the_registrys_choice(harbor: Harbor, tmp_path: Path) -> None:
    # M08, the words are kept in a file
    done = harbor.save(tmp_path / "y.tar")
    assert done.returncode == 4
    assert tidy(done.stderr.decode(), harbor) == (GOLDEN / "wrong-realm.txt").read_text()
    assert not (tmp_path / "y.tar").exists()


@pytest.mark.parametrize("harbor", ["proxy_pass http://{tokens};"], indirect=True)
def test_the_same_path_at_the_registrys_own_origin_is_tried_once(harbor: Harbor, tmp_path: Path) -> None:
    # F10
    done = harbor.save(tmp_path / "y.tar")
    said = tidy(done.stderr.decode(), harbor)
    assert done.returncode == 0, said
    assert "the token server http://reg.mydomain.com:20000/service/token, named by https://reg" in said
    assert "does not answer" in said
    assert "https://reg.mydomain.com:8443/service/token instead" in said


@pytest.mark.parametrize("harbor", ["return 404;"], indirect=True)
def test_an_override_names_the_token_server(harbor: Harbor, server: TokenServer, tmp_path: Path) -> None:
    override = f"reg.mydomain.com:{harbor.closed}=http://{server.host}"
    done = harbor.save(tmp_path / "y.tar", "--realm-override", override)
    assert done.returncode == 0, done.stderr.decode()
    assert len(server.requests) == 1


@pytest.fixture
def front(tmp_path: Path) -> Callable[[str], AbstractContextManager[str]]:
    """Return a function that starts nginx by http with these directives, for as long as its host is needed."""

    @contextlib.contextmanager
    def front(more: str) -> Iterator[str]:
        port = engines.free_port()
        directory = tmp_path / "nginx"
        directory.mkdir()
        with nginx(directory, port, None, more):
            yield f"127.0.0.1:{port}"

    return front


Front = Callable[[str], AbstractContextManager[str]]


def scopes_in(request: str) -> list[str]:
    """Return the scopes that a token server was asked for."""
    return parse_qs(urlsplit(request.split()[1]).query)["scope"]


def test_an_api_below_a_path_of_nginx_is_a_mirror(
    token_registry: RealRegistry, server: TokenServer, front: Front, save: Saving
) -> None:
    with front(f"location /repository/hub/v2/ {{ proxy_pass {token_registry.base}/v2/; }}") as host:
        mirror = f"registry.invalid=http://{host}/repository/hub/v2"
        said = save("registry.invalid/public/app:v1", "--mirror", mirror)
    assert f"GET http://{host}/repository/hub/v2/public/app/manifests/v1" in said
    assert {scope for asked in server.requests for scope in scopes_in(asked[0])} == {"repository:public/app:pull"}


def test_a_name_that_nginx_rewrites_is_saved_with_a_token_for_the_name_behind(
    token_registry: RealRegistry, server: TokenServer, front: Front, save: Saving
) -> None:
    rewrite = f"location /v2/hub/ {{ rewrite ^/v2/hub/(.*)$ /v2/public/$1 break; proxy_pass {token_registry.base}; }}"
    with front(rewrite) as host:
        save(f"{host}/hub/app:v1")
    assert scopes_in(server.requests[0][0]) == ["repository:public/app:pull", "repository:hub/app:pull"]


def test_a_domain_that_redirects_everything_leads_to_a_registry_which_receives_no_credentials(
    *, token_registry: RealRegistry, server: TokenServer, front: Front, home: Home, save: Saving, run: Run
) -> None:
    with front(f"location / {{ return 307 {token_registry.base}$request_uri; }}") as host:
        home.docker_config(auths(host))
        denied = save(f"{host}/private/app:v1", status=4)
        save(f"{host}/public/app:v1")
        assert run("tags", f"{host}/public/app").stdout == b"v1\n"
    assert f"use the image's name there, {token_registry.host}/private/app" in denied
    assert [headers.get("Authorization") for _, _, headers in server.requests] == [None] * len(server.requests)


def test_an_image_that_nginx_hides_from_strangers_is_saved_with_stored_credentials(
    *, token_registry: RealRegistry, server: TokenServer, front: Front, home: Home, save: Saving
) -> None:
    hiding = f"""
        location = /v2/ {{ proxy_pass {token_registry.base}; }}
        location / {{
            proxy_pass {token_registry.base};
            proxy_intercept_errors on; proxy_hide_header WWW-Authenticate; error_page 401 =404 /hidden;
        }}
        location = /hidden {{ internal; return 404; }}
    """
    with front(hiding) as host:
        assert "none were sent" in save(f"{host}/private/app:v1", status=3)
        home.docker_config(auths(host))
        save(f"{host}/private/app:v1")
    assert server.requests[-1][2]["Authorization"] == BASIC


def test_early_hints_that_nginx_passes_on_are_skipped(modern: Tree, tmp_path: Path, save: Saving) -> None:
    directory, port = modern.directory / "nginx", engines.free_port()
    directory.mkdir()
    with served(tmp_path) as servers:
        behind = servers["http"].host
        hints = f"location / {{ proxy_pass http://{behind}; proxy_http_version 1.1; early_hints 1; }}"
        with nginx(directory, port, None, hints, modern.program("nginx")):
            with socket.create_connection(("127.0.0.1", port)) as raw:
                raw.sendall(b"GET /v2/x20-hints/manifests/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert raw.makefile("rb").readline().startswith(b"HTTP/1.1 103 ")
            save(f"127.0.0.1:{port}/x20-hints:v1")


# A real proxy that wants a password.


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[str]:
    """Start tinyproxy, for which registry.example is this machine, and return its host and port."""
    prefix = with_hosts(tmp_path, "registry.example")
    port = engines.free_port()
    config = tmp_path / "tinyproxy.conf"
    config.write_text(
        f"Port {port}\nListen 127.0.0.1\nTimeout 60\nBasicAuth proxy-user proxy-password\n"
        f'LogFile "{tmp_path}/tinyproxy.log"\nPidFile "{tmp_path}/tinyproxy.pid"\nMaxClients 20\n'
    )
    command = [*prefix, tool("tinyproxy"), "-d", "-c", str(config)]
    with engines.daemon(list(command), tmp_path / "proxy.log", lambda: listens(port)):
        yield f"127.0.0.1:{port}"


def test_a_proxy_with_a_password_is_gone_through(
    *, tls_registry: RealRegistry, made: Certificates, home: Home, proxy: str, save: Saving, tmp_path: Path
) -> None:
    port = tls_registry.host.rpartition(":")[2]
    host = f"registry.example:{port}"
    home.docker_config(auths(host))
    env = {"HTTPS_PROXY": f"http://proxy-user:proxy-password@{proxy}"}
    save(f"{host}/team/app:v1", "--ca-file", str(made.ca), env=env)
    assert f"CONNECT registry.example:{port}" in (tmp_path / "tinyproxy.log").read_text()


def test_a_proxy_that_refuses_is_named_with_its_variable(
    tls_registry: RealRegistry, made: Certificates, proxy: str, save: Saving
) -> None:
    host = f"registry.example:{tls_registry.host.rpartition(':')[2]}"
    env = {"https_proxy": f"http://proxy-user:not-it@{proxy}"}
    said = save(f"{host}/team/app:v1", "--ca-file", str(made.ca), status=5, env=env)
    assert f"through the proxy {proxy} (https_proxy): " in said
    assert "not-it" not in said
    assert "NO_PROXY" in said


@pytest.fixture
def socks(tmp_path: Path) -> Iterator[str]:
    """Start microsocks, for which alone registry.example is this machine, and return its host and port."""
    pytest.importorskip("socks")
    port = engines.free_port()
    command = [*with_hosts(tmp_path, "registry.example"), tool("microsocks"), "-i", "127.0.0.1", "-p", str(port)]
    command += ["-u", "proxy-user", "-P", "proxy-password"]
    with engines.daemon(list(command), tmp_path / "proxy.log", lambda: listens(port)):
        yield f"127.0.0.1:{port}"


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
def test_a_socks_proxy_with_a_password_is_gone_through_and_resolves_the_name(
    *, tls_registry: RealRegistry, made: Certificates, home: Home, socks: str, save: Saving, variable: str
) -> None:
    host = f"registry.example:{tls_registry.host.rpartition(':')[2]}"
    home.docker_config(auths(host))
    env = {variable: f"socks5://proxy-user:proxy-password@{socks}"}
    save(f"{host}/team/app:v1", "--ca-file", str(made.ca), env=env)


def test_a_socks_proxy_that_refuses_is_named_with_its_variable(
    tls_registry: RealRegistry, made: Certificates, socks: str, save: Saving
) -> None:
    host = f"registry.example:{tls_registry.host.rpartition(':')[2]}"
    env = {"https_proxy": f"socks5://proxy-user:not-it@{socks}"}
    said = save(f"{host}/team/app:v1", "--ca-file", str(made.ca), status=5, env=env)
    assert f"cannot connect to {host} through the proxy {socks} (https_proxy): Socket error: SOCKS5 authentic" in said
    assert "not-it" not in said


def test_a_socks_proxy_that_is_not_there_is_named_with_its_variable(save: Saving) -> None:
    pytest.importorskip("socks")
    said = save("registry.example/team/app:v1", status=5, env={"HTTPS_PROXY": "socks5://127.0.0.1:9"})
    assert "cannot connect to registry.example:443 through the proxy 127.0.0.1:9 (HTTPS_PROXY): connection ref" in said


def test_the_loopback_needs_no_proxy(token_registry: RealRegistry, save: Saving) -> None:
    env = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    save(f"{token_registry.host}/public/app:v1", env=env)


# Mirrors.


def test_a_mirror_is_asked_first_and_sent_no_login(
    registry: RealRegistry, tls_registry: RealRegistry, made: Certificates, home: Home, save: Saving
) -> None:
    # P80, S09: the mirror is a real registry that knows no login
    registry.push("team/app", "v1", BUILT)
    home.docker_config(auths(tls_registry.host))
    mirror = f"{tls_registry.host}=http://{registry.host}"
    said = save(f"{tls_registry.host}/team/app:v1", "--ca-file", str(made.ca), "--mirror", mirror)
    assert f"GET http://{registry.host}/v2/team/app/manifests/v1" in said
    assert f"GET https://{tls_registry.host}" not in said


def test_a_blob_that_a_mirror_lacks_comes_from_the_upstream(
    registry: RealRegistry, token_registry: RealRegistry, server: TokenServer, save: Saving
) -> None:
    # P85
    assert server.life
    registry.push("public/app", "v1", BUILT)
    lost = BUILT.layers[1].digest
    encoded = lost.removeprefix("sha256:")
    link = registry.storage / f"docker/registry/v2/repositories/public/app/_layers/sha256/{encoded}/link"
    link.unlink()
    mirror = f"{token_registry.host}=http://{registry.host}"
    said = save(f"{token_registry.host}/public/app:v1", "--mirror", mirror)
    asked = [line for line in said.splitlines() if f"GET http://{token_registry.host}/v2/" in line and "200" in line]
    assert [lost in line for line in asked] == [True]
    assert f"mirror {registry.host}: layer 2/4" in said


def test_a_mirror_that_is_not_there_costs_a_warning(
    token_registry: RealRegistry, server: TokenServer, save: Saving
) -> None:
    # P84
    assert server.life
    mirror = f"{token_registry.host}=http://127.0.0.1:9"
    said = save(f"{token_registry.host}/public/app:v1", "--mirror", mirror)
    assert "warning: mirror 127.0.0.1:9: cannot connect to 127.0.0.1:9: connection refused; trying the next" in said


def test_the_upstreams_error_leads_when_mirrors_failed_too(
    token_registry: RealRegistry, server: TokenServer, save: Saving
) -> None:
    assert server.life
    mirror = f"{token_registry.host}=http://127.0.0.1:9"
    said = save(f"{token_registry.host}/public/app:v2", "--mirror", mirror, status=3)
    error = said[said.index("error: ") :].splitlines()
    assert "MANIFEST_UNKNOWN" in error[0]
    assert "before: mirror 127.0.0.1:9: cannot connect" in error[1]


def test_a_login_in_a_mirrors_url_is_refused(save: Saving) -> None:
    # S13
    said = save("quay.io/x/y", "--mirror", "https://user:correct-horse@mirror.example", status=2)
    assert "correct-horse" not in said


def test_nothing_secret_is_in_anything_that_was_logged(logged: list[str], tokens: TokenServer) -> None:
    # S14, S15: this test stands last, and looks at all that the others have logged
    everything = "\n".join(logged)
    assert everything.count("GET ") > 100
    assert len(tokens.given) > 10
    for secret in (*SECRETS, *tokens.given):
        assert secret not in everything
    assert "Authorization" not in everything


# `imgfetch login` and `logout`, and other programs that use what they store.


INPUT = f"{PASSWORD}\n".encode()


def config_of(home: Home) -> Any:
    return json.loads((home.path / ".docker" / "config.json").read_text())


def test_a_login_is_checked_and_stored_for_this_user_alone(
    token_registry: RealRegistry, server: TokenServer, home: Home, run: Run, save: Saving
) -> None:
    done = run("login", token_registry.host, "-u", USER, "--password-stdin", input=INPUT)
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    path = home.path / ".docker" / "config.json"
    assert f"logged in to {token_registry.host} as {USER}; credentials are in {path}" in done.stderr.decode()
    assert config_of(home) == auths(token_registry.host)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [request[2].get("Authorization") for request in server.requests] == [BASIC]
    save(f"{token_registry.host}/private/app:v1")
    done = run("logout", token_registry.host)
    assert (done.returncode, config_of(home)) == (0, {"auths": {}})
    save.target.unlink()
    save(f"{token_registry.host}/private/app:v1", status=4)


def test_a_wrong_password_is_not_stored(token_registry: RealRegistry, home: Home, run: Run) -> None:
    done = run("login", token_registry.host, "-u", USER, "--password-stdin", input=b"wrong\n")
    assert done.returncode == 4
    assert "incorrect username or password" in done.stderr.decode()
    assert not (home.path / ".docker").exists()


def test_a_wrong_password_for_basic_is_not_stored(
    tls_registry: RealRegistry, made: Certificates, home: Home, run: Run
) -> None:
    arguments = ("login", tls_registry.host, "-u", USER, "--password-stdin", "--ca-file", str(made.ca))
    done = run(*arguments, input=b"wrong\n")
    assert (done.returncode, (home.path / ".docker").exists()) == (4, False)
    assert run(*arguments, input=INPUT).returncode == 0
    assert config_of(home) == auths(tls_registry.host)


def test_a_login_never_goes_to_a_token_server_of_somebody_else(home: Home, run: Run) -> None:
    with Loopback() as registry, Loopback() as proxy:
        challenge = 'Bearer realm="http://auth.example/token",service="x"'
        registry.guard("/v2/", "Bearer anonymous", challenge)
        proxy.answers["http://auth.example/token"] = Answer(b'{"token": "anonymous"}')
        env = {"HTTP_PROXY": f"http://{proxy.host}"}
        done = run("login", registry.host, "-u", USER, "--password-stdin", input=INPUT, env=env)
        assert done.returncode == 4, done.stderr
        assert b"withheld" in done.stderr
        assert proxy.authorizations == [None]
    assert not (home.path / ".docker").exists()


def test_a_registry_that_asks_for_nothing_cannot_check_a_login(tmp_path: Path, home: Home, run: Run) -> None:
    with engines.docker_registry(tmp_path) as registry:
        done = run("login", registry.host, "-u", USER, "--password-stdin", input=INPUT)
        assert done.returncode == 0
        assert f"{registry.host} asks for no credentials, so they were not checked" in done.stderr.decode()
        assert config_of(home) == auths(registry.host)


def test_everything_else_in_the_file_is_kept(token_registry: RealRegistry, home: Home, run: Run) -> None:
    before = {
        "HttpHeaders": {"X-Meta": "é"},
        "Auths": {"https://index.docker.io/v1/": {"auth": "eDp5"}, "quay.io": {"identitytoken": "t"}},
        "psFormat": "table {{.ID}}",
    }
    path = home.docker_config(before)
    linked = path.rename(path.with_name("real.json"))
    path.symlink_to(linked)
    assert run("login", token_registry.host, "-u", USER, "--password-stdin", input=INPUT).returncode == 0
    wanted = {**before["Auths"], token_registry.host: {"auth": BASIC.split()[1]}}  # type: ignore[dict-item]
    assert (config_of(home), path.is_symlink()) == ({**before, "Auths": wanted}, True)
    assert run("logout").returncode == 0
    assert config_of(home)["Auths"].keys() == {"quay.io", token_registry.host}
    assert run("logout", "QUAY.io").returncode == 0
    done = run("logout", "quay.io")
    assert b"there are no stored credentials for quay.io" in done.stderr


@pytest.mark.parametrize("content", ["{oops", "[]", '{"auths": []}', '{"credsStore": 1}'])
def test_a_file_that_is_malformed_stays_as_it_is(
    token_registry: RealRegistry, home: Home, run: Run, content: str
) -> None:
    path = home.docker_config(content)
    done = run("login", token_registry.host, "-u", USER, "--password-stdin", input=INPUT)
    assert done.returncode == 4, done.stderr
    assert b"Traceback" not in done.stderr
    assert path.read_text() == content


HELPER = """\
#!/bin/sh
# A helper with a file for each key.
key=$(cat)
case $1 in
    store) echo "$key" > "$0.stored" ;;
    get) test -e "$0.stored" && cat "$0.stored" || { echo "credentials not found in native keychain"; exit 1; } ;;
    erase) test -e "$0.stored" && rm "$0.stored" || { echo "credentials not found in native keychain"; exit 1; } ;;
esac
"""


@pytest.mark.parametrize("member", ["credsStore", "credHelpers"])
def test_a_helper_stores_the_password_and_the_file_does_not(
    token_registry: RealRegistry, home: Home, run: Run, tmp_path: Path, member: str
) -> None:
    helper = tmp_path / "bin" / "docker-credential-tests"
    helper.parent.mkdir()
    helper.write_text(HELPER)
    helper.chmod(0o755)
    config = {member: "tests" if member == "credsStore" else {token_registry.host: "tests"}}
    home.docker_config(config)
    env = {"PATH": f"{helper.parent}:{os.environ['PATH']}"}
    done = run("login", token_registry.host, "-u", USER, "--password-stdin", input=INPUT, env=env)
    assert (done.returncode, b"credentials are in docker-credential-tests" in done.stderr) == (0, True), done.stderr
    assert config_of(home) == {**config, "auths": {token_registry.host: {}}}
    stored = json.loads(Path(f"{helper}.stored").read_text())
    assert stored == {"ServerURL": token_registry.host, "Username": USER, "Secret": PASSWORD}
    reference = f"{token_registry.host}/private/app:v1"
    assert run("digest", reference, env=env).stdout == f"{reference.removesuffix(':v1')}@{BUILT.digest}\n".encode()
    assert run("logout", token_registry.host, env=env).returncode == 0
    assert not Path(f"{helper}.stored").exists()
    assert config_of(home) == {**config, "auths": {}}


def test_a_helper_that_fails_stores_nothing_elsewhere(
    token_registry: RealRegistry, home: Home, run: Run, tmp_path: Path
) -> None:
    helper = tmp_path / "bin" / "docker-credential-tests"
    helper.parent.mkdir()
    helper.write_text("#!/bin/sh\necho locked; exit 1\n")
    helper.chmod(0o755)
    home.docker_config({"credsStore": "tests"})
    env = {"PATH": f"{helper.parent}:{os.environ['PATH']}"}
    done = run("login", token_registry.host, "-u", USER, "--password-stdin", input=INPUT, env=env)
    assert done.returncode == 4
    assert b"docker-credential-tests failed (exit status 1) and printed 'locked'" in done.stderr
    assert config_of(home) == {"credsStore": "tests"}


@pytest.mark.parametrize("option", [(), ("--authfile",)])
def test_skopeo_uses_what_a_login_has_stored(
    token_registry: RealRegistry, home: Home, run: Run, tmp_path: Path, option: tuple[str, ...]
) -> None:
    file = tmp_path / "auth.json" if option else home.path / ".docker" / "config.json"
    place = (*option, str(file)) if option else ()
    assert run("login", token_registry.host, "-u", USER, "--password-stdin", *place, input=INPUT).returncode == 0
    command = [tool("skopeo"), "list-tags", "--tls-verify=false", "--authfile", file]
    done = subprocess.run([*command, f"docker://{token_registry.host}/private/app"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Tags"] == ["v1"]


def test_imgfetch_removes_a_login_of_podman(token_registry: RealRegistry, home: Home, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    login = [tool("podman"), "login", "--tls-verify=false", "--authfile", file, "-u", USER, "--password-stdin"]
    subprocess.run([*login, token_registry.host], input=INPUT, check=True, capture_output=True, timeout=60)
    assert json.loads(file.read_text()) == auths(token_registry.host)
    assert run("logout", token_registry.host, "--authfile", str(file)).returncode == 0
    assert json.loads(file.read_text()) == {"auths": {}}
    assert not (home.path / ".docker").exists()
