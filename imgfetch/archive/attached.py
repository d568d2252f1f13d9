"""Recognition of signatures and other referrers in an OCI image layout, whichever tool wrote it.

A manifest with a ``subject`` says what it is about.  For those of cosign before 3, the place says it: the tag, which
imgfetch and regctl write beside the entry, or ``cosign save``'s annotation, for the first image of the layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from imgfetch.archive.image_layout import COSIGN, COSIGN_KINDS, KIND, REF_NAME, TAG, path
from imgfetch.archive.scan import Scan
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.referrers import ARTIFACT, Attached, Referrer, tagged

_ROOTS = (f"{COSIGN}image", f"{COSIGN}imageIndex")
_SUFFIXES = {kind: f".{end}" for end, kind in COSIGN_KINDS.items()}


class Places:
    """The places of an `index.json`, which say what cosign's manifests are about."""

    def __init__(self) -> None:
        self._root: Digest | None = None

    def visit(self, entry: Descriptor) -> None:
        """Note the first image of a ``cosign save``, which comes before its signatures."""
        if self._root is None and entry.annotations.get(KIND) in _ROOTS:
            self._root = entry.digest

    def referrer(self, entry: Descriptor, raw: bytes, found: Attached) -> Referrer | None:
        """Return what a manifest is about, or ``None`` if that is unknown."""
        tag, kind, subject = self._tag(entry), found.kind, found.subject
        about = tagged(tag)
        if about and subject in (None, about[0]):
            subject = about[0]
            kind = about[1] if kind == ARTIFACT else kind
        else:
            tag = ""
        if subject is None:
            return None
        blobs = tuple(replace(blob, data=None) for blob in found.blobs)  # it is in the manifest already
        return Referrer(subject, kind, found.artifact_type, entry.bare(), raw, blobs, tag)

    def _tag(self, entry: Descriptor) -> str:
        """Return the tag under which cosign looks for an entry, or nothing."""
        for tag in (entry.annotations.get(TAG, ""), entry.annotations.get(REF_NAME, "")):
            if tagged(tag):
                return tag
        suffix, root = _SUFFIXES.get(entry.annotations.get(KIND, ""), ""), self._root
        return f"{root.algorithm}-{root.encoded}{suffix}" if root and suffix else ""


def attached(referrers: Iterable[Referrer], scan: Scan) -> tuple[Referrer, ...]:
    """Return referrers, each with the knowledge whether the archive has its subject."""
    return tuple(each._replace(is_attached=_has(scan, each.subject)) for each in referrers)


def notes(referrers: Iterable[Referrer]) -> Iterator[str]:
    """Yield a note for each referrer whose subject is not in the archive."""
    for each in referrers:
        if not each.is_attached:
            yield f"{each.title} is about {each.subject}, which is not in the archive"


def _has(scan: Scan, digest: Digest) -> bool:
    return path(digest) in scan.members
