"""The kinds of archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from imgfetch.archive import docker, docker_classic, oci_archive
from imgfetch.archive.selection import Selection
from imgfetch.archive.tarlayout import Blob, Member
from imgfetch.oci.digest import Digest


class Format(Protocol):
    """What a module has that knows a kind of archive."""

    @property
    def IS_PLAIN(self) -> bool:  # noqa: N802  # a module's constant
        """Whether its layers are always decompressed."""

    @property
    def IS_BY_CHAIN(self) -> bool:  # noqa: N802  # a module's constant
        """Whether its readers may know a layer by those below it, and not by its blob."""

    @property
    def HAS_ONE_PLATFORM(self) -> bool:  # noqa: N802  # a module's constant
        """Whether it cannot hold an index."""

    def members(self, selections: Sequence[Selection], contents: Mapping[Digest, Blob], /) -> tuple[Member, ...]:
        """Return the archive's entries."""


FORMATS: Mapping[str, Format] = {
    "docker": docker,
    "docker-classic": docker_classic,
    "oci": oci_archive,
}
