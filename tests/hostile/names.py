"""Archives in which one name stands for two images, or an entry has two names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.hostile.parts import (
    NAME,
    REF_NAME,
    Change,
    Hostile,
    Json,
    Make,
    Pair,
    both,
    both_images,
    entry,
    index,
    item,
    tar,
)
from tests.images import image
from tests.images import index as image_index

Spell = Callable[[Pair], str]


def _entries(pair: Pair, *entries: Json) -> bytes:
    return both_images(pair, index=index(*entries), manifest=None)


def _items(pair: Pair, *items: Json) -> bytes:
    listed = index(entry(pair.good, pair.name), entry(pair.planted, f"{pair.repository}:other"))
    return both_images(pair, index=listed, manifest=list(items))


def _in_items(spelt: Spell) -> Make:
    return lambda pair: _items(pair, item(pair.good, pair.name), item(pair.planted, spelt(pair)))


def _in_entries(spelt: Spell) -> Make:
    return lambda pair: _entries(pair, entry(pair.good, pair.name), entry(pair.planted, spelt(pair)))


def _in_reference_names(spelt: Spell) -> Make:
    return lambda pair: _entries(pair, entry(pair.good, pair.name), entry(pair.planted, "", spelt(pair)))


def _in_both(spelt: Spell) -> Make:
    return lambda pair: both_images(
        pair,
        index=index(entry(pair.good, pair.name), entry(pair.planted, spelt(pair))),
        manifest=[item(pair.good, pair.name), item(pair.planted, spelt(pair))],
    )


PLACES = {
    "in manifest.json": _in_items,
    "in index.json": _in_entries,
    "in index.json, as reference name": _in_reference_names,
    "in both": _in_both,
}
SPELLINGS: dict[str, Spell] = {
    "the same": lambda pair: pair.name,
    "without a registry": lambda pair: pair.name.removeprefix("docker.io/"),
    "with the index's registry": lambda pair: f"index.{pair.name}",
    "with a registry in upper case": lambda pair: pair.name.replace("docker.io", "DOCKER.IO"),
    "with a digest behind the tag": lambda pair: pair.pinned,
    "with its own digest behind the tag": lambda pair: f"{pair.name}@{pair.planted.digest}",
    "with a digest and no tag": lambda pair: f"{pair.repository}@{pair.good.digest}",
    "with podman's local registry": lambda pair: pair.name.replace("docker.io/", "localhost/"),
    "with a space behind": lambda pair: f"{pair.name} ",
    "with a NUL behind": lambda pair: f"{pair.name}\0",
    "with a line feed behind": lambda pair: f"{pair.name}\n",
    "with a scheme": lambda pair: f"https://{pair.name}",
    "with docker's scheme": lambda pair: f"docker://{pair.name}",
    "with a slash in front": lambda pair: f"/{pair.name}",
    "with two slashes": lambda pair: pair.name.replace("/hostile", "//hostile"),
    "with a part in upper case": lambda pair: pair.name.replace("hostile", "Hostile"),
    "with an escaped slash": lambda pair: pair.name.replace("/hostile", "%2Fhostile"),
    "with a full width letter": lambda pair: pair.name.replace("h", "\uff48"),
    "with a dot behind the registry": lambda pair: pair.name.replace("docker.io", "docker.io."),
}
_LIBRARY = {
    "short": "{0}:1",
    "with library": "library/{0}:1",
    "with the registry alone": "docker.io/{0}:1",
    "with the index alone": "index.docker.io/{0}:1",
}


def _renamed(change: Callable[[str], str]) -> Change:
    return lambda pair: replace(pair, name=change(pair.name))


def _library(text: str) -> Hostile:
    def make(pair: Pair) -> bytes:
        short = pair.name.removeprefix("docker.io/library/").removesuffix(":1")
        return _items(pair, item(pair.good, pair.name), item(pair.planted, text.format(short)))

    return Hostile(make, changed=_renamed(lambda name: name.replace("hostile", "library")))


_latest = _renamed(lambda name: name.removesuffix("1") + "latest")


def _planted(**manifest: Json) -> Change:
    """Return a change of the planted image's manifest."""
    return lambda pair: replace(pair, planted=image(*pair.planted.layers, manifest=manifest))


