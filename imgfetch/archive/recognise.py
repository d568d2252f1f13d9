"""What an archive file is: ours, and those that docker, podman, skopeo, crane and others write.

Three descriptions are known, of which a file may have several: the OCI image layout (`index.json`), docker's
`manifest.json` (1.10 and later), and what docker wrote before (`repositories`, and a `json` for each layer).
"""

from __future__ import annotations

from pathlib import Path

from imgfetch.archive import read_docker, read_image_layout
from imgfetch.archive.contents import Archive
from imgfetch.archive.scan import Scan, scan
from imgfetch.errors import ImgfetchError, UnsupportedError, VerificationError
from imgfetch.text import sanitize


def read_undamaged(path: Path) -> tuple[Scan, Archive]:
    """Return the members of an archive file, and what its documents say, none of its layers decompressed.

    Raises:
        VerificationError: it is damaged, or readers differ over it.
        UnsupportedError: it is no image archive.
        StorageError: it cannot be read.
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
            hint="imgfetch verify checks all of it; make it anew",
        )
    return members, archive


def read_archive(scan: Scan) -> Archive:
    """Return what the documents of an archive say.

    Raises:
        UnsupportedError: it is no image archive.
    """
    archive = Archive()
    if scan.get("index.json") and scan.get("oci-layout"):
        read_image_layout.read(scan, archive)
    if scan.get("manifest.json"):
        read_docker.read(scan, archive)
    elif scan.get("repositories") and not archive.images:
        raise UnsupportedError(
            f"{scan.name} is an archive of docker before 1.10, which has no image configs and no digests",
            hint="load it into docker, and save it again",
        )
    if not (scan.get("index.json") or scan.get("manifest.json")):
        raise UnsupportedError(f"{scan.name} is no image archive: it has neither index.json nor manifest.json")
    archive.faults += archive.ambiguous_names()
    archive.kind = _kind(scan)
    return archive


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
