"""Reading of an archive's OCI image layout: `index.json` and the documents below it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import chain

from imgfetch.archive import ancestors, attached, entry_names
from imgfetch.archive.contents import (
    MAX_ALL_LAYERS,
    ArchivedImage,
    ArchivedLayer,
    Choice,
    Configs,
    Description,
)
from imgfetch.archive.document_types import config_of, config_type, is_artifact, is_attestation, odd_types
from imgfetch.archive.image_layout import ABSENT, BASE, NAME, REF_NAME, path
from imgfetch.archive.scan import Scan
from imgfetch.errors import ImgfetchError, UnsupportedError, VerificationError
from imgfetch.oci import manifest_demands, mediatypes, strictjson
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import MAX_MANIFESTS, Index, Manifest, parse_document
from imgfetch.oci.referrers import Attached, Referrer
from imgfetch.text import quoted
from imgfetch.tolerance import Tolerance

_LAYOUT, _INDEX = "oci-layout", "index.json"
_VERSION = "1.0.0"
_MAX_DEPTH = 3
_MAX_VISITS = 20_000
"""Maximum entries of all indexes, each counted as often as an index leads to it."""
_MAX_PARTS = 20_000
"""Maximum configs and layers of all signatures and other artifacts."""
_INDEX_KEYS = frozenset({"schemaVersion", "mediaType", "manifests", "annotations"})
_ENTRY_KEYS = frozenset({"mediaType", "digest", "size", "platform", "annotations", "artifactType"})
_LAYOUT_KEYS = frozenset({"imageLayoutVersion"})


def read_image_layout(scan: Scan, configs: Configs) -> Description:
    """Return the contents of an OCI image layout."""
    reader = _Reader(scan, configs)
    for step in (reader.read, reader.find_parents, reader.find_referrers):
        try:
            step()
        except ImgfetchError as error:
            reader.faults.append(str(error))
    above = cache(partial(ancestors.above, reader.parents))
    images = ancestors.with_indexes(ancestors.together(reader.images), above)
    indexes = {path(index) for image in images for index in image.indexes}
    referrers = attached.attached(tuple(reader.referrers.values()), scan)
    return Description(
        images=tuple(images),
        choices=tuple(ancestors.traced(choice, above) for choice in reader.choices),
        members=frozenset(reader.members | indexes),
        others=tuple(reader.others),
        referrers=referrers,
        faults=(*reader.faults, *ancestors.false_digests(images)),
        notes=(*reader.notes, *attached.notes(referrers)),
    )


@dataclass
class _Reader:
    scan: Scan
    configs: Configs
    images: list[ArchivedImage] = field(default_factory=list)
    members: set[str] = field(default_factory=lambda: {_LAYOUT, _INDEX})
    others: list[str] = field(default_factory=list)
    referrers: dict[Digest, Referrer] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    parents: dict[Digest, dict[Digest, None]] = field(default_factory=dict)
    _places: attached.Places = field(default_factory=attached.Places)
    _selectable: set[Digest] = field(default_factory=set)
    _documents: dict[tuple[Digest, str], Index | Manifest | None] = field(default_factory=dict)
    _layers: dict[tuple[Digest, str], tuple[ArchivedLayer, ...]] = field(default_factory=dict)
    _visits: int = 0
    _parts: int = 0
    _listed: int = 0

    def read(self) -> None:
        if _LAYOUT in self.scan.members:
            version = self._top(_LAYOUT, _LAYOUT_KEYS).get("imageLayoutVersion")
            if version != _VERSION:
                self.faults.append(f"{_LAYOUT} has the version {strictjson.shown(version)} instead of {_VERSION}")
        index = self._top(_INDEX, _INDEX_KEYS)
        entries = index.items_of("manifests")
        if not entries:
            return
        self.faults += manifest_demands.warnings(self.scan.document(_INDEX) or b"", _INDEX)
        if index.count("schemaVersion") != 2 or index.text("mediaType") not in ("", mediatypes.OCI_INDEX):  # noqa: PLR2004
            self.faults.append(f"{_INDEX} has another version or media type than an image index")
        if len(entries) > MAX_MANIFESTS:
            raise VerificationError(f"{_INDEX} has {len(entries)} entries, more than {MAX_MANIFESTS}")
        self._visit(entries)
        descriptors: list[Descriptor] = []
        for number, entry in enumerate(entries, 1):
            what = f"entry {number} of {_INDEX}"
            descriptor = Descriptor.from_json(entry, what)
            members = strictjson.Object(entry, what)
            self.faults += strictjson.unknown_keys(members, _ENTRY_KEYS)
            if members.text("mediaType") not in mediatypes.INDEXES | mediatypes.MANIFESTS:
                self.faults.append(f"{what} has the media type {quoted(members.text('mediaType'))}")
            self.faults += entry_names.odd_names(descriptor, what)
            self._selectable = set()
            self._places.visit(descriptor)
            found = tuple(self._images(descriptor, descriptor, 1))
            self.faults += ancestors.false_platforms(descriptor, found, what)
            self.images += found
            self.choices += self._choices(descriptor, found)
            descriptors.append(descriptor)
        self.faults += entry_names.ambiguous_tags(descriptors)

    def _visit(self, entries: Sequence[object]) -> None:
        self._visits += len(entries)
        if self._visits > _MAX_VISITS:
            raise VerificationError(f"{_INDEX} leads to more than {_MAX_VISITS} manifests")

    def _choices(self, entry: Descriptor, images: tuple[ArchivedImage, ...]) -> Iterator[Choice]:
        selectable = tuple((digest,) for digest in sorted(self._selectable, key=str))
        for name in entry_names.names(entry) or ("",):
            spelling = entry.annotations.get(NAME) or entry.annotations.get(REF_NAME, "")
            yield Choice(name, spelling, entry.digest, images, selectable)

    def find_parents(self) -> None:
        """Find the valid indexes that list a document, whether anything refers to them or not."""
        visited = [found for found in self._documents.values() if isinstance(found, Index)]
        for index in chain(visited, self._unreferenced({index.descriptor.digest for index in visited})):
            for child in index.manifests:
                self.parents.setdefault(child.digest, {})[index.descriptor.digest] = None

    def find_referrers(self) -> None:
        """Find the complete referrers that no index lists, as ``cosign save`` 3 leaves bundles."""
        for digest, raw in self.scan.blob_documents():
            if path(digest) in self.members or b'"subject"' not in raw:
                continue
            try:
                found = Attached.from_json(raw, path(digest))
            except ImgfetchError:
                continue
            self._count_parts(found)
            parts = {path(digest), *(path(blob.digest) for blob in found.blobs)}
            own = Descriptor(found.media_type, digest, len(raw))
            referrer = None if found.is_image else self._places.referrer(own, raw, found)
            if referrer and {path(referrer.subject), *parts} <= self.scan.members.keys():
                self.referrers[digest] = referrer
                self.members |= parts

    def _count_parts(self, found: Attached) -> None:
        self._parts += len(found.blobs)
        if self._parts > _MAX_PARTS:
            raise VerificationError(f"the archive has artifacts of more than {_MAX_PARTS} parts")

    def _unreferenced(self, visited: Collection[Digest]) -> Iterator[Index]:
        for digest, raw in self.scan.blob_documents():
            if digest in visited or b'"manifests"' not in raw:
                continue
            found = None
            with suppress(ImgfetchError):
                own = Descriptor("", digest, len(raw))
                found = parse_document(Document(raw), own, path(digest), Tolerance(), pinned=True)
            if isinstance(found, Index):
                self._visit(found.manifests)
                yield found

    def _top(self, name: str, known: frozenset[str]) -> strictjson.Object:
        document = strictjson.loads(self.scan.document(name) or b"", name)
        members = strictjson.Object(document, name, known, in_any_case=True)
        self.faults += strictjson.unknown_keys(members, known)
        return members

    def _images(self, top: Descriptor, descriptor: Descriptor, depth: int) -> Iterator[ArchivedImage]:
        what = f"the manifest {descriptor.digest}"
        found = self._document(descriptor, what)
        if isinstance(found, Index):
            if depth > _MAX_DEPTH:
                raise VerificationError(f"{what} nests indexes more than {_MAX_DEPTH} levels deep")
            yield from self._children(top, found, depth)
            return
        self._select(descriptor)
        image = self._image(top, found, what) if found else None
        if image:
            yield image._replace(listed_for=descriptor.platform)

    def _select(self, descriptor: Descriptor) -> None:
        """Note what a reader may select."""
        if descriptor.may_be_run:
            self._selectable.add(descriptor.digest)

    def _children(self, top: Descriptor, index: Index, depth: int) -> Iterator[ArchivedImage]:
        self._visit(index.manifests)
        self.faults += [str(entry.error) for entry in index.unreadable]
        absent = 0
        for child in index.manifests:
            if path(child.digest) not in self.scan.members:
                absent += 1
                self._select(child)
            elif is_attestation(child):
                self._other(child, "an attestation")
            elif child.media_type in ("", *mediatypes.INDEXES, *mediatypes.MANIFESTS):
                yield from self._images(top, child, depth + 1)
            elif child.platform and child.platform.is_known:
                self.faults.append(
                    f"{child.digest} is listed for {child.platform} with the media type {child.media_type}"
                )
            else:
                self._other(child, f"content of the type {child.media_type}")
        if absent:
            self.notes.append(
                f"{absent} of the {len(index.manifests)} manifests listed by {index.descriptor.digest} "
                "are not in the archive"
            )
            if absent == len(index.manifests):
                self.faults.append(f"no part of the image {index.descriptor.digest} is in the archive")

    def _document(self, descriptor: Descriptor, what: str) -> Index | Manifest | None:
        """Return a document, which is read once for each type that an entry gives it."""
        key = (descriptor.digest, descriptor.media_type)
        if key not in self._documents:
            self._documents[key] = None
            raw = self._blob(descriptor, what)
            if raw is not None:
                self._documents[key] = self._parsed(descriptor, raw, what)
        found = self._documents[key]
        if found and found.descriptor.size != descriptor.size:
            self.faults.append(f"{what} is listed with two sizes, {found.descriptor.size} and {descriptor.size} bytes")
        return found

    def _parsed(self, descriptor: Descriptor, raw: bytes, what: str) -> Index | Manifest | None:
        own = Descriptor(descriptor.media_type, descriptor.digest, descriptor.size)
        try:
            found = parse_document(Document(raw), own, what, Tolerance(), pinned=True)
        except UnsupportedError as error:
            if is_artifact(strictjson.loads(raw, what)):
                self._other(descriptor, str(error).partition(" but ")[2])
            else:
                self.faults.append(f"{what} is not a valid image: {error}")
            return None
        except ImgfetchError as error:
            self.faults.append(str(error))
            return None
        if isinstance(found, Manifest) and (kind := mediatypes.artifact([layer.media_type for layer in found.layers])):
            self._other(descriptor, kind)
            return None
        document = strictjson.loads(raw, what)
        if isinstance(found, Manifest) and (media_type := config_type(document) or "") != found.config.media_type:
            config = config_of(what)
            self.faults.append(f"{config} has the media type {quoted(media_type)}, which some readers do not know")
        self.notes += manifest_demands.warnings(raw, what)
        self.faults += odd_types(document, what)
        return found

    def _other(self, descriptor: Descriptor, kind: str) -> None:
        """Note an artifact or the like, and the blobs of which it consists."""
        self._select(descriptor)
        self.members.add(path(descriptor.digest))
        raw, what = self.scan.document(path(descriptor.digest)) or b"", f"the manifest {descriptor.digest}"
        try:
            found = Attached.from_json(raw, what)
        except ImgfetchError as error:
            self.others.append(kind)
            self.faults.append(str(error))
            return
        self._count_parts(found)
        if referrer := self._places.referrer(descriptor, raw, found):
            self.referrers[descriptor.digest] = referrer
        else:
            self.others.append(kind)
        for blob in found.blobs:
            self.members.add(path(blob.digest))
            if not self.scan.get(path(blob.digest)) and not blob.is_embedded and self.scan.is_whole:
                self.faults.append(f"{blob.digest}, a part of {kind}, is not in the archive")

    def _blob(self, descriptor: Descriptor, what: str) -> bytes | None:
        """Return a document with the right digest."""
        name = path(descriptor.digest)
        self.members.add(name)
        raw = self.scan.document(name)
        if raw is None:
            if self.scan.is_whole:
                self.faults.append(f"{what} {self.scan.reason(name)}")
            return None
        if len(raw) != descriptor.size:
            self.faults.append(f"{what} has {len(raw)} bytes, but its descriptor says {descriptor.size}")
        member = self.scan.members[name]
        got = member.digest or Digest.of(raw, descriptor.digest.algorithm)
        if member.digest is None and got != descriptor.digest:  # A hashed blob is reported elsewhere.
            self.faults.append(f"{what} is damaged: it hashes to {got}")
        return raw if got == descriptor.digest else None

    def _image(self, top: Descriptor, manifest: Manifest, what: str) -> ArchivedImage | None:
        what = config_of(what)
        raw = self._blob(manifest.config, what)
        if raw is None:
            return None
        try:
            config = self.configs.config(raw, manifest.config.media_type, what)
        except ImgfetchError as error:
            self.faults.append(str(error))
            return None
        if len(config.diff_ids) != len(manifest.layers):
            self.faults.append(f"{what} has {len(config.diff_ids)} diff_ids for {len(manifest.layers)} layers")
            return None
        key = (manifest.descriptor.digest, top.annotations.get(ABSENT, ""))
        if key not in self._layers:
            left_out = set(key[1].split())
            self._layers[key] = tuple(
                self._layer(layer, diff_id, is_left_out=str(layer.digest) in left_out)
                for layer, diff_id in zip(manifest.layers, config.diff_ids, strict=True)
            )
        self._listed += len(self._layers[key])
        if self._listed > MAX_ALL_LAYERS:
            raise VerificationError(f"{_INDEX} lists more than {MAX_ALL_LAYERS} layers")
        return ArchivedImage(
            names=entry_names.names(top),
            config=config,
            raw_config=raw,
            config_digest=manifest.config.digest,
            layers=self._layers[key],
            manifest=manifest,
            base=top.annotations.get(BASE, ""),
        )

    def _layer(self, descriptor: Descriptor, diff_id: Digest, *, is_left_out: bool) -> ArchivedLayer:
        name = path(descriptor.digest)
        self.members.add(name)
        found = self.scan.get(name)
        if found and found.entry.size != descriptor.size:
            self.faults.append(f"{name} has {found.entry.size} bytes, but its manifest says {descriptor.size}")
        if not found and not is_left_out and self.scan.is_whole:
            self.faults.append(f"the layer {descriptor.digest} is not in the archive")
        return ArchivedLayer(
            diff_id=diff_id,
            member=name,
            digest=descriptor.digest,
            media_type=descriptor.media_type,
            size=descriptor.size,
            compression=found.compression if found else "",
            is_absent=not found,
            is_left_out=is_left_out,
        )
