"""The endpoints of an image: its mirrors, and the registry itself.

Mirrors are tried in this order, the registry itself last (docs/registries.md#which-mirrors):

* ``--mirror [REGISTRY=]URL``, by default for Docker Hub.  The URL's path is put before the repository:
  ``https://harbor.example/hub`` has ``hub/library/busybox``.
* ``registry-mirrors`` in docker's ``daemon.json``, for Docker Hub alone.
* the one ``[[registry]]`` of containers-registries.conf(5), version 2, that has the longest matching ``prefix``.
  Its settings for short names (``unqualified-search-registries``, ``[aliases]``, ``short-name-mode``) are ignored: a
  reference without a registry is on Docker Hub.
"""

from __future__ import annotations

import json
import logging
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from imgfetch.errors import ImgfetchError, InvalidReferenceError, TransportError, UnsupportedError, VerificationError
from imgfetch.http.origin import Origin
from imgfetch.inputs import read_settings
from imgfetch.oci import strictjson
from imgfetch.oci.reference import DOCKER_HUB, Reference, parse_location
from imgfetch.text import quoted, sanitize

SYSTEM = Path("/etc/containers")
_MAX_TOML = 1024 * 1024  # 100,000 tables take 100 MiB
_PULLS = ("all", "digest-only", "tag-only")
_FILE_KEYS = frozenset({"registry", "registries", "registry-mirrors"})
_KEYS = frozenset({"prefix", "location", "insecure", "blocked", "mirror", "mirror-by-digest-only", "pull-from-mirror"})

_logger = logging.getLogger(__name__)


class Endpoint(NamedTuple):
    """A registry, and an image's name there.

    Attributes:
        registry: host and port, as in :attr:`Reference.registry`.
        repository: the path within that registry.
        scheme: ``http`` for a mirror with an http URL, else empty.
        insecure: allow http, and certificates that cannot be verified, because the user's configuration does.
        by_digest_only: never use it to resolve a tag.
        is_mirror: false for the registry itself.
    """

    registry: str
    repository: str
    scheme: str = ""
    insecure: bool = False
    by_digest_only: bool = False
    is_mirror: bool = True

    def renamed(self, reference: Reference) -> Reference:
        """Return the image's name at this endpoint."""
        return replace(reference, registry=self.registry, repository=self.repository)


class Rule(NamedTuple):
    """A ``[[registry]]`` of registries.conf.

    Attributes:
        prefix: ``*.HOST``, or the start of a name, perhaps all of it with its tag or digest.
        places: those that replace the prefix, the upstream last, each with the pulls that it serves: ``all``,
            ``digest-only`` or ``tag-only``; one without a registry keeps the name unchanged.
    """

    prefix: str
    places: tuple[tuple[Endpoint, str], ...]
    blocked: bool = False
    file: str = "registries.conf"

    def rest(self, reference: Reference) -> str | None:
        """Return the part of a name that follows the prefix, or ``None`` if the rule is for others."""
        registry = reference.registry.lower()
        if self.prefix.startswith("*."):
            return f"/{reference.repository}" if registry.partition(":")[0].endswith(self.prefix[1:]) else None
        name = f"{registry}/{reference.repository}"
        if self.prefix in (name, f"{name}:{reference.with_default_tag().tag}", f"{name}@{reference.digest}"):
            return ""
        return name.removeprefix(self.prefix) if name.startswith(f"{self.prefix}/") else None

    def endpoints(self, reference: Reference) -> Iterator[Endpoint]:
        """Yield the endpoints for a reference that the rule is for."""
        # A pull by digest has no tag.  A manifest that an index lists is requested by tag and digest: a pull by tag.
        has_tag = bool(reference.tag) or not reference.digest
        for place, pulls in self.places:
            if has_tag or pulls != "tag-only":
                there = _below(place, reference, self.rest(reference) or "")
                yield there._replace(by_digest_only=pulls == "digest-only")


