"""Which certificates are believed for which host.

A server is believed if its certificate bears its name and leads to an authority of

* the system's store, read by `truststore`; ``SSL_CERT_FILE`` or ``REQUESTS_CA_BUNDLE`` stands in for it;
* ``SSL_CERT_DIR``, which adds to either, as for OpenSSL and Go wherever the store is one file;
* a ``--ca-file``, for every host (P13);
* a ``*.crt`` in the host's own directory of a ``certs.d``, where a ``*.cert`` with its ``*.key`` says who we are (P14).

Only for a host named by ``--insecure`` any certificate will do (S33).
"""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import truststore

from imgfetch.errors import StorageError
from imgfetch.http.origin import DEFAULT_PORTS
from imgfetch.text import sanitize

_HUB = ("registry-1.docker.io", "docker.io")
_HOST = re.compile(r"[\w:][\w.:%-]*")  # may name a directory, as ".." may not
_PARTNERS = {".cert": ".key", ".key": ".cert"}

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TlsConfig:
    """Whom to believe, and who we are to whom.

    Attributes:
        ca_files: authorities for every host.
        certs_directories: where hosts have directories of their own; the first that has something for a host counts.
        insecure: hosts whose certificates are not checked, as ``host``, which is all its ports, or ``host:port``.
        bundle: a file of authorities, or a directory by OpenSSL's rules, in the place of the system's store.
        bundle_directory: authorities besides that, in a directory by OpenSSL's rules, or several with ``:`` between.
    """

    ca_files: tuple[Path, ...] = ()
    certs_directories: tuple[Path, ...] = ()
    insecure: frozenset[str] = frozenset()
    bundle: Path | None = None
    bundle_directory: Path | None = None

    def is_insecure(self, host: str, port: int) -> bool:
        """Whether the user has said that any certificate will do for a host (S33)."""
        named = {entry.lower() for entry in self.insecure}
        return any({name, name.strip("[]"), f"{name}:{port}"} & named for name in _names(host, port))

    def context(self, host: str, port: int, *, client_certificate: bool = True) -> ssl.SSLContext:
        """Return a new context, for one host alone (P02), which says who we are only if it may (S08).

        The warning of S33 is given here.

        Raises:
            StorageError: a file cannot be read, or does not hold what it should.
        """
        files = self._own_files(host, port)
        if self.is_insecure(host, port):
            _logger.warning("the certificate of %s is not checked, for --insecure names it", sanitize(f"{host}:{port}"))
            context = _context(ssl.SSLContext)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            context = self.common()
            for path in (file for file in files if file.suffix == ".crt"):
                _add_ca(context, path)
        if client_certificate:
            _add_client_cert(context, files)
        return context

    def common(self) -> ssl.SSLContext:
        """Return a context that believes what is believed of every host."""
        context = _context(ssl.SSLContext if self.bundle else truststore.SSLContext)
        if self.bundle and self.bundle.is_dir():
            context.load_verify_locations(capath=self.bundle)
        elif self.bundle:
            _add_ca(context, self.bundle, source="SSL_CERT_FILE or REQUESTS_CA_BUNDLE")
        if self.bundle_directory:
            context.load_verify_locations(capath=self.bundle_directory)
        for path in self.ca_files:
            _add_ca(context, path, source="--ca-file")
        return context

    def _own_files(self, host: str, port: int) -> list[Path]:
        """Return the certificates and keys of the first directory that has any for a host.

        podman takes the first directory that exists and looks no further, as containerd does; docker knows but one.
        Merged, they would make us believe what no one of them does.
        """
        names = _directory_names(host, port) if _HOST.fullmatch(host) else []
        for directory in (certs / name for certs in self.certs_directories for name in names):
            if files := _certificates(directory):
                _logger.debug("certificates for %s are in %s", sanitize(f"{host}:{port}"), sanitize(str(directory)))
                return files
        return []


