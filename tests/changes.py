"""Changes of an archive that damage it in one place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from typing import Any

from tests import headers
from tests.archiveparts import END, Archive
from tests.headers import FIELDS, checked, replaced
from tests.images import hello, image, sha256, tar
from tests.tarparts import BLOCK, FILE

OTHER = image(hello("other"), config={"author": "another"})
OTHER_LAYER = tar({"other": b"what nobody asked for" * 100})
DOCKER, LAYOUT = "manifest.json", "index.json"

Change = Callable[[Archive], bytes | None]
"""Returns the damaged archive, or nothing if it has not what is to be damaged."""


def flipped(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def layer(number: int, change: Callable[[bytes], bytes]) -> Change:
    def changed(archive: Archive) -> bytes:
        name = archive.layers[number]
        return archive.changed({name: change(archive.content(name))}).raw

    return changed


def config(change: Callable[[bytes], bytes]) -> Change:
    return lambda archive: archive.changed({archive.config: change(archive.content(archive.config))}).raw


def without(select: Callable[[Archive], str]) -> Change:
    return lambda archive: archive.without(select(archive)).raw


def exchanged(archive: Archive) -> bytes:
    one, other = archive.layers[:2]
    return archive.changed({one: archive.content(other), other: archive.content(one)}).raw


def twice(select: Callable[[Archive], str], change: Callable[[bytes], bytes] = bytes) -> Change:
    def twice(archive: Archive) -> bytes | None:
        if select(archive) not in archive:
            return None
        part = archive.parts[archive.place(select(archive))]
        return Archive((*archive.parts, part.containing(change(part.content)))).raw

    return twice


def document(name: str, change: Callable[[bytes], bytes]) -> Change:
    def changed(archive: Archive) -> bytes | None:
        return archive.changed({name: change(archive.content(name))}).raw if name in archive else None

    return changed


def parsed(name: str, change: Callable[[Any], Any]) -> Change:
    return document(name, lambda raw: json.dumps(change(json.loads(raw))).encode())


def manifest(change: Callable[[bytes], bytes] | None) -> Change:
    """Change the manifest of a layout's image, or leave it out if there is no other image."""

    def changed(archive: Archive) -> bytes | None:
        if not archive.is_layout:
            return None
        name = archive.manifests[-1]
        told = archive.without(name) if change is None else archive.changed({name: change(archive.content(name))})
        return told.raw

    return changed


def of_item(change: Callable[[dict[str, Any]], Mapping[str, Any]], *, is_told_twice: bool = False) -> Change:
    """Change the first item of `manifest.json`; keys stay as they are written.

    Args:
        change: returns the new members.
        is_told_twice: whether it shows only where another document has the names, too.
    """

    def changed(items: list[dict[str, Any]]) -> list[Any]:
        item = {key.lower(): value for key, value in items[0].items()}
        new = change(item)
        return [{key: new.get(key.lower(), value) for key, value in items[0].items()}, *items[1:]]

    def shows(archive: Archive) -> bytes | None:
        names = archive.content("repositories") if "repositories" in archive else b"{}"
        return change_it(archive) if archive.is_layout or names.strip() != b"{}" else None

    change_it = parsed(DOCKER, changed)
    return shows if is_told_twice else change_it


def of_layout(change: Callable[[Archive], Mapping[str, bytes]]) -> Change:
    """Change blobs, and tell their digests anew all the way up."""
    return lambda archive: archive.retold(change(archive)).raw if archive.is_layout else None


def in_diff_ids(raw: bytes) -> bytes:
    """Change a bit of a config where it shows without a digest of the config, for jib's archives have none."""
    at = raw.index(b"sha256:") + len(b"sha256:")
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def another_layer(archive: Archive) -> Mapping[str, bytes]:
    return {archive.layers[1]: OTHER_LAYER}


def another_diff_id(archive: Archive) -> Mapping[str, bytes]:
    config = archive.document(archive.config)
    config["rootfs"]["diff_ids"][1] = sha256(b"another")
    return {archive.config: json.dumps(config).encode()}


