"""Images with decompressed layers: the config stays, the manifests and their digests change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from imgfetch.archive.image_layout import compact
from imgfetch.archive.selection import Selection
from imgfetch.archive.tarlayout import Content, Documents, UncompressedLayer
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci import mediatypes
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Image


def rewritten(
    selection: Selection, uncompressed: Mapping[Digest, LayerInfo], documents: Documents
) -> tuple[Selection, dict[Digest, Content]]:
    """Return a selection with some layers decompressed, and the content of the decompressed layers by digest.

    Args:
        selection: the registry's selection.
        uncompressed: the properties of the layers to decompress, by their digests.
        documents: has the selection's manifests and indexes, and receives the new ones.
    """
    new: dict[Digest, Descriptor] = {}
    contents: dict[Digest, Content] = {
        found.diff_id: UncompressedLayer(layer.digest, found.diff_id)
        for image in selection.images
        for layer in image.manifest.layers
        if (found := uncompressed.get(layer.digest)) and found.diff_id != layer.digest
    }
    images = {image.manifest.descriptor.digest: _image(image, uncompressed, documents) for image in selection.images}
    for digest, image in images.items():
        if image.manifest.descriptor.digest != digest:
            new[digest] = image.manifest.descriptor
    made: list[Descriptor] = []
    for index in reversed(selection.indexes):  # Nested indexes first.
        descriptor = _index(index, new, documents)
        if descriptor.digest != index.digest:
            new[index.digest] = descriptor
        made.insert(0, descriptor)
    preferred = images[selection.preferred.manifest.descriptor.digest]
    changed = selection._replace(
        preferred=preferred._replace(references=selection.preferred.references),
        images=tuple(images.values()),
        indexes=tuple(made),
        parents=() if new else selection.parents,
        referrers=() if new else selection.referrers,
    )
    return changed, contents


def _image(image: Image, uncompressed: Mapping[Digest, LayerInfo], documents: Documents) -> Image:
    manifest = image.manifest
    is_docker = manifest.descriptor.media_type == mediatypes.DOCKER_MANIFEST
    media_type = mediatypes.DOCKER_LAYER if is_docker else mediatypes.OCI_LAYER
    layers = tuple(
        Descriptor(media_type, found.diff_id, found.size) if (found := uncompressed.get(layer.digest)) else layer
        for layer in manifest.layers
    )
    if all(old.entry() == layer.entry() for old, layer in zip(manifest.layers, layers, strict=True)):
        return image
    document = json.loads(documents.read(manifest.descriptor.digest))
    for number, (old, layer) in enumerate(zip(manifest.layers, layers, strict=True)):
        if old.digest in uncompressed:
            # Annotations and URLs apply to the compressed blob.
            document["layers"][number] = layer.entry()
    descriptor = _stored(document, manifest.descriptor.media_type, documents)
    return image._replace(manifest=replace(manifest, descriptor=descriptor, layers=layers))


def _index(index: Descriptor, new: Mapping[Digest, Descriptor], documents: Documents) -> Descriptor:
    """Return an index of the new documents."""
    document = json.loads(documents.read(index.digest))
    is_changed = False
    for entry in document["manifests"]:
        made = new.get(Digest.parse(entry["digest"]))
        if made:
            entry.update(digest=str(made.digest), size=made.size)
            entry.pop("data", None)
            is_changed = True
    return _stored(document, index.media_type, documents) if is_changed else index


def _stored(document: object, media_type: str, documents: Documents) -> Descriptor:
    raw = compact(document)
    descriptor = Descriptor.of(raw, media_type)
    documents.put(descriptor, raw)
    return descriptor
