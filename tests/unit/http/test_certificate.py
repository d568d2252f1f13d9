from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from imgfetch.http import certificate
from tests import certificates
from tests.loopback import Loopback


def der(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def test_a_certificate_says_whom_it_is_for_and_by_whom(made: certificates.Certificates) -> None:
    assert str(certificate.read(der(made.server_cert))) == 'issued to "server" by "imgfetch test ca"'
    assert str(certificate.read(der(made.ca))) == 'issued to "imgfetch test ca" by "imgfetch test ca"'


def test_a_certificate_says_which_hosts_it_is_for_and_when(made: certificates.Certificates) -> None:
    read = certificate.read(der(made.server_cert))
    assert read is not None
    assert set(read.names) == set(certificates.NAMES)
    assert read.hosts == "localhost, 127.0.0.1, registry.example, *.registry.example and 3 more"
    assert read.begins < read.ends
    assert read.begins.endswith(" UTC")
    bare = certificate.read(der(made.ca))
    assert bare is not None
    assert (bare.hosts, bare.subject) == ("", "imgfetch test ca")


def test_a_time_that_is_none_is_left_out(made: certificates.Certificates) -> None:
    content = der(made.server_cert)
    before, broken = certificate.read(content), certificate.read(content.replace(b"\x17\x0d2", b"\x17\x0dx"))
    assert before is not None
    assert broken == before._replace(begins="", ends="")


def test_a_names_escapes_are_cleaned(made: certificates.Certificates) -> None:
    evil = (
        der(made.server_cert)
        .replace(b"server", b"\x1b[2J\r\n")
        .replace(b"registry.example", b"\x1b[31m\xe2\x80\xae\x9b.ex.com")
    )
    read = certificate.read(evil)
    assert read is not None
    assert str(read).isprintable()
    assert read.hosts.isprintable()
    assert "\\x1b[2J" in read.subject


@pytest.mark.parametrize("content", [b"", b"\x30", b"\x30\x05abc", b"\x30\x84\xff\xff\xff\xff", b"no certificate"])
def test_what_is_no_certificate_says_nothing(content: bytes) -> None:
    assert certificate.read(content) is None


def test_a_certificate_that_is_cut_says_nothing(made: certificates.Certificates) -> None:
    whole = der(made.server_cert)
    assert {certificate.read(whole[:length]) for length in range(len(whole))} == {None}


def test_a_damaged_certificate_is_no_bug(made: certificates.Certificates) -> None:
    whole = der(made.wrong_name_cert)
    for position in range(len(whole)):
        read = certificate.read(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        assert read is None or (str(read).isprintable() and read.hosts.isprintable())


def test_a_server_without_tls_says_nothing(loopback: Loopback) -> None:
    host, _, port = loopback.host.partition(":")
    assert certificate.fetch(host, int(port)) is None


def test_nobody_says_nothing() -> None:
    assert certificate.fetch("127.0.0.1", 9) is None
