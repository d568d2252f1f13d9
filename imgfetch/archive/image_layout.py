"""The part of an archive that is an OCI image layout.

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
"""The annotation that names the layers which an archive leaves out, with spaces between."""
BASE = "io.github.imgfetch.base"
"""The annotation that names what has them."""

VERSION = Member("oci-layout", 30, b'{"imageLayoutVersion":"1.0.0"}')
"""The first entry, by which readers know the layout."""


def index(selections: Sequence[Selection], annotations: Callable[[str, str | None], Mapping[str, str]]) -> Member:
    """Return `index.json`: an entry for each name; no platform, for with one containerd drops foreign images.

    Args:
        selections: what the archive holds.
        annotations: returns those of a name, given its full form and its tag, if it has one.
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
    """Yield the directories of blobs, and the blobs: each digest once.

    Args:
        selections: what the archive holds.
        contents: what does not stand in the store under its digest.

    Raises:
        VerificationError: a blob is given two sizes.
    """
    found = blobs_of(selections)
    yield Member("blobs/", 0)
    for algorithm in sorted({"sha256", *(digest.algorithm for digest in found)}):
        yield Member(f"blobs/{algorithm}/", 0)
    for digest, descriptor in found.items():
        yield Member(path(digest), descriptor.size, contents.get(digest, digest))


def path(digest: Digest) -> str:
    """Return where a blob stands."""
    return f"blobs/{digest.algorithm}/{digest.encoded}"


def document_member(name: str, document: object) -> Member:
    """Return a JSON document: compact, ASCII, its keys in the order given."""
    content = compact(document)
    return Member(name, len(content), content)


def compact(document: object) -> bytes:
    """Return JSON without a byte too much."""
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def _names(selection: Selection) -> Iterator[tuple[str, str | None]]:
    """Yield full names and tags; the digest of the entry itself stands where there is no tag."""
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
