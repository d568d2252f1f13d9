"""Reading of docker's descriptions: `manifest.json`, which archives have since docker 1.10, and `repositories`."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from imgfetch.archive.contents import MAX_ALL_LAYERS, ArchivedImage, ArchivedLayer, Choice, Configs, Description
from imgfetch.archive.scan import Scan
from imgfetch.errors import ImgfetchError, InvalidReferenceError, VerificationError
from imgfetch.oci import mediatypes, strictjson
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import MAX_LAYERS
from imgfetch.oci.reference import Reference

_MANIFEST, _REPOSITORIES = "manifest.json", "repositories"
_KEYS = frozenset({"Config", "RepoTags", "Layers", "Parent", "LayerSources"})
_MAX_IMAGES = 4096
_MAX_NAMES = 10_000  # of all images
_SHA512_LENGTH = 128
_V1_LAYER = "/layer.tar"


def read_docker(scan: Scan, layout: Description, configs: Configs) -> Description:
    """Return the contents of `manifest.json`; ``layout`` has those of the OCI image layout beside it."""
    reader = _Reader(scan, layout, configs)
    try:
        reader.read()
    except ImgfetchError as error:
        reader.faults.append(str(error))
    return reader.description()


class _Reader:
    def __init__(self, scan: Scan, layout: Description, configs: Configs) -> None:
        self._scan = scan
        self._configs = configs
        self._layout = layout
        self._left_out = {
            layer.member: layer.is_left_out for image in layout.images for layer in image.layers if layer.is_absent
        }
        self._images: list[ArchivedImage] = []
        self._choices: list[Choice] = []
        self._members = {_MANIFEST, _REPOSITORIES}
        self._digests: dict[tuple[bytes, str], Digest] = {}
        self._layers = self._names = 0
        self.faults: list[str] = []

    def description(self) -> Description:
        return Description(
            images=tuple(self._images),
            choices=tuple(self._choices),
            members=frozenset(self._members | _v1_members(self._scan, self._members)),
            faults=tuple(self.faults),
        )

    def read(self) -> None:
        items = strictjson.loads(self._scan.document(_MANIFEST) or b"", _MANIFEST)
        if not isinstance(items, list):
            raise VerificationError(f"{_MANIFEST} is malformed", wanted="an array", got=strictjson.shown(items))
        if len(items) > _MAX_IMAGES:
            raise VerificationError(f"{_MANIFEST} has {len(items)} images, more than {_MAX_IMAGES}")
        for number, item in enumerate(items, 1):
            what = f"item {number} of {_MANIFEST}"
            members = strictjson.Object(item, what, _KEYS, in_any_case=True)
            self.faults += strictjson.unknown_keys(members, _KEYS)
            members.text("Parent")  # Docker forgets a parent that is not in the archive.
            image = self._image(members)
            if image:
                self._images.append(image)
                self._layers += len(image.layers)
            if self._layers > MAX_ALL_LAYERS:
                raise VerificationError(f"{_MANIFEST} lists more than {MAX_ALL_LAYERS} layers")
        self.faults += _repositories(self._scan, self._images)

    def _image(self, item: strictjson.Object) -> ArchivedImage | None:
        name = item.text("Config")
        raw = self._scan.document(name)
        if raw is None:
            self.faults.append(f"{item.what} has the config {name!r}, which {self._scan.reason(name)}")
            return None
        self._members.add(name)
        encoded = name.rpartition("/")[2].removesuffix(".json").rpartition(":")[2]  # crane's name is sha256:…
        digest = self._digest(raw, "sha512" if len(encoded) == _SHA512_LENGTH else "sha256")
        if len(encoded) == len(digest.encoded) and encoded != digest.encoded:
            self.faults.append(f"{name} is damaged: it hashes to {digest.encoded}, unlike its name")
        try:
            config = self._configs.config(raw, mediatypes.DOCKER_CONFIG, name)
        except ImgfetchError as error:
            if name in self._layout.members:  # ctr lists artifacts, too
                self._members.update(item.texts_of("Layers"))
            else:
                self.faults.append(str(error))
            return None
        layers = item.texts_of("Layers")
        if len(layers) != len(config.diff_ids) or len(layers) > MAX_LAYERS:
            self.faults.append(
                f"{item.what} has {len(layers)} layers, but its config has {len(config.diff_ids)} diff_ids"
            )
            return None
        self.faults += _layer_sources(item, config.diff_ids)
        tags = dict.fromkeys(self._repo_tags(item))
        names = tuple(sorted({name for name, _ in tags}))
        image = ArchivedImage(names, config, raw, digest, tuple(map(self._layer, layers, config.diff_ids)))
        self._choices += [Choice(name, spelling, digest, (image,)) for name, spelling in tags]
        return image

    def _digest(self, raw: bytes, algorithm: str) -> Digest:
        """Return the digest of a config, which many items may have in common."""
        key = (raw, algorithm)
        if key not in self._digests:
            self._digests[key] = Digest.of(raw, algorithm)
        return self._digests[key]

    def _layer(self, name: str, diff_id: Digest) -> ArchivedLayer:
        found = self._scan.get(name)
        member = self._scan.target(name)
        self._members |= {name, member}
        if not found and member not in self._left_out and self._scan.is_whole:
            self.faults.append(f"the layer {name} is not in the archive")
        size, compression = (found.entry.size, found.compression) if found else (0, "")
        return ArchivedLayer(diff_id, member, size, compression, not found, self._left_out.get(member, False))

    def _repo_tags(self, item: strictjson.Object) -> Iterator[tuple[str, str]]:
        """Yield the names and their spellings."""
        texts = item.texts_of("RepoTags")
        self._names += len(texts)
        if self._names > _MAX_NAMES:
            raise VerificationError(f"{_MANIFEST} has more than {_MAX_NAMES} names")
        for text in texts:
            try:
                reference = Reference.parse(text)
            except InvalidReferenceError as error:
                self.faults.append(f"{item.what} has an invalid name: {error}")
                continue
            if reference.digest or not reference.tag:
                form = "with a digest" if reference.digest else "without a tag"
                self.faults.append(f"{item.what} has the name {reference} {form}, which docker load rejects")
            yield str(reference.with_default_tag()), text


def _layer_sources(item: strictjson.Object, diff_ids: tuple[Digest, ...]) -> Iterator[str]:
    """Yield a finding for each source of a layer that the image does not have; regctl names blobs instead."""
    known = {*map(str, diff_ids), *(f"sha256:{posixpath.basename(name)}" for name in item.texts_of("Layers"))}
    for layer, source in item.members_of("LayerSources").items():
        Descriptor.from_json(source, f"a source of a layer in {item.what}")
        if layer not in known:
            yield f"{item.what} has a source of {layer}, which its image does not have"


def _repositories(scan: Scan, images: list[ArchivedImage]) -> Iterator[str]:
    """Yield a finding for each name in `repositories` that `manifest.json` does not have for the same top layer."""
    raw = scan.document(_REPOSITORIES)
    if raw is None:
        return
    tops = _tops(scan, images)
    repositories = strictjson.Object(strictjson.loads(raw, _REPOSITORIES), _REPOSITORIES)
    if sum(len(repositories.members_of(repository)) for repository in repositories) > _MAX_NAMES:
        raise VerificationError(f"{_REPOSITORIES} has more than {_MAX_NAMES} names")
    for repository in repositories:
        for tag, top in repositories.members_of(repository).items():
            try:
                name = str(Reference.parse(f"{repository}:{tag}"))
            except InvalidReferenceError as error:
                yield f"{_REPOSITORIES} has an invalid name: {error}"
                continue
            if name not in tops:
                yield f"{_REPOSITORIES} has the name {name}, which {_MANIFEST} does not have"
            elif not isinstance(top, str) or top not in tops[name]:
                yield f"{_REPOSITORIES} and {_MANIFEST} have different images under the name {name}"


def _tops(scan: Scan, images: list[ArchivedImage]) -> dict[str, set[str]]:
    """Return by name what writers put into `repositories`: the top layer's v1id, or its diff_id."""
    v1ids: dict[str, set[str]] = {}
    for name in scan.members:
        if name.endswith(_V1_LAYER):
            v1ids.setdefault(scan.target(name), set()).add(posixpath.dirname(name))
    tops = {}
    for image in images:
        top = image.layers[-1] if image.layers else None
        ids = {top.diff_id.encoded, *v1ids.get(top.member, ())} if top else {""}
        tops.update(dict.fromkeys(image.names, ids))
    return tops


def _v1_members(scan: Scan, described: set[str]) -> set[str]:
    """Return the files that docker before 1.10 needs beside a layer's."""
    found = set()
    for name in scan.members:
        if name.endswith(_V1_LAYER) and scan.target(name) in described:
            directory = posixpath.dirname(name)
            found |= {name, f"{directory}/VERSION", f"{directory}/json"}
    return found
