"""The blobs to be fetched for an archive, mostly layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from imgfetch.archive.selection import Selection
from imgfetch.errors import VerificationError
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Image
from imgfetch.oci.reference import Reference
from imgfetch.progress import Item

Key = tuple[Digest, int, Digest | None]
"""The digest, size and diff_id that an image states about a blob."""


class Layer(NamedTuple):
    """A layer to be fetched.

    Attributes:
        descriptor: the blob.
        diff_id: the digest of the decompressed layer; ``None`` for a blob that is not a layer.
        what: its name in messages, such as ``layer 2/5 of quay.io/x/y:latest``.
        reference: the image that it is for.
        media_types: all types by which the images list it.
        small: another blob of the image, which is small; a mirror shows with it that its bytes are right.
        origin: the place where the image is listed, for messages.
        elsewhere: the same blob of images in other repositories.
    """

    descriptor: Descriptor
    diff_id: Digest | None
    what: str
    reference: Reference
    media_types: frozenset[str] = frozenset()
    origin: str = ""
    elsewhere: tuple[Layer, ...] = ()
    small: Descriptor | None = None

    @property
    def key(self) -> Key:
        """The statements of the image about the blob."""
        return self.descriptor.digest, self.descriptor.size, self.diff_id

    @property
    def item(self) -> Item:
        """The blob as progress has it."""
        tag = f":{self.reference.tag}" if self.reference.tag else ""
        image = f"{self.reference.repository.rpartition('/')[2]}{tag}"
        return Item(str(self.descriptor.digest), self.descriptor.size, image)


def layers_of(image: Image, origin: str = "") -> Iterator[Layer]:
    """Yield the layers of an image, base first, each as often as it is listed."""
    reference = image.references[0]
    count = len(image.manifest.layers)
    for number, (descriptor, diff_id) in enumerate(zip(image.manifest.layers, image.config.diff_ids, strict=True), 1):
        what = f"layer {number}/{count} of {reference}"
        yield Layer(
            descriptor,
            diff_id,
            what,
            reference,
            _alone(descriptor.media_type),
            origin,
            small=image.manifest.config,
        )


@lru_cache
def _alone(media_type: str) -> frozenset[str]:
    """Return a set that all layers of a type share, because there may be many."""
    return frozenset({media_type})


def others_of(selection: Selection, origin: str = "") -> Iterator[Layer]:
    """Yield the other blobs of a selection, such as those of artifacts."""
    reference = selection.references[0]
    for descriptor in selection.others:
        yield Layer(descriptor, None, f"a blob beside the images of {reference}", reference, origin=origin)
    for referrer in selection.referrers:
        for descriptor in referrer.blobs:
            yield Layer(descriptor, None, f"a part of a {referrer.kind} of {reference}", reference, origin=origin)


def distinct(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """Return each blob once, in order, and refuse a blob that is listed with two different diff_ids."""
    found: dict[Digest, Layer] = {}
    for layer in layers:
        first = found.setdefault(layer.descriptor.digest, layer)
        media_types = first.media_types | layer.media_types
        found[layer.descriptor.digest] = (layer if first.diff_id is None else first)._replace(media_types=media_types)
        if first.diff_id is not None and layer.diff_id is not None and first.diff_id != layer.diff_id:
            raise VerificationError(
                f"{layer.what} is the same blob as {first.what}, but has a different diff_id",
                wanted=str(first.diff_id),
                got=str(layer.diff_id),
            )
    return tuple(found.values())


def shared(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """Return each blob of several archives once, in order; twice if they state different things about it."""
    found: dict[Key, list[Layer]] = {}
    for layer in layers:
        found.setdefault(layer.key, []).append(layer)
    return tuple(map(_joined, found.values()))


def _joined(same: Sequence[Layer]) -> Layer:
    """Return a blob with the other repositories that should have it."""
    places: dict[str, Layer] = {}
    for layer in same:
        places.setdefault(layer.reference.name, layer)
    first, *elsewhere = places.values()
    media_types = frozenset().union(*(layer.media_types for layer in same))
    return first._replace(media_types=media_types, elsewhere=tuple(elsewhere))
