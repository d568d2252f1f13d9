"""Kinds of damage to an archive, each with its own cause, and how imgfetch names it."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.archiveparts import END, Archive
from tests.changes import (
    DOCKER,
    LAYOUT,
    OTHER,
    OTHER_LAYER,
    Change,
    a_layer,
    another_diff_id,
    another_layer,
    before,
    compressed,
    config,
    cut,
    document,
    exchanged,
    flipped,
    header,
    in_diff_ids,
    larger_entry,
    last_file,
    layer,
    layer_cut_short,
    layers_in_another_order,
    manifest,
    more,
    name_of_another_image,
    of_item,
    of_layout,
    parsed,
    resized,
    twice,
    with_wrong_checksum,
    within,
    without,
    wrong_size_of_a_layer,
)
from tests.tarparts import BLOCK


@dataclass(frozen=True)
class Damage:
    """A kind of damage.

    Attributes:
        change: does it.
        says: what the first finding says, with the names of the parts: ``{base}``, ``{layer}``, ``{config}``.
    """

    change: Change
    says: str

    def pattern(self, archive: Archive) -> str:
        """Return what the first finding about an archive says."""
        base, one = (_shown(name) for name in archive.layers[:2])
        return self.says.format(base=base, layer=one, config=_shown(archive.config))


def _shown(name: str) -> str:
    """Return the part of a name by which findings call a member."""
    found = re.search("[0-9a-f]{64}", name)
    return found[0] if found else name


_NOT_THE_LAYER = "{layer}.* (is damaged: it hashes to|cannot be loaded|does not match the config)"
_NOT_THE_CONFIG = "{config}.* is damaged: it hashes to|does not match the config"
_NO_END = "zero blocks? at the end of the tar (are|is) missing"
_CUT = "is cut short at [0-9]+ of at least [0-9]+ bytes"

LAYERS = {
    "a bit of a layer": Damage(layer(1, flipped), _NOT_THE_LAYER),
    "the last byte of a layer": Damage(layer(1, lambda content: content[:-1]), _NOT_THE_LAYER),
    "a layer's end is zeros": Damage(layer(1, lambda content: content[:40] + bytes(len(content) - 40)), _NOT_THE_LAYER),
    "a layer is empty": Damage(layer(1, lambda _: b""), _NOT_THE_LAYER),
    "a layer is another": Damage(layer(1, lambda _: OTHER_LAYER), _NOT_THE_LAYER),
    "a layer is text": Damage(layer(1, lambda _: b"<html>502 Bad Gateway</html>"), _NOT_THE_LAYER),
    "two layers are exchanged": Damage(exchanged, "({base}|{layer}).* (is damaged|does not match the config)"),
    "a layer is missing": Damage(without(a_layer), "the layer .*{layer}.* is not in the archive"),
    "a layer is there twice": Damage(twice(a_layer, lambda _: OTHER_LAYER), "{layer}.* occurs twice"),
    "a layer is another, and all digests are those of it": Damage(
        of_layout(another_layer), "layer 2/3 .* does not match the config|has a source of "
    ),
    "a layer ends early, and all digests are those of it": Damage(
        layer_cut_short, "layer 2/3 .* it ends within an entry|has a source of "
    ),
}
CONFIGS = {
    "a bit of the config": Damage(config(in_diff_ids), _NOT_THE_CONFIG),
    "the config is cut short": Damage(
        config(lambda raw: raw[: len(raw) // 2]), f"{_NOT_THE_CONFIG}|{{config}} is not valid JSON"
    ),
    "the config is another image's": Damage(
        config(lambda _: OTHER.config.content), f"{_NOT_THE_CONFIG}|3 layers, but its config has 1"
    ),
    "the config is missing": Damage(without(lambda archive: archive.config), "config .*is not in the archive"),
    "another diff_id": Damage(of_layout(another_diff_id), "layer 2/3 .* does not match the config"),
}
DOCKERS = {
    "manifest.json is cut short": Damage(document(DOCKER, lambda raw: raw[: len(raw) // 2]), "manifest.json is not"),
    "manifest.json is an empty list": Damage(
        document(DOCKER, lambda _: b"[]"), "manifest.json (has no image|does not have)|belongs to no image"
    ),
    "manifest.json is zeros": Damage(document(DOCKER, lambda raw: bytes(len(raw))), "manifest.json is not"),
    "manifest.json is there twice": Damage(twice(lambda _: DOCKER), "manifest.json occurs twice"),
    "manifest.json has the layers in another order": Damage(
        of_item(lambda item: {"layers": [*item["layers"][1::-1], *item["layers"][2:]]}),
        "list different layers|layer 1/3 .* does not match the config",
    ),
    "manifest.json lacks a layer": Damage(
        of_item(lambda item: {"layers": item["layers"][1:]}), "2 layers, but its config has 3"
    ),
    "manifest.json has the name of another image": Damage(
        of_item(lambda _: {"repotags": ["other:1"]}, is_told_twice=True), "has the name .* does not have"
    ),
    "manifest.json has a name without a tag": Damage(of_item(lambda _: {"repotags": ["other"]}), "without a tag"),
    "two images have one name": Damage(
        name_of_another_image, "ambiguous|has no image with the config|have different images"
    ),
    "cut before manifest.json": Damage(cut(before(DOCKER)), _NO_END),
}
LAYOUTS = {
    "index.json is cut short": Damage(document(LAYOUT, lambda raw: raw[: len(raw) // 2]), "index.json is not"),
    "index.json is empty": Damage(parsed(LAYOUT, lambda index: {**index, "manifests": []}), "no image"),
    "index.json is missing": Damage(
        lambda archive: archive.without(LAYOUT).raw if archive.is_layout else None,
        "no index.json|has parts of images, but neither index.json nor manifest.json",
    ),
    "index.json is there twice": Damage(twice(lambda _: LAYOUT), "index.json occurs twice"),
    "index.json has a wrong size": Damage(parsed(LAYOUT, larger_entry), "bytes, but its descriptor says"),
    "oci-layout is garbage": Damage(document("oci-layout", lambda raw: raw[5:]), "oci-layout is not"),
    "oci-layout has another version": Damage(
        document("oci-layout", lambda raw: raw.replace(b"1.0.0", b"2.0.0")), "oci-layout has the version .*2.0.0"
    ),
    "a bit of a manifest": Damage(manifest(flipped), "is damaged: it hashes to"),
    "a manifest is missing": Damage(manifest(None), "the manifest .* is not in the archive"),
    "a manifest has the wrong size of a layer": Damage(
        of_layout(wrong_size_of_a_layer), "{layer} has [0-9]+ bytes, but its manifest says"
    ),
    "a manifest has the layers in another order": Damage(
        of_layout(layers_in_another_order), "list different layers|layer 1/3 .* does not match the config"
    ),
    "cut before index.json": Damage(cut(before(LAYOUT)), _NO_END),
}
HEADERS = {
    "a bit of a header": Damage(header(flipped, a_layer), "the checksum of this header is wrong"),
    "a header is zeros": Damage(
        header(lambda block: bytes(len(block)), a_layer), "other data follows the end|of an extended header is missing"
    ),
    "a header has a larger size": Damage(
        header(resized(lambda size: size + BLOCK), a_layer),
        f"{_NOT_THE_LAYER}|the checksum (of|in) this header|other data follows|{_NO_END}",
    ),
    "a header has a smaller size": Damage(header(resized(lambda size: size - 1), a_layer), _NOT_THE_LAYER),
    "a file that belongs to nothing": Damage(more("README"), "README.* belongs to no image"),
    "a name that leads out": Damage(more("../../etc/passwd"), "etc/passwd"),
    "an absolute name": Damage(more("/etc/passwd"), "/etc/passwd"),
    "a symbolic link that leads out": Damage(more("a", type=b"2", link=b"../../etc/passwd"), "a symbolic link to"),
    "a hard link": Damage(more("a", type=b"1", link=b"manifest.json"), "a hard link to"),
    "a device": Damage(more("a", type=b"3"), "never contains"),
}
ENDS = {
    "cut in a header": Damage(cut(within(a_layer, content=False)), _CUT),
    "cut in a layer": Damage(cut(within(a_layer, content=True)), _CUT),
    "cut before the last file": Damage(cut(lambda archive: archive.before(last_file(archive))), _NO_END),
    "cut in the last file": Damage(cut(within(last_file, content=True)), _CUT),
    "cut before its end": Damage(lambda archive: archive.raw[: -len(END)], _NO_END),
    "cut in its end": Damage(lambda archive: archive.raw[:-BLOCK], _NO_END),
    "more behind its end": Damage(lambda archive: archive.raw + b"x" * BLOCK, "other data follows the end"),
    "more that is compressed behind its end": Damage(
        lambda archive: archive.raw + gzip.compress(b"x"), "other data follows the end"
    ),
}
COMPRESSED = {
    "compressed, and cut short": Damage(compressed(lambda raw: raw[: len(raw) // 2]), "its gzip data ends early"),
    "compressed, and its last bytes are missing": Damage(compressed(lambda raw: raw[:-4]), "its gzip data ends early"),
    "compressed, and its checksum is wrong": Damage(compressed(with_wrong_checksum), "its gzip data is damaged"),
    "compressed, and a bit is wrong": Damage(compressed(flipped), "its gzip data is damaged"),
    "compressed, and garbage behind it": Damage(compressed(lambda raw: raw + b"garbage"), "extra bytes follow"),
}
DAMAGES: Mapping[str, Damage] = {**LAYERS, **CONFIGS, **DOCKERS, **LAYOUTS, **HEADERS, **ENDS, **COMPRESSED}
