"""The types that readers demand of a config's members.

All known readers decode a config by Go's ``encoding/json``, each into structs of its own, and refuse a value of another
type.  Keys count in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from imgfetch.oci import gojson, mediatypes, readers, strictjson
from imgfetch.oci.config import Config
from imgfetch.oci.readers import Readers, listed
from imgfetch.text import quoted

_MAX_SHOWN = 3
_MAX_CLASSIC_LAYERS = 125


class Fault(NamedTuple):
    """A part of a document that some readers refuse.

    Attributes:
        text: a description, to follow "the config has".
    """

    text: str
    readers: Readers


class Demand(NamedTuple):
    """A type that readers demand of a value other than null, which counts as absent.

    Attributes:
        wanted: the type's name in messages.
        members: the demands on an object's members, or on those of the objects in an array; keys in lower case.
    """

    wanted: str
    fits: Callable[[object], bool]
    readers: Readers
    members: Mapping[str, tuple[Demand, ...]] = {}


def warnings(config: Config, raw: bytes, what: str) -> Iterator[str]:
    """Yield a sentence for each group of readers that refuse a config; ``what`` is its name in messages."""
    yield from sentences(faults(config, raw), what)


def sentences(faults: Iterable[Fault], what: str) -> Iterator[str]:
    """Yield a sentence for each group of readers that refuse a document; ``what`` is its name in messages."""
    groups: dict[Readers, list[str]] = {}
    for fault in faults:
        groups.setdefault(fault.readers, []).append(fault.text)
    for group, texts in groups.items():
        more = [f"{len(texts) - _MAX_SHOWN} more"] if len(texts) > _MAX_SHOWN else []
        yield f"{what} has {listed(texts[:_MAX_SHOWN] + more)}, which {group}; {group.hint}"


def faults(config: Config, raw: bytes) -> Iterator[Fault]:
    """Yield the parts of a config, whose bytes are ``raw``, that some readers refuse."""
    document = strictjson.loads(gojson.marked(raw), "the config", as_go=True)
    yield from misfits(document, _CONFIG)
    members = strictjson.fields(document)
    if not isinstance(strictjson.fields(members.get("rootfs")).get("type"), str):
        yield Fault("no type in its rootfs", readers.CRANE)
    if config.media_type in mediatypes.VAGUE_CONFIGS:
        text = f"the media type {config.media_type}" if config.media_type else "no media type"
        yield Fault(text, readers.CTR)
    steps, layers = members.get("history"), len(config.diff_ids)
    made = (
        sum(strictjson.fields(step).get("empty_layer") is not True for step in steps) if isinstance(steps, list) else 0
    )
    if made > layers:
        yield Fault(f"{made} layers in its history but {layers} in its rootfs", readers.CLASSIC_STORE)
    if any(diff_id.algorithm != "sha256" for diff_id in config.diff_ids):
        yield Fault("diff_ids by another algorithm than sha256", readers.SHA256)
    if layers > _MAX_CLASSIC_LAYERS:
        yield Fault(f"{layers} layers, more than {_MAX_CLASSIC_LAYERS}", readers.CLASSIC_STORE)


def misfits(value: object, demands: tuple[Demand, ...], path: str = "") -> Iterator[Fault]:
    """Yield the parts of a parsed value at ``path`` that do not fit the demands on it."""
    if value is None or not demands:
        return
    for demand in demands:
        if not demand.fits(value):
            shown = quoted(gojson.unmarked(value), 80) if isinstance(value, str) else strictjson.shown(value)
            yield Fault(f"a malformed {quoted(path)} ({shown} instead of {demand.wanted})", demand.readers)
            return
    members = demands[0].members
    if isinstance(value, dict):
        for key, member in strictjson.every_member(value):
            yield from misfits(member, members.get(strictjson.folded(key), ()), f"{path}.{key}".lstrip("."))
    elif isinstance(value, list) and members:
        item_demand = (_object(demands[0].readers, members),)
        for number, item in enumerate(value):
            yield from misfits(item, item_demand, f"{path}[{number}]")


_Members = Mapping[str, tuple[Demand, ...]]


def _object(group: Readers, members: _Members) -> Demand:
    return Demand("an object", gojson.is_object, group, members)


def _members(wanted: str, fits: Callable[[object], bool], group: Readers, names: str) -> _Members:
    return {name.lower(): (Demand(wanted, fits, group),) for name in names.split()}


def _texts(group: Readers, names: str) -> _Members:
    return _members("a string", gojson.is_text, group, names)


def _flags(group: Readers, names: str) -> _Members:
    return _members("true or false", gojson.is_flag, group, names)


def _integers(group: Readers, names: str) -> _Members:
    return _members("an integer", gojson.is_integer, group, names)


def _arrays(group: Readers, names: str) -> _Members:
    return _members("an array of strings", gojson.are_texts, group, names)


def _words(group: Readers, oci: Readers, names: str) -> _Members:
    """Return demands on members that docker takes as a string, too, but the readers ``oci`` do not."""
    either = Demand("an array of strings", gojson.are_words, group)
    return {name.lower(): (either, Demand("an array of strings", gojson.are_texts, oci)) for name in names.split()}


def _name(podman: Readers) -> tuple[Demand, ...]:
    """Return the demands on a name within a platform."""
    return (
        Demand("a string", gojson.is_text, readers.PLATFORM),
        Demand("letters, digits, '_', '.' and '-'", gojson.has_name_of_podman, podman),
    )


def _by(group: Readers, members: _Members) -> _Members:
    """Return the first demand on each member, made by other readers."""
    return {
        name: (demands[0]._replace(readers=group, members=_by(group, demands[0].members)),)
        for name, demands in members.items()
    }


def _is_known_os(value: object) -> bool:
    return str(value).lower() in ("", "linux", "windows")


_TIME = (
    Demand("a time as in RFC 3339", gojson.is_time, readers.EVERY_READER),
    Demand("a time as in RFC 3339", gojson.has_known_offset, readers.NEW_GO),
    Demand("a time as in RFC 3339", gojson.has_usual_offset, readers.PODMAN_5),
    Demand("a time without an escape", gojson.has_no_escape, readers.OLD_GO),
)
_OS = (
    Demand("a string", gojson.is_text, readers.PLATFORM),
    Demand("linux or windows", _is_known_os, readers.CLASSIC_STORE),
    Demand("linux or windows", lambda value: str(value).islower() or not value, readers.DOCKER_20),
)
_HEALTHCHECK = {
    **_arrays(readers.DOCKER_SPEC, "Test"),
    **_integers(readers.DOCKER_SPEC, "Interval Timeout StartPeriod Retries"),
    **_integers(readers.NEW_DOCKER_SPEC, "StartInterval"),
}
_RUN = {
    **_texts(readers.EVERY_READER, "User WorkingDir StopSignal"),
    **_flags(readers.EVERY_READER, "ArgsEscaped"),
    **_arrays(readers.EVERY_READER, "Env"),
    **_words(readers.EVERY_READER, readers.OCI, "Entrypoint Cmd"),
    **_members("an object of objects", gojson.is_set, readers.EVERY_READER, "ExposedPorts Volumes"),
    **_members("an object of strings", gojson.is_map, readers.EVERY_READER, "Labels"),
    **_arrays(readers.DOCKER_SPEC, "OnBuild"),
    **_words(readers.DOCKER_SPEC, readers.SHELL, "Shell"),
    "healthcheck": (_object(readers.DOCKER_SPEC, _HEALTHCHECK),),
    **_texts(readers.DOCKER_AND_CRANE, "Hostname Domainname Image MacAddress"),
    **_flags(readers.DOCKER_AND_CRANE, "AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce NetworkDisabled"),
    **_integers(readers.DOCKER, "StopTimeout"),
}
_ROOTFS = {
    "type": (
        Demand("a string", gojson.is_text, readers.PLATFORM),
        Demand("'layers'", lambda value: value == "layers", readers.CRANE),
    )
}
_STEP = {
    "created": _TIME,
    **_texts(readers.EVERY_READER, "created_by author comment"),
    **_flags(readers.EVERY_READER, "empty_layer"),
}
_MEMBERS = {
    "created": _TIME,
    "os": _OS,
    "architecture": _name(readers.PODMAN_NAME),
    "variant": _name(readers.PODMAN_5_NAME),
    **_texts(readers.PLATFORM, "os.version"),
    **_arrays(readers.PLATFORM, "os.features"),
    **_texts(readers.EVERY_READER, "author"),
    **_texts(readers.DOCKER_AND_CRANE, "container docker_version"),
    **_texts(readers.DOCKER, "id parent comment"),
    **_integers(readers.DOCKER, "Size"),
    "config": (_object(readers.EVERY_READER, _RUN),),
    "container_config": (_object(readers.DOCKER, _by(readers.DOCKER, _RUN)),),
    "history": (Demand("an array", gojson.is_array, readers.EVERY_READER, _STEP),),
    "rootfs": (_object(readers.PLATFORM, _ROOTFS),),
}
_CONFIG = (_object(readers.EVERY_READER, _MEMBERS),)
