"""Reading of docker's `manifest.json`, which archives have since docker 1.10."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from imgfetch.archive.contents import Archive, ArchivedImage, ArchivedLayer
from imgfetch.archive.scan import Scan
from imgfetch.errors import ImgfetchError, InvalidReferenceError, VerificationError
from imgfetch.oci import mediatypes, strictjson
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference

_KEYS = frozenset({"Config", "RepoTags", "Layers", "Parent", "LayerSources"})
_SHA512_LENGTH = 128


def read(scan: Scan, archive: Archive) -> None:
    """Read `manifest.json`, and compare it with the OCI image layout, if there is one."""
    try:
        items = strictjson.loads(scan.document("manifest.json") or b"", "manifest.json")
        if not isinstance(items, list):
            raise VerificationError("manifest.json is malformed", wanted="an array", got=strictjson.shown(items))
        objects = [
            strictjson.Object(item, f"item {number} of manifest.json", _KEYS, in_any_case=True)
            for number, item in enumerate(items, 1)
        ]
        described: dict[str, bool] = {}
        for layer in (layer for image in archive.images for layer in image.layers):
            described[layer.member] = described.get(layer.member, False) or layer.is_left_out
        found = [_docker_image(scan, archive, item, described) for item in objects]
    except ImgfetchError as error:
        archive.faults.append(str(error))
        return
    in_layout = {image.config.raw for image in archive.images}
    places: dict[object, list[int]] = {}
    for number, image in enumerate(archive.images):
        places.setdefault(_identity(image), []).append(number)
    for image in filter(None, found):
        archive.add_choice(image.names, [image])
        if same := places.get(_identity(image)):
            _merge_names(archive, same, image.names)
            continue
        if image.config.raw in in_layout:
            archive.faults.append(f"manifest.json and index.json list different layers for {image.config_digest}")
        elif in_layout:
            archive.faults.append(f"index.json has no image with the config {image.config_digest}")
        places[_identity(image)] = [len(archive.images)]
        archive.images.append(image)


def _identity(image: ArchivedImage) -> object:
    """Return an image's identity; the config alone is not enough, because the layers may be compressed differently."""
    return image.config.raw, tuple(layer.member for layer in image.layers)


def _merge_names(archive: Archive, places: Iterable[int], names: Iterable[str]) -> None:
    for number in places:
        image = archive.images[number]
        if not set(names) <= set(image.names):
            archive.images[number] = image._replace(names=tuple(sorted({*image.names, *names})))
            return


def _docker_image(
    scan: Scan, archive: Archive, item: strictjson.Object, described: Mapping[str, bool]
) -> ArchivedImage | None:
    """Read an item; ``described`` has the layout's members, and whether it leaves them out."""
    name = item.text("Config")
    raw = scan.document(name) if name else None
    if raw is None:
        archive.faults.append(f"{item.what} has the config {name!r}, which is not in the archive")
        return None
    encoded = name.rpartition("/")[2].removesuffix(".json").rpartition(":")[2]  # crane's name is sha256:…
    digest = Digest.of(raw, "sha512" if len(encoded) == _SHA512_LENGTH else "sha256")
    if len(encoded) == len(digest.encoded) and encoded != digest.encoded:
        archive.faults.append(f"{name} is damaged: it hashes to {digest.encoded}, unlike its name")
    config = archive.config(raw, mediatypes.DOCKER_CONFIG, name)
    if config is None:
        return None
    members = [text for text in item.items_of("Layers") if isinstance(text, str)]
    if len(members) != len(config.diff_ids):
        archive.faults.append(
            f"{item.what} has {len(members)} layers, but its config has {len(config.diff_ids)} diff_ids"
        )
        return None
    layers = []
    for member, diff_id in zip(members, config.diff_ids, strict=True):
        found = scan.get(member)
        if not found and member not in described and scan.is_whole:
            archive.faults.append(f"the layer {member} is not in the archive")
        size, compression = (found.entry.size, found.compression) if found else (0, "")
        is_left_out = described.get(member, False)
        layers.append(ArchivedLayer(diff_id, member, size, compression, not found, is_left_out))
    return ArchivedImage(_repo_tags(archive, item), config, digest, tuple(layers))


def _repo_tags(archive: Archive, item: strictjson.Object) -> tuple[str, ...]:
    names = []
    for text in item.items_of("RepoTags"):
        try:
            reference = Reference.parse(str(text)).with_default_tag()
        except InvalidReferenceError as error:
            archive.faults.append(f"{item.what} has an invalid name: {error}")
        else:
            if reference.digest:
                archive.faults.append(f"{item.what} has a name with a digest, which docker load rejects")
            names.append(str(reference))
    return tuple(sorted(names))
