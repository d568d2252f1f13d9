"""podman's ``registries.conf``, read as by containers/image (``pkg/sysregistriesv2``).

The one ``[[registry]]`` that has the longest matching ``prefix`` counts for an image.  A file that podman refuses is
ignored with a warning, except that its blocked registries stay blocked.  Settings for short names
(``unqualified-search-registries``, ``[aliases]``, ``short-name-mode``) are ignored: a reference without a registry is
on Docker Hub.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import starmap
from pathlib import Path
from typing import NamedTuple

from imgfetch.errors import ImgfetchError, InvalidReferenceError, UnsupportedError, VerificationError
from imgfetch.oci import strictjson
from imgfetch.oci.reference import Reference, parse_location
from imgfetch.registry.endpoints import Endpoint, below
from imgfetch.registry.settings import find_files, flag, note_read, read_toml, tolerated
from imgfetch.text import quoted

SYSTEM = Path("/etc/containers")
DROP_INS = "registries.conf.d"
_PULLS = ("all", "digest-only", "tag-only")
_FILE_KEYS = frozenset({"registry", "registries"})
_KEYS = frozenset({"prefix", "location", "insecure", "blocked", "mirror", "mirror-by-digest-only", "pull-from-mirror"})
_VERSION_1 = {"block": "blocked", "insecure": "insecure"}
_VERSION_2 = frozenset(
    {"registry", "unqualified-search-registries", "credential-helpers", "short-name-mode", "aliases"}
)


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
                there = below(place, reference, self.rest(reference) or "")
                yield there._replace(by_digest_only=pulls == "digest-only")


def read_rules(paths: Iterable[Path]) -> tuple[Rule, ...]:
    """Read the files; if two have the same prefix, the later counts."""
    rules: dict[str, Rule] = {}
    for path in paths:
        with tolerated(str(path)):
            for rule in _rules(path):
                rules[rule.prefix] = rule
            note_read(path)
    return tuple(rules.values())


def registries_conf_files(
    environment: Mapping[str, str], home: Path | None, *, system: Path = SYSTEM
) -> tuple[Path, ...]:
    """Return the files of containers-registries.conf(5) and containers-registries.conf.d(5), in their order."""
    user = home / ".config/containers" if home else system
    named, own = environment.get("CONTAINERS_REGISTRIES_CONF"), find_files(user, "registries.conf")
    main = [Path(named)] if named else own or find_files(system, "registries.conf")
    folders = dict.fromkeys([user] if own and not named else [system, user])
    return (*main, *(path for folder in folders for path in find_files(folder / DROP_INS, "*.conf")))


def _rules(path: Path) -> list[Rule]:
    """Return a file's rules: of those with one prefix the first, or one that blocks it."""
    content = strictjson.Object(read_toml(path), "it", _FILE_KEYS, in_any_case=True)
    old = _version_1(content)
    tables = old or content.items_of("registry")
    rules = list(_blocks(tables, path))  # if podman refuses the file
    with tolerated(str(path)):
        if old and (path.parent.name == DROP_INS or not _VERSION_2.isdisjoint(content)):
            raise UnsupportedError("[registries] is version 1 of the format, which only a main file may have, alone")
        entries = list(starmap(_entry, enumerate(tables, 1)))
        _check_conflicts(entries)
        rules = [_rule(entry, path) for entry in reversed(entries)]
    return sorted(rules, key=lambda rule: rule.blocked)


def _version_1(content: strictjson.Object) -> list[object]:
    """Return the tables that say the same as ``[registries.block]`` and ``[registries.insecure]``."""
    tables: dict[str, dict[str, object]] = {}
    sections = content.members_of("registries")
    for name, key in _VERSION_1.items():
        section = strictjson.Object(sections.get(name, {}), f"[registries.{name}]")
        for location in section.texts_of("registries"):
            tables.setdefault(location, {"location": location})[key] = True
    return list(tables.values())


def _blocks(tables: Iterable[object], path: Path) -> Iterator[Rule]:
    """Yield rules for what any table blocks, as its prefix or as the location of another one."""
    entries: list[strictjson.Object] = []
    for number, table in enumerate(tables, 1):
        with suppress(ImgfetchError):
            entries.append(_entry(number, table))
    blocked = {_location(entry) for entry in entries if entry.get("blocked") is True}
    for entry in entries:
        with suppress(ImgfetchError):
            if _location(entry) in blocked:
                yield Rule(_prefix(entry), (), blocked=True, file=str(path))


def _entry(number: int, table: object) -> strictjson.Object:
    return strictjson.Object(table, f"[[registry]] {number}", _KEYS, in_any_case=True)


def _location(entry: strictjson.Object) -> str:
    return entry.text("location").rstrip("/") or _prefix(entry)


def _prefix(entry: strictjson.Object) -> str:
    prefix = (entry.text("prefix") or entry.text("location")).rstrip("/")
    host, slash, name = prefix.partition("/")
    if not host or "://" in prefix or (host.startswith("*.") and (slash or not {":", "@"}.isdisjoint(host))):
        raise VerificationError(f"the prefix of {entry.what} is neither HOST[:PORT][/PATH] nor *.HOST")
    return host.lower() + slash + name


def _check_conflicts(entries: Iterable[strictjson.Object]) -> None:
    first: dict[str, strictjson.Object] = {}
    for entry in entries:
        location = _location(entry)
        other = first.setdefault(location, entry)
        for key in ("insecure", "blocked"):
            if flag(entry, key) != flag(other, key):
                raise VerificationError(f"{key!r} of {quoted(location)} is true in one [[registry]], false in another")


def _rule(entry: strictjson.Object, path: Path) -> Rule:
    prefix, location = _prefix(entry), entry.text("location").rstrip("/")
    if not location and not prefix.startswith("*."):
        raise VerificationError(f"{entry.what} has no location")
    if entry.text("pull-from-mirror"):
        raise VerificationError(f"'pull-from-mirror' of {entry.what} belongs into a [[registry.mirror]]")
    limit = "digest-only" if flag(entry, "mirror-by-digest-only") else ""
    places = [_mirror(entry, number, item, limit) for number, item in enumerate(entry.items_of("mirror"), 1)]
    upstream = _place(entry, location)._replace(is_mirror=False)
    return Rule(prefix, (*places, (upstream, "all")), flag(entry, "blocked"), str(path))


def _mirror(entry: strictjson.Object, number: int, item: object, limit: str) -> tuple[Endpoint, str]:
    mirror = strictjson.Object(item, f"mirror {number} of {entry.what}", _KEYS, in_any_case=True)
    pull, location = mirror.text("pull-from-mirror"), mirror.text("location")
    if limit and pull:
        raise VerificationError(f"'pull-from-mirror' of {mirror.what} contradicts 'mirror-by-digest-only'")
    if pull not in ("", *_PULLS):
        raise VerificationError(f"'pull-from-mirror' of {mirror.what} must be one of {', '.join(_PULLS)}")
    return _place(mirror, location or "/"), limit or pull or "all"


def _place(table: strictjson.Object, location: str) -> Endpoint:
    insecure = flag(table, "insecure")
    if not location:  # only below *.HOST: the name stays as it is
        return Endpoint("", "", insecure=insecure)
    registry, slash, path = location.rstrip("/").partition("/")
    path = path.replace("@", ":").partition(":")[0]  # without the prefix's tag or digest, which the reference keeps
    with suppress(InvalidReferenceError):
        return Endpoint(*parse_location(registry + slash + path), insecure=insecure)
    raise VerificationError(f"the location of {table.what} is not HOST[:PORT][/PATH]")
