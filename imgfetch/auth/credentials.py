"""Reader of the credentials that docker and podman keep in files such as ``~/.docker/config.json``.

The format and the rules (docs/registries.md#credential-files, docs/registries.md#matching-hosts)::

    file   := { "auths": { key: entry }, "credHelpers": { key: helper }, "credsStore": helper }
    key    := [ "http://" | "https://" ] host [ ":" port ] [ "/" path ]
    entry  := { "auth": base64 of user ":" password | "username", "password"; "identitytoken"; "registrytoken" }

* The first source that has credentials for a repository wins.  podman's `GlobalHelpers` are sources before or after the
  files.  Within a file, the host's own helper comes first, else ``credsStore``, then ``auths``.  If the helper fails,
  the whole file is skipped.
* A key with a path (podman) applies to all repositories below it, and the longest match wins.  As in docker, the path
  of a URL is ignored.
* Hosts are compared whole, with their ports, ignoring case; all names of Docker Hub are equal.
"""

from __future__ import annotations

import base64
import copy
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

from imgfetch.auth.helpers import Helpers, members
from imgfetch.auth.login import Login
from imgfetch.errors import AuthenticationError
from imgfetch.inputs import read_settings
from imgfetch.oci.reference import DOCKER_HUB
from imgfetch.text import quoted, sanitize

HUB_KEY = "https://index.docker.io/v1/"
"""Docker's key for Docker Hub, in files and for helpers."""

_VARIABLE = "DOCKER_AUTH_CONFIG"
_OLD_FILE = ".dockercfg"
_HUB_HOSTS = ("index.docker.io", DOCKER_HUB, "registry-1.docker.io")
_SCHEME = re.compile(r"^https?://", re.IGNORECASE)
_FIELDS: tuple[str, ...] = ("auth", "username", "password", "identitytoken", "registrytoken")

_logger = logging.getLogger(__name__)


