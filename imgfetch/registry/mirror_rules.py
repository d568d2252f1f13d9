"""The endpoints of an image: its mirrors, and the registry itself.

Mirrors are tried in this order, the registry itself last (docs/registries.md#which-mirrors):

* ``--mirror [REGISTRY=]URL``, by default for Docker Hub.  The URL's path is put before the repository:
  ``https://harbor.example/hub`` has ``hub/library/busybox``.
* ``registry-mirrors`` in docker's ``daemon.json``: :mod:`imgfetch.registry.daemon_json`.
* the matching ``[[registry]]`` of podman's ``registries.conf``: :mod:`imgfetch.registry.registries_conf`.
* the hosts of containerd's ``hosts.toml``: :mod:`imgfetch.registry.hosts_toml`.
* the endpoints in the ``registries.yaml`` of k3s or rke2: :mod:`imgfetch.registry.registries_yaml`.

The registry itself is what podman's file puts in its place, or else containerd's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from imgfetch.errors import UnsupportedError
from imgfetch.oci.reference import Reference
from imgfetch.registry.daemon_json import DockerConfig, InsecureRegistries
from imgfetch.registry.endpoints import Endpoint, below, parse_mirror
from imgfetch.registry.hosts_toml import HostDirectories
from imgfetch.registry.registries_conf import Rule, read_rules
from imgfetch.registry.registries_yaml import RegistriesYaml
from imgfetch.text import sanitize


@dataclass(frozen=True)
class Mirrors:
    """The mirrors of each tool, in their order, and docker's insecure registries."""

    urls: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    insecure: InsecureRegistries = field(default_factory=InsecureRegistries)
    hosts: HostDirectories = field(default_factory=HostDirectories)
    k3s: RegistriesYaml = field(default_factory=RegistriesYaml)
    are_skipped: bool = False
    """True to ask the registry itself, by what containerd's file says about it, and nobody else."""

    def __post_init__(self) -> None:
        """Raise `InvalidReferenceError` for a mirror's URL that is malformed or has credentials."""
        tuple(map(parse_mirror, self.urls))

    def endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        """Return the endpoints for an image, in order.

        Raises:
            UnsupportedError: the configuration blocks it, or gives it an empty name.
        """
        itself = Endpoint(reference.registry, reference.repository, is_mirror=False)
        rule = self._rule(reference)
        *podman, replaced = rule.endpoints(reference) if rule else (itself,)
        *containerd, server = self.hosts.endpoints(reference)
        upstream = server if replaced == itself else replaced
        registry, rest = reference.registry.lower(), f"/{reference.repository}"
        mirrors = [below(root, reference, rest) for served, root in map(parse_mirror, self.urls) if served == registry]
        found = [*dict.fromkeys((*mirrors, *podman, *containerd, *self.k3s.endpoints(reference))), upstream]
        while found[1:] and _is_same(found[-2], upstream):
            del found[-2]
        if self.are_skipped:
            found = [upstream if upstream.renamed(reference) == reference and not upstream.path else itself]
        return tuple(
            place._replace(insecure=True) if self.insecure.includes(place.registry) else place for place in found
        )

    def _rule(self, reference: Reference) -> Rule | None:
        """Return podman's table for an image."""
        matching = [rule for rule in self.rules if rule.rest(reference) is not None]
        rule = max(matching, key=lambda rule: (len(rule.prefix), not rule.prefix.startswith("*.")), default=None)
        if rule and rule.blocked:
            raise UnsupportedError(f"{reference} is blocked by {sanitize(rule.file)} (prefix {rule.prefix})")
        return rule


def read(
    *,
    urls: Iterable[str] = (),
    docker: DockerConfig | None = None,
    registries_conf: Sequence[Path] = (),
    certs_directories: Sequence[Path] = (),
    k3s: RegistriesYaml | None = None,
) -> Mirrors:
    """Read the configuration; a malformed file is ignored with a warning.

    Each of ``urls`` is ``[REGISTRY=]URL``.  If two files of ``registries_conf`` have the same prefix, the later counts.
    The files in ``certs_directories`` are read when they are needed.

    Raises:
        InvalidReferenceError: one of ``urls`` is malformed, or has credentials.
    """
    docker = docker or DockerConfig()
    return Mirrors(
        (*urls, *docker.mirrors),
        read_rules(registries_conf),
        docker.insecure,
        HostDirectories(tuple(certs_directories)),
        k3s or RegistriesYaml(),
    )


def _is_same(mirror: Endpoint, upstream: Endpoint) -> bool:
    """Return whether a mirror is the registry itself, which comes behind it anyway."""
    mirror, upstream = (
        place._replace(scheme=place.scheme.replace("https", ""), is_mirror=False, by_digest_only=False)
        for place in (mirror, upstream)
    )
    return mirror == upstream
