"""``registries.yaml`` of k3s and rke2, read as by them (k3s ``pkg/agent/containerd/config.go``, rancher/wharfie).

``mirrors`` has endpoints for registries, and ``*`` for those that the file does not name; ``rewrite`` changes the names
of images there.  ``configs`` has credentials and certificates of hosts.  A malformed file, which k3s refuses, counts as
absent, with a warning.

Every value is read as text, because the types of YAML depend on its reader, and PyYAML's `BaseLoader` constructs
nothing else.  Aliases take no memory, because they are the same object, until the endpoints are read, whose number has
a limit.  Merged mappings are not read.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from imgfetch.errors import InvalidReferenceError, UnsupportedError, VerificationError
from imgfetch.http.origin import DEFAULT_PORTS, Origin
from imgfetch.http.tls import HostTls
from imgfetch.inputs import read_settings
from imgfetch.oci.reference import Reference, parse_location
from imgfetch.registry.endpoints import Endpoint, api_root, below
from imgfetch.registry.go_regexps import Rewrite, parse_rewrite
from imgfetch.registry.settings import note_read, tolerated
from imgfetch.text import installation, sanitize

PATHS = (Path("/etc/rancher/k3s/registries.yaml"), Path("/etc/rancher/rke2/registries.yaml"))
MAX_YAML = 64 * 1024
"""Bytes of a file, which PyYAML reads in two seconds at most."""
MAX_PLACES = 4096
"""Endpoints and rewrites of all registries together, which aliases could multiply."""

_ALL, _MERGE = "*", "<<"
_NULLS = frozenset({"", "~", "null"})
_TRUE, _FALSE = frozenset({"true", "yes", "on", "y"}), frozenset({"false", "no", "off", "n", *_NULLS})
_LOGIN = {"username": "username", "password": "password", "auth": "auth", "identity_token": "identitytoken"}

_logger = logging.getLogger(__name__)


class YamlMirror(NamedTuple):
    """The endpoints of a registry, and the rules for names there, of which the first that changes one counts."""

    places: tuple[Endpoint, ...]
    rewrites: tuple[Rewrite, ...] = ()

    def endpoints(self, reference: Reference) -> Iterator[Endpoint]:
        """Yield the endpoints of an image."""
        registry = reference.registry.lower()
        for place in self.places:
            is_mirror = place.registry != registry
            name = self._renamed(reference.repository) if is_mirror else reference.repository
            yield below(place._replace(namespace=registry if is_mirror else ""), reference, f"/{name}")

    def _renamed(self, repository: str) -> str:
        for rewrite in self.rewrites:
            name = rewrite.apply(repository)
            if name != repository:
                with suppress(InvalidReferenceError):
                    return parse_location(f"registry.invalid/{name}")[1]
        return repository


class RegistriesYaml(NamedTuple):
    """The content of a file.

    Attributes:
        mirrors: by registry, or ``*``.
        hosts: certificates by host and port.
        insecure: the hosts that are not verified, as ``host:port``.
        logins: entries by registry, as in the ``auths`` of docker's ``config.json``.
        named: the registries in ``configs``.
        file: the file's name.
    """

    mirrors: Mapping[str, YamlMirror] = {}
    hosts: Mapping[tuple[str, int], HostTls] = {}
    insecure: frozenset[str] = frozenset()
    logins: Mapping[str, Mapping[str, str]] = {}
    named: frozenset[str] = frozenset()
    file: str = "registries.yaml"

    def endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        """Return the mirrors of an image."""
        registry = reference.registry.lower()
        mirror = self.mirrors.get(registry) or (None if registry in self.named else self.mirrors.get(_ALL))
        return tuple(mirror.endpoints(reference)) if mirror else ()


def read_registries_yaml(paths: Sequence[Path] = ()) -> RegistriesYaml:
    """Read the first file that exists; k3s and rke2 run as root, so it may be readable to root alone."""
    path = next(filter(os.path.exists, paths or PATHS), None)
    if path is None:
        return RegistriesYaml()
    if not os.access(path, os.R_OK):
        _logger.info("ignoring %s: permission denied", sanitize(str(path)))
        return RegistriesYaml()
    found = RegistriesYaml()
    with tolerated(str(path)):
        content = _table(_loaded(path), "it")
        found = _content(content, path)
        note_read(path)
    return found


def _loaded(path: Path) -> object:
    """Return the parsed file; an error does not quote it, because it may have passwords."""
    try:
        import yaml  # type: ignore[import-untyped]  # noqa: PLC0415  # an extra
    except ImportError:
        raise UnsupportedError(f"it needs PyYAML ({installation('yaml')})") from None
    text = read_settings(path, MAX_YAML).decode()
    try:
        return yaml.load(text, yaml.BaseLoader)  # noqa: S506  # it constructs texts, lists and mappings
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise VerificationError(f"not valid YAML{f' (line {mark.line + 1})' if mark else ''}") from None


def _content(content: Mapping[str, object], path: Path) -> RegistriesYaml:
    configs = dict(_configs(_table(content.get("configs"), "'configs'"), path))
    tls = {registry: _table(config.get("tls"), f"'tls' of {registry}") for registry, config in configs.items()}
    logins = {
        registry: _login(_table(config.get("auth"), f"'auth' of {registry}")) for registry, config in configs.items()
    }
    certificates = {registry: _certificates(table, path.parent) for registry, table in tls.items()}
    insecure = frozenset(_address(registry) for registry, table in tls.items() if _flag(table, "insecure_skip_verify"))
    return RegistriesYaml(
        dict(_mirrors(_table(content.get("mirrors"), "'mirrors'"), insecure, path)),
        {Endpoint(registry, "").address: found for registry, found in certificates.items() if any(found)},
        insecure,
        {registry: login for registry, login in logins.items() if login},
        frozenset(registry for registry in configs if tls[registry] or logins[registry]),
        str(path),
    )


def _configs(entries: Mapping[str, object], path: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the settings of each host; those for all hosts would send secrets to any of them."""
    for key, value in entries.items():
        config = _table(value, f"config {key!r}")
        with tolerated(f"config {key!r} in {path}"):
            if key == _ALL:
                raise UnsupportedError("credentials and certificates are for a host; name it, or pass --ca-file")
            yield _registry(key), config


