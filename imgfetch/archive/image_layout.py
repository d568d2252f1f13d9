"""Names and paths in the OCI image layout of an archive; `formats` has its members."""

from __future__ import annotations

import json
import os

from imgfetch.oci.digest import Digest

NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"
ABSENT = "io.github.imgfetch.absent"
"""Annotation with the digests of the layers left out, separated by spaces."""
BASE = "io.github.imgfetch.base"
"""Annotation with the name of the base that has them."""
TAG = "io.github.imgfetch.tag"
"""Annotation with the tag of the registry under which cosign looks for a signature or attestation."""
KIND = "kind"
"""Cosign's annotation, by which it finds an image, an index, its signatures and its attestations."""
COSIGN = "dev.cosignproject.cosign/"
"""The beginning of its values, followed by ``image``, ``imageIndex``, ``sigs`` or ``atts``."""
COSIGN_KINDS = {"sig": f"{COSIGN}sigs", "att": f"{COSIGN}atts"}
"""Those of manifests by the ends of cosign's tags."""

_MARKS = ("oci-layout", "index.json")
"""Files of which an OCI image layout has both, and no other directory one."""


def path(digest: Digest) -> str:
    """Return the path of a blob."""
    return f"blobs/{digest.algorithm}/{digest.encoded}"


def compact(document: object) -> bytes:
    """Return compact JSON."""
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def is_image_layout(directory: int | str | os.PathLike[str]) -> bool:
    """Return whether a directory, perhaps an open one, is or claims to be an OCI image layout."""
    names = _MARKS if isinstance(directory, int) else [os.path.join(directory, name) for name in _MARKS]  # noqa: PTH118
    return any(_exists(name, directory if isinstance(directory, int) else None) for name in names)


def _exists(name: str, directory: int | None) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return False
    return True