def layer_cut_short(archive: Archive) -> bytes | None:
    """End a layer within an entry, and tell the digests of that."""
    if not archive.is_layout:
        return None
    cut = OTHER_LAYER[: 2 * BLOCK]
    config = archive.document(archive.config)
    config["rootfs"]["diff_ids"][1] = sha256(cut)
    told = archive.retold({archive.config: json.dumps(config).encode()})
    return told.retold({told.layers[1]: cut}).raw


def wrong_size_of_a_layer(archive: Archive) -> Mapping[str, bytes]:
    manifest = archive.document(archive.manifests[-1])
    manifest["layers"][1]["size"] += 1
    return {archive.manifests[-1]: json.dumps(manifest).encode()}


def layers_in_another_order(archive: Archive) -> Mapping[str, bytes]:
    manifest = archive.document(archive.manifests[-1])
    one, other, *rest = manifest["layers"]
    manifest["layers"] = [other, one, *rest]
    return {archive.manifests[-1]: json.dumps(manifest).encode()}


def larger_entry(index: dict[str, Any]) -> dict[str, Any]:
    index["manifests"][0]["size"] += 1
    return index


def name_of_another_image(archive: Archive) -> bytes | None:
    """Give the name to a second image, too, which has one of the layers."""
    if not archive.is_docker or not archive.item["repotags"]:
        return None
    items = archive.document(DOCKER)
    config = json.loads(archive.content(archive.config))
    config["rootfs"]["diff_ids"], config["history"] = config["rootfs"]["diff_ids"][:1], []
    raw = json.dumps(config).encode()
    name = f"blobs/sha256/{sha256(raw)[7:]}" if archive.is_layout else f"{sha256(raw)[7:]}.json"
    items.append({"Config": name, "RepoTags": archive.item["repotags"], "Layers": archive.item["layers"][:1]})
    changed = archive.changed({DOCKER: json.dumps(items).encode()})
    return headers.entry(name.encode(), raw) + changed.raw


def header(change: Callable[[bytes], bytes], select: Callable[[Archive], str]) -> Change:
    def changed(archive: Archive) -> bytes:
        raw, part = archive.raw, archive.parts[archive.place(select(archive))]
        at = archive.before(part.name) + len(part.head) - BLOCK
        return raw[:at] + change(raw[at : at + BLOCK]) + raw[at + BLOCK :]

    return changed


def resized(change: Callable[[int], int]) -> Callable[[bytes], bytes]:
    def resized(block: bytes) -> bytes:
        size = block[FIELDS["size"]]
        return checked(replaced(block, "size", b"%011o" % change(int(size[:11], 8)) + size[11:]))

    return resized


def last_file(archive: Archive) -> str:
    return next(part.name for part in reversed(archive.parts) if part.kind == FILE)


def a_layer(archive: Archive) -> str:
    return archive.layers[1]


def cut(at: Callable[[Archive], int]) -> Change:
    """End an archive at a byte, unless there is nothing before it or what should be there."""
    return lambda archive: archive.raw[: at(archive)] or None


def before(name: str) -> Callable[[Archive], int]:
    """Return the place of a document that stands behind a layer."""

    def place(archive: Archive) -> int:
        at = archive.before(name) if name in archive else 0
        return at if at > archive.before(a_layer(archive)) else 0

    return place


def within(select: Callable[[Archive], str], *, content: bool) -> Callable[[Archive], int]:
    def place(archive: Archive) -> int:
        part = archive.parts[archive.place(select(archive))]
        head = archive.before(part.name) + len(part.head)
        return head + len(part.content) // 2 if content else head - BLOCK // 2

    return place


def more(name: str, **fields: bytes) -> Change:
    """Add a member behind all others, named as they are."""

    def changed(archive: Archive) -> bytes:
        prefix = "./" if archive.parts[-1].head[-BLOCK:].startswith(b"./") and not name.startswith(("/", ".")) else ""
        return archive.raw[: -len(END)] + headers.header(f"{prefix}{name}".encode(), fields) + END

    return changed


def compressed(change: Callable[[bytes], bytes]) -> Change:
    return lambda archive: change(gzip.compress(archive.raw, mtime=0))


def with_wrong_checksum(raw: bytes) -> bytes:
    """Change the checksum of a gzip stream."""
    return raw[:-8] + bytes([raw[-8] ^ 1]) + raw[-7:]
