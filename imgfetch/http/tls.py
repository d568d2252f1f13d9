"""Trusted certificates for each host (docs/registries.md#certificates).

A server is trusted if its certificate covers its name and leads to an authority in

* the system's store, of `imgfetch.http.authorities`, or ``SSL_CERT_FILE`` or ``REQUESTS_CA_BUNDLE`` in its place;
* ``SSL_CERT_DIR``, in addition to either, as for OpenSSL and Go where the store is one file;
* a ``--ca-file``, for every host;
* a ``*.crt`` in the host's directory of a ``certs.d``, where a ``*.cert`` with its ``*.key`` is a client certificate.

Hosts named by ``--insecure``, or as insecure by docker's or podman's configuration, are not verified.
"""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

from imgfetch.errors import StorageError
from imgfetch.http import authorities
from imgfetch.http.origin import DEFAULT_PORTS
from imgfetch.inputs import read_settings
from imgfetch.text import sanitize

_HUB = ("registry-1.docker.io", "docker.io")
_HOST = re.compile(r"[\w:][\w.:%-]*")  # a safe directory name, unlike ".."
_BUNDLE = "SSL_CERT_FILE or REQUESTS_CA_BUNDLE"
_PARTNERS = {".cert": ".key", ".key": ".cert"}

_logger = logging.getLogger(__name__)


class HostTls(NamedTuple):
    """Authorities for one host, and its client certificates with their keys, which may be in the same file."""

    ca_files: tuple[Path, ...] = ()
    pairs: tuple[tuple[Path, Path], ...] = ()


