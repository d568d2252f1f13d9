"""What a run has been given to reach its registries with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from imgfetch.auth import credentials
from imgfetch.auth.credentials import Credentials
from imgfetch.auth.login import Login
from imgfetch.auth.realms import RealmPolicy
from imgfetch.http import proxies, tls
from imgfetch.http.proxies import Proxies
from imgfetch.http.tls import TlsConfig
from imgfetch.registry import mirror_rules
from imgfetch.registry.mirror_rules import Mirrors

_DAEMON_JSON = Path("/etc/docker/daemon.json")


@dataclass(frozen=True)
class RegistryConfig:
    """Logins, certificates, proxies and mirrors; by default none, and the system's certificates.

    Attributes:
        credentials: where logins are found.
        trust: whom to believe, and client certificates.
        proxies: what stands between us and the network.
        realms: the user's say about token servers.
        mirrors: where else images may be had.
        plain_http: whether registries are asked by http.
    """

    credentials: Credentials = field(default_factory=Credentials)
    trust: TlsConfig = field(default_factory=TlsConfig)
    proxies: Proxies = field(default_factory=Proxies)
    realms: RealmPolicy = field(default_factory=RealmPolicy)
    mirrors: Mirrors = field(default_factory=Mirrors)
    plain_http: bool = False

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
        """Return what docker or podman on this machine would use, and what is said besides.

        Args:
            environment: the process's.
            username: a login for every registry of the run, with ``password``.
            password: its password.
            authfile: logins, instead of the usual files.
            anonymous: use no login at all.
            ca_files: authorities to believe besides the system's.
            certs_dir: where to look first for a host's certificates.
            insecure: hosts whose certificates are not checked.
            plain_http: ask registries by http.
            mirrors_first: ``[REGISTRY=]URL`` to ask before the configured ones; ``None`` asks no mirror at all.
            trust_realms: token servers that may be told a login.
            realm_overrides: URLs by ``host[:port]``, to be asked instead of announced token servers.

        Raises:
            AuthenticationError: the login is malformed.
            InvalidReferenceError: a mirror is malformed.
        """
        home = None
        with suppress(RuntimeError):  # no HOME, and no such user
            home = Path.home()
        logins = Credentials()
        if not anonymous:
            logins = Credentials(
                explicit=Login(username, password, source="--username", is_explicit=True) if username else None,
                inline=environment.get("DOCKER_AUTH_CONFIG") if authfile is None else None,
                files=credentials.files(environment, home, authfile),
                path=environment.get("PATH", ""),
            )
        return cls(
            logins,
            tls.from_environment(environment, home, ca_files=ca_files, certs_dir=certs_dir, insecure=insecure),
            proxies.from_environment(environment),
            RealmPolicy(frozenset(host.lower() for host in trust_realms), realm_overrides or {}),
            Mirrors()
            if mirrors_first is None
            else mirror_rules.read(
                urls=mirrors_first,
                daemon_json=_DAEMON_JSON,
                registries_conf=mirror_rules.registries_conf_files(environment, home),
            ),
            plain_http,
        )