class GlobalHelpers(NamedTuple):
    """The helpers for every registry, to be asked before or after the files, and the file that names them."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    source: str = "registries.conf"


class Credentials:
    """Finder of credentials; thread-safe.

    Files are read, and helpers run, once and only when credentials are needed.  Each problem with them is a single
    warning, and the pull continues without them.

    Args:
        explicit: the credentials of the command line, for every registry of the run.
        inline: the text of ``$DOCKER_AUTH_CONFIG``.
        files: credential files in order of preference; missing ones are skipped.
        must_exist: whether the user named the files, so that a missing one is a problem.
        helpers: podman's helpers for every registry.
        others: entries like those in ``auths``, by the names of other files, which come last.
        path: ``$PATH``, to find helpers in; ``None`` runs none.
    """

    def __init__(
        self,
        *,
        explicit: Login | None = None,
        inline: str | None = None,
        files: Sequence[Path] = (),
        must_exist: bool = False,
        helpers: GlobalHelpers | None = None,
        others: Mapping[str, Mapping[str, object]] = MappingProxyType({}),
        path: str | None = None,
    ) -> None:
        self._explicit = explicit
        helpers = helpers or GlobalHelpers()
        before, after = ([partial(_Store.of_helper, name, helpers.source) for name in names] for names in helpers[:2])
        self._sources: list[Callable[[], _Store]] = [
            *before,
            *(partial(_Store.of_file, path, must_exist=must_exist) for path in files),
            *after,
            *(partial(_Store.of_entries, *other) for other in others.items()),
        ]
        if inline is not None:
            self._sources.insert(0, partial(_Store.of_variable, inline))
        self._helpers = None if path is None else Helpers(path)
        self._lock = threading.Lock()
        self._stores: list[_Store] | None = None
        self._told: set[str] = set()

    def without_explicit(self) -> Self:
        """Return a copy without the credentials of the command line, which no mirror receives."""
        if self._explicit is None:
            return self
        other = copy.copy(self)
        other._explicit = None  # noqa: SLF001  # its own kind
        return other

    def find(self, registry: str, repository: str) -> Login | None:
        """Return the credentials for a repository, if any; registry and repository are a ``Reference``'s."""
        if self._explicit is not None:
            return self._explicit
        with self._lock:
            login = self._search(registry, repository)
        _logger.debug("credentials for %s: %s", sanitize(registry), login.source if login else "none")
        return login

    def _search(self, registry: str, repository: str) -> Login | None:
        if self._stores is None:
            self._stores = list(self._read())
        host = _normalised(registry)
        for store in self._stores:
            try:
                login = self._ask(store, host, registry) or self._look_up(store, f"{host}/{repository}")
            except AuthenticationError as error:
                # A failed helper disables its file, not the others (docs/registries.md#credential-helpers).
                self._warn(f"{error}; continuing without its credentials; fix or remove it")
                continue
            if login is not None:
                return login
        return None

    def _read(self) -> Iterator[_Store]:
        for read in self._sources:
            try:
                yield read()
            except AuthenticationError as error:
                self._warn(f"{error}; continuing without its credentials; fix or remove it")

    def _ask(self, store: _Store, host: str, registry: str) -> Login | None:
        helper = store.helper(host)
        if not helper or self._helpers is None:
            return None
        try:
            return self._helpers.get(helper, store.hub_key if host == DOCKER_HUB else registry)
        except AuthenticationError as error:
            raise AuthenticationError(f"{error} (named in {store.source})") from error

    def _look_up(self, store: _Store, wanted: str) -> Login | None:
        for key in store.keys(wanted):
            try:
                login = store.login(key)
            except AuthenticationError as error:
                self._warn(
                    f"cannot use the entry {quoted(key)} of {store.source}: {error}; "
                    "continuing without it; log in again, or remove it"
                )
                continue
            if login is not None:
                return login
        return None

    def _warn(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            _logger.warning("%s", message)


@dataclass(eq=False, repr=False)
class _Store:
    """The content of one source."""

    source: str
    fields: tuple[str, ...]
    auths: Mapping[str, object]
    helpers: Mapping[str, object]
    default: object
    hub_key: str = HUB_KEY

    @classmethod
    def of_variable(cls, text: str) -> Self:
        """Read the text of ``$DOCKER_AUTH_CONFIG``, in which only ``auth`` counts."""
        found = members(text.encode("utf-8", "surrogateescape"), _VARIABLE) if text.strip() else {}
        return cls._made(_VARIABLE, _FIELDS[:1], {"auths": found.get("auths")})

    @classmethod
    def of_helper(cls, name: str, source: str) -> Self:
        """Return a source without entries, whose helper podman asks about Docker Hub by its name."""
        return cls(sanitize(source), (), {}, {}, name, hub_key=DOCKER_HUB)

    @classmethod
    def of_entries(cls, source: str, auths: Mapping[str, object]) -> Self:
        """Return a source with the entries of another file."""
        return cls(sanitize(source), _FIELDS, auths, {}, None)

    @classmethod
    def of_file(cls, path: Path, *, must_exist: bool) -> Self:
        """Read a file; docker's old ``.dockercfg`` may consist of the entries that newer files have in ``auths``."""
        source, raw = sanitize(str(path)), _content(path, must_exist=must_exist)
        found = members(raw, source) if raw.strip() else {}
        is_old = path.name == _OLD_FILE and "auths" not in found
        return cls._made(source, _FIELDS, {"auths": found} if is_old else found)

    @classmethod
    def _made(cls, source: str, fields: tuple[str, ...], found: Mapping[str, object]) -> Self:
        auths, helpers = found.get("auths") or {}, found.get("credhelpers") or {}
        if not isinstance(auths, dict) or not isinstance(helpers, dict):
            raise AuthenticationError(f"{source} has an 'auths' or 'credHelpers' that is not an object")
        return cls(source, fields, auths, helpers, found.get("credsstore"))

    def helper(self, host: str) -> str:
        """Return the host's helper or ``""``; an empty one in ``credHelpers`` disables helpers, as in docker."""
        helper = next((self.helpers[key] for key in _matching(self.helpers, host)), self.default) or ""
        if not isinstance(helper, str):
            raise AuthenticationError(f"the helper for {quoted(host)} in {self.source} is not a string")
        return helper

    def keys(self, wanted: str) -> Iterator[str]:
        """Yield the keys for ``host/repository``, the longest first."""
        while wanted:
            yield from _matching(self.auths, wanted)
            wanted = wanted.rpartition("/")[0]

    def login(self, key: str) -> Login | None:
        """Return an entry's credentials; ``{}`` has none, because a helper keeps them."""
        entry = self.auths[key] or {}
        if not isinstance(entry, dict):
            raise AuthenticationError("it is not an object")
        given = {name.lower(): value or "" for name, value in entry.items()}
        texts = [given.get(name, "") if name in self.fields else "" for name in _FIELDS]
        if not all(isinstance(text, str) for text in texts):
            raise AuthenticationError("one of its fields is not a string")
        if not any(texts):
            return None
        auth, username, password, identity, registry = texts
        if auth:
            username, password = _decoded(auth)
        return Login.stored(username, password, self.source, identity, registry)


def same_host(key: str, registry: str) -> bool:
    """Return whether a key of a credential file is that of a registry."""
    return _normalised(key) == _normalised(registry)


def _normalised(key: str) -> str:
    """Return ``host[:port][/path]`` without a URL's path."""
    rest = _SCHEME.sub("", key)
    host, _, path = rest.partition("/")
    host = DOCKER_HUB if host.lower() in _HUB_HOSTS else host.lower()
    path = "" if rest != key or path in ("v1/", "v2/") else path.rstrip("/")
    return f"{host}/{path}" if path else host


def _matching(keys: Iterable[str], wanted: str) -> list[str]:
    """Return the keys for a host or path, those in the spelling of docker and podman first."""
    spellings = (HUB_KEY, *_HUB_HOSTS, wanted)
    found = (key for key in keys if _normalised(key) == wanted)
    return sorted(found, key=lambda key: spellings.index(key) if key in spellings else len(spellings))


def _decoded(auth: str) -> tuple[str, str]:
    """Split base64 of ``user:password``; padding may be missing, NUL or a line end may follow."""
    compact = "".join(auth.split()).rstrip("=")
    try:
        pair = base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except ValueError:
        raise AuthenticationError("its 'auth' is not base64") from None
    username, colon, password = pair.decode("utf-8", "surrogateescape").rstrip("\0\r\n").partition(":")
    if not colon:
        raise AuthenticationError("its 'auth' has no ':'")
    return username, password


def _content(path: Path, *, must_exist: bool) -> bytes:
    """Return a file's content; nothing if it does not exist and need not."""
    try:
        return read_settings(path)
    except OSError as error:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)) and not must_exist:
            return b""
        raise AuthenticationError(f"cannot read {sanitize(str(path))}: {error.strerror}") from error


def own_file(environment: Mapping[str, str], home: Path | None, authfile: Path | None = None) -> Path | None:
    """Return the file in which docker stores credentials, or ``None`` without a home directory."""
    return next(iter(files(environment, home, authfile)), None)


def named_file(environment: Mapping[str, str], authfile: Path | None) -> Path | None:
    """Return the credential file that the user named, if any."""
    named = authfile or environment.get("REGISTRY_AUTH_FILE")
    return Path(named) if named else None


def files(environment: Mapping[str, str], home: Path | None, authfile: Path | None = None) -> tuple[Path, ...]:
    """Return the credential files in order of preference; only the user's file if there is one."""
    if named := named_file(environment, authfile):
        return (named,)
    docker = environment.get("DOCKER_CONFIG") or (home and home / ".docker")
    runtime = environment.get("XDG_RUNTIME_DIR")
    config = environment.get("XDG_CONFIG_HOME") or (home and home / ".config")
    podman = Path("containers", "auth.json")
    places = ((docker, "config.json"), (runtime, podman), (config, podman), (home, _OLD_FILE))
    return tuple(Path(directory, name) for directory, name in places if directory)
