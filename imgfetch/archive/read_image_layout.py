"""Reading of an archive's OCI image layout: `index.json` and the documents below it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

from imgfetch.archive.contents import Archive, ArchivedImage, ArchivedLayer
from imgfetch.archive.image_layout import ABSENT, BASE, NAME, REF_NAME, path
from imgfetch.archive.scan import Scan, ScannedMember
from imgfetch.errors import ImgfetchError, InvalidReferenceError, UnsupportedError
from imgfetch.oci import manifest_demands, mediatypes, strictjson
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Index, Manifest, parse_document
from imgfetch.oci.reference import Reference
from imgfetch.tolerance import Tolerance

_MAX_DEPTH = 3
_KEYS = frozenset({"schemaVersion", "mediaType", "artifactType", "manifests", "subject", "annotations"})
_VERSION_KEYS = frozenset({"imageLayoutVersion"})


def read(scan: Scan, archive: Archive) -> None:
    """Add the layout's images and faults to ``archive``."""
    _Layout(scan, archive).read()
    archive.images = _together(archive.images)
    _find_indexes(scan, archive)
    archive.faults += _false_digests(archive.images)


class _Layout:
    """Reads an OCI image layout."""

    def __init__(self, scan: Scan, archive: Archive) -> None:
        self._scan = scan
        self._archive = archive

    def read(self) -> None:
        try:
            self._top("oci-layout", _VERSION_KEYS)
            top = self._top("index.json", _KEYS)
            entries = [
                Descriptor.from_json(entry, f"entry {number} of index.json")
                for number, entry in enumerate(top.items_of("manifests"), 1)
            ]
        except ImgfetchError as error:
            self._archive.faults.append(str(error))
            return
        for_platforms: dict[tuple[str, ...], list[ArchivedImage]] = {}
        for number, entry in enumerate(entries, 1):
            found = list(self._images(entry, entry, 1))
            if not found and not self._archive.faults:
                self._archive.faults.append(f"no part of the image {entry.digest} is in the archive")
            self._archive.images += found
            self._archive.faults += _two_names(entry, number)
            if entry.platform:  # Readers select among such entries by platform, as in an index.
                for_platforms.setdefault(_names(entry), []).extend(found)
            else:
                self._archive.add_choice(_names(entry), found)
        for names, images in for_platforms.items():
            self._archive.add_choice(names, images)

    def _top(self, name: str, known: frozenset[str]) -> strictjson.Object:
        raw = self._scan.document(name) or b""
        return strictjson.Object(strictjson.loads(raw, name), name, known, in_any_case=True)

    def _images(self, top: Descriptor, descriptor: Descriptor, depth: int) -> Iterator[ArchivedImage]:
        what = f"the manifest {descriptor.digest}"
        found = self._document(descriptor, what)
        if found is None:
            return
        self._archive.notes += manifest_demands.warnings(found.raw, what)
        if isinstance(found, Manifest):
            image = self._image(top, found, what)
            if image:
                yield image._replace(listed_for=descriptor.platform)
            return
        if depth > _MAX_DEPTH:
            self._archive.faults.append(f"{what} nests indexes more than {_MAX_DEPTH} levels deep")
            return
        self._archive.faults += [str(entry.error) for entry in found.unreadable]
        absent = 0
        for child in found.manifests:
            if self._scan.get(path(child.digest)) is None:
                absent += 1
            elif child.media_type in mediatypes.INDEXES | mediatypes.MANIFESTS and not _is_attestation(child):
                yield from self._images(top, child, depth + 1)
        if absent:
            self._archive.notes.append(
                f"{absent} of the {len(found.manifests)} manifests listed by {what.removeprefix('the manifest ')} "
                "are not in the archive"
            )

    def _document(self, descriptor: Descriptor, what: str) -> Index | Manifest | None:
        member = self._scan.get(path(descriptor.digest))
        if member is None or member.raw is None:
            self._archive.faults.append(f"{what} is not in the archive")
            return None
        if not self._is(descriptor, member, what):
            return None
        own = Descriptor(descriptor.media_type, descriptor.digest, descriptor.size)
        try:
            return parse_document(Document(member.raw), own, what, Tolerance(), pinned=True)
        except UnsupportedError as error:
            self._archive.notes.append(str(error))
        except ImgfetchError as error:
            self._archive.faults.append(str(error))
        return None

    def _image(self, top: Descriptor, manifest: Manifest, what: str) -> ArchivedImage | None:
        what = f"the config of {what.removeprefix('the manifest ')}"
        member = self._scan.get(path(manifest.config.digest))
        if member is None or member.raw is None:
            self._archive.faults.append(f"{what} is not in the archive")
            return None
        if not self._is(manifest.config, member, what):
            return None
        config = self._archive.config(member.raw, manifest.config.media_type, what)
        if config is None:
            return None
        if len(config.diff_ids) != len(manifest.layers):
            self._archive.faults.append(f"{what} has {len(config.diff_ids)} diff_ids for {len(manifest.layers)} layers")
            return None
        left_out = set(top.annotations.get(ABSENT, "").split())
        layers = []
        for descriptor, diff_id in zip(manifest.layers, config.diff_ids, strict=True):
            name = path(descriptor.digest)
            found = self._scan.get(name)
            if found and found.entry.size != descriptor.size:
                self._archive.faults.append(
                    f"{name} has {found.entry.size} bytes, but its manifest says {descriptor.size}"
                )
            is_left_out = str(descriptor.digest) in left_out
            if not found and not is_left_out and self._scan.is_whole:
                self._archive.faults.append(f"the layer {descriptor.digest} is not in the archive")
            layers.append(
                ArchivedLayer(
                    diff_id=diff_id,
                    member=name,
                    digest=descriptor.digest,
                    media_type=descriptor.media_type,
                    size=descriptor.size,
                    compression=found.compression if found else "",
                    is_absent=not found,
                    is_left_out=is_left_out,
                )
            )
        return ArchivedImage(
            names=_names(top),
            config=config,
            config_digest=manifest.config.digest,
            layers=tuple(layers),
            manifest=manifest,
            base=top.annotations.get(BASE, ""),
        )

    def _is(self, descriptor: Descriptor, member: ScannedMember, what: str) -> bool:
        raw = member.raw or b""
        if len(raw) != descriptor.size:
            self._archive.faults.append(f"{what} has {len(raw)} bytes, but its descriptor says {descriptor.size}")
        got = member.digest or Digest.of(raw, descriptor.digest.algorithm)
        if member.digest is None and got != descriptor.digest:  # A hashed blob is reported elsewhere.
            self._archive.faults.append(f"{what} is damaged: it hashes to {got}")
        return got == descriptor.digest


