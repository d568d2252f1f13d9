"""The OCI image layout in an archive.

Source: OCI image specification, "Image Layout".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from imgfetch.archive.selection import Selection, blobs_of
from imgfetch.archive.tarlayout import Content, Member
from imgfetch.oci import mediatypes
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest

NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"
ABSENT = "io.github.imgfetch.absent"
"""Annotation with the digests of the layers left out, separated by spaces."""
BASE = "io.github.imgfetch.base"
"""Annotation with the name of the base that has them."""

VERSION = Member("oci-layout", 30, b'{"imageLayoutVersion":"1.0.0"}')
"""The first entry, by which readers recognize the layout."""


def index(selections: Sequence[Selection], annotations: Callable[[str, str | None], Mapping[str, str]]) -> Member:
    """Return `index.json` with an entry for each name.

    Entries have no platform, because containerd drops those for other platforms.

    Args:
        selections: the archive's images.
        annotations: returns the annotations for a full name and its tag, if any.
    """
    present = blobs_of(selections)
    entries = []
    for selection in selections:
        absent = dict.fromkeys(str(blob.digest) for blob in selection.blobs() if blob.digest not in present)
        left_out = {ABSENT: " ".join(absent), BASE: " ".join(selection.bases)} if absent else {}
        for name, tag in _names(selection):
            entries.append(_entry(selection, {**annotations(name, tag), **left_out}))
    document = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": entries}
    return document_member("index.json", document)


def blobs(selections: Sequence[Selection], contents: Mapping[Digest, Content]) -> Iterator[Member]:
    """Yield the directories for blobs, and each blob once; see `formats.Members`.

    Raises:
        VerificationError: a blob has two sizes.
    """
    found = blobs_of(selections)
    yield Member("blobs/", 0)
    for algorithm in sorted({"sha256", *(digest.algorithm for digest in found)}):
        yield Member(f"blobs/{algorithm}/", 0)
    for digest, descriptor in found.items():
        yield Member(path(digest), descriptor.size, contents.get(digest, digest))


def path(digest: Digest) -> str:
    """Return the path of a blob."""
    return f"blobs/{digest.algorithm}/{digest.encoded}"


def document_member(name: str, document: object) -> Member:
    """Return a member with compact JSON in ASCII, its keys in the given order."""
    content = compact(document)
    return Member(name, len(content), content)


def compact(document: object) -> bytes:
    """Return compact JSON."""
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def _names(selection: Selection) -> Iterator[tuple[str, str | None]]:
    """Yield full names and tags; a name without a tag has the entry's own digest."""
    for reference in selection.tags:
        yield str(reference), reference.tag
    for repository in selection.untagged:
        yield f"{repository}@{selection.root.digest}", None


def _entry(selection: Selection, annotations: Mapping[str, str]) -> dict[str, object]:
    root: Descriptor = selection.root
    return {
        "mediaType": root.media_type,
        "digest": str(root.digest),
        "size": root.size,
        "annotations": dict(annotations),
    }
