"""Whom we believe, and who we are to whom, against TLS servers on the loopback."""

from __future__ import annotations

import base64
import http.client
import logging
import os
import re
import select
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from imgfetch.errors import StorageError
from imgfetch.http import tls
from imgfetch.http.adapter import ContextAdapter
from imgfetch.http.tls import HostTls, TlsConfig
from tests import certificates
from tests.certificates import Certificates
from tests.tools import in_time, tool

REGISTRY = "registry.example"


@pytest.fixture
def server(made: Certificates) -> Iterator[Server]:
    with serving(made.server_cert, made.server_key) as server:
        yield server


@pytest.fixture
def strict_server(made: Certificates) -> Iterator[Server]:
    """Return a server that talks only to whom it knows."""
    with serving(made.server_cert, made.server_key, clients=made.ca) as server:
        yield server


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    (tmp_path / "certs.d").mkdir()
    return tmp_path / "certs.d"


def put(directory: Path, **files: Path) -> Path:
    """Copy files into a directory, ``ca_crt`` as ``ca.crt``."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, source in files.items():
        shutil.copy(source, directory / ".".join(name.rsplit("_", 1)))
    return directory


def context_by(*directories: Path) -> ssl.SSLContext:
    """Return whom the registry has to convince by what these directories hold."""
    return TlsConfig(certs_directories=directories).context(REGISTRY, 443)


def greet(context: ssl.SSLContext, server: Server, name: str = REGISTRY) -> str:
    """Return whom a server, which has this name for the moment, takes us for."""
    with (
        socket.create_connection(server.address, timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.read().decode()


def doubted(context: ssl.SSLContext, server: Server, name: str = REGISTRY) -> str:
    """Return why a server is not believed."""
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        greet(context, server, name)
    return str(caught.value.verify_message)


# ---- who is believed ----


def test_an_authority_that_nobody_knows_is_not_believed(server: Server) -> None:
    assert doubted(TlsConfig().context(REGISTRY, 443), server) == "unable to get local issuer certificate"


@pytest.mark.parametrize("way", ["ca-file", "certs.d", "bundle", "bundle directory", "bundle that is a directory"])
def test_an_authority_is_believed_that_is_named_by(way: str, server: Server, made: Certificates, certs: Path) -> None:
    def trusting(authority: Path) -> TlsConfig:
        match way:
            case "ca-file":
                return TlsConfig(ca_files=(authority,))
            case "certs.d":
                put(certs / REGISTRY, ca_crt=authority)
                return TlsConfig(certs_directories=(certs,))
            case "bundle":
                return TlsConfig(bundle=authority)
            case "bundle directory":
                return TlsConfig(bundle_directory=hashed(certs / authority.stem, authority))
            case _:
                return TlsConfig(bundle=hashed(certs / authority.stem, authority))

    doubted(trusting(made.another_ca).context(REGISTRY, 443), server)
    assert greet(trusting(made.ca).context(REGISTRY, 443), server) == "nobody"


@pytest.mark.skipif(sys.platform != "linux", reason="the variable stands for the system's store on Linux")
def test_the_systems_store_is_believed_besides_what_is_named(
    server: Server, made: Certificates, certs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(made.ca))  # what OpenSSL itself takes for the store
    put(certs / REGISTRY, ca_crt=made.another_ca)
    believing = TlsConfig(ca_files=(made.another_ca,), certs_directories=(certs,))
    assert greet(believing.context(REGISTRY, 443), server) == "nobody"


@pytest.mark.skipif(sys.platform != "linux", reason="the variable stands for the system's store on Linux")
def test_a_bundle_stands_in_for_the_systems_store(
    server: Server, made: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(made.ca))
    doubted(TlsConfig(bundle=made.another_ca).context(REGISTRY, 443), server)


@pytest.mark.parametrize("way", ["ca-file", "certs.d", "directory"])
def test_to_a_bundle_is_added(way: str, server: Server, made: Certificates, certs: Path) -> None:
    put(certs / REGISTRY, ca_crt=made.ca)
    options: dict[str, dict[str, Any]] = {
        "ca-file": {"ca_files": (made.ca,)},
        "certs.d": {"certs_directories": (certs,)},
        "directory": {"bundle_directory": hashed(certs / "hashed", made.ca)},
    }
    assert greet(TlsConfig(bundle=made.another_ca, **options[way]).context(REGISTRY, 443), server) == "nobody"


def test_several_ca_files_are_all_believed(server: Server, made: Certificates) -> None:
    believing = TlsConfig(ca_files=(made.another_ca, made.ca))
    assert greet(believing.context(REGISTRY, 443), server) == "nobody"


def test_a_servers_own_certificate_can_be_an_authority(server: Server, made: Certificates, certs: Path) -> None:
    put(certs / REGISTRY, server_crt=made.server_cert)
    assert greet(context_by(certs), server) == "nobody"  # so does Go, and docker with it


@pytest.mark.parametrize(
    ("name", "is_meant"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        (REGISTRY, True),
        ("cache.registry.example", True),
        ("elsewhere.test", False),
        ("registry.example.elsewhere.test", False),
        ("127.0.0.2", False),
    ],
)
def test_a_certificate_is_for_the_names_that_it_bears(
    server: Server, made: Certificates, name: str, *, is_meant: bool
) -> None:
    context = TlsConfig(ca_files=(made.ca,)).context(name, 443)
    if is_meant:
        assert greet(context, server, name) == "nobody"
    else:
        assert "mismatch" in doubted(context, server, name)


@pytest.mark.parametrize(
    ("which", "reason"),
    [("wrong_name_cert", "Hostname mismatch"), ("expired_cert", "certificate has expired")],
    ids=["another name", "expired"],
)
def test_a_known_authority_does_not_make_up_for(which: str, reason: str, made: Certificates) -> None:
    with serving(getattr(made, which), made.server_key) as server:
        assert reason in doubted(TlsConfig(ca_files=(made.ca,)).context(REGISTRY, 443), server)


@pytest.mark.parametrize("kind", ["system", "bundle", "insecure"])
def test_nothing_older_than_tls_1_2_is_spoken(kind: str, made: Certificates) -> None:
    options: dict[str, dict[str, Any]] = {
        "system": {},
        "bundle": {"bundle": made.ca},
        "insecure": {"insecure": frozenset({REGISTRY})},
    }
    assert TlsConfig(**options[kind]).context(REGISTRY, 443).minimum_version == ssl.TLSVersion.TLSv1_2


# ---- certs.d ----


@pytest.mark.parametrize(
    ("host", "port", "directory", "is_its_own"),
    [
        (REGISTRY, 443, "registry.example", True),
        (REGISTRY, 443, "registry.example:443", True),
        (REGISTRY, 443, "registry.example_443_", True),
        (REGISTRY, 5000, "registry.example:5000", True),
        (REGISTRY, 5000, "registry.example_5000_", True),
        ("Registry.EXAMPLE", 5000, "registry.example:5000", True),
        (REGISTRY, 5000, "registry.example", False),
        (REGISTRY, 5000, "registry.example:443", False),
        (REGISTRY, 443, "registry.example:5000", False),
        (REGISTRY, 443, "example", False),
        (REGISTRY, 443, "_default", False),
        ("cache.registry.example", 443, "registry.example", False),
        ("registry-1.docker.io", 443, "docker.io", True),
        ("registry-1.docker.io", 443, "docker.io:443", True),
        ("registry-1.docker.io", 443, "registry-1.docker.io", True),
        ("registry-1.docker.io", 5000, "docker.io", False),
        ("auth.docker.io", 443, "docker.io", False),
        ("127.0.0.1", 5000, "127.0.0.1:5000", True),
        ("::1", 5000, "[::1]:5000", True),
        ("::1", 443, "[::1]", True),
        ("..", 443, "..", False),
        (".", 443, ".", False),
        ("", 443, "", False),
        ("a/../registry.example", 443, "registry.example", False),
    ],
)
def test_a_host_has_a_directory_of_its_own(
    server: Server, made: Certificates, certs: Path, *, host: str, port: int, directory: str, is_its_own: bool
) -> None:
    put(certs / directory, ca_crt=made.ca)
    (certs / "a").mkdir(exist_ok=True)
    context = TlsConfig(certs_directories=(certs,)).context(host, port)
    if is_its_own:
        assert greet(context, server) == "nobody"
    else:
        doubted(context, server)


def test_the_first_directory_that_has_something_counts_alone(
    server: Server, made: Certificates, tmp_path: Path
) -> None:
    first = put(tmp_path / "first" / REGISTRY, ca_crt=made.another_ca).parent
    second = put(tmp_path / "second" / REGISTRY, ca_crt=made.ca).parent
    doubted(context_by(first, second), server)  # as podman does
    assert greet(context_by(second, first), server) == "nobody"


@pytest.mark.parametrize("what", ["no directory", "an empty one", "a file", "other files", "hosts.toml"])
def test_a_directory_is_passed_over_that_is(
    what: str, server: Server, made: Certificates, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    first = tmp_path / "first"
    first.mkdir()
    match what:
        case "an empty one":
            (first / REGISTRY).mkdir()
        case "a file":
            (first / REGISTRY).touch()
        case "other files":
            put(first / REGISTRY, ca_pem=made.another_ca, README_txt=made.another_ca)
        case "hosts.toml":  # containerd's, whose pair may be meant for a mirror
            put(first / REGISTRY, hosts_toml=made.ca, mirror_key=made.client_key)
    second = put(tmp_path / "second" / REGISTRY, ca_crt=made.ca).parent
    assert greet(context_by(first, second), server) == "nobody"
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
    passed_over = [record.getMessage() for record in caplog.records if "skipping" in record.getMessage()]
    assert passed_over == ([f"skipping {first / REGISTRY}: Not a directory"] if what == "a file" else [])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_directory_that_may_not_be_read_is_passed_over(
    server: Server, made: Certificates, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    first = put(tmp_path / "first" / REGISTRY, ca_crt=made.another_ca)
    second = put(tmp_path / "second" / REGISTRY, ca_crt=made.ca)
    first.chmod(0)
    try:
        context = context_by(first.parent, second.parent)
    finally:
        first.chmod(0o700)
    assert greet(context, server) == "nobody"
    assert f"skipping {first}: Permission denied" in caplog.messages


@pytest.mark.parametrize("content", ["", "not a certificate", None], ids=["empty", "text", "leads nowhere"])
def test_a_crt_that_holds_nothing_is_passed_over_with_a_warning(
    server: Server, made: Certificates, certs: Path, caplog: pytest.LogCaptureFixture, content: str | None
) -> None:
    directory = put(certs / REGISTRY, ca_crt=made.ca)
    if content is None:
        (directory / "bad.crt").symlink_to(directory / "gone")
    else:
        (directory / "bad.crt").write_text(content)
    assert greet(context_by(certs), server) == "nobody"
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"cannot use {directory / 'bad.crt'}: ")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_crt_that_may_not_be_read_is_an_error(made: Certificates, certs: Path) -> None:
    directory = put(certs / REGISTRY, ca_crt=made.ca)
    (directory / "ca.crt").chmod(0)
    with pytest.raises(StorageError, match=r"cannot use .*/ca\.crt: Permission denied"):
        context_by(certs)


# ---- files that options and variables name ----


@pytest.mark.parametrize("kind", ["missing", "empty", "key", "broken", "directory"])
def test_a_named_file_that_is_no_authority_is_an_error(kind: str, made: Certificates, tmp_path: Path) -> None:
    path = tmp_path / "named.pem"
    match kind:
        case "empty":
            path.touch()
        case "key":
            shutil.copy(made.server_key, path)
        case "broken":
            path.write_text(made.ca.read_text().replace("M", "N"))
        case "directory":
            path.mkdir()
    with pytest.raises(StorageError) as caught:
        TlsConfig(ca_files=(path,)).context(REGISTRY, 443)
    reason = {"missing": "No such file or directory", "directory": "Is a directory"}.get(
        kind, "not a valid PEM certificate"
    )
    assert str(caught.value) == f"--ca-file {path}: {reason}"
    assert caught.value.hint == (None if kind == "missing" else "--ca-file expects CA certificates in PEM form")


def test_a_bundle_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"SSL_CERT_FILE or REQUESTS_CA_BUNDLE .*/gone\.pem: No such file") as caught:
        TlsConfig(bundle=tmp_path / "gone.pem").context(REGISTRY, 443)
    assert caught.value.hint is None


FILES = ["ca-file", "bundle", "ca.crt", "client.cert", "client.key", "bundle directory", "bundle that is a directory"]


@pytest.mark.parametrize("kind", ["pipe", "endless", "huge"])
@pytest.mark.parametrize("place", FILES)
def test_no_certificate_is_waited_for_or_read_without_an_end(
    place: str, kind: str, made: Certificates, certs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = put(certs / REGISTRY, ca_crt=made.ca, client_cert=made.client_cert, client_key=made.client_key)
    in_directory = "directory" in place
    path = directory / (place if "." in place else "0a1b2c3d.0" if in_directory else "named.pem")
    path.unlink(missing_ok=True)
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "endless":
            path.symlink_to("/dev/zero")
        case _:
            path.touch()
            os.truncate(path, 1 << 40)
    trust = TlsConfig(certs_directories=(certs,))
    match place:
        case "ca-file":
            trust = TlsConfig(ca_files=(path,))
        case "bundle":
            trust = TlsConfig(bundle=path)
        case "bundle directory":
            trust = TlsConfig(bundle_directory=Path(f"{certs}:{directory}"))
        case "bundle that is a directory":
            trust = TlsConfig(bundle=directory)
    if place == "ca.crt":  # it is skipped, as one with other content is
        with in_time(20):
            trust.context(REGISTRY, 443)
        assert re.search(rf"cannot use {path}: .*(not a regular file|larger than .* bytes).*; skipping it", caplog.text)
        return
    with in_time(20), pytest.raises(StorageError, match=r"not a regular file|larger than") as caught:
        trust.context(REGISTRY, 443)
    assert str(path) in str(caught.value)


def test_an_authority_may_come_from_a_pipe_and_is_for_all_hosts(server: Server, made: Certificates) -> None:
    end, other = os.pipe()
    os.write(other, made.ca.read_bytes())
    os.close(other)
    trust = TlsConfig(ca_files=(Path(f"/dev/fd/{end}"),))
    contexts = [trust.context(REGISTRY, 443), trust.context("another.example", 443)]
    os.close(end)
    assert [greet(context, server) for context in contexts] == ["nobody"] * 2


def test_a_file_with_authorities_may_have_comments_in_any_language(
    server: Server, made: Certificates, tmp_path: Path
) -> None:
    path = tmp_path / "bundle.pem"
    path.write_bytes(
        "# F\u0151tan\u00fas\u00edtv\u00e1ny\n".encode()
        + made.another_ca.read_bytes()
        + b"\xff\n"
        + made.ca.read_bytes()
    )
    assert greet(TlsConfig(bundle=path).context(REGISTRY, 443), server) == "nobody"


# ---- client certificates ----


def test_a_client_certificate_says_who_we_are(strict_server: Server, made: Certificates, certs: Path) -> None:
    put(certs / REGISTRY, ca_crt=made.ca, client_cert=made.client_cert, client_key=made.client_key)
    assert greet(context_by(certs), strict_server) == "client"


def test_without_a_client_certificate_a_server_that_wants_one_says_no(
    strict_server: Server, made: Certificates
) -> None:
    with pytest.raises(OSError, match=r"certificate required|reset|broken pipe|EOF"):
        greet(TlsConfig(ca_files=(made.ca,)).context(REGISTRY, 443), strict_server)


@pytest.mark.parametrize(
    ("host", "port"), [(REGISTRY, 5000), ("cache.registry.example", 443)], ids=["another port", "another host"]
)
def test_a_client_certificate_is_shown_to_its_own_host_only(
    made: Certificates, certs: Path, host: str, port: int
) -> None:
    put(certs / REGISTRY, client_cert=made.client_cert, client_key=made.client_key)
    believing = TlsConfig(ca_files=(made.ca,), certs_directories=(certs,))
    with serving(made.server_cert, made.server_key, clients=made.ca, demanding=False) as server:
        assert greet(believing.context(host, port), server) == "nobody"
        assert greet(believing.context(REGISTRY, 443, client_certificate=False), server) == "nobody"
        assert greet(believing.context(REGISTRY, 443), server) == "client"


def test_of_several_client_certificates_the_first_by_name_is_shown(
    strict_server: Server, made: Certificates, certs: Path
) -> None:
    directory = put(certs / REGISTRY, ca_crt=made.ca, a_cert=made.client_cert, a_key=made.client_key)
    put(directory, b_cert=made.server_cert, b_key=made.server_key)
    assert greet(context_by(certs), strict_server) == "client"


def of_host(*authorities: Path, pair: tuple[Path, Path] | None = None) -> TlsConfig:
    """Return the settings for one host and port alone, as hosts.toml and registries.yaml have them."""
    return TlsConfig(hosts={(REGISTRY, 443): HostTls(authorities, (pair,) if pair else ())})


@pytest.mark.parametrize("is_one_file", [False, True], ids=["two files", "one file"])
def test_certificates_for_one_host_are_used_there(
    strict_server: Server, made: Certificates, tmp_path: Path, *, is_one_file: bool
) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(made.client_cert.read_bytes() + made.client_key.read_bytes())
    pair = (both, both) if is_one_file else (made.client_cert, made.client_key)
    trust = of_host(made.another_ca, made.ca, pair=pair)
    assert greet(trust.context(REGISTRY, 443), strict_server) == "client"
    assert greet(trust.context(REGISTRY.upper(), 443), strict_server) == "client"
    with pytest.raises(OSError, match=r"certificate required|reset|broken pipe|EOF"):
        greet(trust.context(REGISTRY, 443, client_certificate=False), strict_server)


@pytest.mark.parametrize(("host", "port"), [(REGISTRY, 8443), ("cache.registry.example", 443)])
def test_certificates_for_one_host_are_used_nowhere_else(
    server: Server, strict_server: Server, made: Certificates, host: str, port: int
) -> None:
    trust = of_host(made.ca, pair=(made.client_cert, made.client_key))
    doubted(trust.context(host, port), server)
    believing = trust._replace(ca_files=(made.ca,))
    assert greet(believing.context(host, port), server) == "nobody"
    with pytest.raises(OSError, match=r"certificate required|reset|broken pipe|EOF"):
        greet(believing.context(host, port), strict_server)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"], ids=["absent", "empty", "malformed"])
def test_an_authority_for_one_host_that_cannot_be_used_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StorageError, match=r"the CA file .*ca\.pem: (not a valid PEM|No such file)"):
        of_host(path).context(REGISTRY, 443)


@pytest.mark.parametrize(("there", "wanted"), [("client.cert", "client.key"), ("client.key", "client.cert")])
def test_half_a_client_certificate_is_an_error(made: Certificates, certs: Path, there: str, wanted: str) -> None:
    directory = put(certs / REGISTRY, ca_crt=made.ca)
    shutil.copy(made.ca, directory / there)
    with pytest.raises(StorageError) as caught:
        context_by(certs)
    message = f"{directory / there} needs {wanted} beside it; a CA file's name must end in .crt"
    assert str(caught.value) == message


def test_a_key_of_another_certificate_is_an_error(made: Certificates, certs: Path) -> None:
    directory = put(certs / REGISTRY, client_cert=made.client_cert, client_key=made.server_key)
    with pytest.raises(StorageError) as caught:
        context_by(certs)
    both = f"{directory / 'client.cert'} with {directory / 'client.key'}"
    assert str(caught.value) == f"cannot use {both}: KEY_VALUES_MISMATCH"


def test_a_key_that_leads_nowhere_is_an_error(made: Certificates, certs: Path) -> None:
    directory = put(certs / REGISTRY, client_cert=made.client_cert)
    (directory / "client.key").symlink_to(directory / "gone")
    with pytest.raises(StorageError, match=r"cannot use .*/client.cert with .*/client.key: No such file"):
        context_by(certs)


def test_nobody_is_asked_for_the_password_of_a_key(made: Certificates, certs: Path) -> None:
    directory = put(certs / REGISTRY, client_cert=made.client_cert)
    certificates.encrypted(made.client_key, directory / "client.key")
    with pytest.raises(StorageError, match=r"the key .*/client.key is encrypted"):
        context_by(certs)


# ---- --insecure ----


@pytest.mark.parametrize("which", ["server_cert", "wrong_name_cert", "expired_cert"])
def test_a_host_named_as_insecure_is_taken_at_its_word(which: str, made: Certificates) -> None:
    with serving(getattr(made, which), made.server_key) as server:
        believing = TlsConfig(insecure=frozenset({REGISTRY}))
        assert greet(believing.context(REGISTRY, 443), server) == "nobody"
        doubted(believing.context("cache.registry.example", 443), server, "cache.registry.example")


@pytest.mark.parametrize(
    ("named", "host", "port", "is_insecure"),
    [
        ("registry.example", REGISTRY, 443, True),
        ("registry.example", REGISTRY, 5000, True),
        ("registry.example:5000", REGISTRY, 5000, True),
        ("Registry.Example:5000", "registry.EXAMPLE", 5000, True),
        ("registry.example:5000", REGISTRY, 443, False),
        ("registry.example:5000", REGISTRY, 500, False),
        ("registry.example", "cache.registry.example", 443, False),
        ("registry.example", "registry.example.elsewhere.test", 443, False),
        ("registry.example", "notregistry.example", 443, False),
        ("example", REGISTRY, 443, False),
        ("*", REGISTRY, 443, False),
        ("", REGISTRY, 443, False),
        ("docker.io", "registry-1.docker.io", 443, True),
        ("docker.io", "auth.docker.io", 443, False),
        ("::1", "::1", 5000, True),
        ("[::1]", "::1", 5000, True),
        ("[::1]:5000", "::1", 5000, True),
        ("[::1]:5000", "::1", 5001, False),
    ],
)
def test_only_a_host_that_is_named_is_insecure(named: str, host: str, port: int, *, is_insecure: bool) -> None:
    assert TlsConfig(insecure=frozenset({named})).is_insecure(host, port) == is_insecure


def test_an_insecure_host_is_warned_of_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    believing = TlsConfig(insecure=frozenset({REGISTRY}))
    believing.context("elsewhere.test", 443)
    assert caplog.messages == []
    believing.context(REGISTRY, 5000)
    warning = "the certificate of registry.example:5000 is not verified because of --insecure"
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(logging.WARNING, warning)]


def test_a_host_that_a_file_calls_insecure_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    believing = TlsConfig(exempt=frozenset({REGISTRY}))
    assert believing.context(REGISTRY, 443).verify_mode == ssl.CERT_NONE
    assert believing.context("elsewhere.test", 443).verify_mode == ssl.CERT_REQUIRED
    message = "the certificate of registry.example:443 is not verified because of a configuration file"
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(logging.INFO, message)]


def test_an_insecure_host_is_still_told_who_we_are(
    strict_server: Server, made: Certificates, certs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = put(certs / REGISTRY, client_cert=made.client_cert, client_key=made.client_key)
    (directory / "bad.crt").touch()
    believing = TlsConfig(certs_directories=(certs,), insecure=frozenset({REGISTRY}))
    assert greet(believing.context(REGISTRY, 443), strict_server) == "client"
    assert len(caplog.messages) == 1  # nobody asks for the authority


# ---- what the environment says ----


CONTAINERS, DOCKER, CONTAINERD = "/etc/containers", "/etc/docker", "/etc/containerd"
OWN_CONTAINERS = "/home/me/.config/containers"


@pytest.mark.parametrize(
    ("environment", "home", "certs_dir", "directories"),
    [
        pytest.param({}, None, None, [CONTAINERS, DOCKER, CONTAINERD], id="nobody's"),
        pytest.param(
            {},
            Path("/home/me"),
            None,
            [OWN_CONTAINERS, CONTAINERS, DOCKER, "/home/me/.config/docker", CONTAINERD],
            id="somebody's",
        ),
        pytest.param(
            {"XDG_CONFIG_HOME": "/config"},
            Path("/home/me"),
            Path("/given/certs.d"),
            ["/given", OWN_CONTAINERS, CONTAINERS, DOCKER, "/config/docker", CONTAINERD],
            id="all that can be said",
        ),
        pytest.param(
            {"XDG_CONFIG_HOME": "relative"}, None, None, [CONTAINERS, DOCKER, CONTAINERD], id="a relative path"
        ),
    ],
)
def test_certificates_are_looked_for_in(
    environment: dict[str, str], home: Path | None, certs_dir: Path | None, directories: list[str]
) -> None:
    expected = tuple(Path(directory, "certs.d") for directory in directories)
    assert tls.certs_directories(environment, home, certs_dir) == expected


@pytest.mark.parametrize(
    ("environment", "bundle", "directory"),
    [
        ({}, None, None),
        ({"SSL_CERT_FILE": "/a", "SSL_CERT_DIR": "/d", "REQUESTS_CA_BUNDLE": "/b"}, Path("/a"), Path("/d")),
        ({"REQUESTS_CA_BUNDLE": "/b"}, Path("/b"), None),
        ({"SSL_CERT_FILE": "", "SSL_CERT_DIR": "", "REQUESTS_CA_BUNDLE": ""}, None, None),
        ({"CURL_CA_BUNDLE": "/c"}, None, None),
    ],
    ids=["nothing", "all", "requests' alone", "nothing, at length", "curl's"],
)
def test_the_environment_names_a_bundle(
    environment: dict[str, str], bundle: Path | None, directory: Path | None
) -> None:
    believing = tls.from_environment(environment, None)
    assert (believing.bundle, believing.bundle_directory) == (bundle, directory)


def test_options_and_environment_make_up_whom_to_trust(tmp_path: Path) -> None:
    assert tls.from_environment(
        {"SSL_CERT_FILE": "/a"}, None, ca_files=[Path("/x"), Path("/y")], certs_dir=tmp_path, insecure=[REGISTRY]
    ) == TlsConfig(
        ca_files=(Path("/x"), Path("/y")),
        certs_directories=tls.certs_directories({}, None, tmp_path),
        insecure=frozenset({REGISTRY}),
        bundle=Path("/a"),
    )


# ---- the adapter ----


@contextmanager
def adapter(context: ssl.SSLContext, proxy_context: ssl.SSLContext | None = None) -> Iterator[ContextAdapter]:
    made = ContextAdapter(context, most=2, proxy_context=lambda: proxy_context or TlsConfig().common())
    yield made
    made.close()


def ask(adapter: requests.adapters.HTTPAdapter, url: str, proxy: str | None = None, **options: Any) -> str:
    """Return whom the server at a URL takes us for."""
    request = requests.Request("GET", url, headers={"Authorization": "Bearer TOKEN"}).prepare()
    proxies = {"https": proxy, "http": proxy} if proxy else None
    answer = adapter.send(request, timeout=30, proxies=proxies, **options)
    with answer:
        assert answer.status_code == 200
        return answer.text


def test_the_adapter_believes_whom_the_context_believes(server: Server, made: Certificates) -> None:
    with adapter(TlsConfig(ca_files=(made.ca,)).context("127.0.0.1", server.port)) as ours:
        for host in ("127.0.0.1", "localhost"):
            assert ask(ours, f"https://{host}:{server.port}/") == "nobody"


@pytest.mark.parametrize("verify", ["true", "the authority", "false"])
def test_the_adapter_believes_nobody_else_whatever_is_asked_of_it(
    verify: str, server: Server, made: Certificates
) -> None:
    url = f"https://127.0.0.1:{server.port}/"
    values: dict[str, bool | str] = {"true": True, "the authority": str(made.ca), "false": False}
    asked = values[verify]
    with adapter(TlsConfig().context("127.0.0.1", server.port)) as ours:
        with pytest.raises(requests.exceptions.SSLError, match="unable to get local issuer"):
            ask(ours, url, verify=asked)
        pool = ours.get_connection_with_tls_context(requests.Request("GET", url).prepare(), verify=asked)
        assert (pool.ca_certs, pool.ca_cert_dir, pool.cert_reqs) == (None, None, None)  # type: ignore[attr-defined]


def test_the_adapter_of_requests_would_have_believed(server: Server, made: Certificates) -> None:
    theirs = requests.adapters.HTTPAdapter()
    assert ask(theirs, f"https://127.0.0.1:{server.port}/", verify=str(made.ca)) == "nobody"
    theirs.close()


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_the_adapter_leaves_a_context_as_it_is(server: Server) -> None:
    context = TlsConfig(insecure=frozenset({"127.0.0.1"})).context("127.0.0.1", server.port)
    with adapter(context) as ours:
        assert ask(ours, f"https://127.0.0.1:{server.port}/", verify=True) == "nobody"
    assert context.verify_mode == ssl.CERT_NONE
    assert not context.check_hostname


def test_the_adapter_shows_the_contexts_client_certificate(
    strict_server: Server, made: Certificates, certs: Path
) -> None:
    put(
        certs / f"127.0.0.1:{strict_server.port}",
        ca_crt=made.ca,
        client_cert=made.client_cert,
        client_key=made.client_key,
    )
    with adapter(TlsConfig(certs_directories=(certs,)).context("127.0.0.1", strict_server.port)) as ours:
        assert ask(ours, f"https://127.0.0.1:{strict_server.port}/") == "client"
        assert ask(ours, f"https://127.0.0.1:{strict_server.port}/", verify=True, cert=None) == "client"


def test_the_adapter_repeats_nothing() -> None:
    with adapter(TlsConfig().context(REGISTRY, 443)) as ours:
        assert ours.max_retries.total == 0


def test_through_a_proxy_it_is_the_hosts_certificate_that_counts(
    strict_server: Server, made: Certificates, certs: Path
) -> None:
    put(certs / REGISTRY, ca_crt=made.ca, client_cert=made.client_cert, client_key=made.client_key)
    believing = TlsConfig(certs_directories=(certs,))
    with tunnelling(strict_server) as tunnel:
        with adapter(believing.context(REGISTRY, 443)) as ours:
            assert ask(ours, f"https://{REGISTRY}/", f"http://127.0.0.1:{tunnel.port}") == "client"
            with pytest.raises(requests.exceptions.SSLError, match="mismatch"):
                ask(ours, "https://elsewhere.test/", f"http://127.0.0.1:{tunnel.port}")
        with adapter(believing.context("elsewhere.test", 443)) as ours, pytest.raises(requests.exceptions.SSLError):
            ask(ours, f"https://{REGISTRY}/", f"http://127.0.0.1:{tunnel.port}")
        assert tunnel.asked == [
            "CONNECT registry.example:443",
            "CONNECT elsewhere.test:443",
            "CONNECT registry.example:443",
        ]


@pytest.mark.parametrize(
    ("login", "sent"),
    [("user:pass@", "user:pass"), ("me:%D0%BF%C3%BC%3A%40@", "me:пü:@"), ("me:@", "me:"), ("", None)],
    ids=["plain", "encoded", "no password", "none"],
)
def test_a_login_goes_to_the_proxy_and_not_to_the_host(
    server: Server, made: Certificates, login: str, sent: str | None
) -> None:
    with tunnelling(server) as tunnel, adapter(TlsConfig(ca_files=(made.ca,)).context(REGISTRY, 443)) as ours:
        ask(ours, f"https://{REGISTRY}/", f"http://{login}127.0.0.1:{tunnel.port}")
        expected = sent and f"Basic {base64.b64encode(sent.encode()).decode()}"
        assert tunnel.headers[0].get("Proxy-Authorization") == expected
        assert "Authorization" not in tunnel.headers[0]
        assert server.headers[0]["Authorization"] == "Bearer TOKEN"
        assert "Proxy-Authorization" not in server.headers[0]


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_an_https_proxy_is_checked_even_if_the_host_is_not(scheme: str, server: Server, made: Certificates) -> None:
    context = TlsConfig(insecure=frozenset({REGISTRY})).context(REGISTRY, 443)
    with tunnelling(server, made) as tunnel, adapter(context) as ours:
        with pytest.raises(requests.exceptions.RequestException, match="CERTIFICATE_VERIFY_FAILED"):
            ask(ours, f"{scheme}://{REGISTRY}/", f"https://127.0.0.1:{tunnel.port}", verify=False)
        assert tunnel.asked == []


def test_an_https_proxy_is_believed_by_its_own_context_and_not_told_who_we_are(
    strict_server: Server, made: Certificates, certs: Path
) -> None:
    put(certs / REGISTRY, client_cert=made.client_cert, client_key=made.client_key)
    believing = TlsConfig(ca_files=(made.ca,), certs_directories=(certs,))
    with tunnelling(strict_server, made) as tunnel:
        proxy_context = believing.context("127.0.0.1", tunnel.port)
        with adapter(believing.context(REGISTRY, 443), proxy_context) as ours:
            assert ask(ours, f"https://{REGISTRY}/", f"https://127.0.0.1:{tunnel.port}") == "client"
        assert tunnel.clients == ["nobody"]


# ---- servers ----


def hashed(directory: Path, authority: Path) -> Path:
    """Return a directory that holds an authority under the name by which OpenSSL looks it up."""
    command = [tool("openssl"), "x509", "-in", str(authority), "-noout", "-hash"]
    name = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()
    directory.mkdir()
    shutil.copy(authority, directory / f"{name}.0")
    return directory


def client_of(connection: Any) -> str:
    """Return the common name that the other side has proven, or ``nobody``."""
    certificate: dict[str, Any] = getattr(connection, "getpeercert", dict)() or {}
    subject: dict[str, str] = dict(field[0] for field in certificate.get("subject", ()))
    return subject.get("commonName", "nobody")


def server_context(certificate: Path, key: Path, clients: Path | None, *, demanding: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if clients:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED if demanding else ssl.CERT_OPTIONAL
    return context


class _Secured(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Shakes hands in the thread of a connection, so that a client that goes away hurts nobody."""

    daemon_threads = True
    context: ssl.SSLContext | None = None

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(30)
        try:
            if self.context is None:
                super().finish_request(request, client_address)
                return
            with self.context.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)
        except OSError:  # we were not believed, or did not believe
            pass


