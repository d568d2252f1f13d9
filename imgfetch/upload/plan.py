"""The images of an archive, each with its name at the registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from imgfetch.errors import InvalidReferenceError, UnsupportedError
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference
from imgfetch.text import format_some
from imgfetch.upload.contents import Contents, Entry, Node
from imgfetch.upload.names import Destination

_MAX_NAMED = 5


class Target(NamedTuple):
    """A manifest or index, and the tag or digest that it gets in a repository.

    Attributes:
        names: its names in the archive.
    """

    reference: Reference
    node: Node
    names: tuple[str, ...] = ()


def targets(contents: Contents, destination: Destination, *, allow_digest_change: bool) -> tuple[Target, ...]:
    """Return everything to push: images first, and then signatures and the like.

    Raises:
        InvalidReferenceError: two images would have one name, or an image has none.
        UnsupportedError: the archive has not kept the digests, and that is not allowed.
    """
    if contents.changed and not allow_digest_change:
        raise _changed(contents)
    attached = [entry for entry in contents.entries if entry.about]
    images = [entry for entry in map(_as_image, contents.entries) if entry.names or not entry.about]
    below = {node.descriptor.digest for entry in images if entry.names for node in entry.node.family()}
    images = [entry for entry in images if entry.names or entry.node.descriptor.digest not in below]
    found = {target.reference: target for target in _images(images, destination)}
    repositories = _repositories(found.values())
    for _ in attached:  # a signature may have one itself
        for entry in attached:
            for target in _attached(entry, repositories):
                if target.reference not in found:
                    found[target.reference] = target
                    repositories.setdefault(target.node.descriptor.digest, {})[target.reference.name] = None
    return tuple(found.values())


def _as_image(entry: Entry) -> Entry:
    """Return an entry with the names that it has of its own; a bare tag of a signature is one in other repositories."""
    return entry._replace(names=tuple(name for name in entry.names if "/" in name)) if entry.about else entry


def _changed(contents: Contents) -> UnsupportedError:
    names = [name for image in contents.changed for name in image.names]
    return UnsupportedError(
        f"{contents.name} has other digests than the origin of {format_some(names, _MAX_NAMED) or 'its images'}, "
        "because it stores layers decompressed or has no manifests",
        hint="save the images again with imgfetch save --layers original, or pass --allow-digest-change",
    )


def _images(entries: Iterable[Entry], destination: Destination) -> Iterator[Target]:
    taken: dict[Reference, Target] = {}
    for entry in entries:
        for name in entry.names or ("",):
            reference = destination.of(name, entry.node.descriptor.digest)
            other = taken.get(reference)
            if other and other.node is not entry.node:
                raise InvalidReferenceError(
                    f"{format_some([*other.names, name], _MAX_NAMED)} would both be pushed as {reference}",
                    hint="give one of them another name with --rewrite OLD=NEW",
                )
            names = (*other.names, name) if other else (name,) if name else ()
            taken[reference] = Target(reference, entry.node, names)
    yield from taken.values()


def _repositories(found: Iterable[Target]) -> dict[Digest, dict[str, None]]:
    """Return the names of the repositories that get each manifest or index."""
    repositories: dict[Digest, dict[str, None]] = {}
    for target in found:
        for node in target.node.family():
            repositories.setdefault(node.descriptor.digest, {})[target.reference.name] = None
    return repositories


def _attached(entry: Entry, repositories: Mapping[Digest, Mapping[str, None]]) -> Iterator[Target]:
    """Yield a signature or the like for each repository that gets its subject, under its tag or digest."""
    for subject, tag in entry.about:
        for name in repositories.get(subject, ()):
            suffix = f":{tag}" if tag else f"@{entry.node.descriptor.digest}"
            yield Target(Reference.parse(name + suffix), entry.node)
