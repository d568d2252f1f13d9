"""The documents that describe an image, as the specifications name them.

Sources: OCI image specification ("Content Descriptors", "Image Index", "Image Manifest", "Image
Configuration"), docker's "Image Manifest V 2, Schema 2".  The bytes of a document are kept and
hashed as they came and never written anew.  What exists is valid: `parse_document` and
`Config.from_json` are the only doors in.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Self

from imgfetch.errors import UnsupportedError, VerificationError
from imgfetch.oci import mediatypes, strictjson
from imgfetch.oci.digest import Digest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.text import clean, quoted
from imgfetch.tolerance import Oddities

MAX_DOCUMENT = 4 * 1024 * 1024
"""Bytes of a manifest or config at most, the limit of the registries themselves (P62, S26)."""
MAX_LAYERS = 4096
MAX_MANIFESTS = 4096

_DESCRIPTOR_KEYS = frozenset({"mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"})
_PLATFORM_KEYS = frozenset({"os", "architecture", "variant", "os.version", "os.features", "features"})
_DOCUMENT_KEYS = frozenset(
    {
        "schemaVersion",
        "mediaType",
        "artifactType",
        "config",
        "layers",
        "manifests",
        "subject",
        "annotations",
        "fsLayers",
        "signatures",
        "history",
    }
)
_CONFIG_KEYS = frozenset({"os", "architecture", "variant", "os.version", "rootfs", "history", "config", "created"})
_ROOTFS_KEYS = frozenset({"type", "diff_ids"})

_PLATFORM_TEXT = re.compile(r"[A-Za-z0-9._+ -]{0,100}")

_ATTESTATION = ("vnd.docker.reference.type", "attestation-manifest")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What points at content (OCI "Content Descriptors").

    Attributes:
        media_type: what the content is, lower-case, perhaps empty.
        digest: what the content hashes to.
        size: the content's length in bytes.
        platform: the machine it is for, where it says so.
        annotations: the free texts.
        urls: where else the content may be had (P79).
        artifact_type: what an artifact says it is.
        data: the content itself, or what claims to be it (P69).
    """

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    urls: tuple[str, ...] = ()
    artifact_type: str = ""
    data: bytes | None = None

    @classmethod
    def from_json(cls, value: object, what: str) -> Self:
        """Read a parsed descriptor; ``what`` is its name in messages.

        Raises:
            VerificationError: a member is missing or malformed (P68).
        """
        members = strictjson.Object(value, what, _DESCRIPTOR_KEYS)
        try:
            digest = Digest.parse(members.get("digest"))
        except VerificationError as error:
            raise VerificationError(f"the digest of {what} is {error}") from None
        return cls(
            media_type=mediatypes.essence(members.text("mediaType")),
            digest=digest,
            size=members.count("size"),
            platform=_platform(members, what),
            annotations=members.texts("annotations"),
            urls=tuple(url for url in members.items_of("urls") if isinstance(url, str)),
            artifact_type=members.text("artifactType"),
            data=_embedded(members, what),
        )

    @classmethod
    def of(cls, content: bytes, media_type: str, algorithm: str = "sha256") -> Self:
        """Return the descriptor of ``content``."""
        return cls(media_type, Digest.of(content, algorithm), len(content))

    @property
    def is_embedded(self) -> bool:
        """Whether it carries its content with it, and that is what it points at."""
        data = self.data
        return data is not None and len(data) == self.size and Digest.of(data, self.digest.algorithm) == self.digest

    @property
    def is_attestation(self) -> bool:
        """Whether it points at a statement about an image rather than at an image (P66)."""
        name, value = _ATTESTATION
        unknown = self.platform is not None and not self.platform.is_known
        return unknown or self.annotations.get(name) == value


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest or index as received.

    Attributes:
        raw: the bytes, exactly as they came.
        content_type: the answer's ``Content-Type``, or empty.
        url: where it came from, fit to be shown.
    """

    raw: bytes
    content_type: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Index:
    """A list of manifests: OCI's image index or docker's manifest list.

    Attributes:
        descriptor: what points at this document.
        manifests: what it lists, in its order.
        raw: its bytes.
    """

    descriptor: Descriptor
    manifests: tuple[Descriptor, ...]
    raw: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image's config and layers.

    Attributes:
        descriptor: what points at this document.
        config: the image's config.
        layers: the image's layers, base first; the same one may occur several times.
        raw: its bytes.
    """

    descriptor: Descriptor
    config: Descriptor
    layers: tuple[Descriptor, ...]
    raw: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Config:
    """An image's config.

    Attributes:
        platform: the machine that the image says it is for.
        diff_ids: the digest of each layer's decompressed tar stream, base first.
        raw: its bytes.
    """

    platform: Platform
    diff_ids: tuple[Digest, ...]
    raw: bytes = field(default=b"", repr=False)

    @classmethod
    def from_json(cls, raw: bytes, media_type: str, what: str) -> Self:
        """Read a config.

        Args:
            raw: its bytes.
            media_type: what it is called; old pushes call it anything (P67).
            what: its name in messages.

        Raises:
            VerificationError: it is malformed.
            UnsupportedError: it is no image's config, and does not say that it is.
        """
        with _telling():
            return cls._read(raw, media_type, what)

    @classmethod
    def _read(cls, raw: bytes, media_type: str, what: str) -> Self:
        members = strictjson.Object(strictjson.loads(raw, what), what, _CONFIG_KEYS)
        rootfs_json = members.get("rootfs")
        if media_type in mediatypes.VAGUE_CONFIGS and not (isinstance(rootfs_json, dict) and "diff_ids" in rootfs_json):
            raise _no_image(what, media_type or "no media type", "")
        if rootfs_json is None:
            raise VerificationError(f"{what} is malformed", wanted="rootfs.diff_ids", got="no rootfs")
        rootfs = strictjson.Object(rootfs_json, f"'rootfs' of {what}", _ROOTFS_KEYS)
        diff_ids = []
        for number, text in enumerate(rootfs.items_of("diff_ids"), 1):
            try:
                diff_ids.append(Digest.parse(text))
            except VerificationError as error:
                raise VerificationError(f"diff_id {number} of {what} is {error}") from None
        return cls(_read_platform(members, what), tuple(diff_ids), raw)


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest and its config, and what they are to be called.

    Attributes:
        manifest: the manifest.
        config: what its config says.
        references: the names by which it was asked for, at least one.
        indexes: those by which it was found, the outermost first; none where a reference points at the manifest.
    """

    manifest: Manifest
    config: Config
    references: tuple[Reference, ...]
    indexes: tuple[Descriptor, ...] = ()


def parse_document(
    document: Document, descriptor: Descriptor, what: str, oddities: Oddities, *, pinned: bool = False
) -> Index | Manifest:
    """Read a manifest or index by what it is, not by what it is called (P64, P65).

    Args:
        document: the bytes as received.
        descriptor: what points at the document, its digest and size known to be right; its
            media type is empty where nothing but a tag pointed at it.
        what: its name in messages.
        oddities: told of what is wrong but tolerable.
        pinned: whether it was asked for by digest, and so is what somebody has chosen.

    Raises:
        VerificationError: it is malformed or ambiguous.
        UnsupportedError: it is well-formed, but no image: schema 1, an artifact.
    """
    with _telling():
        return _parse(document, descriptor, what, oddities, pinned=pinned)


def listed(raw: bytes, what: str) -> tuple[Descriptor, ...]:
    """Return the blobs that a manifest lists, whatever it is a manifest of.

    Args:
        raw: its bytes.
        what: its name in messages.

    Raises:
        VerificationError: it is malformed.
    """
    with _telling():
        members = strictjson.Object(strictjson.loads(raw, what), what, _DOCUMENT_KEYS)
        entries = [*members.items_of("layers"), *members.items_of("blobs")]
        if "config" in members:
            entries.insert(0, members["config"])
        if len(entries) > MAX_LAYERS:
            raise VerificationError(f"{what} has too many blobs", wanted=f"{MAX_LAYERS} at most", got=str(len(entries)))
        return tuple(Descriptor.from_json(entry, f"blob {number} of {what}") for number, entry in enumerate(entries))


@contextmanager
def _telling() -> Iterator[None]:
    """Say what to do about a document that is not usable, where nothing better is said (M14)."""
    try:
        yield
    except VerificationError as error:
        raise error.replace(hint=error.hint or "do not use it; if it stays so, tell the publisher") from error.__cause__


def _parse(
    document: Document, descriptor: Descriptor, what: str, oddities: Oddities, *, pinned: bool
) -> Index | Manifest:
    members = strictjson.Object(strictjson.loads(document.raw, what), what, _DOCUMENT_KEYS)
    _refuse_ambiguity(members, what)
    shape = _shape(members)
    media_type = _media_type(members, document, descriptor, what, oddities, pinned=pinned)
    if media_type in mediatypes.SCHEMA1 or shape == "schema 1":
        raise UnsupportedError(
            f"{what} is in schema 1, the image format that docker has removed",
            hint="ask the publisher for a rebuild, or try another tag",
        )
    if shape is None:
        raise _no_image(what, media_type or "an unknown type", members.text("artifactType"))
    version = members.get("schemaVersion")
    if version != 2 or not isinstance(version, int):  # noqa: PLR2004  # Go takes no 2.0
        raise VerificationError(f"'schemaVersion' of {what} is malformed", wanted="2", got=strictjson.shown(version))
    if media_type not in (mediatypes.INDEXES if shape == "index" else mediatypes.MANIFESTS):
        raise VerificationError(
            f"{what} is ambiguous: its type is {clean(media_type)}, its content is that of an {shape}"
            if media_type in mediatypes.DOCUMENTS
            else f"{what} has the unknown media type {quoted(media_type)}"
        )
    own = Descriptor(media_type, descriptor.digest, descriptor.size)
    if shape == "index":
        return replace(_index(members, own, what), raw=document.raw)
    return replace(_manifest(members, own, what), raw=document.raw)


def _refuse_ambiguity(members: strictjson.Object, what: str) -> None:
    """Refuse what one reader takes for an index and another for a manifest (P65, CVE-2021-41190)."""
    shapes = [key for key in ("manifests", "fsLayers") if key in members]
    shapes += [key for key in ("config", "layers") if key in members][:1]
    if len(shapes) > 1:
        raise VerificationError(
            f"{what} is ambiguous: it has '{shapes[0]}' and '{shapes[1]}', and so is two things (CVE-2021-41190)"
        )


def _shape(members: strictjson.Object) -> str | None:
    if "manifests" in members:
        return "index"
    if "config" in members and "layers" in members:
        return "image manifest"
    if "fsLayers" in members:
        return "schema 1"
    return None


def _media_type(
    members: strictjson.Object,
    document: Document,
    descriptor: Descriptor,
    what: str,
    oddities: Oddities,
    *,
    pinned: bool,
) -> str:
    """Choose the media type: the document's own or its parent's word, else what its content is (P64).

    The ``Content-Type`` may contradict, but it does not decide: by another server's header the same
    document would become another archive.

    Raises:
        VerificationError: two of them are known, and differ.
    """
    own, promised = mediatypes.essence(members.text("mediaType")), descriptor.media_type
    header = mediatypes.essence(document.content_type)
    if own and promised and own != promised:
        raise VerificationError(f"{what} is ambiguous: it calls itself {clean(own)}, but the index calls it {promised}")
    chosen = own or promised or _guess(members) or header
    known = header in mediatypes.DOCUMENTS and chosen in mediatypes.DOCUMENTS
    if known and header != chosen and (own or (header in mediatypes.INDEXES) != (chosen in mediatypes.INDEXES)):
        conflict = f"{what} is ambiguous: its type is {chosen}, but it was sent as {header}"
        if not pinned:
            raise VerificationError(conflict)
        oddities.tolerate(conflict)
    return chosen


def _guess(members: strictjson.Object) -> str:
    """Name what a document without a type must be; only OCI's may lack one, but for old docker pushes."""
    shape = _shape(members)
    if shape == "image manifest":
        config = members["config"]
        is_docker = isinstance(config, dict) and config.get("mediaType") == mediatypes.DOCKER_CONFIG
        return mediatypes.DOCKER_MANIFEST if is_docker else mediatypes.OCI_MANIFEST
    return mediatypes.OCI_INDEX if shape == "index" else ""