def _together(images: Iterable[ArchivedImage]) -> list[ArchivedImage]:
    """Merge images that differ only in their names."""
    found: dict[object, ArchivedImage] = {}
    for image in images:
        key = (image.manifest and image.manifest.descriptor.digest, image.listed_for, image.base)
        names = (*found[key].names, *image.names) if key in found else image.names
        found[key] = image._replace(names=tuple(sorted(set(names))))
    return list(found.values())


def _false_digests(images: Iterable[ArchivedImage]) -> Iterator[str]:
    """Yield a finding for each name with a digest that is neither its image's nor that of an index that lists it."""
    for image in images:
        for name in image.names:
            digest = name.partition("@")[2]
            if digest and digest not in map(str, image.digests):
                yield f"the name {name} refers to an image with another digest, {image.digests[0]}"


def _find_indexes(scan: Scan, archive: Archive) -> None:
    """Record every index that lists an image, referenced or not: it proves the image's origin."""
    parents: dict[Digest, list[Digest]] = {}
    for digest, raw in scan.blob_documents():
        if b'"manifests"' not in raw:
            continue
        own = Descriptor("", digest, len(raw))
        try:
            found = parse_document(Document(raw), own, path(digest), Tolerance(), pinned=True)
        except ImgfetchError:
            continue  # An invalid index is reported where something refers to it.
        for child in found.manifests if isinstance(found, Index) else ():
            parents.setdefault(child.digest, []).append(digest)
    for number, image in enumerate(archive.images):
        if image.manifest:
            archive.images[number] = image._replace(indexes=_above(image.manifest.descriptor.digest, parents))


def _above(digest: Digest, parents: Mapping[Digest, Sequence[Digest]]) -> tuple[Digest, ...]:
    found: dict[Digest, None] = {}
    waiting = deque([digest])
    while waiting:
        for parent in parents.get(waiting.popleft(), ()):
            if parent not in found:
                found[parent] = None
                waiting.append(parent)
    return tuple(found)


def _is_attestation(child: Descriptor) -> bool:
    """Return whether every reader skips it; they go by the platform, not by annotations."""
    return child.is_attestation and not (child.platform and child.platform.is_known)


def _names(entry: Descriptor) -> tuple[str, ...]:
    """Return the full name of an entry of `index.json`, or else its tag."""
    full = _full_name(entry, NAME) or _full_name(entry, REF_NAME)
    name = str(full) if full else entry.annotations.get(REF_NAME, "")
    return (name,) if name else ()


def _two_names(entry: Descriptor, number: int) -> Iterator[str]:
    """Yield a finding if an entry has two full names; a part of the other name does not count."""
    one, other = _full_name(entry, NAME), _full_name(entry, REF_NAME)
    if one and other and one != other and not str(one).endswith(f"/{entry.annotations[REF_NAME]}"):
        yield f"entry {number} of index.json has two names, {one} and {other}; readers disagree about which one counts"


def _full_name(entry: Descriptor, key: str) -> Reference | None:
    text = entry.annotations.get(key, "")
    if not text or (key == REF_NAME and not {"/", ":"} & set(text)):
        return None
    try:
        return Reference.parse(text).with_default_tag()
    except InvalidReferenceError:
        return None
