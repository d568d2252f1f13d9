"""Recognition of the program that wrote an archive, for people to read: each has its own names for members."""

from __future__ import annotations

import re
from collections.abc import Mapping

from imgfetch.archive.scan import ScannedMember
from imgfetch.archive.tarreader import DIRECTORY

IMGFETCH = "an imgfetch archive"
DOCKER_10 = "a docker save archive (1.10 to 24)"
DOCKER_25 = "a docker save archive (25 or later)"
BY_CONTAINERD = "an archive as written by containerd, BuildKit and docker's containerd store"
BY_CRANE = "a docker archive as written by crane and kaniko"
BY_CRANE_LEGACY = "a docker archive as written by crane --format legacy"
BY_JIB = "a docker archive as written by jib"
BY_REGCTL = "an archive as written by regctl"
BY_SKOPEO = "a docker archive as written by podman, buildah and skopeo"
OTHER = "a docker archive"
LAYOUT = "an OCI image layout"

_HEX = "[0-9a-f]{64}"
_RULES = (
    (re.compile(f"sha256:{_HEX}"), BY_CRANE),
    (re.compile(rf"{_HEX}\.tar"), BY_SKOPEO),
    (re.compile(f"{_HEX}/"), DOCKER_10),
    (re.compile(f"{_HEX}/VERSION"), BY_CRANE_LEGACY),
    (re.compile(r"config\.json"), BY_JIB),
)
"""Each of these names is written by the given programs, and by none of those below them."""


def writer(members: Mapping[str, ScannedMember]) -> str:
    """Return a description of an archive by its members, in their order."""
    if "oci-layout" not in members:
        names = [f"{name}/" if member.entry.kind == DIRECTORY else name for name, member in members.items()]
        return next((kind for pattern, kind in _RULES if any(map(pattern.fullmatch, names))), OTHER)
    if "manifest.json" not in members:
        return LAYOUT
    has_sources = b'"LayerSources"' in (members["manifest.json"].raw or b"")
    if next(iter(members)) == "oci-layout":
        return BY_REGCTL if has_sources else IMGFETCH
    return DOCKER_25 if has_sources else BY_CONTAINERD
