"""Verification of the signatures of the images in an archive.

A reader may run more than what imgfetch takes for an image: containerd does not look at the type of a config.  So
whatever a name leads to must be signed, except signatures and the like under cosign's tags.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from imgfetch.archive.contents import Archive, ArchivedImage
from imgfetch.archive.image_layout import path
from imgfetch.archive.scan import Scan
from imgfetch.errors import VerificationError
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.policy import SignaturePolicy, by_subject
from imgfetch.oci.referrers import tagged
from imgfetch.text import format_some

_MAX_NAMES = 5


def unsigned(
    policy: SignaturePolicy, scan: Scan, archive: Archive, wanted: Iterable[ArchivedImage] | None
) -> Iterator[str]:
    """Yield a finding for each image that is wanted, or for each, and for other content under its name; and why."""
    images = archive.images if wanted is None else tuple(wanted)
    names = None if wanted is None else {name for image in images for name in image.names}
    signatures = by_subject(archive.referrers)

    def read(blob: Descriptor) -> bytes:
        content = scan.document(path(blob.digest))
        if content is None:
            raise VerificationError(f"its blob {scan.reason(path(blob.digest))}")
        return content

    check = policy.checker(read)
    of_images = ((_name(image), image.digests) for image in images)
    for name, digests in (*of_images, *_others(scan, archive, names)):
        candidates = [each for digest in digests for each in signatures.get(digest, ())]
        try:
            check(name, digests, candidates)
        except VerificationError as error:
            reasons = ": ".join([str(error), "; ".join(error.details)] if error.details else [str(error)])
            yield f"{reasons}{'' if candidates else _advice(digests)}"


def _advice(digests: Collection[Digest]) -> str:
    """Return the next step if an archive has no signature of an image with these digests, or without any."""
    lack = "has no signature of it" if digests else "has no manifest of it, which is what publishers sign"
    return f"; the archive {lack}: save it with imgfetch save --signatures"


def _others(scan: Scan, archive: Archive, names: Collection[str] | None) -> Iterator[tuple[str, tuple[Digest, ...]]]:
    """Yield what else readers may choose under some names, or under any name."""
    images = {image.manifest.descriptor.digest for image in archive.images if image.manifest}
    for choice in archive.choices:
        if not choice.name or tagged(choice.name) or not (names is None or choice.name in names):
            continue
        for digests in choice.selectable:
            if digests[0] not in images and path(digests[0]) in scan.members:
                yield f"{choice.name} {digests[0]}", digests


def _name(image: ArchivedImage) -> str:
    """Return an image's names and the digest that must be signed."""
    digest = str(image.manifest.descriptor.digest) if image.manifest else f"(image ID {image.config_digest})"
    names = [name for name in image.names if digest not in name]
    return f"{format_some(names, _MAX_NAMES)} {digest}" if names else digest