@dataclass(frozen=True)
class Mirrors:
    """The mirrors of ``--mirror`` and of daemon.json, and the tables of registries.conf."""

    urls: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        """Raise `InvalidReferenceError` for a mirror's URL that is malformed or has credentials."""
        tuple(map(_root, self.urls))

    def endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        """Return the endpoints for an image, in order.

        Raises:
            UnsupportedError: the configuration blocks it, or gives it an empty name.
        """
        matching = [rule for rule in self.rules if rule.rest(reference) is not None]
        rule = max(matching, key=lambda rule: (len(rule.prefix), not rule.prefix.startswith("*.")), default=None)
        if rule and rule.blocked:
            raise UnsupportedError(f"{reference} is blocked by {sanitize(rule.file)} (prefix {rule.prefix})")
        registry, rest = reference.registry.lower(), f"/{reference.repository}"
        mirrors = [_below(root, reference, rest) for served, root in map(_root, self.urls) if served == registry]
        upstream = Endpoint(reference.registry, reference.repository, is_mirror=False)
        return tuple(dict.fromkeys((*mirrors, *(rule.endpoints(reference) if rule else (upstream,)))))


def read(*, urls: Iterable[str] = (), daemon_json: Path | None, registries_conf: Sequence[Path]) -> Mirrors:
    """Read the configuration; a malformed file is ignored with a warning.

    Each of ``urls`` is ``[REGISTRY=]URL``.  If two files of ``registries_conf`` have the same prefix, the later counts.

    Raises:
        InvalidReferenceError: one of ``urls`` is malformed, or has credentials.
    """
    rules: dict[str, Rule] = {}
    for path in registries_conf:
        with _tolerated(str(path)):
            rules |= _rules(path)
    docker = _registry_mirrors(daemon_json) if daemon_json else ()
    return Mirrors((*urls, *docker), tuple(rules.values()))


def registries_conf_files(
    environment: Mapping[str, str], home: Path | None, *, system: Path = SYSTEM
) -> tuple[Path, ...]:
    """Return the files of containers-registries.conf(5) and containers-registries.conf.d(5), in their order."""
    user = home / ".config/containers" if home else system
    named, own = environment.get("CONTAINERS_REGISTRIES_CONF"), _files(user, "registries.conf")
    main = [Path(named)] if named else own or _files(system, "registries.conf")
    folders = dict.fromkeys([user] if own and not named else [system, user])
    return (*main, *(path for folder in folders for path in _files(folder / "registries.conf.d", "*.conf")))


def _files(folder: Path, pattern: str) -> list[Path]:
    found: list[Path] = []
    with _tolerated(str(folder)):
        found += sorted(path for path in folder.glob(pattern) if path.is_file())
    return found


@contextmanager
def _tolerated(what: str) -> Iterator[None]:
    """Turn any error about ``what`` into one warning."""
    try:
        yield
    except RecursionError:
        _logger.warning("ignoring %s: it is nested too deeply", sanitize(what))
    except (OSError, ValueError, ImgfetchError) as error:
        level = logging.INFO if isinstance(error, FileNotFoundError) else logging.WARNING
        reason = getattr(error, "strerror", None) or str(error)
        _logger.log(level, "ignoring %s: %s", sanitize(what), sanitize(reason))


def _registry_mirrors(path: Path) -> Iterator[str]:
    with _tolerated(str(path)):
        members = strictjson.Object(strictjson.loads(read_settings(path).strip() or b"{}", "it"), "it", _FILE_KEYS)
        for number, url in enumerate(map(str, members.items_of("registry-mirrors")), 1):
            with _tolerated(f"mirror {number} in {path}"):
                if "=" in url or _root(url)[1].repository:
                    raise UnsupportedError("expected a URL without '=' or a path, which docker would put before /v2/")
                yield url


