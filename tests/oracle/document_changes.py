"""Changes to the documents of an archive that readers may read in several ways."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.oracle.drafts import Draft
from tests.oracle.samples import (
    AMD64,
    ARM64,
    LAYERS,
    NAME,
    NAMES,
    REF_NAME,
    Json,
    Pairs,
    Raw,
    described,
    image,
    rendered,
    sha256,
)
from tests.oracle.tars import DIRECTORY


def places(value: Json) -> Iterator[tuple[Any, Any]]:
    """Yield each container with each of its keys."""
    if isinstance(value, Pairs):
        return
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from places(inner)


ODD_VALUES = (
    *(None, True, False, 0, -1, 1, 2, 1.0, 1e3, "", "x", "1.0.0", [], {}, [None], [[]], [""], {"": ""}),
    *(Raw("1.0"), Raw("2e0"), Raw("1E400"), Raw("9223372036854775808"), Raw("-0"), Raw('"\\ud800"'), Raw('"\\u0000"')),
    *(AMD64, ARM64, {"architecture": "unknown", "os": "unknown"}, "sha256:" + "0" * 64),
)
ODD_KEYS = ("config", "Config", "layers", "manifests", "Manifests", "data", "platform", "urls", "x", "", "annotations")


def spelt(rng: random.Random, key: str) -> str:
    """Return a key in a spelling that Go takes as the same, or nearly."""
    choices = [key.swapcase(), key.upper(), key.capitalize(), key[:1].swapcase() + key[1:], key + " "]
    choices += [key.replace("s", "\u017f"), key.replace("k", "\u212a"), key.replace("i", "\u0131")]
    return rng.choice(choices)


def changed(rng: random.Random, document: Json) -> Json:
    """Change a document in one place."""
    document = copy.deepcopy(document)
    found = list(places(document))
    if not found:
        return rng.choice(ODD_VALUES)
    container, key = rng.choice(found)
    if isinstance(container, dict) and rng.random() < 0.5:
        return _with_key(rng, document, container, key)
    value = container[key]
    match rng.choice("vdrwssx"):
        case "d":
            del container[key]
        case "r" if isinstance(container, list):
            container.insert(rng.randrange(len(container) + 1), copy.deepcopy(value))
        case "w":
            container[key] = rng.choice([[value], {"x": value}, {str(key): value}])
        case "s" | "x":
            container[key] = _other_value(rng, value)
        case _:
            container[key] = rng.choice(ODD_VALUES)
    return document


def _with_key(rng: random.Random, document: Json, container: dict[str, Json], key: str) -> Json:
    """Return a document with a key spelt differently, twice, or beside the known ones."""
    match rng.choice("kkppx"):
        case "k":
            _respell(container, key, spelt(rng, key))
        case "p":
            return _with_pair(rng, document, container, key)
        case _:
            container[rng.choice(ODD_KEYS)] = rng.choice([container[key], *ODD_VALUES])
    return document


def _other_value(rng: random.Random, value: Json) -> Json:
    """Return a value that some readers may take as the same."""
    if isinstance(value, str):
        escaped = Raw('"' + "".join(f"\\u{ord(character):04x}" for character in value) + '"')
        return rng.choice([escaped, *[_other_text(rng, value)] * 3])
    if isinstance(value, int):
        return rng.choice([value + 1, -value, float(value), Raw(f"{value}.0"), Raw(f"{value}e0")])
    return rng.choice([None, value])


def _respell(container: dict[str, Json], key: str, other: str) -> None:
    """Rename a key in its place."""
    pairs = [(other if name == key else name, value) for name, value in container.items()]
    container.clear()
    container.update(pairs)


def _with_pair(rng: random.Random, document: Json, container: dict[str, Json], key: str) -> Json:
    """Return a document in which a key occurs twice in an object, in one or two spellings."""
    pairs = Pairs(container.items())
    name = rng.choice([key, spelt(rng, key)])
    value = rng.choice([container[key], _other(rng, container[key]), *ODD_VALUES[:6]])
    pairs.insert(rng.randrange(len(pairs) + 1), (name, value))
    return _replaced(document, container, pairs)


def _replaced(value: Json, old: object, new: Json) -> Json:
    if value is old:
        return new
    if isinstance(value, dict):
        return {key: _replaced(inner, old, new) for key, inner in value.items()}
    return [_replaced(inner, old, new) for inner in value] if isinstance(value, list) else value


def _other(rng: random.Random, value: Json) -> Json:
    if isinstance(value, list):
        return rng.choice([[], value * 2, value[1:]])
    return _other_text(rng, value) if isinstance(value, str) else value


def _other_text(rng: random.Random, text: str) -> str:
    """Return a text that some readers may take as the same path, name, digest or media type."""
    choices = [text.upper(), f"./{text}", f"/{text}", f"{text}/", f"x/../{text}", f"{text}\0", f"{text} ", text[:-1]]
    choices += [text.replace("/", "//", 1), text.replace(":", "@"), f"{text}@sha256:{'0' * 64}", f"../{text}"]
    choices += [text.partition(":")[0], rng.choice(NAMES), f"sha512:{'0' * 128}", f"{text}+gzip", f"{text}; x=y"]
    return rng.choice(choices)


def change_document(rng: random.Random, draft: Draft) -> None:
    name = rng.choice(list(draft.documents))
    draft.documents[name] = changed(rng, draft.documents[name])


def drop_document(rng: random.Random, draft: Draft) -> None:
    name = rng.choice(list(draft.documents))
    draft.entries = [entry for entry in draft.entries if entry.name != name.encode()]


def add_document(rng: random.Random, draft: Draft) -> None:
    """Add another form's document, or what the form before docker 1.10 consists of."""
    match rng.choice("lrmi"):
        case "l":
            draft.add(
                "oci-layout", rng.choice([b'{"imageLayoutVersion":"1.0.0"}', b'{"imageLayoutVersion":""}', b"{}"])
            )
        case "r":
            draft.add("x/", kind=DIRECTORY)
            draft.add("x/json", b'{"id":"x","os":"linux"}')
            draft.add("x/layer.tar", LAYERS[0].plain)
            draft.add("repositories", b'{"app":{"v1":"x"}}')
        case "m":
            draft.add("manifest.json", rng.choice([b"[]", b"null", b"{}", b""]))
        case "i":
            draft.add("index.json", rng.choice([b'{"schemaVersion":2,"manifests":[]}', b"{}", b"null", b""]))


