"""Recognition of archive files from imgfetch, docker, podman, skopeo, crane and other tools.

A file may have several descriptions of its contents: the OCI image layout (`oci-layout` and `index.json`), docker's
`manifest.json` (1.10 and later), and docker's format before 1.10 (`repositories`, and a `json` for each layer).  Each
reader prefers another one, so all must describe the same images, and nothing may be in the file that none describes.
"""

from __future__ import annotations

from collections.abc import Iterator

from imgfetch.archive import foreign_members
from imgfetch.archive.contents import Archive, ArchivedImage, Configs, Description, ambiguous_names
from imgfetch.archive.read_docker import read_docker
from imgfetch.archive.read_image_layout import read_image_layout
from imgfetch.archive.scan import DOCUMENTS, Scan, blob_digest, scan
from imgfetch.archive.streams import Source, Spool
from imgfetch.archive.tarreader import DIRECTORY
from imgfetch.archive.writers import writer
from imgfetch.errors import ImgfetchError, UnsupportedError, VerificationError
from imgfetch.text import format_some, sanitize

_DIRECTORIES = ("blobs", "blobs/sha256", "blobs/sha512", "ingest")
"""Directories that may be empty; ORAS leaves the last one."""
_MAX_SHOWN = 20
"""Maximum findings in an error."""


def read_undamaged(source: Source, copy: Spool | None = None) -> tuple[Scan, Archive]:
    """Return an archive's members and contents, without decompressing layers.

    The tar of an archive that is compressed as a whole is written to a temporary file, which ``copy`` opens.

    Raises:
        VerificationError: the archive is damaged or ambiguous.
        UnsupportedError: the file is not an image archive, or has no image.
        StorageError: the file cannot be read.
    """
    members = scan(source, copy=copy)
    if members.cut_short:
        raise VerificationError(members.cut_short)
    try:
        archive = read_archive(members)
    except ImgfetchError:
        if not is_damaged(members):
            raise
        archive = Archive()
    faults = [sanitize(fault) for fault in (*members.faults, *archive.faults)]
    if faults:
        file = "-" if members.name == "stdin" else members.name
        raise VerificationError(
            f"{members.name} is damaged: {faults[0]}",
            details=tuple(faults[1:_MAX_SHOWN]),
            hint=f"run imgfetch verify {file} for all findings, and create the archive again",
        )
    return members, archive


def read_archive(scan: Scan) -> Archive:
    """Return the contents described by an archive's documents.

    Raises:
        UnsupportedError: the file is not an image archive, or has no image.
        VerificationError: the file has parts of images, but no description of them.
    """
    layout, docker, configs = Description(), Description(), Configs()
    has_layout, has_docker = "index.json" in scan.members, "manifest.json" in scan.members
    if not has_layout and not has_docker:
        raise _not_an_archive(scan)
    if not has_layout and "version" in scan.members:
        raise foreign_members.PACKED_DIRECTORY.error(scan.name)
    if has_layout:
        layout = read_image_layout(scan, configs)
    if has_docker:
        docker = read_docker(scan, layout, configs)
    faults = [*layout.faults, *docker.faults, *_unaccounted(scan, layout.members | docker.members)]
    if has_layout and has_docker:
        faults += _disagreements(layout, docker)
    faults += ambiguous_names(layout, docker)
    images = _merged(layout.images, docker.images)
    if not images and not layout.faults and not docker.faults:
        others = (*layout.others, *(each.title for each in layout.referrers if not each.is_attached))
        if others or scan.members.keys() <= {*DOCUMENTS, *_DIRECTORIES}:
            raise _without_images(scan, others)
        faults.append("the archive has blobs or layers, but lists no image")
    notes = (*layout.notes, *docker.notes, *_unused(scan, layout.members | docker.members))
    return Archive(
        kind=writer(scan.members),
        images=images,
        choices=(*layout.choices, *docker.choices),
        others=layout.others,
        referrers=layout.referrers,
        faults=tuple(faults),
        notes=notes,
    )


def is_damaged(scan: Scan) -> bool:
    """Return whether a file without a readable description is a damaged image archive, and not another file."""
    is_unknown = not scan.is_whole and foreign_members.recognize(scan.names) is None
    return bool(scan.faults) and (scan.has_parts or is_unknown)


