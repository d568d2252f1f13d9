"""The formats of an archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from imgfetch.archive import docker, docker_classic, image_layout
from imgfetch.archive.image_layout import NAME, REF_NAME
from imgfetch.archive.selection import Selection
from imgfetch.archive.tarlayout import Content, Member
from imgfetch.oci.digest import Digest


class Members(Protocol):
    """A function that returns an archive's entries in order."""

    def __call__(self, selections: Sequence[Selection], contents: Mapping[Digest, Content]) -> tuple[Member, ...]:
        """Return them.

        Args:
            selections: the archive's images.
            contents: content that the store does not have under its digest.

        Raises:
            VerificationError: a blob has two sizes.
        """


@dataclass(frozen=True, slots=True)
class Format:
    """A format of an archive.

    Attributes:
        is_uncompressed: whether layers are always decompressed.
        is_by_chain: whether readers may identify a layer by the layers below it, not by its blob.
        has_one_platform: whether indexes are impossible.
    """

    members: Members
    is_uncompressed: bool = False
    is_by_chain: bool = True
    has_one_platform: bool = False


def _oci_members(selections: Sequence[Selection], contents: Mapping[Digest, Content]) -> tuple[Member, ...]:
    """Return the entries of an OCI image layout alone, called ``oci-archive`` by skopeo and others.

    Its ``ref.name`` is the bare tag, as ORAS, umoci and buildkit expect.  An image requested by digest has none,
    because a digest is not a valid name there.
    """
    return (
        image_layout.VERSION,
        image_layout.index(selections, lambda name, tag: {NAME: name, REF_NAME: tag} if tag else {NAME: name}),
        *image_layout.blobs(selections, contents),
    )


FORMATS: Mapping[str, Format] = {
    "docker": Format(docker.members),
    "docker-classic": Format(docker_classic.members, is_uncompressed=True, has_one_platform=True),
    "oci": Format(_oci_members, is_by_chain=False),
}
