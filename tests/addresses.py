"""Addresses that a server must not refer to, in all spellings that reach them."""

from __future__ import annotations

import pytest

NEVER = [
    pytest.param("169.254.169.254", id="link-local"),
    pytest.param("169.254.0.1:8080", id="link-local with a port"),
    pytest.param("[fe80::1]", id="link-local IPv6"),
    pytest.param("[fe80::1%25eth0]", id="link-local IPv6 with a zone"),
    pytest.param("[febf::1]", id="end of fe80::/10"),
    pytest.param("[fd00:ec2::254]", id="metadata IPv6"),
    pytest.param("[fd00:0ec2:0:0::254]", id="metadata IPv6 in full"),
    pytest.param("100.100.100.200", id="metadata of Alibaba"),
    pytest.param("0.0.0.0", id="unspecified"),
    pytest.param("[::]", id="unspecified IPv6"),
    pytest.param("224.0.0.1", id="multicast"),
    pytest.param("239.255.255.255", id="end of multicast"),
    pytest.param("[ff02::1]", id="multicast IPv6"),
    pytest.param("[::ffff:169.254.169.254]", id="mapped link-local"),
    pytest.param("[::ffff:a9fe:a9fe]", id="mapped link-local in hexadecimal"),
    pytest.param("[::ffff:100.100.100.200]", id="mapped metadata"),
    pytest.param("[::ffff:0.0.0.0]", id="mapped unspecified"),
    pytest.param("[::ffff:224.0.0.1]", id="mapped multicast"),
    pytest.param("[64:ff9b::169.254.169.254]", id="link-local by NAT64"),
    pytest.param("[2002:a9fe:a9fe::1]", id="link-local by 6to4"),
    pytest.param("[::169.254.169.254]", id="link-local in a compatible address"),
]
LOOPBACK = [
    pytest.param("127.0.0.1", id="loopback"),
    pytest.param("127.255.255.254:5000", id="end of 127/8"),
    pytest.param("[::1]", id="loopback IPv6"),
    pytest.param("[0:0:0:0:0:0:0:1]", id="loopback IPv6 in full"),
    pytest.param("[::ffff:127.0.0.1]", id="mapped loopback"),
    pytest.param("[::ffff:7f00:1]", id="mapped loopback in hexadecimal"),
    pytest.param("[64:ff9b::127.0.0.1]", id="loopback by NAT64"),
    pytest.param("[2002:7f00:1::1]", id="loopback by 6to4"),
    pytest.param("localhost", id="localhost"),
    pytest.param("LOCALHOST:5000", id="LOCALHOST"),
    pytest.param("registry.localhost", id="below localhost"),
]
# As inet_aton(3) reads them, and with it getaddrinfo(3); urllib3 decodes the last before it looks a name up.
SPELLINGS = [
    pytest.param("2852039166", id="link-local as a number"),
    pytest.param("0xa9fea9fe", id="link-local in hexadecimal"),
    pytest.param("169.254.43518", id="link-local in three parts"),
    pytest.param("0251.0376.0251.0376", id="link-local in octal"),
    pytest.param("%31%36%39.254.169.254", id="link-local percent-encoded"),
    pytest.param("0", id="unspecified as a number"),
]
LOOPBACK_SPELLINGS = [
    pytest.param("2130706433", id="loopback as a number"),
    pytest.param("127.1", id="loopback in two parts"),
    pytest.param("0x7f.0.0.1", id="loopback in hexadecimal"),
    pytest.param("0177.0.0.1", id="loopback in octal"),
    pytest.param("%31%32%37.0.0.1", id="loopback percent-encoded"),
    pytest.param("localhos%74", id="localhost percent-encoded"),
    pytest.param("localhost.", id="localhost with a dot behind"),
]
