"""Names and paths in the OCI image layout of an archive; `formats` has its members."""

from __future__ import annotations

import json

from imgfetch.oci.digest import Digest

NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"
ABSENT = "io.github.imgfetch.absent"
"""Annotation with the digests of the layers left out, separated by spaces."""
BASE = "io.github.imgfetch.base"
"""Annotation with the name of the base that has them."""


def path(digest: Digest) -> str:
    """Return the path of a blob."""
    return f"blobs/{digest.algorithm}/{digest.encoded}"


def compact(document: object) -> bytes:
    """Return compact JSON."""
    return json.dumps(document, separators=(",", ":")).encode("ascii")
