"""Recognition of archive files from imgfetch, docker, podman, skopeo, crane and other tools.

A file may have several descriptions of its contents: the OCI image layout (`index.json`), docker's
`manifest.json` (1.10 and later), and docker's format before 1.10 (`repositories`, and a `json` for each layer).
"""

from __future__ import annotations

from pathlib import Path

from imgfetch.archive import read_docker, read_image_layout
from imgfetch.archive.contents import Archive
from imgfetch.archive.scan import Scan, scan
from imgfetch.errors import ImgfetchError, UnsupportedError, VerificationError
from imgfetch.text import sanitize

DOCKER_25 = "a docker save archive (25 or later)"


def read_undamaged(path: Path) -> tuple[Scan, Archive]:
    """Return an archive file's members and contents, without decompressing layers.

    Raises:
        VerificationError: the archive is damaged or ambiguous.
        UnsupportedError: the file is not an image archive.
        StorageError: the file cannot be read.
    """
    members = scan(path)
    try:
        archive = read_archive(members)
    except ImgfetchError:
        if not members.faults:
            raise
        archive = Archive()
    faults = [sanitize(fault) for fault in (*members.faults, *archive.faults)]
    if faults:
        raise VerificationError(
            f"{members.name} is damaged: {faults[0]}",
            details=tuple(faults[1:]),
            hint=f"run imgfetch verify {members.name} for all findings, and create the archive again",
        )
    return members, archive


def read_archive(scan: Scan) -> Archive:
    """Return the contents described by an archive's documents.

    Raises:
        UnsupportedError: the file is not an image archive.
    """
    archive = Archive()
    if scan.get("index.json") and scan.get("oci-layout"):
        read_image_layout.read(scan, archive)
    if scan.get("manifest.json"):
        read_docker.read(scan, archive)
    elif scan.get("repositories") and not archive.images:
        raise UnsupportedError(
            f"{scan.name} was written by docker before 1.10, without image configs and digests",
            hint=f"run docker load -i {scan.name}, and save the image again",
        )
    if not (scan.get("index.json") or scan.get("manifest.json")):
        raise UnsupportedError(f"{scan.name} is not an image archive: it has neither index.json nor manifest.json")
    archive.faults += archive.ambiguous_names()
    archive.kind = _kind(scan)
    return archive


def _kind(scan: Scan) -> str:
    """Guess the tool that wrote the archive by its characteristic members."""
    has_layout, has_docker = bool(scan.get("oci-layout")), bool(scan.get("manifest.json"))
    names = scan.members
    if has_layout and has_docker:
        first = next(iter(names))
        return "an imgfetch archive" if first == "oci-layout" else DOCKER_25
    if has_layout:
        return "an OCI image layout"
    if any(name.endswith("/VERSION") for name in names):
        return "a docker save archive (1.10 to 24)"
    if any(name.startswith("sha256:") for name in names):
        return "a docker archive as written by crane"
    return "a docker archive as written by podman and skopeo"
