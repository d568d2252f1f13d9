"""The images in an archive file: ours, and those that docker, podman, skopeo, crane and others write.

Three descriptions are known, of which a file may have several: the OCI image layout (`index.json`), docker's
`manifest.json` (1.10 and later), and what docker wrote before (`repositories`, and a `json` for each layer).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from imgfetch import mediatypes, strictjson
from imgfetch.digest import Digest
from imgfetch.errors import ImgfetchError, InvalidReferenceError, UnsupportedError, VerificationError
from imgfetch.image import Config, Descriptor, Document, Index, Manifest, parse_document
from imgfetch.oci_layout import ABSENT, BASE, NAME, REF_NAME, path
from imgfetch.oddities import Oddities
from imgfetch.reference import Reference
from imgfetch.scanning import Found, Scan

_MAX_DEPTH = 3
_NO_KEYS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ArchivedLayer:
    """A layer of an image in an archive.

    Attributes:
        diff_id: what the config says that it hashes to when it is decompressed.
        member: the member that holds it.
        digest: the blob's digest, where a manifest has one.
        media_type: what a manifest calls it.
        size: the member's length in bytes; what the manifest says where it is absent.
        compression: how it is compressed, as `decompress.detect` names it; empty if that was not looked at.
        is_absent: whether the member is not there.
        is_left_out: whether the archive says that it leaves it out.
    """

    diff_id: Digest
    member: str
    digest: Digest | None
    media_type: str
    size: int
    compression: str
    is_absent: bool
    is_left_out: bool


@dataclass(frozen=True, slots=True)
class ArchivedImage:
    """An image in an archive.

    Attributes:
        names: what it is called there, tags and digests, sorted.
        config: its config.
        config_digest: the config's digest, the image ID.
        layers: its layers, base first.
        manifest: its manifest, where the archive has one.
        indexes: the digests of the indexes in the archive that list it, the nearest first.
        base: what has the layers that are left out.
    """

    names: tuple[str, ...]
    config: Config
    config_digest: Digest
    layers: tuple[ArchivedLayer, ...]
    manifest: Manifest | None = None
    indexes: tuple[Digest, ...] = ()
    base: str = ""

    @property
    def digests(self) -> tuple[Digest, ...]:
        """Those by which it can be asked for."""
        own = [self.manifest.descriptor.digest] if self.manifest else []
        return (*own, *self.indexes)


@dataclass(slots=True)
class Archive:
    """What an archive holds, and what is wrong with how it says so.

    Attributes:
        kind: what it is, in words.
        images: its images, in its order.
        faults: what is wrong, each in a sentence.
        notes: what is worth knowing and not wrong.
    """

    kind: str = ""
    images: list[ArchivedImage] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def understood(scan: Scan) -> Archive:
    """Return what the documents of an archive say.

    Raises:
        UnsupportedError: it is no image archive.
    """
    archive = Archive()
    if scan.get("index.json") and scan.get("oci-layout"):
        _Oci(scan, archive).read()
        _find_indexes(scan, archive)
    if scan.get("manifest.json"):
        _read_docker(scan, archive)
    elif scan.get("repositories") and not archive.images:
        raise UnsupportedError(
            f"{scan.name} is an archive of docker before 1.10, which has no image configs and no digests",
            hint="load it into docker, and save it again",
        )
    if not (scan.get("index.json") or scan.get("manifest.json")):
        raise UnsupportedError(f"{scan.name} is no image archive: it has neither index.json nor manifest.json")
    archive.kind = _kind(scan)
    return archive


class _Oci:
    """Reads an OCI image layout."""

    def __init__(self, scan: Scan, archive: Archive) -> None:
        self._scan = scan
        self._archive = archive

    def read(self) -> None:
        try:
            top = strictjson.Object(
                strictjson.loads(self._scan.document("index.json") or b"", "index.json"), "index.json", _NO_KEYS
            )
            entries = [
                Descriptor.from_json(entry, f"entry {number} of index.json")
                for number, entry in enumerate(top.items_of("manifests"), 1)
            ]
        except ImgfetchError as error:
            self._archive.faults.append(str(error))
            return
        for entry in entries:
            found = list(self._images(entry, entry, 1))
            if not found and not self._archive.faults:
                self._archive.faults.append(f"of the image {entry.digest} nothing is in the archive")
            self._archive.images += found

    def _images(self, top: Descriptor, descriptor: Descriptor, depth: int) -> Iterator[ArchivedImage]:
        what = f"the manifest {descriptor.digest}"
        found = self._document(descriptor, what)
        if found is None:
            return
        if isinstance(found, Manifest):
            image = self._image(top, found, what)
            if image:
                yield image
            return
        if depth > _MAX_DEPTH:
            self._archive.faults.append(f"{what} has indexes within indexes, more than {_MAX_DEPTH} deep")
            return
        absent = 0
        for child in found.manifests:
            if self._scan.get(path(child.digest)) is None:
                absent += 1
            elif child.is_attestation or child.media_type not in mediatypes.INDEXES | mediatypes.MANIFESTS:
                continue
            else:
                yield from self._images(top, child, depth + 1)
        if absent:
            self._archive.notes.append(
                f"{absent} of the {len(found.manifests)} manifests that {what.removeprefix('the manifest ')} "
                "lists are not in the archive"
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
            return parse_document(Document(member.raw), own, what, Oddities(), pinned=True)
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
        config = _config(member.raw, manifest.config.media_type, what, self._archive)
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
                    diff_id,
                    name,
                    descriptor.digest,
                    descriptor.media_type,
                    descriptor.size,
                    found.compression if found else "",
                    not found,
                    is_left_out,
                )
            )
        return ArchivedImage(
            _names(top), config, manifest.config.digest, tuple(layers), manifest, base=top.annotations.get(BASE, "")
        )

    def _is(self, descriptor: Descriptor, member: Found, what: str) -> bool:
        raw = member.raw or b""
        if len(raw) != descriptor.size:
            self._archive.faults.append(f"{what} has {len(raw)} bytes, but what points at it says {descriptor.size}")
        got = member.digest or Digest.of(raw, descriptor.digest.algorithm)
        if member.digest is None and got != descriptor.digest:  # of what was hashed that is told for the blob
            self._archive.faults.append(f"{what} is damaged: it hashes to {got}")
        return got == descriptor.digest


def _find_indexes(scan: Scan, archive: Archive) -> None:
    """Note for every image which indexes list it, those that nothing points at too: they prove what it is."""
    parents: dict[Digest, list[Digest]] = {}
    for name, member in scan.members.items():
        parts = name.split("/")
        if parts[0] != "blobs" or len(parts) != 3 or member.raw is None or b'"manifests"' not in member.raw:  # noqa: PLR2004
            continue
        if parts[1] not in ("sha256", "sha512") or (digest := Digest.of(member.raw, parts[1])).encoded != parts[2]:
            continue
        own = Descriptor("", digest, len(member.raw))
        try:
            found = parse_document(Document(member.raw), own, name, Oddities(), pinned=True)
        except ImgfetchError:
            continue  # if it is of any use, somebody points at it, and then it is told
        for child in found.manifests if isinstance(found, Index) else ():
            parents.setdefault(child.digest, []).append(digest)
    for number, image in enumerate(archive.images):
        if image.manifest:
            archive.images[number] = replace(image, indexes=_above(image.manifest.descriptor.digest, parents))


def _above(digest: Digest, parents: Mapping[Digest, Sequence[Digest]]) -> tuple[Digest, ...]:
    found: dict[Digest, None] = {}
    waiting = deque([digest])
    while waiting:
        for parent in parents.get(waiting.popleft(), ()):
            if parent not in found:
                found[parent] = None
                waiting.append(parent)
    return tuple(found)


def _read_docker(scan: Scan, archive: Archive) -> None:
    """Read `manifest.json`, and compare it with what the layout says, if there is one."""
    try:
        items = strictjson.loads(scan.document("manifest.json") or b"", "manifest.json")
        if not isinstance(items, list):
            raise VerificationError("manifest.json is malformed", wanted="an array", got=strictjson.shown(items))
        objects = [
            strictjson.Object(item, f"item {number} of manifest.json", _NO_KEYS) for number, item in enumerate(items, 1)
        ]
        found = [_docker_image(scan, archive, item) for item in objects]
    except ImgfetchError as error:
        archive.faults.append(str(error))
        return
    has_layout = bool(archive.images)
    for image in filter(None, found):
        twins = [one for one in archive.images if one.config_digest == image.config_digest]
        if not twins:
            if has_layout:
                archive.faults.append(f"index.json has no image with the config {image.config_digest}")
            archive.images.append(image)
        elif [layer.member for layer in twins[0].layers] != [layer.member for layer in image.layers]:
            archive.faults.append(f"manifest.json and index.json have other layers for {image.config_digest}")
        else:
            _merge_names(archive, image)


def _merge_names(archive: Archive, image: ArchivedImage) -> None:
    for number, one in enumerate(archive.images):
        if one.config_digest == image.config_digest and not set(image.names) <= set(one.names):
            names = tuple(sorted({*one.names, *image.names}))
            archive.images[number] = replace(one, names=names)
            return


def _docker_image(scan: Scan, archive: Archive, item: strictjson.Object) -> ArchivedImage | None:
    name = item.text("Config")
    raw = scan.document(name) if name else None
    if raw is None:
        archive.faults.append(f"{item.what} has the config {name!r}, which is not in the archive")
        return None
    digest = Digest.of(raw)
    encoded = name.rpartition("/")[2].removesuffix(".json")
    if len(encoded) == len(digest.encoded) and encoded != digest.encoded:
        archive.faults.append(f"{name} is damaged: its name is not what it hashes to, {digest.encoded}")
    config = _config(raw, mediatypes.DOCKER_CONFIG, name, archive)
    if config is None:
        return None
    members = [text for text in item.items_of("Layers") if isinstance(text, str)]
    if len(members) != len(config.diff_ids):
        archive.faults.append(f"{item.what} has {len(members)} layers, but its config {len(config.diff_ids)} diff_ids")
        return None
    layers = []
    for member, diff_id in zip(members, config.diff_ids, strict=True):
        found = scan.get(member)
        left_out = any(layer.member == member and layer.is_left_out for one in archive.images for layer in one.layers)
        is_known = any(layer.member == member for one in archive.images for layer in one.layers)
        if not found and not left_out and not is_known and scan.is_whole:
            archive.faults.append(f"the layer {member} is not in the archive")
        size, compression = (found.entry.size, found.compression) if found else (0, "")
        layers.append(ArchivedLayer(diff_id, member, None, "", size, compression, not found, left_out))
    return ArchivedImage(_repo_tags(archive, item), config, digest, tuple(layers))


def _repo_tags(archive: Archive, item: strictjson.Object) -> tuple[str, ...]:
    names = []
    for text in item.items_of("RepoTags"):
        try:
            reference = Reference.parse(str(text)).with_default_tag()
        except InvalidReferenceError as error:
            archive.faults.append(f"{item.what} has a name that is none: {error}")
        else:
            if reference.digest:
                archive.faults.append(f"{item.what} has a name with a digest, which docker does not load")
            names.append(str(reference))
    return tuple(sorted(names))


def _config(raw: bytes, media_type: str, what: str, archive: Archive) -> Config | None:
    try:
        return Config.from_json(raw, media_type, what)
    except UnsupportedError as error:
        archive.notes.append(str(error))
    except ImgfetchError as error:
        archive.faults.append(str(error))
    return None


def _names(entry: Descriptor) -> tuple[str, ...]:
    """Return the full name of an entry of `index.json`, as far as it says one."""
    for key in (NAME, REF_NAME):
        text = entry.annotations.get(key, "")
        if text and ("/" in text or ":" in text):
            try:
                return (str(Reference.parse(text)),)
            except InvalidReferenceError:
                continue
    tag = entry.annotations.get(REF_NAME, "")
    return (tag,) if tag else ()


def _kind(scan: Scan) -> str:
    """Say who may have written it, by what each writes and the others do not."""
    has_layout, has_docker = bool(scan.get("oci-layout")), bool(scan.get("manifest.json"))
    names = scan.members
    if has_layout and has_docker:
        first = next(iter(names))
        return "an imgfetch archive" if first == "oci-layout" else "a docker save archive (25 or later)"
    if has_layout:
        return "an OCI image layout"
    if any(name.endswith("/VERSION") for name in names):
        return "a docker save archive (1.10 to 24)"
    if any(name.startswith("sha256:") for name in names):
        return "a docker archive, as crane writes it"
    return "a docker archive, as podman and skopeo write it"
