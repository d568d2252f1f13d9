"""Archives whose keys readers spell, or repeat, differently."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product

from tests.hostile.parts import (
    LAYOUT,
    NAME,
    REF_NAME,
    Hostile,
    Json,
    Make,
    Pair,
    both,
    both_images,
    dumped,
    entry,
    index,
    item,
    tar,
)

Spell = Callable[[str], str]
CASES: dict[str, Spell] = {
    "in lower case": str.lower,
    "in upper case": str.upper,
    "with its first letter in upper case": lambda key: key[:1].upper() + key[1:],
    "with a long s": lambda key: key.replace("s", "\u017f", 1),
    "with a kelvin": lambda key: key.replace("k", "\u212a", 1),
    "twice": lambda key: key,
    "escaped": lambda key: key,
}


def _pairs(members: list[tuple[str, Json]], *, escaped: bool = False) -> bytes:
    """Return an object whose keys may occur several times."""
    texts = []
    for number, (key, value) in enumerate(members):
        name = json.dumps(key)
        if escaped and number == len(members) - 1:
            name = f'"\\u{ord(key[0]):04x}{key[1:]}"'
        texts.append(f"{name}:{dumped(value).decode()}")
    return ("{" + ",".join(texts) + "}").encode()


def _with(value: dict[str, Json], key: str, spell: Spell, other: Json, *, first: bool, escaped: bool) -> bytes:
    again = (spell(key), other)
    members = list(value.items())
    return _pairs([again, *members] if first else [*members, again], escaped=escaped and not first)


def _array(*texts: bytes) -> bytes:
    return b"[" + b",".join(texts) + b"]"


def _in_items(key: str, spell: Spell, *, first: bool, escaped: bool) -> Make:
    def make(pair: Pair) -> bytes:
        good, planted = item(pair.good, pair.name), item(pair.planted, pair.name)
        listed = index(entry(pair.good, pair.name), entry(pair.planted, f"{pair.repository}:2"))
        text = _with(good, key, spell, planted[key], first=first, escaped=escaped)
        return both_images(pair, index=listed, manifest=_array(text))

    return make


def _in_index(key: str, spell: Spell, *, first: bool, escaped: bool) -> Make:
    def make(pair: Pair) -> bytes:
        good, planted = index(entry(pair.good, pair.name)), index(entry(pair.planted, pair.name))
        planted = {"schemaVersion": 3, "mediaType": "application/x-other", "manifests": planted["manifests"]}
        return both_images(
            pair, index=_with(good, key, spell, planted[key], first=first, escaped=escaped), manifest=None
        )

    return make


def _in_entry(key: str, spell: Spell, *, first: bool, escaped: bool) -> Make:
    def make(pair: Pair) -> bytes:
        good, planted = entry(pair.good, pair.name), entry(pair.planted, f"{pair.repository}:3")
        text = _with(good, key, spell, planted[key], first=first, escaped=escaped)
        listed = b'{"schemaVersion":2,"manifests":' + _array(text, dumped(entry(pair.planted, f"{pair.repository}:2")))
        return both_images(pair, index=listed + b"}", manifest=None)

    return make


def _in_annotations(key: str, spell: Spell, *, first: bool, escaped: bool) -> Make:
    def make(pair: Pair) -> bytes:
        names = {NAME: f"{pair.repository}:2", REF_NAME: f"{pair.repository}:2"}
        text = _with(names, key, spell, pair.name, first=first, escaped=escaped)
        own = {name: value for name, value in entry(pair.planted).items() if name != "annotations"}
        planted = _pairs([*own.items(), ("annotations", text)])
        return both_images(
            pair,
            index=b'{"schemaVersion":2,"manifests":' + _array(dumped(entry(pair.good, pair.name)), planted) + b"}",
            manifest=None,
        )

    return make


def _in_platform(key: str, spell: Spell, *, first: bool, escaped: bool) -> Make:
    def make(pair: Pair) -> bytes:
        text = _with({"os": "linux", "architecture": "s390x"}, key, spell, "amd64", first=first, escaped=escaped)
        own = _pairs([*entry(pair.planted, pair.name).items(), ("platform", text)])
        listed = b'{"schemaVersion":2,"manifests":' + _array(dumped(entry(pair.good, pair.name)), own) + b"}"
        return both_images(pair, index=listed, manifest=None)

    return make


def _in_layout(key: str, spell: Spell, *, first: bool, escaped: bool) -> Make:
    def make(pair: Pair) -> bytes:
        return tar(both(pair, layout=_with(json.loads(LAYOUT), key, spell, "", first=first, escaped=escaped)))

    return make


def _in_repositories(key: str, spell: Spell, *, first: bool, escaped: bool) -> Make:
    del key

    def make(pair: Pair) -> bytes:
        top = json.loads(pair.good.config.content)["rootfs"]["diff_ids"][-1].removeprefix("sha256:")
        text = _with(
            {pair.repository: {"1": top}}, pair.repository, spell, {"1": "ab" * 32}, first=first, escaped=escaped
        )
        return tar(both(pair, repositories=text))

    return make


_PLACES = {
    "an item's": (_in_items, ("Config", "RepoTags", "Layers")),
    "index.json's": (_in_index, ("manifests", "mediaType", "schemaVersion")),
    "an entry's": (_in_entry, ("digest", "annotations", "mediaType", "size")),
    "an annotation": (_in_annotations, (NAME, REF_NAME)),
    "a platform's": (_in_platform, ("architecture",)),
    "oci-layout's": (_in_layout, ("imageLayoutVersion",)),
    "repositories'": (_in_repositories, ("name",)),
}
_EXACT = ("in upper case", "twice", "escaped")
"""Spellings of keys that no reader folds."""


def _keys() -> dict[str, Hostile]:
    found = {}
    for place, (make, keys) in _PLACES.items():
        for key, (text, spell) in product(keys, CASES.items()):
            is_another = spell(key) != key or text in ("twice", "escaped")
            if not is_another or (make is _in_annotations and text not in _EXACT):
                continue
            for order in ("last",) if text in ("in upper case", "escaped") else ("last", "first"):
                hostile = Hostile(make(key, spell, first=order == "first", escaped=text == "escaped"))
                found[f"{place} key {key} {text}, {order}"] = hostile
    return found


KEYS: dict[str, Hostile] = _keys()