def _mirrors(entries: Mapping[str, object], insecure: frozenset[str], path: Path) -> Iterator[tuple[str, YamlMirror]]:
    left = MAX_PLACES
    for key, value in entries.items():
        table = _table(value, f"mirror {key!r}")
        urls = table.get("endpoint") or []
        if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
            raise VerificationError(f"'endpoint' of mirror {key!r} must be a list of URLs")
        rules = _table(table.get("rewrite"), f"'rewrite' of mirror {key!r}")
        left -= len(urls) + len(rules)
        if left < 0:
            raise UnsupportedError(f"it has more than {MAX_PLACES} endpoints and rewrites")
        places: list[Endpoint] = []
        for number, url in enumerate(urls, 1):
            with tolerated(f"endpoint {number} of mirror {key!r} in {path}"):
                place = _place(url)
                is_vague = place.scheme == "http" and _address(place.registry) in insecure  # https comes first there
                places.append(place._replace(scheme="" if is_vague else place.scheme))
        mirror = YamlMirror(tuple(places), tuple(_rewrites(rules, f"mirror {key!r} in {path}")))
        with tolerated(f"mirror {key!r} in {path}"):
            yield key if key == _ALL else _registry(key), mirror


def _rewrites(rules: Mapping[str, object], what: str) -> Iterator[Rewrite]:
    for pattern, replacement in rules.items():
        if not isinstance(replacement, str):
            raise VerificationError(f"a replacement of {what} must be a text")
        with tolerated(f"a rewrite of {what}"):
            yield parse_rewrite(pattern, replacement)


def _place(text: str) -> Endpoint:
    """Return the place of an endpoint, by http if that is on the loopback at a port and names no scheme, as in k3s."""
    url = text if "://" in text else f"https://{text}"
    if url != text and Origin.of(url).is_loopback and Origin.of(url).port != DEFAULT_PORTS["https"]:
        url = f"http://{text}"
    return api_root(url, is_whole=urlsplit(url).path not in ("", "/", "/v2"))


def _registry(key: str) -> str:
    return api_root(f"https://{key}", is_whole=False).registry.lower()


def _address(registry: str) -> str:
    return Origin("https", *Endpoint(registry, "").address).host_and_port


def _certificates(table: Mapping[str, object], folder: Path) -> HostTls:
    authority, certificate, key = (_text(table, name) for name in ("ca_file", "cert_file", "key_file"))
    if bool(certificate) != bool(key):
        raise VerificationError("'cert_file' and 'key_file' need each other")
    pairs = ((folder / certificate, folder / key),) if certificate else ()
    return HostTls((folder / authority,) if authority else (), pairs)


def _login(table: Mapping[str, object]) -> dict[str, str]:
    """Return an entry of docker's ``config.json``."""
    return {name: text for key, name in _LOGIN.items() if (text := _text(table, key))}


def _table(value: object, what: str) -> dict[str, object]:
    if value is None or (isinstance(value, str) and value.lower() in _NULLS):
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise VerificationError(f"{what} must be a mapping")
    if _MERGE in value:
        raise UnsupportedError(f"{what} merges another mapping, which imgfetch does not read")
    return value


def _text(table: Mapping[str, object], key: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):  # which is not quoted, because it may be a password
        raise VerificationError(f"{key!r} must be a text")
    return "" if value.lower() in _NULLS else value


def _flag(table: Mapping[str, object], key: str) -> bool:
    text = _text(table, key).lower()
    if text not in _TRUE | _FALSE:
        raise VerificationError(f"{key!r} must be true or false")
    return text in _TRUE
