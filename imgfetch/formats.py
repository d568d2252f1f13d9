"""The kinds of archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from imgfetch import docker_archive
from imgfetch.archive import Member
from imgfetch.image import Image


class Format(Protocol):
    """What a module does that knows a kind of archive."""

    def members(self, images: Sequence[Image], /) -> tuple[Member, ...]:
        """Return the archive's entries."""


FORMATS: Mapping[str, Format] = {"docker": docker_archive}