def _twin(pair: Pair) -> Pair:
    """Let the planted image have the good one's config and layers that containerd does not unpack."""
    layers = [{**layer.descriptor, "mediaType": "application/x-other"} for layer in pair.good.layers]
    return replace(pair, planted=image(*pair.good.layers, manifest={"layers": layers}))


def _annotated_twin(pair: Pair) -> Pair:
    return replace(pair, planted=image(*pair.good.layers, manifest={"annotations": {"a": "b"}}))


def _same_name(pair: Pair) -> bytes:
    return _entries(pair, entry(pair.good, pair.name), entry(pair.planted, pair.name))


def _odd_config(kind: str) -> Change:
    def changed(pair: Pair) -> Pair:
        config = {**pair.planted.config.descriptor, "mediaType": kind}
        return _planted(config=config, artifactType="application/x-other")(pair)

    return changed


def _annotated(pair: Pair) -> Pair:
    return _planted(annotations={NAME: pair.name, REF_NAME: pair.name})(pair)


def _index_of_artifact(pair: Pair) -> bytes:
    top = image_index(pair.planted)
    return tar(both(pair, index=index(entry(pair.good), entry(top, pair.name)), images=[pair.good, top]))


def _short(pair: Pair) -> str:
    return pair.name.removeprefix("docker.io/")


def _named(pair: Pair, *names: str) -> list[str]:
    """Return names in which ``G`` is the pinned one, and ``R`` its repository."""
    return [text.replace("G", pair.name).replace("R", pair.repository) for text in names]


def _two_names(*names: str) -> Make:
    """Return an archive with two names in the planted image's entry."""
    return lambda pair: _entries(pair, entry(pair.good, pair.name), entry(pair.planted, *_named(pair, *names)))


def _four_names(*names: str) -> Make:
    """Return an archive with two names in each of the entries."""

    def make(pair: Pair) -> bytes:
        found = _named(pair, *names)
        return _entries(pair, entry(pair.good, *found[:2]), entry(pair.planted, *found[2:]))

    return make


