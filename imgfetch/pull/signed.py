"""The signatures and other referrers of a selection, about its images and the indexes that list them."""

from __future__ import annotations

import logging

from imgfetch.archive.selection import Selection
from imgfetch.oci.reference import Reference
from imgfetch.oci.referrers import SIGNATURE
from imgfetch.pull import referrers
from imgfetch.pull.resolve import Resolver

_logger = logging.getLogger(__name__)


def with_referrers(selection: Selection, reference: Reference, resolver: Resolver, *, everything: bool) -> Selection:
    """Return a selection with its referrers, and with the indexes that they are about.

    Publishers sign the index.  If the archive has only one of its images, the index stays as a blob that nothing
    refers to, so that `verify` can prove that the signed index lists the image.
    """
    above = {index.digest: index for image in selection.images for index in image.indexes}
    indexes = {index.digest: index for index in selection.indexes} | above
    images = [image.manifest.descriptor.digest for image in selection.images]
    found = referrers.find(resolver, reference, [*indexes, *images], everything=everything)
    subjects = {each.subject for each in found}
    known = {index.digest for index in (*selection.indexes, *selection.parents)}
    is_signed = not above.keys().isdisjoint(subjects)
    parents = tuple(index for digest, index in above.items() if digest not in known) if is_signed else ()
    signed = {each.subject for each in found if each.kind == SIGNATURE}
    if selection.root.digest not in signed and not signed.isdisjoint(above):
        _logger.warning(
            "the signature of %s is of its index, so a registry that receives this archive cannot prove the image; "
            "for a registry, add --all-platforms",
            reference,
        )
    return selection._replace(referrers=found, parents=(*selection.parents, *parents))