def _rules(path: Path) -> dict[str, Rule]:
    # Through JSON, because JSON has no dates.  As in JSON, Go accepts keys in any case.
    content = json.loads(json.dumps(_toml(read_settings(path, _MAX_TOML).decode()), default=str))
    members = strictjson.Object(content, "it", _FILE_KEYS)
    if "registries" in members:
        raise UnsupportedError("version 1 of the format is not supported; write [[registry]] tables")
    tables = enumerate(members.items_of("registry"), 1)
    rules = [_rule(strictjson.Object(table, f"[[registry]] {number}", _KEYS), path) for number, table in tables]
    return {rule.prefix: rule for rule in reversed(rules)}  # of two with the same prefix, the first


def _toml(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # of `int`
        raise UnsupportedError("it has a number of too many digits") from None


def _rule(table: strictjson.Object, path: Path) -> Rule:
    prefix = (table.text("prefix") or table.text("location")).rstrip("/")
    host, slash, name = prefix.partition("/")
    is_wild = host.startswith("*.")
    if not host or "://" in prefix or (is_wild and (slash or ":" in host)):
        raise VerificationError(f"the prefix of {table.what} is neither HOST[:PORT][/PATH] nor *.HOST")
    limit = "digest-only" if _flag(table, "mirror-by-digest-only") else ""
    places: list[tuple[Endpoint, str]] = []
    for number, item in enumerate(table.items_of("mirror"), 1):
        mirror = strictjson.Object(item, f"mirror {number} of {table.what}", _KEYS)
        pull = mirror.text("pull-from-mirror") or "all"
        if pull not in _PULLS:
            raise VerificationError(f"'pull-from-mirror' of {mirror.what} must be one of {', '.join(_PULLS)}")
        places.append((_place(mirror, mirror.text("location")), limit or pull))
    upstream = _place(table, table.text("location") or ("*" if is_wild else prefix))
    places.append((upstream._replace(is_mirror=False), "all"))
    return Rule(host.lower() + slash + name, tuple(places), _flag(table, "blocked"), str(path))


def _place(table: strictjson.Object, location: str) -> Endpoint:
    insecure = _flag(table, "insecure")
    if location == "*":
        return Endpoint("", "", insecure=insecure)
    registry, slash, path = location.rstrip("/").partition("/")
    path = path.replace("@", ":").partition(":")[0]  # without the prefix's tag or digest, which the reference keeps
    with suppress(InvalidReferenceError):
        return Endpoint(*parse_location(registry + slash + path), insecure=insecure)
    raise VerificationError(f"the location of {table.what} is not HOST[:PORT][/PATH]")


def _flag(table: strictjson.Object, key: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise VerificationError(f"{key!r} of {table.what} must be true or false")
    return value


def _root(text: str) -> tuple[str, Endpoint]:
    """Parse ``[REGISTRY=]URL``; return the registry, and the mirror's endpoint for all its repositories."""
    before, _, after = text.partition("=")
    registry, url = (before, after) if after and "/" not in before else (DOCKER_HUB, text)
    shown = quoted(text)
    if not set("@?#").isdisjoint(text):
        # The URL is not shown, because it may hold a secret (docs/registries.md#secrets-in-messages).
        shown = "a URL with credentials, a query or a fragment"
    else:
        with suppress(TransportError, InvalidReferenceError):
            origin = Origin.of(url)
            _, path = parse_location(f"{origin.host_and_port}/{url.partition('://')[2].partition('/')[2].strip('/')}")
            scheme = "" if origin.scheme == "https" else "http"
            return parse_location(registry)[0].lower(), Endpoint(str(origin), path, scheme)
    raise InvalidReferenceError(f"{shown} is not a valid mirror", hint="write [REGISTRY=]http(s)://HOST[:PORT][/PATH]")


def _below(root: Endpoint, reference: Reference, rest: str) -> Endpoint:
    """Return the endpoint for a reference, whose name there is that of ``root`` with ``rest`` appended."""
    if not root.registry:
        return root._replace(registry=reference.registry, repository=reference.repository)
    if not root.repository and not rest:
        raise UnsupportedError(f"{reference} has no name at {root.registry}, because its location has no path")
    return root._replace(repository=f"{root.repository}{rest}".lstrip("/"))