def _merged(of_layout: tuple[ArchivedImage, ...], of_docker: tuple[ArchivedImage, ...]) -> tuple[ArchivedImage, ...]:
    """Return all images, each once, with the names from both descriptions."""
    names: dict[object, set[str]] = {}
    for image in of_docker:
        names.setdefault(image.content, set()).update(image.names)
    merged = []
    in_layout = {image.content for image in of_layout}
    for image in (*of_layout, *(image for image in of_docker if image.content not in in_layout)):
        if image.manifest or image.content in names:  # only the first with the same content gets the names
            more = names.pop(image.content, set())
            merged.append(image._replace(names=tuple(sorted({*image.names, *more}))))
    return tuple(merged)


def _disagreements(layout: Description, docker: Description) -> Iterator[str]:
    """Yield a finding for each image or name that only one of the two descriptions has."""
    contents = {image.content for image in layout.images}
    configs = {image.raw_config for image in layout.images}
    for image in docker.images:
        if image.content in contents:
            continue
        if image.raw_config in configs:
            yield f"manifest.json and index.json list different layers for {image.config_digest}"
        else:
            yield f"index.json has no image with the config {image.config_digest}, which manifest.json has"
    in_docker = {image.content for image in docker.images}
    for choice in layout.choices:
        if choice.images and in_docker.isdisjoint(image.content for image in choice.images):
            yield f"manifest.json has no image of {choice.name or choice.target}, which index.json has"
    if layout.images and not docker.images:
        yield "manifest.json has no images, but index.json has"
    names, other = (_tagged(description) for description in (layout, docker))
    for name in sorted(names ^ other) if other else ():  # ctr 1.6 may write a manifest.json without names
        one, without = ("index.json", "manifest.json") if name in names else ("manifest.json", "index.json")
        yield f"{one} has the name {name}, which {without} does not have"


def _tagged(description: Description) -> set[str]:
    """Return the names that both descriptions can have: full ones, without a digest."""
    return {choice.name for choice in description.choices if "/" in choice.name and "@" not in choice.name}


def _unaccounted(scan: Scan, described: frozenset[str]) -> Iterator[str]:
    """Yield a finding for each member that no description accounts for, and for a half of a layout alone."""
    has_index = "index.json" in scan.members
    if has_index != ("oci-layout" in scan.members):
        there, missing = ("index.json", "oci-layout") if has_index else ("oci-layout", "index.json")
        yield f"the archive has {there}, but no {missing}; readers disagree about such a layout"
    parents = {name[:at] for name in described for at, sign in enumerate(name) if sign == "/"}
    directories = {*parents, *_DIRECTORIES}
    for name, member in scan.members.items():
        if member.entry.kind == DIRECTORY:
            is_known = name in directories and name not in described
        else:
            is_known = (name in described or blob_digest(name) is not None) and name not in directories
        if not is_known:
            yield f"{name} belongs to no image in the archive"


def _unused(scan: Scan, described: frozenset[str]) -> Iterator[str]:
    """Yield a note about blobs that nothing refers to, which no reader loads."""
    unused = [name for name in scan.members if blob_digest(name) and name not in described]
    if unused:
        yield f"no image refers to {format_some(unused, 1)}"


def _not_an_archive(scan: Scan) -> ImgfetchError:
    if "repositories" in scan.members:
        return UnsupportedError(
            f"{scan.name} was written by docker before 1.10, without image configs and digests",
            hint=f"run docker load -i {scan.name}, and save the image again",
        )
    if scan.has_parts and not scan.faults:
        return VerificationError(
            f"{scan.name} has parts of images, but neither index.json nor manifest.json: it is incomplete",
            hint="copy or write it again",
        )
    return (foreign_members.recognize(scan.names) or foreign_members.unknown(scan.names)).error(scan.name)


def _without_images(scan: Scan, others: tuple[str, ...]) -> UnsupportedError:
    if others:
        return UnsupportedError(f"{scan.name} has no container image, only {others[0]}")
    return UnsupportedError(f"{scan.name} has no images")
