from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from imgfetch import peercert
from tests import certificates
from tests.loopback import Loopback


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> certificates.Certificates:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


def der(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def test_a_certificate_says_whom_it_is_for_and_by_whom(made: certificates.Certificates) -> None:
    assert peercert.names(der(made.server_cert)) == "it is for server, by imgfetch test ca"
    assert peercert.names(der(made.ca)) == "it is for imgfetch test ca, by imgfetch test ca"


@pytest.mark.parametrize("content", [b"", b"\x30", b"\x30\x05abc", b"\x30\x84\xff\xff\xff\xff", b"no certificate"])
def test_what_is_no_certificate_says_nothing(content: bytes) -> None:
    assert peercert.names(content) == ""


def test_a_certificate_that_is_cut_says_nothing_or_the_same(made: certificates.Certificates) -> None:
    whole = der(made.server_cert)
    assert {peercert.names(whole[:length]) for length in range(len(whole))} == {""}


def test_a_server_without_tls_says_nothing(loopback: Loopback) -> None:
    host, _, port = loopback.host.partition(":")
    assert peercert.describe(host, int(port)) == ""


def test_nobody_says_nothing() -> None:
    assert peercert.describe("127.0.0.1", 9) == ""
