"""Throwaway certificates for the tests, made by openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.tools import tool

# OpenSSL takes no star for a name right below a top-level domain, so *.example alone would serve nobody.
NAMES = ("localhost", "127.0.0.1", "registry.example", "*.registry.example", "*.example")
NAMES += ("registry-1.docker.io", "reg.mydomain.com")

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_DAYS = 2
_EXPIRED = -1


@dataclass(frozen=True)
class Certificates:
    """The files of an authority that nobody knows, and of those whom it vouches for.

    Attributes:
        ca: the authority's certificate.
        another_ca: that of an authority which vouches for nobody here.
        server_cert: a server's, for `NAMES`.
        server_key: the key of every server.
        expired_cert: a server's for the same names, no longer valid.
        wrong_name_cert: a server's for ``elsewhere.test`` only.
        misplaced_cert: a server's with its address among the DNS names.
        client_cert: a client's, whose common name is ``client``.
        client_key: the client's key.
    """

    ca: Path
    another_ca: Path
    server_cert: Path
    server_key: Path
    expired_cert: Path
    wrong_name_cert: Path
    misplaced_cert: Path
    client_cert: Path
    client_key: Path


def make(directory: Path) -> Certificates:
    """Make them all in a directory, which is made if need be; a good second's work, so once a session will do."""
    directory.mkdir(parents=True, exist_ok=True)
    ca = _authority(directory, "ca")
    another_ca = _authority(directory, "another-ca")
    _request(directory, "server")
    _request(directory, "client")
    return Certificates(
        ca=ca,
        another_ca=another_ca,
        server_cert=_sign(directory, "server", "server.crt", *NAMES),
        server_key=directory / "server.key",
        expired_cert=_sign(directory, "server", "expired.crt", *NAMES, days=_EXPIRED),
        wrong_name_cert=_sign(directory, "server", "wrong-name.crt", "elsewhere.test"),
        misplaced_cert=_sign(directory, "server", "misplaced.crt", "DNS:127.0.0.1"),
        client_cert=_sign(directory, "client", "client.cert", "client"),
        client_key=directory / "client.key",
    )


def encrypted(key: Path, to: Path) -> Path:
    """Write a key under a password."""
    _openssl("pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", to)
    return to


def _authority(directory: Path, name: str) -> Path:
    certificate = directory / f"{name}.crt"
    extensions = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
    options = [option for extension in extensions for option in ("-addext", extension)]
    subject = ("-subj", f"/CN=imgfetch test {name}", "-days", _DAYS)
    _openssl("req", "-x509", *_KEY, *subject, *options, "-keyout", directory / f"{name}.key", "-out", certificate)
    return certificate


def _request(directory: Path, name: str) -> None:
    keys = ("-keyout", directory / f"{name}.key")
    _openssl("req", *_KEY, "-subj", f"/CN={name}", *keys, "-out", directory / f"{name}.csr")


def _sign(directory: Path, name: str, to: str, *names: str, days: int = _DAYS) -> Path:
    extensions = directory / f"{to}.extensions"
    alternatives = ",".join(name if ":" in name else f"{'IP' if name[0].isdigit() else 'DNS'}:{name}" for name in names)
    extensions.write_text(
        "basicConstraints=critical,CA:FALSE\n"
        "extendedKeyUsage=serverAuth,clientAuth\n"
        "subjectKeyIdentifier=hash\n"
        "authorityKeyIdentifier=keyid\n"
        f"subjectAltName={alternatives}\n"
    )
    authority = ("-CA", directory / "ca.crt", "-CAkey", directory / "ca.key", "-CAcreateserial")
    made = ("-days", days, "-extfile", extensions, "-out", directory / to)
    _openssl("x509", "-req", "-in", directory / f"{name}.csr", *authority, *made)
    return directory / to


def _openssl(*arguments: object) -> None:
    command = [tool("openssl"), *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
