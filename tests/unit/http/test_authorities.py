"""The system's authorities, which are read once, and only for the hosts that need no others."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imgfetch.errors import StorageError
from imgfetch.http import authorities
from imgfetch.http.client import HttpClient
from imgfetch.http.origin import Origin
from imgfetch.http.tls import TlsConfig
from imgfetch.tolerance import Tolerance
from tests.certificates import Certificates

Paths = ssl.DefaultVerifyPaths
NOWHERE = Paths(None, None, "SSL_CERT_FILE", "/nowhere/cert.pem", "SSL_CERT_DIR", "/nowhere/certs")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Let OpenSSL find nothing where it looks, and the system have the given files."""

    def place(*stores: Path, **found: str) -> None:
        monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: NOWHERE._replace(**found))
        monkeypatch.setattr(authorities, "_STORES", tuple(map(str, stores)))

    authorities._system_context.cache_clear()
    yield place
    authorities._system_context.cache_clear()


def trusted(context: ssl.SSLContext) -> int:
    return context.cert_store_stats()["x509_ca"]


def test_a_python_that_looks_elsewhere_finds_the_first_store_of_the_system(
    made: Certificates, tmp_path: Path, elsewhere: Callable[..., None]
) -> None:
    elsewhere(tmp_path / "absent.pem", made.ca, made.another_ca)
    assert [certificate["subject"] for certificate in authorities.system_context().get_ca_certs()] == [
        TlsConfig(bundle=made.ca).common().get_ca_certs()[0]["subject"]
    ]


def test_an_empty_directory_does_not_count_as_the_systems_store(
    made: Certificates, tmp_path: Path, elsewhere: Callable[..., None]
) -> None:
    elsewhere(made.ca, capath=str(tmp_path))
    assert trusted(authorities.system_context()) == 1


def test_a_machine_without_authorities_trusts_nobody(elsewhere: Callable[..., None]) -> None:
    elsewhere()
    assert trusted(authorities.system_context()) == 0


def test_a_damaged_store_of_the_system_is_an_error(tmp_path: Path, elsewhere: Callable[..., None]) -> None:
    (tmp_path / "damaged.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    elsewhere(tmp_path / "damaged.pem")
    with pytest.raises(StorageError, match=r"the system's authorities in \S+damaged\.pem: not a valid PEM certificate"):
        authorities.system_context()


def test_hosts_without_authorities_of_their_own_share_one_context(tmp_path: Path) -> None:
    trust = TlsConfig(certs_directories=(tmp_path,))
    contexts = {id(trust.context(host, 443)) for host in ("a.example", "b.example")}
    assert contexts == {id(authorities.system_context())}
    assert trust.common() is authorities.system_context()


def test_hosts_of_a_client_share_what_is_read_from_files(made: Certificates) -> None:
    client = HttpClient(tolerance=Tolerance(), trust=TlsConfig(ca_files=(made.ca,)))
    contexts = {id(client._context(Origin("https", host, 443), identify=True)) for host in ("a.example", "b.example")}
    assert len(contexts) == 1


@pytest.mark.parametrize("way", ["ca-file", "certs.d", "client certificate", "insecure"])
def test_whatever_is_added_for_one_host_stays_out_of_the_shared_context(
    way: str, made: Certificates, tmp_path: Path
) -> None:
    before = trusted(authorities.system_context())
    directory = tmp_path / "host.example"
    directory.mkdir()
    if way == "certs.d":
        (directory / "ca.crt").write_bytes(made.ca.read_bytes())
    if way == "client certificate":
        (directory / "client.cert").write_bytes(made.client_cert.read_bytes())
        (directory / "client.key").write_bytes(made.client_key.read_bytes())
    trust = TlsConfig(
        ca_files=(made.ca,) if way == "ca-file" else (),
        insecure=frozenset({"host.example"} if way == "insecure" else ()),
        certs_directories=(tmp_path,),
    )
    assert trust.context("host.example", 443) is not authorities.system_context()
    assert trusted(authorities.system_context()) == before
    assert authorities.system_context().verify_mode == ssl.CERT_REQUIRED
    assert authorities.system_context().check_hostname


def test_handshakes_with_one_host_do_not_wait_for_each_other() -> None:
    context = TlsConfig().context("host.example", 443)
    greeted = threading.Barrier(3, timeout=30)

    def greet(server: socket.socket, client: socket.socket) -> None:
        def wait() -> None:
            server.recv(1)  # the client has begun its handshake
            greeted.wait()
            server.close()

        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        with client, pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(client, server_hostname="host.example")
        waiting.join(30)

    both = [threading.Thread(target=greet, args=socket.socketpair(), daemon=True) for _ in range(2)]
    for each in both:
        each.start()
    greeted.wait()  # fails if one of them has to wait for the other
    for each in both:
        each.join(30)