class Server(_Secured, ThreadingHTTPServer):
    """Tells every client whom it takes it for."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.context = context
        self.headers: list[dict[str, str]] = []


class _Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.headers.append(dict(self.headers.items()))
        body = client_of(self.connection).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class Tunnel(_Secured):
    """A proxy by whose lights all hosts are one server."""

    def __init__(self, behind: Server, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Connect)
        self.context = context
        self.behind = behind
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.clients: list[str] = []


class _Connect(socketserver.StreamRequestHandler):
    server: Tunnel

    def handle(self) -> None:
        self.server.asked.append(self.rfile.readline().decode().rpartition(" ")[0])
        self.server.headers.append(dict(http.client.parse_headers(self.rfile).items()))
        self.server.clients.append(client_of(self.connection))
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(self.server.behind.address, timeout=30) as behind:
            _relay(self.connection, behind)


def _relay(one: Any, other: Any) -> None:
    """Pass on what each says to the other, until one is silent for too long or ends."""
    while True:
        waiting = one.pending() if isinstance(one, ssl.SSLSocket) else 0
        ready = [one] if waiting else select.select([one, other], [], [], 30)[0]
        for source in ready:
            if not (data := source.recv(65536)):
                return
            (other if source is one else one).sendall(data)
        if not ready:
            return


@contextmanager
def running(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(30)


@contextmanager
def serving(certificate: Path, key: Path, *, clients: Path | None = None, demanding: bool = True) -> Iterator[Server]:
    """Serve https on a free port; ``clients`` is the authority of whom it knows."""
    with running(Server(server_context(certificate, key, clients, demanding=demanding))) as server:
        yield server


@contextmanager
def tunnelling(behind: Server, made: Certificates | None = None) -> Iterator[Tunnel]:
    """Be a proxy, one that is reached by https if there are certificates."""
    context = server_context(made.server_cert, made.server_key, made.ca, demanding=False) if made else None
    with running(Tunnel(behind, context)) as tunnel:
        yield tunnel
