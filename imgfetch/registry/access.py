"""The configuration for access to registries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from imgfetch.auth import credentials
from imgfetch.auth.credentials import Credentials, GlobalHelpers
from imgfetch.auth.login import Login
from imgfetch.auth.realms import RealmPolicy
from imgfetch.http import proxies, tls
from imgfetch.http.proxies import Proxies
from imgfetch.http.tls import TlsConfig
from imgfetch.registry import mirror_rules
from imgfetch.registry.credential_helpers import read_helpers
from imgfetch.registry.daemon_json import find_daemon_json, read_daemon_json
from imgfetch.registry.endpoints import Endpoint
from imgfetch.registry.hosts_toml import HostDirectories, hosts_directories
from imgfetch.registry.mirror_rules import Mirrors
from imgfetch.registry.registries_conf import registries_conf_files
from imgfetch.registry.registries_yaml import read_registries_yaml


@dataclass(frozen=True)
class RegistryConfig:
    """Credentials, certificates, proxies and mirrors; by default none, and the system's certificates.

    Attributes:
        credentials: the sources of credentials.
        trust: trusted authorities, and client certificates.
        proxies: the proxies for http and https.
        realms: the token servers that the user trusts or replaces.
        mirrors: the mirrors of registries.
        plain_http: use http instead of https for registries.
    """

    credentials: Credentials = field(default_factory=Credentials)
    trust: TlsConfig = field(default_factory=TlsConfig)
    proxies: Proxies = field(default_factory=Proxies)
    realms: RealmPolicy = field(default_factory=RealmPolicy)
    mirrors: Mirrors = field(default_factory=Mirrors)
    plain_http: bool = False

    def at(self, endpoint: Endpoint) -> Self:
        """Return the configuration for an endpoint (docs/registries.md#mirror-credentials)."""
        own = self
        if endpoint.insecure:
            own = replace(own, trust=own.trust._replace(exempt=own.trust.exempt | {endpoint.registry}))
        if any(endpoint.tls):
            own = replace(own, trust=own.trust._replace(hosts={**own.trust.hosts, endpoint.address: endpoint.tls}))
        if endpoint.is_mirror:
            own = replace(own, credentials=own.credentials.without_explicit(), plain_http=False)
        return own

    @classmethod
    def from_environment(
        cls,
        environment: Mapping[str, str],
        *,
        username: str = "",
        password: str = "",
        authfile: Path | None = None,
        anonymous: bool = False,
        ca_files: Iterable[Path] = (),
        certs_dir: Path | None = None,
        insecure: Iterable[str] = (),
        plain_http: bool = False,
        mirrors_first: Iterable[str] | None = (),
        trust_realms: Iterable[str] = (),
        realm_overrides: Mapping[str, str] | None = None,
    ) -> Self:
        """Return the configuration of docker or podman on this machine, with additions.

        Args:
            environment: the environment variables.
            username: a user for every registry.
            password: the user's password.
            authfile: a file of credentials to use instead of the usual ones.
            anonymous: use no credentials.
            ca_files: authorities to trust in addition to the system's.
            certs_dir: a directory of certificates by host, which is searched first.
            insecure: hosts whose certificates are not verified.
            plain_http: use http instead of https for registries.
            mirrors_first: ``[REGISTRY=]URL`` of mirrors to try before the configured ones; ``None`` skips all mirrors.
            trust_realms: hosts of token servers that may receive credentials.
            realm_overrides: URLs by ``host[:port]`` that replace the announced token servers.

        Raises:
            AuthenticationError: the credentials are malformed.
            InvalidReferenceError: a mirror is malformed.
        """
        home = None
        with suppress(RuntimeError):  # no HOME, and no such user
            home = Path.home()
        podman = registries_conf_files(environment, home)
        docker = read_daemon_json(find_daemon_json(environment, home))
        k3s, directories = read_registries_yaml(), hosts_directories(environment, home, certs_dir)
        logins = Credentials()
        if not anonymous:
            logins = Credentials(
                explicit=Login(username, password, source="--username", is_explicit=True) if username else None,
                inline=environment.get("DOCKER_AUTH_CONFIG") if authfile is None else None,
                files=credentials.files(environment, home, authfile),
                must_exist=credentials.named_file(environment, authfile) is not None,
                helpers=read_helpers(podman) if authfile is None else GlobalHelpers(),
                others={k3s.file: k3s.logins} if authfile is None else {},
                path=environment.get("PATH", ""),
            )
        return cls(
            logins,
            tls.from_environment(environment, home, ca_files=ca_files, certs_dir=certs_dir, insecure=insecure)._replace(
                hosts=k3s.hosts, exempt=k3s.insecure
            ),
            proxies.from_environment(environment, docker.proxies, docker.file),
            RealmPolicy(frozenset(host.lower() for host in trust_realms), realm_overrides or {}),
            Mirrors(insecure=docker.insecure, hosts=HostDirectories(directories), are_skipped=True)
            if mirrors_first is None
            else mirror_rules.read(
                urls=mirrors_first,
                docker=docker,
                registries_conf=podman,
                certs_directories=directories,
                k3s=k3s,
            ),
            plain_http,
        )
