"""Images with their layers decompressed: other manifests, of other digests, for the same config."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from imgfetch.archive.image_layout import compact
from imgfetch.archive.selection import Selection
from imgfetch.archive.tarlayout import Blob, UncompressedLayer
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci import mediatypes
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Image

Keep = Callable[[Descriptor, bytes], None]
"""Takes a document that was made, to be found under its digest."""


def rewritten(
    selection: Selection, uncompressed: Mapping[Digest, LayerInfo], keep: Keep, read: Callable[[Digest], bytes]
) -> Selection:
    """Return a selection in which some layers are what they are decompressed.

    Args:
        selection: what it was.
        uncompressed: what is found in these layers, by their digests.
        keep: takes every manifest and index that is made.
        read: returns an index.
    """
    new: dict[Digest, Descriptor] = {}
    images = {}
    for image in selection.images:
        images[image.manifest.descriptor.digest] = _image(image, uncompressed, keep)
    for digest, image in images.items():
        if image.manifest.descriptor.digest != digest:
            new[digest] = image.manifest.descriptor
    indexes: list[Descriptor] = []
    for index in reversed(selection.indexes):  # what stands in another comes before it
        made = _index(index, read(index.digest), new, keep)
        if made.digest != index.digest:
            new[index.digest] = made
        indexes.insert(0, made)
    return replace(
        selection,
        preferred=replace(
            images[selection.preferred.manifest.descriptor.digest], references=selection.preferred.references
        ),
        images=tuple(images.values()),
        indexes=tuple(indexes),
        parents=() if new else selection.parents,
    )


def contents(selection: Selection, uncompressed: Mapping[Digest, LayerInfo]) -> Mapping[Digest, Blob]:
    """Return where the content of decompressed layers is, by the digests that they have then."""
    return {
        found.diff_id: UncompressedLayer(layer.digest, found.diff_id)
        for image in selection.images
        for layer in image.manifest.layers
        if (found := uncompressed.get(layer.digest)) and found.diff_id != layer.digest
    }


def _image(image: Image, uncompressed: Mapping[Digest, LayerInfo], keep: Keep) -> Image:
    manifest = image.manifest
    if not any(layer.digest in uncompressed for layer in manifest.layers):
        return image
    is_docker = manifest.descriptor.media_type == mediatypes.DOCKER_MANIFEST
    media_type = mediatypes.DOCKER_LAYER if is_docker else mediatypes.OCI_LAYER
    layers = tuple(
        Descriptor(media_type, uncompressed[layer.digest].diff_id, uncompressed[layer.digest].size)
        if layer.digest in uncompressed
        else layer
        for layer in manifest.layers
    )
    if all(_short(old) == _short(layer) for old, layer in zip(manifest.layers, layers, strict=True)):
        return image
    document = json.loads(manifest.raw)
    for number, (old, layer) in enumerate(zip(manifest.layers, layers, strict=True)):
        if old.digest in uncompressed:
            # Annotations and URLs are of the compressed blob.
            document["layers"][number] = _short(layer)
    raw = compact(document)
    descriptor = Descriptor.of(raw, manifest.descriptor.media_type)
    keep(descriptor, raw)
    return replace(image, manifest=replace(manifest, descriptor=descriptor, layers=layers, raw=raw))


def _index(index: Descriptor, raw: bytes, new: Mapping[Digest, Descriptor], keep: Keep) -> Descriptor:
    """Return an index that points at the new documents."""
    document = json.loads(raw)
    is_changed = False
    for entry in document["manifests"]:
        made = new.get(Digest.parse(entry["digest"]))
        if made:
            entry.update(digest=str(made.digest), size=made.size)
            entry.pop("data", None)
            is_changed = True
    if not is_changed:
        return index
    raw = compact(document)
    descriptor = Descriptor.of(raw, index.media_type)
    keep(descriptor, raw)
    return descriptor


def _short(descriptor: Descriptor) -> dict[str, object]:
    return {"mediaType": descriptor.media_type, "digest": str(descriptor.digest), "size": descriptor.size}
