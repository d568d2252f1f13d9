"""Media types of images.

Sources: the OCI image specification ("Media Types") and docker's "Image Manifest V 2, Schema 2".
"""

from __future__ import annotations

from collections.abc import Sequence

from imgfetch.errors import UnsupportedError
from imgfetch.text import sanitize

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
SCHEMA1 = frozenset({DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED})
DOCUMENTS = INDEXES | MANIFESTS | SCHEMA1

CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})
VAGUE_CONFIGS = frozenset({"", "application/octet-stream", "application/json", "text/html"})
"""Types of configs from old pushes; accepted with ``rootfs.diff_ids`` (docs/registries.md#old-configs)."""

ACCEPT = ", ".join(
    [
        OCI_INDEX,
        DOCKER_LIST,
        OCI_MANIFEST,
        DOCKER_MANIFEST,
        f"{DOCKER_SCHEMA1_SIGNED};q=0.5",
        f"{DOCKER_SCHEMA1};q=0.5",
        "*/*;q=0.1",
    ]
)
"""The ``Accept`` header for any manifest (docs/registries.md#accept-header).

It includes schema 1 so that a message can name that format.
"""

LAYER_COMPRESSION = {
    OCI_LAYER: "plain",
    OCI_LAYER_GZIP: "gzip",
    OCI_LAYER_ZSTD: "zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar": "plain",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": "zstd",
    DOCKER_LAYER_GZIP: "gzip",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": "gzip",
    DOCKER_LAYER_ZSTD: "zstd",
    DOCKER_LAYER: None,
    "application/vnd.docker.image.rootfs.foreign.diff.tar": None,
}
"""The compression that a layer's media type implies; docker's bare ``tar`` implies none."""


def essence(content_type: str | None) -> str:
    """Return the media type of a ``Content-Type`` header, in lower case and without parameters."""
    return (content_type or "").partition(";")[0].strip().lower()


def is_layer(media_type: str) -> bool:
    """Return whether all readers know a layer of this type; containerd before 1.7 does not know docker's zstd."""
    return media_type in LAYER_COMPRESSION and media_type != DOCKER_LAYER_ZSTD


def is_encrypted(media_type: str) -> bool:
    """Return whether a layer of this type is encrypted, by ocicrypt's suffix."""
    return media_type.endswith("+encrypted")


def is_foreign(media_type: str) -> bool:
    """Return whether a layer of this type may be missing from registries (docs/registries.md#foreign-layers)."""
    return ".foreign." in media_type or ".nondistributable." in media_type


_OF_IMAGES = ("application/vnd.oci.image.", "application/vnd.docker.image.")
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
"""Other kinds of content by a part of their type, each with the tool that downloads it."""


def is_of_images(media_type: str) -> bool:
    """Return whether a media type, known or not, is one of images and their parts."""
    return media_type.lower().startswith(_OF_IMAGES)


def artifact(layer_types: Sequence[str]) -> str:
    """Return the kind of content that has such layers, or nothing if any of them may be an image's."""
    if not layer_types or any(not each or is_of_images(each) for each in layer_types):
        return ""
    return f"{_kind(layer_types[0])[0]} ({sanitize(layer_types[0])})"


def not_an_image(what: str, config_type: str, artifact_type: str) -> UnsupportedError:
    """Return an error that names the kind of content and its tool (docs/registries.md#old-configs)."""
    kind = artifact_type or config_type
    name, tool = _kind(kind)
    return UnsupportedError(
        f"{what} is not a container image but {name} ({sanitize(kind)})",
        hint=f"download it with its own tool: {tool}",
    )


def _kind(media_type: str) -> tuple[str, str]:
    """Return a name for content of a type, and the tool that downloads it."""
    return next((known for part, known in _ARTIFACTS.items() if part in media_type), ("an artifact", "oras pull"))
