"""The images of an OCI image layout together with the indexes that list them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from imgfetch.archive.contents import ArchivedImage, Choice
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest

_MAX_ANCESTORS = 64
"""Maximum indexes above an image that count."""

Above = Callable[[Digest], tuple[Digest, ...]]
"""A function that returns the indexes above a document, the nearest first."""


def together(images: Iterable[ArchivedImage]) -> list[ArchivedImage]:
    """Merge images that differ only in their names."""
    found: dict[object, ArchivedImage] = {}
    names: dict[object, set[str]] = {}
    for image in images:
        key = (image.manifest and image.manifest.descriptor.digest, image.listed_for, image.base)
        found.setdefault(key, image)
        names.setdefault(key, set()).update(image.names)
    return [image._replace(names=tuple(sorted(names[key]))) for key, image in found.items()]


def false_digests(images: Iterable[ArchivedImage]) -> Iterator[str]:
    """Yield a finding for each name with a digest that is neither its image's nor that of an index that lists it."""
    for image in images:
        for name in image.names:
            digest = name.partition("@")[2]
            if digest and digest not in map(str, image.digests):
                yield f"the name {name} refers to an image with another digest, {image.digests[0]}"


def with_indexes(images: Iterable[ArchivedImage], above: Above) -> list[ArchivedImage]:
    """Add the indexes that list an image: they prove the image's origin."""
    return [
        image._replace(indexes=above(image.manifest.descriptor.digest)) if image.manifest else image for image in images
    ]


def traced(choice: Choice, above: Above) -> Choice:
    """Add the indexes that list what a reader may select."""
    return choice._replace(selectable=tuple((digest, *above(digest)) for (digest, *_) in choice.selectable))


def above(parents: Mapping[Digest, Collection[Digest]], digest: Digest) -> tuple[Digest, ...]:
    """Return the indexes that list a document or an index above it, the nearest first; at most `_MAX_ANCESTORS`."""
    found: dict[Digest, None] = {}
    waiting = deque([digest])
    while waiting and len(found) < _MAX_ANCESTORS:
        more = [parent for parent in parents.get(waiting.popleft(), ()) if parent not in found]
        more = more[: _MAX_ANCESTORS - len(found)]
        found |= dict.fromkeys(more)
        waiting += more
    return tuple(found)


def false_platforms(entry: Descriptor, images: Iterable[ArchivedImage], what: str) -> Iterator[str]:
    """Yield a finding if an entry for a platform has the image of another."""
    for image in images:
        own, listed_for = image.config.platform, image.listed_for
        if entry.platform and listed_for and (own.os, own.architecture) != (listed_for.os, listed_for.architecture):
            yield f"{what} is for {listed_for}, but its image is for {own}"