def certs_directories(
    environment: Mapping[str, str], home: Path | None, certs_dir: Path | None = None
) -> tuple[Path, ...]:
    """Return where directories of hosts are looked for, in order, ``certs_dir`` first (P14)."""
    places = [certs_dir] if certs_dir else []
    if home:
        places.append(home / ".config/containers/certs.d")  # podman does not ask for XDG_CONFIG_HOME here
    places += [Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d")]
    config = Path(environment.get("XDG_CONFIG_HOME", ""))
    if config.is_absolute():  # any other is to be ignored, says its specification
        places.append(config / "docker/certs.d")
    elif home:
        places.append(home / ".config/docker/certs.d")
    return (*places, Path("/etc/containerd/certs.d"))


def from_environment(
    environment: Mapping[str, str],
    home: Path | None,
    *,
    ca_files: Iterable[Path] = (),
    certs_dir: Path | None = None,
    insecure: Iterable[str] = (),
) -> TlsConfig:
    """Return what the options and the environment say; an empty variable says nothing."""
    # What docker and podman read goes before what requests would.
    bundle = environment.get("SSL_CERT_FILE") or environment.get("REQUESTS_CA_BUNDLE")
    directory = environment.get("SSL_CERT_DIR")
    return TlsConfig(
        ca_files=tuple(ca_files),
        certs_directories=certs_directories(environment, home, certs_dir),
        insecure=frozenset(insecure),
        bundle=Path(bundle) if bundle else None,
        bundle_directory=Path(directory) if directory else None,
    )


def _context(kind: type[ssl.SSLContext]) -> ssl.SSLContext:
    """Demand TLS 1.2, and let a chain end at any certificate that is trusted, self-signed or not, as Go does."""
    context = kind(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _names(host: str, port: int) -> tuple[str, ...]:
    """Return what a host is called: Docker Hub by two names, an IPv6 address in brackets."""
    if host in _HUB and port == DEFAULT_PORTS["https"]:
        return _HUB
    return (f"[{host}]" if ":" in host else host.lower(),)


def _directory_names(host: str, port: int) -> list[str]:
    """Return what a host's directory may be called: as docker and podman do, or as containerd does (P14)."""
    ports = [f":{port}", f"_{port}_"] + ([""] if port == DEFAULT_PORTS["https"] else [])
    return [name + suffix for name in _names(host, port) for suffix in ports]


def _certificates(directory: Path) -> list[Path]:
    try:
        files = sorted(directory.iterdir())
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            _logger.debug("passed over %s: %s", sanitize(str(directory)), error.strerror)
        return []
    # Where containerd's hosts.toml says what is whose, a pair may be for a mirror.
    return [] if directory / "hosts.toml" in files else [file for file in files if file.suffix in {".crt", *_PARTNERS}]


def _add_ca(context: ssl.SSLContext, path: Path, *, source: str = "") -> None:
    """Trust what a file holds; a ``*.crt`` that nobody named may hold nothing, as for docker and podman."""
    try:
        context.load_verify_locations(cafile=path)
    except OSError as error:
        is_content = isinstance(error, ssl.SSLError)
        reason = "it holds no certificate in PEM form, or a broken one" if is_content else error.strerror
        message = f"cannot trust {sanitize(str(path))}: {reason}"
        if source or isinstance(error, PermissionError):
            raise StorageError(message, hint=f"{source} names it" if source else None) from error
        _logger.warning("%s; it is passed over", message)


def _add_client_cert(context: ssl.SSLContext, files: list[Path]) -> None:
    """Load the client certificates; of several with one kind of key, the first by name is shown."""
    for path in reversed(files):
        suffix = _PARTNERS.get(path.suffix, "")
        partner = path.with_suffix(suffix)
        if suffix and partner not in files:
            raise StorageError(
                f"{sanitize(str(path))} has no {sanitize(partner.name)} beside it; a CA's file must end in .crt"
            )
        if suffix == ".key":
            _load_pair(context, path, partner)


def _load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    def refuse() -> NoReturn:  # else OpenSSL would ask the terminal
        raise StorageError(f"the key {sanitize(str(key))} is encrypted, and there is nobody to ask for its password")

    try:
        context.load_cert_chain(certificate, key, password=refuse)
    except OSError as error:
        reason = getattr(error, "reason", "") or error.strerror
        raise StorageError(f"cannot use {sanitize(str(certificate))} with {sanitize(str(key))}: {reason}") from error
