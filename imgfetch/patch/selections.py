"""The selections of an archive of imgfetch, as `imgfetch.pull.make_plan` found them in a registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from imgfetch.archive import entry_names
from imgfetch.archive.contents import Archive, ArchivedImage
from imgfetch.archive.image_layout import path
from imgfetch.archive.scan import Scan
from imgfetch.archive.selection import Selection
from imgfetch.errors import UnsupportedError
from imgfetch.oci import mediatypes, strictjson
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Image, Index, listed, parse_document
from imgfetch.oci.reference import Reference
from imgfetch.tolerance import Tolerance

HINT = "save the image again with imgfetch save --layers plain, and make the patch from that archive"


def selections(members: Scan, archive: Archive) -> list[Selection]:
    """Return the selections of an archive, without signatures and the like.

    Raises:
        UnsupportedError: the archive is not one that imgfetch writes, or leaves something out.
    """
    names: dict[Digest, list[str]] = {}
    roots: dict[Digest, Descriptor] = {}
    referrers = {referrer.descriptor.digest for referrer in archive.referrers}
    for entry in _entries(members):
        if entry.digest not in referrers:
            roots.setdefault(entry.digest, entry.bare())
            names.setdefault(entry.digest, []).extend(entry_names.names(entry))
    preferred = _preferred(members)
    found = []
    for number, (digest, root) in enumerate(roots.items()):
        walk = _Walk(members, archive, _references(names[digest], members.name))
        walk.add(root)
        found.append(walk.selection([*preferred[number:], *preferred]))
    return found


def _entries(members: Scan) -> Iterator[Descriptor]:
    """Yield the entries of `index.json`."""
    raw = members.document("index.json")
    if raw is None:
        raise UnsupportedError(f"{members.name} has no manifests, so its layers cannot be decompressed", hint=HINT)
    index = strictjson.Object(strictjson.loads(raw, "index.json"), "index.json")
    for entry in index.items_of("manifests"):
        yield Descriptor.from_json(entry, "an entry of index.json")


def _preferred(members: Scan) -> Sequence[str]:
    """Return the config of each item of `manifest.json`: of the image for readers that know only one platform."""
    raw = members.document("manifest.json")
    items = strictjson.loads(raw, "manifest.json") if raw else []
    several = items if isinstance(items, list) else []
    return [strictjson.Object(item, "an item of manifest.json").text("Config") for item in several]


def _references(names: Iterable[str], archive: str) -> tuple[Reference, ...]:
    """Return the names that were requested: a name with a tag, of which an archive of several has the digest too."""
    if not names or not all("/" in name for name in names):
        raise UnsupportedError(f"{archive} has an image without a full name", hint=HINT)
    parsed = list(map(Reference.parse, dict.fromkeys(names)))
    pins = {reference.name: reference.digest for reference in parsed if not reference.tag}
    tagged = [replace(reference, digest=pins.pop(reference.name, None)) for reference in parsed if reference.tag]
    return (*tagged, *(reference for reference in parsed if reference.name in pins and not reference.tag))


class _Walk:
    """Collects an image, or the content of an index, in the order in which a save does."""

    def __init__(self, members: Scan, archive: Archive, references: tuple[Reference, ...]) -> None:
        self._members, self._references = members, references
        self._archived: Mapping[Digest, ArchivedImage] = {
            image.manifest.descriptor.digest: image for image in reversed(archive.images) if image.manifest
        }
        self._images: dict[Digest, Image] = {}
        self._indexes: dict[Digest, Descriptor] = {}
        self._statements: dict[Digest, Descriptor] = {}
        self._others: dict[Digest, Descriptor] = {}

    def add(self, descriptor: Descriptor) -> None:
        """Add an image, an index with all that it lists, or a statement."""
        raw = self._members.document(path(descriptor.digest))
        if path(descriptor.digest) not in self._members.members:
            raise UnsupportedError(
                f"{self._references[0]} lacks {descriptor.digest}, which its index lists, and has compressed layers",
                hint=f"{HINT}; not with --keep-index",
            )
        if descriptor.digest in self._archived:
            self._add_image(self._archived[descriptor.digest])
        elif raw and descriptor.media_type in mediatypes.INDEXES:
            self._indexes.setdefault(descriptor.digest, descriptor.bare())
            for child in _children(raw, descriptor):
                self.add(child)
        else:
            self._statements.setdefault(descriptor.digest, descriptor.bare())
            for blob in listed(raw or b"", str(descriptor.digest)):
                self._others.setdefault(blob.digest, replace(blob, data=None))

    def selection(self, preferred: Iterable[str]) -> Selection:
        """Return the selection; the first of the configs that it has is that of its preferred image."""
        if not self._images:
            raise UnsupportedError(f"{self._references[0]} is not an image", hint=HINT)
        images = tuple(self._images.values())
        by_config = {path(image.manifest.config.digest): image for image in reversed(images)}
        return Selection(
            next((by_config[config] for config in preferred if config in by_config), images[0]),
            images,
            tuple(self._indexes.values()),
            tuple(self._statements.values()),
            tuple(self._others.values()),
        )

    def _add_image(self, image: ArchivedImage) -> None:
        assert image.manifest  # noqa: S101  # those without one are left out above
        if any(layer.is_absent for layer in image.layers):
            raise UnsupportedError(
                f"{self._references[0]} leaves out layers of a base, so a patch cannot make it", hint=HINT
            )
        digest = image.manifest.descriptor.digest
        self._images.setdefault(digest, Image(image.manifest, image.config, self._references))


def _children(raw: bytes, descriptor: Descriptor) -> tuple[Descriptor, ...]:
    found = parse_document(Document(raw), descriptor, str(descriptor.digest), Tolerance(), pinned=True)
    return found.manifests if isinstance(found, Index) else ()
