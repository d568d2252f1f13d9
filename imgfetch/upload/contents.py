"""The documents and blobs of an archive, from the entries of `index.json` down to the layers.

Everything that an entry leads to belongs to it: images, indexes, attestations, signatures and other artifacts.  The
``subject`` of a manifest is another entry's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from imgfetch.archive import entry_names
from imgfetch.archive.contents import ArchivedImage, ArchivedLayer
from imgfetch.archive.image_layout import compact, path
from imgfetch.archive.scan import ScannedMember
from imgfetch.archive.stored import StoredArchive
from imgfetch.archive.verify import Examined
from imgfetch.errors import UnsupportedError
from imgfetch.oci import mediatypes, strictjson
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import listed

_INDEX = "index.json"
_LAYERS = {
    "plain": mediatypes.OCI_LAYER,
    "gzip": mediatypes.OCI_LAYER_GZIP,
    "zstd": mediatypes.OCI_LAYER_ZSTD,
}
"""The media types of layers by their compression."""


class Node(NamedTuple):
    """A manifest or index.

    Attributes:
        descriptor: its media type, digest and size.
        raw: its bytes.
        children: the manifests that an index lists, as far as they are in the archive.
        blobs: the config and layers of a manifest, or the like.
        subject: the manifest that it is about, such as the one that a signature is for.
    """

    descriptor: Descriptor
    raw: bytes
    children: tuple[Node, ...] = ()
    blobs: tuple[Descriptor, ...] = ()
    subject: Digest | None = None

    def family(self) -> Iterator[Node]:
        """Yield the nodes below it, children first, and then itself."""
        for child in self.children:
            yield from child.family()
        yield self


class Entry(NamedTuple):
    """A manifest or index that an archive lists.

    Attributes:
        node: the document.
        names: its names in the archive, of which there may be none.
        about: the subjects of a signature or the like, each with the tag that it needs for that, if any.
    """

    node: Node
    names: tuple[str, ...]
    about: tuple[tuple[Digest, str], ...] = ()


class Contents:
    """The entries and blobs of a verified archive.

    Attributes:
        name: the archive's path, safe to show.
        entries: those of `index.json`, or else the images of `manifest.json`.
        bases: the names of images that have the layers left out.
        changed: the images whose digests may not be those of their origin.
    """

    def __init__(self, found: Examined, archive: StoredArchive) -> None:
        self._scan = found.scan
        self._archive = archive
        self._nodes: dict[Digest, Node] = {}
        self._members: dict[Digest, ScannedMember] = {}
        self._embedded: dict[Digest, bytes] = {}
        self._about: dict[Digest, list[tuple[Digest, str]]] = {}
        for each in found.archive.referrers:
            self._about.setdefault(each.descriptor.digest, []).append((each.subject, each.tag))
        self.name = archive.name
        self.entries = tuple(self._listed() if _INDEX in self._scan.members else self._made(found))
        self.bases = tuple({image.base: None for image in found.archive.images if image.base})
        self.changed = tuple(image for image in found.archive.images if _may_have_changed(image))

    def has(self, blob: Descriptor) -> bool:
        """Return whether the archive has a blob, which it may leave out."""
        return blob.digest in self._embedded or self._member(blob.digest) is not None

    def pieces(self, blob: Descriptor, start: int, length: int) -> Iterator[bytes]:
        """Yield some bytes of a blob, which may have changed since it was verified."""
        if (content := self._embedded.get(blob.digest)) is not None:
            yield content[start : start + length]
            return
        member = self._member(blob.digest)
        assert member is not None  # noqa: S101  # the caller has asked
        yield from self._archive.pieces(member, start, length)

    def _member(self, digest: Digest) -> ScannedMember | None:
        return self._members.get(digest) or self._scan.get(path(digest))

    def _listed(self) -> Iterator[Entry]:
        index = strictjson.Object(strictjson.loads(self._scan.document(_INDEX) or b"", _INDEX), _INDEX)
        together: dict[Digest, list[Descriptor]] = {}
        for number, value in enumerate(index.items_of("manifests"), 1):
            entry = Descriptor.from_json(value, f"entry {number} of {_INDEX}")
            together.setdefault(entry.digest, []).append(entry)
        for entries in together.values():
            names = dict.fromkeys(name for entry in entries for name in entry_names.names(entry))
            about = self._about.get(entries[0].digest, ())
            yield Entry(self._node(entries[0]), tuple(names), tuple(about))

    def _made(self, found: Examined) -> Iterator[Entry]:
        """Yield an entry for each image of an archive without manifests, with its layers as they are stored."""
        for image in found.archive.images:
            blobs = [Descriptor.of(image.raw_config, mediatypes.OCI_CONFIG)]
            self._embedded[blobs[0].digest] = image.raw_config
            blobs += [self._layer(layer) for layer in image.layers]
            config, *layers = (blob.entry() for blob in blobs)
            manifest = {"schemaVersion": 2, "mediaType": mediatypes.OCI_MANIFEST, "config": config, "layers": layers}
            raw = compact(manifest)
            yield Entry(Node(Descriptor.of(raw, mediatypes.OCI_MANIFEST), raw, (), tuple(blobs)), image.names)

    def _layer(self, layer: ArchivedLayer) -> Descriptor:
        member = self._scan.get(layer.member)
        if member is None or member.digest is None:
            raise UnsupportedError(f"cannot push {self.name}: it leaves out layers, and has no manifests")
        if member.compression not in _LAYERS:
            raise UnsupportedError(f"cannot push {self.name}: no registry knows layers in {member.compression}")
        self._members[member.digest] = member
        return Descriptor(_LAYERS[member.compression], member.digest, member.entry.size)

    def _node(self, descriptor: Descriptor) -> Node:
        """Return a document with all below it."""
        if (known := self._nodes.get(descriptor.digest)) is not None:
            return known
        what = f"the manifest {descriptor.digest}"
        raw = self._scan.document(path(descriptor.digest)) or b""
        members = strictjson.Object(strictjson.loads(raw, what), what)
        subject = members.get("subject")
        children: tuple[Node, ...] = ()
        blobs: tuple[Descriptor, ...] = ()
        if "manifests" in members:
            entries = [Descriptor.from_json(each, what) for each in members.items_of("manifests")]
            children = tuple(self._node(each) for each in entries if self._member(each.digest))
        else:
            blobs = listed(raw, what)
        self._embedded |= {blob.digest: blob.data for blob in blobs if blob.data is not None and blob.is_embedded}
        media_type = members.text("mediaType") or descriptor.media_type or _guess(members)
        own = Descriptor(media_type, descriptor.digest, len(raw))
        about = Descriptor.from_json(subject, f"the subject of {what}").digest if subject else None
        node = self._nodes[descriptor.digest] = Node(own, raw, children, blobs, about)
        return node


def _guess(members: strictjson.Object) -> str:
    """Return the media type that a document without one has."""
    return mediatypes.OCI_INDEX if "manifests" in members else mediatypes.OCI_MANIFEST


def _may_have_changed(image: ArchivedImage) -> bool:
    """Return whether an image has no manifest, or one with decompressed layers, which registries hardly ever have.

    A name with a digest proves that the digest is that of the origin.
    """
    if image.manifest is None:
        return True
    is_proven = any("@" in name for name in image.names)
    return not is_proven and any(layer.compression == "plain" for layer in image.layers)