def plant(rng: random.Random, draft: Draft) -> None:
    """Add an image, under the name of another or under its own, to one side or both."""
    planted = image(rng)
    for blob in (planted.config, *planted.blobs):
        draft.add_blob(blob)
    names = rng.choice([planted.names, [rng.choice(NAMES)], []])
    where = rng.choice(["manifest.json", "index.json", "both"])
    items = draft.documents.get("manifest.json")
    if where != "index.json" and isinstance(items, list):
        layers = [f"blobs/sha256/{sha256(blob)}" for blob in planted.blobs]
        item = {"Config": f"blobs/sha256/{sha256(planted.config)}", "RepoTags": names, "Layers": layers}
        items.insert(rng.randrange(len(items) + 1), item)
    index = draft.documents.get("index.json")
    if where != "manifest.json" and isinstance(index, dict) and isinstance(index.get("manifests"), list):
        content = rendered(planted.document)
        draft.add_blob(content)
        index["manifests"].insert(
            rng.randrange(len(index["manifests"]) + 1),
            {**described(content, planted.document["mediaType"]), **_annotated(rng, names)},
        )


def _annotated(rng: random.Random, names: list[str]) -> dict[str, Json]:
    name = names[0] if names else ""
    notes = rng.choice(
        [{NAME: name, REF_NAME: name}, {REF_NAME: name}, {REF_NAME: name.rpartition(":")[2]}, {NAME: name}]
    )
    platform = rng.choice([{}, {}, {"platform": AMD64}, {"platform": ARM64}])
    return {"annotations": notes if name else {}, **platform}


def rename_image(rng: random.Random, draft: Draft) -> None:
    """Spell one name of an image differently, or give it another one."""
    found = [
        (container, key)
        for document in draft.documents.values()
        for container, key in places(document)
        if isinstance(container[key], str) and (key in (NAME, REF_NAME) or ":v1" in container[key])
    ]
    if found:
        container, key = rng.choice(found)
        container[key] = rng.choice([*NAMES, "v1", "latest", "", "app", "App:v1", _other_text(rng, container[key])])


def swap_sides(rng: random.Random, draft: Draft) -> None:
    """Change the order of what a document lists."""
    lists = [container[key] for document in draft.documents.values() for container, key in places([document])]
    lists = [each for each in lists if isinstance(each, list) and len(each) > 1]
    if lists:
        rng.shuffle(rng.choice(lists))


CHANGES: tuple[Callable[[random.Random, Draft], None], ...] = (
    *(change_document, change_document, change_document, change_document, drop_document, add_document),
    *(plant, plant, rename_image, rename_image, swap_sides),
)