def _index(members: strictjson.Object, own: Descriptor, what: str) -> Index:
    entries = members.items_of("manifests")
    if len(entries) > MAX_MANIFESTS:
        raise VerificationError(
            f"{what} lists too many manifests", wanted=f"{MAX_MANIFESTS} at most", got=str(len(entries))
        )
    return Index(
        own,
        tuple(Descriptor.from_json(entry, f"manifest {number} in {what}") for number, entry in enumerate(entries, 1)),
    )


def _manifest(members: strictjson.Object, own: Descriptor, what: str) -> Manifest:
    config = Descriptor.from_json(members["config"], f"'config' of {what}")
    if config.media_type not in mediatypes.CONFIGS | mediatypes.VAGUE_CONFIGS:
        raise _no_image(what, config.media_type, members.text("artifactType"))
    entries = members.items_of("layers")
    if len(entries) > MAX_LAYERS:
        raise VerificationError(f"{what} has too many layers", wanted=f"{MAX_LAYERS} at most", got=str(len(entries)))
    if config.size > MAX_DOCUMENT:
        raise VerificationError(
            f"the config of {what} is too large", wanted=f"{MAX_DOCUMENT} bytes at most", got=str(config.size)
        )
    layers = tuple(Descriptor.from_json(entry, f"layer {number} of {what}") for number, entry in enumerate(entries, 1))
    for number, layer in enumerate(layers, 1):
        if mediatypes.is_encrypted(layer.media_type):
            raise UnsupportedError(
                f"layer {number} of {what} is encrypted ({clean(layer.media_type)})",
                hint="imgfetch has no keys; pull it with a tool that decrypts, such as skopeo --decryption-key",
            )
    _refuse_two_sizes((config, *layers), what)
    return Manifest(own, config, layers)


