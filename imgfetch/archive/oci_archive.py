"""An OCI image layout in a tar, and nothing beside it; what skopeo and others call ``oci-archive``.

Its ``ref.name`` is the bare tag, as ORAS, umoci and buildkit expect it.  An image that was asked for by digest has
none, for a digest is no name there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from imgfetch.archive import image_layout
from imgfetch.archive.image_layout import NAME, REF_NAME
from imgfetch.archive.selection import Selection
from imgfetch.archive.tarlayout import Blob, Member
from imgfetch.oci.digest import Digest

IS_PLAIN = False
IS_BY_CHAIN = False
HAS_ONE_PLATFORM = False


def members(selections: Sequence[Selection], contents: Mapping[Digest, Blob]) -> tuple[Member, ...]:
    """Return the entries of an archive, in their order.

    Args:
        selections: what it holds.
        contents: what stands in the store otherwise than under its digest.

    Raises:
        VerificationError: a blob is given two sizes.
    """
    return (
        image_layout.VERSION,
        image_layout.index(
            selections, lambda _selection, name, tag: {NAME: name, REF_NAME: tag} if tag else {NAME: name}
        ),
        *image_layout.blobs(selections, contents),
    )