_TARGETS = {
    "the planted image first in manifest.json": Hostile(
        lambda pair: _items(pair, item(pair.planted, pair.name), item(pair.good, pair.name))
    ),
    "the planted image first in index.json": Hostile(
        lambda pair: _entries(pair, entry(pair.planted, pair.name), entry(pair.good, pair.name))
    ),
    "the good image in index.json alone": Hostile(lambda pair: _items(pair, item(pair.planted, pair.name))),
    "another image in manifest.json": Hostile(lambda pair: both_images(pair, manifest=[item(pair.planted, pair.name)])),
    "another image in index.json": Hostile(lambda pair: both_images(pair, index=index(entry(pair.planted, pair.name)))),
    "another image in index.json, without a name": Hostile(
        lambda pair: both_images(pair, index=index(entry(pair.planted)))
    ),
    "another image in manifest.json, without a name": Hostile(
        lambda pair: both_images(pair, manifest=[item(pair.planted)])
    ),
    "a short name in both": Hostile(
        lambda pair: tar(
            both(pair, index=index(entry(pair.good, _short(pair))), manifest=[item(pair.good, _short(pair))])
        )
    ),
    "a short name as reference name": Hostile(
        lambda pair: tar(both(pair, index=index(entry(pair.good, "", _short(pair))), manifest=None))
    ),
    "an image more in manifest.json": Hostile(
        lambda pair: both_images(pair, manifest=[item(pair.good, pair.name), item(pair.planted)])
    ),
    "an image more in index.json": Hostile(
        lambda pair: both_images(pair, index=index(entry(pair.good, pair.name), entry(pair.planted)))
    ),
    "another name in manifest.json": Hostile(
        lambda pair: tar(both(pair, manifest=[item(pair.good, f"{pair.repository}:2")]))
    ),
    "another name more in manifest.json": Hostile(
        lambda pair: tar(both(pair, manifest=[item(pair.good, pair.name, f"{pair.repository}:2")]))
    ),
    "no name in manifest.json": Hostile(lambda pair: tar(both(pair, manifest=[item(pair.good)]))),
    "a name without a tag in manifest.json": Hostile(
        lambda pair: _items(pair, item(pair.good, pair.name), item(pair.planted, pair.repository)), changed=_latest
    ),
    "a name without a tag in index.json": Hostile(
        lambda pair: _entries(pair, entry(pair.good, pair.name), entry(pair.planted, pair.repository)), changed=_latest
    ),
    "two manifests of one config, one with odd layers": Hostile(_same_name, changed=_twin),
    "two manifests of one config, one annotated": Hostile(_same_name, changed=_annotated_twin),
    **{
        f"an artifact with the name: {kind}": Hostile(_same_name, changed=_odd_config(kind))
        for kind in ("application/vnd.oci.empty.v1+json", "application/x-other", "", "text/plain")
    },
    "an artifact with the name: by its artifactType": Hostile(
        _same_name, changed=_planted(artifactType="application/x-other")
    ),
    "an artifact with the name: by its subject": Hostile(
        _same_name, changed=lambda pair: _planted(subject=pair.good.entry)(pair)
    ),
    "an artifact with the name in index.json, and the good image in manifest.json": Hostile(
        lambda pair: both_images(pair, index=index(entry(pair.good), entry(pair.planted, pair.name))),
        changed=_odd_config("application/vnd.cncf.helm.config.v1+json"),
    ),
    "an index of an artifact with the name, and the good image in manifest.json": Hostile(
        _index_of_artifact,
        changed=_odd_config("application/vnd.cncf.helm.config.v1+json"),
    ),
    "an unnamed planted image in index.json": Hostile(
        lambda pair: _entries(pair, entry(pair.good, pair.name), entry(pair.planted))
    ),
    "an unnamed planted image in manifest.json": Hostile(
        lambda pair: _items(pair, item(pair.good, pair.name), item(pair.planted))
    ),
    "the name in the annotations of the planted manifest": Hostile(
        lambda pair: _entries(pair, entry(pair.good, pair.name), entry(pair.planted, f"{pair.repository}:other")),
        changed=_annotated,
    ),
    "the name in the annotations of index.json": Hostile(
        lambda pair: both_images(
            pair,
            index=index(
                entry(pair.good, pair.name),
                entry(pair.planted, f"{pair.repository}:other"),
                annotations={NAME: pair.name, REF_NAME: pair.name},
            ),
            manifest=None,
        )
    ),
}
_TWO = (("R:other", "G"), ("G", "R:other"), ("R:other", "1"), ("R:other", "R"), ("", "1"), ("", "G"), ("1", "G"))
_FOUR = (
    ("G", "R:2", "R:2", "G"),
    ("G", "", "R:2", "G"),
    ("G", "2", "", "1"),
    ("G", "1", "R:2", "1"),
    ("G", "1", "", "1"),
    ("", "G", "R:2", "G"),
    ("", "1", "G", ""),
    ("", "1", "", "1"),
    ("G", "", "", ""),
    ("R:2", "G", "", ""),
)
NAMES: dict[str, Hostile] = {
    **{
        f"the planted image's name, {spelling}, {where}": Hostile(place(spelt))
        for spelling, spelt in SPELLINGS.items()
        for where, place in PLACES.items()
    },
    **{f"a name of the library, {text}": _library(form) for text, form in _LIBRARY.items()},
    **_TARGETS,
    **{f"two names in an entry: {', '.join(names)}": Hostile(_two_names(*names)) for names in (*_TWO, ("a b", "G"))},
    **{f"names of the two: {', '.join(names)}": Hostile(_four_names(*names)) for names in _FOUR},
}