class TlsConfig(NamedTuple):
    """Trusted authorities and client certificates.

    Attributes:
        ca_files: authorities for every host.
        certs_directories: parents of the hosts' directories; the first with files for a host wins.
        insecure: hosts to skip verification for, as ``host`` (all its ports) or ``host:port``.
        exempt: hosts that configuration files exempt from verification, which is logged without a warning.
        hosts: certificates that configuration files name for a host and port.
        bundle: a file of authorities, or a directory by OpenSSL's rules, instead of the system's store.
        bundle_directory: additional authorities, in one directory by OpenSSL's rules or several separated by ``:``.
    """

    ca_files: tuple[Path, ...] = ()
    certs_directories: tuple[Path, ...] = ()
    insecure: frozenset[str] = frozenset()
    exempt: frozenset[str] = frozenset()
    hosts: Mapping[tuple[str, int], HostTls] = {}
    bundle: Path | None = None
    bundle_directory: Path | None = None

    def is_insecure(self, host: str, port: int) -> bool:
        """Return whether the user disabled verification for a host."""
        return _is_named(host, port, self.insecure | self.exempt)

    def level_of(self, host: str, port: int) -> int:
        """Return the level of messages about a host without verification: a warning if this run asks for it."""
        return logging.WARNING if _is_named(host, port, self.insecure) else logging.INFO

    def context(
        self,
        host: str,
        port: int,
        *,
        client_certificate: bool = True,
        common: Callable[[], ssl.SSLContext] | None = None,
    ) -> ssl.SSLContext:
        """Return the context for one host, and warn if it is not verified.

        A host that needs nothing of its own has the context that ``common`` returns, by default `common`.

        Raises:
            StorageError: a file is unreadable or malformed.
        """
        files, own = self._own_files(host, port), self.hosts.get((host.lower(), port), HostTls())
        if self.is_insecure(host, port):
            context = self._insecure(host, port)
        elif not files and own == HostTls():
            return (common or self.common)()
        else:
            context = self._new()
            for path in (file for file in files if file.suffix == ".crt"):
                authorities.add_file(context, path)
            for path in own.ca_files:
                authorities.add_file(context, path, source="the CA file")
        if client_certificate:
            _add_client_cert(context, files)
            for certificate, key in reversed(own.pairs):  # as there, the first of one kind is used
                _load_pair(context, certificate, key)
        return context

    def common(self) -> ssl.SSLContext:
        """Return a context with the authorities for every host, which nobody may change."""
        has_own = self.bundle or self.bundle_directory or self.ca_files
        return self._new() if has_own else authorities.system_context()

    def _new(self) -> ssl.SSLContext:
        """Return a new context with the authorities for every host."""
        context = authorities.new_context()
        if not self.bundle:
            authorities.add_system(context)
        elif self.bundle.is_dir():
            authorities.add_directories(context, self.bundle, _BUNDLE)
        else:
            authorities.add_file(context, self.bundle, source=_BUNDLE)
        if self.bundle_directory:
            authorities.add_directories(context, self.bundle_directory, "SSL_CERT_DIR")
        for path in self.ca_files:
            authorities.add_file(context, path, source="--ca-file")
        return context

    def _insecure(self, host: str, port: int) -> ssl.SSLContext:
        """Return a new context that verifies nothing, and warn about it."""
        level = self.level_of(host, port)
        reason = "--insecure" if level == logging.WARNING else "a configuration file"
        _logger.log(level, "the certificate of %s is not verified because of %s", sanitize(f"{host}:{port}"), reason)
        context = authorities.new_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def _own_files(self, host: str, port: int) -> list[Path]:
        """Return the certificates and keys of the first directory that has any for a host.

        podman and containerd read only the first existing directory, and docker has only one.  Merging them would trust
        more than any of these does.
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
    """Return the parents of the hosts' directories in order, ``certs_dir`` first."""
    places = [certs_dir] if certs_dir else []
    if home:
        places.append(home / ".config/containers/certs.d")  # podman ignores XDG_CONFIG_HOME here
    places += [Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d")]
    config = Path(environment.get("XDG_CONFIG_HOME", ""))
    if config.is_absolute():  # its specification ignores relative paths
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
    """Combine options and environment; empty variables are ignored."""
    # docker and podman read SSL_CERT_FILE, requests the other one.
    bundle = environment.get("SSL_CERT_FILE") or environment.get("REQUESTS_CA_BUNDLE")
    directory = environment.get("SSL_CERT_DIR")
    return TlsConfig(
        ca_files=tuple(ca_files),
        certs_directories=certs_directories(environment, home, certs_dir),
        insecure=frozenset(insecure),
        bundle=Path(bundle) if bundle else None,
        bundle_directory=Path(directory) if directory else None,
    )


def _is_named(host: str, port: int, entries: Iterable[str]) -> bool:
    named = {entry.lower() for entry in entries}
    return any({name, name.strip("[]"), f"{name}:{port}"} & named for name in _names(host, port))


def _names(host: str, port: int) -> tuple[str, ...]:
    """Return a host's names: two for Docker Hub, an IPv6 address in brackets."""
    if host in _HUB and port == DEFAULT_PORTS["https"]:
        return _HUB
    return (f"[{host}]" if ":" in host else host.lower(),)


def _directory_names(host: str, port: int) -> list[str]:
    """Return the names of a host's directory, in docker's and podman's spelling and in containerd's."""
    ports = [f":{port}", f"_{port}_"] + ([""] if port == DEFAULT_PORTS["https"] else [])
    return [name + suffix for name in _names(host, port) for suffix in ports]


def _certificates(directory: Path) -> list[Path]:
    files = authorities.listed(directory)
    # In a directory with containerd's hosts.toml, a pair may belong to a mirror.
    return [] if directory / "hosts.toml" in files else [file for file in files if file.suffix in {".crt", *_PARTNERS}]


def _add_client_cert(context: ssl.SSLContext, files: list[Path]) -> None:
    """Load the client certificates; of several with the same kind of key, the first by name is used."""
    for path in reversed(files):
        suffix = _PARTNERS.get(path.suffix, "")
        partner = path.with_suffix(suffix)
        if suffix and partner not in files:
            raise StorageError(
                f"{sanitize(str(path))} needs {sanitize(partner.name)} beside it; a CA file's name must end in .crt"
            )
        if suffix == ".key":
            _load_pair(context, path, partner)


def _load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    def refuse() -> NoReturn:  # otherwise OpenSSL would prompt on the terminal
        raise StorageError(f"the key {sanitize(str(key))} is encrypted, which is not supported; decrypt it first")

    try:
        for path in (certificate, key):
            read_settings(path)  # OpenSSL would open a pipe, and read a file of any size
        context.load_cert_chain(certificate, key, password=refuse)
    except OSError as error:
        reason = getattr(error, "reason", "") or error.strerror
        raise StorageError(f"cannot use {sanitize(str(certificate))} with {sanitize(str(key))}: {reason}") from error
