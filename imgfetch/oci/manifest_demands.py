"""The types that containerd demands of the members of a manifest or index, which other readers ignore."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from imgfetch.oci import gojson, strictjson
from imgfetch.oci.config_demands import Demand, misfits, sentences
from imgfetch.oci.readers import CONTAINERD, NEW_CONTAINERD, Readers


def warnings(raw: bytes, what: str) -> Iterator[str]:
    """Yield a sentence for each group of readers that refuse a valid manifest or index, called ``what``."""
    document = strictjson.loads(raw, what)
    is_index = isinstance(document, dict) and "manifests" in document
    yield from sentences(misfits(document, (_INDEX if is_index else _MANIFEST,)), what)


def _text(group: Readers) -> Demand:
    return Demand("a string", gojson.is_text, group)


def _texts(group: Readers) -> Demand:
    return Demand("an array of strings", gojson.are_texts, group)


def _annotations(group: Readers) -> Demand:
    return Demand("an object of strings", gojson.is_map, group)


def _object(group: Readers, members: Mapping[str, Demand]) -> Demand:
    return Demand("an object", gojson.is_object, group, {name.lower(): (demand,) for name, demand in members.items()})


def _descriptor(group: Readers) -> Demand:
    platform = {name: _text(group) for name in ("os", "architecture", "variant", "os.version")}
    members = {
        **{name: _text(group) for name in ("mediaType", "digest", "data", "artifactType")},
        "size": Demand("an integer", gojson.is_integer, group),
        "urls": _texts(group),
        "annotations": _annotations(group),
        "platform": _object(group, {**platform, "os.features": _texts(group)}),
    }
    return _object(group, members)


_ENTRIES = _descriptor(CONTAINERD)._replace(wanted="an array", fits=gojson.is_array)
_MANIFEST = _object(
    CONTAINERD,
    {
        "config": _descriptor(CONTAINERD),
        "layers": _ENTRIES,
        "annotations": _annotations(CONTAINERD),
        "subject": _descriptor(CONTAINERD),
        "artifactType": _text(NEW_CONTAINERD),
    },
)
_INDEX = _object(
    CONTAINERD,
    {
        "manifests": _ENTRIES,
        "annotations": _annotations(CONTAINERD),
        "subject": _descriptor(NEW_CONTAINERD),
        "artifactType": _text(NEW_CONTAINERD),
    },
)
