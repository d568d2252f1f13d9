"""containerd's ``hosts.toml``, read as by containerd (``core/remotes/docker/config/hosts.go``).

A directory of a ``certs.d`` is for one registry, and ``_default`` for all that have none.  The hosts in its file are
the mirrors, in their order, and ``server`` replaces the registry itself.  docker reads these files since version 28.
As in containerd, a malformed file counts as absent, with a warning.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imgfetch.errors import UnsupportedError, VerificationError
from imgfetch.http.tls import HostTls
from imgfetch.oci import strictjson
from imgfetch.oci.reference import Reference
from imgfetch.registry.endpoints import Endpoint, api_root, below
from imgfetch.registry.settings import flag, note_read, read_toml, tolerated
from imgfetch.text import quoted

SYSTEM = Path("/etc")
_FILE = "hosts.toml"
_PULL, _RESOLVE = "pull", "resolve"
_CAPABILITIES = frozenset({_PULL, _RESOLVE, "push", "referrers"})
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~]*")
_OUR_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding", "range", "if-range"}
)
_ITSELF = Endpoint("", "", is_mirror=False)


@dataclass(frozen=True)
class HostDirectories:
    """Several ``certs.d``, of which the first that has a file for a registry counts."""

    roots: tuple[Path, ...] = ()
    _read: dict[str, tuple[Endpoint, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        """Return the endpoints for an image, the server last; without a file, the registry itself.

        Raises:
            UnsupportedError: no host may be used to pull.
        """
        registry = reference.registry.lower()
        if registry not in self._read:
            self._read[registry] = self._find(registry)
        found = self._read[registry]
        if not found:
            raise UnsupportedError(f"{reference} is blocked by {_FILE}: no host there has the capability {_PULL!r}")
        return tuple(below(root, reference, f"/{reference.repository}") for root in found)

    def _find(self, registry: str) -> tuple[Endpoint, ...]:
        for root in self.roots:
            found = (root / name for name in _directory_names(registry))
            folder = next(filter(os.path.isdir, found), None)  # no error for a closed directory
            if folder and os.path.exists(folder / _FILE):  # noqa: PTH110  # the same
                return _read(folder / _FILE, registry)
        return (_ITSELF,)


def hosts_directories(
    environment: Mapping[str, str], home: Path | None, certs_dir: Path | None = None, *, system: Path = SYSTEM
) -> tuple[Path, ...]:
    """Return the ``certs.d`` of containerd and of docker, the user's first, and before them the one that is named."""
    config = environment.get("XDG_CONFIG_HOME") or (home and home / ".config")
    parents = [Path(config, "containerd"), system / "containerd"] if config else [system / "containerd"]
    parents += [Path(config, "docker"), system / "docker"] if config else [system / "docker"]
    return (*([certs_dir] if certs_dir else []), *(parent / "certs.d" for parent in parents))


def _directory_names(registry: str) -> Iterator[str]:
    host, colon, port = registry.rpartition(":")
    if colon:
        yield f"{host}_{port}_"
    yield registry
    yield "_default"


def _read(path: Path, registry: str) -> tuple[Endpoint, ...]:
    """Return the places in a file, the server last."""
    places: tuple[Endpoint, ...] = (_ITSELF,)
    with tolerated(str(path)):
        content = strictjson.Object(read_toml(path), "it")
        hosts = enumerate(content.members_of("host").items(), 1)  # by number, because a URL may hold a secret
        found = [_host(url, strictjson.Object(table, f"host {at}"), path, registry) for at, (url, table) in hosts]
        found.append(_server(content, path, registry))
        usable = [place for place in found if place]
        places = (*usable[:-1], *(place._replace(is_mirror=False) for place in usable[-1:]))
        note_read(path)
    return places


def _server(content: strictjson.Object, path: Path, registry: str) -> Endpoint | None:
    """Return the place of ``server``, by default the registry itself; the settings at a file's top are for it."""
    if not content.text("server"):
        skips = flag(content, "skip_verify")
        return _ITSELF._replace(insecure=skips, tls=_tls(content, path.parent), headers=_headers(content))
    place = _host(content.text("server"), content, path, registry)
    if place and (place.registry, place.repository, place.path) == (registry, "", ""):
        return place._replace(registry="", scheme="http" if place.scheme == "http" else "")
    return place


def _host(url: str, table: strictjson.Object, path: Path, registry: str) -> Endpoint | None:
    """Return a host's place, or ``None`` if it may not be used to pull, or cannot be used here."""
    capabilities = {name.lower() for name in table.texts_of("capabilities")} or _CAPABILITIES
    if odd := capabilities - _CAPABILITIES:
        raise VerificationError(f"{quoted(min(odd))} in {table.what} is not a capability")
    skips, tls, headers = flag(table, "skip_verify"), _tls(table, path.parent), _headers(table)
    root: Endpoint | None = None
    if _PULL in capabilities:
        with tolerated(f"{table.what} in {path}"):
            root = api_root(url if url.startswith("http") else f"https://{url}", is_whole=flag(table, "override_path"))
    return root and root._replace(
        scheme="" if skips and root.scheme == "http" else root.scheme,  # https comes first there
        insecure=skips,
        by_digest_only=_RESOLVE not in capabilities,
        namespace="" if root.registry == registry else registry,
        tls=tls,
        headers=headers,
    )


def _tls(table: strictjson.Object, folder: Path) -> HostTls:
    """Return the certificates of a table, whose paths are relative to its file."""
    ca, client = table.get("ca", []), table.get("client", [])
    authorities = ca if isinstance(ca, list) else [ca]
    pairs = [
        pair if isinstance(pair, list) else [pair, ""] for pair in (client if isinstance(client, list) else [client])
    ]
    if not all(isinstance(name, str) for name in authorities):
        raise VerificationError(f"'ca' of {table.what} must be a path, or a list of paths")
    if not all(len(pair) == 2 and all(isinstance(name, str) for name in pair) for pair in pairs):  # noqa: PLR2004
        raise VerificationError(f"'client' of {table.what} must be a path, or a list of paths or pairs of paths")
    return HostTls(
        tuple(folder / str(name) for name in authorities),
        tuple((folder / str(certificate), folder / str(key or certificate)) for certificate, key in pairs),
    )


def _headers(table: strictjson.Object) -> tuple[tuple[str, str], ...]:
    """Return the headers that a host receives, each in one line."""
    found = []
    for name, value in table.members_of("header").items():
        values = value if isinstance(value, list) else [value]
        text = ", ".join(str(each) for each in values)
        is_text = all(isinstance(each, str) for each in values) and _VALUE.fullmatch(text)
        if not is_text or not _NAME.fullmatch(name) or name.lower() in _OUR_HEADERS:
            raise VerificationError(f"the header {quoted(name)} of {table.what} cannot be sent")
        found.append((name, text.strip()))
    return tuple(found)
