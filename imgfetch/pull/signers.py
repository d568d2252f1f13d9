"""Verification of the signatures of images before anything is downloaded for them but documents."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from imgfetch.archive.ancestors import above
from imgfetch.archive.selection import Selection
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Index
from imgfetch.oci.policy import SignaturePolicy, by_subject
from imgfetch.oci.reference import Reference
from imgfetch.pull import referrers
from imgfetch.pull.resolve import Resolver


def require_signatures(policy: SignaturePolicy, selection: Selection, reference: Reference, resolver: Resolver) -> None:
    """Require signatures of the images of a selection, each of the image or of an index that lists it.

    It is the rule of `verify`: whatever else a reader may choose must be signed too, such as an image that poses as an
    attestation.  The signatures are those at the registry, and need not be part of the selection.

    Raises:
        VerificationError: a signature is missing or invalid.
        ImgfetchError: an error of the registry or the store.
    """
    wanted = list(_wanted(selection, reference, resolver))
    subjects = dict.fromkeys(digest for _, digests in wanted for digest in digests)
    signatures = by_subject(selection.referrers or referrers.find(resolver, reference, subjects))

    def read(blob: Descriptor) -> bytes:
        resolver.store.reserve([blob.digest])
        resolver.fetch(reference, blob, f"the blob {blob.digest} of a signature of {reference}")
        return resolver.store.read(blob.digest)

    check = policy.checker(read)
    for name, digests in wanted:
        candidates = [each for digest in digests for each in signatures.get(digest, ())]
        which = f"{reference} {name}" if len(wanted) > 1 else str(reference)
        check(which, digests, candidates)


def _wanted(selection: Selection, reference: Reference, resolver: Resolver) -> Iterator[tuple[str, tuple[Digest, ...]]]:
    """Yield a name for each manifest that must be signed, and its digest with those of the indexes above it."""
    parents: dict[Digest, dict[Digest, None]] = {}
    may_be_run = set()
    for index in dict.fromkeys(chain(selection.indexes, *(image.indexes for image in selection.images))):
        found = resolver.document(reference, index)
        for child in found.manifests if isinstance(found, Index) else ():
            parents.setdefault(child.digest, {})[index.digest] = None
            may_be_run |= {child.digest} if child.may_be_run else set()
    for image in selection.images:
        digest = image.manifest.descriptor.digest
        yield str(image.config.platform), (digest, *above(parents, digest))
    for each in selection.statements:
        if each.digest in may_be_run:
            yield str(each.digest), (each.digest, *above(parents, each.digest))
