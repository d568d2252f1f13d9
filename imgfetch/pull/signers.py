"""Verification of the signatures of images before anything is downloaded for them but documents."""

from __future__ import annotations

from imgfetch.archive.selection import Selection
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.policy import Candidate, SignaturePolicy
from imgfetch.oci.reference import Reference
from imgfetch.oci.referrers import SIGNATURE
from imgfetch.pull import referrers
from imgfetch.pull.resolve import Resolver


def require_signatures(policy: SignaturePolicy, selection: Selection, reference: Reference, resolver: Resolver) -> None:
    """Require signatures of the images of a selection, each of the image or of an index that lists it.

    The attestations that an index lists must be signed too, because containerd may run an image that poses as one.  The
    signatures are those at the registry, and need not be part of the selection.

    Raises:
        VerificationError: a signature is missing or invalid.
        ImgfetchError: an error of the registry or the store.
    """
    tops = [index.digest for index in selection.indexes[:1]]  # the others list only some of the images
    wanted = [
        (
            str(image.config.platform),
            (image.manifest.descriptor.digest, *(index.digest for index in image.indexes), *tops),
        )
        for image in selection.images
    ]
    wanted += [(str(each.digest), (each.digest, *tops)) for each in selection.statements]
    subjects = dict.fromkeys(digest for _, digests in wanted for digest in digests)
    found = selection.referrers or referrers.find(resolver, reference, subjects)
    signatures = [each for each in found if each.kind == SIGNATURE]

    def read(blob: Descriptor) -> bytes:
        resolver.store.reserve([blob.digest])
        resolver.fetch(reference, blob, f"the blob {blob.digest} of a signature of {reference}")
        return resolver.store.read(blob.digest)

    for name, digests in wanted:
        candidates = [Candidate(each.descriptor.digest, each.raw) for each in signatures if each.subject in digests]
        which = f"{reference} {name}" if len(wanted) > 1 else str(reference)
        policy.check(which, tuple(dict.fromkeys(digests)), candidates, read)
