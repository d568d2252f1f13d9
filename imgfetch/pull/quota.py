"""A warning of a pull limit that is too low for the images that remain (docs/registries.md#docker-hub-limits)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Source
from imgfetch.registry.mirrored import Mirrored

_logger = logging.getLogger(__name__)


class Quota:
    """Compares the pulls that registries have left with the images that are still to be requested."""

    def __init__(self, source: Source, references: Iterable[Reference]) -> None:
        """Take the source of all images, of which only registries report a number, and the images."""
        self._source = source
        self._waiting = set(references)
        self._told: set[str] = set()

    def began(self, reference: Reference) -> None:
        """Note that an image is requested, which no longer remains."""
        self._waiting.discard(reference)

    def check(self) -> None:
        """Warn once for each registry with fewer pulls left than images remain, which cost at least one pull each."""
        left = self._source.pulls_left if isinstance(self._source, Mirrored) else {}
        if not left.keys() - self._told:
            return
        wanted = Counter(reference.registry for reference in frozenset(self._waiting))
        for registry, count in left.items():
            if count < wanted[registry] and registry not in self._told:
                self._told.add(registry)
                _logger.warning(
                    "the list has %d more images at %s, whose number of pulls left is %d; "
                    "the run will probably end at that limit",
                    wanted[registry],
                    registry,
                    count,
                )
