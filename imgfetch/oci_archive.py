"""An OCI image layout in a tar, and nothing beside it; what skopeo and others call ``oci-archive``.

Its ``ref.name`` is the bare tag, as ORAS, umoci and buildkit expect it.  An image that was asked for by digest has
none, for a digest is no name there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from imgfetch import oci_layout
from imgfetch.archive import Blob, Member
from imgfetch.digest import Digest
from imgfetch.oci_layout import NAME, REF_NAME
from imgfetch.selection import Selection

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
        oci_layout.VERSION,
        oci_layout.index(
            selections, lambda _selection, name, tag: {NAME: name, REF_NAME: tag} if tag else {NAME: name}
        ),
        *oci_layout.blobs(selections, contents),
    )