def _refuse_two_sizes(descriptors: tuple[Descriptor, ...], what: str) -> None:
    """Refuse a digest that is given with two sizes: one of them is a lie."""
    sizes: dict[Digest, int] = {}
    for descriptor in descriptors:
        size = sizes.setdefault(descriptor.digest, descriptor.size)
        if size != descriptor.size:
            raise VerificationError(
                f"{what} gives {descriptor.digest} two sizes", wanted=f"{size} bytes", got=f"{descriptor.size} bytes"
            )


def _no_image(what: str, config_type: str, artifact_type: str) -> UnsupportedError:
    """Say what it is instead (M17, L23, L25)."""
    kind = artifact_type or config_type
    name, tool = next((told for part, told in _ARTIFACTS.items() if part in kind), ("an artifact", "oras pull"))
    return UnsupportedError(
        f"{what} is not a container image but {name} ({clean(kind)})",
        hint=f"fetch it with the tool that it is made for: {tool}",
    )


_ARTIFACTS = {
    "cncf.helm": ("a Helm chart", "helm pull oci://…"),
    "in-toto": ("an attestation", "cosign download attestation"),
    "dev.cosign": ("a signature", "cosign verify"),
    "dev.sigstore": ("a signature", "cosign verify"),
    "cncf.notary": ("a signature", "notation verify"),
    "wasm": ("a WebAssembly module", "wkg, or oras pull"),
    "cncf.model": ("a model", "modctl pull"),
    "docker.ai": ("a model", "docker model pull"),
    "ollama": ("a model", "ollama pull"),
    "sif": ("a Singularity image", "apptainer pull oras://…"),
    "oci.empty": ("an artifact", "oras pull"),
}
"""What is no image, by a part of its type, and what fetches it."""


def _platform(members: strictjson.Object, what: str) -> Platform | None:
    """Return a descriptor's platform; one without a name for its system or machine says nothing."""
    if members.get("platform") is None:
        return None
    platform = strictjson.Object(members["platform"], f"'platform' of {what}", _PLATFORM_KEYS)
    read = _read_platform(platform, what)
    return read if read.os and read.architecture else None


def _read_platform(members: strictjson.Object, what: str) -> Platform:
    names = ("os", "architecture", "variant", "os.version")
    for name in names:
        if not _PLATFORM_TEXT.fullmatch(members.text(name)):
            raise VerificationError(f"'{name}' of {what} is no platform's: {quoted(members.text(name), 80)}")
    return Platform(*(members.text(name) for name in names)).normalized()


def _embedded(members: strictjson.Object, what: str) -> bytes | None:
    data = members.text("data")
    if not data:
        return None
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as error:  # binascii.Error is one
        raise VerificationError(f"'data' of {what} is no base64: {error}") from None
