"""Recognition of tar archives and directories that are mistaken for an image archive, by the names in them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Sequence

from imgfetch.archive.foreign import Foreign
from imgfetch.text import format_some, sanitize

_MAX_SHOWN = 3
_MAX_NAME = 60
_ARCHIVES = (".tar", ".tgz", ".tar.gz", ".tar.zst", ".tar.xz", ".tar.bz2", ".tar.lz4")
_ROOT = frozenset(
    {"bin", "dev", "etc", "home", "lib", "lib64", "opt", "proc", "root", "sbin", "sys", "tmp", "usr", "var"}
)
_ENOUGH = 3
"""Number of these directories by which a root file system is recognized."""
_PART = re.compile(
    r"blobs/sha(?:256|512)|(?:blobs/)?sha(?:256|512)[:/][0-9a-f]{64,}"
    r"|[0-9a-f]{64}(?:\.json|\.tar|\.tar\.gz|/layer\.tar|/json|/VERSION)?"
)
PACKED_DIRECTORY = Foreign(
    "a packed directory of skopeo's dir: transport",
    "unpack it, and convert it: skopeo copy dir:DIRECTORY oci-archive:FILE",
)
_EXPORT = Foreign(
    "a container's root file system, as docker export writes it",
    "write the image with docker save IMAGE -o FILE; docker import makes a new image of this file",
)
_FILES = Foreign(
    "a root file system, such as one layer of an image or the output of docker export",
    "write the image with docker save IMAGE -o FILE, or save it with imgfetch",
)
_DIRECTORIES: tuple[tuple[str, Foreign], ...] = (
    (
        "version",
        Foreign("a directory of skopeo's dir: transport", "convert it first: skopeo copy dir:{name} oci-archive:FILE"),
    ),
    ("manifest.json", Foreign("a docker archive that has been unpacked", "pack it again: tar -C {name} -cf FILE .")),
    ("overlay2", Foreign("the data directory of docker", "write an image with docker save IMAGE -o FILE")),
    ("overlay-images", Foreign("the storage of podman", "write an image with podman save IMAGE -o FILE")),
    (
        "io.containerd.content.v1.content",
        Foreign("the data directory of containerd", "write an image with ctr images export FILE IMAGE"),
    ),
    ("blobs", Foreign("a directory without index.json and oci-layout", "copy the whole OCI image layout again")),
)


def is_part_of_an_image(name: str) -> bool:
    """Return whether a member has a name that only layers, configs and manifests have in image archives."""
    return _PART.fullmatch(posixpath.normpath(name).lstrip("/")) is not None


def recognize(names: Iterable[str]) -> Foreign | None:
    """Return the kind of a tar archive that is known not to be an image archive, by the names of its members."""
    found = [posixpath.normpath(name).lstrip("/") for name in names]
    return _root(found) or _layout_inside(found) or _bundle(found) or _chart(found)


def directory(names: Collection[str]) -> Foreign:
    """Return the kind of a directory that is not an OCI image layout, by the names in it."""
    for mark, kind in _DIRECTORIES:
        if mark in names:
            return kind
    archives = [name for name in names if name.endswith(_ARCHIVES)]
    if archives:
        return Foreign("a directory with archives", f"name one of them: {{name}}/{sanitize(min(archives))}")
    return Foreign("a directory", "name an archive, or a directory that is an OCI image layout")


def _layout_inside(names: Sequence[str]) -> Foreign | None:
    """Recognize an archive that was packed one level too high."""
    for name in names:
        parent, base = posixpath.split(name)
        is_top = base == "oci-layout" or (base in ("index.json", "manifest.json") and "/" not in parent)
        if parent and is_top:
            inner = sanitize(parent)  # whole, because people copy it from the hint
            kind = f"a tar archive with an image archive inside, in {inner}/"
            return Foreign(kind, f"unpack it, and pack the directory itself: tar -C {inner} -cf FILE .")
    return None


def _root(names: Sequence[str]) -> Foreign | None:
    if ".dockerenv" in names:
        return _EXPORT
    tops = {name.partition("/")[0] for name in names}
    has_whiteouts = any(posixpath.basename(name).startswith(".wh.") for name in names)
    return _FILES if has_whiteouts or len(tops & _ROOT) >= _ENOUGH else None


def _bundle(names: Sequence[str]) -> Foreign | None:
    archives = [name for name in names if name.endswith(_ARCHIVES) and not is_part_of_an_image(name)]
    if not archives:
        return None
    count = f"{len(archives)} other archives" if len(archives) > 1 else "another archive"
    first = sanitize(archives[0], _MAX_NAME)
    return Foreign(f"a tar archive with {count} inside", f"unpack it, and use the files inside, such as {first}")


def _chart(names: Sequence[str]) -> Foreign | None:
    if not any(posixpath.basename(name) == "Chart.yaml" for name in names):
        return None
    return Foreign("a Helm chart", "helm reads it; save the images that it names with imgfetch")


def unknown(names: Sequence[str]) -> Foreign:
    """Return the description of a tar archive of other files."""
    if not names:
        return Foreign("an empty tar archive", "write it again")
    shown = [sanitize(name, _MAX_NAME) for name in names[:_MAX_SHOWN]]
    return Foreign(
        f"a tar archive of other files: {format_some([*shown, *names[_MAX_SHOWN:]], _MAX_SHOWN)}",
        "an image archive has index.json or manifest.json at its top, as written by imgfetch save or docker save",
    )
