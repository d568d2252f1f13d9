"""docker's ``daemon.json``: ``registry-mirrors`` of Docker Hub, ``insecure-registries`` and ``proxies``.

A malformed file or entry is ignored with a warning.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from imgfetch.errors import UnsupportedError
from imgfetch.http.origin import Origin
from imgfetch.inputs import read_settings
from imgfetch.oci import strictjson
from imgfetch.oci.reference import DOCKER_HUB
from imgfetch.registry.endpoints import parse_mirror
from imgfetch.registry.settings import note_read, tolerated
from imgfetch.text import quoted

_SYSTEM = Path("/etc/docker/daemon.json")
_KEYS = frozenset({"registry-mirrors", "insecure-registries", "proxies"})
_NAME = re.compile(r"[a-z0-9._-]+(:[0-9]+)?|\[[0-9a-f:]+\](:[0-9]+)?")
_PROXY_KEYS = ("http-proxy", "https-proxy", "no-proxy")

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class InsecureRegistries(NamedTuple):
    """The registries that docker reaches without verifying certificates, or by http."""

    names: frozenset[str] = frozenset()
    networks: tuple[_Network, ...] = ()

    def includes(self, registry: str) -> bool:
        """Return whether a registry is among them, by its name or one of its addresses; Docker Hub never is."""
        name = registry.lower()
        if name == DOCKER_HUB or not (self.names or self.networks):
            return False
        return name in self.names or any(
            address in network for network in self.networks for address in _addresses(Origin.of(f"https://{name}").host)
        )


class DockerConfig(NamedTuple):
    """The settings for registries in a ``daemon.json``.

    Attributes:
        mirrors: URLs of Docker Hub's mirrors.
        insecure: the registries that are not verified.
        proxies: URLs by ``http-proxy`` and ``https-proxy``, and hosts under ``no-proxy``.
        file: the file's name.
    """

    mirrors: tuple[str, ...] = ()
    insecure: InsecureRegistries = InsecureRegistries()
    proxies: Mapping[str, str] = {}
    file: str = "daemon.json"


def find_daemon_json(environment: Mapping[str, str], home: Path | None, *, system: Path = _SYSTEM) -> Path:
    """Return the first file that exists: that of rootless docker, of Docker Desktop, or of the system."""
    config = environment.get("XDG_CONFIG_HOME") or (home / ".config" if home else "")
    own = [Path(config, "docker/daemon.json")] if config else []
    own += [home / ".docker/daemon.json"] if home else []
    return next((path for path in own if os.path.exists(path)), system)  # noqa: PTH110  # no error for a closed directory


def read_daemon_json(path: Path) -> DockerConfig:
    """Read a file, which need not exist; members that cannot be used are left out."""
    config = DockerConfig()
    if not os.path.exists(path):  # noqa: PTH110  # no error for a closed directory
        return config
    with tolerated(str(path)):
        content = strictjson.loads(read_settings(path).strip() or b"{}", "it")
        members = strictjson.Object(content, "it", _KEYS)
        proxies = strictjson.Object(members.members_of("proxies"), "'proxies'", frozenset(_PROXY_KEYS))
        config = DockerConfig(
            tuple(_mirrors(members, path)),
            _insecure(members, path),
            {key: text for key in _PROXY_KEYS if (text := proxies.text(key).strip())},
            str(path),
        )
        note_read(path)
    return config


def _mirrors(members: strictjson.Object, path: Path) -> Iterator[str]:
    for number, url in enumerate(map(str, members.items_of("registry-mirrors")), 1):
        with tolerated(f"mirror {number} in {path}"):
            if "=" in url:
                raise UnsupportedError("expected a URL without '='")
            place = parse_mirror(url)[1]
            yield f"{url.rstrip('/')}/v2" if place.repository else url  # docker appends /v2/ to a path


def _insecure(members: strictjson.Object, path: Path) -> InsecureRegistries:
    names: set[str] = set()
    networks: list[_Network] = []
    for number, entry in enumerate(map(str, members.items_of("insecure-registries")), 1):
        with tolerated(f"insecure registry {number} in {path}"):
            name = entry.lower().removeprefix("http://").removeprefix("https://")  # as docker
            if "/" in name:
                networks.append(ipaddress.ip_network(name, strict=False))
                continue
            if not _NAME.fullmatch(name):
                raise UnsupportedError(f"{quoted(entry)} is not HOST[:PORT]")
            names.add(name)
    return InsecureRegistries(frozenset(names), tuple(networks))


@cache
def _addresses(host: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, ...]:
    """Return a host's addresses; none if its name does not resolve."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple({ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found})
